"""A booked line of commission: append-only, each with the derivation that anyone can replay."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, Money, Rate, refers
from models.placement import PLACED


class CommissionLine(Base):
    """What is owed for a cause is the sum of its lines; an adjustment names the line it corrects."""

    __tablename__ = "commission_line"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        refers("lender_id", "agency_id", "agreement_id", to="agreement", target=("lender_id", "agency_id", "id")),
        UniqueConstraint("lender_id", "agreement_id", "component", "cause_id", "case_id", "sequence"),
        Index(None, "agency_id", "period"),
        Index(None, "lender_id", "period"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    agreement_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    component: Mapped[str]  # contingency, clawback, case_fee
    cause_id: Mapped[UUID]  # the ledger payment; of a fee the placement, which earns one for each case
    sequence: Mapped[int]
    adjusts_id: Mapped[UUID | None]
    period: Mapped[str]  # YYYY-MM, the open period it is booked in
    base_amount: Mapped[Money]
    rate: Mapped[Rate]  # 0 of a fee
    amount: Mapped[Money]
    currency: Mapped[str]
    effective_on: Mapped[dt.date]
    posted_on: Mapped[dt.date]
    derivation: Mapped[dict[str, Any]]
    booked_at: Mapped[dt.datetime]
