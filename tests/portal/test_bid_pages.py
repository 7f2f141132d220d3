"""Sealed bids on their pages and by the API: invite, commit, reveal, award, and whose eyes each is for."""

import json
import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from models import award
from models.services.exchange import agreements, bids, placements
from models.services.parties import standings
from tests import bidding
from tests.bidding import Auction, Bidder, auction, terms
from tests.conftest import Clock
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def pair(world: World) -> Auction:
    return auction(world, terms("0.180000"), terms("0.170000", "1.50"))


def ripe(world: World, clock: Clock, tendered: Auction) -> None:
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)


def slip(bidder: Bidder) -> dict[str, str]:
    return {**bidder.terms._asdict(), "nonce": bidder.nonce.hex()}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_agency_commits_reveals_and_reads_what_came_of_it(
    world: World, clock: Clock, signed_in: Client, pair: Auction, language: str
) -> None:
    bidder = pair.bidders[0]
    page = f"/offers/{bidder.offer.id}/bid"
    client = signed_in(bidder.someone)
    client.set_cookie("language", language)
    shown = client.get(page).text
    read = re.search(r'name="terms_digest" value="(\w{32})"', shown)
    assert "data-bid-commit" in shown
    assert read is not None
    said = {"commitment": bidder.commitment.hex(), "terms_digest": read[1]}
    assert client.post(f"{page}/commit", data=said).location == page
    assert bidder.commitment.hex() in client.get(page).text
    clock.forward(hours=bidding.HOURS)
    client = signed_in(bidder.someone)
    client.set_cookie("language", language)
    assert client.post(f"{page}/reveal", data=slip(bidder)).location == page
    clock.forward(hours=bidding.HOURS)
    lender = signed_in(pair.lender)
    assert lender.post(f"/tenders/{pair.tender.id}/award").status_code == 302
    client = signed_in(bidder.someone)
    assert "18.00%" in client.get(page).text
    part = client.get(f"/offers/{bidder.offer.id}/bid.json")
    assert award.verify(part.data).startswith("VERIFIED: the bid is won")


def test_a_bidder_sees_that_its_terms_changed_and_may_commit_again(
    world: World, signed_in: Client, pair: Auction
) -> None:
    bidder = pair.bidders[0]
    page = f"/offers/{bidder.offer.id}/bid"
    bidding.commit(world, bidder)
    client = signed_in(bidder.someone)
    client.set_cookie("language", "en")
    assert "The terms have changed" not in client.get(page).text
    with world.database.work(pair.lender.actor) as work:
        agreements.change(work, bidder.offer.agreement_id, {"term_days": 1})
    shown = client.get(page).text
    assert "The terms have changed since you committed." in shown
    assert "Withdraw it and commit again" in shown


def test_the_award_of_what_was_undone_says_when_it_was(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    ripe(world, clock, pair)
    path = f"/tenders/{pair.tender.id}"
    assert signed_in(pair.lender).post(f"{path}/award").status_code == 302
    clock.forward(hours=2)
    assert signed_in(pair.lender).post(f"{path}/undo", data={"reason": "wrong_cases"}).status_code == 302
    lede = signed_in(pair.lender).get(f"{path}/award").text.split('<div class="figures">')[0]
    assert f'datetime="{clock().isoformat()}"' in lede


def test_only_the_bidder_is_shown_that_it_has_committed(
    world: World, signed_in: Client, program: Client, pair: Auction
) -> None:
    bidder, silent = pair.bidders
    bidding.commit(world, bidder)
    own = program(bidder.someone).get(f"/api/v1/offers/{bidder.offer.id}").json
    assert own["terms"]["terms_digest"] == own["frozen_terms"]["digest"]
    officer = world.person(pair.lender, "compliance_officer")
    for someone in (pair.lender, officer):
        client, page = program(someone), signed_in(someone)
        listed = client.get("/api/v1/offers").json["items"]
        told = [client.get(f"/api/v1/offers/{one.offer.id}").json for one in (bidder, silent)]
        assert not any("terms_digest" in one["terms"] for one in (*listed, *told))
        assert told[0]["terms"].keys() == told[1]["terms"].keys()
        assert "terms_digest" not in client.get(f"/api/v1/tenders/{pair.tender.id}").text
        seen = [page.get(f"/offers/{one.offer.id}").text for one in (bidder, silent)]
        assert not any("ommitted" in one for one in seen)


def test_the_lender_invites_and_downloads_a_record_that_verifies(world: World, clock: Clock, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    client = signed_in(lender)
    assert str(agreement.id) in client.get(f"/portfolios/{portfolio.id}/bids/new").text
    form = {"commit_hours": "24", "reveal_hours": "24", "expected_recovery": "12", "kinds": ["rate", "hybrid"]}
    refused = client.post(f"/portfolios/{portfolio.id}/bids/new", data=form)
    assert refused.status_code == 422
    limits = {"rate_max": "18.5", "case_fee_max": "5"}
    made = client.post(
        f"/portfolios/{portfolio.id}/bids/new", data=form | limits | {"agreement_ids": [str(agreement.id)]}
    )
    assert made.status_code == 302
    page = made.location
    client.set_cookie("language", "en")
    shown = client.get(page).text
    for published in (
        "Highest rate",
        "18.50%",
        "5.00",
        "A bid is void whose score is zero or less",
        "booked when the agency acknowledges the placement",
    ):
        assert published in shown
    assert client.post(page).status_code == 409
    clock.forward(hours=48)
    client = signed_in(lender)
    assert client.post(page).location == page
    record = client.get(f"{page}.json")
    assert award.verify(record.data).startswith("VERIFIED: 0 bids")


def test_no_page_of_the_lender_tells_of_bids_before_the_award(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidding.commit(world, *pair.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, pair.bidders[0])
    client = signed_in(pair.lender)
    client.set_cookie("language", "en")
    page = client.get(f"/tenders/{pair.tender.id}/award").text
    assert "Bids are sealed until" in page
    for hidden in ("Committed", "Revealed, sealed", pair.bidders[0].commitment.hex(), "18.00%"):
        assert hidden not in page
    assert client.get(f"/tenders/{pair.tender.id}/award.json").status_code == 404


def test_after_the_award_lender_and_auditor_see_every_bid(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    ripe(world, clock, pair)
    assert signed_in(pair.lender).post(f"/tenders/{pair.tender.id}/award").status_code == 302
    for someone in (pair.lender, world.auditor(world.person(pair.lender, "administrator"))):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        page = client.get(f"/tenders/{pair.tender.id}/award").text
        assert "18.00%" in page
        assert "17.00%" in page
        assert "<svg" in page
        assert client.get(f"/tenders/{pair.tender.id}/award.json").status_code == 200


def test_the_auditor_finds_an_award_from_the_placement_it_made(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    ripe(world, clock, pair)
    award_page = f"/tenders/{pair.tender.id}/award"
    signed_in(pair.lender).post(award_page)
    with world.database.work(pair.lender.actor) as work:
        (placement,) = placements.list_own(work)
    auditor = world.auditor(world.person(pair.lender, "administrator"))
    client = signed_in(auditor)
    client.set_cookie("language", "en")
    shown = client.get(f"/placements/{placement.id}").text
    assert f'href="{award_page}"' in shown
    for text in (shown, client.get(award_page).text):
        links = {link for link in re.findall(r'href="(/[^"#?]*)"', text) if "/static" not in link}
        assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_a_committed_bid_is_no_answer_awaited_and_the_lender_is_told_that_bids_are_kept_from_it(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    client = signed_in(bidder.someone)
    client.set_cookie("language", "en")
    page = client.get(f"/offers/{bidder.offer.id}").text
    assert "Your bid is committed." in page
    assert "Your answer is awaited" not in page
    assert "Asked for a bid" not in page
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, bidder)
    client = signed_in(bidder.someone)
    client.set_cookie("language", "en")
    assert "Your bid is revealed." in client.get(f"/offers/{bidder.offer.id}").text
    client = signed_in(pair.lender)
    client.set_cookie("language", "en")
    assert "is kept from you too until the award" in client.get(f"/tenders/{pair.tender.id}/award").text


def test_the_list_of_offers_says_how_far_an_agency_s_own_bid_is_and_nobody_else_s(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidder, other = pair.bidders

    def listed(someone: Someone) -> str:
        client = signed_in(someone)
        client.set_cookie("language", "en")
        return client.get("/offers").text

    awaited, rests = "1 offer waits for your answer", "No offer waits for an answer."

    page = listed(bidder.someone)
    assert "Asked for a bid</span>" in page
    assert awaited in page
    bidding.commit(world, bidder)
    page = listed(bidder.someone)
    assert "Committed</span>" in page
    assert rests in page
    clock.forward(hours=bidding.HOURS)
    assert awaited in listed(bidder.someone)
    bidding.reveal(world, bidder)
    page = listed(bidder.someone)
    assert "Revealed, sealed</span>" in page
    assert rests in page
    assert "Asked for a bid</span>" in listed(other.someone)
    assert "Asked for a bid</span>" not in listed(pair.lender)


def test_until_the_award_the_lender_reads_sealed_of_each_agency_whatever_it_did(
    world: World, signed_in: Client, pair: Auction
) -> None:
    client = signed_in(pair.lender)
    client.set_cookie("language", "en")
    tender = f"/tenders/{pair.tender.id}"
    places = ("/offers", tender, f"{tender}/award", f"/offers/{pair.bidders[0].offer.id}")

    def said() -> list[int]:
        return [client.get(page).text.count("Sealed until the award</span>") for page in places]

    before = said()
    assert before == [2, 2, 2, 1]
    bidding.commit(world, pair.bidders[0])
    assert said() == before


def test_an_agency_is_told_the_end_of_the_commitment_until_it_has_committed_and_then_that_of_the_reveal(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidder, silent = pair.bidders

    def told(someone: Someone, page: str) -> tuple[str, int, int]:
        """The page, and how often it names the commitment's end and the reveal's."""
        client = signed_in(someone)
        client.set_cookie("language", "en")
        text = client.get(page).text
        ends = bids.windows(bidder.offer, bidder.offer.created_at)
        return text, *(text.count(f'datetime="{at.isoformat()}"') for at in (ends.commit_until, ends.reveal_until))

    of_list, of_offer = "/offers", f"/offers/{bidder.offer.id}"
    for page, count in ((of_list, 2), (of_offer, 1)):
        text, *named = told(bidder.someone, page)
        assert (named, "Commit until" in text) == ([count, 0], True), page
    bidding.commit(world, bidder)
    for page in (of_list, of_offer):
        text, *named = told(bidder.someone, page)
        assert (named, "Reveal until" in text) == ([0, 1], True), page
    clock.forward(hours=bidding.HOURS)
    text, *named = told(bidder.someone, of_list)
    assert ("1 offer waits for your answer" in text, named) == (True, [0, 2])
    assert "No offer waits for an answer." in told(silent.someone, of_list)[0]
    assert "there is no bid of yours" in told(silent.someone, f"/offers/{silent.offer.id}")[0]


def test_a_refused_reveal_says_why_and_repeats_nothing_of_the_bid(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidder = pair.bidders[1]
    bidding.commit(world, bidder)
    clock.forward(hours=bidding.HOURS)
    client = signed_in(bidder.someone)
    client.set_cookie("language", "en")
    wrong = slip(bidder) | {"rate": "0.171234"}
    answer = client.post(f"/offers/{bidder.offer.id}/bid/reveal", data=wrong)
    assert answer.status_code == 409
    assert "not the bid that was committed to" in answer.text
    malformed = client.post(f"/offers/{bidder.offer.id}/bid/reveal", data=slip(bidder) | {"rate": "0.1712345"})
    assert malformed.status_code == 422
    for page in (answer.text, malformed.text):
        for secret in ("0.17123", bidder.nonce.hex(), "1.50"):
            assert secret not in page


def test_a_bidder_that_is_shut_out_sees_no_figure_and_may_still_reveal(
    world: World, clock: Clock, signed_in: Client, pair: Auction
) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    with world.database.work(pair.lender.actor) as work:
        standings.freeze(work, bidder.someone.organisation.id, "data_incident")
    clock.forward(hours=bidding.HOURS)
    client = signed_in(bidder.someone)
    client.set_cookie("language", "en")
    page = client.get(f"/offers/{bidder.offer.id}/bid").text
    assert "As things stand your bid cannot win:" in page
    assert "data-bid-reveal" in page
    assert "≈" not in page
    assert client.post(f"/offers/{bidder.offer.id}/bid/reveal", data=slip(bidder)).status_code == 302


@pytest.mark.parametrize("path", ["bid", "bid.json"])
def test_whose_offer_it_is_not_finds_nothing(world: World, signed_in: Client, pair: Auction, path: str) -> None:
    for offer_id in (pair.bidders[1].offer.id, uuid4()):
        assert signed_in(pair.bidders[0].someone).get(f"/offers/{offer_id}/{path}").status_code == 404


def test_a_collector_does_not_bid_and_an_agency_sees_no_award(world: World, signed_in: Client, pair: Auction) -> None:
    bidder = pair.bidders[0]
    collector = signed_in(world.person(bidder.someone, "collector"))
    assert collector.get(f"/offers/{bidder.offer.id}/bid").status_code == 403
    assert signed_in(bidder.someone).get(f"/tenders/{pair.tender.id}/award").status_code == 403
    assert signed_in(pair.lender).get(f"/offers/{bidder.offer.id}/bid").status_code == 403


def test_an_offer_of_another_kind_has_no_page_of_bids(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 30)
    assert signed_in(agency).get(f"/offers/{offer.id}/bid").status_code == 409
    assert signed_in(lender).get(f"/tenders/{offer.tender_id}/award").status_code == 404


def test_the_api_walks_the_whole_way(world: World, clock: Clock, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    asked = {
        "portfolio_id": str(portfolio.id),
        "agreement_ids": [str(agreement.id)],
        "commit_hours": 24,
        "reveal_hours": 24,
        "expected_recovery": "0.120000",
    }
    invite = program(lender).post("/api/v1/tenders/sealed-bids", json=asked, headers={"Idempotency-Key": "one"})
    again = program(lender).post("/api/v1/tenders/sealed-bids", json=asked, headers={"Idempotency-Key": "one"})
    assert invite.status_code == 201
    assert again.json == invite.json
    (offer,) = program(agency).get("/api/v1/offers").json["items"]
    api, bid, nonce = f"/api/v1/offers/{offer['id']}/bid", terms("0.180000", "2.00"), bytes(range(32))
    tender_id = offer["tender_id"]
    assert tender_id == invite.json["id"]
    commitment = award.commitment_of(UUID(tender_id), agency.organisation.id, bid, nonce)
    seen = {"terms_digest": program(agency).get(f"/api/v1/offers/{offer['id']}").json["frozen_terms"]["digest"]}
    committed = program(agency).post(f"{api}/commit", json={"commitment": commitment.hex()} | seen)
    assert (committed.status_code, committed.json["state"], committed.json["rate"]) == (201, "committed", None)
    assert program(agency).get(f"/api/v1/offers/{offer['id']}").json["terms"]["terms_digest"] == seen["terms_digest"]
    assert program(agency).post(f"{api}/commit", json={"commitment": "ab" * 32} | seen).json["code"] == "bid_stands"
    assert program(agency).get(f"/api/v1/audit-log/receipts/{committed.json['entry_leaf']}").status_code == 200
    assert program(agency).get(f"{api}/part").status_code == 409
    clock.forward(hours=24)
    given = {**bid._asdict(), "nonce": nonce.hex()}
    assert (
        program(agency).post(f"{api}/reveal", json=given | {"nonce": "00" * 32}).json["code"] == "commitment_mismatch"
    )
    assert program(agency).post(f"{api}/reveal", json=given).json["state"] == "revealed"
    assert program(lender).post(f"/api/v1/tenders/{tender_id}/award").json["code"] == "award_too_early"
    clock.forward(hours=24)
    made = program(lender).post(f"/api/v1/tenders/{tender_id}/award").json
    assert made["outcome"] == "placed"
    record = program(lender).get(f"/api/v1/tenders/{tender_id}/award/record").data
    assert award.verify(record).startswith("VERIFIED: 1 bids, 1 scored")
    assert json.loads(record)["winner"] == made["winner"]
    assert award.verify(program(agency).get(f"{api}/part").data).startswith("VERIFIED: the bid is won")
    assert program(agency).get(api).json["rate"] == "0.180000"


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"lots_by": "buckets", "lot_110000": "1"}, "Lots are filled in under another way to part the cases"),
        ({"lots_by": "", "lot_M1": "1"}, "Lots are filled in under another way to part the cases"),
        ({"lots_by": "buckets", "lot_M1": "1", "lot_M2": "1"}, "One lot alone parts nothing"),
        ({"lots_by": "buckets"}, "This field is required."),
    ],
)
def test_lots_that_part_nothing_or_would_be_passed_over_are_refused_on_the_form(
    world: World, signed_in: Client, chosen: dict[str, str], says: str
) -> None:
    lender = world.lender()
    portfolio, agreement = world.portfolio(lender, 25), world.agreement(lender, world.agency())
    client = signed_in(lender)
    client.set_cookie("language", "en")
    asked = {"commit_hours": "24", "reveal_hours": "24", "expected_recovery": "12", "kinds": ["rate"]}
    page = f"/portfolios/{portfolio.id}/bids/new"
    refused = client.post(page, data=asked | {"agreement_ids": [str(agreement.id)]} | chosen)
    assert (refused.status_code, says in refused.text) == (422, True)
