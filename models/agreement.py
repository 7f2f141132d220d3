"""The contract between a lender and an agency, under which cases are placed. Its money terms are its rate cards."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money

PROPOSED, ACTIVE, REFUSED, ENDED = "proposed", "active", "refused", "ended"

TRANSITIONS = {
    (PROPOSED, "approve"): ACTIVE,
    (PROPOSED, "refuse"): REFUSED,
    (ACTIVE, "change"): ACTIVE,
    (ACTIVE, "end"): ENDED,
}


class Agreement(Base):
    """Names both parties, because neither may look the other up anywhere else.

    It stands once a second person of the lender has approved it together with its first rate card.
    """

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("lender_id", "number"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        CheckConstraint("ends_on >= starts_on", name="term"),
        CheckConstraint("balance_from >= 0 and balance_below > coalesce(balance_from, 0)", name="balance"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    lender_name: Mapped[str]
    agency_name: Mapped[str]
    number: Mapped[str]
    currency: Mapped[str]
    tier: Mapped[int]  # 手别: cases that come back from tier 1 go on to tier 2
    term_days: Mapped[int]
    processing_agreement: Mapped[str]  # PIPL 21: the entrusted-processing agreement's number
    impact_assessment: Mapped[str]  # PIPL 55: the impact assessment's number
    # What may be placed under it; an empty list, or no amount, leaves its dimension open.
    provinces: Mapped[list[str]]  # GB/T 2260: the first two digits and 0000
    products: Mapped[list[str]]
    buckets: Mapped[list[str]]
    balance_from: Mapped[Money | None]  # of each case, in the agreement's currency
    balance_below: Mapped[Money | None]
    # How much: cases the agency may hold of this lender at once, and what it declared to be able to work.
    open_cases_max: Mapped[int | None]
    collectors: Mapped[int | None]
    cases_per_collector: Mapped[int | None]
    contact_policy: Mapped[dict[str, Any]]  # what the lender asks beyond the law: see models/contact_policy.py
    starts_on: Mapped[dt.date]
    ends_on: Mapped[dt.date]
    state: Mapped[str]
    created_by: Mapped[UUID | None]  # None: made before this was kept
    created_at: Mapped[dt.datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[dt.datetime | None]

    def bounds(self, balance: Any) -> list[Any]:
        """What a case must owe, as conditions on a column of SQL or of a frame: none where nothing was agreed."""
        return [
            *([] if self.balance_from is None else [balance >= self.balance_from]),
            *([] if self.balance_below is None else [balance < self.balance_below]),
        ]
