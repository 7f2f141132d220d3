"""A compliance officer and an auditor: who broke which rule, on what evidence, and a log that verifies itself."""

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from jobs import nightly
from jobs.timetable import JOBS
from models.business_day import ZONE
from models.database import Database
from models.objects import open_store
from tests.browser.visitor import ROOT, Visitor
from tests.conftest import Clock
from tests.facts import TODAY, Placed, call, placed, release
from tests.logbook import Log
from tests.world import Debt, Someone, World


def test_breaches_are_seen_with_their_evidence_and_the_log_verifies(
    world: World, database: Database, clock: Clock, tmp_path: Path, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    of = judged_day(world, database, clock, lender)
    officer = world.person(lender, "compliance_officer")
    auditor = world.auditor(officer)
    log = Log(world, lender, open_store(str(tmp_path / "objects")))
    log.integrate()
    log.publish()

    visitor = visit(officer)
    visitor.look("overview-compliance")
    visitor.go("/breaches")
    visitor.look("breaches-lender")
    visitor.go("/audit-log")
    visitor.look("audit-log")

    visitor = visit(auditor)
    page = visitor.page
    visitor.look("auditor-choose-mandate")
    visitor.leave_by(page.locator("[name=lender_id]"))
    expect(page.locator("table.heat")).to_be_visible()
    visitor.look("overview-auditor")
    visitor.leave_by(page.locator("table.heat td a", has_text="1").first)
    visitor.leave_by(page.locator("tbody th a").first)
    expect(page.locator("ol.timeline li").first).to_be_visible()
    visitor.look("breach")
    visitor.go(f"/cases/{of.case.id}")
    expect(page.locator(".plain-list li")).to_have_count(1)
    visitor.look("case-auditor")

    visitor.go("/audit-log")
    key = page.locator("dd code", has_text="consign.test/log/").inner_text()
    taken = tmp_path / "audit-log.jsonl"
    taken.write_bytes(visitor.download(visitor.link("Download the log").first))
    assert verify(taken, key).returncode == 0
    taken.write_bytes(taken.read_bytes().replace(b"portfolio.upload", b"portfolio.uploaD", 1))
    assert verify(taken, key).returncode != 0


def judged_day(world: World, database: Database, clock: Clock, lender: Someone) -> Placed:
    """One day with a call at night and a number opened for nothing, and the sweep of the night after."""
    of = placed(world, [Debt(1, "5000.00"), Debt(2, "900.00")], lender=lender)
    late = dt.datetime.combine(TODAY, dt.time(22, 40), ZONE)
    call(world, of, late, case=of.cases[1])
    release(world, of, late.replace(hour=11))
    clock.forward(days=2)
    for day in (TODAY, TODAY + dt.timedelta(days=1)):
        nightly.run(database, JOBS["conduct"], lender.organisation.id, day)
    return of


def verify(path: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crypto", "verify-log", str(path), "--key", key]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
