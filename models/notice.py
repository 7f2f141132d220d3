"""Notices: what one side of a relation should know, as a code and ids. Webhooks carry the same."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

LENDER, AGENCY = "lender", "agency"  # who is told
BOTH = frozenset({LENDER, AGENCY})
TO_LENDER, TO_AGENCY = frozenset({LENDER}), frozenset({AGENCY})

# Everything that anybody is told, `noun.verb`, and which side is. What each says is in portal/notices.py.
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "agency.cleared": BOTH,
    "agency.frozen": BOTH,
    "agency.removed": BOTH,
    "agency.suspended": BOTH,
    "agency.watched": TO_LENDER,
    "agreement.approved": TO_AGENCY,
    "agreement.changed": TO_AGENCY,
    "agreement.ended": TO_AGENCY,
    "agreement.expiring": BOTH,
    "allocation.placed": TO_LENDER,
    "allocation.refused": TO_LENDER,
    "bid.lost": TO_AGENCY,
    "bid.reveal_due": TO_AGENCY,
    "bid.void": TO_AGENCY,
    "bid.withdrawn": TO_AGENCY,
    "bid.won": TO_AGENCY,
    "case.returned": TO_LENDER,
    "document.accepted": BOTH,
    "document.attested": BOTH,
    "document.expired": BOTH,
    "document.expiring": BOTH,
    "document.recorded": TO_AGENCY,
    "document.withdrawn": BOTH,
    "offer.accepted": TO_LENDER,
    "offer.declined": TO_LENDER,
    "offer.expired": BOTH,
    "offer.made": TO_AGENCY,
    "offer.taken": TO_AGENCY,
    "offer.withdrawn": TO_AGENCY,
    "placement.acknowledged": TO_LENDER,
    "placement.allocated": TO_AGENCY,
    "placement.expired": BOTH,
    "placement.frozen": TO_AGENCY,
    "placement.mismatch": TO_LENDER,
    "placement.recalled": TO_AGENCY,
    "placement.unacknowledged": BOTH,
    "placement.undone": TO_AGENCY,
    "placement.unfrozen": TO_AGENCY,
    "rate_card.approved": TO_AGENCY,
    "rate_card.withdrawn": TO_AGENCY,
    "recall.kept": TO_AGENCY,
    "recall.objected": TO_LENDER,
    "recall.requested": TO_AGENCY,
    "recall.stop_confirmed": TO_LENDER,
    "recall.stop_missed": BOTH,
    "recall.withdrawn": TO_AGENCY,
    "retention.approved": TO_AGENCY,
    "retention.refused": TO_AGENCY,
    "retention.requested": TO_LENDER,
    "rotation.left_free": TO_LENDER,
    "tender.awarded": TO_LENDER,
    "tender.lots_left": TO_LENDER,
    "tender.unanswered": TO_LENDER,
    "webhook.paused": BOTH,
}


class Notice(Base):
    """`key` names the occasion: the same thing is told once. `facts` are counts, dates and codes, never a value.

    What an organisation is told of itself has its own id on both sides.
    """

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("lender_id", "agency_id", "told", "key"),
        Index("ix_notice_lender", "lender_id", "told", "id"),
        Index("ix_notice_agency", "agency_id", "told", "id"),
        # What is counted on every page, and what webhooks have not been made of yet: few rows of many.
        Index("ix_notice_lender_unread", "lender_id", "told", "id", postgresql_where="read_at is null"),
        Index("ix_notice_agency_unread", "agency_id", "told", "id", postgresql_where="read_at is null"),
        Index("ix_notice_lender_new", "lender_id", "told", "id", postgresql_where="passed_on_at is null"),
        Index("ix_notice_agency_new", "agency_id", "told", "id", postgresql_where="passed_on_at is null"),
    )
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    told: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    facts: Mapped[dict[str, Any]]
    told_at: Mapped[dt.datetime]
    read_by: Mapped[UUID | None]
    read_at: Mapped[dt.datetime | None]
    passed_on_at: Mapped[dt.datetime | None]  # when the webhooks of who is told had their deliveries of it
