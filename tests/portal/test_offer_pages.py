"""Offers on their pages: the lender waits or withdraws, the agency accepts or declines, and sees no case."""

from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from models.services.exchange import offers, placements
from models.services.parties import standings
from tests.conftest import Clock
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


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
    assert "K-" not in page


def test_of_few_borrowers_no_figure_is_shown_and_both_sides_are_told_why(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 3)
    for someone, words in ((agency, "nothing is told of so few"), (lender, "the agency sees no figure")):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        page = client.get(f"/offers/{offer.id}").text
        assert words in page
        assert "3,000.00" not in page


def test_the_placement_brings_the_exact_figures(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 3)
    client = signed_in(agency)
    client.post(f"/offers/{offer.id}/accept")
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
    answer = client.post(f"/offers/{offer.id}/accept")
    with world.database.work(agency.actor) as work:
        placement = placements.find_of_offer(work, offer.id)
    assert placement is not None
    assert answer.location == f"/placements/{placement.id}"
    assert f"/placements/{placement.id}" in client.get(f"/offers/{offer.id}").text


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
    assert agency.organisation.name not in client.get("/offers?state=accepted").text
    assert agency.organisation.name in client.get("/offers.csv").text


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
