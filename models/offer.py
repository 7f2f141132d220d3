"""An offer of cases to an agency: it shows strata and totals, never a row, until it is accepted."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, refers

OFFERED, ACCEPTED, DECLINED, WITHDRAWN, EXPIRED = "offered", "accepted", "declined", "withdrawn", "expired"

TRANSITIONS = {
    (OFFERED, "accept"): ACCEPTED,
    (OFFERED, "decline"): DECLINED,
    (OFFERED, "withdraw"): WITHDRAWN,
    (OFFERED, "expire"): EXPIRED,
}

DECLINE_REASONS = ("capacity", "rate", "portfolio_mix", "territory", "other")


class Offer(Base):
    __tablename__ = "offer"
    __table_args__ = (
        UniqueConstraint("lender_id", "agency_id", "id"),
        refers("lender_id", "agency_id", "agreement_id", to="agreement", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "portfolio_id", to="portfolio"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    agreement_id: Mapped[UUID]
    portfolio_id: Mapped[UUID]
    kind: Mapped[str]  # assigned
    state: Mapped[str]
    currency: Mapped[str]
    case_count: Mapped[int]
    borrower_count: Mapped[int]
    balance: Mapped[Money]
    strata: Mapped[dict[str, Any]]  # what the agency may see: see models/strata.py
    decline_reason: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    decided_at: Mapped[dt.datetime | None]


class OfferedCase(Base):
    """Which cases an offer holds: the lender's own knowledge. `open` keeps a case in one live offer at a time."""

    __tablename__ = "offered_case"
    __table_args__ = (
        refers("lender_id", "offer_id", to="offer"),
        refers("lender_id", "case_id", to="collection_case"),
        Index("uq_offered_case_open", "lender_id", "case_id", unique=True, postgresql_where="open"),
    )
    lender_id: Mapped[Key]
    offer_id: Mapped[Key]
    case_id: Mapped[Key]
    open: Mapped[bool] = mapped_column(default=True)
