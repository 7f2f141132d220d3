"""Keys on pages and over the API: published, compared, ordered, answered; and every file that is not what it says."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from crypto.grants import fingerprint
from crypto.keyfile import make_keys
from models.services.exchange import offers, placements, tenders
from models.services.sealing import key_orders
from tests.own_keys import OwnKeys, confirm, own_agency, own_lender
from tests.world import PASSWORD, Someone, World

Client = Callable[[Someone], FlaskClient]


def awaiting(world: World, lender: OwnKeys, agency: Someone) -> UUID:
    """A placement that waits for the lender's keys; answers its order."""
    portfolio, agreement = lender.upload(2), world.agreement(lender.someone, agency)
    with world.database.work(lender.someone.actor) as work:
        offer = tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(agency.actor) as work:
        offers.accept(work, offer.id)
    with world.database.work(lender.someone.actor) as work:
        (order,) = key_orders.list_own(work, state="open")
    return order.id


def told(client: FlaskClient, agency: Someone) -> dict[str, Any]:
    """The agency's keys as the API shows them."""
    (party,) = [one for one in client.get("/api/v1/keys/parties").json if one["id"] == str(agency.organisation.id)]
    found: dict[str, Any] = party
    return found


def codes(answer: Any) -> list[str]:
    return [answer.json["code"], *(error["code"] for error in answer.json.get("errors", []))]


@pytest.mark.parametrize(("language", "word"), [("zh", "密钥"), ("en", "Keys")])
def test_the_page_speaks_the_readers_language(world: World, signed_in: Client, language: str, word: str) -> None:
    client = signed_in(own_lender(world).someone)
    client.set_cookie("language", language)
    assert f"<h1>{word}</h1>" in client.get("/keys").text


def test_an_administrator_publishes_the_keys_that_the_organisation_made(world: World, signed_in: Client) -> None:
    someone = world.organisation("lender", "administrator", self_custody=True)
    client = signed_in(someone)
    client.set_cookie("language", "en")
    assert "Publish your keys before anything is sealed to you." in client.get("/keys").text
    keys = make_keys(someone.organisation.id.bytes)
    answer = client.post("/api/v1/keys", data=json.dumps(keys.public_file()))
    assert [key["fingerprint"] for key in answer.json] == [
        fingerprint(keys.public.kem).hex(),
        fingerprint(keys.public.signing).hex(),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b"{}", 422), (b"\x00", 422), (b'"' + b"x" * 20_000, 413), (b'{"format":"consign-key/1"}', 422)],
)
def test_what_is_no_public_file_is_refused(world: World, signed_in: Client, body: bytes, status: int) -> None:
    client = signed_in(world.organisation("lender", "administrator", self_custody=True))
    assert client.post("/api/v1/keys", data=body).status_code == status


def test_another_organisations_public_file_is_refused(world: World, signed_in: Client) -> None:
    client = signed_in(world.organisation("lender", "administrator", self_custody=True))
    answer = client.post("/api/v1/keys", data=own_lender(world).public_file())
    assert (answer.status_code, answer.json["code"]) == (409, "public_file_of_another")


def test_a_program_neither_publishes_nor_confirms(world: World, program: Client) -> None:
    client = program(world.organisation("lender", "administrator", self_custody=True))
    assert client.post("/api/v1/keys", data=b"{}").json["code"] == "scope_missing"
    path = f"/api/v1/keys/parties/{UUID(int=1)}/confirm"
    assert client.post(path, json={"fingerprint": "00" * 32}).json["code"] == "scope_missing"


def test_a_first_key_counts_when_one_person_has_compared_it(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), own_agency(world)
    world.agreement(lender, agency.someone)
    client = signed_in(lender)
    assert told(client, agency.someone)["confirmed"] is False
    form = {"fingerprint": fingerprint(agency.keys.public.kem).hex().upper()}
    assert client.post(f"/keys/parties/{agency.id}/confirm", data=form).status_code == 302
    assert told(client, agency.someone)["confirmed"] is True


def test_a_changed_key_counts_when_two_people_have_compared_it(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), own_agency(world)
    world.agreement(lender, agency.someone)
    confirm(world, lender, agency.someone)
    agency.change_keys()
    agency.publish()
    first, second = signed_in(lender), signed_in(world.person(lender, "administrator"))
    body = {"fingerprint": fingerprint(agency.keys.public.kem).hex()}
    path = f"/api/v1/keys/parties/{agency.id}/confirm"
    assert first.post(path, json=body).json["confirmed"] is False
    assert first.post(path, json=body).json["code"] == "key_confirmed_already"
    assert second.post(path, json=body).json["confirmed"] is True


def test_a_fingerprint_that_differs_confirms_nothing_and_is_told_in_place(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), own_agency(world)
    world.agreement(lender, agency.someone)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    answer = client.post(f"/keys/parties/{agency.id}/confirm", data={"fingerprint": "00" * 32})
    assert answer.status_code == 409
    assert "This is not the fingerprint of the key shown here." in answer.text
    assert told(client, agency.someone)["confirmed"] is False


def test_the_keys_of_an_agency_one_has_no_agreement_with_are_as_unknown_as_none(
    world: World, signed_in: Client
) -> None:
    client, agency = signed_in(world.lender()), own_agency(world)
    body = {"fingerprint": fingerprint(agency.keys.public.kem).hex()}
    answers = [client.post(f"/api/v1/keys/parties/{id_}/confirm", json=body) for id_ in (agency.id, UUID(int=5))]
    assert [answer.status_code for answer in answers] == [404, 404]


def test_an_agency_confirms_nothing_and_sees_the_lenders_key_to_pin(world: World, signed_in: Client) -> None:
    lender, agency = own_lender(world), own_agency(world)
    world.agreement(lender.someone, agency.someone)
    client = signed_in(agency.someone)
    page = client.get("/keys").text
    shown = fingerprint(lender.keys.public.signing).hex()
    assert " ".join(shown[at : at + 4] for at in range(0, 64, 4)) in page
    assert client.get("/keys/orders").status_code == 403
    answer = client.post(f"/keys/parties/{lender.id}/confirm", data={"fingerprint": shown})
    assert answer.status_code == 403


def test_an_order_is_taken_answered_and_done_over_http(world: World, signed_in: Client, program: Client) -> None:
    lender, agency = own_lender(world), world.agency()
    order_id = awaiting(world, lender, agency)
    pages, tool = signed_in(lender.someone), program(lender.someone)
    assert pages.get(f"/keys/orders/{order_id}/document").status_code == 409
    kem = next(key for key in told(pages, agency)["keys"] if key["purpose"] == "kem")
    lender.memory.pin(agency.organisation.id.bytes, "kem", bytes.fromhex(kem["fingerprint"]))
    confirm(world, lender.someone, agency)
    document = tool.get(f"/api/v1/key-orders/{order_id}/document").json
    answer = tool.post(f"/api/v1/key-orders/{order_id}/answer", data=lender.answer(document))
    assert (answer.status_code, answer.json["state"]) == (200, "done")
    again = tool.post(f"/api/v1/key-orders/{order_id}/answer", data=lender.answer(document))
    assert (again.status_code, again.json["code"]) == (409, "order_done")
    with world.database.work(agency.actor) as work:
        assert placements.list_own(work)[0].state == "awaiting_acknowledgement"


def test_the_pages_of_orders_tell_what_waits(world: World, signed_in: Client) -> None:
    lender = own_lender(world)
    order_id = awaiting(world, lender, world.agency())
    client = signed_in(lender.someone)
    client.set_cookie("language", "en")
    assert "1 order waits for your tool" in client.get("/keys").text
    assert "Leases for an agency" in client.get("/keys/orders").text
    assert "Nobody of yours has compared this key yet" in client.get(f"/keys/orders/{order_id}").text
    assert client.post(f"/keys/orders/{order_id}/cancel").status_code == 302
    assert client.post(f"/keys/orders/{order_id}/cancel").status_code == 409


def test_another_lenders_order_is_as_unknown_as_none(world: World, signed_in: Client) -> None:
    order_id = awaiting(world, own_lender(world), world.agency())
    client = signed_in(own_lender(world).someone)
    for id_ in (order_id, UUID(int=9)):
        assert client.get(f"/keys/orders/{id_}").status_code == 404
        assert client.get(f"/api/v1/key-orders/{id_}/document").status_code == 404
        assert client.post(f"/api/v1/key-orders/{id_}/answer", data=b"{}").status_code == 404


def test_new_keys_for_a_portfolio_are_ordered_on_the_page(world: World, signed_in: Client) -> None:
    lender = own_lender(world)
    portfolio = lender.upload(1)
    answer = signed_in(lender.someone).post("/keys/orders", data={"kind": "rekey", "subject_id": str(portfolio.id)})
    assert answer.status_code == 302
    with world.database.work(lender.someone.actor) as work:
        assert [order.kind for order in key_orders.list_own(work)] == ["rekey"]


def test_an_order_of_a_whole_portfolio_is_taken_after_a_proof_on_its_page(
    world: World, signed_in: Client, program: Client
) -> None:
    lender = own_lender(world)
    portfolio = lender.upload(1)
    client, tool = signed_in(lender.someone), program(lender.someone)
    made = client.post("/api/v1/key-orders", json={"kind": "rekey", "subject_id": str(portfolio.id)})
    page, api = f"/keys/orders/{made.json['id']}", f"/api/v1/key-orders/{made.json['id']}/document"
    assert tool.get(api).json["code"] == "step_up_needs_person"
    assert client.get(api).json["code"] == "step_up_required"
    assert f"{page}/document" not in client.get(page).text
    refused = client.get(f"{page}/document")
    assert (refused.status_code, f"{page}/proof" in refused.text) == (403, True)
    assert client.post(f"{page}/proof", data={"password": "wrong"}).status_code == 403
    assert client.post(f"{page}/proof", data={"password": PASSWORD}).status_code == 302
    assert f"{page}/document" in client.get(page).text
    assert client.get(f"{page}/document").json["kind"] == "rekey"
    assert client.get(api).status_code == 200


def test_a_release_to_whoever_holds_the_key_answers_a_package(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), own_agency(world)
    placement = world.placement(lender, agency.someone)
    confirm(world, lender, agency.someone)
    (case_id, *_) = world.case_ids(placement, lender)
    form = {"field_class": "identity", "reason": "verify_identity"}
    answer = signed_in(agency.someone).post(f"/cases/{case_id}/releases", data=form)
    assert "fields" not in answer.json
    assert answer.json["package"]["case"] == str(case_id)
    assert "张三" not in answer.text


def test_the_operator_brings_in_an_organisation_that_holds_its_own_keys(world: World, signed_in: Client) -> None:
    client = signed_in(world.organisation("operator", "operator"))
    answer = client.post("/api/v1/organisations", json={"kind": "agency", "name": "Own keys", "self_custody": True})
    assert (answer.status_code, answer.json["custody"]) == (201, "self")


@pytest.mark.parametrize("kind", ["auditor", "operator"])
def test_whoever_holds_no_keys_is_not_in_self_custody(world: World, signed_in: Client, kind: str) -> None:
    client = signed_in(world.organisation("operator", "operator"))
    answer = client.post("/organisations", data={"kind": kind, "name": "x", "self_custody": "1"})
    assert answer.status_code == 422
