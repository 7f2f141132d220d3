"""A refusal says what is refused and why: how the thing stands, or which spelling and bounds a field has."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from uuid import UUID

import pytest
from flask import Flask

import models
from models.errors import Bound, Conflict, Invalid, OutOfRange, RowError, TooFew
from models.tender_plan import Plan, refuse_impossible
from portal.messages import message
from portal.refusals import fault, sentence, sentences
from portal.schemas.allocations import RuleRequest
from portal.schemas.bids import RevealRequest
from portal.schemas.forms import require
from portal.schemas.tenders import PlanForm
from portal.words.exchange import ACTS, STANDS


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


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (1, 10_000_000, "This must be from 1 to 10,000,000."),
        (0, None, "This must be at least 0."),
        (None, 5, "This must be at most 5."),
        (Decimal("0.000001"), Decimal(1), "This must be from 0.0001% to 100%."),
        (0, Decimal("999999.99"), "This must be from 0 to 999,999.99."),
        (dt.date(2026, 3, 10), dt.date(2026, 5, 9), "This must be from 2026-03-10 to 2026-05-09."),
    ],
)
def test_what_is_out_of_range_is_told_the_range(app: Flask, least: Bound, most: Bound, said: str) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        assert fault(OutOfRange(0, "hours", least, most)) == said


def test_an_unknown_column_is_told_by_its_place_alone(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        errors = [RowError(0, "#3", "unknown_column")]
        assert fault(errors[0]) == "Column 3 of the header is not known."
        problem = app.jinja_env.get_template("_macros.html").make_module({"csrf_token": ""}).problem
        assert "<li>Column 3 of the header is not known.</li>" in problem(errors)


def test_too_few_borrowers_are_told_how_many_there_are_and_must_be(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        assert fault(TooFew(2, "buckets", "lot_too_small", 7, 20)).endswith("It has 7; there must be 20.")


def test_a_fault_out_of_range_equals_the_plain_one_and_keeps_its_bounds_elsewhere() -> None:
    fault_of_hours = OutOfRange(0, "hours", 1, 720)
    assert fault_of_hours == RowError(0, "hours", "out_of_range")
    moved = fault_of_hours.at(3, "cells")
    assert isinstance(moved, OutOfRange)
    assert (tuple(moved), moved.least, moved.most) == ((3, "cells", "out_of_range"), 1, 720)


def test_the_form_and_the_verb_name_one_range(app: Flask) -> None:
    agreement, portfolio = UUID(int=1), UUID(int=2)
    form = {"portfolio_id": str(portfolio), "kind": "assigned", "agreement_ids": [str(agreement)]}
    with app.test_request_context(headers={"Cookie": "language=en"}):
        with pytest.raises(Invalid) as of_form:
            require(PlanForm(), form | {"respond_hours": "721"})
        with pytest.raises(Invalid) as of_verb:
            refuse_impossible(Plan(portfolio, "assigned", [agreement], respond_hours=721))
        said = {"respond_hours": "This must be from 1 to 720."}
        assert (sentences(of_form.value), sentences(of_verb.value)) == (said, said)
