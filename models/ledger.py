"""The lender's ledger, which is the truth: feeds, payments and the daily balances."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, refers


class Feed(Base):
    """One file of the ledger, keyed (lender, kind, business date, sequence); an empty day is a valid day."""

    __tablename__ = "ledger_feed"
    __table_args__ = (UniqueConstraint("lender_id", "kind", "business_date", "sequence"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    kind: Mapped[str]  # payments, balances
    business_date: Mapped[dt.date]
    sequence: Mapped[int]
    digest: Mapped[bytes]
    row_count: Mapped[int]
    refused_count: Mapped[int]
    suspense_count: Mapped[int]
    received_by: Mapped[UUID]
    received_at: Mapped[dt.datetime]


class FeedError(Base):
    __tablename__ = "ledger_feed_error"
    __table_args__ = (refers("lender_id", "feed_id", to="ledger_feed"),)
    lender_id: Mapped[Key]
    feed_id: Mapped[Key]
    row: Mapped[int] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)


class LedgerPayment(Base):
    """A payment as the lender booked it. Without a case it waits in suspense and is never guessed.

    A reference in suspense that might be personal is sealed under the lender's ledger key.
    """

    __tablename__ = "ledger_payment"
    __table_args__ = (
        refers("lender_id", "feed_id", to="ledger_feed"),
        refers("lender_id", "case_id", to="collection_case"),
        UniqueConstraint("lender_id", "reference"),
        Index(None, "lender_id", "case_id"),
        Index(None, "lender_id", "posted_on"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    feed_id: Mapped[UUID]
    case_id: Mapped[UUID | None]
    suspense_reference: Mapped[str | None]
    suspense_sealed: Mapped[bytes | None]
    amount: Mapped[Money]  # negative for a reversal
    currency: Mapped[str]
    effective_on: Mapped[dt.date]  # value date
    posted_on: Mapped[dt.date]
    reference: Mapped[str]
    paid_to: Mapped[str]
    reversal_of: Mapped[str | None]  # the reference of the payment it takes back
    received_at: Mapped[dt.datetime]


class CaseBalance(Base):
    """The balance and status of a case at the end of a business day, as the lender reported it."""

    __tablename__ = "case_balance"
    __table_args__ = (
        refers("lender_id", "case_id", to="collection_case"),
        refers("lender_id", "feed_id", to="ledger_feed"),
    )
    lender_id: Mapped[Key]
    case_id: Mapped[Key]
    feed_id: Mapped[Key]
    balance_on: Mapped[dt.date]
    balance: Mapped[Money]
    currency: Mapped[str]
    status: Mapped[str]
