"""A proof asked for over HTTP, the authenticator that can give it, and the release that follows."""

import re
from base64 import b32decode
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from crypto import totp
from tests.conftest import Clock
from tests.world import PASSWORD, Someone, World

Client = Callable[[Someone], FlaskClient]

JSON = {"Accept": "application/json"}
FIRST = {"field_class": "identity", "reason": "verify_identity"}
SECOND = {"field_class": "contact", "reason": "contact_borrower"}


@pytest.fixture
def manager(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def case_id(world: World, manager: Someone) -> UUID:
    lender = world.lender()
    return world.case_ids(world.placement(lender, manager, 1), lender)[0]


def seed_of(page: str) -> bytes:
    found = re.search(r'<code class="seed">([A-Z2-7 ]+)</code>', page)
    assert found
    return b32decode(found[1].replace(" ", ""))


def code_of(seed: bytes, clock: Clock) -> str:
    return totp.code_of(seed, int(clock.at.timestamp()) // totp.STEP_SECONDS)


def test_a_second_class_opens_after_the_password(manager: Someone, case_id: UUID, signed_in: Client) -> None:
    client, path = signed_in(manager), f"/cases/{case_id}/releases"
    assert client.post(path, data=FIRST, headers=JSON).status_code == 200
    refused = client.post(path, data=SECOND, headers=JSON)
    assert (refused.status_code, refused.json["code"], refused.json["proofs"]) == (
        403,
        "step_up_required",
        ["password"],
    )
    wrong = client.post("/account/proof", data={"password": "wrong"}, headers=JSON)
    assert (wrong.status_code, wrong.json["code"]) == (403, "proof_wrong")
    assert client.post(path, data=SECOND, headers=JSON).status_code == 403
    proved = client.post("/account/proof", data={"password": PASSWORD, "code": ""}, headers=JSON)
    assert (proved.status_code, proved.json["proved_until"]) == (200, "2026-03-10T02:05:00+00:00")
    assert client.post(path, data=SECOND, headers=JSON).json["fields"] == {"mobile": "13800000001"}


def test_the_api_takes_a_proof_of_a_session(manager: Someone, case_id: UUID, signed_in: Client) -> None:
    client, path = signed_in(manager), f"/api/v1/cases/{case_id}/releases"
    client.post(path, json=FIRST)
    assert client.post("/api/v1/proof", json={"password": PASSWORD}).status_code == 200
    assert client.post(path, json=SECOND).status_code == 201


def test_a_proof_is_of_one_session(manager: Someone, case_id: UUID, signed_in: Client) -> None:
    here, elsewhere, path = signed_in(manager), signed_in(manager), f"/cases/{case_id}/releases"
    here.post(path, data=FIRST, headers=JSON)
    here.post("/account/proof", data={"password": PASSWORD})
    assert elsewhere.post(path, data=SECOND, headers=JSON).status_code == 403
    assert here.post(path, data=SECOND, headers=JSON).status_code == 200


def test_a_program_is_told_that_only_a_person_can(manager: Someone, case_id: UUID, program: Client) -> None:
    client, path = program(manager), f"/api/v1/cases/{case_id}/releases"
    client.post(path, json=FIRST)
    refused = client.post(path, json=SECOND)
    assert (refused.status_code, refused.json["code"]) == (403, "step_up_needs_person")
    assert client.post("/api/v1/proof", json={"password": PASSWORD}).json["code"] == "scope_missing"


@pytest.mark.parametrize(
    "body", [{}, {"password": PASSWORD, "code": "123456"}, {"code": "12345"}, {"code": "１２３４５６"}]
)
def test_a_proof_is_one_password_or_one_code(manager: Someone, signed_in: Client, body: dict[str, str]) -> None:
    answer = signed_in(manager).post("/api/v1/proof", json=body)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text


def test_guessing_rests_the_account(manager: Someone, signed_in: Client) -> None:
    client = signed_in(manager)
    for number in range(5):
        assert client.post("/api/v1/proof", json={"code": f"{number:06d}"}).status_code == 403
    assert client.post("/api/v1/proof", json={"password": PASSWORD}).status_code == 403


@pytest.mark.parametrize(
    ("language", "set_up", "done"),
    [("en", "Set up an authenticator", "Your authenticator is set up"), ("zh", "设置验证器", "验证器已设置")],
)
def test_an_authenticator_is_set_up_and_its_code_opens_a_second_class(
    manager: Someone, case_id: UUID, signed_in: Client, clock: Clock, language: str, set_up: str, done: str
) -> None:
    client, path = signed_in(manager), f"/cases/{case_id}/releases"
    client.set_cookie("language", language)
    assert set_up in client.get("/account").text
    shown = client.post("/account/authenticator", data={"password": PASSWORD})
    seed = seed_of(shown.text)
    assert shown.status_code == 201
    assert "<svg" in shown.text
    assert totp.spelled(seed) not in client.get("/account").text
    page = client.post("/account/authenticator/confirm", data={"code": code_of(seed, clock)}, follow_redirects=True)
    assert done in page.text
    clock.forward(seconds=30)
    client.post(path, data=FIRST, headers=JSON)
    assert client.post(path, data=SECOND, headers=JSON).json["proofs"] == ["password", "code"]
    assert client.post("/account/proof", data={"code": code_of(seed, clock)}, headers=JSON).status_code == 200
    assert client.post(path, data=SECOND, headers=JSON).status_code == 200


def test_a_wrong_password_or_code_says_so_on_the_page(manager: Someone, signed_in: Client, clock: Clock) -> None:
    client = signed_in(manager)
    client.set_cookie("language", "en")
    assert client.post("/account/authenticator", data={"password": "wrong"}).status_code == 403
    seed = seed_of(client.post("/account/authenticator", data={"password": PASSWORD}).text)
    wrong = client.post("/account/authenticator/confirm", data={"code": "000000"})
    assert (wrong.status_code, "This proves nothing" in wrong.text) == (403, True)
    client.post("/account/authenticator/confirm", data={"code": code_of(seed, clock)})
    assert client.post("/account/authenticator/remove", data={"password": "wrong"}).status_code == 403
    gone = client.post("/account/authenticator/remove", data={"password": PASSWORD}, follow_redirects=True)
    assert "Your authenticator is removed." in gone.text
