"""The search by a full number, by page and API: what it shows, whom it serves, what it never repeats."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from models.organisation import Organisation
from models.services.portfolio import searches
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]

MOBILE = "13800000007"
FORM = {"kind": "mobile", "value": MOBILE, "reason": "locate_borrower"}


class Placed(NamedTuple):
    lender: Someone
    manager: Someone
    case: UUID


@pytest.fixture
def placed(world: World) -> Placed:
    lender, manager = world.lender(), world.agency()
    return Placed(lender, manager, world.case_ids(world.placement(lender, manager, [Debt(7)]), lender)[0])


@pytest.mark.parametrize(
    ("language", "title", "missed"),
    [
        ("en", "Search by a full number", "No case of yours has this number"),
        ("zh", "按完整号码搜索", "您没有使用该号码的案件"),
    ],
)
def test_a_search_leads_to_the_case_and_repeats_no_number(
    placed: Placed, signed_in: Client, language: str, title: str, missed: str
) -> None:
    for someone in (placed.lender, placed.manager):
        client = signed_in(someone)
        client.set_cookie("language", language)
        assert title in client.get("/search").text
        page = client.post("/search", data=FORM)
        assert (page.status_code, f"/cases/{placed.case}" in page.text, MOBILE in page.text) == (200, True, False)
        page = client.post("/search", data=FORM | {"value": "13900000000"})
        assert (page.status_code, missed in page.text, "13900000000" in page.text) == (200, True, False)


def test_a_number_in_an_address_searches_nothing(placed: Placed, signed_in: Client) -> None:
    page = signed_in(placed.lender).get("/search", query_string=FORM)
    assert f"/cases/{placed.case}" not in page.text


def test_part_of_a_number_is_refused_beside_its_input(placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.manager)
    client.set_cookie("language", "en")
    page = client.post("/search", data=FORM | {"value": "1380000"})
    assert page.status_code == 422
    assert "Not a valid mobile number." in page.text.split('id="value-error"')[1]
    assert "1380000" not in page.text
    assert f"{searches.SEARCHES_PER_HOUR_MAX} of {searches.SEARCHES_PER_HOUR_MAX}" in page.text


def test_beyond_the_quota_the_page_says_so(placed: Placed, signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "SEARCHES_PER_HOUR_MAX", 1)
    client = signed_in(placed.manager)
    client.set_cookie("language", "en")
    client.post("/search", data=FORM)
    page = client.post("/search", data=FORM)
    assert page.status_code == 429
    assert "as often as one person may in an hour" in page.text


def test_a_lender_with_its_own_keys_is_told_to_use_its_own_tool(
    world: World, placed: Placed, signed_in: Client
) -> None:
    with world.database.work(world.operator) as work:
        self_held = update(Organisation).where(Organisation.id == placed.lender.organisation.id)
        work.session.execute(self_held.values(custody="self"))
    client = signed_in(placed.lender)
    client.set_cookie("language", "en")
    assert "You hold your own keys" in client.get("/search").text
    answer = client.post("/api/v1/searches", json=FORM)
    assert (answer.status_code, answer.json["code"]) == (409, "search_needs_own_key")


@pytest.mark.parametrize("role", ["settlement_officer", "administrator"])
def test_who_may_not_open_may_not_search(world: World, signed_in: Client, role: str) -> None:
    client = signed_in(world.lender(role))
    assert client.get("/search").status_code == 403
    assert client.post("/api/v1/searches", json=FORM).status_code == 403


def test_the_api_answers_cases_by_id(placed: Placed, program: Client) -> None:
    for someone in (placed.lender, placed.manager):
        answer = program(someone).post("/api/v1/searches", json=FORM)
        assert answer.status_code == 201
        assert [case["id"] for case in answer.json["cases"]] == [str(placed.case)]
        assert (answer.json["closed"], answer.json["left"]) == ([], searches.SEARCHES_PER_HOUR_MAX - 1)
        assert MOBILE not in answer.text


@pytest.mark.parametrize(
    ("change", "field"),
    [({"value": "138"}, "value"), ({"kind": "card"}, "kind"), ({"reason": ""}, "reason"), ({"value": None}, "value")],
)
def test_the_api_names_the_field_and_never_the_value(
    placed: Placed, program: Client, change: dict[str, str], field: str
) -> None:
    answer = program(placed.manager).post("/api/v1/searches", json=FORM | change)
    assert (answer.status_code, [error["field"] for error in answer.json["errors"]]) == (422, [field])
    assert MOBILE not in answer.text


def test_what_another_has_is_as_unknown_as_what_nobody_has(world: World, placed: Placed, program: Client) -> None:
    assert placed.case
    client = program(world.lender())
    foreign, unknown = (
        client.post("/api/v1/searches", json=FORM | {"value": value}).json for value in (MOBILE, "13900000000")
    )
    assert {**foreign, "id": "", "left": 0} == {**unknown, "id": "", "left": 0}
