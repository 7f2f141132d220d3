"""One organisation's log in a test: acting, integrating, publishing and exporting by the real verbs."""

from sqlalchemy import func, select, text

from crypto import notes
from models.audit import LogLeaf, OutboxEntry
from models.objects import ObjectStore
from models.services.oversight import audit, logs
from models.work import JOBS, Actor
from tests.world import Someone, World

HOST = "consign.test"


class Log:
    """One organisation's log, and the turns of its integrator."""

    def __init__(self, world: World, of: Someone, objects: ObjectStore) -> None:
        self.database = world.database
        self.actor = of.actor
        self.org_id = of.organisation.id
        self.integrator = Actor(side=JOBS, org_id=self.org_id, name="integration")
        self.objects = objects
        self.born = self.waiting()  # entries of the organisation's own making

    def act(self, count: int = 1) -> list[bytes]:
        """So many entries in one transaction; their leaf hashes."""
        with self.database.work(self.actor) as work:
            return [audit.record(work, audit.Action.CASE_ASSIGN, {"number": number}) for number in range(count)]

    def act_often(self, count: int) -> None:
        """The same, for numbers that must not take long."""
        entries = text(
            "insert into audit_outbox (org_id, entry, salt, recorded_at) select :org, convert_to('{\"n\":' || n || '}',"
            " 'UTF8'), sha256(convert_to(n::text, 'UTF8')), now() from generate_series(1, :count) n"
        )
        with self.database.work(self.actor) as work:
            work.session.execute(entries, {"org": self.org_id, "count": count})

    def integrate(self) -> int:
        """All that waits, signing before each further turn; answers how many turns moved something."""
        turns = 0
        for _ in range(1000):
            with self.database.work(self.integrator) as work:
                turns += bool(logs.integrate(work))
            if not self.waiting():
                return turns
            self.publish()
        raise AssertionError("the outbox does not empty")

    def publish(self, host: str = HOST) -> notes.Checkpoint | None:
        with self.database.work(self.integrator) as work:
            return logs.publish(work, self.objects, host)

    def grow(self, count: int = 1) -> None:
        self.act(count)
        self.integrate()
        self.publish()

    def head(self) -> logs.Head:
        with self.database.work(self.actor) as work:
            return logs.head(work)

    def leaf_hashes(self) -> list[bytes]:
        with self.database.work(self.actor) as work:
            leaves = select(LogLeaf.leaf_hash).where(LogLeaf.org_id == self.org_id).order_by(LogLeaf.index)
            return list(work.session.scalars(leaves))

    def waiting(self) -> int:
        with self.database.work(self.actor) as work:
            return work.session.scalar(select(func.count(OutboxEntry.id))) or 0

    def key(self) -> str:
        with self.database.work(self.actor) as work:
            return logs.verifier_key(work, HOST)

    def export(self) -> bytes:
        with self.database.work(self.actor) as work:
            return "".join(logs.export(work)).encode()
