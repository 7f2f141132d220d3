"""The sample: every row stands, and its people are valid, unique and the same each time."""

import datetime as dt
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from models import sample
from models.case_file import read_cases
from models.identifiers import is_card, is_resident_id
from models.sample import LATE_ACCOUNTS, ON, from_accounts, main, make_portfolio

UCI = Path(__file__).parents[3] / "shared" / "data" / "uci_credit_card_default.csv"


@pytest.fixture(scope="module")
def cases() -> pl.DataFrame:
    batches = list(read_cases(make_portfolio(3_000), ON))
    assert sum(batch.errors.height for batch in batches) == 0
    return pl.concat([batch.rows for batch in batches])


def test_as_many_cases_as_asked_for_stand(cases):
    assert cases.height == 3_000


def test_every_identity_has_valid_check_digits(cases):
    assert all(map(is_resident_id, cases["id_number"]))
    assert all(map(is_card, cases["card_number"].drop_nulls()))


def test_about_an_eighth_of_the_borrowers_have_several_cases(cases):
    borrowers = cases.group_by("id_number").len()
    assert 0.09 < (borrowers["len"] > 1).mean() < 0.15


def test_two_borrowers_never_share_a_phone(cases):
    phones = pl.concat([cases.select("id_number", phone=name) for name in ("mobile", "mobile_2")]).drop_nulls()
    assert phones.group_by("phone").agg(pl.col("id_number").n_unique())["id_number"].max() == 1


def test_every_optional_column_is_sometimes_filled_and_sometimes_not(cases):
    optional = ["principal", "overdue_since", "birth_date", "mobile_2", "email", "address", "employer", "card_number"]
    assert all(0 < cases[name].null_count() < cases.height for name in optional)


def test_the_buckets_have_the_shares_of_the_real_file(cases):
    for months in (1, 2, 3):
        share = (cases["bucket"] == f"M{months}").mean()
        assert share == pytest.approx(LATE_ACCOUNTS[months] / sum(LATE_ACCOUNTS.values()), abs=0.03)


def test_one_seed_gives_one_file_and_another_seed_other_people():
    first, again, other = (b"".join(make_portfolio(50, seed)) for seed in (1, 1, 2))
    assert first == again
    ids = [{*read_row["id_number"]} for read_row in (next(read_cases([file], ON)).rows for file in (first, other))]
    assert all(one.isdisjoint(two) for one, two in pairwise(ids))


def written(tmp_path, *arguments):
    path = tmp_path / "cases.csv"
    main(["--cases", "20", "--seed", "3", "--out", str(path), *arguments])
    return path.read_bytes()


def test_the_command_writes_the_state_of_a_day_that_is_named(tmp_path):
    assert written(tmp_path, "--as-of", "2026-01-05") == b"".join(make_portfolio(20, 3, ON))


def test_the_command_writes_the_state_of_today_where_no_day_is_named(tmp_path, monkeypatch):
    evening = dt.datetime(2027, 3, 1, 20, tzinfo=dt.UTC)  # the next day in Shanghai
    monkeypatch.setattr(sample, "utc_now", lambda: evening)
    assert written(tmp_path) == b"".join(make_portfolio(20, 3, dt.date(2027, 3, 2)))


def test_of_the_late_accounts_of_the_real_file_those_with_a_balance_stand():
    if not UCI.exists():
        pytest.skip("needs ../shared/data/uci_credit_card_default.csv")
    batches = list(read_cases(from_accounts(UCI), ON))
    errors = pl.concat([batch.errors for batch in batches])
    assert sum(batch.rows.height for batch in batches) == 5_129
    assert errors.select("field", "code").unique().rows() == [("balance", "balance_not_positive")]
    assert errors.height == 1_689
