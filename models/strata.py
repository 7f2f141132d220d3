"""Strata: what may be shown of cases without showing a case, each of at least K borrowers.

Every dimension is counted by itself within one currency. A value with too few borrowers is merged: with its
neighbour where values have an order, else into the rest, so that nothing smaller can be had by subtraction.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeAlias, TypedDict

import polars as pl

from crypto.case_columns import AGE_BANDS
from models.buckets import BUCKETS
from models.money import Schema
from models.provinces import PROVINCE

K = 20
BALANCE_BANDS = {1_000: "0-1k", 5_000: "1k-5k", 10_000: "5k-10k", 50_000: "10k-50k", 100_000: "50k-100k"}  # below: band
BALANCE_BAND_ABOVE = "100k+"
UNKNOWN = "unknown"

ORDERED = {
    "bucket": BUCKETS,
    "balance_band": (*BALANCE_BANDS.values(), BALANCE_BAND_ABOVE),
    "age_band": tuple(AGE_BANDS.values()),
}
NOMINAL = ("product", "province")
CASE_SCHEMA: Schema = {
    "borrower_id": pl.String,
    "currency": pl.String,
    "balance": pl.Decimal(38, 2),
    "bucket": pl.String,
    "product": pl.String,
    "region": pl.String,
    "age_band": pl.String,
}


class Stratum(TypedDict):
    """`values`: those of the dimension that it holds, in their order; none for the rest of a nominal dimension."""

    values: list[str]
    case_count: int
    borrower_count: int
    balance: str


class CurrencyStrata(TypedDict):
    """`dimensions`: bucket, balance_band, age_band, product, province (GB/T 2260); empty below K borrowers."""

    currency: str
    case_count: int
    borrower_count: int
    balance: str
    dimensions: dict[str, list[Stratum]]


class Strata(TypedDict):
    """As JSON takes it: money is text."""

    k: int
    currencies: list[CurrencyStrata]


# What is told of the cases of one stratum: (dimension, or "" for the whole; its values; the cases) -> figures.
Tell: TypeAlias = Callable[[str, list[str], pl.DataFrame], Stratum]


def exactly(dimension: str, values: list[str], cases: pl.DataFrame) -> Stratum:
    balance = cases["balance"].sum() or Decimal(0)
    return {
        "values": values,
        "case_count": cases.height,
        "borrower_count": borrowers_in(cases),
        "balance": f"{balance:.2f}",
    }


def stratify(cases: pl.DataFrame, k: int = K, tell: Tell = exactly) -> Strata:
    """One row per case in, as CASE_SCHEMA and what `tell` needs beside; `region` is six digits or null."""
    parts = _banded(cases).sort("currency").partition_by("currency", maintain_order=True)
    return {"k": k, "currencies": [_of_currency(part, k, tell) for part in parts]}


def borrowers_in(cases: pl.DataFrame) -> int:
    return cases["borrower_id"].n_unique()


def _banded(cases: pl.DataFrame) -> pl.DataFrame:
    band = pl.lit(BALANCE_BAND_ABOVE)
    for below, name in reversed(BALANCE_BANDS.items()):
        band = pl.when(pl.col("balance") < below).then(pl.lit(name)).otherwise(band)
    return cases.select(
        pl.exclude("region"),
        balance_band=band,
        province=PROVINCE.fill_null(UNKNOWN),
    )


def _of_currency(cases: pl.DataFrame, k: int, tell: Tell) -> CurrencyStrata:
    whole = tell("", [], cases)
    enough = borrowers_in(cases) >= k
    groups = {
        **{name: _neighbours(cases, name, order, k, tell) for name, order in ORDERED.items()},
        **{name: _with_rest(cases, name, k, tell) for name in NOMINAL},
    }
    return {
        "currency": cases["currency"][0],
        "case_count": whole["case_count"],
        "borrower_count": whole["borrower_count"],
        "balance": whole["balance"],
        "dimensions": groups if enough else {name: [] for name in groups},
    }


def _neighbours(cases: pl.DataFrame, dimension: str, order: Iterable[str], k: int, tell: Tell) -> list[Stratum]:
    """The smallest stratum joins the smaller of its neighbours until none is too small."""
    parts = cases.partition_by(dimension, as_dict=True)
    strata = [([value], parts[value,]) for value in order if (value,) in parts]
    while len(strata) > 1:
        sizes = [borrowers_in(part) for _, part in strata]
        least = sizes.index(min(sizes))
        if sizes[least] >= k:
            break
        beside = [at for at in (least - 1, least + 1) if 0 <= at < len(strata)]
        first, second = sorted((least, min(beside, key=sizes.__getitem__)))
        joined = (strata[first][0] + strata[second][0], pl.concat([strata[first][1], strata[second][1]]))
        strata[first : second + 1] = [joined]
    return [tell(dimension, values, part) for values, part in strata]


def _with_rest(cases: pl.DataFrame, dimension: str, k: int, tell: Tell) -> list[Stratum]:
    """The largest first. What is too small forms the rest, which takes the next smallest until it is large enough."""
    sized = [(borrowers_in(part), *value, part) for value, part in cases.partition_by(dimension, as_dict=True).items()]
    sized.sort(key=lambda one: one[:2])
    rest = [part for size, _, part in sized if size < k]
    named = sized[len(rest) :]
    while rest and named and borrowers_in(pl.concat(rest)) < k:
        rest.append(named.pop(0)[2])
    strata = [tell(dimension, [str(value)], part) for _, value, part in reversed(named)]
    return [*strata, tell(dimension, [], pl.concat(rest))] if rest else strata
