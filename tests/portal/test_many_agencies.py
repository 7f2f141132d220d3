"""A lender with many agencies finds its way: panels of any size, and lists that are filtered and paged."""

import re
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import URL

from models.portfolio import Portfolio
from models.services.exchange import tenders
from models.tender import Tender
from models.tender_plan import Plan
from tests.benchmarks.exchange_crowd import Seat, copy_agency
from tests.conftest import plain
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
AGENCIES = 60
ADDRESS_MAX = 4094  # bytes of a request's first line, by the server's default


class Crowd(NamedTuple):
    lender: Someone
    seats: list[Seat]
    portfolio: Portfolio


@pytest.fixture
def crowd(world: World, admin: URL, database_name: str) -> Crowd:
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    seats = copy_agency(plain(admin.set(database=database_name)), agency, AGENCIES)
    return Crowd(lender, seats, world.portfolio(lender, 4))


def tendered(world: World, crowd: Crowd, *seats: Seat) -> Tender:
    plan = Plan(crowd.portfolio.id, "first_claim", [seat.agreement_id for seat in seats], case_limit=1)
    with world.database.work(crowd.lender.actor) as work:
        return tenders.create(work, plan)


def offers_on(client: FlaskClient, address: str) -> list[UUID]:
    """Of every page, from the first to the last."""
    found: list[UUID] = []
    while address:
        page = client.get(address).text
        found += [UUID(one) for one in re.findall(r'<th scope="row"><a href="/offers/([0-9a-f-]{36})"', page)]
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    return found


def test_every_agency_may_be_asked_at_once(crowd: Crowd, signed_in: Client) -> None:
    client = signed_in(crowd.lender)
    asked = [str(seat.agreement_id) for seat in crowd.seats]
    plan = {"portfolio_id": str(crowd.portfolio.id), "respond_hours": "24"}
    in_turn = plan | {"kind": "assigned"} | {f"place-{one}": str(turn) for turn, one in enumerate(asked, 1)}
    shown = client.post("/tenders/new", data=in_turn).text
    assert re.findall(r'type="hidden" name="agreement_ids" value="([^"]+)"', shown) == asked
    at_once = client.post("/tenders", data=plan | {"kind": "first_claim", "agreement_ids": asked})
    page = client.get(at_once.location).text
    assert page.count('<a href="/offers/') == AGENCIES
    for path in (
        f"/tenders/new?portfolio_id={crowd.portfolio.id}",
        f"/allocations/new?portfolio_id={crowd.portfolio.id}",
    ):
        (form,) = re.findall(r'<form method="(\w+)" action="[^"]+/new#\w+"', client.get(path).text)
        assert form == "post", f"{AGENCIES} agencies are more than {ADDRESS_MAX} bytes of an address"


def test_the_list_of_offers_is_paged_counted_and_filtered(world: World, crowd: Crowd, signed_in: Client) -> None:
    first, second = tendered(world, crowd, *crowd.seats), tendered(world, crowd, *crowd.seats[:2])
    client = signed_in(crowd.lender)
    found = offers_on(client, "/offers")
    assert (len(found), len(set(found))) == (AGENCIES + 2, AGENCIES + 2)
    assert found == sorted(found, reverse=True)
    filters = {
        f"tender_id={first.id}": AGENCIES,
        f"tender_id={second.id}&state=offered": 2,
        f"other_id={crowd.seats[0].agency_id}": 2,
        f"other_id={crowd.seats[-1].agency_id}&kind=first_claim": 1,
        "kind=assigned": 0,
        "state=accepted": 0,
    }
    for query, count in filters.items():
        assert len(offers_on(client, f"/offers?{query}")) == count, query
        assert len(client.get(f"/offers.csv?{query}").text.splitlines()) == count + 1, query
    counted = re.findall(
        r'href="/offers\?state=offered">[^<]+<span class="num muted">(\d+)</span>', client.get("/offers").text
    )
    assert counted == [str(AGENCIES + 2)]


def test_a_program_filters_offers_alike(world: World, crowd: Crowd, program: Client) -> None:
    tender = tendered(world, crowd, *crowd.seats[:3])
    tendered(world, crowd, crowd.seats[0])
    client = program(crowd.lender)
    found = client.get(f"/api/v1/offers?tender_id={tender.id}&kind=first_claim&state=offered").json
    assert found is not None
    assert len(found["items"]) == 3
    of_one = client.get(f"/api/v1/offers?other_id={crowd.seats[0].agency_id}").json
    assert client.get("/api/v1/offers?state=open").status_code == 422
    assert of_one is not None
    assert len(of_one["items"]) == 2
    assert client.get("/api/v1/offers?kind=auction").status_code == 422
