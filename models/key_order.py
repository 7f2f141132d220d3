"""Orders: what only a lender's own keys can do, written down for its tool to carry out."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

LEASE, REKEY, REWRAP, ERASE = "lease", "rekey", "rewrap", "erase"
KINDS = (LEASE, REKEY, REWRAP, ERASE)
OPEN, DONE, CANCELLED = "open", "done", "cancelled"


class KeyOrder(Base):
    """One order of a lender in self-custody. `subject_id` is the placement, portfolio, case or borrower it is about."""

    __tablename__ = "key_order"
    __table_args__ = (Index(None, "lender_id", "state"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    kind: Mapped[str]
    subject_kind: Mapped[str]  # placement, portfolio, case, borrower, lender
    subject_id: Mapped[UUID]
    state: Mapped[str]
    created_by: Mapped[UUID | None]
    created_at: Mapped[dt.datetime]
    done_by: Mapped[UUID | None]
    done_at: Mapped[dt.datetime | None]
