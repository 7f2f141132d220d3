"""The pace of releases: whose it is, what counts, which release is the breach and what it rests on."""

import datetime as dt

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compliance.evaluators import ReleasePace, release_pace
from models.compliance.examples import RELEASES

START = dt.datetime(2026, 3, 10, 1, tzinfo=dt.UTC)
PACE = ReleasePace(at_most=2, within_minutes=10)


def frame(*rows: tuple[str | None, str | None, float | None], agency_id: str | None = "A") -> pl.DataFrame:
    """(person, case, minutes after the start) each; ids r1, r2, …"""
    told = [
        {
            "id": f"r{number}",
            "lender_id": "L",
            "agency_id": agency_id,
            "member_id": person,
            "case_id": case,
            "released_at": None if minutes is None else START + dt.timedelta(minutes=minutes),
        }
        for number, (person, case, minutes) in enumerate(rows, start=1)
    ]
    return pl.DataFrame(told, schema=RELEASES)


def verdicts(releases: pl.DataFrame) -> dict[str, str]:
    judged = release_pace(releases, PACE)
    return dict(zip(judged["subject_id"], judged["verdict"], strict=True))


def breaches(releases: pl.DataFrame) -> list[str]:
    return sorted(id_ for id_, verdict in verdicts(releases).items() if verdict == "breach")


def test_the_release_that_goes_beyond_the_limit_is_the_breach_and_the_rest_is_one_with_it() -> None:
    many = frame(*(("M", f"C{number}", number) for number in range(6)))
    assert breaches(many) == ["r3"]


def test_after_a_calm_hour_a_second_rush_is_a_second_breach() -> None:
    rushes = [("M", f"C{number}", minutes + number) for minutes in (0, 60) for number in range(4)]
    assert breaches(frame(*rushes)) == ["r3", "r7"]


def test_the_same_case_again_is_no_other_case() -> None:
    assert breaches(frame(*(("M", f"C{number % 2}", number) for number in range(6)))) == []


def test_ten_minutes_ago_is_outside_and_a_moment_less_is_inside() -> None:
    assert breaches(frame(("M", "C1", 0), ("M", "C2", 1), ("M", "C3", 10))) == []
    assert breaches(frame(("M", "C1", 0), ("M", "C2", 1), ("M", "C3", 9.99))) == ["r3"]


def test_each_person_has_a_pace_of_their_own() -> None:
    assert breaches(frame(*((f"M{number % 2}", f"C{number}", 1) for number in range(4)))) == []


def test_the_evidence_is_what_was_opened_in_those_minutes() -> None:
    judged = release_pace(frame(("M", "C0", -20), ("M", "C1", 0), ("M", "C2", 1), ("M", "C3", 2)), PACE)
    (breach,) = judged.filter(pl.col("verdict") == "breach").to_dicts()
    assert sorted(breach["evidence"]) == ["r2", "r3", "r4"]
    assert (breach["window_start"], breach["window_end"]) == (
        START - dt.timedelta(minutes=8),
        START + dt.timedelta(minutes=2),
    )


def test_what_is_missing_is_in_doubt_and_throws_none() -> None:
    doubtful = frame((None, "C1", 0), ("M", None, 1), ("M", "C3", None), ("M", "C4", 1))
    assert verdicts(doubtful) == {
        "r1": "insufficient_evidence",
        "r2": "insufficient_evidence",
        "r3": "insufficient_evidence",
        "r4": "permitted",
    }


def test_a_lenders_own_release_is_not_governed() -> None:
    assert verdicts(frame(*(("M", f"C{number}", 0) for number in range(5)), agency_id=None)) == {}
    assert verdicts(frame()) == {}


releases = st.lists(
    st.tuples(st.sampled_from(["M", "N"]), st.sampled_from(["C1", "C2", "C3", "C4"]), st.integers(0, 40)), max_size=16
)


@settings(deadline=None)  # the first call warms Polars up
@given(releases)
def test_a_release_is_beyond_exactly_where_a_count_by_hand_says_so(rows: list[tuple[str, str, float]]) -> None:
    order = sorted(range(len(rows)), key=lambda at: (rows[at][0], rows[at][2], f"r{at + 1}"))
    expected, before = [], {}
    for at in order:
        person, _, minutes = rows[at]
        cases = {case for one, case, then in rows if one == person and minutes - 10 < then <= minutes}
        if len(cases) > PACE.at_most and not before.get(person):
            expected.append(f"r{at + 1}")
        before[person] = len(cases) > PACE.at_most
    assert breaches(frame(*rows)) == sorted(expected)
