"""What reconciliation found: claims matched to ledger payments, and the breaks between the two."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers
from models.placement import PLACED


class Match(Base):
    """One claim with one payment it was found to be, and the rule that said so."""

    __tablename__ = "payment_match"
    __table_args__ = (
        refers("lender_id", "agency_id", "claim_id", to="payment_claim", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "payment_id", to="ledger_payment"),
        UniqueConstraint("lender_id", "claim_id", "payment_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(index=True)
    case_id: Mapped[UUID]
    claim_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    rule: Mapped[str]
    amount_difference: Mapped[Decimal] = mapped_column(Numeric(18, 2))
    days_difference: Mapped[int]
    matched_at: Mapped[dt.datetime]


class Break(Base):
    """A difference between what the agency said and what the ledger says; it closes only with a cause."""

    __tablename__ = "break_item"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        UniqueConstraint("lender_id", "kind", "claim_id", "payment_id", postgresql_nulls_not_distinct=True),
        Index(None, "agency_id", "state"),
        Index(None, "lender_id", "state"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    kind: Mapped[str]  # missing_here, missing_there, amount, date, duplicate, currency
    claim_id: Mapped[UUID | None]
    payment_id: Mapped[UUID | None]
    amount_claimed: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    amount_booked: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    currency: Mapped[str]
    owner: Mapped[str]  # lender or agency: whose turn it is
    state: Mapped[str]  # open, closed
    cause: Mapped[str | None]
    opened_at: Mapped[dt.datetime]
    closed_at: Mapped[dt.datetime | None]
