"""The clock: it ticks in every process, and may. What it queues stands once, because `job_run` is unique."""

from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobs import allocation, awards, documents, erasure, keys, minute, nightly, offers, tallies, webhooks
from jobs.integration import Integrator
from jobs.timetable import TIMETABLE, Job, due_dates
from models.business_day import ZONE
from models.database import Database

INTEGRATION_SECONDS = 1
LOOK_AT_ALL_SECONDS = 60
MINUTE_SECONDS = 60
KEYS_SECONDS = 10
SWEEP_SECONDS = 3600
WEBHOOKS_SECONDS = 2
PURGE_HOUR = 4  # of the night, after its jobs
# What becomes due between the nights.
EVERY_MINUTE: Final = (minute.carry_on, awards.make_due, offers.end_due, allocation.stop_lost)


def make(database: Database, integrator: Integrator) -> BackgroundScheduler:
    """A clock that stands still until it is started; then it makes good the nights that were missed, and ticks on."""
    clock = BackgroundScheduler(
        timezone=ZONE, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    for job in TIMETABLE:
        nightly_at = CronTrigger(hour=job.at.hour, minute=job.at.minute, timezone=ZONE)
        clock.add_job(tick, nightly_at, args=(database, job), id=job.name)
        clock.add_job(tick, args=(database, job), id=f"{job.name} at start")
    clock.add_job(integrator.look_at_all, IntervalTrigger(seconds=LOOK_AT_ALL_SECONDS, timezone=ZONE))
    clock.add_job(integrator.tick, IntervalTrigger(seconds=INTEGRATION_SECONDS, timezone=ZONE))
    every_minute = IntervalTrigger(seconds=MINUTE_SECONDS, timezone=ZONE)
    clock.add_job(erasure.publish, every_minute, args=(database, integrator.objects))
    for act in EVERY_MINUTE:
        clock.add_job(act, every_minute, args=(database,))
    every_hour = IntervalTrigger(seconds=SWEEP_SECONDS, timezone=ZONE)
    clock.add_job(documents.sweep, every_hour, args=(database, integrator.objects))
    clock.add_job(tallies.fold, every_hour, args=(database,))
    often = IntervalTrigger(seconds=KEYS_SECONDS, timezone=ZONE)
    clock.add_job(keys.carry_on, often, args=(database, integrator.objects))
    at_once = IntervalTrigger(seconds=WEBHOOKS_SECONDS, timezone=ZONE)
    clock.add_job(webhooks.pass_on, at_once, args=(database,))
    clock.add_job(webhooks.purge, CronTrigger(hour=PURGE_HOUR, timezone=ZONE), args=(database,))
    return clock


def tick(database: Database, job: Job) -> int:
    """Queue what is due of one job, for every lender; answers how many runs are new."""
    dates = due_dates(job, database.clock())
    return sum(nightly.schedule(database, job, lender_id, dates) for lender_id in nightly.list_lenders(database))
