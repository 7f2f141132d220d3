"""Strata say nothing of fewer than K borrowers, and leave nobody out."""

import json
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.strata import K, Strata, stratify

PRODUCTS = ("信用卡", "消费贷", "车贷")
BUCKETS = ("M1", "M2", "M3", "M7+")

case = st.fixed_dictionaries(
    {
        "borrower_id": st.integers(1, 60),
        "currency": st.sampled_from(["CNY", "USD"]),
        "balance": st.decimals("0.01", "200000", places=2),
        "bucket": st.sampled_from(BUCKETS),
        "product": st.sampled_from(PRODUCTS),
        "region": st.sampled_from(["110105", "310115", None]),
        "age_band": st.sampled_from(["25-34", "35-44", "65+"]),
    }
)


def framed(cases: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(
        cases, schema_overrides={"balance": pl.Decimal(18, 2), "region": pl.String, "borrower_id": pl.Int64}
    )


def ordinary(count: int, **changes: object) -> list[dict[str, object]]:
    plain = {
        "currency": "CNY",
        "balance": Decimal("500.00"),
        "bucket": "M1",
        "product": "信用卡",
        "region": "110105",
        "age_band": "25-34",
    }
    return [{"borrower_id": hash((number, *map(str, changes.values()))), **plain, **changes} for number in range(count)]


def counts(strata: Strata, dimension: str) -> list[tuple[list[str], int]]:
    return [(s["values"], s["borrower_count"]) for s in strata["currencies"][0]["dimensions"][dimension]]


@settings(deadline=None)
@given(st.lists(case, min_size=1, max_size=300), st.integers(1, 30))
def test_every_stratum_has_k_borrowers_and_together_they_hold_every_case(
    cases: list[dict[str, object]], k: int
) -> None:
    for currency in stratify(framed(cases), k)["currencies"]:
        for strata in currency["dimensions"].values():
            if currency["borrower_count"] < k:
                assert strata == []
                continue
            assert min(stratum["borrower_count"] for stratum in strata) >= k
            assert sum(stratum["case_count"] for stratum in strata) == currency["case_count"]
            assert sum(Decimal(stratum["balance"]) for stratum in strata) == Decimal(currency["balance"])


def test_a_small_bucket_joins_its_smaller_neighbour() -> None:
    cases = ordinary(50) + ordinary(3, bucket="M2") + ordinary(20, bucket="M3")
    assert counts(stratify(framed(cases)), "bucket") == [(["M1"], 50), (["M2", "M3"], 23)]


def test_a_small_product_is_not_named_and_takes_another_with_it() -> None:
    cases = ordinary(50) + ordinary(3, product="车贷") + ordinary(20, product="消费贷")
    assert counts(stratify(framed(cases)), "product") == [(["信用卡"], 50), ([], 23)]


def test_many_cases_of_few_borrowers_are_still_few() -> None:
    one = ordinary(1, bucket="M2") * (10 * K)
    assert counts(stratify(framed(ordinary(K) + one)), "bucket") == [(["M1", "M2"], K + 1)]


def test_one_case_in_another_currency_shows_no_balance_of_its_own_in_any_stratum() -> None:
    strata = stratify(framed(ordinary(K) + ordinary(1, currency="USD")))
    usd = strata["currencies"][1]
    assert (usd["currency"], usd["borrower_count"]) == ("USD", 1)
    assert not any(usd["dimensions"].values())


def test_an_unknown_region_is_a_value_like_any_other() -> None:
    cases = ordinary(30) + ordinary(25, region=None)
    assert counts(stratify(framed(cases)), "province") == [(["110000"], 30), (["unknown"], 25)]


def test_strata_are_json_in_the_order_of_their_bands() -> None:
    cases = ordinary(K, balance=Decimal("70000.00")) + ordinary(K) + ordinary(K, balance=Decimal("1000.00"))
    strata = json.loads(json.dumps(stratify(framed(cases))))
    bands = strata["currencies"][0]["dimensions"]["balance_band"]
    assert [(band["values"], band["balance"]) for band in bands] == [
        (["0-1k"], "10000.00"),
        (["1k-5k"], "20000.00"),
        (["50k-100k"], "1400000.00"),
    ]
