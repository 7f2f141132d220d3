"""A release: one field class of one case, opened by one person for one reason, logged before it left."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers

REASONS = (
    "contact_borrower",
    "verify_identity",
    "locate_borrower",
    "verify_payment",
    "answer_complaint",
    "audit_sample",
)


class ReleaseRecord(Base):
    """What was opened and why; the value itself is nowhere."""

    __tablename__ = "release"
    __table_args__ = (
        refers("lender_id", "case_id", to="collection_case"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        Index(None, "lender_id", "released_at"),
        Index(None, "lender_id", "case_id"),
        Index(None, "lender_id", "placement_id", "released_at"),
        Index(None, "agency_id", "member_id", "released_at"),
        Index(None, "entry_leaf"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    org_id: Mapped[UUID]  # whose member opened it: the agency, the lender or its auditor
    agency_id: Mapped[UUID | None]
    placement_id: Mapped[UUID | None]
    case_id: Mapped[UUID]
    borrower_id: Mapped[UUID]
    member_id: Mapped[UUID]
    member_name: Mapped[str]
    field_class: Mapped[str]
    reason: Mapped[str]
    cell_version: Mapped[int]
    cell_digest: Mapped[bytes]
    entry_leaf: Mapped[bytes]  # the leaf hash of its audit entry: the receipt's subject
    released_at: Mapped[dt.datetime]
