"""Rate cards: the money terms of an agreement for a time. A change is a new version, and needs a second person.

A card without an end stands until a later one begins. Two that are in force on one day are refused by the database
(an exclusion constraint, which only the migration can name).
"""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, Rate, refers

PROPOSED, ACTIVE, REFUSED, WITHDRAWN = "proposed", "active", "refused", "withdrawn"

TRANSITIONS = {
    (PROPOSED, "approve"): ACTIVE,
    (PROPOSED, "refuse"): REFUSED,
    (ACTIVE, "withdraw"): WITHDRAWN,  # before its first day
}

INCLUSIVE, EXCLUSIVE = "inclusive", "exclusive"  # of value added tax
TAX_TREATMENTS = (INCLUSIVE, EXCLUSIVE)


class RateCard(Base):
    __tablename__ = "rate_card"
    __table_args__ = (
        refers("lender_id", "agency_id", "agreement_id", to="agreement", target=("lender_id", "agency_id", "id")),
        UniqueConstraint("lender_id", "agreement_id", "version"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        CheckConstraint("valid_to >= valid_from", name="valid"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    agreement_id: Mapped[UUID]
    version: Mapped[int]
    state: Mapped[str]
    valid_from: Mapped[dt.date]
    valid_to: Mapped[dt.date | None]  # the last day; None: until a later card begins
    followed_by: Mapped[UUID | None]  # the card that ended it by beginning: without that one it goes on
    tail_days: Mapped[int]
    agency_may_receive: Mapped[bool]
    # The least share of a balance the agency may settle for by itself, 1: none less; None: as the standard terms say.
    settlement_floor: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    tax_treatment: Mapped[str]
    tax_rate: Mapped[Rate]
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[dt.datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[dt.datetime | None]
    withdrawal_by: Mapped[UUID | None]  # who has asked to withdraw it
    withdrawal_at: Mapped[dt.datetime | None]


class RateCell(Base):
    """One rate of a card and for what it is; None in a dimension: for all of it. See models/rates.py."""

    __tablename__ = "rate_cell"
    __table_args__ = (
        refers("lender_id", "agency_id", "card_id", to="rate_card", target=("lender_id", "agency_id", "id")),
        CheckConstraint("rate >= 0 and rate <= 1", name="rate"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    card_id: Mapped[Key]
    position: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    product: Mapped[str | None]
    bucket: Mapped[str | None]
    placement_seq: Mapped[int | None]
    payment_type: Mapped[str | None]
    amount_from: Mapped[Money]
    amount_below: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    rate: Mapped[Rate]
