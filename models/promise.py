"""A promise to pay (PTP). Whether it was kept is derived from the lender's ledger, never typed."""

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped

from models.base import Base, Key, Money, refers
from models.placement import PLACED


class Promise(Base):
    __tablename__ = "promise"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
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
    due_on: Mapped[dt.date]
    recorded_at: Mapped[dt.datetime]
