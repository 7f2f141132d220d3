"""Standard terms: what holds for every agency of a lender, or of a tier, where its agreement says nothing else.

Among them is money, so a change is a new version and needs a second person. The last one approved holds.
"""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

PROPOSED, ACTIVE, REFUSED = "proposed", "active", "refused"

TRANSITIONS = {
    (PROPOSED, "approve"): ACTIVE,
    (PROPOSED, "refuse"): REFUSED,
}
EVERY_TIER = 0


class StandardTerms(Base):
    __tablename__ = "standard_terms"
    __table_args__ = (
        CheckConstraint("settlement_floor >= 0 and settlement_floor <= 1", name="settlement_floor"),
        Index(None, "lender_id", "tier"),
    )
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    tier: Mapped[int]
    contact_policy: Mapped[dict[str, Any]]  # see models/contact_policy.py
    settlement_floor: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))  # None: not said here
    state: Mapped[str]
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[dt.datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[dt.datetime | None]
