"""Folding: what each statement added to the case tallies becomes one row of each place."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.portfolio import tallies


def fold(database: Database) -> int:
    """About every hour, for every lender; answers for how many."""

    def fold_of(lender_id: UUID) -> int:
        with database.work(nightly.actor_of("tallies", lender_id)) as work:
            tallies.fold(work)
        return 1

    return nightly.for_each(nightly.list_lenders(database), "tallies", fold_of)
