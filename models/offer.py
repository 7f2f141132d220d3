"""An offer: what one agency is shown of a tender, and what it answers. Strata and totals, never a row."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers

OFFERED, ACCEPTED, DECLINED, WITHDRAWN, EXPIRED, TAKEN, WON, LOST, VOID = (
    "offered",
    "accepted",
    "declined",
    "withdrawn",
    "expired",
    "taken",
    "won",
    "lost",
    "void",
)

# Accepted, also: what an allocation places, which nobody is asked about. Taken: another was quicker. Won, lost and
# void are of sealed bids; void is a commitment that was never revealed, or revealed otherwise than committed.
TRANSITIONS = {
    (OFFERED, "accept"): ACCEPTED,
    (OFFERED, "decline"): DECLINED,
    (OFFERED, "withdraw"): WITHDRAWN,
    (OFFERED, "expire"): EXPIRED,
    (OFFERED, "miss"): TAKEN,
    (OFFERED, "win"): WON,
    (OFFERED, "lose"): LOST,
    (OFFERED, "void"): VOID,
}
PLACED = (ACCEPTED, WON)

DECLINE_REASONS = ("capacity", "rate", "portfolio_mix", "territory", "other")


class Offer(Base):
    """Its figures are those of the safe tape (models/tape.py): blurred, and none where too few borrowers are in it.

    What was placed in the end, exactly, is in the placement.
    """

    __tablename__ = "offer"
    __allow_unmapped__ = True
    __table_args__ = (
        UniqueConstraint("lender_id", "agency_id", "id"),
        UniqueConstraint("lender_id", "tender_id", "agreement_id"),
        refers("lender_id", "agency_id", "agreement_id", to="agreement", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "tender_id", to="tender"),
        refers("lender_id", "portfolio_id", to="portfolio"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    agreement_id: Mapped[UUID]
    tender_id: Mapped[UUID]
    portfolio_id: Mapped[UUID]
    kind: Mapped[str]  # of the tender
    state: Mapped[str]
    currency: Mapped[str]
    case_count: Mapped[int | None]
    borrower_count: Mapped[int | None]
    balance: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    strata: Mapped[dict[str, Any]]  # as models.strata.Strata
    terms: Mapped[dict[str, Any]]  # of sealed bids: the published scoring and the windows; else empty
    decline_reason: Mapped[str | None]
    outcome_reason: Mapped[str | None]  # why it was not won
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    decided_at: Mapped[dt.datetime | None]

    # Of no column: why its agency may not see it now. Set on the copy that it is shown instead (`answering.seen`).
    withheld: Sequence[str] = ()
