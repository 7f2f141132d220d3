"""Buckets (账龄): how late a case is, in months of thirty days."""

import polars as pl

BUCKET_DAYS = 30
BUCKETS = ("M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7+")


def bucket_of(dpd: int) -> str:
    """M0 is current, M_k = ceil(dpd / 30), M7+ everything above M6."""
    return BUCKETS[min(-(-dpd // BUCKET_DAYS), len(BUCKETS) - 1)]


def bucket_column(dpd: pl.Expr) -> pl.Expr:
    """`bucket_of` over a column of whole days, as text."""
    months = ((dpd + BUCKET_DAYS - 1) // BUCKET_DAYS).clip(upper_bound=len(BUCKETS) - 1)
    return months.replace_strict(dict(enumerate(BUCKETS)), return_dtype=pl.String)
