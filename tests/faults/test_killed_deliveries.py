"""A worker killed while a receiver is being told: the event arrives all the same, under the same id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from crypto.custody import PLATFORM, LocalKeyring
from jobs.webhooks import pass_on
from models.custody import make_vault
from models.database import Database
from models.ids import new_id
from models.notice import AGENCY
from models.services import notices, webhook_deliveries, webhooks
from models.webhook import WebhookDelivery
from tests.conftest import ROOT, Clock, login_url
from tests.receiver import listening
from tests.world import World

# The worker as `python -m jobs` runs it, but quicker to notice that another has died, and calling this machine.
WORKER = """
import asyncio, sys
from crypto.custody import LocalKeyring
from jobs import worker
from models.custody import make_vault
from models.database import Database
from models.outbound import Courier
url, keyring = sys.argv[1:]
database = Database(url, make_vault(LocalKeyring(keyring)))
app = worker.make_app(database, url, Courier(local=True))
asyncio.run(worker.serve(app, database, heartbeat_seconds=0.3, stalled_seconds=2))
"""


@pytest.fixture
def own(admin: URL, fresh_database: str, tmp_path: Path, clock: Clock) -> Iterator[World]:
    """A database of the test's own: a worker takes whatever the queue holds."""
    custody = LocalKeyring(tmp_path / "keyring.json")
    custody.create(PLATFORM)
    database = Database(login_url(admin, fresh_database), make_vault(custody), clock)
    yield World(database, clock)
    database.close()


@contextmanager
def a_worker(world: World, keyring: Path) -> Iterator[subprocess.Popen[bytes]]:
    url = world.database.engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", WORKER, url, str(keyring)], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_what_a_killed_worker_was_sending_is_sent_by_another_and_the_rest_after_it(own: World, tmp_path: Path) -> None:
    lender, agency, keyring = own.lender(), own.agency(), tmp_path / "keyring.json"
    with listening() as receiver:
        with own.database.work(agency.actor) as work:
            hook = webhooks.create(work, receiver.url(), [], local=True).row
        kinds = ["offer.made", "placement.recalled", "offer.withdrawn"]
        for kind in kinds:
            with own.database.work(lender.actor) as work:
                notices.tell(work, lender.organisation.id, agency.organisation.id, AGENCY, kind, "offer", new_id())
        pass_on(own.database)

        def rows() -> list[WebhookDelivery]:
            with own.database.work(agency.actor) as work:
                return webhook_deliveries.list_own(work, hook.id)[::-1]

        receiver.gate.clear()
        with a_worker(own, keyring) as first:
            wait_for(lambda: len(receiver.received) == 1)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        assert [(row.state, row.attempts) for row in rows()] == [("waiting", 0)] * 3
        receiver.gate.set()
        with a_worker(own, keyring):
            wait_for(lambda: all(row.state == "delivered" for row in rows()))
        assert receiver.events() == [kinds[0], *kinds]
        ids = [one.headers["webhook-id"] for one in receiver.received]
        assert ids == [ids[1], *(str(row.id) for row in rows())]


def test_a_worker_that_is_told_to_stop_finishes_what_it_is_sending(own: World, tmp_path: Path) -> None:
    lender, agency = own.lender(), own.agency()
    with listening() as receiver:
        with own.database.work(agency.actor) as work:
            hook = webhooks.create(work, receiver.url(), [], local=True).row
        with own.database.work(lender.actor) as work:
            notices.tell(work, lender.organisation.id, agency.organisation.id, AGENCY, "offer.made", "offer", new_id())
        pass_on(own.database)
        receiver.gate.clear()
        with a_worker(own, tmp_path / "keyring.json") as process:
            wait_for(lambda: len(receiver.received) == 1)
            process.terminate()
            time.sleep(0.5)
            receiver.gate.set()
            assert process.wait(timeout=30) == 0
    with own.database.work(agency.actor) as work:
        assert [row.state for row in webhook_deliveries.list_own(work, hook.id)] == ["delivered"]
