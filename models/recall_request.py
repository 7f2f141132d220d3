"""A recall (撤案) on its way: asked, perhaps objected to, executed, its stop confirmed. It waits for no money."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers
from models.placement import PLACED

REQUESTED, EXECUTED, WITHDRAWN = "requested", "executed", "withdrawn"

TRANSITIONS = {
    (REQUESTED, "execute"): EXECUTED,
    (REQUESTED, "withdraw"): WITHDRAWN,
}

# Of one case in it.
ASKED, OBJECTED, KEPT, RECALLED, GONE = "asked", "objected", "kept", "recalled", "gone"
CASE_TRANSITIONS = {
    (ASKED, "object"): OBJECTED,
    (ASKED, "recall"): RECALLED,
    (ASKED, "keep"): KEPT,  # the lender takes the request back
    (ASKED, "leave"): GONE,  # it left the placement by another way meanwhile
    (OBJECTED, "keep"): KEPT,  # the lender agrees with the objection
    (OBJECTED, "recall"): RECALLED,
    (OBJECTED, "leave"): GONE,
}
OBJECTIONS = ("promise", "recent_payment", "negotiation", "wrong_case")


class RecallRequest(Base):
    """One placement's part of a recall; an immediate one is executed as it is made."""

    __tablename__ = "recall_request"
    __table_args__ = (
        refers("lender_id", "agency_id", "placement_id", to="placement", target=("lender_id", "agency_id", "id")),
        UniqueConstraint("lender_id", "agency_id", "id"),
        Index(None, "lender_id", "state"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    reason: Mapped[str]
    state: Mapped[str]
    case_count: Mapped[int]
    requested_by: Mapped[UUID | None]  # None: by a job
    requested_at: Mapped[dt.datetime]
    object_until: Mapped[dt.datetime]
    executed_at: Mapped[dt.datetime | None]
    stop_due_at: Mapped[dt.datetime | None]  # by when the agency confirms that all work has stopped
    stop_confirmed_by: Mapped[UUID | None]
    stop_confirmed_at: Mapped[dt.datetime | None]
    stop_missed_at: Mapped[dt.datetime | None]  # the breach: it was not confirmed in time


class RecallCase(Base):
    __tablename__ = "recall_case"
    __table_args__ = (
        refers("lender_id", "agency_id", "request_id", to="recall_request", target=("lender_id", "agency_id", "id")),
        refers(*PLACED, to="placed_case", target=PLACED),
        Index(None, "lender_id", "case_id"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    request_id: Mapped[Key]
    case_id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    reference: Mapped[str]  # the case's number: an agency that must stop work on it no longer reads the case
    state: Mapped[str]
    objection: Mapped[str | None]
    objected_at: Mapped[dt.datetime | None]
    decided_at: Mapped[dt.datetime | None]
