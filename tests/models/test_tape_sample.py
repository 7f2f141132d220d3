"""The synthetic sample: the tape's figures again, in cases of nobody, and nothing that the tape does not tell."""

import csv
import json
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tape, tape_sample
from models.buckets import BUCKETS, bucket_of
from models.strata import CurrencyStrata, Strata, Stratum
from models.tape_sample import BANDS, OTHER, ROWS_MAX, Row, Sample

PRODUCTS = ("credit_card", "car_loan", "cash_loan", "=1+1")
REGIONS = ("110105", "310115", "440300", None)
case = st.fixed_dictionaries(
    {
        "borrower_id": st.integers(1, 60).map(str),
        "currency": st.just("CNY"),
        "balance": st.decimals("0.01", "300000", places=2),
        "bucket": st.sampled_from(BUCKETS),
        "product": st.sampled_from(PRODUCTS),
        "region": st.sampled_from(REGIONS),
        "age_band": st.sampled_from(["18-24", "25-34", "35-44", "65+"]),
    }
)


def seen(cases: list[dict[str, Any]], secret: int = 1) -> Strata:
    rows = [{**one, "case_id": str(at)} for at, one in enumerate(cases)]
    return tape.make(
        pl.DataFrame(rows, schema_overrides={"balance": pl.Decimal(38, 2)}), 5, bytes([secret]) * 32
    ).strata


def lot(size: int, seed: int = 3) -> list[dict[str, Any]]:
    """Cases as lenders have them: the later, the more is owed; one product owes far more than the others."""
    chance = random.Random(seed)
    found = []
    for _ in range(size):
        bucket = min(7, int(chance.expovariate(0.4)))
        product = chance.choices(PRODUCTS, (60, 10, 25, 5))[0]
        balance = chance.lognormvariate(8.5 + 0.2 * bucket, 1) * (4 if product == "car_loan" else 1)
        found.append(
            {
                "borrower_id": str(chance.randrange(size)),
                "currency": "CNY",
                "balance": Decimal(f"{balance:.2f}"),
                "bucket": BUCKETS[bucket],
                "product": product,
                "region": chance.choice(REGIONS),
                "age_band": chance.choice(("25-34", "35-44")),
            }
        )
    return found


def drawn(strata: Strata) -> Sample:
    sample = tape_sample.draw(strata)
    assert sample is not None
    return sample


def whole_of(strata: Strata) -> CurrencyStrata:
    (whole,) = strata["currencies"]
    return whole


def of_group(rows: list[Row], dimension: str, group: Stratum, groups: list[Stratum]) -> list[Row]:
    """The rows that the group stands for; the group without values is the rest."""
    values = group["values"] or [OTHER]
    assert OTHER not in values or [one["values"] for one in groups].count([]) == 1
    if dimension != "balance_band":
        return [row for row in rows if getattr(row, dimension) in values]
    low, high = (BANDS.index(group["values"][at]) for at in (0, -1))
    return [row for row in rows if low <= band_of(row.balance) <= high]


def band_of(balance: Decimal) -> int:
    return sum(balance >= below for below in (1_000, 5_000, 10_000, 50_000, 100_000))


@settings(max_examples=60, deadline=None)
@given(st.lists(case, min_size=5, max_size=150), st.integers(0, 255))
def test_every_group_has_its_part_of_the_rows_within_one(cases: list[dict[str, Any]], secret: int) -> None:
    strata = seen(cases, secret)
    if not strata["currencies"]:
        assert tape_sample.draw(strata) is None
        return
    sample, whole = drawn(strata), whole_of(strata)
    assert len(sample.rows) == whole["case_count"]
    for dimension, groups in whole["dimensions"].items():
        told = sum(group["case_count"] for group in groups)
        found = [len(of_group(sample.rows, dimension, group, groups)) for group in groups]
        assert sum(found) == len(sample.rows)
        for group, count in zip(groups, found, strict=True):
            assert abs(count - Decimal(len(sample.rows) * group["case_count"]) / told) < 1


@settings(max_examples=40, deadline=None)
@given(st.lists(case, min_size=40, max_size=150))
def test_a_row_is_a_case_that_could_be(cases: list[dict[str, Any]]) -> None:
    strata = seen(cases)
    if strata["currencies"]:
        for row in drawn(strata).rows:
            assert bucket_of(row.dpd) == row.bucket
            assert row.balance > 0
            assert row.balance == row.balance.quantize(Decimal("0.01"))
            assert row.borrower_cases >= 1


@pytest.mark.parametrize("size", [2_000, 30_000])
def test_every_group_owes_its_part_where_there_are_many(size: int) -> None:
    strata = seen(lot(size))
    sample, whole = drawn(strata), whole_of(strata)
    total = sum(row.balance for row in sample.rows)
    assert abs(total * sample.stands_for / Decimal(whole["balance"]) - 1) < Decimal("0.001")
    for dimension, groups in whole["dimensions"].items():
        told = sum(Decimal(group["balance"]) for group in groups)
        for group in groups:
            owed = sum(row.balance for row in of_group(sample.rows, dimension, group, groups))
            assert abs(owed / total - Decimal(group["balance"]) / told) < Decimal("0.002"), (dimension, group)


def test_a_large_tape_is_scaled_and_says_by_how_much() -> None:
    strata = seen(lot(30_000))
    sample = drawn(strata)
    assert len(sample.rows) == ROWS_MAX
    assert sample.stands_for == (Decimal(whole_of(strata)["case_count"]) / ROWS_MAX).quantize(Decimal("0.000001"))
    assert drawn(seen(lot(400))).stands_for == 1


def test_borrowers_have_as_many_cases_as_the_tape_says() -> None:
    strata = seen(lot(2_000))
    sample, whole = drawn(strata), whole_of(strata)
    held = Counter(row.borrower_cases for row in sample.rows)
    borrowers = sum(Decimal(rows) / cases for cases, rows in held.items())
    assert borrowers == whole["borrower_count"]


def test_the_same_tape_has_the_same_sample_and_another_tape_another() -> None:
    strata = seen(lot(300))
    again: Strata = json.loads(json.dumps(dict(reversed(strata.items()))))  # as the database gives it back
    assert drawn(again) == drawn(strata)
    assert drawn(seen(lot(300), secret=2)).rows != drawn(strata).rows


def test_nothing_but_the_tape_decides_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other cases under the same tape, another time, another state of chance: the same sample."""
    strata = seen(lot(300))
    before = drawn(strata)
    random.seed(7)
    assert drawn(strata) == before
    assert drawn(tape.read(strata).strata) == before


def test_a_withheld_tape_has_no_sample_and_neither_have_totals_alone() -> None:
    assert tape_sample.draw(tape.withheld(20).strata) is None
    strata = seen(lot(300))
    whole = whole_of(strata)
    whole["dimensions"] = {name: [] for name in whole["dimensions"]}
    assert tape_sample.draw(strata) is None


def test_a_group_that_noise_left_owing_nothing_has_rows_all_the_same() -> None:
    strata = seen(lot(300))
    for groups in whole_of(strata)["dimensions"].values():
        for group in groups:
            group["balance"] = "0.00"
    assert all(row.balance > 0 for row in drawn(strata).rows)


def test_every_row_of_the_file_says_what_it_is_and_none_runs_in_a_spreadsheet() -> None:
    sample = drawn(seen(lot(300)))
    text = "".join(tape_sample.file_lines(sample, "合成样例"))
    assert text.startswith(
        "\ufeffsynthetic,number,product,bucket,dpd,province,age_band,balance,borrower_cases,currency,stands_for"
    )
    rows = list(csv.DictReader(text.removeprefix("\ufeff").splitlines()))
    assert {row["synthetic"] for row in rows} == {"合成样例"}
    assert [row["number"] for row in rows] == [str(number) for number in range(1, len(sample.rows) + 1)]
    assert {row["product"] for row in rows} >= {"credit_card", "'=1+1"}
    assert "=1+1" not in {row["product"] for row in rows}
