"""A work item: what the worklist is ordered by, one row per placed case, kept while the case may be worked.

The row is the agency's. Triggers on contact and promise keep it up to date in the transaction that
reports them, so that the list is one walk along an index however many cases an agency holds.
"""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers
from models.placement import PLACED

# Lower comes first. 0 and 1 follow from the date of a promise and today, so they are never stored.
PROMISE_OVERDUE, PROMISE_DUE, NEW_HIGH, NEW, WORKED_HIGH, WORKED = range(6)

REASONS: dict[int, tuple[str, ...]] = {
    PROMISE_OVERDUE: ("promise_overdue",),
    PROMISE_DUE: ("promise_due_today",),
    NEW_HIGH: ("never_contacted", "balance_high"),
    NEW: ("never_contacted",),
    WORKED_HIGH: ("balance_high",),
    WORKED: (),
}

HIGH_SHARE = 5  # a balance is high in the highest fifth of its placement


class WorkItem(Base):
    """`promise_due_on`: of the latest promise; forgotten once a contact on a later day has followed it up."""

    __tablename__ = "work_item"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        Index("ix_work_item_order", "agency_id", "priority", "case_id"),
        Index("ix_work_item_promise", "agency_id", "promise_due_on", postgresql_where="promise_due_on is not null"),
    )
    lender_id: Mapped[Key]
    placement_id: Mapped[Key]
    case_id: Mapped[Key]
    agency_id: Mapped[UUID]
    priority: Mapped[int] = mapped_column(SmallInteger)
    last_contact_at: Mapped[dt.datetime | None]
    last_outcome: Mapped[str | None]
    promise_due_on: Mapped[dt.date | None]
