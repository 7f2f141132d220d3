"""A sealed bid from end to end: the slip stays with the bidder, what is revealed is checked, and the best wins."""

import json
from collections.abc import Callable
from decimal import Decimal

from playwright.sync_api import Request, expect

from models import award
from models.database import Database
from models.services.exchange import tenders
from models.services.portfolio import portfolios
from tests.bidding import offer_of
from tests.browser.visitor import Visitor
from tests.conftest import Clock
from tests.world import Debt, Someone, World, case_file

Visit = Callable[[Someone], Visitor]


def test_a_bid_is_committed_revealed_and_awarded(world: World, database: Database, clock: Clock, visit: Visit) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    agencies = [world.organisation("agency", "manager", name) for name in ("华信资产服务", "中诚催收")]
    debts = [Debt(number, f"{700 * number}.25", 10 * number) for number in range(1, 41)]
    with database.work(lender.actor) as work:
        portfolio = portfolios.upload(work, [case_file(debts)], "三月信用卡")
    for agency in agencies:
        world.agreement(lender, agency)

    asking = visit(lender)
    asking.go(f"/portfolios/{portfolio.id}/bids/new")
    asking.look("bids-new")
    for box in asking.page.locator("[name=agreement_ids]").all():
        box.check()
    asking.page.locator("[name=expected_recovery]").fill("12")
    asking.page.locator("[name=rate_max]").fill("40")
    asking.page.locator("[name=case_fee_max]").fill("9")
    asking.button("Ask for bids").click()
    asking.confirm()
    asking.look("bids-sealed")
    tender_url = asking.page.url
    with database.work(lender.actor) as work:
        tender = tenders.list_own(work)[0]

    slips = {}
    for agency, rate, fee in zip(agencies, ("18.5", "17"), (None, "2.50"), strict=True):
        visitor = visit(agency)
        offer = offer_of(world, agency, tender)
        slips[offer.id] = commit(visitor, f"/offers/{offer.id}/bid", rate, fee)

    clock.forward(hours=48)
    for agency in agencies:
        visitor = visit(agency)
        offer = offer_of(world, agency, tender)
        others = next(slip for offer_id, slip in slips.items() if offer_id != offer.id)
        reveal(visitor, f"/offers/{offer.id}/bid", slips[offer.id], others)

    clock.forward(hours=24)
    asking = visit(lender)
    asking.go(tender_url)
    asking.look("bids-ripe")
    asking.press("Open the bids and award")
    expect(asking.page.locator(".notice-good")).to_be_visible()
    asking.look("bids-awarded")
    record = asking.download(asking.link("Award record (JSON)"))
    assert award.verify(record).startswith("VERIFIED: 2 bids, 2 scored")

    for agency in agencies:
        visitor = visit(agency)
        offer = offer_of(world, agency, tender)
        visitor.go(f"/offers/{offer.id}/bid")
        visitor.look(f"bid-{offer.state}")
        assert award.verify(visitor.download(visitor.link("Your part of the award"))).startswith("VERIFIED")


def commit(visitor: Visitor, url: str, rate: str, fee: str | None) -> bytes:
    """Answers the slip. Neither rate nor fee nor nonce leaves the browser."""
    page = visitor.page
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    visitor.go(url)
    send = page.locator("[data-bid-send]")
    expect(send).to_be_disabled()
    for too_much in ("101", "40.0001"):
        page.locator("[data-bid-rate]").fill(too_much)
        page.locator("[data-bid-slip]").click()
        expect(page.locator("[data-bid-says]")).to_have_class("wrap field-error")
        expect(send).to_be_disabled()
    if fee:
        page.locator("[data-bid-kind]").select_option("hybrid")
        page.locator("[data-bid-fee]").fill("9.01")
        page.locator("[data-bid-rate]").fill(rate)
        page.locator("[data-bid-slip]").click()
        expect(page.locator("[data-bid-says]")).to_have_class("wrap field-error")
        page.locator("[data-bid-fee]").fill(fee)
    page.locator("[data-bid-rate]").fill(rate)
    slip = visitor.download(page.locator("[data-bid-slip]"))
    expect(send).to_be_enabled()
    visitor.look(f"bid-slip-{'hybrid' if fee else 'rate'}")
    visitor.leave_by(send)
    expect(page.locator(".notice-good")).to_be_visible()
    visitor.look("bid-committed")
    kept = json.loads(slip)
    assert Decimal(kept["rate"]) == Decimal(rate) / 100
    assert Decimal(kept["case_fee"]) == Decimal(fee or 0)
    left = "\n".join(f"{request.url} {request.post_data or ''}" for request in sent)
    assert kept["commitment"] in left
    assert not [name for name in ("nonce", "rate") if kept[name] in left]
    return slip


def reveal(visitor: Visitor, url: str, slip: bytes, others: bytes) -> None:
    page = visitor.page
    visitor.go(url)
    for wrong in (b"not a slip", others):
        page.locator("#slip").set_input_files({"name": "slip.json", "mimeType": "application/json", "buffer": wrong})
        expect(page.locator("[data-bid-says].field-error")).not_to_be_empty()
        expect(page.locator("[data-bid-send]")).to_be_disabled()
    page.locator("#slip").set_input_files({"name": "slip.json", "mimeType": "application/json", "buffer": slip})
    expect(page.locator("[data-bid-send]")).to_be_enabled()
    visitor.look("bid-to-reveal")
    visitor.leave_by(page.locator("[data-bid-send]"))
    expect(page.locator(".notice-good")).to_be_visible()
    visitor.look("bid-revealed")
