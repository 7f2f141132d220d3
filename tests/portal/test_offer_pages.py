"""Offers on their pages: the lender waits or withdraws, the agency accepts or declines, and sees no case."""

import re
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from models.audit import OutboxEntry
from models.offer import Offer
from models.rates import Cell
from models.services.exchange import awards, offers, placements, rate_cards, tenders
from models.services.exchange.rate_cards import Terms
from models.services.parties import standings
from tests import bidding
from tests.bidding import auction_in_lots, package
from tests.conftest import Clock
from tests.facts import TODAY, jobs
from tests.world import CASE_NUMBER, Someone, World

Client = Callable[[Someone], FlaskClient]


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def badges(page: str) -> list[str]:
    return re.findall(r'<span class="state [^"]*">.*?</svg>([^<]+)</span>', page)


def read_terms(client: FlaskClient, offer_id: UUID) -> dict[str, str]:
    """What the form of an offer's page says of the terms that it shows."""
    found = re.search(r'name="terms_digest" value="(\w{32})"', client.get(f"/offers/{offer_id}").text)
    assert found
    return {"terms_digest": found[1]}


def state_of(world: World, someone: Someone, offer_id: UUID) -> str:
    with world.database.work(someone.actor) as work:
        return offers.get(work, offer_id).state


def test_the_agency_sees_totals_and_strata_and_no_case(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    client = signed_in(agency)
    client.set_cookie("language", "en")
    page = client.get(f"/offers/{offer.id}").text
    assert f"≈ {offer.case_count}" in page
    assert "Balance by bucket" in page
    assert not CASE_NUMBER.search(page)


def test_of_few_borrowers_the_agency_sees_no_figure_and_both_sides_are_told_why(
    world: World, signed_in: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 3)
    told = ((agency, "nothing is told of so few", False), (lender, "the agency sees no figure", True))
    for someone, words, exactly in told:
        client = signed_in(someone)
        client.set_cookie("language", "en")
        page = client.get(f"/offers/{offer.id}").text
        assert words in page
        for shown in (page, client.get("/offers").text, client.get("/offers.csv").text.replace("3000.00", "3,000.00")):
            assert ("3,000.00" in shown) is exactly


def test_the_lender_sees_its_own_figures_exactly_and_what_the_agency_sees(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    page = client.get(f"/offers/{offer.id}").text
    assert f"the agency sees ≈ {offer.case_count}" in page
    for shown in (page, client.get("/offers").text, client.get(f"/portfolios/{offer.portfolio_id}").text):
        assert "25,000.00" in shown
    assert "≈" not in client.get("/offers").text
    assert ",25,25,CNY,25000.00," in client.get("/offers.csv").text


def test_whoever_sees_the_tape_may_take_a_synthetic_sample_of_it(
    world: World, signed_in: Client, program: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    url = f"/offers/{offer.id}/synthetic-sample.csv"
    files = set()
    for someone in (lender, agency):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        assert f'href="{url}"' in client.get(f"/offers/{offer.id}").text
        files.add(client.get(url).data)
    (content,) = files
    lines = content.decode().splitlines()
    assert lines[0].startswith("\ufeffsynthetic,number,product,")
    assert all(line.startswith("synthetic,") for line in lines[1:])
    assert len(lines) == 1 + (offer.case_count or 0)
    told = program(agency).get(f"/api/v1/offers/{offer.id}/synthetic-sample").json
    assert told is not None
    assert (told["synthetic"], told["stands_for"], len(told["rows"])) == (True, "1.000000", offer.case_count)
    with world.database.work(jobs(agency)) as work:
        entries = work.session.scalars(select(OutboxEntry.entry).where(OutboxEntry.org_id == agency.organisation.id))
        (logged,) = [entry.decode() for entry in entries if b"export.download" in entry]
    assert '"tape_sample"' in logged
    assert sha256(content).hexdigest() in logged


def test_two_tenders_of_one_tape_have_one_sample(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    agreement, portfolio = world.agreement(lender, agency), world.portfolio(lender, 30)
    files = []
    for _ in range(2):
        with world.database.work(lender.actor) as work:
            offer = tenders.assign(work, portfolio.id, agreement.id)
        files.append(signed_in(agency).get(f"/offers/{offer.id}/synthetic-sample.csv").data)
        signed_in(lender).post(f"/offers/{offer.id}/withdraw")
    assert files[0] == files[1]


def test_where_no_figure_is_shown_there_is_no_sample(world: World, signed_in: Client, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 3)
    client = signed_in(agency)
    assert "synthetic-sample" not in client.get(f"/offers/{offer.id}").text
    assert client.get(f"/offers/{offer.id}/synthetic-sample.csv").status_code == 409
    refused = program(agency).get(f"/api/v1/offers/{offer.id}/synthetic-sample")
    assert refused.json is not None
    assert (refused.status_code, refused.json["code"]) == (409, "no_tape")
    stranger = world.agency()
    assert signed_in(stranger).get(f"/offers/{offer.id}/synthetic-sample.csv").status_code == 404
    assert program(stranger).get(f"/api/v1/offers/{offer.id}/synthetic-sample").status_code == 404
    collector = signed_in(world.person(agency, "collector"))
    assert collector.get(f"/offers/{offer.id}/synthetic-sample.csv").status_code == 403


def test_no_door_shows_an_agency_that_is_shut_out_anything_of_the_cases(
    world: World, signed_in: Client, program: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    with world.database.work(lender.actor) as work:
        standings.suspend(work, agency.organisation.id, "conduct")
    client, api = signed_in(agency), program(agency)
    for language in ("en", "zh"):
        client.set_cookie("language", language)
        page = client.get(f"/offers/{offer.id}").text
        assert 'class="notice notice-watch"' in page
        assert "synthetic-sample" not in page
        assert "≈" not in page
        assert "≈" not in client.get("/offers").text
    assert f"{agency.organisation.name},assigned,offered,,,CNY,," in client.get("/offers.csv").text
    assert client.get(f"/offers/{offer.id}/synthetic-sample.csv").status_code == 409
    for told in (api.get(f"/api/v1/offers/{offer.id}").json, api.get("/api/v1/offers").json["items"][0]):
        assert (told["withheld"], told["case_count"], told["strata"]["currencies"]) == (["ineligible"], None, [])
    refused = api.get(f"/api/v1/offers/{offer.id}/synthetic-sample")
    assert (refused.status_code, refused.json["code"]) == (409, "ineligible")
    assert "≈" in signed_in(lender).get(f"/offers/{offer.id}").text


def test_the_placement_brings_the_exact_figures(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 3)
    client = signed_in(agency)
    client.post(f"/offers/{offer.id}/accept", data=read_terms(client, offer.id))
    assert "3,000.00" in client.get(f"/offers/{offer.id}").text


def test_an_allocations_offer_is_exact_and_says_so(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    agreement, portfolio = world.agreement(lender, agency), world.portfolio(lender, 6)
    client = signed_in(lender)
    plan = {"portfolio_id": str(portfolio.id), "kind": "rules", "rules": "1", f"share-1-{agreement.id}": "100"}
    client.post(client.post("/allocations", data=plan).location + "/commit")
    with world.database.work(agency.actor) as work:
        (offer,) = offers.list_own(work)
    for someone in (lender, agency):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        shown = client.get(f"/offers/{offer.id}").text
        assert ("every figure is exact" in shown, "blurred" in shown, "≈" in shown) == (True, False, False)
        assert "≈" not in client.get("/offers").text


def test_accepting_leads_to_the_placement(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = signed_in(agency)
    answer = client.post(f"/offers/{offer.id}/accept", data=read_terms(client, offer.id))
    with world.database.work(agency.actor) as work:
        placement = placements.find_of_offer(work, offer.id)
    assert placement is not None
    assert answer.location == f"/placements/{placement.id}"
    assert f"/placements/{placement.id}" in client.get(f"/offers/{offer.id}").text


def lower_rate(world: World, lender: Someone, offer: Offer, rate: str = "0.050000") -> None:
    """A card that two people put in force while somebody reads the offer."""
    with world.database.work(lender.actor) as work:
        card = rate_cards.propose(work, offer.agreement_id, Terms([Cell(Decimal(rate))], TODAY))
    with world.database.work(world.person(lender, "administrator").actor) as work:
        rate_cards.approve(work, card.id)


def test_who_reads_one_rate_is_asked_again_before_another_is_taken(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = english(signed_in(agency))
    read = read_terms(client, offer.id)
    lower_rate(world, lender, offer)
    answer = client.post(f"/offers/{offer.id}/accept", data=read)
    assert answer.status_code == 409
    assert "The terms have changed since you read them." in answer.text
    assert ("at 5.00%?" in answer.text, "at 18.00%?" in answer.text) == (True, False)
    assert client.post(f"/offers/{offer.id}/accept").status_code == 409
    assert state_of(world, agency, offer.id) == "offered"
    assert client.post(f"/offers/{offer.id}/accept", data=read_terms(client, offer.id)).status_code == 302


def test_a_program_accepts_the_terms_that_it_read_and_no_others(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client, path = program(agency), f"/api/v1/offers/{offer.id}"
    read = client.get(path).get_json()["frozen_terms"]
    assert (read["rate_card_version"], read["cells"][0]["rate"], read["term_days"]) == (1, "0.180000", 90)
    assert (read["settlement_floor"], read["term_levels"]) == ("1.000000", {"settlement_floor": "default"})
    assert program(lender).get(path).get_json()["frozen_terms"] == read
    assert client.post(f"{path}/accept", json={}).status_code == 422
    lower_rate(world, lender, offer)
    late = client.post(f"{path}/accept", json={"terms_digest": read["digest"]})
    assert (late.status_code, late.get_json()["code"]) == (409, "terms_changed")
    now = client.get(path).get_json()["frozen_terms"]
    made = client.post(f"{path}/accept", json={"terms_digest": now["digest"]})
    assert (made.status_code, made.get_json()["highest_rate"]) == (201, "0.050000")
    assert made.get_json()["term_levels"] == {"settlement_floor": "default"}
    assert client.get(path).get_json()["frozen_terms"] is None


def test_declining_asks_for_a_reason(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = signed_in(agency)
    assert client.post(f"/offers/{offer.id}/decline", data={"reason": ""}).status_code == 422
    assert state_of(world, agency, offer.id) == "offered"
    assert client.post(f"/offers/{offer.id}/decline", data={"reason": "capacity"}).status_code == 302
    assert state_of(world, agency, offer.id) == "declined"


def test_an_expired_offer_is_refused_in_place(world: World, signed_in: Client, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    clock.forward(hours=73)
    client = signed_in(agency)
    answer = client.post(f"/offers/{offer.id}/accept")
    assert answer.status_code == 409
    assert f'action="/offers/{offer.id}/accept"' not in answer.text


def test_a_lender_withdraws_what_is_not_answered(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    assert signed_in(lender).post(f"/offers/{offer.id}/withdraw").status_code == 302
    assert state_of(world, lender, offer.id) == "withdrawn"


@pytest.mark.parametrize(("language", "word"), [("zh", "发单"), ("en", "Offers")])
def test_both_sides_list_the_offer_under_the_others_name(
    world: World, signed_in: Client, language: str, word: str
) -> None:
    lender, agency = world.lender(), world.agency()
    world.offer(lender, agency)
    for someone, other in ((lender, agency), (agency, lender)):
        client = signed_in(someone)
        client.set_cookie("language", language)
        page = client.get("/offers").text
        assert f"<h1>{word}</h1>" in page
        assert other.organisation.name in page


def test_the_list_is_filtered_by_state_and_downloaded(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    world.offer(lender, agency)
    client = signed_in(lender)
    assert f"<b>{agency.organisation.name}</b>" not in client.get("/offers?state=accepted").text
    assert agency.organisation.name in client.get("/offers.csv").text


def test_who_won_a_lot_is_listed_with_that_lot_and_the_rate_it_bid(
    world: World, clock: Clock, signed_in: Client
) -> None:
    bid = auction_in_lots(world, [package([1], "0.100000")], [package([2], "0.150000", "1.50")], sizes=(25, 30, 25))
    readers = [english(signed_in(someone)) for someone in (bid.lender, *(one.someone for one in bid.bidders))]
    assert [reader.get("/offers").text.count("as bid") for reader in readers] == [2, 1, 1]
    assert ",sealed_bid,offered,80,80,CNY,80000.00,," in readers[0].get("/offers.csv").text
    bidding.commit(world, *bid.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *bid.bidders)
    clock.forward(hours=bidding.HOURS)
    with world.database.work(bid.lender.actor) as work:
        awards.award(work, bid.tender.id)
    won = [",won,25,,CNY,25000.00,0.100000,", ",won,30,,CNY,30000.00,0.150000,"]
    (first, second), both = bid.bidders, [True, True]
    for someone, of in ((bid.lender, both), (first.someone, [True, False]), (second.someone, [False, True])):
        client = english(signed_in(someone))
        listed = client.get("/offers.csv").text
        assert [line in listed for line in won] == of
        page = client.get("/offers").text
        assert ("as bid" in page, "≈" in page, "¥80,000.00" in page) == (False, False, False)
        assert ["10.00%" in page, "15.00%" in page] == of
    shown = english(signed_in(second.someone)).get(f"/offers/{second.offer.id}").text
    assert ("15.00%" in shown, "and ¥1.50 for each case" in shown, "as bid" in shown) == (True, True, False)


def test_the_api_tells_the_lender_exact_figures_of_its_offer_and_the_agency_the_tape(
    world: World, program: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    exactly, blurred = (
        {"case_count": 25, "borrower_count": 25, "balance": "25000.00", "exact": True},
        {
            "case_count": offer.case_count,
            "borrower_count": offer.borrower_count,
            "balance": f"{offer.balance:.2f}",
            "exact": False,
        },
    )
    for accepted in (False, True):
        for someone, figures in ((lender, exactly), (agency, blurred)):
            client = program(someone)
            for told in (
                client.get(f"/api/v1/offers/{offer.id}").json,
                client.get("/api/v1/offers").json["items"][0],
            ):
                assert {name: told[name] for name in figures} == figures
        if not accepted:
            with world.database.work(agency.actor) as work:
                offers.accept(work, offer.id)


def test_the_api_tells_the_lender_that_makes_an_offer_exact_figures_at_once(world: World, program: Client) -> None:
    lender = world.lender()
    portfolio, agreement = world.portfolio(lender, 25), world.agreement(lender, world.agency())
    named = {"portfolio_id": str(portfolio.id), "agreement_id": str(agreement.id)}
    made = program(lender).post("/api/v1/offers", json=named, headers={"Idempotency-Key": "once"})
    again = program(lender).post("/api/v1/offers", json=named, headers={"Idempotency-Key": "once"})
    assert made.status_code == 201
    assert [(told.json["id"], told.json["balance"]) for told in (made, again)] == [(made.json["id"], "25000.00")] * 2


def test_what_was_undone_is_no_longer_listed_as_accepted(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = signed_in(agency)
    client.post(f"/offers/{offer.id}/accept", data=read_terms(client, offer.id))
    page = f"/offers/{offer.id}"
    assert "state-good" in signed_in(lender).get(page).text
    assert signed_in(lender).post(f"/tenders/{offer.tender_id}/undo", data={"reason": "wrong_cases"}).status_code == 302
    for someone in (lender, agency):
        client = english(signed_in(someone))
        assert ",assigned,undone," in client.get("/offers.csv").text
        for path in ("/offers", page):
            assert badges(client.get(path).text) == ["Undone"]
    client = english(signed_in(lender))
    assert badges(client.get(f"/tenders/{offer.tender_id}").text) == ["Undone", "Undone"]
    assert ">1</span> Undone<" in client.get("/tenders").text


def test_a_frozen_agency_is_told_why_in_words_and_is_not_asked(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = signed_in(agency)
    client.set_cookie("language", "en")
    assert "1 offer waits for your answer" in client.get("/").text
    with world.database.work(lender.actor) as work:
        standings.freeze(work, agency.organisation.id, "conduct")
    shown = client.get(f"/offers/{offer.id}").text
    assert "The lender does not place cases with the agency now." in shown
    assert ("ineligible" in shown, "Your answer is awaited" in shown) == (False, False)
    for path in ("/", "/offers"):
        assert "waits for your answer" not in client.get(path).text
    assert "1 offer waits for an answer" in signed_in(lender).get("/offers", headers={"Accept-Language": "en"}).text


def test_another_agency_cannot_tell_that_the_offer_exists(world: World, signed_in: Client) -> None:
    offer = world.offer(world.lender(), world.agency())
    client = signed_in(world.agency())
    assert client.get(f"/offers/{offer.id}").status_code == 404
    assert client.post(f"/offers/{offer.id}/accept").status_code == 404
    assert client.post(f"/offers/{offer.id}/decline", data={"reason": "rate"}).status_code == 404


def test_a_collector_answers_no_offer(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    client = signed_in(world.person(agency, "collector"))
    assert client.get(f"/offers/{offer.id}").status_code == 403
    assert client.post(f"/offers/{offer.id}/accept").status_code == 403


def test_what_was_offered_is_told_apart_from_what_was_placed(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 25)
    before, after = "What the agency sees", "What was offered"
    assert "≈ 2" in english(signed_in(lender)).get(f"/offers/{offer.id}").text.split(before)[1]
    client = english(signed_in(agency))
    client.post(f"/offers/{offer.id}/accept", data=read_terms(client, offer.id))
    for someone in (lender, agency):
        exact, blurred = english(signed_in(someone)).get(f"/offers/{offer.id}").text.split(after)
        assert ("25,000.00" in exact, "≈" in exact) == (True, False)
        assert "as it was shown before anything was placed" in blurred
        assert re.findall(r"(?<!≈ )\b\d+ (?:cases|borrowers)", blurred.split("No group here")[0]) == []
