"""A worker killed in the middle of a run: nothing is lost, nothing is done twice, and somebody else finishes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import URL

from crypto.custody import PLATFORM, LocalKeyring
from models.allocation_plan import RULES, Plan, Rule, equal_shares
from models.breach import Breach
from models.break_item import Break, Match
from models.clock import utc_now
from models.commission_line import CommissionLine
from models.custody import make_vault
from models.database import Database
from models.services import job_runs
from models.services.exchange import allocations, undoing
from models.tender import COMMITTING, PLACED, PREVIEWED
from tests.conftest import Clock, login_url, plain
from tests.facts import TODAY, Placed, call, claim, jobs, payment, placed, receive_payments
from tests.world import World

ROOT = Path(__file__).parents[2]
# The worker as `python -m jobs` runs it, but quicker to notice that another has died.
WORKER = """
import asyncio, sys
from crypto.custody import LocalKeyring
from jobs import worker
from models.custody import make_vault
from models.database import Database
url, keyring = sys.argv[1:]
database = Database(url, make_vault(LocalKeyring(keyring)))
asyncio.run(worker.serve(worker.make_app(database, url), database, heartbeat_seconds=0.3, stalled_seconds=2))
"""
# Each job, a table it writes after others, and what it leaves behind: the run is killed while it waits to write there.
KILLED = {
    "reconciliation": ("break_item", {Match: 3, Break: 2}),
    "commission": ("commission_line", {CommissionLine: 4}),
    "conduct": ("breach_evidence", {Breach: 2}),
}


@pytest.fixture
def own(admin: URL, fresh_database: str, tmp_path: Path, clock: Clock) -> Iterator[World]:
    """A database of the test's own: a worker takes whatever the queue holds."""
    custody = LocalKeyring(tmp_path / "keyring.json")
    custody.create(PLATFORM)
    database = Database(login_url(admin, fresh_database), make_vault(custody), clock)
    yield World(database, clock)
    database.close()


@pytest.fixture
def of(own: World, clock: Clock) -> Placed:
    """Something for each job to do."""
    of = placed(own, 4)
    for case in of.cases[:3]:
        claim(own, of, "100.00", case=case)
    claim(own, of, "5.00", case=of.cases[3])
    receive_payments(own, of.lender, *(payment(case, "100.00") for case in of.cases[:3]), payment(of.cases[0], "7.77"))
    call(own, of, clock().replace(hour=15))  # 23:00 in Shanghai
    clock.forward(hours=14)
    return of


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


def _waits(gate: psycopg.Connection[Any], table: str) -> bool:
    waiting = "select count(*) from pg_locks where not granted and relation = %s::regclass"
    return gate.execute(waiting, (table,)).fetchone() == (1,)


def counted(world: World, of: Placed, job: str) -> dict[type, int]:
    with world.database.work(of.lender.actor) as work:
        return {table: work.session.scalar(select(func.count()).select_from(table)) for table in KILLED[job][1]}


def owed(world: World, of: Placed) -> Decimal | None:
    with world.database.work(of.agency.actor) as work:
        return work.session.scalar(select(func.sum(CommissionLine.amount)))


def state(world: World, of: Placed, job: str) -> str:
    with world.database.work(jobs(of.lender)) as work:
        return job_runs.get(work, job, TODAY).state


@pytest.mark.parametrize("job", KILLED)
def test_a_run_killed_in_the_middle_is_finished_once_by_another_worker(
    own: World, of: Placed, job: str, admin: URL, fresh_database: str, tmp_path: Path
) -> None:
    table, expected = KILLED[job]
    keyring = tmp_path / "keyring.json"
    with own.database.work(of.lender.actor) as work:
        job_runs.request(work, job, TODAY)
    with psycopg.connect(plain(admin.set(database=fresh_database))) as gate:
        gate.execute(f"lock table {table} in exclusive mode")
        with a_worker(own, keyring) as first:
            wait_for(lambda: _waits(gate, table))
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
    assert state(own, of, job) == "running"
    assert counted(own, of, job) == dict.fromkeys(expected, 0)
    with a_worker(own, keyring):
        wait_for(lambda: state(own, of, job) == "done")
    assert counted(own, of, job) == expected
    assert owed(own, of) == (Decimal("55.40") if job == "commission" else None)


def test_a_large_allocation_killed_in_the_middle_is_placed_once_by_another_worker(
    own: World, clock: Clock, admin: URL, fresh_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    clock.at = utc_now()  # as the worker has it
    lender, keyring = own.lender(), tmp_path / "keyring.json"
    panel = [own.agreement(lender, own.agency()).id for _ in range(2)]
    portfolio_id = own.portfolio(lender, 6).id
    with own.database.work(lender.actor) as work:
        tender_id = allocations.preview(work, portfolio_id, Plan(RULES, [Rule(equal_shares(panel))], b"")).id

    def stands() -> str:
        with own.database.work(lender.actor) as work:
            return allocations.get(work, tender_id).state

    with psycopg.connect(plain(admin.set(database=fresh_database))) as gate:
        with a_worker(own, keyring) as first:
            wait_for(lambda: stands() == PREVIEWED)
            gate.execute("lock table placed_case in exclusive mode")
            with own.database.work(lender.actor) as work:
                allocations.commit(work, tender_id)
            wait_for(lambda: _waits(gate, "placed_case"))
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        assert stands() == COMMITTING
    with a_worker(own, keyring):
        wait_for(lambda: stands() != COMMITTING)
    with own.database.work(lender.actor) as work:
        tender = allocations.get(work, tender_id)
        assert (tender.state, tender.refusal) == (PLACED, None)
        assert sum(placement.case_count for placement in undoing.list_placements(work, tender)) == 6


def test_the_jobs_process_ends_cleanly_when_told_to(own: World, of: Placed, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CONSIGN_DATABASE_URL": own.database.engine.url.render_as_string(hide_password=False),
        "CONSIGN_HOME": str(tmp_path),
        "CONSIGN_KEYRING": str(tmp_path / "keyring.json"),
        "CONSIGN_HOST": "consign.test",
    }
    with own.database.work(of.lender.actor) as work:
        job_runs.request(work, "reconciliation", TODAY)
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: state(own, of, "reconciliation") == "done")
        process.terminate()
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in log, log
