"""Bids on lots on their pages and by the API: parted, bid for in packages, awarded, and what each side reads of it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from models import award
from models.award import Package
from models.services.exchange import tenders
from tests import bidding
from tests.bidding import Auction, auction, auction_in_lots, by_bucket, package, terms
from tests.conftest import Clock
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
FORM = {"commit_hours": "24", "reveal_hours": "24", "expected_recovery": "12", "kinds": ["rate", "hybrid"]}


@pytest.fixture
def pair(world: World) -> Auction:
    return auction_in_lots(
        world, [package([1], "0.100000"), package([1, 2], "0.200000")], [package([2], "0.150000", "1.50")]
    )


def ripe(world: World, clock: Clock, tendered: Auction) -> None:
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_lender_parts_the_cases_by_bucket_on_the_page(world: World, signed_in: Client, language: str) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 25, 25, 2)), world.agreement(lender, agency)
    client = signed_in(lender)
    client.set_cookie("language", language)
    page = f"/portfolios/{portfolio.id}/bids/new"
    asked = FORM | {
        "agreement_ids": [str(agreement.id)],
        "lots_by": "buckets",
        "lot_M1": "2",
        "lot_M2": "1",
        "lot_M3": "2",
    }
    made = client.post(page, data=asked)
    assert made.status_code == 302
    with world.database.work(lender.actor) as work:
        (tender,) = tenders.list_own(work)
        assert (tender.rules["lots"]["values"], tender.case_count) == ([["M2"], ["M1", "M3"]], 75)
    shown = client.get(made.location)
    assert shown.status_code == 200
    assert {"zh": "M1、M3", "en": "M1, M3"}[language] in shown.text


def test_the_page_says_of_which_lot_something_is_wrong_and_keeps_what_was_chosen(
    world: World, signed_in: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 3)), world.agreement(lender, agency)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    page = f"/portfolios/{portfolio.id}/bids/new"
    asked = FORM | {"agreement_ids": [str(agreement.id)], "lots_by": "buckets", "lot_M1": "3", "lot_M2": "5"}
    refused = client.post(page, data=asked)
    assert refused.status_code == 422
    assert "Lot 5: So few borrowers are in this lot" in refused.text
    assert refused.text.count("<option selected>") == 2
    none = client.post(page, data=asked | {"lot_M1": "", "lot_M2": ""})
    assert (none.status_code, "This field is required." in none.text) == (422, True)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_agency_reads_the_lots_reveals_its_packages_and_what_became_of_each(
    world: World, clock: Clock, signed_in: Client, pair: Auction, language: str
) -> None:
    bidder, other = pair.bidders
    page = f"/offers/{bidder.offer.id}/bid"
    client = signed_in(bidder.someone)
    client.set_cookie("language", language)
    shown = client.get(page).text
    assert "data-bid-template" in shown
    assert shown.count("data-bid-lot") == 3
    said = {"commitment": bidder.commitment.hex()} | bidding.terms_read(world, bidder.someone, bidder.offer.id)
    assert client.post(f"{page}/commit", data=said).location == page
    bidding.commit(world, other)
    clock.forward(hours=bidding.HOURS)
    client = signed_in(bidder.someone)
    client.set_cookie("language", language)
    slip = {"packages": json.dumps(bidder.given["packages"]), "nonce": bidder.nonce.hex()}
    assert client.post(f"{page}/reveal", data=slip).location == page
    bidding.reveal(world, other)
    clock.forward(hours=bidding.HOURS)
    assert signed_in(pair.lender).post(f"/tenders/{pair.tender.id}/award").status_code == 302
    client = signed_in(bidder.someone)
    client.set_cookie("language", language)
    told = client.get(page).text
    for text in ("10.00%", "20.00%", "1 + 2"):
        assert text in told
    assert "15.00%" not in told
    part = client.get(f"/offers/{bidder.offer.id}/bid.json")
    assert award.verify(part.data) == "VERIFIED: the bid is won"


# What is no packages, as JSON.
HOSTILE = ("5", "null", "[1]", '"x"', "NaN", "[NaN]", "[{}]", "{}", "[1e999]", "[" * 50_000, "[" + "9" * 5_000 + "]")


@pytest.mark.parametrize(
    "packages",
    ["", "nothing", "[]", '[{"lots":[9],"kind":"rate","rate":"0.1","case_fee":"0.00"}]', *HOSTILE],
    ids=lambda text: text[:12],
)
def test_packages_that_are_none_are_refused_in_place(
    world: World, clock: Clock, signed_in: Client, pair: Auction, packages: str
) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    clock.forward(hours=bidding.HOURS)
    slip = {"packages": packages, "nonce": bidder.nonce.hex()}
    assert signed_in(bidder.someone).post(f"/offers/{bidder.offer.id}/bid/reveal", data=slip).status_code == 422


def test_what_is_no_packages_is_refused_with_a_fault_by_page_and_api_with_lots_and_without(
    world: World, clock: Clock, signed_in: Client, program: Client, pair: Auction
) -> None:
    whole = auction(world, terms("0.180000")).bidders[0]
    bidding.commit(world, *pair.bidders, whole)
    clock.forward(hours=bidding.HOURS)
    for bidder in (pair.bidders[0], whole):
        page, api = signed_in(bidder.someone), program(bidder.someone)
        rest = {"nonce": bidder.nonce.hex()} | (bidder.given if bidder is whole else {})
        for packages in HOSTILE:
            shown = page.post(f"/offers/{bidder.offer.id}/bid/reveal", data=rest | {"packages": packages})
            assert (shown.status_code, 'role="alert"' in shown.text) == (422, True), packages[:12]
            body = json.dumps(rest)[:-1] + f', "packages": {packages}}}'
            refused = api.post(
                f"/api/v1/offers/{bidder.offer.id}/bid/reveal", data=body, content_type="application/json"
            )
            assert 400 <= refused.status_code < 500, packages[:12]
            assert refused.json["code"], packages[:12]
        assert bidding.own(world, bidder).state == "committed"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_lender_and_auditor_see_who_won_which_lot_and_the_losers_reasons(
    world: World, clock: Clock, signed_in: Client, pair: Auction, language: str
) -> None:
    ripe(world, clock, pair)
    assert signed_in(pair.lender).post(f"/tenders/{pair.tender.id}/award").status_code == 302
    for someone in (pair.lender, world.auditor(world.person(pair.lender, "administrator"))):
        client = signed_in(someone)
        client.set_cookie("language", language)
        page = client.get(f"/tenders/{pair.tender.id}/award").text
        for bidder in pair.bidders:
            assert bidder.someone.organisation.name in page
        if language == "en":
            assert "Another package of the same bid has won." in page
            assert "nobody: its cases are free" in page
            assert "Placed with the best bids" in page
            assert page.count("≈ ¥") == 3
        record = client.get(f"/tenders/{pair.tender.id}/award.json")
        assert award.verify(record.data).startswith("VERIFIED: 2 bids, 2 scored, 2 of 3 lots placed")


def test_the_api_walks_the_whole_way(world: World, clock: Clock, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 25)), world.agreement(lender, agency)
    asked: dict[str, Any] = {
        "portfolio_id": str(portfolio.id),
        "agreement_ids": [str(agreement.id)],
        "commit_hours": 24,
        "reveal_hours": 24,
        "expected_recovery": "0.120000",
    }

    def invite(lots: object, key: str) -> Any:
        headers = {"Idempotency-Key": key}
        return program(lender).post("/api/v1/tenders/sealed-bids", json=asked | {"lots": lots}, headers=headers)

    overlapping = invite([{"buckets": ["M1"]}, {"buckets": ["M1", "M2"]}], "overlap")
    assert overlapping.status_code == 422
    assert [(one["row"], one["field"], one["code"]) for one in overlapping.json["errors"]] == [
        (2, "buckets", "lots_overlap")
    ]
    invited = invite([{"buckets": ["M1"]}, {"buckets": ["M2"]}], "one")
    assert invited.status_code == 201
    (offer,) = program(agency).get("/api/v1/offers").json["items"]
    assert offer["terms"]["scoring"] == invited.json["scoring"]
    tender_id, api, nonce = offer["tender_id"], f"/api/v1/offers/{offer['id']}/bid", bytes(range(32))
    packages: tuple[Package, ...] = (package([1], "0.100000"), package([1, 2], "0.180000", "2.00"))
    commitment = award.commitment_to_packages(UUID(tender_id), agency.organisation.id, packages, nonce)
    said = {"commitment": commitment.hex()} | bidding.terms_read(world, agency, UUID(offer["id"]))
    assert program(agency).post(f"{api}/commit", json=said).status_code == 201
    clock.forward(hours=24)
    spelled = [one.spelled() for one in packages]
    wrong = {
        (0, "packages", "required_missing"): [],
        (2, "lots", "package_repeated"): [spelled[0], spelled[0]],
        (1, "lots", "lot_unknown"): [spelled[0] | {"lots": [3]}],
        (1, "lots", "lot_repeated"): [spelled[0] | {"lots": [1, 1]}],
        (0, "packages", "too_many_packages"): spelled * 5,
        (2, "rate", "rate_spelling"): [spelled[0], spelled[1] | {"rate": "0.18"}],
    }
    for fault, given in wrong.items():
        refused = program(agency).post(f"{api}/reveal", json={"packages": given, "nonce": nonce.hex()})
        assert [(one["row"], one["field"], one["code"]) for one in refused.json["errors"]] == [fault]
    neither = program(agency).post(f"{api}/reveal", json={"nonce": nonce.hex()})
    assert {one["field"] for one in neither.json["errors"]} == {"kind", "rate", "case_fee"}
    shown = {"packages": spelled[::-1], "nonce": nonce.hex()}
    assert program(agency).post(f"{api}/reveal", json=shown).json["state"] == "revealed"
    clock.forward(hours=24)
    made = program(lender).post(f"/api/v1/tenders/{tender_id}/award").json
    assert (made["outcome"], made["winner"]) == ("placed", None)
    assert made["winners"][0] == made["winners"][1] is not None
    record = program(lender).get(f"/api/v1/tenders/{tender_id}/award/record").data
    assert award.verify(record).startswith("VERIFIED: 1 bids, 1 scored, 2 of 2 lots placed")
    assert award.verify(program(agency).get(f"{api}/part").data) == "VERIFIED: the bid is won"
    own = program(agency).get(api).json
    assert [one["state"] for one in own["packages"]] == ["lost", "won"]
    assert own["rate"] == "0.180000"
