"""Large allocations: drawing one and placing one, each in one transaction, with what it was refused by kept."""

import logging
import traceback
from uuid import UUID

from jobs import nightly
from models.database import Database
from models.errors import Refusal
from models.services import allocations

NAME = "allocation"

logger = logging.getLogger(__name__)


def run(database: Database, org_id: UUID, tender_id: UUID) -> None:
    """To its end, whatever that is: a person looks at it and decides. Only a killed worker's is tried again."""
    actor = nightly.actor_of(NAME, org_id)

    def report(percent: int) -> None:
        with database.work(actor) as beside:
            allocations.report(beside, tender_id, percent)

    try:
        with database.work(actor) as work:
            allocations.carry_out(work, tender_id, report)
    except Refusal as refusal:
        with database.work(actor) as work:
            allocations.stop(work, tender_id, refusal.code, refusal.facts)
    except Exception as failure:  # noqa: BLE001 (like a nightly run: whatever went wrong, its text stays here)
        place = traceback.extract_tb(failure.__traceback__)[-1]
        logger.error("allocation %s: %s at %s:%s", tender_id, type(failure).__name__, place.filename, place.lineno)
        give_up(database, org_id, tender_id)


def give_up(database: Database, org_id: UUID, tender_id: UUID) -> None:
    """It went wrong for no reason of the person's."""
    with database.work(nightly.actor_of(NAME, org_id)) as work:
        allocations.stop(work, tender_id, allocations.FAILED, {})
