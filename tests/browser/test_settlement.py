"""A settlement officer's day: the ledger's files, a run on request, and a statement that anybody can recompute."""

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from jobs import nightly
from jobs.timetable import JOBS
from models.database import Database
from tests.browser.visitor import ROOT, Visitor
from tests.conftest import Clock
from tests.facts import BALANCE_HEADER, PAYMENT_HEADER, TODAY, balance, claim, ledger_file, payment, placed
from tests.world import Debt, Someone, World


def test_a_day_of_the_ledger_becomes_a_statement_to_the_cent(
    world: World, database: Database, clock: Clock, tmp_path: Path, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    case, other = (of := placed(world, [Debt(1, "5000.00"), Debt(2, "900.00")], lender=lender)).cases
    officer = world.person(lender, "settlement_officer")
    claim(world, of, "1200.00", case=case)
    claim(world, of, "77.00", case=other)
    clock.forward(days=1)
    visitor = visit(officer)
    page = visitor.page

    visitor.go("/ledger")
    visitor.look("ledger-empty")
    lost = payment("K-UNKNOWN-CASE", "88.00")
    send(visitor, "payments", ledger_file([payment(case, "1200.00"), payment(other, "33.33"), lost], PAYMENT_HEADER))
    visitor.look("ledger-payments")
    visitor.go("/ledger/suspense")
    expect(page.locator("tbody tr")).to_have_count(1)
    visitor.look("ledger-suspense")
    send(visitor, "balances", ledger_file([balance(case, "3800.00"), balance(other, "866.67")], BALANCE_HEADER))
    visitor.look("ledger-balances")
    visitor.go("/ledger")
    visitor.look("ledger")

    for job in ("reconciliation", "commission"):
        visitor.go("/jobs")
        page.locator("form[method=post] select[name=job]").select_option(job)
        page.locator("form[method=post] [name=business_date]").fill(TODAY.isoformat())
        visitor.press("Run now")
        expect(page.locator(".notice-good")).to_be_visible()
        nightly.run(database, JOBS[job], lender.organisation.id, TODAY)
    visitor.go("/jobs")
    visitor.look("jobs")
    visitor.go("/breaks")
    visitor.look("breaks")

    visitor.go("/statements")
    visitor.look("statements")
    visitor.leave_by(page.locator("tbody th a"))
    assert page.url.endswith("/2026-03")
    expect(page.locator(".chart-picture svg:visible")).to_be_visible()
    page.locator("details.derivation summary").first.click()
    visitor.look("statement")
    proof = tmp_path / "statement.csv"
    proof.write_bytes(visitor.download(visitor.link("Proof file (CSV)")))
    command = [sys.executable, "-m", "models.commission", "verify", str(proof)]
    tool = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert tool.returncode == 0, tool.stderr
    assert "222.00 CNY" in tool.stdout


def send(visitor: Visitor, kind: str, content: bytes, on: dt.date = TODAY) -> None:
    """Upload one of the ledger's files by its page."""
    visitor.go(f"/ledger/upload/{kind}")
    form = visitor.page.locator("form.upload")
    form.locator("[name=business_date]").fill(on.isoformat())
    visitor.choose_file(form, f"{kind}.csv", content)
    form.locator("button").click()
    visitor.page.wait_for_url(re.compile("/ledger/feeds/"))
