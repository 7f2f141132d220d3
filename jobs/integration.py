"""Growing and signing the audit logs, about every second: for every tenant that has entries waiting."""

import logging
from uuid import UUID

from jobs import nightly
from models.database import Database
from models.objects import ObjectStore
from models.services import job_runs, logs
from models.work import OPERATOR

logger = logging.getLogger(__name__)


class Integrator:
    """Remembers whose log may be unsigned: at first and every minute anybody's, because another process may have died
    between growing a log and signing it."""

    def __init__(self, database: Database, objects: ObjectStore, host: str) -> None:
        self.database = database
        self.objects = objects
        self.host = host
        self.unsigned: set[UUID] = set()

    def look_at_all(self) -> None:
        with self.database.work(nightly.actor_of("integration", nightly.NOBODY, OPERATOR)) as work:
            self.unsigned |= set(job_runs.list_tenants(work))

    def tick(self) -> None:
        """One tenant's trouble is not another's: it is tried again at the next tick."""
        with self.database.work(nightly.actor_of("integration", nightly.NOBODY, OPERATOR)) as work:
            self.unsigned |= set(job_runs.list_tenants_with_entries(work))
        for org_id in sorted(self.unsigned):
            try:
                self.integrate(org_id)
            except Exception as failure:  # noqa: BLE001 (it runs for everybody, like the worker)
                logger.error("the log of %s waits: %s", org_id, type(failure).__name__)
            else:
                self.unsigned.discard(org_id)

    def integrate(self, org_id: UUID) -> int:
        """Grow and sign one log until nothing waits; answers how many entries moved."""
        actor, total = nightly.actor_of("integration", org_id), 0
        while True:
            with self.database.work(actor) as work:
                moved = logs.integrate(work)
            with self.database.work(actor) as work:
                logs.publish(work, self.objects, self.host)
            total += moved
            if moved < logs.LEAVES_PER_TURN_MAX:
                return total
