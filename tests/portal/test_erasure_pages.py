"""The pages of retention: what stands in the way is said before, what was done is shown after, in both languages."""

import json
import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from models.case import Case
from models.portfolio import Portfolio
from models.services.parties import lender_settings
from models.services.portfolio import cases, erasures, holds
from tests.facts import placed
from tests.world import Someone, World

PAGES = ("erasures", "holds", "settings")
Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def portfolio(world: World, lender: Someone) -> Portfolio:
    return world.portfolio(lender, 2)


@pytest.fixture
def case(world: World, lender: Someone, portfolio: Portfolio) -> Case:
    with world.database.work(lender.actor) as work:
        return next(line.case for line in cases.list_own(work) if line.case.portfolio_id == portfolio.id)


def about(kind: str, subject_id: UUID) -> dict[str, str]:
    return {"subject_kind": kind, "subject_id": str(subject_id)}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_case_is_erased_from_its_page_and_says_so_afterwards(
    signed_in: Client, lender: Someone, case: Case, language: str
) -> None:
    client = signed_in(lender)
    client.set_cookie("language", language)
    asked = client.get("/erasures/new", query_string=about("case", case.id))
    assert case.reference in asked.text
    done = client.post("/erasures", data=about("case", case.id), follow_redirects=True)
    assert done.status_code == 200
    page = client.get(f"/cases/{case.id}").text
    assert 'class="release"' not in page
    assert "***" not in page
    assert client.get("/cases").status_code == client.get("/cases.csv").status_code == 200
    assert case.reference in client.get("/erasures").text


def test_the_page_says_what_stands_in_the_way_and_offers_no_button(world: World, signed_in: Client) -> None:
    ground = placed(world, 2, world.lender("compliance_officer"))
    client = signed_in(ground.lender)
    client.set_cookie("language", "en")
    page = client.get("/erasures/new", query_string=about("portfolio", ground.placement.portfolio_id)).text
    assert "placed with an agency: recall first." in page
    assert 'action="/erasures"' not in page
    refused = client.post("/erasures", data=about("portfolio", ground.placement.portfolio_id))
    assert refused.status_code == 409
    assert "Some of its cases may not be erased now, so none was." in refused.text


def test_a_form_sent_twice_erases_once(world: World, signed_in: Client, lender: Someone, case: Case) -> None:
    client, key = signed_in(lender), {"idempotency_key": uuid4().hex}
    answers = [client.post("/erasures", data=about("case", case.id) | key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0].location == answers[1].location
    with world.database.work(lender.actor) as work:
        assert len(erasures.list_own(work)) == 1


def test_the_signed_record_is_taken_away_as_the_store_keeps_it(
    world: World, signed_in: Client, lender: Someone, case: Case
) -> None:
    with world.database.work(lender.actor) as work:
        made = erasures.erase(work, "case", case.id)
    answer = signed_in(lender).get(f"/erasures/{made.id}/record")
    assert json.loads(answer.data)["record"]["cases"] == [str(case.id)]


def test_a_hold_is_placed_and_lifted_and_says_who(
    world: World, signed_in: Client, lender: Someone, portfolio: Portfolio, case: Case
) -> None:
    client = signed_in(lender)
    client.post("/holds", data=about("portfolio", portfolio.id) | {"reason": "regulator"})
    page = client.get("/holds").text
    assert lender.member.name in page
    (hold_id,) = re.findall(r"/holds/([0-9a-f-]{36})/lift", page)
    assert client.post("/erasures", data=about("case", case.id)).status_code == 409
    assert client.post(f"/holds/{hold_id}/lift").status_code == 302
    assert client.post(f"/holds/{hold_id}/lift").status_code == 409
    assert "/lift" not in client.get("/holds").text


PLACING = {
    "tape_borrowers_min": "30",
    "approval_cases": "1,000",
    "conduct_score_min": "70",
    "complaints_per_5000_max": "10",
    "limitation_days": "0",
    "rotation": "automatic",
    "paying_days": "30",
    "retention_window_days": "14",
    "retention_days_max": "30",
    "retention_percent_max": "10",
    "objection_hours": "24",
    "stop_work_hours": "24",
    "required_documents": ["due_diligence", "training"],
}


def test_the_settings_of_placing_are_changed_as_a_whole(world: World, signed_in: Client, lender: Someone) -> None:
    client = signed_in(lender)
    assert client.post("/settings/placing", data=PLACING).status_code == 302
    with world.database.work(lender.actor) as work:
        now = lender_settings.get(work)
    assert (now.approval_cases, now.rotation, now.new_case_follows) == (1000, "automatic", False)
    assert now.required_documents == ["due_diligence", "training"]
    page = client.get("/settings").text
    assert '<input type="hidden" name="required_documents" value="due_diligence">' in page
    assert client.post("/settings/placing", data=PLACING | {"required_documents": "licence"}).status_code == 422
    assert client.post("/settings/placing", data=PLACING | {"conduct_score_min": "101"}).status_code == 422
    assert client.post("/settings/placing", data=PLACING | {"required_documents": "diploma"}).status_code == 422
    manager = signed_in(world.person(lender, "portfolio_manager"))
    assert manager.post("/settings/placing", data=PLACING).status_code == 403


def test_settings_are_changed_within_their_range(signed_in: Client, lender: Someone) -> None:
    client = signed_in(lender)
    form = {"retention_days": "1,826", "releases_per_day": "100", "export_rows": "500", "earlier_agencies": "outcomes"}
    assert client.post("/settings", data=form).status_code == 302
    page = client.get("/settings").text
    assert all(f'value="{value}"' in page for value in ("1826", "100", "500", "outcomes"))
    wrong = client.post("/settings", data=form | {"retention_days": "1"})
    assert wrong.status_code == 422
    assert 'id="retention_days-error"' in wrong.text


def test_who_looks_on_sees_no_form(world: World, signed_in: Client, lender: Someone, case: Case) -> None:
    with world.database.work(lender.actor) as work:
        holds.place(work, "case", case.id, "audit")
    auditor, manager = signed_in(world.auditor(lender)), signed_in(world.person(lender, "portfolio_manager"))
    foreseen = "/erasures/new?subject_kind=case&subject_id=" + str(case.id)
    assert auditor.get(foreseen).status_code == 403
    seen = [manager.get(foreseen), *(client.get(f"/{page}") for client in (auditor, manager) for page in PAGES)]
    assert {page.status_code for page in seen} == {200}
    for form in ('action="/erasures"', 'action="/holds', '<button class="btn btn-primary">'):
        assert not [page for page in seen if form in page.text.partition("<main")[2]]


@pytest.mark.parametrize(("kind", "role"), [("agency", "manager"), ("agency", "collector"), ("operator", "operator")])
def test_others_do_not_get_in(world: World, signed_in: Client, case: Case, kind: str, role: str) -> None:
    client = signed_in(world.organisation(kind, role))
    for path in ("/erasures", "/holds", "/settings", f"/erasures/new?subject_kind=case&subject_id={case.id}"):
        assert client.get(path).status_code == 403
    assert client.post("/erasures", data=about("case", case.id)).status_code == 403


def test_what_another_lender_has_is_not_there(
    world: World, signed_in: Client, lender: Someone, portfolio: Portfolio, case: Case
) -> None:
    with world.database.work(lender.actor) as work:
        hold = holds.place(work, "portfolio", portfolio.id, "audit")
        holds.lift(work, hold.id)
        made = erasures.erase(work, "case", case.id)
    client = signed_in(world.lender("compliance_officer"))
    for id_ in (case.id, uuid4()):
        assert client.get("/erasures/new", query_string=about("case", id_)).status_code == 404
        assert client.post("/erasures", data=about("case", id_)).status_code == 404
        assert client.post("/holds", data=about("case", id_) | {"reason": "audit"}).status_code == 404
    for path in (f"/erasures/{made.id}", f"/erasures/{made.id}/record", f"/erasures/{uuid4()}"):
        assert client.get(path).status_code == 404
    for path in (f"/holds/{hold.id}/lift", f"/holds/{uuid4()}/lift"):
        assert client.post(path).status_code == 404
