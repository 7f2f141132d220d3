"""Files that leave: an id on every row, one person and a digest in the log, and two people for a large one."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib import import_module
from pkgutil import iter_modules
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

import portal.web
from models.audit import OutboxEntry
from models.buckets import BUCKETS
from models.business_day import day_of
from models.database import Database
from models.errors import Conflict
from models.export import PERSONAL, Export
from models.services.exchange import placements, recalls
from models.services.oversight import exports
from models.services.parties import freezes, lender_settings, standings
from models.services.portfolio import exclusions
from portal.sheets import Sheet
from portal.web.exports import SHEETS
from portal.words.oversight import EXPORT_KINDS
from tests.conftest import Clock
from tests.facts import Placed, jobs, placed, recall
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def ground(world: World) -> Placed:
    """Four placed cases of a lender that lets one person take two rows."""
    found = placed(world, 4)
    officer = world.person(found.lender, "compliance_officer")
    with world.database.work(officer.actor) as work:
        lender_settings.change(work, {"export_rows": 2})
    return found


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def logged(database: Database, someone: Someone, action: str = "export.download") -> list[str]:
    with database.work(jobs(someone)) as work:
        entries = work.session.scalars(select(OutboxEntry.entry).where(OutboxEntry.org_id == someone.organisation.id))
        return [entry.decode() for entry in entries if action.encode() in entry]


def asked(client: FlaskClient, path: str) -> str:
    """Ask for a second person, as the page does; answers the export's id."""
    sent = client.get(path)
    assert sent.status_code == 302, sent.text
    page = client.get(sent.location).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page))
    assert client.post("/exports", data=fields).status_code == 302
    found = re.search(r"/exports/([0-9a-f-]{36})/", client.get("/exports").text)
    return found[1] if found else re.findall(r"<code>([0-9a-f-]{36})</code>", client.get("/exports").text)[0]


def test_a_file_carries_its_export_on_every_row_and_its_digest_is_logged(
    world: World, signed_in: Client, database: Database
) -> None:
    of = placed(world, 2)
    sent = signed_in(of.lender).get("/cases.csv")
    with database.work(of.lender.actor) as work:
        (export,) = exports.list_own(work)
    assert {row["export"] for row in rows(sent.text)} == {str(export.id)}
    assert str(export.id) in sent.headers["Content-Disposition"]
    assert (export.row_count, export.requested_by) == (2, of.lender.member.id)
    assert export.file_digest == sha256(sent.data).digest()
    (entry,) = logged(database, of.lender)
    assert sha256(sent.data).hexdigest() in entry
    assert str(export.id) in entry


def test_an_agencys_file_is_in_the_log_of_the_lender_too(world: World, signed_in: Client, database: Database) -> None:
    of = placed(world, 2)
    sent = signed_in(of.agency).get("/worklist.csv")
    digest = sha256(sent.data).hexdigest()
    assert digest in logged(database, of.agency)[-1]
    assert digest in logged(database, of.lender)[-1]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_that_a_list_is_filtered_by_is_exported(world: World, signed_in: Client, bucket: str) -> None:
    assert signed_in(placed(world, 2).lender).get("/cases.csv", query_string={"bucket": bucket}).status_code == 200


@pytest.mark.parametrize("path", ["/cases.csv", "/portfolios.csv", "/placements.csv", "/offers.csv", "/breaks.csv"])
def test_a_small_file_needs_nobody_else(world: World, signed_in: Client, path: str) -> None:
    assert signed_in(placed(world, 2).lender).get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/agreements.csv?search=13800138000", "search_personal"),
        ("/agencies.csv?name=138-0013-8000", "search_personal"),
        ("/cases.csv?product=13800138000", "search_personal"),
        ("/offers.csv?kind=13800138000", "unknown_value"),
        ("/recalls.csv?state=%E5%BC%A0%E4%B8%89", "unknown_value"),
    ],
)
def test_an_export_keeps_nobodys_number_among_its_filters(
    world: World, signed_in: Client, database: Database, path: str, code: str
) -> None:
    of = placed(world, 2)
    refused = signed_in(of.lender).get(path, headers={"Accept": "application/json"})
    assert (refused.status_code, [error["code"] for error in refused.get_json()["errors"]]) == (422, [code])
    with database.work(of.lender.actor) as work:
        assert exports.list_own(work) == []


@pytest.mark.parametrize("path", ["/notices.csv?kind=13800138000", "/agreements.csv?standing=13800138000"])
def test_a_filter_that_is_no_code_of_its_list_makes_no_file(world: World, signed_in: Client, path: str) -> None:
    assert signed_in(placed(world, 2).lender).get(path).status_code == 422


def test_what_one_person_takes_of_cases_is_counted_over_a_day(
    world: World, signed_in: Client, ground: Placed, clock: Clock
) -> None:
    with world.database.work(world.person(ground.lender, "administrator").actor) as work:
        lender_settings.change(work, {"export_rows": 8})
    client = signed_in(ground.lender)
    assert [client.get("/cases.csv").status_code for _ in range(3)] == [200, 200, 302]
    assert "You may take 0 more rows alone" in english(client).get("/exports/new?kind=cases").text
    assert client.get("/portfolios.csv").status_code == 200  # No row of it is a person's.
    assert signed_in(world.person(ground.lender, "compliance_officer")).get("/cases.csv").status_code == 200
    clock.forward(hours=24, seconds=-1)
    assert signed_in(ground.lender).get("/cases.csv").status_code == 302
    clock.forward(seconds=1)
    assert signed_in(ground.lender).get("/cases.csv").status_code == 200


def test_what_a_second_person_approved_is_not_counted(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.lender)
    export_id = asked(client, "/cases.csv")
    signed_in(world.person(ground.lender, "compliance_officer")).post(f"/exports/{export_id}/approve")
    assert client.post(f"/exports/{export_id}/file").status_code == 200
    with world.database.work(ground.lender.actor) as work:
        assert exports.allowance(work, "cases", Counter()) == 2


def test_the_lists_that_are_counted_are_lists_there_are() -> None:
    assert PERSONAL.issubset(SHEETS)


def test_every_list_that_names_cases_is_counted() -> None:
    named = {kind for kind, sheet in SHEETS.items() if {"case_number", "case_id"} & {*sheet.header, *sheet.filters}}
    assert named - PERSONAL == set()


def test_every_list_can_be_asked_for_with_a_second_person() -> None:
    modules = [import_module(f"portal.web.{found.name}") for found in iter_modules(portal.web.__path__)]
    made = {sheet.kind for module in modules for sheet in vars(module).values() if isinstance(sheet, Sheet)}
    assert made == set(SHEETS) == set(EXPORT_KINDS)


def test_what_excludes_people_and_how_a_case_went_is_counted_over_a_day(
    world: World, signed_in: Client, ground: Placed
) -> None:
    with world.database.work(ground.lender.actor) as work:
        exclusions.record(work, ground.case.id, "deceased", "registry", day_of(work.at))
    client = signed_in(ground.lender)
    paths = ("/exclusions.csv", f"/cases/{ground.case.id}/history.csv", "/exclusions.csv")
    assert [client.get(path).status_code for path in paths] == [200, 200, 302]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_large_file_leaves_once_after_a_second_person(
    world: World, signed_in: Client, ground: Placed, language: str
) -> None:
    client = signed_in(ground.lender)
    client.set_cookie("language", language)
    export_id = asked(client, "/cases.csv")
    assert client.post(f"/exports/{export_id}/file").status_code == 409
    officer = signed_in(world.person(ground.lender, "compliance_officer"))
    officer.set_cookie("language", language)
    assert f"/exports/{export_id}/approve" in officer.get("/exports").text
    assert officer.post(f"/exports/{export_id}/approve").status_code == 302
    taken = client.post(f"/exports/{export_id}/file")
    assert [row["export"] for row in rows(taken.text)] == [export_id] * 4
    assert client.post(f"/exports/{export_id}/file").status_code == 409


def test_the_strictest_lender_in_an_agencys_file_decides(world: World, signed_in: Client, ground: Placed) -> None:
    other = placed(world, 1)
    with world.database.work(other.agency.actor) as work:
        placements.get(work, other.placement.id)
    sent = signed_in(ground.agency).get("/worklist.csv")
    assert sent.status_code == 302
    assert signed_in(other.agency).get("/worklist.csv").status_code == 200


def test_nobody_approves_their_own(world: World, signed_in: Client, ground: Placed) -> None:
    manager = signed_in(ground.agency)
    export_id = asked(manager, "/worklist.csv")
    assert manager.post(f"/exports/{export_id}/approve").status_code == 403
    assert signed_in(world.person(ground.agency, "manager")).post(f"/exports/{export_id}/approve").status_code == 302


def test_who_has_not_the_role_may_not_approve(world: World, signed_in: Client, ground: Placed) -> None:
    export_id = asked(signed_in(ground.lender), "/cases.csv")
    colleague = signed_in(world.person(ground.lender, "portfolio_manager"))
    assert colleague.post(f"/exports/{export_id}/approve").status_code == 403


def test_another_organisation_finds_no_such_export(world: World, signed_in: Client, ground: Placed) -> None:
    export_id = asked(signed_in(ground.lender), "/cases.csv")
    for stranger in (world.lender("compliance_officer"), ground.agency):
        client = signed_in(stranger)
        assert client.post(f"/exports/{export_id}/approve").status_code == 404
        assert client.post(f"/exports/{export_id}/file").status_code == 404


def test_an_approval_is_for_whoever_asked(world: World, signed_in: Client, ground: Placed) -> None:
    export_id = asked(signed_in(ground.lender), "/cases.csv")
    officer = signed_in(world.person(ground.lender, "compliance_officer"))
    officer.post(f"/exports/{export_id}/approve")
    assert officer.post(f"/exports/{export_id}/file").status_code == 404


def test_what_is_refused_does_not_leave(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.lender)
    export_id = asked(client, "/cases.csv")
    assert (
        signed_in(world.person(ground.lender, "administrator")).post(f"/exports/{export_id}/refuse").status_code == 302
    )
    assert client.post(f"/exports/{export_id}/file").status_code == 409


def test_what_was_recalled_after_the_approval_is_not_in_the_file(
    world: World, signed_in: Client, ground: Placed
) -> None:
    client = signed_in(ground.agency)
    export_id = asked(client, "/worklist.csv")
    signed_in(world.person(ground.agency, "manager")).post(f"/exports/{export_id}/approve")
    recall(world, ground)
    assert rows(client.post(f"/exports/{export_id}/file").text) == []


def test_a_list_that_grew_after_the_approval_is_refused(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.lender)
    export_id = asked(client, "/cases.csv")
    signed_in(world.person(ground.lender, "compliance_officer")).post(f"/exports/{export_id}/approve")
    world.portfolio(ground.lender, 1)
    refused = client.post(f"/exports/{export_id}/file", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json["code"]) == (409, "export_grew")  # type: ignore[index]


def test_of_two_who_decide_at_once_one_does(world: World, signed_in: Client, ground: Placed) -> None:
    export_id = UUID(asked(signed_in(ground.lender), "/cases.csv"))
    officers = [world.person(ground.lender, "compliance_officer") for _ in range(2)]

    def decide(officer: Someone, approve: bool) -> str:
        try:
            with world.database.work(officer.actor) as work:
                return exports.decide(work, export_id, approve).state
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(decide, officers, (True, False)))
    assert told in (["approved", "export_decided"], ["export_decided", "refused"])


def test_of_two_who_take_it_at_once_one_does(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.lender)
    export_id = asked(client, "/cases.csv")
    signed_in(world.person(ground.lender, "compliance_officer")).post(f"/exports/{export_id}/approve")
    clients = [signed_in(ground.lender) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(lambda one: one.post(f"/exports/{export_id}/file").status_code, clients))
    assert told == [200, 409]


def test_a_request_lapses_after_a_day(world: World, signed_in: Client, ground: Placed, database: Database) -> None:
    export_id = UUID(asked(signed_in(ground.lender), "/cases.csv"))
    officer = world.person(ground.lender, "compliance_officer")
    with database.work(officer.actor) as work:
        export = work.session.scalars(select(Export).where(Export.id == export_id)).one()
        export.expires_at = export.requested_at
    with database.work(officer.actor) as work, pytest.raises(Conflict) as refused:
        exports.decide(work, export_id, approve=True)
    assert refused.value.code == "export_lapsed"


def test_an_auditors_large_file_needs_another_auditor(world: World, signed_in: Client, ground: Placed) -> None:
    auditor = world.auditor(ground.lender)
    export_id = asked(signed_in(auditor), "/cases.csv")
    officer = signed_in(world.person(ground.lender, "compliance_officer"))
    assert officer.post(f"/exports/{export_id}/approve").status_code == 404


def test_a_program_may_ask_and_take_and_not_approve(
    world: World, signed_in: Client, program: Client, ground: Placed
) -> None:
    client, officer = program(ground.lender), world.person(ground.lender, "compliance_officer")
    made = client.post("/api/v1/exports", json={"kind": "cases", "filters": {"bucket": "M2"}})
    assert made.status_code == 201, made.text
    export_id = made.json["id"]  # type: ignore[index]
    assert program(officer).post(f"/exports/{export_id}/approve").status_code == 403
    signed_in(officer).post(f"/exports/{export_id}/approve")
    assert len(rows(client.post(f"/api/v1/exports/{export_id}/file").text)) == 4


@pytest.mark.parametrize("kind", ["nothing", "placement_cases", "breaks"])
def test_a_sheet_that_is_not_there_or_not_theirs_cannot_be_asked_for(
    signed_in: Client, world: World, kind: str
) -> None:
    answered = signed_in(world.agency("collector")).get(f"/exports/new?kind={kind}")
    assert answered.status_code in (403, 404)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_with_cases_say_who_looks_and_when(world: World, signed_in: Client, language: str) -> None:
    of = placed(world, 1)
    client = signed_in(of.agency)
    client.set_cookie("language", language)
    for path in ("/worklist", f"/cases/{of.case.id}"):
        mark = re.search(r'<svg class="watermark".*?</svg>', client.get(path).text, re.S)
        assert mark
        assert of.agency.member.name in mark[0]
        assert of.agency.organisation.code in mark[0]
        assert "style=" not in mark[0]
    assert 'class="watermark"' not in client.get("/").text


def test_a_frozen_agency_takes_away_nothing_of_what_that_lender_placed_with_it(world: World, signed_in: Client) -> None:
    ground = placed(world, 4)
    agency, paths = ground.agency, ("/placements.csv", "/offers.csv", "/recalls.csv")
    other = world.placement(world.lender(), agency)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", [ground.case.id])
    client = signed_in(agency)
    assert [len(rows(client.get(path).text)) for path in paths] == [2, 2, 1]
    with world.database.work(ground.lender.actor) as work:
        standings.freeze(work, agency.organisation.id, "data_incident")
    for _ in range(2):  # before the freeze has reached the placements, and after
        assert [row["id"] for row in rows(client.get("/placements.csv").text)] == [str(other.id)]
        assert [len(rows(client.get(path).text)) for path in paths] == [1, 1, 0]
        with world.database.work(ground.lender.actor) as work:
            standings.stop_placements(work, agency.organisation.id)
    assert len(rows(client.get("/agreements.csv").text)) == 2
    assert len(rows(signed_in(ground.lender).get("/placements.csv").text)) == 1


def test_what_is_placed_under_a_frozen_placement_is_left_out_alone(world: World, signed_in: Client) -> None:
    ground = placed(world, 4)
    other = world.placement(ground.lender, ground.agency)
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "data_incident")
    assert [row["id"] for row in rows(signed_in(ground.agency).get("/placements.csv").text)] == [str(other.id)]
