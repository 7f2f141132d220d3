"""The pure split: whole households, everybody's share to within one of them, the same in any order."""

import random
import time
from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO
from itertools import chain
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from models.allocation import (
    CASES,
    EARLIER_AGENCY,
    FOLLOWED,
    FOLLOWS_ELSEWHERE,
    NO_RULE,
    OUTSIDE_TERMS,
    SETS,
    Circle,
    digest,
    figures,
    pack,
    split,
    unpack,
    word_of,
    words_of,
)
from models.allocation_plan import (
    AMOUNT,
    PANEL_MAX,
    RANDOM,
    RULES,
    RULES_MAX,
    Plan,
    Rule,
    Where,
    equal_shares,
    faults,
    from_json,
    to_json,
)
from models.allocation_plan import CASES as BY_CASES
from models.errors import RowError
from models.strata import BALANCE_BANDS

A, B, C = (UUID(int=number) for number in (1, 2, 3))
SEED = bytes(range(32))
EVER = [
    2,
    0,
    2,
    0,
    1,
    1,
    0,
    0,
    1,
    2,
    0,
    0,
]  # of twelve equal households by halves and quarters: stored seeds must replay
ALL = 0b111
CNY = {A: "CNY", B: "CNY", C: "CNY"}


def rows(*households: tuple[int, ...], **columns: object) -> list[dict[str, Any]]:
    """One row for each balance (whole units) of each household."""
    plain = {"bucket": "M2", "product": "card", "province": "310000", "placement_seq": 1}
    plain |= {"may": ALL, "earlier": 0, "holder": None}
    return [
        {"case_id": f"{borrower:05}-{place}", "borrower_id": f"{borrower:05}", "balance": Decimal(balance)}
        | plain
        | columns
        for borrower, balances in enumerate(households)
        for place, balance in enumerate(balances)
    ]


def frame(found: list[dict[str, Any]], panel: Sequence[UUID] = (A, B, C)) -> pl.DataFrame:
    """Each of the SETS, a number of any size, in its words."""
    words = {name: words_of(name, panel) for name in SETS}
    spread = [
        row
        | {
            column: None if row[name] is None else word_of(row[name], word)
            for name, columns in words.items()
            for word, column in enumerate(columns)
        }
        for row in found
    ]
    return pl.DataFrame(spread, schema=dict(CASES) | dict.fromkeys([*chain(*words.values())], pl.Int64))


def by_rules(*rules: Rule, seed: bytes = SEED) -> Plan:
    return Plan(RULES, rules, seed)


def shares(*percents: str) -> dict[UUID, Decimal]:
    return {agreement: Decimal(percent) for agreement, percent in zip((A, B, C), percents, strict=False)}


@st.composite
def some_households(draw: st.DrawFn) -> list[tuple[int, ...]]:
    balance = st.integers(0, 100_000)
    return draw(st.lists(st.lists(balance, min_size=1, max_size=4).map(tuple), min_size=1, max_size=60))


@st.composite
def some_shares(draw: st.DrawFn) -> dict[UUID, Decimal]:
    cuts = sorted(draw(st.sets(st.integers(1, 9_999), max_size=2)))
    ends = [*cuts, 10_000]
    return shares(*(str(Decimal(end - begin) / 100) for begin, end in zip([0, *cuts], ends, strict=True)))


@given(some_households(), some_shares(), st.sampled_from([BY_CASES, AMOUNT]), st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_each_agency_is_within_one_household_of_its_share(
    households: list[tuple[int, ...]], asked: dict[UUID, Decimal], basis: str, seed: bytes
) -> None:
    plan = by_rules(Rule(asked, basis=basis), seed=seed)
    parts = split(frame(rows(*households)), plan)
    weigh = len if basis == BY_CASES or not sum(map(sum, households)) else sum
    largest, whole = max(map(weigh, households)), sum(map(weigh, households))
    for seat, agreement in enumerate(plan.panel):
        mine = parts.filter(pl.col("seat") == seat)
        got = mine.height if weigh is len else mine["balance"].sum()
        assert abs(Decimal(got) - asked[agreement] * whole / 100) <= largest


@given(some_households(), some_shares())
@settings(deadline=None)
def test_no_household_is_split_and_no_case_is_lost(
    households: list[tuple[int, ...]], asked: dict[UUID, Decimal]
) -> None:
    cases = frame(rows(*households))
    parts = split(cases, by_rules(Rule(asked)))
    assert parts["case_id"].to_list() == sorted(cases["case_id"])
    assert parts.group_by("borrower_id").agg(pl.col("seat").n_unique())["seat"].max() == 1
    assert parts["seat"].null_count() == 0


@given(some_households(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_split_in_any_order(
    households: list[tuple[int, ...]], dice: random.Random
) -> None:
    plan = Plan(RANDOM, [Rule(shares("50", "30", "20"))], SEED, ("bucket", "balance_band"))
    given_rows = rows(*households)
    shuffled = dice.sample(given_rows, len(given_rows))
    assert split(frame(given_rows), plan).equals(split(frame(shuffled), plan))


def test_a_stored_plan_replays_the_same_split() -> None:
    where = Where(["M2"], ["card"], ["310000"], Decimal("10.00"), Decimal("5000.00"))
    plan = Plan(RULES, [Rule(shares("33.34", "33.33", "33.33"), where, AMOUNT), Rule(shares("100"))], SEED)
    cases = frame(rows(*((number, 7) for number in range(200))))
    assert from_json(to_json(plan)) == plan
    assert split(cases, from_json(to_json(plan))).equals(split(cases, plan))


def test_the_split_of_a_seed_is_the_one_it_always_was() -> None:
    parts = split(frame(rows(*((100,) for _ in range(12)))), by_rules(Rule(shares("50", "25", "25"))))
    assert parts["seat"].to_list() == EVER


def test_another_seed_gives_another_split() -> None:
    cases = frame(rows(*((100,) for _ in range(100))))
    plans = [by_rules(Rule(shares("50", "50")), seed=seed) for seed in (SEED, bytes(32))]
    assert not split(cases, plans[0]).equals(split(cases, plans[1]))


def test_a_random_split_is_balanced_in_every_stratum() -> None:
    dice = random.Random(4)
    households = [(dice.randint(1, 120_000),) for _ in range(2_000)]
    found = [row | {"bucket": f"M{dice.randint(1, 4)}"} for row in rows(*households)]
    plan = Plan(RANDOM, [Rule(shares("50", "30", "20"))], SEED, ("bucket", "balance_band"))
    parts = split(frame(found), plan).join(frame(found).select("case_id", "bucket"), on="case_id")
    edges = [Decimal(below) for below in BALANCE_BANDS]
    banded = parts.with_columns(
        band=pl.Series([sum(balance >= edge for edge in edges) for balance in parts["balance"]])
    )
    for stratum in banded.partition_by("bucket", "band"):
        for seat, share in enumerate((50, 30, 20)):
            assert abs(stratum.filter(pl.col("seat") == seat).height - stratum.height * share / 100) <= 1


def test_small_strata_do_not_add_up() -> None:
    dice = random.Random(6)
    found = [row | {"product": f"p{dice.randint(1, 60)}"} for row in rows(*((1,) for _ in range(300)))]
    parts = split(frame(found), Plan(RANDOM, [Rule(shares("50", "30", "20"))], SEED, ("product",)))
    for seat, wanted in enumerate((150, 90, 60)):
        assert abs(parts.filter(pl.col("seat") == seat).height - wanted) <= 3


def test_a_household_is_judged_by_its_leading_case_and_its_whole_balance() -> None:
    two = [*rows((10, 90)), *rows((80,))]
    two[0] |= {"bucket": "M1"}
    two[2] |= {"case_id": "x", "borrower_id": "x"}
    rule = Rule(shares("100"), Where(buckets=["M2"], amount_from=Decimal(100)))
    parts = split(frame(two), by_rules(rule))
    assert parts["left_out"].to_list() == [None, None, NO_RULE]


def test_the_first_rule_that_fits_decides_and_the_last_may_be_the_rest() -> None:
    found = [row | {"province": None if row["borrower_id"] == "00001" else "110000"} for row in rows((1,), (2,))]
    plan = by_rules(Rule(shares("100"), Where(provinces=["110000"])), Rule({B: Decimal(100)}))
    assert split(frame(found), plan)["seat"].to_list() == [0, 1]


def test_an_agency_that_has_the_borrower_keeps_it_whatever_the_shares_say() -> None:
    held = rows(*((1,) for _ in range(20)), holder=0b10, earlier=0b10)
    parts = split(frame(held), by_rules(Rule(shares("99.99", "0.01"))))
    assert parts["seat"].unique().to_list() == [1]
    assert parts["rule"].unique().to_list() == [FOLLOWED]


def test_of_two_hundred_agencies_each_has_its_share_of_what_it_may_have() -> None:
    """More of them than bits are in a whole number of the database."""
    many = [UUID(int=number) for number in range(1, 201)]
    everybody = (1 << 200) - 1
    found = [
        *rows(*((1,) for _ in range(2_000)), may=everybody),
        *_renamed("held", rows((1,), may=everybody, holder=1 << 199 | 1 << 130)),
        *_renamed("barred", rows(*((1,) for _ in range(10)), may=1 << 199, earlier=1 << 199)),
        *_renamed("narrow", rows(*((1,) for _ in range(10)), may=1 << 62 | 1)),
        *_renamed("again", rows(*((1,) for _ in range(10)), may=1 << 61 | 1 << 124, earlier=1 << 61)),
    ]
    parts = split(frame(found, many), by_rules(Rule(equal_shares(many))))
    seats = {name: parts.filter(pl.col("borrower_id").str.starts_with(name))["seat"] for name in ("held", "narrow")}
    assert seats["held"].to_list() == [130]
    assert set(seats["narrow"]) <= {0, 62}
    assert parts.filter(pl.col("left_out") == EARLIER_AGENCY).height == 10
    assert parts.filter(pl.col("borrower_id").str.starts_with("again"))["seat"].unique().to_list() == [124]
    got = parts.drop_nulls("seat").filter(pl.col("rule") != FOLLOWED)["seat"].value_counts()
    assert got["seat"].sort().to_list() == [*range(200)]
    assert set(got["count"]) <= {10, 11}


def test_many_sets_of_earlier_agencies_leave_everybody_its_share() -> None:
    """Nearly every household has a choice of its own, as in a rotation of a third tier."""
    many = [UUID(int=number) for number in range(1, 101)]
    dice = random.Random(8)
    found = rows(*((1,) for _ in range(3_000)), may=(1 << 100) - 1)
    for row in found:
        row["earlier"] = sum(1 << seat for seat in dice.sample(range(100), dice.randint(0, 3)))
    cases = frame(found, many)
    began = time.perf_counter()
    parts = split(cases, by_rules(Rule(equal_shares(many))))
    assert time.perf_counter() - began < 5
    assert parts["seat"].null_count() == 0
    assert all(not row["earlier"] >> seat & 1 for row, seat in zip(found, parts["seat"], strict=True))
    assert all(abs(count - 30) <= 1 for count in parts["seat"].value_counts()["count"])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.lists(st.integers(0, 9), min_size=1), st.integers(0))
def test_what_lies_in_each_arc_is_summed_as_it_is_dealt(weights: list[int], needs: list[int], start: int) -> None:
    circle = Circle(weights, [*needs, 1])
    sums = dict.fromkeys(range(len(needs) + 1), 0)
    for seat, weight in zip(circle.deal(start), weights, strict=True):
        sums[seat] += weight
    assert sums | circle.sums(start) == sums


def _renamed(name: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"case_id": f"{name}{row['case_id']}", "borrower_id": f"{name}{row['borrower_id']}"} for row in found]


def test_what_cannot_go_where_it_follows_is_left_out() -> None:
    found = [
        *rows((1,), holder=0),
        *(row | {"borrower_id": "y", "case_id": "y"} for row in rows((1,), holder=2, may=1)),
    ]
    assert split(frame(found), by_rules(Rule(shares("50", "50"))))["left_out"].to_list() == [
        FOLLOWS_ELSEWHERE,
        OUTSIDE_TERMS,
    ]


def test_a_household_goes_only_to_an_agency_that_may_have_all_of_it() -> None:
    one = rows((1, 2))
    one[0] |= {"may": 0b01}
    one[1] |= {"may": 0b10}
    assert split(frame(one), by_rules(Rule(shares("50", "50"))))["left_out"].to_list() == [OUTSIDE_TERMS] * 2


def test_nothing_goes_back_to_an_agency_that_had_it_before() -> None:
    before = rows(*((1,) for _ in range(30)), earlier=0b01)
    again = [row | {"case_id": "z" + str(row["case_id"]), "borrower_id": "z"} for row in rows((1,), earlier=0b11)]
    parts = split(frame([*before, *again]), by_rules(Rule(shares("50", "50"))))
    assert parts["seat"].to_list() == [1] * 30 + [None]
    assert parts["left_out"][-1] == EARLIER_AGENCY


def test_the_others_make_up_for_what_an_agency_may_not_have() -> None:
    barred = rows(*((1,) for _ in range(40)), may=0b10)
    free = [
        row | {"case_id": "z" + str(row["case_id"]), "borrower_id": "z" + str(row["borrower_id"])}
        for row in rows(*((1,) for _ in range(60)))
    ]
    parts = split(frame([*barred, *free]), by_rules(Rule(shares("50", "50"))))
    assert abs(parts.filter(pl.col("seat") == 0).height - 50) <= 1


def seen(cases: list[dict[str, Any]], plan: Plan, terms: dict[UUID, Any]) -> bytes:
    drawn = frame(cases)
    return digest(drawn.sort("case_id"), split(drawn, plan)["seat"], plan.panel, terms)


def test_the_digest_changes_with_all_that_a_split_is_drawn_from_and_with_the_terms() -> None:
    plan = by_rules(Rule(shares("50", "50")))
    terms = {A: [1, {}], B: [1, {}]}
    cases = rows((1,), (2,), (3,))
    ours = seen(cases, plan, terms)
    changes: tuple[dict[str, Any], ...] = (
        {"balance": Decimal("3.01")},
        {"bucket": "M6"},
        {"product": "boat"},
        {"placement_seq": 2},
        {"borrower_id": cases[0]["borrower_id"]},
        {"province": "440000"},
        {"may": 1},
        {"holder": 1},
        {"earlier": 1},
    )
    other = [cases[:2], *([*cases[:2], cases[2] | change] for change in changes)]
    changed = {seen(found, plan, terms) for found in other}
    assert len({ours, *changed, seen(cases, plan, terms | {B: [2, {}]})}) == len(changes) + 3
    assert seen(cases[::-1], plan, terms) == ours


def test_the_digest_changes_with_a_seat() -> None:
    plan = by_rules(Rule(shares("50", "50")))
    cases = frame(rows((1,), (2,))).sort("case_id")
    found = {
        digest(cases, pl.Series(seats, dtype=pl.Int32), plan.panel, {A: [], B: []}) for seats in ([0, 1], [0, None])
    }
    assert len(found) == 2


@given(st.lists(st.tuples(st.none() | st.integers(0, PANEL_MAX - 1), st.none() | st.integers(0, RULES_MAX))))
def test_packed_seats_and_rules_come_out_as_they_went_in(rows: list[tuple[int | None, int | None]]) -> None:
    before = pl.DataFrame(rows, schema={"seat": pl.Int32, "rule": pl.Int32}, orient="row")
    assert_frame_equal(unpack(pack(before)), before)


def test_seats_that_were_packed_alone_have_no_rules() -> None:
    packed = BytesIO()
    pl.DataFrame({"seat": [1, None]}, schema={"seat": pl.Int16}).write_ipc(packed, compression="zstd")
    assert unpack(packed.getvalue()).rows() == [(1, None), (None, None)]


def test_the_figures_add_up_to_the_cases() -> None:
    found = [*rows((100, 50), (30,)), *(row | {"case_id": "q", "borrower_id": "q"} for row in rows((9,), may=0))]
    plan = by_rules(Rule(shares("100"), basis=AMOUNT))
    told = figures(split(frame(found), plan), plan)
    assert told["seats"] == [{"agreement_id": str(A), "households": 2, "cases": 3, "amount": "180.00"}]
    assert told["left_out"] == [{"reason": OUTSIDE_TERMS, "households": 1, "cases": 1, "amount": "9.00"}]
    assert told["rules"][0]["parts"] == [{"agreement_id": str(A), "asked": "100.00", "got": "100.00"}]


@pytest.mark.parametrize("count", [1, 3, 7, PANEL_MAX])
def test_equal_shares_are_all_of_it(count: int) -> None:
    equal = equal_shares([UUID(int=number) for number in range(count)])
    assert sum(equal.values()) == 100
    assert max(equal.values()) - min(equal.values()) <= Decimal("0.01")


REST = Rule(shares("100"))
WRONG = {
    "shares_not_100": (by_rules(Rule(shares("60", "39.99"))), RowError(1, "shares", "shares_not_100")),
    "too_precise": (by_rules(Rule(shares("33.335", "66.665"))), RowError(1, "shares", "too_precise")),
    "share of nothing": (by_rules(Rule(shares("100", "0"))), RowError(1, "shares", "share_bounds")),
    "no share": (by_rules(Rule({})), RowError(1, "shares", "required_missing")),
    "foreign agreement": (by_rules(Rule({UUID(int=9): Decimal(100)})), RowError(1, "shares", "agreement_unknown")),
    "bucket": (by_rules(Rule(REST.shares, Where(["M9"])), REST), RowError(1, "buckets", "unknown_value")),
    "product": (by_rules(Rule(REST.shares, Where(products=["boat"])), REST), RowError(1, "products", "unknown_value")),
    "province": (by_rules(Rule(REST.shares, Where(provinces=["990000"]))), RowError(1, "provinces", "invalid_region")),
    "city": (by_rules(Rule(REST.shares, Where(provinces=["310100"]))), RowError(1, "provinces", "invalid_region")),
    "reversed": (
        by_rules(Rule(REST.shares, Where(amount_from=Decimal(5), amount_below=Decimal(5)))),
        RowError(1, "amount_below", "range_reversed"),
    ),
    "negative": (
        by_rules(Rule(REST.shares, Where(amount_from=Decimal(-5)))),
        RowError(1, "amount_from", "out_of_range"),
    ),
    "basis": (by_rules(Rule(REST.shares, basis="weight")), RowError(1, "basis", "unknown_value")),
    "unreachable": (by_rules(REST, REST), RowError(2, "where", "rule_unreachable")),
    "no rule": (by_rules(), RowError(0, "rules", "required_missing")),
    "two random": (Plan(RANDOM, [REST, REST], SEED), RowError(0, "rules", "one_expected")),
    "dimension": (Plan(RANDOM, [REST], SEED, ("age",)), RowError(0, "dimensions", "unknown_value")),
    "strata of rules": (Plan(RULES, [REST], SEED, ("bucket",)), RowError(0, "dimensions", "random_only")),
    "seed": (Plan(RANDOM, [REST], b"short"), RowError(0, "seed", "seed_invalid")),
    "kind": (Plan("dice", [REST], SEED), RowError(0, "kind", "unknown_value")),
}


@pytest.mark.parametrize(("plan", "error"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_plan_names_the_rule_and_the_field(plan: Plan, error: RowError) -> None:
    assert error in faults(plan, CNY, ["card"])


def test_mixed_currencies_are_refused_at_the_rule_that_mixes_them() -> None:
    plan = by_rules(Rule(shares("50", "50"), Where(["M1"])), Rule({C: Decimal(100)}))
    assert faults(plan, {**CNY, C: "USD"}, []) == [RowError(2, "shares", "currency_mixed")]


def test_a_plan_without_faults_has_none() -> None:
    plan = by_rules(Rule(shares("33.33", "33.33", "33.34"), Where(["M1"], ["card"], ["310000"])), REST)
    assert faults(plan, CNY, ["card"]) == []
