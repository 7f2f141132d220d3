"""Sealed bids: whoever has committed is told when to reveal, and bids are opened once their windows have closed."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.exchange import awards, bids
from models.work import Work


def make_due(database: Database) -> int:
    """About every minute, for every lender; answers how many were made."""

    def list_due(work: Work) -> list[UUID]:
        bids.remind(work)
        return awards.list_due(work)

    def make(work: Work, tender_id: UUID) -> int:
        awards.award(work, tender_id)
        return 1

    return nightly.each_due(database, "awards", list_due, make)
