"""Guards, written once for all: every route has a door, every door holds, every refusal has its words."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from models.member import ROLES
from models.services.exchange import recalls, retentions
from portal.access import PERMISSIONS
from portal.messages import MESSAGES
from portal.words import TABLES
from tests.conftest import ROOT
from tests.facts import placed, promise
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

# What anyone may open without a name. A route that joins this list is a decision.
PUBLIC = {
    "static",
    "bootstrap.static",
    "api-docs.openapi_json",
    "door.sign_in",
    "door.enter",
    "door.choose_language",
    "directory.sign_in",
}
PERSONAS = [(kind, role) for kind, roles in ROLES.items() for role in roles]
UNKNOWN = UUID("01890000-0000-7000-8000-000000000000")


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def path_of(app: Flask, rule: Rule) -> str:
    """The rule's path with an unknown id, a day or a word where it takes one."""
    values = {name: UNKNOWN if "id" in name else "2026-03" for name in rule.arguments}
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        return adapter.build(rule.endpoint, values, method=next(iter(rule.methods or {"GET"})))


def test_every_route_states_a_permission_or_is_public_by_decision(app: Flask) -> None:
    unmarked = [
        rule.endpoint
        for rule, _ in routes(app)
        if getattr(app.view_functions[rule.endpoint], "permission", None) not in PERMISSIONS
        and rule.endpoint not in PUBLIC
    ]
    assert unmarked == []


def test_every_permission_guards_some_route(app: Flask) -> None:
    used = {getattr(view, "permission", None) for view in app.view_functions.values()}
    assert set(PERMISSIONS) - used == set()


def test_a_stranger_gets_in_nowhere(app: Flask) -> None:
    client = app.test_client()
    for rule, method in routes(app):
        if rule.endpoint in PUBLIC:
            continue
        answer = client.open(path_of(app, rule), method=method)
        signed_out = answer.status_code == 401 or (answer.status_code == 302 and "/sign-in" in answer.location)
        assert signed_out, (rule.rule, method, answer.status_code)


@pytest.mark.parametrize(("kind", "role"), PERSONAS)
def test_each_role_gets_in_where_the_table_says_and_nowhere_else(
    app: Flask, world: World, signed_in: Client, kind: str, role: str
) -> None:
    someone = world.auditor(of=world.lender("administrator")) if kind == "auditor" else world.organisation(kind, role)
    client = signed_in(someone)
    for rule, method in routes(app):
        if rule.endpoint in PUBLIC or rule.endpoint == "door.sign_out":
            continue
        permission = app.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
        answer = client.open(path_of(app, rule), method=method)
        allowed = (kind, role) in PERMISSIONS[permission][1]
        assert (answer.status_code != 403) == allowed, (rule.rule, method, answer.status_code)
        assert answer.status_code not in {500, 501, 502}, (rule.rule, method, answer.status_code)


def test_no_list_takes_a_filter_for_a_part_of_an_address(world: World, app: Flask, signed_in: Client) -> None:
    ground = placed(world, 2)
    with world.database.work(ground.lender.actor) as work:
        recalls.request(work, ground.placement.id, "lender_request", [ground.case.id])
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    promise(world, ground, ground.cases[1], in_days=10)
    with world.database.work(ground.agency.actor) as work:
        retentions.request(work, ground.placement.id, [ground.cases[1].id], "promise", 5)
    of = {"lender": ground.lender, "agency": ground.agency, "operator": world.organisation("operator", "operator")}
    people = {(kind, role): signed_in(world.person(of[kind], role)) for kind, role in PERSONAS if kind in of}
    lists = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]
    for rule in lists:
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        for role in people.keys() & (PERMISSIONS[permission][1] if permission else ()):
            answer = people[role].get(f"{rule.rule}?endpoint=x&_scheme=javascript&_anchor=y&_external=1&_method=POST")
            assert answer.status_code != 500, (rule.rule, role)
            assert 'href="javascript:' not in answer.text, (rule.rule, role)


def test_no_template_hands_a_query_to_url_for_as_it_came() -> None:
    for template in (ROOT / "portal" / "templates").rglob("*.html"):
        assert "**request.args" not in template.read_text(), template


def test_every_code_that_models_can_refuse_with_has_its_sentence() -> None:
    missing = {code for path in (ROOT / "models").rglob("*.py") for code in codes_in(path)} - set(MESSAGES)
    assert missing == set()


def codes_in(path: Path) -> Iterator[str]:
    """The literal codes given to refusals and row errors."""
    refusals = {"Conflict", "NotFound", "Invalid", "Forbidden", "Unavailable", "TooMany", "Unauthenticated", "Refusal"}
    refusals |= {"AlreadyUploaded", "Stale", "CaseClosedToWork"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = 0 if name in refusals else 2 if name == "RowError" else None
            if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                yield str(node.args[place].value)


def test_no_word_of_one_table_hides_behind_another() -> None:
    assert set(TABLES["error"]) == set(MESSAGES)
