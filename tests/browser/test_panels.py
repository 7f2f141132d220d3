"""Many agencies: found by name and tier, and chosen all at once; the history of a case, and offers as a list."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from playwright.sync_api import Locator, expect

from models.portfolio import Portfolio
from models.services.exchange import offers, tender_offers, tenders
from models.services.parties import standings
from models.services.portfolio import portfolios
from models.tender_plan import Plan
from tests.browser.visitor import Visitor
from tests.world import Debt, Someone, World, case_file

Visit = Callable[[Someone], Visitor]
CHOICE = "[data-panel-choice]"


class Ground(NamedTuple):
    """Of the agencies, by name, the first three are of tier 1, the others of tier 2; the last may not receive cases."""

    lender: Someone
    names: list[str]
    portfolio: Portfolio


def uploaded(world: World, lender: Someone) -> Portfolio:
    with world.database.work(lender.actor) as work:
        return portfolios.upload(work, [case_file(Debt(number) for number in range(1, 26))], "三月信用卡")


@pytest.fixture
def ground(world: World) -> Ground:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    agencies = [world.agency() for _ in range(6)]
    for place, agency in enumerate(agencies):
        world.agreement(lender, agency, tier=1 + place // 3)
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        standings.suspend(work, agencies[-1].organisation.id, "conduct")
    return Ground(lender, [agency.organisation.name for agency in agencies], uploaded(world, lender))


def row(visitor: Visitor, name: str) -> Locator:
    return visitor.page.locator("[data-panel-words]").filter(has_text=name)


def test_agencies_are_found_and_numbered_in_turn(world: World, ground: Ground, visit: Visit) -> None:
    visitor, names = visit(ground.lender), ground.names
    page = visitor.page
    visitor.go(f"/tenders/new?portfolio_id={ground.portfolio.id}&kind=assigned")
    find, tier, everyone = (page.locator(f"[data-panel-{name}]") for name in ("find", "tier", "all"))
    find.fill(names[3])
    expect(row(visitor, names[0])).to_be_hidden()
    row(visitor, names[3]).locator(CHOICE).fill("1")
    find.fill("")
    tier.select_option("1")
    expect(row(visitor, names[4])).to_be_hidden()
    expect(row(visitor, names[3])).to_be_visible()  # It is chosen.
    everyone.click()
    tier.select_option("2")
    everyone.click()
    expect(row(visitor, names[5]).locator(CHOICE)).to_have_value("")
    turns = [row(visitor, name).locator(CHOICE).input_value() for name in names[:5]]
    assert (sorted(turns), turns[3], turns[4]) == (list("12345"), "1", "5")
    visitor.look("tenders-in-turn")
    visitor.leave_by(page.locator("main form .btn", has_text=visitor.say("Preview")))
    visitor.look("tenders-in-turn-preview")
    visitor.press("Open the tender")
    with world.database.work(ground.lender.actor) as work:
        (tender,) = tenders.list_own(work)
        (offer,) = tender_offers.list_all(work, tender.id)
        assert (len(tender.rules["choices"]), tender.rules["choices"][0]) == (5, str(offer.agreement_id))


def test_all_that_may_receive_are_asked_for_bids_or_get_a_share(ground: Ground, visit: Visit) -> None:
    visitor = visit(ground.lender)
    page = visitor.page
    for path, name in ((f"/portfolios/{ground.portfolio.id}/bids/new", "bids"), ("/allocations/new", "allocations")):
        visitor.go(path)
        page.locator("[data-panel-all]").click()
        expect(page.locator(f"{CHOICE}:checked")).to_have_count(5)
        visitor.look(f"{name}-panel")
        page.locator("[data-panel-none]").click()
        expect(page.locator(f"{CHOICE}:checked")).to_have_count(0)
    page.locator("[data-panel-all]").click()
    visitor.press("Show the plan for these")
    expect(page.locator("[data-share]")).to_have_count(5)


def test_a_case_tells_its_history_and_offers_are_filtered(world: World, visit: Visit) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    declining, taking = world.agency(), world.agency()
    choices = [world.agreement(lender, agency).id for agency in (declining, taking)]
    with world.database.work(lender.actor) as work:
        tenders.create(work, Plan(uploaded(world, lender).id, "assigned", choices))
    with world.database.work(declining.actor) as work:
        offers.decline(work, offers.list_own(work)[0].id, "rate")
    with world.database.work(taking.actor) as work:
        offers.accept(work, offers.list_own(work)[0].id)
    visitor = visit(lender)
    visitor.go("/cases")
    visitor.leave_by(visitor.page.locator("main table tbody a").first)
    expect(visitor.page.locator("#history")).to_contain_text(declining.organisation.name)
    visitor.look("case-history")
    visitor.go("/offers")
    visitor.page.locator("[name=other_id]").select_option(label=declining.organisation.name)
    visitor.press("Filter")
    expect(visitor.page.locator("main tbody tr")).to_have_count(1)
    visitor.look("offers-filtered")
