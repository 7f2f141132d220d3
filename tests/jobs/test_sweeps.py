"""The worker's sweep: what one stalled task or one failed sweep does not stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as Task
from procrastinate.jobs import Status

from jobs import worker
from models.allocation_plan import RULES, Plan, Rule, equal_shares
from models.database import Database
from models.ids import new_id
from models.queue import ALLOCATION, WEBHOOKS
from models.services.exchange import allocations, tenders
from models.tender import REFUSED
from tests.world import World


class Queue:
    """Like procrastinate's manager; of the sweeps the first fails, and what is finished does not stall any more."""

    def __init__(self, *stalled: Task) -> None:
        self.stalled, self.sweeps = list(stalled), 0

    async def get_stalled_jobs(self, seconds_since_heartbeat: float) -> list[Task]:
        self.sweeps += 1
        if self.sweeps == 1:
            raise ConnectorException
        return list(self.stalled)

    async def finish_job(self, task: Task, status: Status, delete_job: bool) -> None:
        assert (status, delete_job) == (Status.FAILED, False)
        self.stalled.remove(task)


def stalled(name: str, **ids: UUID) -> Task:
    """One that has taken every worker with it so far."""
    named = {key: str(value) for key, value in ids.items()}
    return cast(Task, SimpleNamespace(id=1, attempts=worker.ATTEMPTS_MAX, task_name=name, task_kwargs=named))


@asynccontextmanager
async def sweeping(database: Database, queue: Queue) -> AsyncIterator[None]:
    app = cast(App, SimpleNamespace(job_manager=queue))
    sweeper = asyncio.create_task(worker._sweep(app, database, 0.05, 1))
    try:
        yield
        assert not sweeper.done()
    finally:
        sweeper.cancel()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.02)


def test_a_sweep_that_failed_is_tried_again(world: World) -> None:
    queue = Queue(stalled(WEBHOOKS))

    async def run() -> None:
        async with sweeping(world.database, queue):
            await until(lambda: not queue.stalled)

    asyncio.run(run())
    assert queue.sweeps > 1


def test_a_task_that_cannot_be_given_up_now_stays_and_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    lender = world.lender()
    agreement, portfolio = world.agreement(lender, world.agency()), world.portfolio(lender, 2)
    with world.database.work(lender.actor) as work:
        tender = allocations.preview(work, portfolio.id, Plan(RULES, [Rule(equal_shares([agreement.id]))], b""))
    held = stalled(ALLOCATION, org_id=tender.lender_id, tender_id=tender.id)
    queue = Queue(held, stalled(ALLOCATION, org_id=tender.lender_id, tender_id=new_id()))

    async def run() -> None:
        async with sweeping(world.database, queue):
            with world.database.work(lender.actor) as holder:
                tenders.lock(holder, tender.lender_id, tender.id)
                await until(lambda: queue.stalled == [held])
            await until(lambda: not queue.stalled)

    asyncio.run(run())
    with world.database.work(lender.actor) as work:
        ended = allocations.get(work, tender.id)
    assert (ended.state, ended.refusal) == (REFUSED, {"code": allocations.FAILED})
