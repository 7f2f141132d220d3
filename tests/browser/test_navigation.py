"""The navigation: whatever a person may open is reached by keys, on a small desk and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import ViewportSize, expect

from models.services.exchange import recalls
from tests.browser.visitor import Visitor
from tests.world import Debt, Someone, World

SMALL_DESK: ViewportSize = {"width": 1440, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 667}


def test_every_entry_is_reached_by_keys_without_scrolling(world: World, visit: Callable[[Someone], Visitor]) -> None:
    visitor = visit(world.lender())
    page = visitor.page
    page.set_viewport_size(SMALL_DESK)
    visitor.go("/")
    groups = page.locator(".sidenav details")
    for group in groups.all():
        if group.get_attribute("open") is None:
            group.locator("summary").press("Enter")
        for link in group.locator("a").all():
            expect(link).to_be_in_viewport(ratio=1)
        expect(page.locator(".sidenav details[open]")).to_have_count(1)
    expect(groups.last.locator("summary")).to_be_in_viewport(ratio=1)


def test_on_a_phone_the_rest_stands_behind_more(world: World, visit: Callable[[Someone], Visitor]) -> None:
    visitor = visit(world.lender())
    page = visitor.page
    page.set_viewport_size(PHONE)
    visitor.go("/ledger")
    page.locator(".bottombar > details > summary").click()
    panel = page.locator(".bottombar .menu-panel")
    expect(panel).to_be_in_viewport(ratio=1)
    expect(panel.locator("a[aria-current]")).to_be_visible()
    panel.locator("summary").last.click()
    visitor.leave_by(panel.locator("details").last.locator("a").first)
    expect(page.locator("h1")).to_be_visible()


# What is wider than its frame, of the page and of each table on it.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll("main .table-scroll")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText)"""


@pytest.mark.parametrize("language", ["en"])
def test_on_a_phone_the_exchange_is_read_without_scrolling_sideways(
    world: World, visit: Callable[[Someone], Visitor]
) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, [Debt(1, "1284600.00"), Debt(2, "999.00")])
    offer = world.offer(lender, agency, 25)
    with world.database.work(lender.actor) as work:
        recall = recalls.request(work, placement.id, "lender_request", None)
    both = ["/", "/offers", f"/offers/{offer.id}", "/placements", f"/placements/{placement.id}", "/recalls"]
    lists = ["/tenders", f"/tenders/{offer.tender_id}", "/allocations", "/retentions", "/agencies", "/breaks"]
    ways = ["/place-cases", f"/tenders/new?portfolio_id={offer.portfolio_id}", "/allocations/new"]
    for someone, paths in ((lender, [*both, f"/recalls/{recall.id}", *lists, *ways]), (agency, both)):
        visitor = visit(someone)
        visitor.page.set_viewport_size(PHONE)
        for path in paths:
            visitor.go(path)
            assert (path, visitor.page.evaluate(TOO_WIDE)) == (path, [])


@pytest.mark.parametrize("language", ["en"])
def test_a_row_of_a_wide_table_is_a_card_that_names_its_values(
    world: World, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.lender()
    world.placement(lender, world.agency(), 2)
    visitor = visit(lender)
    visitor.page.set_viewport_size(PHONE)
    visitor.go("/placements")
    cell = visitor.page.locator("table.cards tbody td:visible", has_text="2,000.00")
    expect(cell).to_have_attribute("data-column", "Referred")
    expect(visitor.page.locator("table.cards thead")).to_have_css("position", "absolute")
