"""Keeping the records of erasures where a restored database finds them, and erased files out of the store."""

import logging

from jobs import nightly
from models.database import Database
from models.objects import ObjectStore
from models.services import erasures

logger = logging.getLogger(__name__)


def publish(database: Database, objects: ObjectStore) -> int:
    """About every minute, for every lender; answers how many records. One lender's trouble is not another's."""
    total = 0
    for lender_id in nightly.list_lenders(database):
        try:
            with database.work(nightly.actor_of("erasure", lender_id)) as work:
                total += erasures.publish(work, objects)
        except Exception as failure:  # noqa: BLE001 (it runs for everybody, like the worker)
            logger.error("the erasures of %s wait: %s", lender_id, type(failure).__name__)
    return total
