"""Case tallies: how many cases stand where, and what is owed on them, kept so that no page counts a million."""

from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from models.base import Base, Key, Money, refers

# Whose sums answer: so many cases of a portfolio, in these hands, in this currency, of this status.
PLACE = ("portfolio_id", "agency_id", "currency", "status")


class CaseTally(Base):
    """So many cases more or fewer in one place; what stands there is the sum of its rows.

    Triggers on the case add a row for each place that a statement changes, in its transaction. Nothing is ever
    updated, so that nobody waits for anybody, and every reader sums what its snapshot holds: exact without a lock.
    `models/services/portfolio/tallies.py` folds many rows of one place into one.
    """

    __tablename__ = "case_tally"
    __table_args__ = (
        refers("lender_id", "portfolio_id", to="portfolio"),
        Index(None, "lender_id", "portfolio_id"),
        Index("ix_case_tally_agency", "agency_id", postgresql_where="agency_id is not null"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    portfolio_id: Mapped[UUID]
    agency_id: Mapped[UUID | None]  # as on the case: who works it, and may see the row
    currency: Mapped[str]
    status: Mapped[str]
    case_count: Mapped[int]
    balance: Mapped[Money]
