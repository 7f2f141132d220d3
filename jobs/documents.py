"""Files whose adding came to nothing, out of the object store."""

import logging

from jobs import nightly
from models.database import Database
from models.objects import ObjectStore
from models.services import documents

logger = logging.getLogger(__name__)


def sweep(database: Database, objects: ObjectStore) -> int:
    """About every hour, for every lender; answers how many objects went. One lender's trouble is not another's."""
    total = 0
    for lender_id in nightly.list_lenders(database):
        try:
            with database.work(nightly.actor_of("documents", lender_id)) as work:
                total += documents.sweep(work, objects)
        except Exception as failure:  # noqa: BLE001 (it runs for everybody, like the worker)
            logger.error("the documents of %s wait: %s", lender_id, type(failure).__name__)
    return total
