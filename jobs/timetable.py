"""What runs when: every job, once a night for each lender, for the business day that has ended."""

import datetime as dt
from collections.abc import Callable
from typing import Final, NamedTuple

from jobs import commission, conduct, expiry, papers, reconciliation, rotation
from models.business_day import ZONE
from models.services.job_runs import Report
from models.work import Work


class Job(NamedTuple):
    """`at` is local time of the business zone, after midnight of the day it is for."""

    name: str
    at: dt.time
    run: Callable[[Work, dt.date, Report], dict[str, int]]


TIMETABLE: Final = (
    Job("expiry", dt.time(0, 5), expiry.run),
    Job("papers", dt.time(0, 20), papers.run),
    Job("rotation", dt.time(0, 40), rotation.run),
    Job("conduct", dt.time(1, 0), conduct.run),
    Job("reconciliation", dt.time(2, 0), reconciliation.run),
    Job("commission", dt.time(2, 30), commission.run),
)
JOBS: Final = {job.name: job for job in TIMETABLE}
CATCH_UP_DAYS: Final = 7


def due_dates(job: Job, now: dt.datetime) -> list[dt.date]:
    """The last business dates whose run should have started by now, the oldest first."""
    local = now.astimezone(ZONE)
    newest = local.date() - dt.timedelta(days=1 if local.time() >= job.at else 2)
    return [newest - dt.timedelta(days=days) for days in reversed(range(CATCH_UP_DAYS))]
