"""A breach of conduct, found by a rule in a version of a pack, with its evidence."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers
from models.placement import PLACED


class Breach(Base):
    """What both sides may see: the agency's own act and the rule. What other agencies did is in BreachEvidence."""

    __tablename__ = "breach"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        UniqueConstraint("lender_id", "rule_id", "subject_id"),
        Index(None, "agency_id", "state"),
        Index(None, "lender_id", "business_date"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_id: Mapped[UUID]
    case_id: Mapped[UUID]
    borrower_id: Mapped[UUID]
    member_id: Mapped[UUID | None]  # None: what the agency as a whole left undone
    subject_id: Mapped[UUID]  # the contact or release that breached, or the recall whose stop nobody confirmed
    subject_kind: Mapped[str]  # contact, release, recall
    rule_id: Mapped[str]
    pack: Mapped[str]
    pack_version: Mapped[str]
    severity: Mapped[str]
    business_date: Mapped[dt.date]
    occurred_at: Mapped[dt.datetime]
    state: Mapped[str]  # flagged, answered, upheld, dismissed, withdrawn, closed
    flagged_at: Mapped[dt.datetime]


class BreachEvidence(Base):
    """Every event the verdict rests on, of all agencies: for the lender and its auditor only."""

    __tablename__ = "breach_evidence"
    __table_args__ = (refers("lender_id", "breach_id", to="breach"),)
    lender_id: Mapped[Key]
    breach_id: Mapped[Key]
    event_ids: Mapped[list[UUID]]
    window: Mapped[dict[str, Any]]
