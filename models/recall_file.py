"""Cases that come back or stay, as a file: recalls (撤案), returns (退案) and retentions (留案), a case a row."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from models import columns
from models.columns import Column, first_true
from models.placement import RECALL_REASONS, RETURN_CODES
from models.retention import GROUNDS
from models.tabular import Batch, Source, read_table

ROWS_MAX: Final = 100_000  # a file's rows are kept until the last is read

RECALL_COLUMNS: Final = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("reason", columns.choice(*RECALL_REASONS), required=True),
)
RETURN_COLUMNS: Final = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("return_code", columns.choice(*RETURN_CODES), required=True),
)
RETENTION_COLUMNS: Final = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("ground", columns.choice(*GROUNDS), required=True),
    Column("days", columns.WHOLE_NUMBER, required=True),
)


def read(source: Source, expected: tuple[Column, ...]) -> Iterator[Batch]:
    """Rows: row, case_number, and what else is expected. A case that is named twice is refused the second time.

    Raises Invalid where the file as a whole is refused, as with more than ROWS_MAX rows.
    """
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(expected), rows_max=ROWS_MAX):
        texts = columns.tidied(batch.rows, expected)
        repeats = seen.repeats(texts["case_number"])
        crossed = texts.select(case_number=first_true(duplicate_case_number=pl.lit(repeats)))
        yield columns.judged(batch, expected, texts, crossed)
