"""An agency manager's day: an offer, its acceptance, the dealing out of cases, and a file of contacts."""

from collections.abc import Callable
from decimal import Decimal

from playwright.sync_api import expect

from models.database import Database
from models.services.exchange import placements
from tests.browser.visitor import Visitor
from tests.world import Debt, Someone, World

HEADER = "case_number,channel,direction,party,outcome,occurred_at,duration_seconds,external_ref\r\n"


def test_an_offer_becomes_work_for_the_collectors(
    world: World, database: Database, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    manager = world.organisation("agency", "manager", "华信资产服务")
    world.person(manager, "collector")
    world.person(manager, "collector")
    debts = [Debt(number, f"{700 * number}.25", 10 * number) for number in range(1, 25)]
    offer = world.offer(lender, manager, debts)
    visitor = visit(manager)
    page = visitor.page
    visitor.look("overview-agency")

    visitor.go("/offers")
    visitor.leave_by(page.locator(f"a[href$='{offer.id}']"))
    expect(page.locator(".strata:visible").first).to_be_visible()
    assert "K-" not in visitor.text(), "no case is shown before it is placed"
    visitor.look("offer-received")
    page.locator("form[action$=accept] button").click()
    visitor.confirm()

    assert "/placements/" in page.url
    visitor.look("placement-to-acknowledge")
    page.locator("[name=case_count]").fill(str(len(debts) - 1))
    page.locator("[name=balance]").fill(str(sum(Decimal(debt.balance) for debt in debts)))
    visitor.press("Acknowledge")
    expect(page.locator("[name=case_count]")).to_be_visible()
    visitor.complaints.clear()  # The browser tells on its console that the answer was a refusal.
    visitor.look("placement-count-differs")
    page.locator("[name=case_count]").fill(str(len(debts)))
    visitor.press("Acknowledge")
    expect(page.locator(".notice-good")).to_be_visible()
    visitor.look("placement-to-deal")
    visitor.press("Deal out evenly")
    expect(page.locator(".notice-good")).to_contain_text("24")
    visitor.look("placement-agency")

    visitor.go("/worklist")
    visitor.look("worklist-manager")
    assert page.locator("tbody tr").count() == 24

    with database.work(manager.actor) as work:
        placed = placements.list_own(work)[0]
        number = placements.list_cases(work, placed.id)[0].case.reference
    visitor.go("/activity")
    contacts = page.locator("form.upload").first
    visitor.choose_file(contacts, "contacts.csv", contact_file(number))
    contacts.locator("button").click()
    outcome = contacts.locator(".upload-problem")
    taken = visitor.say("{accepted} taken, {repeated} known already, {refused} refused.")
    expect(outcome).to_contain_text(taken.format(accepted=1, repeated=0, refused=1))
    expect(outcome).to_contain_text({"zh": "第 2 行", "en": "Row 2"}[visitor.language])
    visitor.look("activity-file")


def contact_file(number: str) -> bytes:
    """One contact that was, and one that no calendar knows."""
    good = f"{number},call,outbound,debtor,ring_no_answer,2026-03-10 10:00,,\r\n"
    bad = f"{number},call,outbound,debtor,conversation,2026-02-30 09:30,60,\r\n"
    return (HEADER + good + bad).encode()
