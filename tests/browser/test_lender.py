"""A portfolio manager's day: upload, offer, placed, recalled."""

import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from models.database import Database
from models.services.exchange import offers, placements
from tests.browser.visitor import Visitor
from tests.world import Debt, Someone, World, case_file

UPLOADS = re.compile("/api/v1/portfolios")


def test_a_portfolio_goes_from_a_file_to_an_agency_and_some_of_it_back(
    world: World, database: Database, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    agency = world.organisation("agency", "manager", "华信资产服务")
    agreement = world.agreement(lender, agency)
    visitor = visit(lender)
    page = visitor.page
    visitor.look("lender-first-day")

    visitor.follow("Upload a portfolio")
    visitor.look("portfolio-upload")
    held: list[Route] = []
    page.route(UPLOADS, lambda route: held.append(route))
    page.locator("[name=name]").fill("三月逾期资产包")
    visitor.choose_file(page.locator("form.upload"), "cases.csv", file_with_a_bad_row())
    visitor.button("Upload").click()
    expect(page.locator(".upload-progress")).to_be_visible()
    held[0].continue_()
    page.unroute(UPLOADS)

    page.wait_for_url(re.compile("/portfolios/[0-9a-f-]{36}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("三月逾期资产包")
    assert "110101190001010000" not in page.content()
    visitor.look("portfolio")
    errors = visitor.download(visitor.link("All refused rows (CSV)")).decode()
    assert "id_number" in errors
    assert "110101190001010000" not in errors

    page.locator("select[name=agreement_id]").select_option(str(agreement.id))
    visitor.leave_by(page.locator("#offer form button"))
    assert "/offers/" in page.url
    visitor.look("offer-made")
    with database.work(agency.actor) as work:
        placed = offers.accept(work, offers.list_own(work)[0].id)
    with database.work(agency.actor) as work:
        placements.acknowledge(work, placed.id, placed.case_count, placed.referred_amount)

    page.reload()
    visitor.follow("Go to the placement")
    visitor.look("placement-lender")
    for box in page.locator("[name=case_ids]").all()[:2]:
        box.check()
    expect(page.locator("[data-bulk-count]").first).to_have_text("2")
    page.locator("[data-bulk-bar] button.btn-danger").click()
    visitor.confirm()
    expect(page.locator(".notice-good")).to_contain_text("2")
    assert page.locator("[name=case_ids]").count() == 10
    visitor.look("placement-recalled")
    for path, name in (("/portfolios", "portfolios"), ("/offers", "offers"), ("/placements", "placements")):
        visitor.go(path)
        visitor.look(name)
    visitor.go("/cases")
    visitor.look("cases-lender")
    visitor.go("/")
    visitor.look("overview-lender")


def file_with_a_bad_row() -> bytes:
    """Twelve good rows, and one with a date in its id number that never was."""
    good = case_file([Debt(number, f"{1000 * number}.50", 20 * number) for number in range(1, 13)])
    return good + "B-1,credit_card,CNY,10.00,45,李四,110101190001010000,13800000000\r\n".encode()
