"""Packs are understood whole or refused, and their own examples must come out as written."""

import copy
import datetime as dt
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import activity_file
from models.compliance.evaluators import EVALUATORS
from models.compliance.pack import PACKS, PackRefused, load_pack, load_packs
from models.compliance.vocabulary import UNKNOWN, Channel, Direction, Outcome, Party

RULE = {
    "id": "X-NIGHT",
    "article": "House, 1",
    "summary": {"zh": "夜间不打扰。", "en": "No calls at night."},
    "evaluator": "hours_window",
    "parameters": {
        "closed_from": "22:00",
        "closed_until": "08:00",
        "zone": "Asia/Shanghai",
        "channels": ["call"],
        "direction": "outbound",
        "unless_agreed": False,
    },
    "standard": "ban",
    "severity": "high",
    "prevents": True,
    "evidence": ["channel", "direction", "occurred_at"],
    "effective_from": dt.date(2025, 1, 1),
    "source": "read",
    "examples": [
        {
            "id": name,
            "description": "A call.",
            "events": [{"id": "e1", "at": f"2026-03-10T{at}+08:00", "channel": "call", "direction": "outbound"}],
            "evaluate": "e1",
            "expected": expected,
        }
        for name, at, expected in (("night", "22:00:00", "breach"), ("day", "21:59:59", "permitted"))
    ],
}
PACK = {"pack": "x", "version": "1", "jurisdiction": "any", "force": "house", "notice": "Not legal advice."}


@pytest.fixture
def written(tmp_path: Path):
    """Writes a pack of one rule with some places changed: `written({("parameters", "zone"): "…"})`; ... deletes."""

    def write(changes):
        pack = PACK | {"rules": [copy.deepcopy(RULE)]}
        for (*path, last), value in changes.items():
            place = pack["rules"][0] if path[:1] != ["pack"] else pack
            for step in path[1:] if path[:1] == ["pack"] else path:
                place = place[step]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        file = tmp_path / "x.yaml"
        file.write_text(yaml.safe_dump(pack, allow_unicode=True), "utf-8")
        return file

    return write


def test_a_complete_pack_loads(written):
    pack = load_pack(written({}))

    assert (pack.pack, [rule.id for rule in pack.rules]) == ("x", ["X-NIGHT"])
    assert pack.rules[0].parameters.closed_from == dt.time(22)
    assert pack.rules[0].effective_until is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({("colour",): "red"}, "unknown keys: colour"),
        ({("pack", "colour"): "red"}, "unknown keys: colour"),
        ({("parameters", "colour"): "red"}, "unknown keys: colour"),
        ({("evaluator",): "moon_phase"}, "no evaluator 'moon_phase'"),
        ({("evidence",): ...}, "lacks evidence"),
        ({("evidence",): []}, "evidence must be a list"),
        ({("evidence",): ["channel", "direction"]}, "evidence it needs: occurred_at"),
        ({("effective_until",): dt.date(2024, 12, 31)}, "ends before it begins"),
        ({("effective_from",): "soon"}, "effective_from cannot be 'soon'"),
        ({("effective_from",): ...}, "lacks effective_from"),
        ({("article",): ""}, "article cannot be ''"),
        ({("summary", "zh"): ...}, "zh and en"),
        ({("standard",): "maybe"}, "standard cannot be 'maybe'"),
        ({("severity",): "bad"}, "severity cannot be 'bad'"),
        ({("prevents",): "yes"}, "prevents cannot be 'yes'"),
        ({("source",): "memory"}, "can only be advisory"),
        ({("parameters", "channels"): ["cal"]}, "channels cannot be 'cal'"),
        ({("parameters", "channels"): "call"}, "channels must be a list"),
        ({("parameters", "closed_from"): 1320}, "closed_from cannot be 1320"),
        ({("parameters", "closed_from"): "25:00"}, "hour must be in"),
        ({("parameters", "closed_until"): "22:00"}, "closes at the time it opens"),
        ({("parameters", "zone"): "Asia/Atlantis"}, "Atlantis"),
        ({("parameters", "zone"): ...}, "lacks zone"),
        ({("examples",): ...}, "an example and a counter-example"),
        ({("examples", 1, "expected"): "breach"}, "counter-example"),
        ({("examples", 0, "expected"): "insufficient_evidence"}, "counter-example"),
        ({("examples", 0, "evaluate"): "e2"}, "the event to evaluate is not there"),
        ({("examples", 0, "expected"): "fine"}, "expects 'fine'"),
        ({("examples", 0, "description"): ...}, "lacks description"),
        ({("examples", 0, "events", 0, "mood"): "calm"}, "e1 has mood"),
        ({("examples", 0, "events", 0, "at"): "2026-03-10T22:00:00"}, "has no zone"),
        ({("pack", "rules"): []}, "has no rules"),
        ({("pack", "notice"): ...}, "lacks notice"),
        ({("pack", "version"): 1.0}, "version cannot be 1.0"),
        ({("pack", "pack"): "y"}, "calls itself 'y'"),
    ],
)
def test_a_pack_that_is_not_understood_whole_is_refused_by_name(written, changes, said):
    with pytest.raises(PackRefused) as refusal:
        load_pack(written(changes))

    assert str(refusal.value).startswith("x.yaml: ")
    assert said in str(refusal.value)


def test_a_refusal_names_its_rule(written):
    with pytest.raises(PackRefused, match=r"^x\.yaml: X-NIGHT: "):
        load_pack(written({("evaluator",): "moon_phase"}))


def test_a_pack_whose_examples_do_not_come_out_as_written_is_refused(written):
    with pytest.raises(PackRefused, match="example night says breach, the rule says permitted"):
        load_pack(written({("parameters", "closed_from"): "22:00:01"}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("evaluator:", "evaluator: x\n  evaluator:"),
        ("pack:", "pack: y\npack:"),
        ("pack", "[]"),
        ("pack", "\t"),
        ("pack:", "? [a]\n: b\npack:"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(written, old, new):
    file = written({})
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")

    with pytest.raises(PackRefused):
        load_pack(file)


@pytest.mark.parametrize("content", ["", "- 1", "pack: x", "rules: [1]"])
def test_a_file_of_another_shape_is_refused(tmp_path, content):
    (tmp_path / "x.yaml").write_text(content, "utf-8")

    with pytest.raises(PackRefused):
        load_packs(folder=tmp_path)


def test_a_pack_that_is_not_there_is_refused():
    with pytest.raises(PackRefused, match=r"atlantis\.yaml"):
        load_packs(["atlantis"])


def test_one_rule_in_two_packs_is_refused(written):
    file = written({})
    file.with_name("y.yaml").write_text(file.read_text("utf-8").replace("pack: x", "pack: y"), "utf-8")

    with pytest.raises(PackRefused, match="X-NIGHT stands twice"):
        load_packs(folder=file.parent)


def test_the_packs_of_the_house_load_and_say_that_they_are_no_advice(packs):
    assert [pack.pack for pack in packs] == sorted(path.stem for path in PACKS.glob("*.yaml"))
    assert all(pack.notice.startswith("Not legal advice") for pack in packs)


def test_rules_and_reports_use_the_same_words():
    assert set(Channel) == set(activity_file.CHANNELS)
    assert set(Direction) == set(activity_file.DIRECTIONS)
    assert {*Party, UNKNOWN} == set(activity_file.PARTIES)
    assert set(Outcome) == set(activity_file.OUTCOMES)


def test_packs_load_by_name():
    assert [pack.pack for pack in load_packs(["house", "cn"])] == ["cn", "house"]


def test_every_evaluator_is_used_by_a_rule(packs):
    assert {rule.evaluator for pack in packs for rule in pack.rules} == set(EVALUATORS)


def test_a_rule_is_in_force_from_its_first_day_through_its_last(written):
    last = dt.date(2025, 12, 31)
    rule = load_pack(written({("effective_until",): last})).rules[0]

    days = [dt.date(2024, 12, 31), dt.date(2025, 1, 1), last, dt.date(2026, 1, 1)]

    assert [rule.in_force_on(day) for day in days] == [False, True, True, False]


def _paths(node, path=()):
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(list(_paths(RULE))),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=1)
    | st.dates()
    | st.just(...),
)
def test_whatever_is_wrong_in_a_rule_it_loads_or_is_refused_and_nothing_else(written, path, value):
    file = written({path: value})
    try:
        assert load_pack(file).pack == "x"
    except PackRefused as refusal:
        assert str(refusal).startswith("x.yaml: ")  # noqa: PT017 (either end is right)
