"""How an agency stands with a lender: what the gate asks beside the papers. The lender's own knowledge."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key
from models.placement_freeze import FREEZE_REASONS

GOOD, WATCH, SUSPENDED, FROZEN, REMOVED = "good", "watch", "suspended", "frozen", "removed"

# Suspended: nothing new is placed. Frozen: and all that is placed stands still. Removed: for good.
TRANSITIONS = {
    (GOOD, "watch"): WATCH,
    (GOOD, "suspend"): SUSPENDED,
    (GOOD, "freeze"): FROZEN,
    (WATCH, "clear"): GOOD,
    (WATCH, "suspend"): SUSPENDED,
    (WATCH, "freeze"): FROZEN,
    (SUSPENDED, "clear"): GOOD,
    (SUSPENDED, "watch"): WATCH,
    (SUSPENDED, "freeze"): FROZEN,
    (SUSPENDED, "remove"): REMOVED,
    (FROZEN, "clear"): GOOD,
    (FROZEN, "watch"): WATCH,
    (FROZEN, "suspend"): SUSPENDED,
    (FROZEN, "remove"): REMOVED,
}
RECEIVING = (GOOD, WATCH)
COMPLAINTS = "complaints"  # beside the acts above: the count of upheld complaints was set anew
# A reason goes with every act that takes something from the agency.
STANDING_REASONS = (*FREEZE_REASONS, "performance", "documents", "insolvency", "lender_request")


class AgencyStanding(Base):
    """Without a row an agency stands well, with no upheld complaint."""

    __tablename__ = "agency_standing"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    state: Mapped[str]
    reason: Mapped[str | None]
    upheld_complaints: Mapped[int]  # of the last twelve months, as the lender counts them
    changed_by: Mapped[UUID]
    changed_at: Mapped[dt.datetime]


class StandingChange(Base):
    """How it came to stand so: one row for each act, for good."""

    __tablename__ = "standing_change"
    __table_args__ = (Index(None, "lender_id", "agency_id", "id"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    act: Mapped[str]
    state: Mapped[str]  # afterwards
    reason: Mapped[str | None]
    upheld_complaints: Mapped[int]  # afterwards
    placement_count: Mapped[int]  # that stand still by the act, or go on by it
    changed_by: Mapped[UUID]
    changed_at: Mapped[dt.datetime]
