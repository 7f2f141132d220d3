"""Replacing keys and correcting cases, on pages and over the API: who may, what is shown, what is refused in place."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from jobs import keys as job
from models.objects import FolderStore
from models.services.portfolio import cases
from tests.own_keys import own_lender
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def case_of(world: World, lender: Someone) -> UUID:
    with world.database.work(lender.actor) as work:
        return cases.list_own(work)[0].case.id


def test_an_administrator_replaces_the_key_and_sees_how_far_it_is(
    world: World, signed_in: Client, tmp_path: Path
) -> None:
    lender = world.lender("administrator")
    world.portfolio(world.person(lender, "portfolio_manager"))
    client = english(signed_in(lender))
    assert client.post("/keys/rotation").status_code == 302
    assert "0 of 5 keys are wrapped to it" in client.get("/keys").text
    again = client.post("/keys/rotation")
    assert (again.status_code, "has not ended yet" in again.text) == (409, True)
    job.carry_on_one(world.database, FolderStore(tmp_path), lender.organisation.id)
    page = client.get("/keys").text
    assert "keys are wrapped to it" not in page
    assert "number 2" in page
    assert client.get("/api/v1/keys/progress").json == {"rotation": None, "reindexing": None, "rekeys": []}


@pytest.mark.parametrize("path", ["/keys/rotation", "/keys/index-rotation", "/api/v1/keys/rotation"])
@pytest.mark.parametrize("role", ["portfolio_manager", "compliance_officer"])
def test_only_an_administrator_replaces_keys(world: World, signed_in: Client, path: str, role: str) -> None:
    assert signed_in(world.lender(role)).post(path).status_code == 403


@pytest.mark.parametrize("path", ["/keys/index-rotation", "/api/v1/keys/index-rotation"])
def test_an_agency_has_no_index_key_to_replace(world: World, signed_in: Client, path: str) -> None:
    client = english(signed_in(world.agency()))
    assert client.post(path).status_code == 403
    page = client.get("/keys").text
    assert "Replace the encryption key" in page
    assert "Replace the index key" not in page


def test_who_holds_its_own_keys_is_offered_no_replacement_here(world: World, signed_in: Client) -> None:
    client = english(signed_in(own_lender(world).someone))
    assert "Replace keys" not in client.get("/keys").text


def test_a_portfolio_is_sealed_anew_from_the_page(world: World, signed_in: Client) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender)
    client = english(signed_in(lender))
    assert client.post("/keys/rekey", data={"portfolio_id": str(portfolio.id)}).status_code == 302
    assert "is being sealed anew: 0 of 3 cases" in client.get("/keys").text
    assert client.post(f"/api/v1/portfolios/{UUID(int=1)}/rekey").status_code == 404


@pytest.mark.parametrize(("language", "word"), [("en", "Version 2"), ("zh", "2")])
def test_a_corrected_field_is_shown_by_version_and_day(
    world: World, signed_in: Client, language: str, word: str
) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case_id, client = case_of(world, lender), signed_in(lender)
    client.set_cookie("language", language)
    form = {"field": "mobile", "value": "13900000002"}
    assert client.post(f"/cases/{case_id}/corrections", data=form).status_code == 302
    page = client.get(f"/cases/{case_id}").text
    assert word in page
    assert "139****0002" in page
    assert client.get(f"/api/v1/cases/{case_id}/corrections").json[0]["fields"] == ["mobile"]


def test_a_wrong_value_is_told_beside_it_and_not_repeated(world: World, signed_in: Client) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    client = english(signed_in(lender))
    answer = client.post(f"/cases/{case_of(world, lender)}/corrections", data={"field": "mobile", "value": "1390000"})
    assert answer.status_code == 422
    assert "1390000" not in answer.text


def test_only_a_portfolio_manager_corrects_and_only_cases_of_ones_own(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    (case_id,) = world.case_ids(placement, lender)
    body = {"changes": {"mobile": "13900000002"}}
    path = f"/api/v1/cases/{case_id}/corrections"
    assert signed_in(agency).post(path, json=body).status_code == 403
    assert signed_in(agency).get(path).status_code == 403
    assert signed_in(world.lender()).post(path, json=body).status_code == 404
    assert signed_in(lender).post(path, json=body).json["version"] == 2
