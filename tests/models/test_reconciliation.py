"""Claims against the ledger: each rule, each kind of break, every edge, in any order of the input."""

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.reconciliation import BREAKS, CLAIMS, COMPARED_MAX, MATCHES, PAYMENTS, Matched, choose, match

TOLERANCE = Decimal("1.00")
WINDOW = 3


def day(number: int) -> dt.date:
    return dt.date(2026, 1, 31) + dt.timedelta(days=number)


def claim(name: str, amount: str, on: int = 0, reference: str | None = None, **other: Any) -> dict[str, Any]:
    ordinary = {"agency_id": "agency-A", "placement_id": "A", "case_id": "k1", "currency": "CNY"}
    return {**ordinary, "id": name, "amount": Decimal(amount), "paid_on": day(on), "reference": reference, **other}


def payment(name: str, amount: str, on: int = 0, reference: str | None = None, **other: Any) -> dict[str, Any]:
    row = claim(name, amount, on, reference, attribution="term", **other)
    return {**row, "effective_on": row["paid_on"]}


def run(*rows: dict[str, Any], tolerance: Decimal = TOLERANCE, window: int = WINDOW) -> Matched:
    claims = [row for row in rows if "attribution" not in row]
    payments = [row for row in rows if "attribution" in row]
    return match(
        pl.DataFrame(claims, schema=CLAIMS),
        pl.DataFrame([{name: row[name] for name in PAYMENTS} for row in payments], schema=PAYMENTS),
        tolerance,
        window,
    )


def links(found: Matched) -> list[tuple[str, str, str]]:
    return found.matches.select("claim_id", "payment_id", "rule").rows()


def breaks(found: Matched) -> list[tuple[str, str | None, str | None]]:
    return found.breaks.select("kind", "claim_id", "payment_id").rows()


def test_the_same_reference_matches_on_any_day() -> None:
    found = run(claim("c1", "100.00", reference=" T1 "), payment("p1", "100.00", on=200, reference="T1"))
    assert links(found) == [("c1", "p1", "reference")]
    assert found.matches.select("amount", "amount_difference", "days_difference").row(0) == (
        Decimal("100.00"),
        Decimal("0.00"),
        200,
    )


def test_empty_references_are_not_the_same_reference() -> None:
    found = run(claim("c1", "100.00", reference=""), payment("p1", "100.00", on=9, reference=" "))
    assert breaks(found) == [("date", "c1", "p1")]


@pytest.mark.parametrize(("days", "matched"), [(-4, False), (-3, True), (0, True), (3, True), (4, False)])
def test_the_window_includes_its_last_day_and_no_more(days: int, matched: bool) -> None:
    found = run(claim("c1", "100.00"), payment("p1", "100.00", on=days))
    assert (links(found) == [("c1", "p1", "amount_and_day")]) is matched
    assert (breaks(found) == [("date", "c1", "p1")]) is not matched


@pytest.mark.parametrize(
    ("booked", "rule"),
    [("98.99", None), ("99.00", "tolerance"), ("100.00", "amount_and_day"), ("101.00", "tolerance"), ("101.01", None)],
)
def test_the_tolerance_includes_its_last_cent_and_no_more(booked: str, rule: str | None) -> None:
    found = run(claim("c1", "100.00"), payment("p1", booked))
    assert links(found) == ([("c1", "p1", rule)] if rule else [])
    assert breaks(found) == ([] if rule else [("amount", "c1", "p1")])
    if rule:
        assert found.matches["amount_difference"].to_list() == [Decimal("100.00") - Decimal(booked)]


def test_no_tolerance_forgives_no_cent() -> None:
    found = run(claim("c1", "100.00"), payment("p1", "100.01"), tolerance=Decimal("0.00"))
    assert breaks(found) == [("amount", "c1", "p1")]


def test_nothing_matches_across_cases() -> None:
    found = run(claim("c1", "100.00", reference="T"), payment("p1", "100.00", reference="T", case_id="k2"))
    assert breaks(found) == [("missing_here", "c1", None), ("missing_there", None, "p1")]


def test_an_exact_amount_is_preferred_to_a_nearer_day() -> None:
    found = run(claim("c1", "100.00"), payment("p1", "100.50"), payment("p2", "100.00", on=3))
    assert links(found) == [("c1", "p2", "amount_and_day")]
    assert breaks(found) == [("missing_there", None, "p1")]


def test_of_equal_amounts_the_nearest_day_wins_then_the_later_one() -> None:
    found = run(claim("c1", "100.00"), *(payment(f"p{days:+}", "100.00", on=days) for days in (-2, -1, 1)))
    assert links(found) == [("c1", "p+1", "amount_and_day")]


def test_equal_claims_and_payments_pair_off_in_turn() -> None:
    found = run(*(claim(f"c{n}", "50.00") for n in range(3)), *(payment(f"p{n}", "50.00") for n in range(3)))
    assert links(found) == [(f"c{n}", f"p{n}", "amount_and_day") for n in range(3)]


def test_two_agencies_claiming_one_payment_leave_it_to_the_placement_that_earns_it() -> None:
    found = run(
        claim("c1", "100.00", placement_id="B", agency_id="agency-B"),
        claim("c2", "100.00"),
        payment("p1", "100.00"),
    )
    assert links(found) == [("c2", "p1", "amount_and_day")]
    assert found.breaks.select("kind", "claim_id", "payment_id", "agency_id").rows() == [
        ("duplicate", "c1", "p1", "agency-B")
    ]


def test_one_claim_may_be_several_payments() -> None:
    found = run(
        claim("c1", "100.00"), payment("p1", "60.00"), payment("p2", "25.00", on=1), payment("p3", "15.00", on=-3)
    )
    assert sorted(links(found)) == [("c1", f"p{n}", "split_payment") for n in (1, 2, 3)]
    assert found.matches["match"].n_unique() == 1
    assert set(found.matches["amount_difference"]) == {Decimal("0.00")}
    assert found.matches["amount"].sum() == Decimal("100.00")


def test_several_claims_may_be_one_payment() -> None:
    found = run(claim("c1", "60.00"), claim("c2", "40.00"), payment("p1", "100.00"))
    assert links(found) == [("c1", "p1", "split_claim"), ("c2", "p1", "split_claim")]
    assert found.matches["match"].n_unique() == 1
    assert found.matches["amount"].to_list() == [Decimal("60.00"), Decimal("40.00")]
    assert set(found.matches["amount_difference"]) == {Decimal("0.00")}


def test_the_fewest_parts_that_add_up_are_taken() -> None:
    parts = [payment(f"p{n}", amount) for n, amount in enumerate(["20.00", "30.00", "50.00", "70.00"])]
    assert links(run(claim("c1", "100.00"), *parts)) == [
        ("c1", "p1", "split_payment"),
        ("c1", "p3", "split_payment"),
    ]


def test_parts_that_miss_by_a_cent_do_not_match() -> None:
    found = run(claim("c1", "100.00"), payment("p1", "60.00"), payment("p2", "40.01"))
    assert links(found) == []


def test_a_part_outside_the_window_does_not_count() -> None:
    found = run(claim("c1", "100.00"), payment("p1", "60.00"), payment("p2", "40.00", on=4))
    assert links(found) == []


def test_two_claims_cannot_share_a_part() -> None:
    found = run(claim("c1", "100.00"), claim("c2", "110.00"), *(payment(f"p{a}", f"{a}.00") for a in (40, 50, 60)))
    assert sorted(links(found)) == [("c1", "p40", "split_payment"), ("c1", "p60", "split_payment")]


def test_two_claims_for_one_payment_are_a_duplicate() -> None:
    found = run(claim("c1", "100.00"), claim("c2", "100.00", on=1), payment("p1", "100.00"))
    assert links(found) == [("c1", "p1", "amount_and_day")]
    assert breaks(found) == [("duplicate", "c2", "p1")]


def test_the_whole_claimed_again_after_its_parts_is_a_duplicate() -> None:
    found = run(claim("c1", "100.00"), claim("c2", "100.00", on=1), payment("p1", "60.00"), payment("p2", "40.00"))
    assert {(kind, name) for kind, name, _ in breaks(found)} == {("duplicate", "c2")}


def test_a_second_instalment_claimed_before_it_arrives_is_missing_not_a_duplicate() -> None:
    found = run(claim("c1", "100.00"), claim("c2", "100.00", on=30), payment("p1", "100.00"))
    assert breaks(found) == [("missing_here", "c2", None)]


def test_the_same_money_in_another_currency_is_one_break_of_currency() -> None:
    found = run(claim("c1", "100.00", currency="USD"), payment("p1", "100.00"))
    assert links(found) == []
    assert found.breaks.select("kind", "claim_id", "payment_id", "currency").rows() == [("currency", "c1", "p1", "USD")]


@pytest.mark.parametrize(("days", "kinds"), [(31, ["date"]), (32, ["missing_here", "missing_there"])])
def test_equal_amounts_a_month_apart_are_one_break_and_further_apart_two(days: int, kinds: list[str]) -> None:
    found = run(claim("c1", "100.00"), payment("p1", "100.00", on=days))
    assert [kind for kind, *_ in breaks(found)] == kinds


def test_a_break_says_both_amounts_and_the_days_between() -> None:
    found = run(claim("c1", "100.00"), payment("p1", "80.00", on=2))
    assert found.breaks.row(0, named=True) == {
        "kind": "amount",
        "claim_id": "c1",
        "payment_id": "p1",
        "agency_id": "agency-A",
        "placement_id": "A",
        "case_id": "k1",
        "currency": "CNY",
        "amount_claimed": Decimal("100.00"),
        "amount_booked": Decimal("80.00"),
        "days_difference": 2,
    }


@pytest.mark.parametrize("attribution", ["none", "tail"])
def test_an_unclaimed_payment_outside_the_term_makes_no_break(attribution: str) -> None:
    row = {**payment("p1", "100.00"), "attribution": attribution}
    assert breaks(run(row)) == []


def test_a_claimed_payment_outside_the_term_matches_all_the_same() -> None:
    row = {**payment("p1", "100.00", placement_id=None, agency_id=None), "attribution": "none"}
    assert links(run(claim("c1", "100.00"), row)) == [("c1", "p1", "amount_and_day")]


def test_a_reversal_in_the_ledger_makes_no_break_and_takes_no_claim() -> None:
    found = run(claim("c1", "0.50"), payment("p1", "-0.40"))
    assert breaks(found) == [("missing_here", "c1", None)]


def test_no_claims_and_no_payments_are_an_ordinary_day() -> None:
    found = run()
    assert found.matches.schema == MATCHES
    assert found.breaks.schema == BREAKS
    assert (found.matches.height, found.breaks.height) == (0, 0)


def test_huge_amounts_match_to_the_cent() -> None:
    found = run(
        claim("c1", "10000000000000.01"),
        payment("p1", "10000000000000.02"),
        payment("p2", "10000000000000.01", on=1),
    )
    assert links(found) == [("c1", "p2", "amount_and_day")]


def test_a_case_with_a_flood_of_unmatched_rows_stays_bounded() -> None:
    many = COMPARED_MAX * 3
    found = run(
        *(claim(f"c{n:04}", f"{1000 + n}.00") for n in range(many)),
        *(payment(f"p{n:04}", f"{9000 + n}.00") for n in range(many)),
    )
    kinds = Counter(kind for kind, *_ in breaks(found))
    assert kinds == {"amount": COMPARED_MAX, "missing_here": many - COMPARED_MAX, "missing_there": many - COMPARED_MAX}


@st.composite
def days_of_work(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Few cases, amounts, days and references, so that everything nearly collides."""
    rows = []
    for make, name in ((claim, "c"), (payment, "p")):
        for number in range(draw(st.integers(0, 9))):
            cents = draw(st.sampled_from([-1000, 1000, 1050, 2000, 3000, 3050, 6000]))
            rows.append(
                make(
                    f"{name}{number}",
                    str(Decimal(cents).scaleb(-2)),
                    draw(st.integers(0, 8)),
                    draw(st.sampled_from([None, None, "T1", "T2"])),
                    case_id=draw(st.sampled_from(["k1", "k2"])),
                    currency=draw(st.sampled_from(["CNY", "CNY", "USD"])),
                    placement_id=draw(st.sampled_from(["A", "B"])),
                )
            )
    return rows


@settings(max_examples=60, deadline=None)
@given(days_of_work(), st.randoms())
def test_the_order_of_the_input_changes_nothing(rows: list[dict[str, Any]], random: Any) -> None:
    first = run(*rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    second = run(*shuffled)
    assert first.matches.equals(second.matches)
    assert first.breaks.equals(second.breaks)


@settings(max_examples=60, deadline=None)
@given(days_of_work())
def test_every_row_is_accounted_for_once_and_every_match_is_what_its_rule_says(rows: list[dict[str, Any]]) -> None:
    found = run(*rows)
    by_id = {row["id"]: row for row in rows}
    claims = {name for name in by_id if name.startswith("c")}

    for _, linked in found.matches.group_by("match"):
        claimed = [by_id[name] for name in linked["claim_id"].unique()]
        booked = [by_id[name] for name in linked["payment_id"].unique()]
        off = sum(row["amount"] for row in claimed) - sum(row["amount"] for row in booked)
        assert set(linked["amount_difference"]) == {off}
        assert abs(off) <= (TOLERANCE if linked["rule"][0] == "tolerance" else 0)
        assert len({(row["case_id"], row["currency"]) for row in [*claimed, *booked]}) == 1
        assert min(len(claimed), len(booked)) == 1
        assert (max(len(claimed), len(booked)) > 1) == linked["rule"][0].startswith("split")

    assert found.matches.group_by("claim_id").agg(pl.col("match").n_unique())["match"].max() in (None, 1)
    assert found.matches.group_by("payment_id").agg(pl.col("match").n_unique())["match"].max() in (None, 1)
    broken = Counter(found.breaks["claim_id"].drop_nulls())
    assert not broken or max(broken.values()) == 1
    assert broken.keys() | set(found.matches["claim_id"]) == claims
    assert not broken.keys() & set(found.matches["claim_id"])
    open_payments = found.breaks.filter(pl.col("kind") != "duplicate")["payment_id"].drop_nulls()
    assert open_payments.is_duplicated().sum() == 0
    assert not set(open_payments) & set(found.matches["payment_id"])


@given(st.lists(st.sets(st.integers(0, 8), min_size=2, max_size=4)))
def test_choosing_in_rounds_is_choosing_one_after_the_other(edges: list[set[int]]) -> None:
    used: set[int] = set()
    one_by_one = set()
    for edge, nodes in enumerate(edges):
        if not nodes & used:
            one_by_one.add(edge)
            used |= nodes
    rows = [(edge, node) for edge, nodes in enumerate(edges) for node in nodes]
    frame = pl.DataFrame(rows, schema={"edge": pl.UInt32, "node": pl.Int64}, orient="row")
    assert set(choose(frame)["edge"]) == one_by_one
