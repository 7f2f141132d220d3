"""Keys replaced and a case corrected, at a browser."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from jobs import keys as job
from models.database import Database
from models.objects import FolderStore
from models.services.portfolio import cases
from models.services.sealing import key_progress
from tests.browser.visitor import Visitor
from tests.world import Someone, World


def test_an_administrator_replaces_keys_and_sees_how_far_it_is(
    world: World, database: Database, visit: Callable[[Someone], Visitor], tmp_path: Path
) -> None:
    lender = world.organisation("lender", "administrator", "恒信消费金融")
    world.portfolio(world.person(lender, "portfolio_manager"))
    visitor = visit(lender)
    visitor.go("/keys")
    for summary in visitor.page.locator("section[aria-labelledby=replace-title] summary").all():
        summary.click()
    visitor.look("keys-administrator")
    visitor.button("Replace the encryption key").click()
    visitor.confirm()
    visitor.page.locator("summary", has_text=visitor.say("New index key")).click()
    visitor.button("Replace the index key").click()
    visitor.confirm()
    expect(visitor.page.locator("section[aria-labelledby=replace-title] [role=status]")).to_have_count(2)
    visitor.look("keys-under-way")
    job.carry_on_one(database, FolderStore(tmp_path), lender.organisation.id)
    visitor.go("/keys")
    visitor.look("keys-replaced")


def test_a_manager_seals_a_portfolio_anew_and_corrects_a_case(
    world: World, database: Database, visit: Callable[[Someone], Visitor], tmp_path: Path
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    portfolio = world.portfolio(lender)
    visitor = visit(lender)
    visitor.go("/keys")
    visitor.page.locator("section[aria-labelledby=replace-title] summary").click()
    visitor.look("keys-manager")
    visitor.press("Seal anew")
    expect(visitor.page.locator("section[aria-labelledby=replace-title]")).to_contain_text(portfolio.name)
    visitor.look("keys-sealing-anew")
    job.carry_on_one(database, FolderStore(tmp_path), lender.organisation.id)
    with database.work(lender.actor) as work:
        assert key_progress.find(work).rekeys == []
        case_id = cases.list_own(work)[0].case.id
    visitor.go(f"/cases/{case_id}")
    form = visitor.page.locator(f"form[action='/cases/{case_id}/corrections']")
    visitor.page.locator("summary", has_text=visitor.say("Correct a field")).click()
    form.locator("[name=field]").select_option("mobile")
    form.locator("[name=value]").fill("139")
    visitor.leave_by(form.locator("button"))
    expect(form.locator("[name=value]")).to_have_value("")
    visitor.complaints.clear()  # The browser tells on its console that the answer was a refusal.
    visitor.look("correction-refused")
    form.locator("[name=value]").fill("13900000002")
    visitor.leave_by(form.locator("button"))
    expect(visitor.page.locator("main")).to_contain_text("139****0002")
    visitor.look("correction-made")
