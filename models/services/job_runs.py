"""The jobs as the database knows them: one run per job, organisation and business date, whoever runs it."""

import datetime as dt
from collections.abc import Callable
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import and_, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models import queue
from models.audit import OutboxEntry
from models.business_day import bounds, day_of
from models.errors import Invalid, NotFound, RowError
from models.ids import new_id
from models.job_run import JobRun
from models.organisation import LENDER, Tenant
from models.services import pages, tenancy
from models.work import OPERATOR, Work

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
REQUESTABLE: Final = ("reconciliation", "commission", "conduct")  # what a lender may ask for besides the timetable

Report: TypeAlias = Callable[[int], None]  # how a verb tells how far it is, in per cent


def quietly(percent: int) -> None:
    """Nobody watches."""


def schedule(work: Work, job: str, business_date: dt.date) -> JobRun | None:
    """Queue the run, unless it stands already: the unique key picks the winner of many clocks.

    One that somebody asked for before its day had ended does not stand for the night's.
    """
    insertion = upsert(JobRun).values(
        org_id=work.tenant_id,
        id=new_id(),
        job=job,
        business_date=business_date,
        state=QUEUED,
        attempts=0,
        progress=0,
        counts={},
        created_at=work.at,
    )
    day_ended_at = bounds(business_date)[1]
    premature = and_(
        JobRun.state.in_((DONE, FAILED)), JobRun.started_at < day_ended_at, literal(day_ended_at <= work.at)
    )
    run_id = work.session.scalar(
        insertion.on_conflict_do_update(
            index_elements=["org_id", "job", "business_date"],
            set_={"state": QUEUED, "progress": 0, "finished_at": None},
            where=premature,
        ).returning(JobRun.id)
    )
    if run_id is None:
        return None
    queue.enqueue(work, job, org_id=work.tenant_id, business_date=business_date.isoformat())
    return get(work, job, business_date)


def request(work: Work, job: str, business_date: dt.date) -> JobRun:
    """A lender asks for a run now. One that waits or runs already is answered; one that ended runs again."""
    if job not in REQUESTABLE:
        raise NotFound
    if business_date > day_of(work.at):
        raise Invalid(errors=[RowError(0, "business_date", "in_future")])
    scheduled = schedule(work, job, business_date)
    if scheduled:
        return scheduled
    standing = get(work, job, business_date)
    # Of many who ask at once, the one whose update finds it ended queues it.
    again = work.session.scalar(
        update(JobRun)
        .where(tenancy.mine(work, JobRun), JobRun.id == standing.id, JobRun.state.in_((DONE, FAILED)))
        .values(state=QUEUED, progress=0, finished_at=None)
        .returning(JobRun.id)
        .execution_options(synchronize_session=False)
    )
    if again:
        queue.enqueue(work, job, org_id=work.tenant_id, business_date=business_date.isoformat())
        work.session.refresh(standing)
    return standing


def start(work: Work, job: str, business_date: dt.date) -> JobRun:
    """The run is being worked on: for the first time, or once more."""
    begun = {"state": RUNNING, "progress": 0, "error_class": None, "started_at": work.at, "finished_at": None}
    insertion = upsert(JobRun).values(
        org_id=work.tenant_id,
        id=new_id(),
        job=job,
        business_date=business_date,
        attempts=1,
        counts={},
        created_at=work.at,
        **begun,
    )
    work.session.execute(
        insertion.on_conflict_do_update(
            index_elements=["org_id", "job", "business_date"], set_={**begun, "attempts": JobRun.attempts + 1}
        )
    )
    return get(work, job, business_date)


def report(work: Work, job: str, business_date: dt.date, percent: int) -> None:
    _change(work, job, business_date, progress=percent)


def finish(work: Work, job: str, business_date: dt.date, counts: dict[str, int]) -> None:
    """In the transaction of what was done, so that `done` and its effect stand together."""
    _change(work, job, business_date, state=DONE, progress=100, counts=counts, finished_at=work.at)


def fail(work: Work, job: str, business_date: dt.date, error_class: str) -> None:
    """`error_class` names the exception's class; its text could hold a value."""
    _change(work, job, business_date, state=FAILED, error_class=error_class, finished_at=work.at)


def get(work: Work, job: str, business_date: dt.date) -> JobRun:
    found = work.session.scalar(
        select(JobRun)
        .where(tenancy.mine(work, JobRun), JobRun.job == job, JobRun.business_date == business_date)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound
    return found


def list_own(
    work: Work, job: str | None = None, after: UUID | None = None, limit: int = 50, state: str | None = None
) -> list[JobRun]:
    """Newest first, of one job or state if one is named; for the operator, of every organisation."""
    query = select(JobRun)
    for column, value in ((JobRun.job, job), (JobRun.state, state)):
        if value is not None:
            query = query.where(column == value)
    if work.actor.side != OPERATOR:
        query = query.where(tenancy.mine(work, JobRun))
    return list(work.session.scalars(pages.newest(query, JobRun.id, after, limit)))


def list_lenders(work: Work) -> list[UUID]:
    """Every lender, by id: whom the jobs run for. The list of tenants is the only one without row security."""
    return list(work.session.scalars(select(Tenant.id).where(Tenant.kind == LENDER).order_by(Tenant.id)))


def list_tenants(work: Work) -> list[UUID]:
    return list(work.session.scalars(select(Tenant.id).order_by(Tenant.id)))


def list_tenants_with_entries(work: Work) -> list[UUID]:
    """For the operator's side: whose audit entries wait to join their log. What they say it cannot read."""
    return list(work.session.scalars(select(OutboxEntry.org_id).distinct()))


def find_last_start(work: Work, job: str) -> dt.datetime | None:
    """When the last run that is done began: what it could not see yet came later."""
    return work.session.scalar(
        select(func.max(JobRun.started_at)).where(tenancy.mine(work, JobRun), JobRun.job == job, JobRun.state == DONE)
    )


def find_last_date(work: Work, job: str) -> dt.date | None:
    """The latest business date that is done."""
    return work.session.scalar(
        select(func.max(JobRun.business_date)).where(
            tenancy.mine(work, JobRun), JobRun.job == job, JobRun.state == DONE
        )
    )


def _change(work: Work, job: str, business_date: dt.date, **values: object) -> None:
    work.session.execute(
        update(JobRun)
        .where(tenancy.mine(work, JobRun), JobRun.job == job, JobRun.business_date == business_date)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
