"""What becomes due between the nights: recalls that nobody objects to, stops nobody confirmed, counts nobody gave."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services import acknowledgements, recalls


def carry_on(database: Database) -> int:
    """About every minute, for every lender; answers how many recalls, stops and acknowledgements were due."""

    def carry_on_one(lender_id: UUID) -> int:
        actor = nightly.actor_of("recalls", lender_id)
        with database.work(actor) as work:
            executed = recalls.execute_due(work)
        with database.work(actor) as work:
            return executed + recalls.flag_missing_stops(work) + acknowledgements.flag_missing(work)

    return nightly.for_each(nightly.list_lenders(database), "recalls", carry_on_one)
