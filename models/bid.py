"""Sealed bids: first a commitment, then the bid under seal, and in the clear only when the reveal window has closed."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers

COMMITTED, REVEALED, WITHDRAWN, WON, LOST, VOID = "committed", "revealed", "withdrawn", "won", "lost", "void"

TRANSITIONS = {
    (COMMITTED, "reveal"): REVEALED,
    (COMMITTED, "withdraw"): WITHDRAWN,
    (COMMITTED, "void"): VOID,  # never revealed: it counts against the bidder
    (COMMITTED, "call_off"): WITHDRAWN,  # the lender takes back its tender
    (REVEALED, "call_off"): WITHDRAWN,
    (REVEALED, "void"): VOID,  # refused at the award, by the gate or for its price
    (REVEALED, "win"): WON,
    (REVEALED, "lose"): LOST,
}


class Bid(Base):
    """One standing bid for each offer. `sealed` holds terms and nonce until the window closes; then they are
    written beside it. An agency sees its own row, never how many others there are."""

    __tablename__ = "bid"
    __table_args__ = (
        refers("lender_id", "agency_id", "offer_id", to="offer", target=("lender_id", "agency_id", "id")),
        refers("lender_id", "tender_id", to="tender"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        Index("uq_bid_standing", "lender_id", "offer_id", unique=True, postgresql_where="state <> 'withdrawn'"),
        Index(None, "lender_id", "tender_id"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    agency_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    tender_id: Mapped[UUID]
    state: Mapped[str]
    commitment: Mapped[bytes]  # SHA-256
    committed_by: Mapped[UUID]
    committed_at: Mapped[dt.datetime]
    entry_leaf: Mapped[bytes]  # of the commitment's entry in the lender's log: what a receipt names
    sealed: Mapped[bytes | None]
    revealed_at: Mapped[dt.datetime | None]
    kind: Mapped[str | None]
    rate: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    case_fee: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    # Of a bid on lots: what each package came to, as its bidder is told; kind, rate, fee and score are those of the one
    # that won.
    packages: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    nonce: Mapped[bytes | None]
    score: Mapped[Decimal | None] = mapped_column(Numeric(30, 8))
    reason: Mapped[str | None]  # why it lost or is void
    decided_at: Mapped[dt.datetime | None]


class Award(Base):
    """The record from which a tender's award is computed again: rules, commitments, bids, factors, scores, winners."""

    __tablename__ = "award"
    __table_args__ = (refers("lender_id", "tender_id", to="tender"),)
    lender_id: Mapped[Key]
    tender_id: Mapped[Key]
    record: Mapped[dict[str, Any]]
    digest: Mapped[bytes]
    awarded_at: Mapped[dt.datetime]
