"""Integrators and publishers, many at once and killed half way: the log neither forks nor skips."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import count, pairwise
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from crypto import notes
from crypto.custody import PLATFORM, Custodies, LocalKeyring
from crypto.logfile import verify_log
from crypto.merkle import consistency_proof, root, verify_consistency
from crypto.vault import Vault
from jobs.integration import Integrator
from models.errors import Conflict, Unavailable
from models.objects import FolderStore, ObjectStore
from models.services.collection import releases
from models.services.oversight import log_checks, log_store, logs
from models.work import Work
from tests.conftest import ROOT
from tests.logbook import HOST, Log
from tests.world import World

Answer = TypeVar("Answer")


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


@pytest.fixture
def log(world: World, tmp_path: Path) -> Log:
    return Log(world, world.lender(), FolderStore(tmp_path / "objects"))


@pytest.mark.parametrize("acts", [20, pytest.param(400, marks=pytest.mark.soak)])
def test_many_integrators_at_once_neither_fork_nor_skip(log: Log, acts: int) -> None:
    with ThreadPoolExecutor(7) as pool:
        acting = [pool.submit(lambda: [log.act(3) for _ in range(acts)]) for _ in range(3)]

        def integrate() -> None:
            while wait(acting, timeout=0).not_done:
                _turn(log)

        integrating = [pool.submit(integrate) for _ in range(4)]
        for done in integrating:
            done.result()
    log.integrate()
    log.publish()
    recorded = {leaf for done in acting for act in done.result() for leaf in act}
    leaves = log.leaf_hashes()
    assert len(leaves) == log.born + len(recorded)
    assert recorded == set(leaves[log.born :])
    assert log.waiting() == 0
    _check_checkpoints(log, leaves)


def test_two_who_make_a_log_at_once_make_one(world: World, tmp_path: Path) -> None:
    for _ in range(3):
        log = Log(world, world.lender(), FolderStore(tmp_path / "objects"))
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(log.integrate) for _ in range(4)]:
                done.result()
        assert log.head()[:2] == (log.born, root(log.leaf_hashes()))


def test_an_integrator_waits_for_the_one_before_it(log: Log) -> None:
    log.grow(2)
    log.act(3)
    with ThreadPoolExecutor(1) as pool:
        with log.database.work(log.integrator) as work:
            assert logs.integrate(work) == 3
            log.act(4)
            second = pool.submit(log.integrate)
            assert wait([second], timeout=0.3).not_done
        assert second.result() == 1
    assert log.head()[:2] == (log.born + 9, root(log.leaf_hashes()))


def test_an_integrator_whose_commit_fails_has_moved_nothing(log: Log, admin: URL) -> None:
    log.act(5)
    with pytest.raises(OperationalError):
        _work_cut_off(log, admin, logs.integrate)
    assert (log.head().size, log.waiting()) == (0, log.born + 5)
    log.integrate()
    assert (log.head().size, log.waiting()) == (log.born + 5, 0)


def test_killed_between_growing_and_signing_the_next_one_signs(log: Log) -> None:
    log.act(5)
    log.integrate()
    log.act(2)
    log.integrate()
    assert log.publish() == (logs.origin(HOST, log.org_id), log.born + 7, root(log.leaf_hashes()))


class Dying:
    """A store whose user is killed at its `step`-th call, before or after the call took effect."""

    def __init__(self, store: ObjectStore, step: int, after: bool) -> None:
        self.store, self.step, self.after = store, step, after

    def get(self, key: str) -> bytes:
        return self._call(self.store.get, key)

    def put(self, key: str, data: bytes) -> None:
        self._call(self.store.put, key, data)

    def put_once(self, key: str, data: bytes) -> None:
        self._call(self.store.put_once, key, data)

    def list(self, prefix: str = "") -> Iterator[str]:
        return self.store.list(prefix)

    def _call(self, act: Callable[..., Answer], *arguments: object) -> Answer:
        self.step -= 1
        if self.step == 0 and not self.after:
            raise Killed
        answer = act(*arguments)
        if self.step == 0:
            raise Killed
        return answer


@pytest.mark.parametrize("after", [False, True])
def test_a_publisher_killed_at_any_step_is_made_good_by_the_next(
    log: Log, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    log.grow()
    whole = log.objects
    for step in count(1):
        log.act(20)
        log.integrate()
        log.objects = Dying(whole, step, after)
        try:
            log.publish()
            break
        except Killed:
            pass  # The next publisher, below, is another process.
        finally:
            log.objects = whole
        log.grow()
    assert step > 10
    _check_checkpoints(log, log.leaf_hashes())
    _check_tiles(log, log.leaf_hashes())
    assert verify_log(log.export().splitlines(keepends=True), log.key()).signed


def test_a_publisher_whose_commit_fails_is_repeated_to_the_same_bytes(log: Log, admin: URL) -> None:
    log.act(5)
    log.integrate()
    with pytest.raises(OperationalError):
        _work_cut_off(log, admin, lambda work: logs.publish(work, log.objects, HOST))
    assert log.head().checkpoint is None
    before = {key: log.objects.get(key) for key in log.objects.list()}
    assert len(before) == 2
    assert log.publish() == (logs.origin(HOST, log.org_id), log.born + 5, root(log.leaf_hashes()))
    assert {key: log.objects.get(key) for key in log.objects.list()} == before


# An integrator in a process of its own, which kills itself where `point` says.
INTEGRATOR = """
import os, signal, sys
from pathlib import Path
from uuid import UUID
from crypto.custody import LocalKeyring
from models.custody import make_vault
from models.database import Database
from models.objects import FolderStore
from models.services.oversight import logs
from models.work import JOBS, Actor

url, keyring, org_id, folder, host, point = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Store(FolderStore):
    def put_once(self, key, data):
        if f"before {key.split('/')[2]}" == point:
            die()
        super().put_once(key, data)

    def put(self, key, data):
        if point == "before the last checkpoint":
            die()
        super().put(key, data)
        if point == "before the row":
            die()

database = Database(url, make_vault(LocalKeyring(keyring)))
actor = Actor(side=JOBS, org_id=UUID(org_id), name="integration")
with database.work(actor) as work:
    logs.integrate(work)
    if point == "before growing is committed":
        die()
if point == "before signing":
    die()
with database.work(actor) as work:
    logs.publish(work, Store(Path(folder)), host)
"""
POINTS = [
    "before growing is committed",
    "before signing",
    "before tile",
    "before checkpoints",
    "before the last checkpoint",
    "before the row",
]


@pytest.mark.parametrize("point", POINTS)
def test_an_integrator_killed_by_the_system_is_made_good_by_the_next(
    log: Log, tmp_path: Path, vault: Vault, point: str
) -> None:
    log.grow()
    log.act_often(300)
    keyring = LocalKeyring(tmp_path / "keyring.json")
    for principal in (PLATFORM, str(log.org_id)):
        Custodies(keyring, vault.custody).bring(principal)
    url = log.database.engine.url.render_as_string(hide_password=False)
    arguments = [url, str(keyring.path), str(log.org_id), str(tmp_path / "objects"), HOST, point]
    died = subprocess.run([sys.executable, "-c", INTEGRATOR, *arguments], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    log.integrate()
    log.publish()
    leaves = log.leaf_hashes()
    assert len(leaves) > 300
    assert log.waiting() == 0
    _check_checkpoints(log, leaves)
    assert log.objects.get(f"log/{log.org_id}/tile/0/000") == b"".join(leaves[:256])
    with log.database.work(log.integrator) as work:
        assert log_checks.check(work, log.objects, HOST) == len(leaves)


def test_a_store_restored_from_an_old_copy_is_made_good_when_the_log_next_grows(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    log.grow(5)
    shutil.copytree(tmp_path / "objects", tmp_path / "copy")
    for _ in range(4):
        log.grow(5)
    log.objects = FolderStore(tmp_path / "copy")
    log.grow(5)
    _check_checkpoints(log, log.leaf_hashes())
    _check_tiles(log, log.leaf_hashes())
    with log.database.work(log.integrator) as work:
        assert log_checks.check(work, log.objects, HOST) == log.head().size


class Backup:
    """What a restore of the database brings back of one log; the object store has no part in it."""

    TABLES = ("log_head", "log_leaf", "log_checkpoint")

    def __init__(self, log: Log, admin: URL) -> None:
        with log.database.work(log.actor) as work:
            name = work.session.scalar(select(func.current_database()))
        self.owner = admin.set(drivername="postgresql", database=name).render_as_string(False)
        self.log = log
        self.rows = self.take()

    def take(self) -> dict[str, list[tuple[Any, ...]]]:
        with psycopg.connect(self.owner) as connection:
            query = "select * from {} where org_id = %s"
            return {
                table: connection.execute(query.format(table), [self.log.org_id]).fetchall()  # type: ignore[arg-type]
                for table in self.TABLES
            }

    def restore(self) -> None:
        with psycopg.connect(self.owner) as connection:
            for table in reversed(self.TABLES):
                connection.execute(f"delete from {table} where org_id = %s", [self.log.org_id])  # type: ignore[arg-type]
            for table in self.TABLES:
                for row in self.rows[table]:
                    values = ", ".join(["%s"] * len(row))
                    connection.execute(f"insert into {table} values ({values})", row)  # type: ignore[arg-type]


@pytest.fixture
def integrator(log: Log) -> Integrator:
    return Integrator(log.database, log.objects, HOST)


def test_a_database_restored_from_a_backup_is_found_before_anything_is_added(
    log: Log, integrator: Integrator, admin: URL, caplog: pytest.LogCaptureFixture
) -> None:
    log.grow(5)
    backup = Backup(log, admin)
    log.grow(5)
    backup.restore()
    restored = log.head()
    log.act(20)
    with pytest.raises(Conflict) as refused:
        integrator.integrate(log.org_id)
    assert refused.value.code == "log_forked"
    assert log.head()[:2] == restored[:2]
    assert log.head().forked
    [record] = caplog.records
    assert (record.levelname, str(log.org_id) in record.message) == ("CRITICAL", True)


def test_a_restored_database_that_outgrew_the_store_is_not_signed(log: Log, admin: URL) -> None:
    log.grow(5)
    backup = Backup(log, admin)
    log.grow(5)
    before = {key: log.objects.get(key) for key in log.objects.list()}
    backup.restore()
    log.act(20)
    with pytest.raises(Conflict) as refused:
        log.grow()
    assert refused.value.code == "log_forked"
    assert {key: log.objects.get(key) for key in log.objects.list()} == before


def test_nothing_is_released_under_a_fork_until_store_and_database_agree_again(
    world: World, tmp_path: Path, admin: URL
) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency)
    [case_id, *_] = world.case_ids(placement, lender)
    log = Log(world, lender, FolderStore(tmp_path / "objects"))
    integrator = Integrator(log.database, log.objects, HOST)
    log.grow()
    backup = Backup(log, admin)
    log.grow(5)
    whole = Backup(log, admin)
    backup.restore()
    integrator.unsigned = {log.org_id}
    integrator.tick()
    for someone in (agency, lender):
        with world.database.work(someone.actor) as work, pytest.raises(Unavailable) as refused:
            releases.authorise(work, case_id, "identity", "verify_identity")
        assert (refused.value.code, refused.value.facts) == ("log_down", {"retry_seconds": 30})
    whole.restore()
    integrator.tick()
    assert not log.head().forked
    with world.database.work(agency.actor) as work:
        releases.authorise(work, case_id, "identity", "verify_identity")


def _turn(log: Log) -> None:
    """What the job does each second; another's turn that takes too long is waited for in the next."""
    try:
        with log.database.work(log.integrator) as work:
            logs.integrate(work)
        log.publish()
    except Unavailable as busy:
        assert busy.code == "busy"  # noqa: PT017 (anything else fails the turn)
    except OperationalError as waited:
        assert isinstance(waited.orig, LockNotAvailable)  # noqa: PT017


def _work_cut_off(log: Log, admin: URL, act: Callable[[Work], object]) -> None:
    """A Work whose connection the database drops before it can commit."""
    with log.database.work(log.integrator) as work:
        act(work)
        backend = work.session.scalar(select(func.pg_backend_pid()))
        with psycopg.connect(admin.set(drivername="postgresql").render_as_string(False), autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [backend])


def _check_checkpoints(log: Log, leaves: list[bytes]) -> None:
    """Every checkpoint that was ever stored is signed, and each is the beginning of the next."""
    kept = [log.objects.get(key) for key in log.objects.list(f"log/{log.org_id}/checkpoints/")]
    signed = sorted(notes.Checkpoint.parse(notes.open_note(note, [log.key()]).text) for note in kept)
    assert signed[-1] == (logs.origin(HOST, log.org_id), len(leaves), root(leaves))
    for older, newer in pairwise(signed):
        proof = consistency_proof(leaves[: newer.size], older.size)
        verify_consistency(older.size, newer.size, proof, older.root, newer.root)


def _check_tiles(log: Log, leaves: list[bytes]) -> None:
    tiles = list(log.objects.list(f"log/{log.org_id}/tile/0/"))
    assert [log.objects.get(tile) for tile in tiles] == [
        b"".join(leaves[4 * index : 4 * index + 4]) for index in range(len(leaves) // 4)
    ]
