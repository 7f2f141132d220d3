"""Growing and signing the audit logs, about every second: for every tenant that has entries waiting."""

import logging
from uuid import UUID

from jobs import nightly
from models.database import Database
from models.errors import Conflict
from models.objects import ObjectStore
from models.services import job_runs
from models.services.oversight import log_checks, logs
from models.work import OPERATOR, Actor

logger = logging.getLogger(__name__)


class Integrator:
    """Remembers whose log may be unsigned: at first and every minute anybody's, because another process may have died
    between growing a log and signing it. Before its first turn at a log it compares the store with the database:
    one of them may have been restored from a backup."""

    def __init__(self, database: Database, objects: ObjectStore, host: str) -> None:
        self.database = database
        self.objects = objects
        self.host = host
        self.unsigned: set[UUID] = set()
        self.compared: set[UUID] = set()

    def look_at_all(self) -> None:
        with self.database.work(nightly.actor_of("integration", nightly.NOBODY, OPERATOR)) as work:
            self.unsigned |= set(job_runs.list_tenants(work))

    def tick(self) -> None:
        """One tenant's trouble is not another's: it is tried again at the next tick."""
        with self.database.work(nightly.actor_of("integration", nightly.NOBODY, OPERATOR)) as work:
            self.unsigned |= set(job_runs.list_tenants_with_entries(work))
        nightly.for_each(sorted(self.unsigned), "log entries", self._catch_up)

    def _catch_up(self, org_id: UUID) -> int:
        moved = self.integrate(org_id)
        self.unsigned.discard(org_id)
        return moved

    def check(self, org_id: UUID) -> int:
        """Read one log and its objects again; answers its size, or Conflict `log_forked` says at what place."""
        with self.database.work(nightly.actor_of("integration", org_id)) as work:
            return log_checks.check(work, self.objects, self.host)

    def integrate(self, org_id: UUID) -> int:
        """Grow and sign one log until nothing waits; answers how many entries moved."""
        actor = nightly.actor_of("integration", org_id)
        try:
            return self._grow(actor)
        except Conflict as conflict:
            logger.critical("the log of %s stands still and nothing is released: %s", org_id, conflict.code)
            with self.database.work(actor) as work:
                logs.mark_forked(work)
            raise

    def _grow(self, actor: Actor) -> int:
        if actor.org_id not in self.compared:
            with self.database.work(actor) as work:
                logs.require_one_history(work, self.objects, self.host)
            self.compared.add(actor.org_id)
        total = 0
        while True:
            with self.database.work(actor) as work:
                moved = logs.integrate(work)
            with self.database.work(actor) as work:
                signed = logs.publish(work, self.objects, self.host)
            total += moved
            # Signed without having moved: another's turn was left unsigned, and now it is ours.
            if signed is None or 0 < moved < logs.LEAVES_PER_TURN_MAX:
                return total
