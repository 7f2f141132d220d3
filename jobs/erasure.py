"""Keeping the records of erasures where a restored database finds them, and erased files out of the store."""

from uuid import UUID

from jobs import nightly
from models.database import Database
from models.objects import ObjectStore
from models.services.portfolio import erasures


def publish(database: Database, objects: ObjectStore) -> int:
    """About every minute, for every lender; answers how many records."""

    def publish_one(lender_id: UUID) -> int:
        with database.work(nightly.actor_of("erasure", lender_id)) as work:
            return erasures.publish(work, objects)

    return nightly.for_each(nightly.list_lenders(database), "erasures", publish_one)
