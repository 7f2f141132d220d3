"""Undoing in a browser: what is missing is asked for before anything is confirmed."""

from collections.abc import Callable
from decimal import Decimal

from playwright.sync_api import expect

from models.allocation_plan import RULES, Plan, Rule
from models.database import Database
from models.services.exchange import allocations
from tests.browser.visitor import Visitor
from tests.world import Someone, World

SEED = bytes(32)


def test_the_reason_comes_before_the_question(
    world: World, database: Database, visit: Callable[[Someone], Visitor]
) -> None:
    lender = world.lender()
    agreement = world.agreement(lender, world.agency())
    plan = Plan(RULES, [Rule({agreement.id: Decimal(100)})], SEED)
    portfolio = world.portfolio(lender, 3)
    with database.work(lender.actor) as work:
        tender = allocations.preview(work, portfolio.id, plan)
    with database.work(lender.actor) as work:
        allocations.commit(work, tender.id)

    visitor = visit(lender)
    visitor.go(f"/allocations/{tender.id}")
    dialog = visitor.page.locator("#confirm")
    visitor.button("Undo all of it").click()
    expect(visitor.page.locator("[name=reason]:invalid")).to_be_focused()
    expect(dialog).to_be_hidden()
    visitor.page.locator("[name=reason]").select_option("wrong_split")
    visitor.button("Undo all of it").click()
    expect(dialog).to_be_visible()
    visitor.confirm()
    expect(visitor.page.locator(".notice-good")).to_be_visible()
