"""A placement: the right of one agency to work the cases of an accepted offer, on terms frozen at its start."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Index, SmallInteger, UniqueConstraint, exists, func, or_
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, Rate, refers

PLACED = ("lender_id", "agency_id", "placement_id", "case_id")  # the key by which facts name a placed case

# Awaiting keys: the lender holds its own, and its tool has not made the agency's leases yet.
AWAITING_KEYS, AWAITING_ACK, ACTIVE, RECALLED, RETURNED, EXPIRED, UNDONE = (
    "awaiting_keys",
    "awaiting_acknowledgement",
    "active",
    "recalled",
    "returned",
    "expired",
    "undone",  # with the distribution that made it; also why its cases came back
)

# No end of its own where nothing is owed any more: those cases are closed to work, what was paid may still be claimed,
# and a cured one that falls overdue again within the term is the same agency's.
TRANSITIONS = {
    (AWAITING_KEYS, "lease"): AWAITING_ACK,
    (AWAITING_KEYS, "recall"): RECALLED,
    (AWAITING_KEYS, "expire"): EXPIRED,
    (AWAITING_ACK, "acknowledge"): ACTIVE,
    (AWAITING_ACK, "recall"): RECALLED,
    (ACTIVE, "recall"): RECALLED,
    (AWAITING_ACK, "expire"): EXPIRED,
    (ACTIVE, "expire"): EXPIRED,
    (AWAITING_KEYS, "undo"): UNDONE,
    (AWAITING_ACK, "undo"): UNDONE,
    (ACTIVE, "undo"): UNDONE,
    (AWAITING_ACK, "give_back"): RETURNED,
    (ACTIVE, "give_back"): RETURNED,
}
LIVE = (AWAITING_KEYS, AWAITING_ACK, ACTIVE)

# Why a lender recalls (撤案), and the kind of reason that is. What follows: models/services/exchange/treatments.py.
RECALL_CATEGORIES: Final[Mapping[str, str]] = {
    "lender_request": "operational",
    "complaint": "borrower",
    "dispute": "borrower",
    "hardship": "borrower",
    "legal_action": "compliance",
    "debt_sold": "operational",
    "conduct": "compliance",
    "placed_in_error": "operational",
}
RECALL_REASONS = tuple(RECALL_CATEGORIES)
TERM_OVER = "term_over"  # why cases came back whose time is over

# Return (退案): why an agency gives a case back. What follows: models/services/exchange/treatments.py.
RETURN_CODES = (
    "deceased",
    "bankrupt",
    "protected",
    "hardship",
    "complaint",
    "dispute",
    "lost_contact",
    "contact_exhausted",
    "refuses_to_pay",
    "outside_territory",
    "capacity",
    "paid_already",
)


def reason_of_return(code: str) -> str:
    """How the end of a case by a return is named; recalls have reasons of the same words."""
    return f"returned_{code}"


class Placement(Base):
    __tablename__ = "placement"
    __table_args__ = (
        UniqueConstraint("lender_id", "agency_id", "id"),
        UniqueConstraint("lender_id", "offer_id"),
        refers("lender_id", "agency_id", "offer_id", to="offer", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "agency_id", "agreement_id", to="agreement", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "portfolio_id", to="portfolio"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    agreement_id: Mapped[UUID]
    portfolio_id: Mapped[UUID]
    lender_name: Mapped[str]
    agency_name: Mapped[str]
    state: Mapped[str]
    # The frozen terms: later edits of the agreement never change them.
    agreement_number: Mapped[str]
    tier: Mapped[int]
    rate_card_version: Mapped[int | None]  # None: the rates were bid
    lowest_rate: Mapped[Rate]  # of its cases; each has its own
    highest_rate: Mapped[Rate]
    case_fee: Mapped[Money]  # for each case, beside the rate: of a hybrid bid
    settlement_floor: Mapped[Rate]
    tax_treatment: Mapped[str]
    tax_rate: Mapped[Rate]
    contact_policy: Mapped[dict[str, Any]]
    # Which level said the least settlement and each term of the contact policy; None: placed before this was kept.
    term_levels: Mapped[dict[str, Any] | None]
    tail_days: Mapped[int]
    agency_may_receive: Mapped[bool]
    currency: Mapped[str]
    case_count: Mapped[int]
    held_count: Mapped[int]  # of its cases, those that have not ended: an agency holds too many to count them each time
    referred_amount: Mapped[Money]
    started_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    acknowledged_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    end_reason: Mapped[str | None]
    frozen_at: Mapped[dt.datetime | None]  # while set nothing is opened, reported or exported under it
    extended_until: Mapped[dt.datetime | None]  # the term is over, and the cases retained go on: the last of their ends


class PlacedCase(Base):
    """One case in one placement. The partial unique index is why no case is ever placed twice at once."""

    __tablename__ = "placed_case"
    __table_args__ = (
        refers("lender_id", "agency_id", "placement_id", to="placement", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "case_id", to="collection_case"),
        Index("uq_placed_case_live", "lender_id", "case_id", unique=True, postgresql_where="ended_at is null"),
        Index(None, "lender_id", "case_id"),
        Index("ix_placed_case_agency_live", "agency_id", "case_id", postgresql_where="ended_at is null"),
        UniqueConstraint(*PLACED),
    )
    lender_id: Mapped[Key]
    placement_id: Mapped[Key]
    case_id: Mapped[Key]
    agency_id: Mapped[UUID]
    placement_seq: Mapped[int]  # 手数: 1 for the case's first placement
    referred_amount: Mapped[Money]
    contingency_rate: Mapped[Rate]  # frozen: what the rate card said, or the bid
    started_at: Mapped[dt.datetime]
    # Which rule of the allocation gave it, from 1; 0: it followed its borrower's other cases. Null: it was placed
    # otherwise, or before this was kept. No agency is told.
    rule: Mapped[int | None] = mapped_column(SmallInteger)
    retained_until: Mapped[dt.datetime | None]  # 留案: beyond the placement's end
    ended_at: Mapped[dt.datetime | None]
    end_reason: Mapped[str | None]
    end_balance: Mapped[Money | None]  # what was owed then


def ends_at(placement: Placement, placed: PlacedCase) -> dt.datetime:
    """When a placed case ends by itself: with the placement's term, or if it is retained on its own day."""
    return placed.retained_until or placement.expires_at


def case_ends_at() -> ColumnElement[dt.datetime]:
    """The same in a query that has both tables."""
    return func.coalesce(PlacedCase.retained_until, Placement.expires_at)


def runs(at: dt.datetime) -> ColumnElement[bool]:
    """Of a `Placement`, in whole or in cases that are retained: not over at this time."""
    retained = exists().where(
        PlacedCase.lender_id == Placement.lender_id,
        PlacedCase.placement_id == Placement.id,
        PlacedCase.ended_at.is_(None),
        PlacedCase.retained_until > at,
    )
    return or_(Placement.expires_at > at, retained.correlate(Placement))


class Assignment(Base):
    """Which collector works a placed case: the agency's own knowledge, in the only placement table it writes."""

    __tablename__ = "assignment"
    __table_args__ = (
        refers(*PLACED, to="placed_case", target=PLACED),
        ForeignKeyConstraint(["agency_id", "collector_id"], ["member.org_id", "member.id"]),
        Index(None, "agency_id", "collector_id"),
    )
    lender_id: Mapped[Key]
    placement_id: Mapped[Key]
    case_id: Mapped[Key]
    agency_id: Mapped[UUID]
    collector_id: Mapped[UUID]
    assigned_at: Mapped[dt.datetime]
