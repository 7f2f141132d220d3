"""After a recall every write of the agency under its placement is refused, and the lender's log says who came late."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from models.audit import OutboxEntry
from models.services.exchange import recalls
from models.services.parties import freezes
from portal.access import MANAGER, PERMISSIONS
from tests.facts import Placed, jobs, placed
from tests.flows.asks import CHANGES
from tests.world import World

Client = Callable[[Any], FlaskClient]

ABOUT = {"placement_id", "recall_id", "case_id"}  # what a route names a placement by
RAW = {"documents-api.add_document": {"query_string": {"kind": "letter"}, "data": b"%PDF-1.7"}}
IN_TIME = {"recalls.confirm_stop", "recalls-api.confirm_stop"}  # what is asked of the agency after a recall


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every change under a placement that an agency's manager may ask for at all."""
    for rule in app.url_map.iter_rules():
        method = next(iter((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}), None)
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        allowed = permission is not None and MANAGER in PERMISSIONS[permission][1]
        if method and allowed and rule.arguments & ABOUT and rule.endpoint not in IN_TIME:
            yield rule, method


def filled(body: Any, ids: dict[str, str]) -> Any:
    """A body of the right shape, with ids of the agency's own in its braces."""
    text = json.dumps(body)
    for name, id_ in ids.items():
        text = text.replace(f"{{{name}}}", id_)
    return json.loads(text)


def entries(world: World, ground: Placed) -> list[dict[str, Any]]:
    with world.database.work(jobs(ground.lender)) as work:
        found = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    return [entry for entry in found if entry["action"] == "access.refused"]


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2)


def recalled(world: World, ground: Placed) -> UUID:
    """The whole placement at once, while a recall of one case waited for objections."""
    with world.database.work(ground.lender.actor) as work:
        asked = recalls.request(work, ground.placement.id, "lender_request", [ground.case.id])
        recalls.recall(work, ground.placement.id, "conduct")
    return asked.id


def test_every_late_act_of_the_agency_under_a_placement_is_refused_and_logged(
    app: Flask, world: World, ground: Placed, signed_in: Client
) -> None:
    collector = world.person(ground.agency, "collector").member.id
    world.clock.forward(days=3, hours=6)  # type: ignore[attr-defined]  # the bodies tell of that day
    manager = signed_in(ground.agency)
    ids = {
        "placement_id": str(ground.placement.id),
        "recall_id": str(recalled(world, ground)),
        "case_id": str(ground.case.id),
        "collector_id": str(collector),
    }
    tried = list(routes(app))
    adapter = app.url_map.bind("localhost")
    for rule, method in tried:
        world.clock.forward(minutes=1)  # type: ignore[attr-defined]
        before = len(entries(world, ground))
        path = adapter.build(rule.endpoint, {name: ids[name] for name in rule.arguments}, method=method)
        body = filled(CHANGES[rule.endpoint], ids)
        sent = RAW.get(rule.endpoint) or {"json" if path.startswith("/api/") else "data": body}
        answer = manager.open(path, method=method, **sent)
        assert answer.status_code in {404, 409}, (rule.endpoint, answer.status_code)
        (entry,) = entries(world, ground)[before:]
        permission = app.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
        assert entry["actor"] == ground.agency.actor.label, rule.endpoint
        assert entry["subject"]["placement"] == ids["placement_id"], rule.endpoint
        assert entry["subject"]["asked_for"] == permission, rule.endpoint
        assert set(entry["subject"]) <= {"code", "asked_for", "case", "agency", "placement"}
    assert {rule.endpoint for rule, _ in tried} >= {
        "placements.acknowledge",
        "placements.give_back",
        "placements.retain",
        "placements.assign",
        "placements.deal",
        "recalls.object_to",
        "exchange-api.acknowledge_placement",
        "recalls-api.return_cases",
        "retentions-api.request_retentions",
        "working-api.record_contact",
    }


def test_what_is_assigned_late_from_the_worklist_is_logged_under_its_placement(
    world: World, ground: Placed, signed_in: Client
) -> None:
    """The page names placements in its form, not in its path."""
    collector = world.person(ground.agency, "collector").member.id
    recalled(world, ground)
    form = {"collector_id": str(collector), "cases": f"{ground.placement.id}.{ground.case.id}"}
    assert signed_in(ground.agency).post("/worklist/assign", data=form).status_code == 409
    (entry,) = entries(world, ground)
    assert entry["subject"]["placement"] == str(ground.placement.id)


def test_a_late_act_in_a_frozen_placement_is_logged_too(world: World, ground: Placed, signed_in: Client) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    form = {"code": "capacity", "case_ids": [str(ground.case.id)]}
    path = f"/placements/{ground.placement.id}/return"
    assert signed_in(ground.agency).post(path, data=form).status_code == 409
    assert [entry["subject"]["code"] for entry in entries(world, ground)] == ["placement_frozen"]


def test_what_is_taken_away_late_is_refused_and_logged_too(world: World, ground: Placed, signed_in: Client) -> None:
    recalled(world, ground)
    path = f"/placements/{ground.placement.id}/cases.csv"
    assert signed_in(ground.agency).get(path).status_code == 409
    (entry,) = entries(world, ground)
    assert (entry["subject"]["code"], entry["subject"]["placement"]) == ("case_recalled", str(ground.placement.id))
