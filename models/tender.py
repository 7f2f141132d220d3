"""A tender (发单): one way of placing cases, from its preview or its opening to its end. The lender's own knowledge.

What each agency is shown of it is its `Offer`. Exact figures stand here; agencies see those of the safe tape.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, refers

ASSIGNED, FIRST_CLAIM, SEALED_BID, ALLOCATION = "assigned", "first_claim", "sealed_bid", "allocation"
KINDS = (ASSIGNED, FIRST_CLAIM, SEALED_BID, ALLOCATION)

# Of an allocation: previewed, and nobody has committed it; drawing and committing: a worker does what comes next.
# Awaiting approval: above the lender's limit.
DRAWING, PREVIEWED, COMMITTING, AWAITING_APPROVAL, OPEN, PLACED, WITHDRAWN, REFUSED, UNANSWERED, UNDONE = (
    "drawing",
    "previewed",
    "committing",
    "awaiting_approval",
    "open",
    "placed",
    "withdrawn",
    "refused",
    "unanswered",
    "undone",
)

TRANSITIONS = {
    (DRAWING, "preview"): PREVIEWED,
    (DRAWING, "fail"): REFUSED,
    (DRAWING, "withdraw"): WITHDRAWN,
    (PREVIEWED, "commit"): PLACED,
    (PREVIEWED, "ask_approval"): AWAITING_APPROVAL,
    (PREVIEWED, "begin"): COMMITTING,
    (PREVIEWED, "withdraw"): WITHDRAWN,
    (COMMITTING, "place"): PLACED,
    (COMMITTING, "ask_approval"): AWAITING_APPROVAL,
    (COMMITTING, "stop"): PREVIEWED,  # the worker was refused
    (COMMITTING, "withdraw"): WITHDRAWN,
    (AWAITING_APPROVAL, "approve"): OPEN,
    (AWAITING_APPROVAL, "commit"): PLACED,  # the approval of an allocation
    (AWAITING_APPROVAL, "begin"): COMMITTING,
    (AWAITING_APPROVAL, "refuse"): REFUSED,
    (AWAITING_APPROVAL, "withdraw"): WITHDRAWN,
    (OPEN, "place"): PLACED,
    (OPEN, "withdraw"): WITHDRAWN,
    (OPEN, "run_out"): UNANSWERED,  # nobody took it: every agency declined, let it lapse or did not win
    (PLACED, "undo"): UNDONE,
}


UNDO_REASONS = ("wrong_cases", "wrong_split", "wrong_terms", "agency_not_ready")


class Tender(Base):
    __tablename__ = "tender"
    __allow_unmapped__ = True
    __table_args__ = (
        refers("lender_id", "portfolio_id", to="portfolio"),
        Index(None, "lender_id", "state"),
        Index(None, "lender_id", "portfolio_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    portfolio_id: Mapped[UUID]
    kind: Mapped[str]
    state: Mapped[str]
    currency: Mapped[str]
    case_count: Mapped[int]
    borrower_count: Mapped[int]
    balance: Mapped[Money]
    scrubbed: Mapped[dict[str, Any]]  # reason → how many cases of the portfolio were left out for it
    rules: Mapped[dict[str, Any]]  # by kind: choices, panel, scoring or plan; see models/services/exchange/tenders.py
    tape: Mapped[dict[str, Any] | None]  # what every agency is shown of it, once any is: see models/tape.py
    tape_of: Mapped[UUID | None]  # the tender whose figures they are; another's, where the two are too alike
    preview: Mapped[dict[str, Any] | None]  # of an allocation: figures and limit checks per agency
    preview_digest: Mapped[bytes | None]  # of which case goes where: the commit equals it or refuses
    preview_seats: Mapped[bytes | None] = mapped_column(deferred=True)  # of each case; see models/allocation.py
    progress: Mapped[int | None]  # of what a worker does with it, in per cent
    refusal: Mapped[dict[str, Any] | None]  # what the worker was refused by last: `code`, and the facts beside it
    commit_until: Mapped[dt.datetime | None]  # of sealed bids
    reveal_until: Mapped[dt.datetime | None]
    created_by: Mapped[UUID | None]  # None: by a job
    created_at: Mapped[dt.datetime]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[dt.datetime | None]
    decided_at: Mapped[dt.datetime | None]
    undo_reason: Mapped[str | None]
    undo_asked_by: Mapped[UUID | None]  # above the lender's limit a second person confirms
    undo_asked_at: Mapped[dt.datetime | None]

    # Of no column: when all that it placed came back. Set on what is read to be shown (`undone.date`).
    undone_at: dt.datetime | None = None


class TapeKey(Base):
    """The lender's secret under which its tapes are blurred. Nobody else's role may read the table."""

    __tablename__ = "tape_key"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    secret: Mapped[bytes]
    created_at: Mapped[dt.datetime]


class TenderedCase(Base):
    """Which cases a tender holds. `open` keeps a case in one live tender at a time."""

    __tablename__ = "tendered_case"
    __table_args__ = (
        refers("lender_id", "tender_id", to="tender"),
        refers("lender_id", "case_id", to="collection_case"),
        Index("uq_tendered_case_open", "lender_id", "case_id", unique=True, postgresql_where="open"),
    )
    lender_id: Mapped[Key]
    tender_id: Mapped[Key]
    case_id: Mapped[Key]
    open: Mapped[bool] = mapped_column(default=True)
    lot: Mapped[int | None] = mapped_column(SmallInteger)  # of sealed bids on lots: in which, from 1
