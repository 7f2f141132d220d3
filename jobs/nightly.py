"""One run of one job for one lender: open the work, call the verb, keep the counts."""

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from uuid import UUID

from jobs.timetable import Job
from models import (
    failures,
    tables,  # noqa: F401 (all of them: a reference is resolved only where its table is known)
)
from models.business_day import day_of
from models.database import Database
from models.services import job_runs
from models.services.parties import organisations
from models.work import JOBS, OPERATOR, Actor, Work

NOBODY = UUID(int=0)

logger = logging.getLogger(__name__)


class JobFailed(Exception):
    """Names the class of what went wrong and nothing more: its text could hold a value."""


def run(database: Database, job: Job, lender_id: UUID, business_date: dt.date) -> dict[str, int]:
    """What was done is committed together with the run's `done`, so a killed run has done nothing."""
    actor = actor_of(job.name, lender_id)

    def report(percent: int) -> None:
        with database.work(actor) as beside:
            job_runs.report(beside, job.name, business_date, percent)

    with database.work(actor) as work:
        job_runs.start(work, job.name, business_date)
    try:
        with database.work(actor) as work:
            counts = job.run(work, business_date, report)
            job_runs.finish(work, job.name, business_date, counts)
    except Exception as failure:  # noqa: BLE001 (the one place that runs whatever a job is)
        error_class = type(failure).__name__
        logger.error("%s of %s: %s", job.name, lender_id, failures.told(failure))
        with database.work(actor) as work:
            job_runs.fail(work, job.name, business_date, error_class)
        raise JobFailed(error_class) from None
    return counts


def schedule(database: Database, job: Job, lender_id: UUID, dates: list[dt.date]) -> int:
    """Queue the runs of these dates that no clock has queued yet; a lender has none from before it came."""
    with database.work(actor_of(job.name, lender_id)) as work:
        came_on = day_of(organisations.get_own(work).created_at)
        runs = [job_runs.schedule(work, job.name, date) for date in dates if date >= came_on]
    return len([run for run in runs if run])


def for_each(org_ids: Iterable[UUID], what: str, act: Callable[[UUID], int]) -> int:
    """Answers the sum. One organisation's trouble is not another's: it is logged, and tried again the next time."""
    total = 0
    for org_id in org_ids:
        try:
            total += act(org_id)
        except Exception as failure:  # noqa: BLE001 (it runs for everybody, like the worker)
            logger.error("the %s of %s wait: %s", what, org_id, failures.told(failure))
    return total


def each_due(
    database: Database, name: str, list_due: Callable[[Work], list[UUID]], act: Callable[[Work, UUID], int]
) -> int:
    """For every lender, each of what is due in a transaction of its own; answers how many were done."""

    def of_lender(lender_id: UUID) -> int:
        actor = actor_of(name, lender_id)

        def one(due_id: UUID) -> int:
            with database.work(actor) as work:
                return act(work, due_id)

        with database.work(actor) as work:
            due = list_due(work)
        return for_each(due, name, one)

    return for_each(list_lenders(database), name, of_lender)


def list_lenders(database: Database) -> list[UUID]:
    with database.work(actor_of("clock", NOBODY, OPERATOR)) as work:
        return job_runs.list_lenders(work)


def actor_of(name: str, org_id: UUID, side: str = JOBS) -> Actor:
    return Actor(side=side, org_id=org_id, name=name)
