"""The statement as a CSV file: a header, one record for each line with its derivation, a total for each currency.

Format 1. Records end in LF; amounts have two places, rates six; an absent value is empty. `record` is `line` or
`total`, `number` counts lines from 1, and in a total says how many lines it sums. No field holds free text, so nothing
in it can be taken for a formula. `models/commission/verify.py` states the same format again, on purpose, by itself.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from models.commission.engine import BOOKED
from models.money import money_frame

_COLUMNS: Final = {
    "record": pl.lit("line"),
    "number": pl.int_range(1, pl.len() + 1),
    "agreement_id": pl.col("agreement_id"),
    "period": pl.col("period"),
    "line_id": pl.col("id"),
    "component": pl.col("component"),
    "adjusts_id": pl.col("adjusts_id"),
    "case_id": pl.col("case_id"),
    **{
        column: pl.col("derivation").struct.field(step).struct.field(fact)
        for column, step, fact in (
            ("payment_id", "payment", "id"),
            ("original_id", "payment", "original"),
            ("paid_amount", "payment", "amount"),
            ("currency", "payment", "currency"),
            ("effective_on", "payment", "effective_on"),
            ("posted_on", "payment", "posted_on"),
            ("paid_to", "payment", "paid_to"),
            ("placement_id", "attribution", "placement_id"),
            ("attribution", "attribution", "attribution"),
            ("reason", "attribution", "reason"),
            ("terms_version", "rate", "version"),
        )
    },
    "base_amount": pl.col("base_amount"),
    "rate": pl.col("rate"),
    "entitled": pl.col("derivation").struct.field("amount").struct.field("entitled"),
    "booked": pl.col("derivation").struct.field("amount").struct.field("booked"),
    "amount": pl.col("amount"),
}
_TOTALLED: Final = ("base_amount", "amount")
_LINES_PER_PIECE: Final = 10_000


def statement_file(lines: pl.DataFrame) -> Iterator[str]:
    """The BOOKED lines of one agreement and period → pieces of the file, the same for any order of the lines."""
    ordered = money_frame(lines, BOOKED).sort("posted_on", "cause_id", "component", "sequence")
    records = ordered.select(column.alias(name) for name, column in _COLUMNS.items())
    yield records.clear().write_csv()
    for piece in records.iter_slices(_LINES_PER_PIECE):
        yield piece.write_csv(include_header=False)
    yield _totals(records).write_csv(include_header=False)


def _totals(records: pl.DataFrame) -> pl.DataFrame:
    sums = records.group_by("currency").agg(pl.len().alias("number"), *(pl.col(name).sum() for name in _TOTALLED))
    facts = {"record": pl.lit("total"), **{name: pl.col(name) for name in ("number", "currency", *_TOTALLED)}}
    return sums.sort("currency").select(facts.get(name, pl.lit(None)).alias(name) for name in _COLUMNS)
