"""Releases in the middle of a rotation, a re-key and a rebuilt index: none fails, none opens anything wrong."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from jobs import keys as job
from models.errors import Unavailable
from models.objects import FolderStore
from models.services.collection import contacts, releases
from models.services.sealing import index_keys, keys, portfolio_keys
from models.work import Work
from tests.world import Someone, World

THREADS = 8
NO_FILES = FolderStore(Path("no-such-folder"))
MOBILE = {"mobile": "13800000001"}

# What is begun again and again, and carried to its end, while everybody opens a case and writes notes.
CHANGES: Final[Mapping[str, Callable[[Work, UUID], Any]]] = {
    "encryption key": lambda work, _: keys.rotate(work),
    "portfolio": portfolio_keys.rekey,
    "index key": lambda work, _: index_keys.rotate(work),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rounds", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_releases_and_notes_go_on_while_keys_change(world: World, change: str, rounds: int) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    case_id = world.case_ids(placement, lender)[0]
    people = [agency, *(world.person(agency, "manager") for _ in range(THREADS - 1))]
    ended = threading.Event()

    def work_on(person: Someone) -> dict[str, str]:
        written: dict[str, str] = {}
        for turn in range(20 * rounds):
            with world.database.work(person.actor) as work:
                release = releases.authorise(work, case_id, "contact", "contact_borrower")
            assert release.open(world.database.vault) == MOBILE
            if turn % 4 == 0:
                text = f"{person.member.id} {turn}"
                written[str(_note(world, person, case_id, text))] = text
            if ended.is_set():
                break
        return written

    with ThreadPoolExecutor(THREADS) as threads:
        working = [threads.submit(work_on, person) for person in people]
        for _ in range(rounds):
            _change(world, lender, placement.portfolio_id, change)
        ended.set()
        written = {contact_id: text for done in working for contact_id, text in done.result().items()}
    reader = world.person(agency, "manager")
    with world.database.work(reader.actor) as work:
        release = releases.authorise(work, case_id, "notes", "verify_identity")
    assert release.open(world.database.vault) == written


def _change(world: World, lender: Someone, portfolio_id: UUID, change: str) -> None:
    """Begun, and carried on until nothing of it is left."""
    with world.database.work(lender.actor) as work:
        CHANGES[change](work, portfolio_id)
    running: Any = True
    while running:
        try:
            job.carry_on_one(world.database, NO_FILES, lender.organisation.id)
        except Unavailable:
            continue  # Somebody was in the way for longer than the lock's timeout.
        with world.database.work(lender.actor) as work:
            running = keys.find(work) or portfolio_keys.list_running(work) or index_keys.find(work)


def _note(world: World, person: Someone, case_id: UUID, text: str) -> UUID:
    report = contacts.ContactReport(
        channel="call", direction="outbound", party="debtor", outcome="busy", occurred_at=world.clock(), note=text
    )
    with world.database.work(person.actor) as work:
        return contacts.record(work, case_id, report).id
