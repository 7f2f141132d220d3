"""Sealed bids: whoever has committed is told when to reveal, and bids are opened once their windows have closed."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.exchange import awards, bids


def make_due(database: Database) -> int:
    """About every minute, for every lender; answers how many were made. Each is a transaction of its own."""

    def make_of_lender(lender_id: UUID) -> int:
        actor = nightly.actor_of("awards", lender_id)

        def make_one(tender_id: UUID) -> int:
            with database.work(actor) as work:
                awards.award(work, tender_id)
            return 1

        with database.work(actor) as work:
            bids.remind(work)
            due = awards.list_due(work)
        return nightly.for_each(due, "award", make_one)

    return nightly.for_each(nightly.list_lenders(database), "awards", make_of_lender)
