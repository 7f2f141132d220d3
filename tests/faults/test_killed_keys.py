"""A process killed while it changes keys: everything opens meanwhile, and whoever comes next carries it to its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from crypto.custody import PLATFORM, LocalKeyring
from jobs import keys as job
from models.case_document import LETTER
from models.custody import make_vault
from models.database import Database
from models.objects import FolderStore
from models.portfolio import ClassKey
from models.services.collection import contacts, releases
from models.services.portfolio import documents, searches
from models.services.sealing import index_keys, key_progress, keys, portfolio_keys
from models.services.sealing.key_progress import Progress
from models.work import Work
from tests.conftest import Clock, login_url, plain
from tests.world import Someone, World

ROOT = Path(__file__).parents[2]
CARRY_ON = """
import sys
from pathlib import Path
from uuid import UUID
from crypto.custody import LocalKeyring
from jobs import keys
from models.custody import make_vault
from models.database import Database
from models.objects import FolderStore
url, keyring, files, org_id = sys.argv[1:]
keys.carry_on_one(Database(url, make_vault(LocalKeyring(keyring))), FolderStore(Path(files)), UUID(org_id))
"""
MOBILE, NOTE, PDF = "13800000001", "called back", b"%PDF-1.7\n" + b"page" * 1000

BEGIN: Final[Mapping[str, Callable[[Work, UUID], Any]]] = {
    "encryption key": lambda work, _: keys.rotate(work),
    "portfolio": portfolio_keys.rekey,
    "index key": lambda work, _: index_keys.rotate(work),
}
# The process is killed while it waits to write into this table: at the start, between two batches, or at the end.
KILLED = [
    ("encryption key", "class_key"),
    ("encryption key", "audit_outbox"),
    ("encryption key", "organisation_key"),
    ("portfolio", "case_sealing"),
    ("portfolio", "contact"),
    ("portfolio", "case_document"),
    ("portfolio", "audit_outbox"),
    ("portfolio", "class_key"),
    ("index key", "phone_token"),
    ("index key", "lender_key"),
]


class Standing(NamedTuple):
    """A placed case with a note and a file."""

    world: World
    lender: Someone
    agency: Someone
    portfolio_id: UUID
    case_id: UUID
    document_id: UUID
    files: FolderStore


@pytest.fixture
def standing(admin: URL, fresh_database: str, tmp_path: Path, clock: Clock) -> Iterator[Standing]:
    custody = LocalKeyring(tmp_path / "keyring.json")
    custody.create(PLATFORM)
    database = Database(login_url(admin, fresh_database), make_vault(custody), clock)
    world, files = World(database, clock), FolderStore(tmp_path / "files")
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    case_id = world.case_ids(placement, lender)[0]
    report = contacts.ContactReport(
        channel="call", direction="outbound", party="debtor", outcome="busy", occurred_at=clock(), note=NOTE
    )
    with database.work(agency.actor) as work:
        contacts.record(work, case_id, report)
        upload = documents.begin(work, case_id, LETTER)
    stored = documents.store(upload, [PDF], files)
    with database.work(agency.actor) as work:
        document = documents.add(work, upload, stored)
    yield Standing(world, lender, agency, placement.portfolio_id, case_id, document.id, files)
    database.close()


@pytest.mark.parametrize(("change", "table"), KILLED)
def test_a_change_of_keys_that_was_killed_is_carried_to_its_end_by_the_next(
    standing: Standing, change: str, table: str, admin: URL, fresh_database: str, tmp_path: Path
) -> None:
    database, lender = standing.world.database, standing.lender
    with database.work(lender.actor) as work:
        BEGIN[change](work, standing.portfolio_id)
    with psycopg.connect(plain(admin.set(database=fresh_database))) as gate:
        gate.execute(f"lock table {table} in exclusive mode")
        kill_when_stuck(standing, gate, table, tmp_path / "keyring.json")
    assert_all_opens(standing)
    with database.work(lender.actor) as work:
        assert key_progress.find(work) != Progress(None, None, [])
    job.carry_on_one(database, standing.files, lender.organisation.id)
    assert_all_opens(standing)
    with database.work(lender.actor) as work:
        assert key_progress.find(work) == Progress(None, None, [])
        class_keys = {(row.epoch, row.serial) for row in work.session.scalars(select(ClassKey))}
    assert class_keys == {(2 if change == "portfolio" else 1, 2 if change == "encryption key" else 1)}
    assert database.vault.custody.public(str(lender.organisation.id)).older == ()


def kill_when_stuck(standing: Standing, gate: psycopg.Connection, table: str, keyring: Path) -> None:
    url = standing.world.database.engine.url.render_as_string(hide_password=False)
    given = (url, str(keyring), str(standing.files.root), str(standing.lender.organisation.id))
    process = subprocess.Popen([sys.executable, "-c", CARRY_ON, *given], cwd=ROOT)
    waiting = "select count(*) from pg_locks where not granted and relation = %s::regclass"
    deadline = time.monotonic() + 60
    try:
        while gate.execute(waiting, (table,)).fetchone() == (0,):
            assert process.poll() is None, "it ended before it came to the table"
            assert time.monotonic() < deadline, "it did not come to the table in time"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()


def assert_all_opens(standing: Standing) -> None:
    """The cell, the note, the file, and the case by its number."""
    agency = replace(standing.agency.actor, proved_at=standing.world.clock())
    database, case_id = standing.world.database, standing.case_id
    opened = []
    for field_class in ("contact", "notes"):
        with database.work(agency) as work:
            opened.append(releases.authorise(work, case_id, field_class, "contact_borrower"))
    mobile, note = (list(release.open(database.vault).values()) for release in opened)
    assert (mobile, note) == ([MOBILE], [NOTE])
    with database.work(agency) as work:
        release = documents.authorise(work, standing.document_id, "verify_identity")
    with database.work(agency) as work:
        content = documents.content(work, standing.document_id, release.id)
    assert b"".join(documents.read(content, standing.files, 0, len(PDF))) == PDF
    with database.work(replace(standing.lender.actor, proved_at=standing.world.clock())) as work:
        assert [line.id for line in searches.find(work, "mobile", MOBILE, "contact_borrower").cases] == [case_id]
