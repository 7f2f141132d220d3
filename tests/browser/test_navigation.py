"""The navigation: whatever a person may open is reached by keys, on a small desk and on a phone."""

from collections.abc import Callable

from playwright.sync_api import ViewportSize, expect

from tests.browser.visitor import Visitor
from tests.world import Someone, World

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
