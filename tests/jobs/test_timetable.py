"""The timetable: its names are the queue's, and each night's run is due from its hour on."""

import datetime as dt

import pytest

from jobs.timetable import CATCH_UP_DAYS, JOBS, TIMETABLE, due_dates
from jobs.worker import make_app
from models import queue
from models.database import Database
from models.services.job_runs import REQUESTABLE

SHANGHAI = dt.timezone(dt.timedelta(hours=8))


def test_verbs_know_the_jobs_by_the_names_they_have(database: Database) -> None:
    app = make_app(database, str(database.engine.url))
    tasks = {name for name in app.tasks if not name.startswith(("builtin:", "procrastinate."))}
    assert {job.name for job in TIMETABLE} == set(JOBS) == queue.TASKS - {queue.ALLOCATION}
    assert tasks == queue.TASKS | {queue.WEBHOOKS}


def test_what_a_lender_may_ask_for_is_in_the_timetable() -> None:
    assert set(REQUESTABLE) <= set(JOBS)


@pytest.mark.parametrize(
    ("hour", "minute", "newest"),
    [(1, 59, dt.date(2026, 3, 8)), (2, 0, dt.date(2026, 3, 9)), (23, 59, dt.date(2026, 3, 9))],
)
def test_a_day_is_due_from_the_hour_of_the_night_after_it(hour: int, minute: int, newest: dt.date) -> None:
    now = dt.datetime(2026, 3, 10, hour, minute, tzinfo=SHANGHAI).astimezone(dt.UTC)
    dates = due_dates(JOBS["reconciliation"], now)
    assert dates == [newest - dt.timedelta(days=days) for days in range(CATCH_UP_DAYS - 1, -1, -1)]


def test_payments_are_reconciled_before_commission_is_booked() -> None:
    assert JOBS["reconciliation"].at < JOBS["commission"].at
