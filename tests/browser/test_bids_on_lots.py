"""A bid on parts and a bundle from end to end: parted on the page, packages made in the browser, awarded lot by lot."""

import json
from collections.abc import Callable

from playwright.sync_api import Request, expect

from models import award
from models.database import Database
from models.services.exchange import tenders
from models.services.portfolio import portfolios
from tests.bidding import by_bucket, offer_of
from tests.browser.visitor import Visitor
from tests.conftest import Clock
from tests.world import Someone, World, case_file

Visit = Callable[[Someone], Visitor]
Packages = list[tuple[list[int], str, str | None]]  # lots, rate in per cent, fee


def test_packages_are_committed_revealed_and_awarded(
    world: World, database: Database, clock: Clock, visit: Visit
) -> None:
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    agencies = [world.organisation("agency", "manager", name) for name in ("华信资产服务", "中诚催收")]
    with database.work(lender.actor) as work:
        portfolio = portfolios.upload(work, [case_file(by_bucket(25, 30, 28))], "三月信用卡")
    for agency in agencies:
        world.agreement(lender, agency)

    asking = visit(lender)
    asking.go(f"/portfolios/{portfolio.id}/bids/new")
    for box in asking.page.locator("[name=agreement_ids]").all():
        box.check()
    asking.page.locator("[name=expected_recovery]").fill("12")
    asking.page.locator("[name=lots_by]").select_option("buckets")
    asking.page.locator("details:has([name='lot_M1']) > summary").click()
    for bucket, lot in (("M1", "1"), ("M2", "2"), ("M3", "3")):
        asking.page.locator(f"[name='lot_{bucket}']").select_option(lot)
    asking.look("lots-new")
    asking.button("Ask for bids").click()
    asking.confirm()
    asking.look("lots-sealed")
    tender_url = asking.page.url
    with database.work(lender.actor) as work:
        tender = tenders.list_own(work)[0]

    bids: list[Packages] = [
        [([1], "10", None), ([3, 1], "15.5", None)],
        [([2], "12", "1.50"), ([1, 2], "60", None)],
    ]
    slips = {}
    for agency, packages in zip(agencies, bids, strict=True):
        offer = offer_of(world, agency, tender)
        slips[offer.id] = commit(visit(agency), f"/offers/{offer.id}/bid", packages)

    clock.forward(hours=48)
    for agency in agencies:
        offer = offer_of(world, agency, tender)
        others = next(slip for offer_id, slip in slips.items() if offer_id != offer.id)
        reveal(visit(agency), f"/offers/{offer.id}/bid", slips[offer.id], others)

    clock.forward(hours=24)
    asking = visit(lender)
    asking.go(tender_url)
    asking.press("Open the bids and award")
    expect(asking.page.locator(".notice-good")).to_be_visible()
    asking.look("lots-awarded")
    record = asking.download(asking.link("Award record (JSON)"))
    assert award.verify(record).startswith("VERIFIED: 2 bids, 2 scored, 3 of 3 lots placed")

    for agency in agencies:
        visitor = visit(agency)
        offer = offer_of(world, agency, tender)
        visitor.go(f"/offers/{offer.id}/bid")
        visitor.look("lots-won")
        assert award.verify(visitor.download(visitor.link("Your part of the award"))) == "VERIFIED: the bid is won"


def commit(visitor: Visitor, url: str, packages: Packages) -> bytes:
    """Answers the slip. No package leaves the browser."""
    page = visitor.page
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    visitor.go(url)
    refused_without_lots(visitor)
    page.locator("[data-bid-add]").click()
    page.locator("[data-bid-add]").click()
    expect(page.locator("[data-bid-package]")).to_have_count(3)
    page.locator("[data-bid-remove]").last.click()
    for at, (lots, rate, fee) in enumerate(packages):
        fields = page.locator("[data-bid-package]").nth(at)
        for lot in lots:
            fields.locator(f"[data-bid-lot][value='{lot}']").check()
        fields.locator("[data-bid-rate]").fill(rate)
        if fee:
            fields.locator("[data-bid-kind]").select_option("hybrid")
            fields.locator("[data-bid-fee]").fill(fee)
    visitor.look("lots-packages")
    slip = visitor.download(page.locator("[data-bid-slip]"))
    expect(page.locator("[data-bid-send]")).to_be_enabled()
    visitor.leave_by(page.locator("[data-bid-send]"))
    expect(page.locator(".notice-good")).to_be_visible()
    kept = json.loads(slip)
    assert [one["lots"] for one in kept["packages"]] == sorted(sorted(lots) for lots, _, _ in packages)
    left = "\n".join(f"{request.url} {request.post_data or ''}" for request in sent)
    assert kept["commitment"] in left
    assert not [secret for secret in (kept["nonce"], *(one["rate"] for one in kept["packages"])) if secret in left]
    return slip


def refused_without_lots(visitor: Visitor) -> None:
    """No slip is made of a package without lots, nor of two on the same."""
    page = visitor.page
    says = page.locator("[data-bid-says].field-error")
    page.locator("[data-bid-rate]").fill("10")
    page.locator("[data-bid-slip]").click()
    expect(says).not_to_be_empty()
    page.locator("[data-bid-add]").click()
    for fields in page.locator("[data-bid-package]").all():
        fields.locator("[data-bid-lot]").first.check()
        fields.locator("[data-bid-rate]").fill("10")
    page.locator("[data-bid-slip]").click()
    expect(says).not_to_be_empty()
    expect(page.locator("[data-bid-send]")).to_be_disabled()
    page.locator("[data-bid-remove]").last.click()
    page.locator("[data-bid-lot]").first.uncheck()


def reveal(visitor: Visitor, url: str, slip: bytes, others: bytes) -> None:
    page = visitor.page
    visitor.go(url)
    for wrong in (b"not a slip", b'{"format":"consign/bid-slip/2","packages":7,"nonce":"00"}', others):
        page.locator("#slip").set_input_files({"name": "slip.json", "mimeType": "application/json", "buffer": wrong})
        expect(page.locator("[data-bid-says].field-error")).not_to_be_empty()
        expect(page.locator("[data-bid-send]")).to_be_disabled()
    page.locator("#slip").set_input_files({"name": "slip.json", "mimeType": "application/json", "buffer": slip})
    expect(page.locator("[data-bid-send]")).to_be_enabled()
    visitor.leave_by(page.locator("[data-bid-send]"))
    expect(page.locator(".notice-good")).to_be_visible()
