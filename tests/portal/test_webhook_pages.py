"""Webhooks at the portal and over the API: made, tried, paused, deleted; the secret is shown once."""

import re
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.outbound import Answer
from models.services import webhook_deliveries, webhooks
from tests.models.test_webhooks import URL, attempt, deliveries, hook
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def test_the_page_says_what_holds_where_this_machine_may_be_called(
    app: Flask, world: World, signed_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = english(signed_in(world.lender("administrator")))
    settings = app.extensions["consign.settings"]
    for local, rule in (
        (False, "https, a host of the open internet."),
        (True, "http and this machine are allowed too."),
    ):
        monkeypatch.setitem(app.extensions, "consign.settings", replace(settings, webhooks_local=local))
        assert rule in client.get("/webhooks").text


@pytest.mark.parametrize("kind", ["lender", "agency"])
def test_a_webhook_is_made_and_its_secret_shown_once(world: World, signed_in: Client, kind: str) -> None:
    someone = world.lender("administrator") if kind == "lender" else world.agency()
    client = english(signed_in(someone))
    made = client.post("/webhooks", data={"url": URL, "kinds": ["agency.frozen"]})
    assert made.status_code == 201
    secret = re.search(r"whsec_[A-Za-z0-9+/=]{44}", made.text)
    assert secret is not None
    page = client.get("/webhooks").text
    assert URL in page
    assert "Agency frozen" in page
    shown = re.search(r'href="(/webhooks/[0-9a-f-]{36})"', page)
    assert shown is not None
    for path in ("/webhooks", shown[1]):
        assert secret[0] not in client.get(path).text
    assert signed_in(someone).get(shown[1]).status_code == 200  # in Chinese


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://example.com/", "Webhooks are sent over https alone."),
        ("https://127.0.0.1/", "This is not an address of the open internet."),
        ("", "This field is required."),
    ],
)
def test_a_wrong_address_is_told_beside_it(world: World, signed_in: Client, url: str, sentence: str) -> None:
    answer = english(signed_in(world.agency())).post("/webhooks", data={"url": url})
    assert answer.status_code == 422
    assert sentence in answer.text


def test_what_became_of_each_delivery_is_shown_and_sent_again(world: World, signed_in: Client) -> None:
    agency = world.agency()
    made = hook(world, agency)
    client, path = english(signed_in(agency)), f"/webhooks/{made.row.id}"
    assert client.post(f"{path}/test").status_code == 302
    (row,) = deliveries(world, agency, made)
    attempt(world, agency, row, 0, Answer(None, "timeout"))
    assert "No answer in time" in client.get(path).text
    attempt(world, agency, row, 1, Answer(204))
    page = client.get(path).text
    assert "Delivered" in page
    assert client.post(f"/webhook-deliveries/{row.id}/redeliver").status_code == 302
    assert client.post(f"/webhook-deliveries/{row.id}/redeliver").status_code == 409
    assert "No delivery is in this state" in client.get(f"{path}?state=failed").text


def test_a_webhook_is_paused_resumed_rotated_and_deleted(world: World, signed_in: Client) -> None:
    agency = world.agency()
    made = hook(world, agency)
    client, path = english(signed_in(agency)), f"/webhooks/{made.row.id}"
    assert client.post(f"{path}/pause").status_code == 302
    assert "Paused by one of you." in client.get(path).text
    assert client.post(f"{path}/pause").status_code == 409
    assert client.post(f"{path}/resume").status_code == 302
    rotated = client.post(f"{path}/rotate")
    assert rotated.status_code == 201
    assert "whsec_" in rotated.text
    assert made.secret not in rotated.text
    assert "signs until" in client.get(path).text
    assert client.post(f"{path}/delete").status_code == 302
    assert client.get(path).status_code == 404


def test_only_who_runs_the_organisation_has_webhooks(world: World, signed_in: Client) -> None:
    for someone in (world.lender("portfolio_manager"), world.agency("collector"), world.auditor(of=world.lender())):
        client = signed_in(someone)
        assert client.get("/webhooks").status_code == 403
        assert client.post("/webhooks", data={"url": URL}).status_code == 403


def test_a_foreign_webhook_is_as_unknown_as_nobodys(world: World, signed_in: Client, program: Client) -> None:
    agency, other = world.agency(), world.agency()
    made = hook(world, agency)
    with world.database.work(agency.actor) as work:
        row = webhook_deliveries.send_test(work, made.row.id)
    page, api = signed_in(other), program(other)
    for id_ in (made.row.id, uuid4()):
        assert page.get(f"/webhooks/{id_}").status_code == 404
        assert [page.post(f"/webhooks/{id_}/{act}").status_code for act in ACTS] == [404] * len(ACTS)
        assert api.get(f"/api/v1/webhooks/{id_}").status_code == 404
        assert api.get(f"/api/v1/webhooks/{id_}/deliveries").status_code == 404
        assert api.delete(f"/api/v1/webhooks/{id_}").status_code == 404
        for act in ("rotation", "pause", "resumption", "test"):
            assert api.post(f"/api/v1/webhooks/{id_}/{act}").status_code == 404
    for id_ in (row.id, uuid4()):
        assert page.post(f"/webhook-deliveries/{id_}/redeliver").status_code == 404
        assert api.post(f"/api/v1/webhook-deliveries/{id_}/redelivery").status_code == 404


ACTS = ("test", "pause", "resume", "rotate", "delete")


def test_a_program_does_all_of_it(world: World, program: Client) -> None:
    agency = world.agency()
    client = program(agency)
    made = client.post("/api/v1/webhooks", json={"url": URL, "kinds": ["offer.made"]})
    assert made.status_code == 201
    assert made.json is not None
    assert made.json["secret"].startswith("whsec_")
    id_ = made.json["webhook"]["id"]
    assert client.get("/api/v1/webhooks").json == [made.json["webhook"]]
    assert client.get(f"/api/v1/webhooks/{id_}").json == made.json["webhook"]
    sent = client.post(f"/api/v1/webhooks/{id_}/test")
    assert sent.status_code == 202
    assert sent.json is not None
    assert (sent.json["kind"], sent.json["state"]) == ("webhook.test", "waiting")
    listed = client.get(f"/api/v1/webhooks/{id_}/deliveries?state=waiting").json
    assert listed == {"items": [sent.json], "next_after": None}
    with world.database.work(agency.actor) as work:
        webhooks.get(work, UUID(id_))
    assert client.post(f"/api/v1/webhooks/{id_}/rotation").status_code == 201
    paused = client.post(f"/api/v1/webhooks/{id_}/pause").json
    assert paused is not None
    assert (paused["state"], paused["pause_reason"]) == ("paused", "by_hand")
    assert client.post(f"/api/v1/webhooks/{id_}/resumption").status_code == 200
    assert client.delete(f"/api/v1/webhooks/{id_}").status_code == 204
    assert client.get(f"/api/v1/webhooks/{id_}").status_code == 404
    bad = client.post("/api/v1/webhooks", json={"url": "http://example.com/"})
    assert bad.json is not None
    assert [(e["field"], e["code"]) for e in bad.json["errors"]] == [("url", "url_not_https")]
