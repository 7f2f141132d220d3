"""The API over agreements, rate cards and standard terms."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
CELLS = [
    {"rate": "0.2"},
    {"rate": "0.3", "product": "car_loan", "bucket": "M3", "amount_from": "1000.00", "amount_below": "5000.00"},
    {"rate": "0.25", "placement_seq": 2},
]


def agreement_of(agency: Someone, **changes: Any) -> dict[str, Any]:
    return {
        "agency_code": agency.organisation.code,
        "number": "2026-001",
        "cells": CELLS,
        "processing_agreement": "PA-1",
        "impact_assessment": "IA-1",
        "starts_on": "2026-01-01",
        "ends_on": "2026-12-31",
        **changes,
    }


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def maker(program: Client, lender: Someone) -> FlaskClient:
    return program(lender)


@pytest.fixture
def checker(world: World, program: Client, lender: Someone) -> FlaskClient:
    return program(world.person(lender, "settlement_officer"))


@pytest.fixture
def agreement_url(maker: FlaskClient, checker: FlaskClient, agency: Someone) -> str:
    made = maker.post("/api/v1/agreements", json=agreement_of(agency))
    assert made.status_code == 201, made.text
    url = f"/api/v1/agreements/{made.json['id']}"
    assert checker.post(f"{url}/approve").json["state"] == "active"
    return url


def faults(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["field"], error["code"]) for error in answer.json["errors"]]


def test_an_agreement_is_shown_with_its_cards_and_what_would_bind_a_placement(
    maker: FlaskClient, agreement_url: str
) -> None:
    shown = maker.get(agreement_url).json
    assert shown["effective"]["settlement_floor"] == {"value": "1", "level": "default"}
    (card,) = shown["rate_cards"]
    assert (card["version"], card["state"], card["valid_from"], card["valid_to"]) == (1, "active", "2026-01-01", None)
    assert card["cells"][1] == {
        "product": "car_loan",
        "bucket": "M3",
        "placement_seq": None,
        "payment_type": None,
        "amount_from": "1000.00",
        "amount_below": "5000.00",
        "rate": "0.300000",
    }


def test_a_list_is_narrowed_and_comes_in_pages(maker: FlaskClient, agreement_url: str, agency: Someone) -> None:
    assert maker.post("/api/v1/agreements", json=agreement_of(agency, number="2026-002")).status_code == 201

    def numbers(**query: Any) -> list[str]:
        return [a["number"] for a in maker.get("/api/v1/agreements", query_string=query).json["items"]]

    assert numbers() == ["2026-002", "2026-001"]
    assert numbers(standing="proposed") == ["2026-002"]
    assert numbers(search="001") == ["2026-001"]
    first = maker.get("/api/v1/agreements", query_string={"limit": 1}).json
    assert numbers(limit=1, after=first["next_after"]) == ["2026-001"]
    assert faults(maker.get("/api/v1/agreements", query_string={"standing": "gone"})) == [("standing", "unknown_value")]


def test_the_maker_is_refused_as_checker(maker: FlaskClient, agency: Someone) -> None:
    made = maker.post("/api/v1/agreements", json=agreement_of(agency)).json
    answer = maker.post(f"/api/v1/agreements/{made['id']}/approve")
    assert (answer.status_code, answer.json["code"]) == (403, "second_person_needed")
    assert maker.post(f"/api/v1/agreements/{made['id']}/refuse").json["state"] == "refused"


def test_only_what_is_given_is_changed(maker: FlaskClient, agreement_url: str) -> None:
    changed = maker.post(f"{agreement_url}/change", json={"tier": 2, "provinces": ["110000"]}).json
    assert (changed["tier"], changed["provinces"], changed["term_days"]) == (2, ["110000"], 90)
    changed = maker.post(f"{agreement_url}/change", json={"contact_policy": {"visits": False}}).json
    assert (changed["tier"], changed["contact_policy"]) == (2, {"visits": False})
    changed = maker.post(f"{agreement_url}/change", json={"balance_below": "5000.00"}).json
    assert (changed["balance_from"], changed["balance_below"], changed["tier"]) == (None, "5000.00", 2)


def test_the_public_list_is_read_page_by_page(
    world: World, maker: FlaskClient, program: Client, agreement_url: str, agency: Someone
) -> None:
    first = maker.get("/api/v1/agency-list", query_string={"limit": 1}).json
    (entrusted,) = first["items"]
    assert (entrusted["agency_name"], entrusted["number"]) == (agency.organisation.name, "2026-001")
    assert maker.get("/api/v1/agency-list", query_string={"after": first["next_after"]}).json["items"] == []
    assert program(agency).get("/api/v1/agency-list").status_code == 403
    assert program(world.lender()).get("/api/v1/agency-list").json["items"] == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"currency": "USD"}, [("currency", "unknown_field")]),
        ({"provinces": ["999999"]}, [("provinces.0", "unknown_value")]),
        ({"contact_policy": {"earliest_hour": "9"}}, [("contact_policy.earliest_hour", "not_a_number")]),
        ({"contact_policy": {"latest_hour": 23}}, [("latest_hour", "out_of_range")]),
        ({"tier": 99}, [("tier", "out_of_range")]),
        ({"balance_from": "9.999"}, [("balance_from", "not_a_number")]),
        ({"balance_from": "-1.00"}, [("balance_from", "out_of_range")]),
        ({"balance_from": "9.00", "balance_below": "8.00"}, [("balance_below", "range_reversed")]),
    ],
)
def test_a_wrong_change_is_told_by_field(
    maker: FlaskClient, agreement_url: str, change: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert faults(maker.post(f"{agreement_url}/change", json=change)) == found


def test_an_ended_agreement_takes_no_new_card(maker: FlaskClient, agreement_url: str) -> None:
    assert maker.post(f"{agreement_url}/end").json["state"] == "ended"
    answer = maker.post(f"{agreement_url}/rate-cards", json={"cells": CELLS, "valid_from": "2026-06-01"})
    assert (answer.status_code, answer.json["code"]) == (409, "wrong_state")


def test_a_new_card_is_in_force_from_its_day_once_a_second_person_approves(
    maker: FlaskClient, checker: FlaskClient, agreement_url: str
) -> None:
    proposal = {
        "cells": [{"rate": "0.15"}],
        "valid_from": "2026-06-01",
        "tax_treatment": "exclusive",
        "tax_rate": "0.06",
    }
    card = maker.post(f"{agreement_url}/rate-cards", json=proposal).json
    assert (card["version"], card["state"], card["tax_rate"]) == (2, "proposed", "0.060000")
    assert maker.post(f"/api/v1/rate-cards/{card['id']}/approve").status_code == 403
    assert checker.post(f"/api/v1/rate-cards/{card['id']}/approve").json["state"] == "active"
    listed = maker.get(f"{agreement_url}/rate-cards").json
    assert [(c["version"], c["valid_from"], c["valid_to"]) for c in listed] == [
        (2, "2026-06-01", None),
        (1, "2026-01-01", "2026-05-31"),
    ]
    again = maker.post(f"{agreement_url}/rate-cards", json=proposal)
    assert (again.status_code, again.json["code"]) == (409, "rate_card_overlaps")


def test_a_card_is_refused_and_says_so(maker: FlaskClient, checker: FlaskClient, agreement_url: str) -> None:
    card = maker.post(f"{agreement_url}/rate-cards", json={"cells": CELLS, "valid_from": "2026-06-01"}).json
    assert checker.post(f"/api/v1/rate-cards/{card['id']}/refuse").json["state"] == "refused"


def test_what_is_wrong_with_a_card_is_told_by_its_row(maker: FlaskClient, agreement_url: str) -> None:
    cells = [{"rate": "0.2"}, {"rate": "0.3", "amount_from": "50.00"}]
    answer = maker.post(f"{agreement_url}/rate-cards", json={"cells": cells, "valid_from": "2026-06-01"})
    assert [(e["row"], e["field"], e["code"]) for e in answer.json["errors"]] == [
        (2, "amount_from", "rate_cells_overlap")
    ]


@pytest.mark.parametrize(
    ("case", "rate"),
    [
        ({}, "0.200000"),
        ({"placement_seq": 2}, "0.250000"),
        ({"product": "car_loan", "bucket": "M3", "placement_seq": 2}, "0.300000"),
        ({"product": "car_loan", "bucket": "M3", "amount": "5000.00"}, "0.200000"),
    ],
)
def test_a_rate_is_looked_up_for_a_case_as_it_might_be_placed(
    maker: FlaskClient, agreement_url: str, case: dict[str, Any], rate: str
) -> None:
    query = {"product": "credit_card", "bucket": "M1", "amount": "1000.00"} | case
    found = maker.get(f"{agreement_url}/rate", query_string=query).json
    assert (found["version"], found["rate"]) == (1, rate)


def test_standard_terms_hold_once_a_second_person_approves_them(
    maker: FlaskClient, checker: FlaskClient, agreement_url: str, program: Client, agency: Someone
) -> None:
    proposal = {"tier": 1, "settlement_floor": "0.8", "contact_policy": {"attempts_per_day": 1}}
    made = maker.post("/api/v1/standard-terms", json=proposal).json
    assert maker.post(f"/api/v1/standard-terms/{made['id']}/approve").status_code == 403
    assert checker.post(f"/api/v1/standard-terms/{made['id']}/approve").json["state"] == "active"
    assert [terms["state"] for terms in maker.get("/api/v1/standard-terms").json] == ["active"]
    for client in (maker, program(agency)):
        assert client.get(agreement_url).json["effective"] == {
            "contact_policy": {"attempts_per_day": {"value": 1, "level": "tier"}},
            "settlement_floor": {"value": "0.800000", "level": "tier"},
        }
    refused = maker.post("/api/v1/standard-terms", json={"tier": 2}).json
    assert checker.post(f"/api/v1/standard-terms/{refused['id']}/refuse").json["state"] == "refused"


def test_an_agency_reads_its_agreements_and_proposes_and_decides_nothing(
    program: Client, agency: Someone, agreement_url: str
) -> None:
    client = program(agency)
    assert client.get(agreement_url).status_code == 200
    for path in ("approve", "refuse", "end", "change", "rate-cards"):
        assert client.post(f"{agreement_url}/{path}", json={}).status_code == 403
    assert client.get("/api/v1/standard-terms").status_code == 403
