"""The API's description is enough to write a client by, and says what the application does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.activity_file import CLAIM_COLUMNS, contact_columns
from models.case_file import COLUMNS
from models.columns import Column
from models.exclusion_file import EXCLUSION_COLUMNS
from models.ledger_file import BALANCE_COLUMNS, PAYMENT_COLUMNS
from models.recall_file import RECALL_COLUMNS, RETURN_COLUMNS
from models.services.parties.members import SCOPES
from models.services.portfolio import portfolios
from portal.access import PERMISSIONS
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

METHODS = {"get", "post", "put", "patch", "delete"}
UPLOADS = {
    "record_exclusions": EXCLUSION_COLUMNS,
    "upload_portfolio": COLUMNS,
    "receive_payments": PAYMENT_COLUMNS,
    "receive_balances": BALANCE_COLUMNS,
    "record_contacts": contact_columns(),
    "record_claims": CLAIM_COLUMNS,
    "request_recall_file": RECALL_COLUMNS,
    "return_file": RETURN_COLUMNS,
}
ONCE = {"create_agreement", "create_offer", "accept_offer", "record_contact", "record_promise", "record_claim"}
ONCE |= {
    "create_tender",
    "record_exclusion",
    "record_paper",
    "erase",
    "place_hold",
    "invite_bidders",
    "preview_allocation",
    "propose_rate_card",
    "propose_standard_terms",
}
HANDED_OVER = {"preview_allocation", "commit_allocation"}  # 202 where a worker goes on with it


@pytest.fixture(scope="module")
def description(shared_app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = shared_app.test_client().get("/api/openapi.json").json
    return found


@pytest.fixture(scope="module")
def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """operationId -> the operation with its path and method."""
    found = [
        {**operation, "path": path, "method": method, "shared": item.get("parameters", [])}
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    named = {operation["operationId"]: operation for operation in found}
    assert len(named) == len(found)
    return named


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def test_it_is_openapi_3_1_in_shape(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(description["info"])
    assert description["servers"] == [{"url": "/", "description": "This host"}]
    assert description["security"] == [{"bearer": []}]
    assert all(path.startswith("/api/v1/") for path in description["paths"])
    assert not any("nullable" in node for node in nodes(description) if isinstance(node, dict))


def test_every_reference_resolves(description: dict[str, Any]) -> None:
    for node in nodes(description):
        if isinstance(node, dict) and "$ref" in node:
            found: Any = description
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            assert found


def test_every_route_is_described(shared_app: Flask, operations: dict[str, dict[str, Any]]) -> None:
    routes = {
        rule.endpoint.rpartition(".")[2] for rule in shared_app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")
    }
    assert set(operations) == routes


def test_every_operation_says_what_it_does(operations: dict[str, dict[str, Any]]) -> None:
    assert [name for name, operation in operations.items() if not operation.get("summary")] == []


def test_every_parameter_of_a_path_is_described(operations: dict[str, dict[str, Any]]) -> None:
    for operation in operations.values():
        described = {one["name"] for one in operation["shared"] if one["in"] == "path" and one["required"]}
        assert described == {part.split("}")[0] for part in operation["path"].split("{")[1:]}


def test_every_operation_says_which_scope_opens_it(shared_app: Flask, operations: dict[str, dict[str, Any]]) -> None:
    views: dict[str, Any] = {name.rpartition(".")[2]: view for name, view in shared_app.view_functions.items()}
    assert operations["sign_in"]["security"] == []
    for name, operation in operations.items():
        if name == "sign_in":
            continue
        scope = PERMISSIONS[views[name].permission][0]
        assert operation["security"] == ([{"session": []}] if scope == "person" else [{"bearer": [scope]}])


def test_every_operation_says_what_success_and_refusal_look_like(
    description: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    for name, operation in operations.items():
        good = {status: one for status, one in operation["responses"].items() if status.startswith("2")}
        assert len(good) == (2 if name in HANDED_OVER else 1), name
        for status, answer in good.items():
            assert status == "204" or all("schema" in kind for kind in answer["content"].values()), name
        assert "default" in operation["responses"], name
    for refusal in description["components"]["responses"].values():
        assert list(refusal["content"]) == ["application/problem+json"]


def test_a_problem_is_described_as_it_is(shared_app: Flask, description: dict[str, Any]) -> None:
    problem = description["components"]["schemas"]["Problem"]
    answer = shared_app.test_client().post("/api/v1/sign-in", json={"days": "many"})
    assert set(answer.json) == set(problem["properties"])
    assert set(problem["required"]) <= set(answer.json)
    assert problem["additionalProperties"] is True
    row = description["components"]["schemas"]["ProblemError"]
    assert all(set(error) == set(row["properties"]) for error in answer.json["errors"])


@pytest.mark.parametrize(("name", "columns"), UPLOADS.items())
def test_an_upload_names_its_columns(
    operations: dict[str, dict[str, Any]], name: str, columns: tuple[Column, ...]
) -> None:
    body = operations[name]["requestBody"]
    assert "text/csv" in body["content"]
    for column in columns:
        assert f"- `{column.name}`: {'required' if column.required else 'optional'}" in body["description"]


def test_the_operations_that_honour_an_idempotency_key_say_so(operations: dict[str, dict[str, Any]]) -> None:
    told = {
        name
        for name, operation in operations.items()
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
    }
    assert told == ONCE


@pytest.mark.parametrize("name", ["TokenRequest", "SignInRequest"])
def test_scopes_are_enumerated(description: dict[str, Any], name: str) -> None:
    scopes = description["components"]["schemas"][name]["properties"]["scopes"]
    assert scopes["items"]["enum"] == list(SCOPES)


def test_an_unknown_scope_is_named_by_its_place(shared_app: Flask) -> None:
    body = {"organisation": "L-1", "email": "a@example.com", "password": "p", "name": "n", "scopes": ["read", "all"]}
    answer = shared_app.test_client().post("/api/v1/sign-in", json=body)
    assert [(one["field"], one["code"]) for one in answer.json["errors"]] == [("scopes.1", "unknown_value")]


@pytest.mark.parametrize(
    ("asked", "title"),
    [(None, "Please sign in."), ("zh-CN", "请先登录。"), ("fr", "Please sign in."), ("en", "Please sign in.")],
)
def test_titles_are_english_unless_chinese_is_asked_for(shared_app: Flask, asked: str | None, title: str) -> None:
    headers = {"Accept-Language": asked} if asked else {}
    answer = shared_app.test_client().get("/api/v1/me", headers=headers)
    assert answer.json["title"] == title


@pytest.mark.parametrize("limit", ["0", "999"])
def test_a_limit_beyond_the_bounds_is_out_of_range(world: World, program: Client, limit: str) -> None:
    answer = program(world.lender()).get(f"/api/v1/portfolios?limit={limit}")
    assert [(one["field"], one["code"]) for one in answer.json["errors"]] == [("limit", "out_of_range")]


def test_strata_keep_the_shape_that_is_described(world: World, program: Client) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender)
    answer = program(lender).get(f"/api/v1/portfolios/{portfolio.id}/strata")
    with world.database.work(lender.actor) as work:
        assert answer.json == portfolios.strata(work, portfolio.id)
