"""The contact log (催记): append-only, every entry made by the agency that made the contact."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers
from models.placement import PLACED


class Contact(Base):
    """A correction is a new row that names the one it corrects; the last one counts."""

    __tablename__ = "contact"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        refers("lender_id", "borrower_id", to="borrower"),
        UniqueConstraint("lender_id", "agency_id", "external_ref"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        Index(None, "lender_id", "occurred_at"),
        Index(None, "lender_id", "borrower_id", "occurred_at"),
        Index(None, "lender_id", "case_id", "occurred_at"),
        Index(None, "agency_id", "case_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    borrower_id: Mapped[UUID]
    member_id: Mapped[UUID]
    member_name: Mapped[str]
    channel: Mapped[str]
    direction: Mapped[str]
    party: Mapped[str]
    outcome: Mapped[str]
    occurred_at: Mapped[dt.datetime]
    duration_seconds: Mapped[int | None]
    external_ref: Mapped[str | None]  # the agency's own number of the event: reporting it twice changes nothing
    note: Mapped[bytes | None]  # sealed in class `notes`
    corrects_id: Mapped[UUID | None]
    source: Mapped[str]  # page, api, file
    recorded_at: Mapped[dt.datetime]
