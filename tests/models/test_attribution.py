"""Which placement earns a payment: every edge date, every payee, and reversals."""

import datetime as dt
from decimal import Decimal
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution import ATTRIBUTED, DECISIONS, PAYMENTS, SPANS, STANDINGS, attribute

JANUARY = dt.date(2026, 1, 1)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(f"2026-{text}")


def payments(*rows: dict[str, Any]) -> pl.DataFrame:
    ordinary = {
        "id": "p1",
        "case_id": "k1",
        "amount": Decimal("100.00"),
        "currency": "CNY",
        "effective_on": day("01-15"),
        "posted_on": day("01-16"),
        "paid_to": "lender",
        "reversal_of": None,
    }
    filled = [{**ordinary, **row} for row in rows]
    return pl.DataFrame([{"reference": row["id"].upper(), **row} for row in filled], schema=PAYMENTS)


def spans(*rows: tuple[str, str, str | None], tail_days: int = 10, agency_may_receive: bool = False) -> pl.DataFrame:
    """Placements A, B, … of case k1 as (id, first day, last day)."""
    return pl.DataFrame(
        [
            {
                "placement_id": placement,
                "agency_id": f"agency-{placement}",
                "case_id": "k1",
                "started_on": day(start),
                "ended_on": day(end) if end else None,
                "tail_days": tail_days,
                "agency_may_receive": agency_may_receive,
            }
            for placement, start, end in rows
        ],
        schema=SPANS,
    )


def decided(frame: pl.DataFrame, payment: str = "p1") -> tuple[Any, ...]:
    row = frame.row(by_predicate=pl.col("id") == payment, named=True)
    return row["placement_id"], row["attribution"], row["commissionable"], row["reason"]


ONE = (("A", "01-10", "01-31"),)
HANDED_OVER = (("A", "01-10", "01-31"), ("B", "01-31", None))
GAP = (("A", "01-10", "01-31"), ("B", "02-05", "02-20"))
TWO_TAILS = (("A", "01-01", "01-20"), ("B", "01-22", "01-25"))


@pytest.mark.parametrize(
    ("placed", "paid_on", "expected"),
    [
        (ONE, "01-09", (None, "none", False, "before_placement")),
        (ONE, "01-10", ("A", "term", True, None)),
        (ONE, "01-31", ("A", "term", True, None)),
        (ONE, "02-01", ("A", "tail", True, None)),
        (ONE, "02-10", ("A", "tail", True, None)),
        (ONE, "02-11", (None, "none", False, "after_tail")),
        (HANDED_OVER, "01-30", ("A", "term", True, None)),
        (HANDED_OVER, "01-31", ("B", "term", True, None)),
        (HANDED_OVER, "02-01", ("B", "term", True, None)),
        (HANDED_OVER, "12-31", ("B", "term", True, None)),
        (GAP, "02-04", ("A", "tail", True, None)),
        (GAP, "02-05", ("B", "term", True, None)),
        (GAP, "02-21", ("B", "tail", True, None)),
        (TWO_TAILS, "01-21", ("A", "tail", True, None)),
        (TWO_TAILS, "01-26", ("B", "tail", True, None)),
        (TWO_TAILS, "01-30", ("B", "tail", True, None)),
        ((), "01-15", (None, "none", False, "never_placed")),
    ],
)
def test_the_value_date_decides_to_the_day(placed: Any, paid_on: str, expected: tuple[Any, ...]) -> None:
    found = attribute(payments({"effective_on": day(paid_on), "posted_on": day("12-31")}), spans(*placed))
    assert decided(found) == expected


@pytest.mark.parametrize(("paid_on", "kind"), [("01-31", "term"), ("02-01", "tail")])
@pytest.mark.parametrize(
    ("paid_to", "may_receive", "commissionable"),
    [
        ("lender", False, True),
        ("platform", False, True),
        ("agency", False, False),
        ("agency", True, True),
    ],
)
def test_money_an_agency_may_not_receive_earns_nothing(
    paid_on: str, kind: str, paid_to: str, may_receive: bool, commissionable: bool
) -> None:
    found = attribute(
        payments({"effective_on": day(paid_on), "paid_to": paid_to}), spans(*ONE, agency_may_receive=may_receive)
    )
    assert decided(found) == ("A", kind, commissionable, None if commissionable else "agency_may_not_receive")


def test_no_tail_means_none() -> None:
    found = attribute(payments({"effective_on": day("02-01")}), spans(*ONE, tail_days=0))
    assert decided(found)[1:] == ("none", False, "after_tail")


def test_a_reversal_goes_where_its_original_went_whatever_its_own_day() -> None:
    found = attribute(
        payments({}, {"id": "r1", "amount": Decimal("-40.00"), "effective_on": day("06-01"), "reversal_of": "P1"}),
        spans(*HANDED_OVER),
    )
    assert decided(found, "r1") == ("A", "term", True, None)
    assert found.filter(id="r1")["original"].to_list() == ["p1"]


def test_a_reversal_of_a_reversal_is_followed_to_the_first_payment() -> None:
    chain = payments(
        {},
        {"id": "r1", "amount": Decimal("-40.00"), "effective_on": day("06-01"), "reversal_of": "P1"},
        {"id": "r2", "amount": Decimal("40.00"), "effective_on": day("06-02"), "reversal_of": "R1"},
        {"id": "r3", "amount": Decimal("-40.00"), "effective_on": day("06-03"), "reversal_of": "R2"},
    )
    found = attribute(chain, spans(*HANDED_OVER))
    assert [decided(found, reversal)[0] for reversal in ("r1", "r2", "r3")] == ["A", "A", "A"]
    assert found["original"].to_list() == [None, "p1", "p1", "p1"]


def test_the_reversal_of_money_that_earned_nothing_takes_nothing_back() -> None:
    found = attribute(
        payments({"paid_to": "agency"}, {"id": "r1", "amount": Decimal("-40.00"), "reversal_of": "P1"}), spans(*ONE)
    )
    assert decided(found, "r1") == ("A", "term", False, "agency_may_not_receive")


@pytest.mark.parametrize(
    "reversal",
    [
        {"reversal_of": "P404"},
        {"reversal_of": "R1"},
        {"reversal_of": "P1", "case_id": "k2"},
        {"reversal_of": "P1", "currency": "USD"},
        {"reversal_of": None},
    ],
    ids=["unknown", "itself", "of another case", "in another currency", "of nothing"],
)
def test_a_reversal_without_its_original_is_attributed_to_nobody(reversal: dict[str, Any]) -> None:
    found = attribute(payments({}, {"id": "r1", "amount": Decimal("-40.00"), **reversal}), spans(*ONE))
    assert decided(found, "r1") == (None, "none", False, "original_unknown")


def test_two_reversals_of_each_other_end_nowhere() -> None:
    circle = payments({"id": "r1", "reversal_of": "R2"}, {"id": "r2", "reversal_of": "R1"})
    assert set(attribute(circle, spans(*ONE))["reason"]) == {"original_unknown"}


def test_another_cases_placement_earns_nothing() -> None:
    assert decided(attribute(payments({"case_id": "k2"}), spans(*ONE)))[3] == "never_placed"


def test_no_payments_and_no_placements_are_ordinary_days() -> None:
    assert attribute(payments(), spans(*ONE)).schema == ATTRIBUTED
    assert decided(attribute(payments({}), spans()))[3] == "never_placed"


def test_the_decision_table_is_whole() -> None:
    assert DECISIONS.keys() == set(product(STANDINGS, (True, False)))


def by_hand(paid: dt.date, placed: list[tuple[str, dt.date, dt.date | None, int]]) -> tuple[str | None, str]:
    """The rule said again, one payment at a time."""
    live = [(start, name) for name, start, end, _ in placed if start <= paid and (end is None or paid <= end)]
    if live:
        return max(live)[1], "term"
    tails = [
        (end, start, name)
        for name, start, end, tail in placed
        if end is not None and start <= paid and end < paid <= end + dt.timedelta(days=tail)
    ]
    return (max(tails)[2], "tail") if tails else (None, "none")


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, dt.date, dt.date | None, int]]:
    placed, start = [], JANUARY
    for name in draw(st.lists(st.sampled_from("ABCDE"), unique=True)):
        start += dt.timedelta(days=draw(st.integers(0, 6)))
        end = start + dt.timedelta(days=draw(st.integers(0, 8)))
        placed.append((name, start, end, draw(st.integers(0, 12))))
        start = end
    if placed and draw(st.booleans()):
        name, first, _, tail = placed[-1]
        placed[-1] = (name, first, None, tail)
    return placed


@given(histories(), st.lists(st.integers(-3, 70), unique=True), st.randoms())
def test_attribution_agrees_with_a_plain_loop_in_any_order(
    placed: list[tuple[str, dt.date, dt.date | None, int]], days: list[int], random: Any
) -> None:
    paid = {f"p{n:02}": JANUARY + dt.timedelta(days=n) for n in days}
    rows = [{"id": name, "effective_on": on} for name, on in paid.items()]
    terms = [
        {
            "placement_id": name,
            "agency_id": "agency",
            "case_id": "k1",
            "started_on": start,
            "ended_on": end,
            "tail_days": tail,
            "agency_may_receive": False,
        }
        for name, start, end, tail in placed
    ]
    random.shuffle(rows)
    random.shuffle(terms)
    found = attribute(payments(*rows), pl.DataFrame(terms, schema=SPANS))
    assert {row["id"]: (row["placement_id"], row["attribution"]) for row in found.iter_rows(named=True)} == {
        name: by_hand(on, placed) for name, on in paid.items()
    }
