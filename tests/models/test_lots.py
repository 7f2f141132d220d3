"""Lots: what is refused of them, that no household is split, and what a tape tells of them."""

from decimal import Decimal
from itertools import combinations, permutations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import lots, tape
from models.errors import Invalid
from models.lots import Lots
from models.money import MONEY

SCHEMA = {
    "case_id": pl.String,
    "borrower_id": pl.String,
    "currency": pl.String,
    "balance": MONEY,
    "bucket": pl.String,
    "product": pl.String,
    "region": pl.String,
    "age_band": pl.String,
}
TWO = Lots("buckets", [["M1"], ["M2", "M3"]])
SECRET = b"s" * 32


def cases(*rows: tuple[int, str, str], region: str | None = "110101") -> pl.DataFrame:
    """Of each: borrower, bucket, balance."""
    made = [
        (f"{at:04}", str(borrower), "CNY", Decimal(balance), bucket, "card", region, "30-39")
        for at, (borrower, bucket, balance) in enumerate(rows)
    ]
    return pl.DataFrame(made, SCHEMA, orient="row")


def faults(given_lots: object) -> list[tuple[int, str, str]]:
    with pytest.raises(Invalid) as refused:
        lots.read(given_lots)
    return [tuple(error) for error in refused.value.errors]


@pytest.mark.parametrize(
    ("given_lots", "found"),
    [
        ([], [(0, "lots", "required_missing")]),
        ([{"buckets": ["M1"]}] * 9, [(0, "lots", "too_many_lots")]),
        ([{"buckets": ["M1"]}, {}], [(2, "lots", "lot_shape")]),
        ([{"buckets": ["M1"], "provinces": ["110000"]}], [(1, "lots", "lot_shape")]),
        ([{"products": ["card"]}], [(1, "lots", "lot_shape")]),
        ([{"buckets": ["M1"]}, {"provinces": ["110000"]}], [(2, "provinces", "lots_mixed")]),
        ([{"buckets": ["M1"]}, {"buckets": []}], [(2, "buckets", "required_missing")]),
        ([{"buckets": ["M1"]}], [(0, "lots", "one_lot_alone")]),
        ([{"buckets": ["M1", "M9"]}, {"buckets": ["M2"]}], [(1, "buckets", "unknown_value")]),
        ([{"provinces": ["110000"]}, {"provinces": ["990000"]}], [(2, "provinces", "unknown_value")]),
        ([{"buckets": ["M1", "M2"]}, {"buckets": ["M2"]}], [(2, "buckets", "lots_overlap")]),
        ([{"buckets": ["M1", "M1"]}, {"buckets": ["M2"]}], [(1, "buckets", "lots_overlap")]),
    ],
)
def test_lots_that_part_nothing_are_refused_by_lot_and_field(
    given_lots: object, found: list[tuple[int, str, str]]
) -> None:
    assert faults(given_lots) == found


def test_a_member_that_is_null_is_not_named() -> None:
    read = lots.read([{"buckets": ["M1"], "provinces": None}, {"buckets": ["M2"]}])
    assert read == Lots("buckets", [["M1"], ["M2"]])


def test_values_stand_in_one_order_and_lots_in_the_order_given() -> None:
    read = lots.read([{"buckets": ["M7+", "M3"]}, {"buckets": ["M2", "M1"]}])
    assert read == Lots("buckets", [["M3", "M7+"], ["M1", "M2"]])
    assert lots.find({"lots": {"divided_by": "buckets", "values": [["M7+", "M3"], ["M2", "M1"]]}}) == read
    other = lots.read([{"buckets": ["M1", "M2"]}, {"buckets": ["M3", "M7+"]}])
    assert (other == read, other.as_sets == read.as_sets) == (False, True)


def test_a_case_of_no_lot_an_empty_lot_and_a_small_one_are_refused() -> None:
    rows = [(number, "M1", "10.00") for number in range(3)]
    with pytest.raises(Invalid) as refused:
        lots.part(cases(*rows, (9, "M7+", "10.00")), Lots("buckets", [["M1"], ["M2"]]), k=4)
    assert [tuple(error) for error in refused.value.errors] == [
        (0, "lots", "cases_in_no_lot"),
        (1, "buckets", "lot_too_small"),
        (2, "buckets", "lot_empty"),
    ]


def test_a_case_without_a_region_is_in_no_province() -> None:
    of_beijing = Lots("provinces", [["110000"]])
    assert lots.part(cases((1, "M1", "1.00")), of_beijing, k=1)["lot"].to_list() == [1]
    with pytest.raises(Invalid):
        lots.part(cases((1, "M1", "1.00"), region=None), of_beijing, k=1)


def test_a_household_goes_where_it_owes_the_most() -> None:
    parted = lots.part(
        cases((1, "M1", "5.00"), (1, "M3", "6.00"), (2, "M1", "7.00"), (3, "M2", "1.00"), (3, "M1", "1.00")), TWO, k=1
    )
    assert parted["lot"].to_list() == [2, 2, 1, 2, 2]


ROWS = st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["M1", "M2", "M3"]), st.just("10.00")), min_size=1)


@given(ROWS)
def test_each_case_is_in_one_lot_and_no_household_in_two(rows: list[tuple[int, str, str]]) -> None:
    given_cases = cases(*rows, (31, "M1", "1.00"), (32, "M2", "1.00"))
    parted = lots.part(given_cases, TWO, k=1)
    assert parted.drop("lot").equals(given_cases)
    assert parted.group_by("borrower_id").agg(pl.col("lot").n_unique())["lot"].unique().to_list() == [1]


MANY = cases(*((number, f"M{number % 3 + 1}", "1000.00") for number in range(90)))


def test_lots_stand_on_the_tape_in_the_place_of_their_dimension_and_the_rest_is_as_without() -> None:
    whole = tape.make(MANY, 20, SECRET)
    parted = tape.make(lots.part(MANY, TWO, 20), 20, SECRET, TWO)
    assert parted[:3] == whole[:3]
    told, before = parted.strata["currencies"][0]["dimensions"], whole.strata["currencies"][0]["dimensions"]
    assert [stratum["values"] for stratum in told["bucket"]] == TWO.values
    assert {**told, "bucket": None} == {**before, "bucket": None}


def test_the_lots_of_another_partition_are_blurred_for_themselves_and_equal_lots_equally() -> None:
    others = [Lots("buckets", [list(values) for values in parts]) for parts in ((("M2", "M3"), ("M1",)), ("M1", "M2"))]
    with pytest.raises(Invalid):
        lots.part(MANY, others[1], 20)
    first = tape.make(lots.part(MANY, TWO, 20), 20, SECRET, TWO).strata
    again = tape.make(lots.part(MANY, others[0], 20), 20, SECRET, others[0]).strata
    told = [strata["currencies"][0]["dimensions"]["bucket"] for strata in (first, again)]
    assert told[0] == told[1][::-1]


def test_equal_lots_are_told_equally_in_whatever_order_they_were_named() -> None:
    """Else each order would be noise drawn anew, and their mean the exact figure."""
    figures = set()
    for values in permutations(["M2", "M3", "M4", "M5"]):
        named = Lots("buckets", [list(values), ["M1"]])
        told = tape.make(lots.part(MANY, named, 20), 20, SECRET, named).strata["currencies"][0]["dimensions"]["bucket"]
        figures.update((lot["case_count"], lot["borrower_count"], lot["balance"]) for lot in told[:1])
    assert len(figures) == 1


def test_where_one_case_differs_every_lot_is_told_otherwise() -> None:
    """So that which of them changed says nothing."""
    figures = []
    for left_out in (None, *range(12)):
        some = MANY.filter(pl.col("borrower_id") != str(left_out))
        strata = tape.make(lots.part(some, TWO, 20), 20, SECRET, TWO).strata
        figures.append([stratum["balance"] for stratum in strata["currencies"][0]["dimensions"]["bucket"]])
    same = sum(one[0] == other[0] or one[1] == other[1] for one, other in combinations(figures, 2))
    assert same <= len(figures)
