"""Ending the offers that nobody answered in time, so that whoever is next is asked."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.exchange import offers


def end_due(database: Database) -> int:
    """About every minute, for every lender; answers how many ended. Each is a transaction of its own."""

    def end_of_lender(lender_id: UUID) -> int:
        actor = nightly.actor_of("offers", lender_id)

        def end_one(offer_id: UUID) -> int:
            with database.work(actor) as work:
                return offers.end_due(work, offer_id)

        with database.work(actor) as work:
            due = offers.list_due(work)
        return nightly.for_each(due, "offer", end_one)

    return nightly.for_each(nightly.list_lenders(database), "offers", end_of_lender)
