"""Files whose adding came to nothing, out of the object store."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.objects import ObjectStore
from models.services.portfolio import documents


def sweep(database: Database, objects: ObjectStore) -> int:
    """About every hour, for every lender; answers how many objects went."""

    def sweep_one(lender_id: UUID) -> int:
        with database.work(nightly.actor_of("documents", lender_id)) as work:
            return documents.sweep(work, objects)

    return nightly.for_each(nightly.list_lenders(database), "documents", sweep_one)
