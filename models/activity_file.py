"""What an agency reports as a file: its contacts, and the payments it claims."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from models import columns
from models.columns import Column, first_true
from models.tabular import Batch, Source, read_table

ROWS_MAX: Final = 100_000  # placements are held while a file is applied, and a recall of one waits so long

CHANNELS = ("call", "ai_voice", "sms", "im", "email", "letter", "visit")
DIRECTIONS = ("outbound", "inbound")
PARTIES = ("debtor", "guarantor", "relative", "employer", "third_party", "unknown")
OUTCOMES = (
    "conversation",
    "ring_no_answer",
    "voicemail_left",
    "voicemail_no_message",
    "answered_dropped",
    "busy",
    "not_in_service",
    "sent",
    "delivered",
    "failed",
    "refused",
)
PAID_TO = ("lender", "agency", "platform")
ZONE = "Asia/Shanghai"


def contact_columns(zone: str = ZONE) -> tuple[Column, ...]:
    """The columns of a contact file; a time without an offset is local time of `zone`."""
    return (
        Column("case_number", columns.CASE_NUMBER, required=True),
        Column("channel", columns.choice(*CHANNELS), required=True),
        Column("direction", columns.choice(*DIRECTIONS), required=True),
        Column("party", columns.choice(*PARTIES), required=True),
        Column("outcome", columns.choice(*OUTCOMES), required=True),
        Column("occurred_at", columns.moment(zone), required=True),
        Column("duration_seconds", columns.WHOLE_NUMBER),
        Column("external_ref", columns.REFERENCE),
    )


CLAIM_COLUMNS = (
    Column("case_number", columns.CASE_NUMBER, required=True),
    Column("amount", columns.AMOUNT, required=True),
    Column("currency", columns.CURRENCY, required=True),
    Column("paid_on", columns.DATE, required=True),
    Column("reference", columns.REFERENCE, required=True),
    Column("paid_to", columns.choice(*PAID_TO), required=True),
)


def read_contacts(source: Source, zone: str = ZONE) -> Iterator[Batch]:
    """Rows: row, case_number, channel, direction, party, outcome, occurred_at (UTC), duration_seconds, external_ref.

    Raises Invalid where the file as a whole is refused, as with more than ROWS_MAX rows. Whether a time
    lies ahead is the verb's to judge.
    """
    expected = contact_columns(zone)
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(expected), rows_max=ROWS_MAX):
        texts = columns.tidied(batch.rows, expected)
        repeats = seen.repeats(texts["external_ref"])
        crossed = texts.select(external_ref=first_true(duplicate_reference=pl.lit(repeats)))
        yield columns.judged(batch, expected, texts, crossed)


def read_claims(source: Source) -> Iterator[Batch]:
    """Rows: row, case_number, amount (Decimal(18, 2), above zero), currency, paid_on, reference, paid_to.

    Raises Invalid where the file as a whole is refused, as with more than ROWS_MAX rows.
    """
    seen = columns.Seen()
    for batch in read_table(source, columns.header_of(CLAIM_COLUMNS), rows_max=ROWS_MAX):
        texts = columns.tidied(batch.rows, CLAIM_COLUMNS)
        repeats = seen.repeats(texts["reference"])
        amount = columns.to_money(pl.col("amount"))
        crossed = texts.select(
            amount=first_true(zero_amount=amount == 0),
            reference=first_true(duplicate_reference=pl.lit(repeats)),
        )
        yield columns.judged(batch, CLAIM_COLUMNS, texts, crossed)
