"""A collector's day: the worklist by keyboard, a number opened and closed again, and what was reported."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from playwright.sync_api import expect

from models.database import Database
from models.services.collection import assignments
from tests.browser.visitor import Visitor
from tests.conftest import Clock
from tests.facts import Placed, balance, placed, receive_balances
from tests.world import PASSWORD, Debt, Someone, World

MOBILE = "13800000001"


class Desk:
    """A collector, and the cases that are theirs."""

    def __init__(self, world: World, database: Database) -> None:
        self.lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
        self.placed: Placed = placed(world, [Debt(1, "12840.60", 45), Debt(2, "300.00", 95)], lender=self.lender)
        self.collector = world.person(self.placed.agency, "collector")
        case_ids: list[UUID] = [case.id for case in self.placed.cases]
        with database.work(self.placed.agency.actor) as work:
            assignments.assign(work, self.placed.placement.id, self.collector.member.id, case_ids)


@pytest.fixture
def desk(world: World, database: Database) -> Desk:
    return Desk(world, database)


def test_the_worklist_opens_a_case_by_keyboard(desk: Desk, visit: Callable[[Someone], Visitor]) -> None:
    visitor = visit(desk.collector)
    page = visitor.page
    visitor.look("overview-collector")
    visitor.go("/worklist")
    visitor.look("worklist-collector")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/cases/[0-9a-f-]{36}$"))
    visitor.check("case")


def test_a_number_appears_for_a_reason_leaves_a_trace_and_closes(
    desk: Desk, visit: Callable[[Someone], Visitor]
) -> None:
    visitor = visit(desk.collector)
    page = visitor.page
    page.clock.install()
    visitor.go(f"/cases/{desk.placed.case.id}")
    visitor.look("case")
    section = page.locator("[data-release]", has=page.locator("[data-field=mobile]"))
    assert MOBILE not in page.content()
    section.locator("select").select_option("contact_borrower")
    section.locator("button").click()
    expect(section.locator("[data-field=mobile]")).to_have_text(MOBILE)
    trace = visitor.say("Logged as entry {entry}. Closes in {seconds} s.")
    expect(section.locator(".release-trace")).to_have_text(
        re.compile(re.escape(trace).replace(r"\{entry\}", "[0-9a-f]{12}").replace(r"\{seconds\}", r"\d+"))
    )
    visitor.look("case-opened")
    page.clock.run_for(61_000)
    expect(section.locator(".release-trace")).to_have_text(visitor.say("Closed again. The release stays in the log."))
    assert MOBILE not in page.content()
    visitor.check("case closed again")


def test_a_second_class_opens_once_the_password_was_given_again(
    desk: Desk, visit: Callable[[Someone], Visitor]
) -> None:
    visitor = visit(desk.collector)
    page = visitor.page
    visitor.go(f"/cases/{desk.placed.case.id}")
    identity, contact = (
        page.locator("[data-release]", has=page.locator(f"[data-field={field}]")) for field in ("name", "mobile")
    )
    for section in (identity, contact):
        section.locator("select").select_option("contact_borrower")
    identity.locator("button").click()
    expect(identity.locator("[data-field=name]")).to_have_text("张三")
    contact.locator("button").click()
    dialog = page.locator("dialog[data-proof]")
    expect(dialog).to_be_visible()
    assert all("403" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()  # that it was refused is what is tried here
    visitor.look("case-proof")
    dialog.locator("[name=password]").fill("a wrong password")
    page.keyboard.press("Enter")
    expect(dialog.locator(".field-error")).not_to_be_empty()
    dialog.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(contact.locator("[data-field=mobile]")).to_have_text(MOBILE)
    expect(dialog).to_be_hidden()
    assert PASSWORD not in page.content()


def test_a_contact_a_promise_and_a_claim_stand_on_the_timeline(desk: Desk, visit: Callable[[Someone], Visitor]) -> None:
    visitor = visit(desk.collector)
    page = visitor.page
    visitor.go(f"/cases/{desk.placed.case.id}")
    page.locator("[name=outcome]").select_option("conversation")
    page.locator("[name=note]").fill("约定周五回电")
    visitor.press("Log contact")
    expect(page.locator(".notice-good")).to_be_visible()

    page.locator("details.act summary").nth(1).click()
    promise = page.locator("form[action$=promises]")
    promise.locator("[name=amount]").fill("2000.00")
    promise.locator("[name=due_on]").fill("2026-03-13")
    visitor.press("Record promise")
    expect(page.locator(".notice-good")).to_be_visible()

    page.locator("details.act summary").nth(2).click()
    claim = page.locator("form[action$=claims]")
    claim.locator("[name=amount]").fill("500.00")
    claim.locator("[name=reference]").fill("BANK-REF-A")
    visitor.press("Claim payment")
    expect(page.locator(".notice-good")).to_be_visible()

    timeline = page.locator("ol.timeline")
    for amount in ("2,000.00", "500.00"):
        expect(timeline).to_contain_text(amount)
    assert "约定周五回电" not in page.content(), "a note is sealed as soon as it is saved"
    visitor.look("case-worked")


def test_a_case_paid_off_says_why_it_refuses(
    desk: Desk, world: World, clock: Clock, visit: Callable[[Someone], Visitor]
) -> None:
    officer = world.person(desk.lender, "settlement_officer")
    receive_balances(world, officer, balance(desk.placed.case, "0.00", "paid_off"))
    visitor = visit(desk.collector)
    page = visitor.page
    visitor.go(f"/cases/{desk.placed.case.id}")
    assert not page.locator(".release form").count()
    assert not page.locator("form[action$=contacts]").count()
    expect(page.locator(".refusal").first).to_contain_text({"zh": "已结清", "en": "paid off"}[visitor.language])
    visitor.look("case-paid-off")
