"""Recall against release: commit order decides, and nothing is opened that is not in the log."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import CaseClosedToWork
from models.services import placements, releases
from models.work import JOBS, Actor
from tests.world import Someone, World

THREADS = 8


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_after_a_recalls_commit_no_release_succeeds(world: World, count: int) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    case_id = world.case_ids(placement, lender)[0]
    people = [agency, *(world.person(agency, "manager") for _ in range(THREADS - 1))]
    start, recalled = threading.Barrier(THREADS + 1), threading.Event()
    enough = threading.Semaphore(0)  # rises with every release, so that the recall comes in their midst
    opened: list[UUID] = []

    def keep_releasing(person: Someone) -> int:
        start.wait()
        late = 0
        for _ in range(count // THREADS + 1):
            after_recall = recalled.is_set()
            try:
                with world.database.work(person.actor) as work:
                    release = releases.authorise(work, case_id, "contact", "contact_borrower")
            except CaseClosedToWork:
                continue
            assert _is_logged(world, lender, release.id)
            assert release.open(world.database.vault) == {"mobile": "13800000001"}
            opened.append(release.id)
            enough.release()
            late += after_recall
        return late

    def recall() -> None:
        start.wait()
        for _ in range(count // 4):
            assert enough.acquire(timeout=60)
        with world.database.work(lender.actor) as work:
            placements.recall(work, placement.id, "lender_request")
        recalled.set()

    with ThreadPoolExecutor(THREADS + 1) as threads:
        ended = threads.submit(recall)
        assert sum(threads.map(keep_releasing, people)) == 0
        ended.result()
    assert set(opened) == _logged(world, lender)
    _require_older_than_the_recall(world, lender, case_id)


def _is_logged(world: World, lender: Someone, release_id: UUID) -> bool:
    return release_id in _logged(world, lender)


def _logged(world: World, lender: Someone) -> set[UUID]:
    """The releases in the lender's log, as another connection sees it."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        entries = [json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry))]
    return {UUID(entry["subject"]["release"]) for entry in entries if entry["action"] == "field.release"}


def _require_older_than_the_recall(world: World, lender: Someone, case_id: UUID) -> None:
    """In the log too no release follows the recall: outbox ids grow in the order of the entries."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        entries = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)).all()
    actions = [json.loads(entry)["action"] for entry in entries]
    assert "field.release" not in actions[actions.index("placement.recall") :]
