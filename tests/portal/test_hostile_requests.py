"""What no browser or program of ours would send: it is refused, it changes nothing, and it is no failure of ours."""

from collections.abc import Callable
from io import RawIOBase
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from models.services.exchange import tenders
from models.services.parties import members
from portal.web.door import local_path
from tests.world import PASSWORD, Someone, World

Client = Callable[[Someone], FlaskClient]

UNKNOWN = "01890000-0000-7000-8000-000000000000"
PAYMENTS = b"case_number,amount,currency,value_date,posting_date,reference,paid_to\n"
FORM = "application/x-www-form-urlencoded"
MALFORMED = {
    "deep array": b"[" * 200_000,
    "deep object": b'{"a":' * 100_000,
    "number without end": b'{"days": ' + b"9" * 5_000 + b"}",
    "not a number": b'{"days": NaN}',
    "infinity": b'{"days": Infinity}',
    "NUL in a text": b'{"organisation": "a\\u0000b"}',
    "NUL in a name": b'{"a\\u0000b": 1}',
    "half a surrogate pair": b'{"organisation": "\\ud800"}',
    "UTF-16": '{"organisation": "a"}'.encode("utf-16"),
    "broken bytes": b'{"organisation": "\xff\xfe"}',
    "cut in the middle": b'{"organisation": "a',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_json_that_is_no_text_or_number_is_a_malformed_request(app: Flask, body: bytes) -> None:
    answer = app.test_client().post("/api/v1/sign-in", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"1", b'"text"', b'{"days": 1, "days": 2}', b'{"scopes": {"a": [[]]}}']
)
def test_json_of_the_wrong_shape_is_invalid(app: Flask, body: bytes) -> None:
    answer = app.test_client().post("/api/v1/sign-in", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_a_body_beyond_its_limit_is_refused_unread(app: Flask) -> None:
    answer = app.test_client().post("/api/v1/sign-in", data=b'"' + b"x" * 2_000_000, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/cases?product=%00",
        "/api/v1/breaches?rule_id=a%00b",
        "/offers?state=%00",
        "/breaks?kind=%00",
        f"/statements/{UNKNOWN}/%00",
        f"/api/v1/statements/{UNKNOWN}/%00.csv",
        "/audit-log?cursor=" + "9" * 40,
    ],
)
def test_what_no_column_holds_is_refused_in_addresses_too(world: World, signed_in: Client, path: str) -> None:
    lender = world.lender("administrator")
    for someone in (lender, world.person(lender, "settlement_officer"), world.agency()):
        assert signed_in(someone).get(path).status_code in {400, 403, 404, 422}


def test_a_form_with_a_nul_is_refused(app: Flask) -> None:
    form = {"organisation": "a\x00b", "email": "a", "password": "b"}
    answer = app.test_client().post("/sign-in", data=urlencode(form), content_type=FORM)
    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: b=c", "lender\u202egpj.exe", "a\u2028b", "a\x1bb"])
def test_a_name_that_others_read_is_one_plain_line(world: World, program: Client, name: str) -> None:
    answer = program(world.organisation("operator", "operator")).post(
        "/api/v1/organisations", json={"kind": "lender", "name": name}
    )
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "name")


class Broken(RawIOBase):
    """A chunked body whose chunks stop being chunks after the first."""

    def __init__(self, first: bytes) -> None:
        self.first = first

    def readinto(self, buffer: Any, /) -> int:
        if not self.first:
            raise OSError
        size = len(self.first)
        buffer[:size], self.first = self.first, b""
        return size


def test_chunks_that_do_not_end_as_they_should_are_a_cut_upload(world: World, program: Client) -> None:
    lender = world.lender("settlement_officer")
    answer = program(lender).post(
        "/api/v1/ledger/payments?business_date=2026-03-09",
        environ_overrides={"wsgi.input": Broken(PAYMENTS), "wsgi.input_terminated": True},
        content_type="text/csv",
    )
    assert answer.status_code == 400
    assert program(lender).get("/api/v1/ledger/feeds").json["items"] == []


def test_another_site_cannot_sign_anybody_in(app: Flask, world: World) -> None:
    lender = world.lender()
    assert _sign_in(app, lender, "same-origin").status_code == 302
    assert _sign_in(app, lender, "none").status_code == 302
    forged = _sign_in(app, lender, "cross-site")
    assert forged.status_code == 403
    assert "Set-Cookie" not in forged.headers


def _sign_in(app: Flask, someone: Someone, site: str) -> TestResponse:
    form = {"organisation": someone.organisation.code, "email": someone.member.email, "password": PASSWORD}
    return app.test_client().post("/sign-in", data=form, headers={"Sec-Fetch-Site": site})


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "/\t/evil.example", "/\t\\evil.example", "https://evil.example", "/\r\nA: b"],
)
def test_no_sign_in_leads_elsewhere(target: str) -> None:
    assert local_path(target) is None


def test_a_password_is_weighed_also_where_there_is_no_such_organisation(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[str] = []
    monkeypatch.setattr(members, "_matches", lambda stored, given: weighed.append(given))
    form = {"organisation": "L-UNKNOWN0", "email": "a@b.example", "password": "guess"}
    assert app.test_client().post("/sign-in", data=form).status_code == 401
    assert weighed == ["guess"]


@pytest.mark.parametrize("cause", [LockNotAvailable, DeadlockDetected])
def test_whoever_was_in_each_others_way_is_told_to_come_again(
    world: World, program: Client, monkeypatch: pytest.MonkeyPatch, cause: type[Exception]
) -> None:
    def in_the_way(*_: object, **__: object) -> None:
        raise OperationalError("select", {}, cause())

    monkeypatch.setattr(tenders, "get", in_the_way)
    answer = program(world.lender()).get(f"/api/v1/tenders/{UNKNOWN}")
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "busy", "2")


def test_a_page_takes_no_order_without_its_token(world: World, app: Flask, signed_in: Client) -> None:
    client = signed_in(world.lender("settlement_officer"))
    client.environ_base["HTTP_X_CSRF_TOKEN"] = "guess"
    for rule in app.url_map.iter_rules():
        takes_orders = "POST" in (rule.methods or ()) and not rule.arguments and not rule.rule.startswith("/api/")
        if takes_orders and rule.endpoint not in {"door.enter", "door.choose_language"}:
            assert client.post(rule.rule).status_code == 403, rule.rule
