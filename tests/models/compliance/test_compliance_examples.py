"""Worked examples from a file, by the command and one by one."""

import json
from pathlib import Path

import pytest

from models.compliance.__main__ import main
from models.compliance.examples import ExampleUnreadable, read_example

SHARED = Path(__file__).parents[4] / "shared" / "rules" / "examples.json"
NIGHT_CALL = {
    "id": "N-1",
    "rule": "CN-GBT-HOURS",
    "description": "A call at 23:00.",
    "context": {},
    "events": [{"id": "e1", "at": "2026-03-10T23:00:00+08:00", "channel": "call", "direction": "outbound"}],
    "evaluate": "e1",
    "expected": "breach",
}


@pytest.fixture
def check(tmp_path, capsys):
    """Runs the command over these examples: its exit code and its lines."""

    def run(*examples):
        file = tmp_path / "examples.json"
        file.write_text(json.dumps(examples), "utf-8")
        code = main(["check-examples", str(file)])
        return code, capsys.readouterr().out.splitlines()

    return run


def _event(**changes):
    return NIGHT_CALL | {"events": [NIGHT_CALL["events"][0] | changes]}


def test_an_example_that_comes_out_as_written_passes(check):
    assert check(NIGHT_CALL) == (0, ["1 passed, 0 failed"])


def test_an_example_that_does_not_fails_and_is_named(check):
    code, lines = check(NIGHT_CALL, NIGHT_CALL | {"id": "N-2", "expected": "permitted"})

    assert code == 1
    assert lines == ["N-2 (CN-GBT-HOURS): expected permitted, got breach", "1 passed, 1 failed"]


def test_an_example_of_a_rule_we_do_not_have_is_not_covered_and_not_passed(check):
    strange = NIGHT_CALL | {"rule": "XX-1", "expected": "permitted"}

    assert check(strange, strange, NIGHT_CALL) == (0, ["2 not covered: XX-1", "1 passed, 0 failed"])


@pytest.mark.parametrize(
    "unread",
    [
        NIGHT_CALL | {"context": {"debtor_unreachable": True}},
        NIGHT_CALL | {"expected_flags": ["two_in_five_minutes"]},
        NIGHT_CALL | {"evaluate": "e9"},
        {"rule": "CN-GBT-HOURS"},
        _event(purpose="locate"),
        _event(channel="fax"),
        _event(outcome="hung_up"),
        _event(party={"role": "attorney_of_consumer"}),
        _event(consent={"type": "extra_calls", "given_to": "A", "valid_days": 2}),
        _event(consent={"type": "hours", "from": "08:00", "to": "23:00", "given_to": "A", "valid_days": 2}),
        _event(at="2026-03-10T23:00:00"),
    ],
)
def test_what_we_cannot_read_in_an_example_is_refused_and_not_overlooked(check, unread):
    with pytest.raises(ExampleUnreadable):
        read_example(unread)
    assert check(unread)[0] == 1


def test_an_hours_consent_holds_only_for_the_person_who_gave_it(rules):
    consent = {"type": "hours", "from": "08:00", "to": "23:00", "given_to": "CREDITOR"}
    given = {"id": "e0", "at": "2026-03-09T10:00:00+08:00", "channel": "call", "direction": "inbound"}
    given |= {"party": {"role": "debtor", "id": "P2"}, "consent": consent}
    asked = {"id": "e1", "at": "2026-03-10T22:30:00+08:00", "channel": "call", "direction": "outbound"}

    answers = [
        read_example(NIGHT_CALL | {"events": [given, asked | {"party": {"role": "debtor", "id": person}}]}).answer(
            rules["CN-GBT-HOURS"]
        )
        for person in ("P1", "P2")
    ]

    assert answers == ["breach", "permitted"]


@pytest.mark.parametrize("content", ["{", "\udcff", "{}", "[1]", "[{}]"])
def test_a_file_that_is_no_list_of_examples_is_refused(tmp_path, capsys, content):
    file = tmp_path / "examples.json"
    file.write_text(content, "utf-8", errors="surrogateescape")

    assert main(["check-examples", str(file)]) == 2
    assert "examples.json" in capsys.readouterr().err


def test_every_shared_example_of_a_rule_we_have_comes_out_as_written(rules):
    if not SHARED.exists():
        pytest.skip("needs ../shared/rules/examples.json")
    ours = [example for example in json.loads(SHARED.read_text("utf-8")) if example["rule"] in rules]

    wrong = [
        example["id"] for example in ours if read_example(example).answer(rules[example["rule"]]) != example["expected"]
    ]

    assert len(ours) >= 8
    assert wrong == []
