"""What an agency says was paid. It is a claim until the lender's ledger says so too."""

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, Money, refers
from models.placement import PLACED


class Claim(Base):
    __tablename__ = "payment_claim"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        # In this order, because an index that begins like the next is taken for as good while the table is new.
        UniqueConstraint("lender_id", "reference", "agency_id"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "lender_id", "case_id"),
        Index(None, "agency_id", "case_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    member_id: Mapped[UUID]
    amount: Mapped[Money]
    currency: Mapped[str]
    paid_on: Mapped[dt.date]
    reference: Mapped[str]
    paid_to: Mapped[str]  # lender, agency, platform
    source: Mapped[str]
    recorded_at: Mapped[dt.datetime]
