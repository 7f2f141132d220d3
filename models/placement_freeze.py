"""A freeze: the lender stops an agency's work under a placement at once, for a reason, until it is lifted."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers

FREEZE_REASONS = ("data_incident", "conduct", "complaint", "regulator", "licence")


class PlacementFreeze(Base):
    """Kept when it is lifted. `placement.frozen_at` is set as long as one stands; no more than one does."""

    __tablename__ = "placement_freeze"
    __table_args__ = (
        refers("lender_id", "agency_id", "placement_id", to="placement", target=("lender_id", "agency_id", "id")),
        Index(
            "uq_placement_freeze_standing",
            "lender_id",
            "placement_id",
            unique=True,
            postgresql_where="lifted_at is null",
        ),
        Index(None, "lender_id", "placement_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    placement_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    reason: Mapped[str]
    whole_agency: Mapped[bool]  # made, and lifted, with all others of the agency
    frozen_by: Mapped[UUID]
    frozen_at: Mapped[dt.datetime]
    lifted_by: Mapped[UUID | None]
    lifted_at: Mapped[dt.datetime | None]
