"""A file of exclusions: which cases may not be placed, why, who says so and since when."""

import datetime as dt
from collections.abc import Iterator

import polars as pl

from models import columns
from models.columns import Column, first_true
from models.exclusion import RECORDED_REASONS, SOURCES
from models.tabular import Batch, Source, read_table

EXCLUSION_COLUMNS = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("reason", columns.choice(*RECORDED_REASONS), required=True),
    Column("source", columns.choice(*SOURCES), required=True),
    Column("noted_on", columns.DATE, required=True),
)


def read_exclusions(source: Source, today: dt.date) -> Iterator[Batch]:
    """Rows: row and EXCLUSION_COLUMNS; no day lies after `today`. Raises Invalid where the whole file is refused."""
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(EXCLUSION_COLUMNS)):
        texts = columns.tidied(batch.rows, EXCLUSION_COLUMNS)
        repeats = seen.repeats(texts.select(pl.concat_str("case_number", "reason", separator=" ")).to_series())
        days = columns.values(texts, EXCLUSION_COLUMNS)["noted_on"]
        crossed = texts.select(
            case_number=first_true(duplicate_case_number=pl.lit(repeats)),
            noted_on=first_true(in_future=pl.lit(days > today)),
        )
        yield columns.judged(batch, EXCLUSION_COLUMNS, texts, crossed)
