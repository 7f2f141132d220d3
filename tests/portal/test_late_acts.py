"""After a recall every act of the agency under its placement is refused, and the lender's log says who came late."""

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
from models.services.parties import freezes, lender_settings
from portal.access import MANAGER, PERMISSIONS
from tests.facts import Placed, jobs, placed, recall
from tests.flows.asks import CHANGES
from tests.world import Someone, World

Client = Callable[[Any], FlaskClient]

ABOUT = {"placement_id", "recall_id", "case_id", "document_id", "export_id"}  # what a route names a placement by
IN_BODY = {  # what names it in its body
    "cases.assign": {"collector_id": "{collector_id}", "cases": "{placement_id}.{case_id}"},
    "exports.ask": {"kind": "placement_cases", "placement_id": "{placement_id}"},
    "exports-api.request_export": {"kind": "placement_cases", "filters": {"placement_id": "{placement_id}"}},
}
TAKEN: dict[str, dict[str, str]] = {  # what is read to be taken away, with its query
    "placements.download_cases": {},
    "documents.read": {"release": "{release_id}"},
    "documents-api.read_document": {"release": "{release_id}"},
}
RAW = {"documents-api.add_document": {"query_string": {"kind": "letter"}, "data": b"%PDF-1.7"}}
IN_TIME = {
    *("recalls.confirm_stop", "recalls-api.confirm_stop"),  # asked of the agency after a recall
    *("exports.approve", "exports.refuse"),  # nothing leaves by it
}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every change under a placement that an agency's manager may ask for at all, and whatever they take away."""
    for rule in app.url_map.iter_rules():
        method = next(iter((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}), None)
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        allowed = permission is not None and MANAGER in PERMISSIONS[permission][1]
        about = rule.arguments & ABOUT or rule.endpoint in IN_BODY
        if rule.endpoint in TAKEN:
            yield rule, "GET"
        elif method and allowed and about and rule.endpoint not in IN_TIME:
            yield rule, method


def asked_with(endpoint: str, path: str, ids: dict[str, str]) -> dict[str, Any]:
    """What the test client sends along."""
    if endpoint in TAKEN:
        return {"query_string": filled(TAKEN[endpoint], ids)}
    body = filled(IN_BODY.get(endpoint) or CHANGES[endpoint], ids)
    return RAW.get(endpoint) or {"json" if path.startswith("/api/") else "data": body}


def filled(body: Any, ids: dict[str, str]) -> Any:
    """A body of the right shape, with ids of the agency's own in its braces."""
    text = json.dumps(body)
    for name, id_ in ids.items():
        text = text.replace(f"{{{name}}}", id_)
    return json.loads(text)


def entries(world: World, ground: Placed, of: Someone | None = None) -> list[dict[str, Any]]:
    """The refusals in the lender's log, or in that of somebody else."""
    with world.database.work(jobs(of or ground.lender)) as work:
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


def opened(manager: FlaskClient, ground: Placed) -> dict[str, str]:
    """A document of the case that may be read for some minutes."""
    added = manager.post(f"/api/v1/cases/{ground.case.id}/documents?kind=letter", data=b"%PDF-1.7")
    document_id = added.json["id"]  # type: ignore[index]
    sent = manager.post(f"/api/v1/documents/{document_id}/releases", json={"reason": "verify_payment"})
    return {"document_id": document_id, "release_id": sent.json["release_id"]}  # type: ignore[index]


def approved(world: World, ground: Placed, manager: FlaskClient, colleague: FlaskClient) -> dict[str, str]:
    """A file of the placement's cases that two people agreed on, and nobody has taken."""
    with world.database.work(world.person(ground.lender, "compliance_officer").actor) as work:
        lender_settings.change(work, {"export_rows": 1})
    asked = manager.post("/api/v1/exports", json=filled(IN_BODY["exports-api.request_export"], ids_of(ground)))
    export_id = asked.json["id"]  # type: ignore[index]
    assert colleague.post(f"/exports/{export_id}/approve").status_code == 302
    return {"export_id": export_id}


def ids_of(ground: Placed) -> dict[str, str]:
    return {"placement_id": str(ground.placement.id), "case_id": str(ground.case.id)}


def test_every_late_act_of_the_agency_under_a_placement_is_refused_and_logged(
    app: Flask, world: World, ground: Placed, signed_in: Client
) -> None:
    collector = world.person(ground.agency, "collector").member.id
    ids = opened(signed_in(ground.agency), ground)
    world.clock.forward(days=3, hours=6)  # type: ignore[attr-defined]  # the bodies tell of that day
    manager = signed_in(ground.agency)
    ids |= approved(world, ground, manager, signed_in(world.person(ground.agency, "manager")))
    ids |= ids_of(ground) | {
        "recall_id": str(recalled(world, ground)),
        "collector_id": str(collector),
    }
    tried = list(routes(app))
    adapter = app.url_map.bind("localhost")
    for rule, method in tried:
        world.clock.forward(minutes=1)  # type: ignore[attr-defined]
        before = len(entries(world, ground))
        path = adapter.build(rule.endpoint, {name: ids[name] for name in rule.arguments}, method=method)
        answer = manager.open(path, method=method, **asked_with(rule.endpoint, path, ids))
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
        "documents.open_document",
        "exports.take",
        *TAKEN,
        *IN_BODY,
    }


def test_a_case_that_left_its_placement_is_assigned_late_from_the_worklist_and_logged(
    world: World, ground: Placed, signed_in: Client
) -> None:
    collector = world.person(ground.agency, "collector").member.id
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", [ground.case.id])
    form = {"collector_id": str(collector), "cases": f"{ground.placement.id}.{ground.case.id}"}
    assert signed_in(ground.agency).post("/worklist/assign", data=form).status_code == 404
    (entry,) = entries(world, ground)
    assert entry["subject"]["placement"] == str(ground.placement.id)


def test_a_late_act_in_a_frozen_placement_is_logged_too(world: World, ground: Placed, signed_in: Client) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    form = {"code": "capacity", "case_ids": [str(ground.case.id)]}
    path = f"/placements/{ground.placement.id}/return"
    assert signed_in(ground.agency).post(path, data=form).status_code == 409
    assert [entry["subject"]["code"] for entry in entries(world, ground)] == ["placement_frozen"]


def test_a_file_is_of_the_placement_in_its_path_whatever_the_query_names(
    world: World, ground: Placed, signed_in: Client
) -> None:
    """Else the refusal of a file of one lender would stand in the log of another."""
    recalled(world, ground)
    lender = world.lender()
    other = world.placement(lender, ground.agency, 1)
    path = f"/placements/{other.id}/cases.csv?placement_id={ground.placement.id}"
    sent = signed_in(ground.agency).get(path)
    assert (sent.status_code, len(sent.text.splitlines())) == (200, 2)
    assert [entries(world, ground, of) for of in (ground.lender, lender, ground.agency)] == [[], [], []]


def test_a_late_file_of_rows_is_counted_though_a_late_act_came_in_the_same_minute(
    world: World, ground: Placed, signed_in: Client
) -> None:
    manager = signed_in(ground.agency)
    recall(world, ground)
    assert manager.get(f"/placements/{ground.placement.id}/cases.csv").status_code == 409
    numbers = [case.reference for case in ground.cases]
    claims = [f"{number},1.00,CNY,2026-03-10,R-{number},lender" for number in numbers]
    manager.post(
        "/api/v1/activity/claims", data="\n".join(("case_number,amount,currency,paid_on,reference,paid_to", *claims))
    )
    manager.post(
        "/api/v1/returns/file", data="\n".join(("case_number,return_code", *(f"{n},capacity" for n in numbers)))
    )
    subjects = [entry["subject"] for entry in entries(world, ground)]
    assert [(said["asked_for"], said.get("count")) for said in subjects] == [
        ("placements.read", None),
        ("activity.upload", 2),
        ("placements.return", 2),
    ]
    assert {said["placement"] for said in subjects} == {str(ground.placement.id)}
