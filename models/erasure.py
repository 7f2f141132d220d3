"""Erasure: what was made unreadable for good, who asked and who signed; and what may not be erased yet."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

CASE, PORTFOLIO, BORROWER = "case", "portfolio", "borrower"
SUBJECTS = (CASE, PORTFOLIO, BORROWER)
HOLD_REASONS = ("litigation", "complaint", "regulator", "audit")
RECORD_FORMAT = "consign-erasure/1"


class Erasure(Base):
    """One erasure. `record` is its exact statement as canonical JSON, `signature` the lender's over it."""

    __tablename__ = "erasure"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    case_count: Mapped[int]
    record: Mapped[str] = mapped_column(deferred=True)  # names every case: of a whole portfolio it is long
    signature: Mapped[bytes]
    erased_by: Mapped[UUID]
    erased_at: Mapped[dt.datetime]
    published_at: Mapped[dt.datetime | None]  # since when the object store has it too


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


class Ground(NamedTuple):
    """How one case stands; `last_act_at` is its last contact, payment or end of placement, if it had any."""

    placed: bool
    offered: bool
    held: bool
    last_act_at: dt.datetime | None


def obstacle(ground: Ground, retention: dt.timedelta, at: dt.datetime) -> str | None:
    """Why this case may not be erased now, the first reason there is; None where it may."""
    if ground.placed:
        return "case_placed"
    if ground.offered:
        return "already_offered"
    if ground.held:
        return "legal_hold"
    if ground.last_act_at and at < ground.last_act_at + retention:
        return "retention_until"
    return None
