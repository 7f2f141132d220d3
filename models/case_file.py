"""The lender's case file: its columns, and every reason to refuse one of its rows."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from crypto.case_columns import AGE_BANDS as AGE_BANDS
from crypto.case_columns import COMPONENTS, FORBIDDEN_COLUMNS
from models import columns, identifiers
from models.buckets import bucket_column
from models.columns import Column, first_true
from models.tabular import Batch, Source, read_table

COLUMNS = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("product", columns.PRODUCT, required=True),
    Column("currency", columns.CURRENCY, required=True),
    Column("principal", columns.AMOUNT),
    Column("interest", columns.AMOUNT),
    Column("fees", columns.AMOUNT),
    Column("balance", columns.SIGNED_AMOUNT, required=True),
    Column("dpd", columns.WHOLE_NUMBER, required=True),
    Column("overdue_since", columns.DATE),
    Column("opened_on", columns.DATE),
    Column("region", columns.REGION),  # GB/T 2260, six digits
    Column("name", columns.TEXT, required=True, field_class="identity", chars_max=100),
    Column("id_number", columns.RESIDENT_ID, required=True, field_class="identity"),
    Column("birth_date", columns.DATE, field_class="identity"),
    Column("mobile", columns.MOBILE, required=True, field_class="contact"),
    Column("mobile_2", columns.MOBILE, field_class="contact"),
    Column("email", columns.EMAIL, field_class="contact", chars_max=254),
    Column("address", columns.TEXT, field_class="contact", chars_max=300),
    Column("relative_name", columns.TEXT, field_class="related", chars_max=100),
    Column("relative_relation", columns.TEXT, field_class="related", chars_max=40),
    Column("relative_phone", columns.PHONE, field_class="related"),
    Column("employer", columns.TEXT, field_class="related", chars_max=200),
    Column("employer_phone", columns.PHONE, field_class="related"),
    Column("card_number", columns.CARD, field_class="account"),
)
FIGURE_COLUMNS = tuple(column for column in COLUMNS if column.field_class is None)


class CaseBatch(NamedTuple):
    """`rows`: the good rows: `row`, COLUMNS (amounts Decimal(18, 2), dpd Int32, days Date, personal fields as
    normalised text, birth_date as YYYY-MM-DD; null where not given), `bucket`, `age_band`.

    `errors`: row, field, code of the others; never a value.
    """

    rows: pl.DataFrame
    errors: pl.DataFrame


def read_cases(source: Source, on: dt.date) -> Iterator[CaseBatch]:
    """Batches in file order, in bounded memory. Ages are those on the business day `on`; no day may lie after it.

    Raises Invalid where the file as a whole is refused: its header, its format, or no rows at all.
    """
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(COLUMNS, FORBIDDEN_COLUMNS)):
        texts = columns.tidied(batch.rows, COLUMNS)
        crossed = _crossed_figures(texts, seen.repeats(texts["case_number"]), on).hstack(_crossed_people(texts, on))
        rows, errors = columns.judged(batch, COLUMNS, texts, crossed)
        yield CaseBatch(_derived(rows, on), errors)


def judge_figures(batch: Batch, seen: columns.Seen, on: dt.date) -> CaseBatch:
    """The same of FIGURE_COLUMNS alone, for cases whose personal fields came sealed; `bucket` is the one derived."""
    texts = columns.tidied(batch.rows, FIGURE_COLUMNS)
    crossed = _crossed_figures(texts, seen.repeats(texts["case_number"]), on)
    rows, errors = columns.judged(batch, FIGURE_COLUMNS, texts, crossed)
    return CaseBatch(rows.with_columns(bucket=bucket_column(pl.col("dpd"))), errors)


def _crossed_figures(texts: pl.DataFrame, repeats: pl.Series, on: dt.date) -> pl.DataFrame:
    """The faults that show only between the figures of a row, or between a row and the rest of the file."""
    components = pl.col(COMPONENTS)
    # A component that cannot stand has a fault of its own, and says nothing about the total.
    unreadable = pl.any_horizontal(components.is_not_null() & ~columns.AMOUNT.holds(components))
    given = pl.any_horizontal(components.is_not_null()) & ~unreadable
    total = pl.sum_horizontal(pl.col(name).fill_null(0) for name in COMPONENTS)
    return (
        texts.lazy()
        .with_columns(
            columns.to_day(pl.col("overdue_since", "opened_on")),
            columns.to_money(pl.col("balance", *COMPONENTS)),
            summed=given,
        )
        .select(
            case_number=first_true(duplicate_case_number=pl.lit(repeats)),
            balance=first_true(
                balance_not_positive=pl.col("balance") <= 0,
                components_mismatch=pl.col("summed") & (total != pl.col("balance")),
            ),
            overdue_since=first_true(impossible_date=pl.col("overdue_since") > on),
            opened_on=first_true(impossible_date=pl.col("opened_on") > on),
        )
        .collect()
    )


def _crossed_people(texts: pl.DataFrame, on: dt.date) -> pl.DataFrame:
    """The faults between the fields that say who somebody is."""
    return (
        texts.lazy()
        .with_columns(columns.to_day(pl.col("birth_date")), born_on=identifiers.birth_date_column(pl.col("id_number")))
        .select(
            id_number=first_true(invalid_resident_id=pl.col("born_on") > on),
            birth_date=first_true(birth_date_mismatch=pl.col("birth_date") != pl.col("born_on")),
        )
        .collect()
    )


def _derived(rows: pl.DataFrame, on: dt.date) -> pl.DataFrame:
    born_on = identifiers.birth_date_column(pl.col("id_number"))
    had_birthday = born_on.dt.month() * 100 + born_on.dt.day() <= on.month * 100 + on.day
    age = on.year - born_on.dt.year() - pl.when(had_birthday).then(0).otherwise(1)
    band = first_true(**{band: pl.col("age") < below for below, band in AGE_BANDS.items()})
    return (
        rows.lazy()
        .with_columns(pl.col("birth_date").dt.to_string("%Y-%m-%d"), bucket=bucket_column(pl.col("dpd")), age=age)
        .with_columns(age_band=band)
        .drop("age")
        .collect()
    )
