"""Large allocations: drawing one and placing one, each in one transaction, with what it was refused by kept."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy.exc import OperationalError

from jobs import nightly
from models import failures
from models.database import Database
from models.errors import Invalid, NotFound, Refusal
from models.services.exchange import allocations

NAME = "allocation"

logger = logging.getLogger(__name__)


def run(database: Database, org_id: UUID, tender_id: UUID) -> None:
    """To its end, whatever that is: a person looks at it and decides. Only a killed worker's is tried again, and what
    another worker has been at all the time: Unavailable `busy`."""
    actor = nightly.actor_of(NAME, org_id)

    def report(percent: int) -> None:
        with database.work(actor) as beside:
            allocations.report(beside, tender_id, percent)

    try:
        with database.work(actor) as work:
            allocations.carry_out(work, tender_id, report)
    except Refusal as refusal:
        _stop(database, org_id, tender_id, refusal.code, _facts(refusal))
    except OperationalError as failure:
        logger.error("allocation %s: %s", tender_id, failures.told(failure))
        _stop(database, org_id, tender_id, allocations.BUSY if _held_up(failure) else allocations.FAILED, {})
    except Exception as failure:  # noqa: BLE001 (like a nightly run: whatever went wrong, its text stays here)
        logger.error("allocation %s: %s", tender_id, failures.told(failure))
        give_up(database, org_id, tender_id)


def give_up(database: Database, org_id: UUID, tender_id: UUID) -> None:
    """It went wrong for no reason of the person's."""
    _stop(database, org_id, tender_id, allocations.FAILED, {})


def stop_lost(database: Database) -> int:
    """About every minute, for every lender: what no worker has any more; answers how many."""
    return nightly.each_due(database, NAME, allocations.list_lost, allocations.stop_lost)


def _stop(database: Database, org_id: UUID, tender_id: UUID, code: str, facts: Mapping[str, Any]) -> None:
    # Where the lender has no such allocation there is nobody to tell.
    with suppress(NotFound), database.work(nightly.actor_of(NAME, org_id)) as work:
        allocations.stop(work, tender_id, code, facts)


def _held_up(failure: OperationalError) -> bool:
    """Somebody else held a row for as long as the worker waits, or waited for one of its own."""
    return isinstance(failure.orig, LockNotAvailable | DeadlockDetected)


def _facts(refusal: Refusal) -> dict[str, Any]:
    """As the tender keeps them: what is wrong with a plan names the rule, the field and the code."""
    errors = refusal.errors if isinstance(refusal, Invalid) else []
    return refusal.facts | ({"errors": [error._asdict() for error in errors]} if errors else {})
