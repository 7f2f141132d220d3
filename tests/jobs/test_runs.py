"""Runs of jobs: one for each day and lender whoever asks, done together with its effect, failed by class alone."""

import asyncio
import datetime as dt
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from jobs import clock as clocks
from jobs import nightly, worker
from jobs.__main__ import run_by_hand
from jobs.timetable import JOBS, Job
from models.database import Database
from models.errors import Invalid, NotFound
from models.job_run import JobRun
from models.queue import enqueue
from models.services import job_runs
from models.services.settlement import reconciliations
from models.work import Work
from tests.conftest import Clock
from tests.facts import TODAY, claim, jobs, payment, placed, receive_payments
from tests.world import Someone, World

RECONCILIATION = JOBS["reconciliation"]
SECRET = "13800000000"


def runs(world: World, lender: Someone) -> list[JobRun]:
    with world.database.work(lender.actor) as work:
        return job_runs.list_own(work)


def queued(world: World, lender: Someone) -> list[tuple[str, int]]:
    """What waits in the queue for the lender: the task, and how often it was tried."""
    waiting = text(
        "select task_name, attempts from procrastinate.procrastinate_jobs where args->>'org_id' = :org order by id"
    )
    with world.database.work(jobs(lender)) as work:
        return [tuple(row) for row in work.session.execute(waiting, {"org": str(lender.organisation.id)})]


def work_off(database: Database) -> None:
    """A worker that ends when nothing waits any more."""

    async def run() -> None:
        app = worker.make_app(database, database.engine.url.render_as_string(hide_password=False))
        async with app.open_async():
            await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)

    asyncio.run(run())


def failing(work: Work, business_date: dt.date, report: job_runs.Report) -> dict[str, int]:
    raise RuntimeError(f"the phone of somebody is {SECRET}")


def test_a_run_is_done_with_its_counts(world: World) -> None:
    of = placed(world)
    claim(world, of, "100.00")
    receive_payments(world, of.lender, payment(of.case, "100.00"))
    counts = nightly.run(world.database, RECONCILIATION, of.lender.organisation.id, TODAY)
    (run,) = runs(world, of.lender)
    assert (run.state, run.counts, run.progress, run.attempts) == ("done", counts, 100, 1)
    assert counts["matched"] == 1


def test_a_date_that_is_done_runs_again_and_changes_nothing(world: World) -> None:
    of = placed(world)
    claim(world, of, "100.00")
    for _ in range(2):
        nightly.run(world.database, RECONCILIATION, of.lender.organisation.id, TODAY)
    with world.database.work(of.lender.actor) as work:
        assert len(reconciliations.list_breaks(work)) == 1
    assert [run.attempts for run in runs(world, of.lender)] == [2]


def test_a_failure_is_kept_as_its_class_and_not_its_text(world: World) -> None:
    lender = world.lender()
    with pytest.raises(nightly.JobFailed) as failed:
        nightly.run(world.database, RECONCILIATION._replace(run=failing), lender.organisation.id, TODAY)
    (run,) = runs(world, lender)
    assert (run.state, run.error_class) == ("failed", "RuntimeError")
    assert str(failed.value) == "RuntimeError"
    assert failed.value.__suppress_context__


def test_progress_is_seen_while_the_run_is_still_going_on(world: World) -> None:
    lender = world.lender()
    seen = []

    def watched(work: Work, business_date: dt.date, report: job_runs.Report) -> dict[str, int]:
        report(40)
        seen.extend((run.state, run.progress) for run in runs(world, lender))
        return {}

    nightly.run(world.database, RECONCILIATION._replace(run=watched), lender.organisation.id, TODAY)
    assert seen == [("running", 40)]


def test_many_clocks_queue_a_night_once(world: World, clock: Clock) -> None:
    lender, together = world.lender(), Barrier(4)
    clock.forward(days=1)

    def tick() -> None:
        together.wait()
        clocks.tick(world.database, RECONCILIATION)

    threads = [Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queued(world, lender) == [("reconciliation", 0)]


def test_missed_nights_are_made_good_and_none_from_before_the_lender_came(world: World, clock: Clock) -> None:
    lender = world.lender()
    clock.forward(days=3)
    assert clocks.tick(world.database, RECONCILIATION) >= 3
    assert clocks.tick(world.database, RECONCILIATION) == 0
    work_off(world.database)
    assert sorted((run.business_date, run.state) for run in runs(world, lender)) == [
        (TODAY + dt.timedelta(days=days), "done") for days in range(3)
    ]


def test_the_worker_runs_what_was_queued_and_leaves_an_empty_queue(world: World) -> None:
    of = placed(world)
    claim(world, of, "100.00")
    receive_payments(world, of.lender, payment(of.case, "100.00"))
    with world.database.work(of.lender.actor) as work:
        asked = job_runs.request(work, "reconciliation", TODAY)
    assert asked.state == "queued"
    work_off(world.database)
    assert [(run.state, run.counts["matched"]) for run in runs(world, of.lender)] == [("done", 1)]
    assert queued(world, of.lender) == []


def test_what_fails_is_tried_again_later_and_the_queue_knows_no_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lender = world.lender()
    monkeypatch.setattr(worker, "TIMETABLE", [Job("reconciliation", RECONCILIATION.at, failing)])
    with world.database.work(lender.actor) as work:
        job_runs.request(work, "reconciliation", TODAY)
    work_off(world.database)
    assert queued(world, lender) == [("reconciliation", 1)]
    assert [(run.state, run.error_class) for run in runs(world, lender)] == [("failed", "RuntimeError")]
    assert SECRET not in caplog.text


def test_a_request_that_is_rolled_back_queues_nothing(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        job_runs.request(work, "reconciliation", TODAY)
        work.session.rollback()
    assert queued(world, lender) == []


def test_asking_twice_while_a_run_waits_queues_it_once(world: World) -> None:
    lender = world.lender()
    for _ in range(2):
        with world.database.work(lender.actor) as work:
            job_runs.request(work, "conduct", TODAY)
    assert len(queued(world, lender)) == 1


def test_a_run_that_has_ended_is_queued_once_however_often_it_is_asked_for(world: World) -> None:
    lender = world.lender()
    nightly.run(world.database, RECONCILIATION, lender.organisation.id, TODAY)
    for _ in range(3):
        with world.database.work(lender.actor) as work:
            assert job_runs.request(work, "reconciliation", TODAY).state == "queued"
    assert len(queued(world, lender)) == 1


def test_a_run_that_has_ended_runs_again_when_asked_for(world: World) -> None:
    lender = world.lender()
    nightly.run(world.database, RECONCILIATION, lender.organisation.id, TODAY)
    with world.database.work(lender.actor) as work:
        job_runs.request(work, "reconciliation", TODAY)
    work_off(world.database)
    assert [(run.state, run.attempts) for run in runs(world, lender)] == [("done", 2)]


def test_a_lender_asks_for_no_day_to_come_and_no_job_but_its_own(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        with pytest.raises(Invalid):
            job_runs.request(work, "reconciliation", TODAY + dt.timedelta(days=1))
        with pytest.raises(NotFound):
            job_runs.request(work, "expiry", TODAY)


def test_the_portal_may_queue_and_not_read_the_queue(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        enqueue(work, "conduct", org_id=lender.organisation.id, business_date=TODAY.isoformat())
        with pytest.raises(Exception, match="permission denied"):
            work.session.execute(text("select * from procrastinate.procrastinate_jobs"))
        work.session.rollback()


def test_a_name_that_no_job_has_is_not_queued(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work, pytest.raises(ValueError, match="no job is called"):
        enqueue(work, "everything", org_id=lender.organisation.id)


def test_by_hand_a_job_runs_for_every_lender_and_tells_what_it_did(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    lenders = [world.lender(), world.lender()]
    assert run_by_hand(world.database, RECONCILIATION, TODAY) == 0
    printed = capsys.readouterr().out.splitlines()
    assert {str(lender.organisation.id) for lender in lenders} <= {line.split()[0] for line in printed}
    assert all("matched" in line for line in printed)


def test_by_hand_a_failure_for_one_lender_is_told_and_counts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    lender = world.lender()
    assert run_by_hand(world.database, RECONCILIATION._replace(run=failing), TODAY) == 1
    assert f"{lender.organisation.id}  failed: RuntimeError\n" in capsys.readouterr().err


def test_a_lenders_runs_are_its_own(world: World) -> None:
    lender, other = world.lender(), world.lender()
    with world.database.work(jobs(lender)) as work:
        job_runs.start(work, "conduct", TODAY)
    assert runs(world, other) == []
    with world.database.work(world.operator) as work:
        assert lender.organisation.id in {run.org_id for run in job_runs.list_own(work, limit=200)}
