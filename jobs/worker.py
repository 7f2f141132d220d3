"""The worker: takes tasks from the queue, runs each as its job, and frees what a killed worker left behind."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from functools import partial
from uuid import UUID

from procrastinate import App, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as Task
from procrastinate.jobs import Status
from sqlalchemy.engine import make_url

from jobs import allocation, nightly, webhooks
from jobs.timetable import JOBS, TIMETABLE, Job
from models import failures
from models.database import Database
from models.outbound import Courier
from models.queue import ALLOCATION, QUEUE, WEBHOOKS
from models.services import job_runs

ATTEMPTS_MAX = 5
RETRY_SECONDS = 10  # and so on, doubling
TASKS_AT_ONCE = 2
DELIVERIES_AT_ONCE = 4  # they mostly wait, and never in the way of a night's work
POLL_SECONDS = 1.0  # nothing tells a worker that a task's turn has come
HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 30.0  # a worker silent for so long is taken for dead

logger = logging.getLogger(__name__)


def make_app(database: Database, url: str, courier: Courier | None = None) -> App:
    """The queue's app: a task for each job, for large allocations, for webhooks; `url` is where the login connects."""
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = "-c role=consign_jobs -c search_path=procrastinate,public"
    app = App(
        connector=PsycopgConnector(conninfo=conninfo, kwargs={"options": options}),
        worker_defaults={
            "queues": [QUEUE, WEBHOOKS],
            "concurrency": TASKS_AT_ONCE,
            "fetch_job_polling_interval": POLL_SECONDS,
            "delete_jobs": "successful",  # The truth about what ran is in job_run.
        },
    )
    # `max_attempts` counts the retries after the first.
    retry = RetryStrategy(max_attempts=ATTEMPTS_MAX - 1, wait=RETRY_SECONDS, exponential_wait=2)
    for job in TIMETABLE:
        app.task(name=job.name, queue=QUEUE, retry=retry)(_task(database, job))
    app.task(name=ALLOCATION, queue=QUEUE, retry=retry)(_allocate(database))
    app.task(name=WEBHOOKS, queue=WEBHOOKS, retry=retry)(_deliver(database, courier or Courier()))
    return app


def _deliver(database: Database, courier: Courier) -> Callable[[str, list[tuple[str, int]]], None]:
    def run(org_id: str, deliveries: list[tuple[str, int]]) -> None:
        webhooks.deliver(database, courier, UUID(org_id), [(UUID(id_), attempt) for id_, attempt in deliveries])

    return run


def _allocate(database: Database) -> Callable[[str, str], None]:
    def run(org_id: str, tender_id: str) -> None:
        allocation.run(database, UUID(org_id), UUID(tender_id))

    return run


def _task(database: Database, job: Job) -> Callable[[str, str], None]:
    def run(org_id: str, business_date: str) -> None:
        nightly.run(database, job, UUID(org_id), dt.date.fromisoformat(business_date))

    return run


async def serve(
    app: App,
    database: Database,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Work until SIGTERM or SIGINT; what has begun is finished first."""
    run = partial(
        app.run_worker_async, update_heartbeat_interval=heartbeat_seconds, stalled_worker_timeout=stalled_seconds
    )
    async with app.open_async():
        sweeper = asyncio.create_task(_sweep(app, database, heartbeat_seconds, stalled_seconds))
        workers = [
            asyncio.create_task(run(queues=[QUEUE])),
            asyncio.create_task(run(queues=[WEBHOOKS], concurrency=DELIVERIES_AT_ONCE, install_signal_handlers=False)),
        ]
        ended, others = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        for other in (sweeper, *others):
            other.cancel()
        await asyncio.gather(sweeper, *others, return_exceptions=True)
        for worker in ended:
            worker.result()  # What broke one worker ends the process.


async def _sweep(app: App, database: Database, every_seconds: float, stalled_seconds: float) -> None:
    """For as long as the worker lives: what cannot be freed now is tried again the next time."""
    while True:
        try:
            for task in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
                await _free(app, database, task)
        except ConnectorException as lost:
            logger.error("the sweep waits: %s", type(lost).__name__)
        await asyncio.sleep(every_seconds)


async def _free(app: App, database: Database, task: Task) -> None:
    """Back into the queue, unless it has taken too many workers with it already: then it is given up, and only what
    has been given up is finished. One task's trouble is not another's."""
    try:
        if task.attempts + 1 < ATTEMPTS_MAX:
            await app.job_manager.retry_job(task)
            return
        await asyncio.to_thread(_give_up, database, task)
        await app.job_manager.finish_job(task, Status.FAILED, delete_job=False)
    except ConnectorException:
        return  # Another worker's sweep was quicker.
    except Exception as failure:  # noqa: BLE001 (it frees whatever a job is)
        logger.error("task %s of %s stays: %s", task.id, task.task_name, failures.told(failure))


def _give_up(database: Database, task: Task) -> None:
    if task.task_name == WEBHOOKS:
        return  # The delivery still waits, and is queued again when it is overdue.
    lender_id = UUID(str(task.task_kwargs["org_id"]))
    if task.task_name == ALLOCATION:
        allocation.give_up(database, lender_id, UUID(str(task.task_kwargs["tender_id"])))
        return
    job = JOBS[task.task_name]
    with database.work(nightly.actor_of(job.name, lender_id)) as work:
        job_runs.fail(work, job.name, dt.date.fromisoformat(str(task.task_kwargs["business_date"])), "WorkerKilled")
