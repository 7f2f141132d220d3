"""Recall, freeze, expiry and erasure against release: commit order decides, and nothing opens that is not logged."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from models.audit import OutboxEntry
from models.erasure import CASE
from models.errors import CaseClosedToWork, Conflict
from models.placement import Placement
from models.services.collection import releases
from models.services.exchange import placed_cases, placements, recalls
from models.services.parties import freezes, standings
from models.services.portfolio import cases, erasures
from models.work import JOBS, Actor, Work
from tests.conftest import Clock
from tests.racing import await_waiter
from tests.world import Someone, World

THREADS = 8
HAMMERING, ACT_SECONDS, RECALL_SECONDS_MAX = 12, 0.05, 1.0

# How a lender ends an agency's access to a case, and the entry it leaves.
ENDS: Final[Mapping[str, Callable[[Work, Placement, UUID], object]]] = {
    "placement.recall": lambda work, placement, _: recalls.recall(work, placement.id, "lender_request"),
    "case.recall": lambda work, placement, case_id: recalls.recall(work, placement.id, "dispute", [case_id]),
    "placement.freeze": lambda work, placement, _: freezes.freeze(work, placement.id, "data_incident"),
}
ENDED = {"case_recalled", "placement_frozen", "placement_expired", "case_erased"}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_after_the_commit_of_its_end_no_release_succeeds(world: World, count: int, end: str) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2)
    case_id = world.case_ids(placement, lender)[0]
    people = [agency, *(world.person(agency, "manager") for _ in range(THREADS - 1))]

    def act() -> None:
        with world.database.work(lender.actor) as work:
            ENDS[end](work, placement, case_id)

    opened = _release_until(world, lender, people, case_id, count, act)
    assert opened == _logged(world, lender)
    _require_no_release_after(world, lender, end)


def test_no_release_succeeds_past_the_term_although_no_job_has_swept_it(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    case_id = world.case_ids(placement, lender)[0]
    people = [agency, *(world.person(agency, "manager") for _ in range(THREADS - 1))]
    clock.at = placement.expires_at - dt.timedelta(seconds=1)
    _drop_entries(world, lender)
    opened = _release_until(world, lender, people, case_id, 50, lambda: clock.forward(seconds=1))
    assert opened == _logged(world, lender)
    with world.database.work(lender.actor) as work:
        assert all(row.released_at < placement.expires_at for row in releases.list_of_case(work, case_id))


def test_of_a_lenders_release_and_an_erasure_the_later_is_told_so(world: World) -> None:
    lender = world.lender()
    people = [lender, *(world.person(lender, "portfolio_manager") for _ in range(THREADS - 1))]
    world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work:
        case_id = cases.list_own(work)[0].case.id

    def act() -> None:
        with world.database.work(lender.actor) as work:
            erasures.erase(work, CASE, case_id)

    opened = _release_until(world, lender, people, case_id, 50, act)
    assert opened == _logged(world, lender)
    _require_no_release_after(world, lender, "erasure.carry_out")


def test_a_freeze_that_commits_while_a_release_waits_refuses_it(world: World) -> None:
    """A freeze of the agency waits for nobody: the release began before it, and waited for another act meanwhile."""
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency)
    case_id = world.case_ids(placement, lender)[0]
    with ThreadPoolExecutor(1) as threads, world.database.work(lender.actor) as holding:
        placements.lock(holding, placement)
        releasing = threads.submit(_release, world, agency, case_id)
        await_waiter(holding)
        with world.database.work(lender.actor) as work:
            standings.freeze(work, agency.organisation.id, "data_incident")
        holding.session.rollback()
        with pytest.raises(CaseClosedToWork, match="placement_frozen"):
            releasing.result()


def test_a_recall_is_not_kept_waiting_by_an_agency_that_never_pauses(world: World) -> None:
    """Rows are not locked in the order of asking: acts that overlap, each a moment long, would shut the recall out.

    For many seconds, each time; a busy machine may slow it down once.
    """
    lender, agency = world.lender(), world.agency()
    assert any(_recall_amid_acts(world, lender, agency) < RECALL_SECONDS_MAX for _ in range(3))


def _release_until(
    world: World, lender: Someone, people: list[Someone], case_id: UUID, count: int, end: Callable[[], None]
) -> set[UUID]:
    """Everybody opens the case as often as they can, and `end` comes in their midst; answers what was opened.

    No release that began after the end has come may succeed.
    """
    start, ended = threading.Barrier(len(people) + 1), threading.Event()
    enough = threading.Semaphore(0)  # rises with every release, so that the end comes in their midst
    opened: list[UUID] = []
    why: set[str] = set()

    def keep_releasing(person: Someone) -> int:
        start.wait()
        late = 0
        for _ in range(count // len(people) + 1):
            after_end = ended.is_set()
            try:
                with world.database.work(person.actor) as work:
                    release = releases.authorise(work, case_id, "contact", "contact_borrower")
            except Conflict as refused:
                why.add(refused.code)
                continue
            assert _is_logged(world, lender, release.id)
            assert release.open(world.database.vault) == {"mobile": "13800000001"}
            opened.append(release.id)
            enough.release()
            late += after_end
        return late

    def act() -> None:
        start.wait()
        for _ in range(count // 4):
            assert enough.acquire(timeout=60)
        end()
        ended.set()

    with ThreadPoolExecutor(len(people) + 1) as threads:
        acting = threads.submit(act)
        assert sum(threads.map(keep_releasing, people)) == 0
        acting.result()
    assert why <= ENDED
    return set(opened)


def _is_logged(world: World, lender: Someone, release_id: UUID) -> bool:
    return release_id in _logged(world, lender)


def _logged(world: World, lender: Someone) -> set[UUID]:
    """The releases in the lender's log, as another connection sees it."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    return {UUID(entry["subject"]["release"]) for entry in entries if entry["action"] == "field.release"}


def _require_no_release_after(world: World, lender: Someone, end: str) -> None:
    """In the log too no release follows the end: outbox ids grow in the order of the entries."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        entries = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)).all()
    actions = [json.loads(entry)["action"] for entry in entries]
    assert "field.release" not in actions[actions.index(end) :]


def _drop_entries(world: World, lender: Someone) -> None:
    """As if the log had taken everything so far, so that the test may move the clock."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        work.session.execute(delete(OutboxEntry).where(OutboxEntry.org_id == lender.organisation.id))


def _release(world: World, person: Someone, case_id: UUID) -> None:
    with world.database.work(person.actor) as work:
        releases.authorise(work, case_id, "contact", "contact_borrower")


def _recall_amid_acts(world: World, lender: Someone, agency: Someone) -> float:
    """The seconds that a recall takes while HAMMERING threads act under its placement, one act after the other."""
    placement = world.placement(lender, agency)
    case_id = world.case_ids(placement, lender)[0]
    start, over = threading.Barrier(HAMMERING + 1), threading.Event()

    def hammer() -> None:
        start.wait()
        while not over.is_set():
            with suppress(CaseClosedToWork), world.database.work(agency.actor) as work:
                placed = placed_cases.get_placed(work, case_id)
                with work.as_lender(placed.placement):
                    placed_cases.hold(work, placed)
                    time.sleep(ACT_SECONDS)

    with ThreadPoolExecutor(HAMMERING) as threads:
        hammering = [threads.submit(hammer) for _ in range(HAMMERING)]
        start.wait()
        time.sleep(2 * ACT_SECONDS)
        began = time.monotonic()
        try:
            with world.database.work(lender.actor) as work:
                recalls.recall(work, placement.id, "lender_request")
            took = time.monotonic() - began
        finally:
            over.set()
        for one in hammering:
            one.result()
    return took
