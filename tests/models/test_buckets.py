"""Buckets at their edges."""

import polars as pl
import pytest

from models.buckets import bucket_column, bucket_of


@pytest.mark.parametrize(
    ("dpd", "bucket"),
    [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (180, "M6"), (181, "M7+"), (99_999, "M7+")],
)
def test_a_bucket_is_thirty_days(dpd, bucket):
    assert bucket_of(dpd) == bucket
    days = pl.DataFrame({"dpd": pl.Series([dpd], dtype=pl.Int32)})
    assert days.select(bucket_column(pl.col("dpd"))).item() == bucket
