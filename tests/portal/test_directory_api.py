"""The API over organisations, people, tokens and agreements."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import Clock
from tests.world import PASSWORD, Someone, World

Client = Callable[[Someone], FlaskClient]


def agreement_of(agency: Someone) -> dict[str, object]:
    return {
        "agency_code": agency.organisation.code,
        "number": "2026-001",
        "contingency_rate": "0.18",
        "processing_agreement": "PA-1",
        "impact_assessment": "IA-1",
        "starts_on": "2026-01-01",
        "ends_on": "2026-12-31",
    }


def test_a_person_is_told_who_they_are(world: World, program: Client) -> None:
    lender = world.lender()
    answer = program(lender).get("/api/v1/me")
    assert answer.status_code == 200
    assert answer.json["organisation"]["id"] == str(lender.organisation.id)


def test_without_a_credential_every_answer_is_a_problem(app: Flask) -> None:
    answer = app.test_client().get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == "unauthenticated"


def test_a_repeated_request_with_one_key_makes_one_agreement(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    client, body = program(lender), agreement_of(agency)
    first = client.post("/api/v1/agreements", json=body, headers={"Idempotency-Key": "k1"})
    again = client.post("/api/v1/agreements", json=body, headers={"Idempotency-Key": "k1"})
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert len(client.get("/api/v1/agreements").json["items"]) == 1


def test_one_key_for_two_requests_is_refused(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    client, body = program(lender), agreement_of(agency)
    client.post("/api/v1/agreements", json=body, headers={"Idempotency-Key": "k1"})
    other = client.post("/api/v1/agreements", json=body | {"number": "x"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_a_wrong_shape_names_the_field_and_not_the_value(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    answer = program(lender).post("/api/v1/agreements", json=agreement_of(agency) | {"starts_on": "31/31/2026"})
    assert answer.status_code == 422
    assert [(e["field"], e["code"]) for e in answer.json["errors"]] == [("starts_on", "impossible_date")]
    assert "31/31" not in answer.text


def test_a_session_without_the_csrf_token_changes_nothing(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    client = signed_in(lender)
    del client.environ_base["HTTP_X_CSRF_TOKEN"]
    answer = client.post("/api/v1/agreements", json=agreement_of(agency))
    assert (answer.status_code, answer.json["code"]) == (403, "csrf_token_wrong")


def test_five_wrong_passwords_rest_the_account(world: World, app: Flask) -> None:
    someone = world.lender()
    client = app.test_client()
    body = {"organisation": someone.organisation.code, "email": someone.member.email, "name": "n", "scopes": ["read"]}
    for _ in range(5):
        assert client.post("/api/v1/sign-in", json=body | {"password": "wrong"}).status_code == 401
    assert client.post("/api/v1/sign-in", json=body | {"password": PASSWORD}).status_code == 401


def test_a_password_buys_a_token_that_knows_its_person(world: World, app: Flask) -> None:
    someone = world.lender()
    body = {"organisation": someone.organisation.code, "email": someone.member.email, "password": PASSWORD}
    made = app.test_client().post("/api/v1/sign-in", json=body | {"name": "mine", "scopes": ["read"]})
    assert made.status_code == 201
    answer = app.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {made.json['token']}"})
    assert answer.json["member"]["id"] == str(someone.member.id)


def test_an_expired_token_is_nobodys(world: World, program: Client, clock: Clock) -> None:
    client = program(world.lender())
    clock.forward(days=2)
    answer = client.get("/api/v1/me")
    assert (answer.status_code, answer.json["code"]) == (401, "token_invalid")


def test_a_revoked_token_is_nobodys_at_its_next_request(world: World, program: Client, signed_in: Client) -> None:
    lender = world.lender()
    person, client = signed_in(lender), program(lender)
    (token,) = person.get("/api/v1/tokens").json
    assert person.delete(f"/api/v1/tokens/{token['id']}").status_code == 204
    assert client.get("/api/v1/me").status_code == 401


def test_a_burst_of_wrong_passwords_gets_no_more_tries_than_one_after_another(world: World, app: Flask) -> None:
    someone = world.lender()
    body = {"organisation": someone.organisation.code, "email": someone.member.email, "name": "n", "scopes": ["read"]}

    def attempt(password: str) -> int:
        return app.test_client().post("/api/v1/sign-in", json=body | {"password": password}).status_code

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(attempt, ["wrong"] * 6)) == {401}
    assert attempt(PASSWORD) == 401


def test_a_right_password_forgets_the_wrong_ones_before_it(world: World, app: Flask) -> None:
    someone = world.lender()
    body = {"organisation": someone.organisation.code, "email": someone.member.email, "name": "n", "scopes": ["read"]}
    for _ in range(3):
        for _ in range(4):
            app.test_client().post("/api/v1/sign-in", json=body | {"password": "wrong"})
        assert app.test_client().post("/api/v1/sign-in", json=body | {"password": PASSWORD}).status_code == 201
