"""Erasure: what was made unreadable for good, who asked and who signed; and what may not be erased yet."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

CASE, PORTFOLIO, BORROWER = "case", "portfolio", "borrower"
SUBJECTS = (CASE, PORTFOLIO, BORROWER)


class Erasure(Base):
    """One erasure. `record` is its exact statement as canonical JSON, `signature` the lender's over it."""

    __tablename__ = "erasure"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    case_count: Mapped[int]
    record: Mapped[str]
    signature: Mapped[bytes]
    erased_by: Mapped[UUID]
    erased_at: Mapped[dt.datetime]


class LegalHold(Base):
    """Nothing of its subject is erased until the hold is lifted."""

    __tablename__ = "legal_hold"
    __table_args__ = (Index(None, "lender_id", "subject_id"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    reason: Mapped[str]
    placed_by: Mapped[UUID]
    placed_at: Mapped[dt.datetime]
    lifted_by: Mapped[UUID | None]
    lifted_at: Mapped[dt.datetime | None]
