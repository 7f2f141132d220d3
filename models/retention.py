"""Retention (留案): an agency asks to keep a case beyond the term, in a window before its end. Silence is a no."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers
from models.placement import PLACED

REQUESTED, APPROVED, REFUSED, LAPSED = "requested", "approved", "refused", "lapsed"

TRANSITIONS = {
    (REQUESTED, "approve"): APPROVED,
    (REQUESTED, "refuse"): REFUSED,
    (REQUESTED, "lapse"): LAPSED,
}
# A plan to pay, or a payment: nothing else keeps a case. Rows of before may say `negotiation`.
PROMISE, RECENT_PAYMENT = "promise", "recent_payment"
GROUNDS = (PROMISE, RECENT_PAYMENT)


class Retention(Base):
    __tablename__ = "retention"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        Index(
            "uq_retention_standing",
            "lender_id",
            "placement_id",
            "case_id",
            unique=True,
            postgresql_where="state in ('requested', 'approved')",
        ),
        Index(None, "lender_id", "state"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    ground: Mapped[str]
    days: Mapped[int]
    state: Mapped[str]
    requested_by: Mapped[UUID | None]  # None: kept by the lender's rule for cases that pay
    requested_at: Mapped[dt.datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[dt.datetime | None]
