"""The statement as a CSV file: a header, one record for each line with its derivation, a total for each currency.

Records end in LF; amounts have two places, rates six; an absent value is empty. `record` is `line` or `total`,
`number` counts lines from 1, and in a total says how many lines it sums. No field holds free text, so nothing in it can
be taken for a formula. Format 2 is a statement with fees for cases: it has a column `case_fee` more. Every other is
format 1, so that what was downloaded before there were fees is the same file today. `models/commission/verify.py`
states both again, on purpose, by itself.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from models.commission.engine import BOOKED, CASE_FEE
from models.money import money_frame


def _fact(step: str, fact: str) -> pl.Expr:
    return pl.col("derivation").struct.field(step).struct.field(fact)


_COLUMNS: Final = {
    "record": pl.lit("line"),
    "number": pl.int_range(1, pl.len() + 1),
    "agreement_id": pl.col("agreement_id"),
    "period": pl.col("period"),
    "line_id": pl.col("id"),
    "component": pl.col("component"),
    "adjusts_id": pl.col("adjusts_id"),
    "case_id": pl.col("case_id"),
    "payment_id": _fact("payment", "id"),
    "original_id": _fact("payment", "original"),
    "paid_amount": _fact("payment", "amount"),
    "currency": pl.col("currency"),
    "effective_on": pl.col("effective_on"),
    "posted_on": pl.col("posted_on"),
    "paid_to": _fact("payment", "paid_to"),
    "placement_id": pl.col("placement_id"),
    "attribution": _fact("attribution", "attribution"),
    "reason": pl.coalesce(_fact("attribution", "reason"), _fact("fee", "reason")),
    "terms_version": pl.coalesce(_fact("rate", "version"), _fact("fee", "version")),
    "base_amount": pl.col("base_amount"),
    "rate": pl.col("rate"),
    "case_fee": _fact("fee", "case_fee"),
    "entitled": _fact("amount", "entitled"),
    "booked": _fact("amount", "booked"),
    "amount": pl.col("amount"),
}
_TOTALLED: Final = ("base_amount", "amount")
_LINES_PER_PIECE: Final = 10_000


def statement_file(lines: pl.DataFrame) -> Iterator[str]:
    """The BOOKED lines of one agreement and period → pieces of the file, the same for any order of the lines."""
    ordered = money_frame(lines, BOOKED).sort("posted_on", "cause_id", "component", "case_id", "sequence")
    has_fees = (ordered["component"] == CASE_FEE).any()
    records = ordered.select(column.alias(name) for name, column in _COLUMNS.items() if has_fees or name != "case_fee")
    yield records.clear().write_csv()
    for piece in records.iter_slices(_LINES_PER_PIECE):
        yield piece.write_csv(include_header=False)
    yield _totals(records).write_csv(include_header=False)


def _totals(records: pl.DataFrame) -> pl.DataFrame:
    sums = records.group_by("currency").agg(pl.len().alias("number"), *(pl.col(name).sum() for name in _TOTALLED))
    facts = {"record": pl.lit("total"), **{name: pl.col(name) for name in ("number", "currency", *_TOTALLED)}}
    return sums.sort("currency").select(facts.get(name, pl.lit(None)).alias(name) for name in records.columns)
