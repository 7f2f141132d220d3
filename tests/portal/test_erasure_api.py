"""The API of retention, of freezes and of what was opened: shapes, refusals with their counts, and who may."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from models.services.collection import releases
from tests.facts import Placed, placed, recall
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]
API = "/api/v1"


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2, world.lender("compliance_officer"))


def test_a_portfolio_with_obstacles_is_refused_with_their_counts(program: Client, ground: Placed) -> None:
    subject = {"subject_kind": "portfolio", "subject_id": str(ground.placement.portfolio_id)}
    client = program(ground.lender)
    foreseen = client.get(f"{API}/erasures/prospect", query_string=subject).json
    assert foreseen == {"cases": 2, "erased": 0, "obstacles": {"case_placed": 2}, "until": None}
    refused = client.post(f"{API}/erasures", json=subject)
    assert (refused.status_code, refused.json["code"], refused.json["case_placed"]) == (409, "erasure_blocked", 2)


def test_what_is_retained_names_the_day(world: World, program: Client, ground: Placed) -> None:
    recall(world, ground)
    refused = program(ground.lender).post(
        f"{API}/erasures", json={"subject_kind": "case", "subject_id": str(ground.case.id)}
    )
    assert (refused.status_code, refused.json["code"], refused.json["until"]) == (409, "retention_until", "2029-03-09")


def test_an_erasure_is_answered_with_its_signed_record_and_once_for_one_key(
    world: World, program: Client, ground: Placed
) -> None:
    portfolio = world.portfolio(ground.lender, [Debt(9)])
    client, key = program(ground.lender), {"Idempotency-Key": uuid4().hex}
    subject = {"subject_kind": "portfolio", "subject_id": str(portfolio.id)}
    first, again = (client.post(f"{API}/erasures", json=subject, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code, first.json) == (201, 201, again.json)
    assert first.json["record"]["format"] == "consign-erasure/1"
    assert client.get(f"{API}/erasures/{first.json['id']}").json == first.json
    assert [item["id"] for item in client.get(f"{API}/erasures").json["items"]] == [first.json["id"]]
    twice = client.post(f"{API}/erasures", json=subject)
    assert (twice.status_code, twice.json["code"]) == (409, "already_erased")


def test_holds_are_placed_listed_and_lifted(program: Client, ground: Placed) -> None:
    client = program(ground.lender)
    asked = {"subject_kind": "borrower", "subject_id": str(ground.case.borrower_id), "reason": "litigation"}
    hold = client.post(f"{API}/holds", json=asked)
    assert hold.status_code == 201
    assert [item["id"] for item in client.get(f"{API}/holds").json["items"]] == [hold.json["id"]]
    assert client.post(f"{API}/holds/{hold.json['id']}/lift").json["lifted_at"]
    assert client.post(f"{API}/holds/{hold.json['id']}/lift").json["code"] == "hold_lifted"
    assert client.post(f"{API}/holds", json=asked | {"reason": "x"}).status_code == 422


def test_settings_are_read_and_patched(program: Client, ground: Placed) -> None:
    client = program(ground.lender)
    assert client.get(f"{API}/lender-settings").json["retention_days"] == 1095
    changed = client.patch(f"{API}/lender-settings", json={"earlier_agencies": "history"}).json
    assert (changed["earlier_agencies"], changed["retention_days"]) == ("history", 1095)
    for wrong in ({"retention_days": 1}, {"releases_per_day": -1}, {"earlier_agencies": "all"}, {"colour": "blue"}):
        assert client.patch(f"{API}/lender-settings", json=wrong).status_code == 422


def test_a_placement_is_frozen_and_let_go(program: Client, ground: Placed) -> None:
    client, path = program(ground.lender), f"{API}/placements/{ground.placement.id}"
    assert client.post(f"{path}/freeze", json={"reason": "conduct"}).json["frozen_at"]
    assert program(ground.agency).get(path).json["frozen_at"]
    assert client.post(f"{path}/freeze", json={"reason": "conduct"}).json["code"] == "already_frozen"
    assert client.post(f"{path}/unfreeze").json["frozen_at"] is None
    agency = f"{API}/agencies/{ground.agency.organisation.id}/freeze"
    frozen = client.post(agency, json={"reason": "licence"}).json
    assert (frozen["state"], frozen["reason"]) == ("frozen", "licence")
    assert client.post(agency, json={"reason": "because"}).status_code == 422


def test_an_agency_freezes_nothing(program: Client, ground: Placed) -> None:
    client = program(ground.agency)
    for path in (
        f"placements/{ground.placement.id}/freeze",
        f"placements/{ground.placement.id}/unfreeze",
        f"agencies/{ground.agency.organisation.id}/freeze",
    ):
        assert client.post(f"{API}/{path}", json={"reason": "conduct"}).status_code == 403


def test_what_was_opened_is_listed_for_both_sides(world: World, program: Client, ground: Placed) -> None:
    with world.database.work(ground.agency.actor) as work:
        releases.authorise(work, ground.case.id, "identity", "verify_identity")
    recall(world, ground)
    path = f"{API}/placements/{ground.placement.id}/opened"
    seen = {someone: program(someone).get(path).json["items"] for someone in (ground.lender, ground.agency)}
    told = [(item["reference"], item["field_class"]) for items in seen.values() for item in items]
    assert told == [(ground.case.reference, "identity"), (None, "identity")]


def test_an_agency_is_not_told_the_number_of_its_placement(program: Client, ground: Placed) -> None:
    numbers = []
    for someone in (ground.lender, ground.agency):
        client = program(someone)
        listed = client.get(f"{API}/placements/{ground.placement.id}/cases").json["items"]
        numbers.append((listed[0]["placement_seq"], client.get(f"{API}/cases/{ground.case.id}").json["placement_seq"]))
    assert numbers == [(1, 1), (None, None)]


def test_of_an_erased_case_the_figures_are_still_read(world: World, program: Client, ground: Placed) -> None:
    portfolio = world.portfolio(ground.lender, [Debt(9)])
    client = program(ground.lender)
    client.post(f"{API}/erasures", json={"subject_kind": "portfolio", "subject_id": str(portfolio.id)})
    (item,) = client.get(f"{API}/cases", query_string={"portfolio_id": str(portfolio.id)}).json["items"]
    assert (item["masks"], item["balance"]) == ({}, "1000.00")
    refused = client.post(
        f"{API}/cases/{item['id']}/releases", json={"field_class": "identity", "reason": "verify_identity"}
    )
    assert (refused.status_code, refused.json["code"]) == (409, "case_erased")
