"""Rates as a pure rule: the most specific cell earns, and a card that is told complete always answers."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.buckets import BUCKETS
from models.rates import CELLS_MAX, PAYMENT_TYPES, Cell, Subject, faults, find_cell, is_complete

ANY = Cell(Decimal("0.10"))


def subject(**changes: Any) -> Subject:
    return Subject("card", "M2", 1, "payment", Decimal("1000.00"))._replace(**changes)


def cell(rate: str, **changes: Any) -> Cell:
    return Cell(Decimal(rate), **changes)


def codes(*cells: Cell, products: tuple[str, ...] = (), buckets: tuple[str, ...] = BUCKETS) -> list[tuple[int, str]]:
    return [(error.row, error.code) for error in faults(cells, products, buckets)]


@pytest.mark.parametrize(
    ("cells", "rate"),
    [
        ([ANY], "0.10"),
        ([ANY, cell("0.2", product="card")], "0.2"),
        ([ANY, cell("0.2", product="loan")], "0.10"),
        ([cell("0.2", product="card"), cell("0.3", bucket="M2")], "0.2"),
        ([cell("0.2", placement_seq=1, payment_type="payment"), cell("0.3", bucket="M2")], "0.3"),
        ([cell("0.2", payment_type="payment"), cell("0.3", placement_seq=1)], "0.3"),
        ([cell("0.2", amount_below=Decimal("1000.00")), cell("0.3", amount_from=Decimal("1000.00"))], "0.3"),
        ([ANY, cell("0.2", product="card", amount_below=Decimal("500.00"))], "0.10"),
    ],
)
def test_the_most_specific_cell_that_fits_earns(cells: list[Cell], rate: str) -> None:
    found = find_cell(reversed(cells), subject())
    assert found is not None
    assert found == find_cell(cells, subject())
    assert found.rate == Decimal(rate)


def test_no_cell_fits_a_case_that_none_names() -> None:
    assert find_cell([cell("0.2", product="loan")], subject()) is None


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ([ANY], []),
        ([cell("1.01")], [(1, "out_of_range")]),
        ([ANY, cell("-0.1", bucket="M1")], [(2, "out_of_range")]),
        ([ANY, cell("0.1", bucket="M9")], [(2, "unknown_value")]),
        ([ANY, cell("0.1", payment_type="gift")], [(2, "unknown_value")]),
        ([ANY, cell("0.1", placement_seq=0)], [(2, "out_of_range")]),
        ([ANY, cell("0.1", amount_from=Decimal(9), amount_below=Decimal(9))], [(2, "range_reversed")]),
        ([ANY, ANY], [(2, "rate_cells_overlap")]),
        ([cell("0.1", amount_below=Decimal(9)), cell("0.2", amount_from=Decimal(8))], [(2, "rate_cells_overlap")]),
        ([cell("0.1", amount_from=Decimal(8)), cell("0.2", amount_below=Decimal(9))], [(2, "rate_cells_overlap")]),
        ([cell("0.1", amount_below=Decimal(8)), cell("0.2", amount_from=Decimal(9))], [(0, "rate_missing")]),
        ([cell("0.1", amount_from=Decimal("0.01"))], [(0, "rate_missing")]),
        ([cell("0.1", product="card")], [(0, "rate_missing")]),
        ([cell("0.1", placement_seq=1), cell("0.2", placement_seq=2)], [(0, "rate_missing")]),
        ([cell("0.1", payment_type=kind) for kind in PAYMENT_TYPES], []),
        ([cell("0.1", bucket=bucket) for bucket in BUCKETS], []),
        ([cell("0.1", bucket=bucket) for bucket in BUCKETS[1:]], [(0, "rate_missing")]),
        ([cell("0.1", product=f"p{n}") for n in range(CELLS_MAX)], [(0, "rate_missing")]),
        ([cell("0.1", product=f"p{n}") for n in range(CELLS_MAX + 1)], [(0, "too_many_cells")]),
    ],
)
def test_what_is_wrong_with_a_card_is_told_by_row(cells: list[Cell], found: list[tuple[int, str]]) -> None:
    assert codes(*cells) == found


def test_a_card_needs_rates_for_the_products_and_buckets_of_its_agreement_alone() -> None:
    cells = [cell("0.1", product="card", bucket="M1"), cell("0.2", product="card", bucket="M2")]
    assert codes(*cells, products=("card",), buckets=("M1", "M2")) == []
    assert codes(*cells, products=("card",), buckets=("M1", "M3")) == [(0, "rate_missing")]
    assert codes(*cells, products=("card", "loan"), buckets=("M1", "M2")) == [(0, "rate_missing")]


amounts = st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("99.99"), Decimal(100), Decimal("5000.00")])
products = st.sampled_from(["card", "loan", "car"])
random_cells = st.builds(
    Cell,
    rate=st.integers(0, 100).map(lambda percent: Decimal(percent) / 100),
    product=st.none() | products,
    bucket=st.none() | st.sampled_from(BUCKETS[:3]),
    placement_seq=st.none() | st.integers(1, 3),
    payment_type=st.none() | st.sampled_from(PAYMENT_TYPES),
    amount_from=amounts,
    amount_below=st.none() | amounts,
)
# Cells of which many are complete: a base for all, bands that meet, and what refines them.
cards = st.one_of(
    st.lists(random_cells, min_size=1, max_size=6),
    st.lists(random_cells, max_size=5).map(lambda cells: [ANY, *cells]),
    st.lists(random_cells, max_size=4).map(
        lambda cells: [cell("0.1", amount_below=Decimal(100)), cell("0.2", amount_from=Decimal(100)), *cells]
    ),
)
subjects = st.builds(
    Subject, products, st.sampled_from(BUCKETS[:4]), st.integers(1, 5), st.sampled_from(PAYMENT_TYPES), amounts
)


@settings(max_examples=400)
@given(cards, subjects)
def test_a_card_told_complete_answers_every_case(cells: list[Cell], case: Subject) -> None:
    if is_complete(cells, (), BUCKETS[:4]):
        assert find_cell(cells, case) is not None


@settings(max_examples=300)
@given(cards)
def test_a_card_told_incomplete_leaves_some_case_without_a_rate(cells: list[Cell]) -> None:
    every = [
        Subject(product, bucket, seq, kind, amount)
        for product in ("card", "loan", "car", "unheard of")
        for bucket in BUCKETS[:4]
        for seq in (1, 2, 3, 9)
        for kind in PAYMENT_TYPES
        for amount in (Decimal(0), Decimal("0.01"), Decimal("99.99"), Decimal(100), Decimal("5000.00"))
    ]
    unanswered = any(find_cell(cells, case) is None for case in every)
    assert is_complete(cells, (), BUCKETS[:4]) == (not unanswered)


@given(st.permutations([ANY, cell("0.2", product="card"), cell("0.3", product="card", bucket="M2")]))
def test_the_order_of_cells_means_nothing(cells: list[Cell]) -> None:
    found = find_cell(cells, subject())
    assert found is not None
    assert found.rate == Decimal("0.3")
