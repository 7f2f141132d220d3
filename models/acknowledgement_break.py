"""A break before work starts: an agency counted otherwise than was placed with it, or did not answer in time."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, refers

MISMATCH, MISSING = "mismatch", "missing"


class AcknowledgementBreak(Base):
    """Open until the right figures are confirmed or the placement ends; one of a kind stands for a placement.

    A further wrong count replaces the figures of the one before, and the audit log keeps each.
    """

    __tablename__ = "acknowledgement_break"
    __table_args__ = (
        refers("lender_id", "agency_id", "placement_id", to="placement", target=("lender_id", "agency_id", "id")),
        Index(
            "uq_acknowledgement_break_open",
            "lender_id",
            "placement_id",
            "kind",
            unique=True,
            postgresql_where="closed_at is null",
        ),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    kind: Mapped[str]
    case_count: Mapped[int | None]  # None: nothing was counted
    balance: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    case_count_expected: Mapped[int]
    balance_expected: Mapped[Money]
    member_id: Mapped[UUID | None]
    member_name: Mapped[str | None]
    noted_at: Mapped[dt.datetime]
    closed_at: Mapped[dt.datetime | None]
    cause: Mapped[str | None]  # acknowledged, or how the placement ended
