"""Returning in a browser: the question names the code and how many cases, and says whom the code excludes."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.world import Someone, World

WARNING = (
    "It excludes all cases of these borrowers from being placed, with whatever agency, until the lender lifts that."
)


def test_the_question_names_the_code_and_how_many_and_warns_of_a_borrower_excluded(
    world: World, visit: Callable[[Someone], Visitor]
) -> None:
    placement = world.placement(world.lender(), agency := world.agency(), 3)
    visitor = visit(agency)
    page = visitor.page
    visitor.go(f"/placements/{placement.id}")
    question, code = page.locator("#confirm-text"), page.locator("[name=code]")
    for box in page.locator("tbody [name=case_ids]").all()[:2]:
        box.check()

    visitor.button("Give back").click()
    expect(page.locator("[name=code]:invalid")).to_be_focused()
    expect(question).to_be_hidden()
    code.select_option("capacity")
    visitor.button("Give back").click()
    expect(question).to_contain_text(re.compile(r"\(2\)| 2 件"))
    expect(question).to_contain_text(visitor.say("No capacity"))
    expect(question).not_to_contain_text(visitor.say(WARNING))
    page.keyboard.press("Escape")
    code.select_option("deceased")
    visitor.button("Give back").click()
    expect(question).to_contain_text(visitor.say(WARNING))
    visitor.confirm()
    expect(page.locator(".notice-good")).to_contain_text("2")
