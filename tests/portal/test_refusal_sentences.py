"""A refusal says what is refused and why: how the thing stands, or which spelling and bounds a field has."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

import pytest
from flask import Flask

import models
from models.errors import Conflict, Invalid
from portal.messages import message
from portal.refusals import sentence, sentences
from portal.schemas.allocations import RuleRequest
from portal.schemas.bids import RevealRequest
from portal.schemas.forms import require
from portal.words import ACTS, STANDS


def tables() -> Mapping[str, Mapping[tuple[str, str], str]]:
    """Every table of states of models, by its place."""
    modules = [import_module(f"models.{one.name}") for one in iter_modules(models.__path__) if one.name != "__main__"]
    return {
        f"{module.__name__}.{name}": table
        for module in modules
        for name, table in vars(module).items()
        if name.endswith("TRANSITIONS")
    }


def test_every_state_and_act_of_every_table_can_be_said() -> None:
    assert "models.recall_request.TRANSITIONS" in tables()
    for place, table in tables().items():
        states = {state for (state, _act) in table} | set(table.values())
        assert (place, states - set(STANDS), {act for (_state, act) in table} - set(ACTS)) == (place, set(), set())


def test_a_wrong_state_names_the_state_and_the_act(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        said = sentences(Conflict("wrong_state", state="executed", act="withdraw"))
    assert said == {"*": "It is carried out and cannot be withdrawn."}


def test_a_refusal_that_does_not_know_them_says_the_code_s_own_sentence(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        assert sentence("wrong_state", {}) == message("wrong_state")
        assert sentence("wrong_state", {"state": "executed", "act": "<b>"}) == message("wrong_state")
        assert sentence("stop_work_confirmed", {"state": "executed", "act": "withdraw"}) == message(
            "stop_work_confirmed"
        )


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"rate": "0.15"}, "rate_spelling"),
        ({"rate": "1.000001"}, "rate_spelling"),
        ({"case_fee": "3"}, "fee_spelling"),
        ({"case_fee": "03.00"}, "fee_spelling"),
    ],
)
def test_a_reveal_in_another_spelling_is_told_the_right_one(changed: dict[str, str], code: str) -> None:
    given = {"kind": "rate", "rate": "0.150000", "case_fee": "0.00", "nonce": "00" * 32}
    with pytest.raises(Invalid) as refused:
        require(RevealRequest(), given | changed)
    assert [tuple(error) for error in refused.value.errors] == [(0, *changed, code)]


@pytest.mark.parametrize("share", ["-50", "50%", "1000", "5e1"])
def test_a_share_that_is_none_is_told_its_bounds(share: str) -> None:
    with pytest.raises(Invalid) as refused:
        require(RuleRequest(), {"shares": {"01a201d5-c3b3-7b91-9362-60563aad9350": share}})
    assert {error.code for error in refused.value.errors} == {"share_bounds"}
