"""What a lender's ledger sends each day: its payments, and the balance and status of its cases."""

from collections.abc import Iterator

import polars as pl

from models import columns, identifiers
from models.activity_file import PAID_TO
from models.columns import Column, first_true
from models.tabular import Batch, Source, read_table

STATUSES = ("open", "paid_off", "cured", "hold", "stopped")

PAYMENT_COLUMNS = (
    # Any text: a payment that names no case of ours waits in suspense and is not lost.
    Column("case_number", columns.TEXT, required=True, chars_max=100),
    Column("amount", columns.SIGNED_AMOUNT, required=True),
    Column("currency", columns.CURRENCY, required=True),
    Column("value_date", columns.DATE, required=True),
    Column("posting_date", columns.DATE, required=True),
    Column("reference", columns.REFERENCE, required=True),
    Column("paid_to", columns.choice(*PAID_TO), required=True),
    Column("reversal_of", columns.REFERENCE),
)
BALANCE_COLUMNS = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("balance", columns.AMOUNT, required=True),
    Column("currency", columns.CURRENCY, required=True),
    Column("status", columns.choice(*STATUSES), required=True),
)


def read_payments(source: Source) -> Iterator[Batch]:
    """Rows: row, PAYMENT_COLUMNS, and `reference_personal`: the case number may be a person's name or number.

    Amounts are Decimal(18, 2), below zero where `reversal_of` names the payment taken back, above zero elsewhere.
    A header alone is "no movement": one batch without rows. Raises Invalid where the file as a whole is refused.
    """
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(PAYMENT_COLUMNS), may_be_empty=True):
        texts = columns.tidied(batch.rows, PAYMENT_COLUMNS)
        repeats = seen.repeats(texts["reference"])
        amount = columns.to_money(pl.col("amount"))
        is_reversal = pl.col("reversal_of").is_not_null()
        crossed = texts.select(
            amount=first_true(
                zero_amount=amount == 0,
                negative_amount=(amount < 0) & ~is_reversal,
                reversal_not_negative=(amount > 0) & is_reversal,
            ),
            reference=first_true(duplicate_reference=pl.lit(repeats)),
        )
        rows, errors = columns.judged(batch, PAYMENT_COLUMNS, texts, crossed)
        number = pl.col("case_number")
        personal = identifiers.looks_personal_column(number) | ~number.str.contains(columns.CODE_SHAPE)
        yield Batch(rows.with_columns(reference_personal=personal), errors)


def read_balances(source: Source) -> Iterator[Batch]:
    """Rows: row, case_number, balance (Decimal(18, 2), not below zero), currency, status.

    A header alone is a day without changes. Raises Invalid where the file as a whole is refused.
    """
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(BALANCE_COLUMNS), may_be_empty=True):
        texts = columns.tidied(batch.rows, BALANCE_COLUMNS)
        repeats = seen.repeats(texts["case_number"])
        crossed = texts.select(case_number=first_true(duplicate_case_number=pl.lit(repeats)))
        yield columns.judged(batch, BALANCE_COLUMNS, texts, crossed)
