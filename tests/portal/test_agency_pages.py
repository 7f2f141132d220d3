"""Pages and API of agencies: the list, one agency, its papers from both sides, the freeze and who may what."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func

from models.services.exchange import placements, turns
from models.services.parties import agency_documents, own_papers, standings
from tests.conftest import Clock
from tests.facts import TODAY, Placed, placed
from tests.world import Someone, World

API = "/api/v1"
PAPER = {
    "kind": "insurance",
    "number": "PICC-7",
    "issuer": "PICC",
    "issued_on": str(TODAY),
    "expires_on": str(TODAY + dt.timedelta(days=400)),
}
Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2, lender=world.lender("compliance_officer"), open_cases_max=3)


def page(client: FlaskClient, path: str, language: str = "en") -> str:
    client.set_cookie("language", language)
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_list_shows_who_may_receive_and_who_may_not_and_why(
    world: World, signed_in: Client, ground: Placed, language: str
) -> None:
    other = world.organisation("agency", "manager", "Other agency")
    world.agreement(ground.lender, other)
    with world.database.work(ground.lender.actor) as work:
        standings.suspend(work, other.organisation.id, "conduct")
    client = signed_in(ground.lender)
    whole = page(client, "/agencies", language)
    assert ground.agency.organisation.name in whole
    assert ("Suspended" if language == "en" else "Other agency") in whole
    filtered = page(client, "/agencies?reason=agency_suspended&sort=open_cases", language)
    assert "Other agency" in filtered
    assert ground.agency.organisation.name not in filtered
    assert page(client, "/agencies?name=nobody&eligibility=eligible&standing=watch&tier=1", language)


def test_the_list_leaves_as_csv_with_every_reason(signed_in: Client, ground: Placed) -> None:
    text = signed_in(ground.lender).get("/agencies.csv?sort=score").get_data(as_text=True)
    header, line = text.removeprefix("\ufeff").splitlines()
    assert header.split(",")[:5] == ["agency", "tiers", "eligible", "reasons", "standing"]
    assert line.split(",")[0] == ground.agency.organisation.name


@pytest.mark.parametrize(("role", "offered"), [("portfolio_manager", True), ("compliance_officer", False)])
def test_a_lender_without_an_agency_is_told_where_one_comes_from(
    world: World, signed_in: Client, role: str, offered: bool
) -> None:
    shown = page(signed_in(world.lender(role)), "/agencies")
    assert "No agency yet" in shown
    assert ("/agreements/new" in shown) == offered


def test_a_lender_with_many_agencies_pages_through_them(world: World, signed_in: Client) -> None:
    lender = world.lender()
    for number in range(3):
        world.agreement(lender, world.organisation("agency", "manager", f"Agency {number}"))
    client = signed_in(lender)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portal.web.agencies.LIST_ROWS", 2)
        first = page(client, "/agencies")
        cursor = first.split("cursor=")[1].split('"')[0]
        second = page(client, f"/agencies?cursor={cursor}")
    assert ("Agency 1" in first, "Agency 2" in first) == (True, False)
    assert ("Agency 1" in second, "Agency 2" in second) == (False, True)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_of_one_agency_says_why_not_and_how_its_score_came_about(
    world: World, signed_in: Client, ground: Placed, language: str
) -> None:
    agency_id = ground.agency.organisation.id
    shown = page(signed_in(ground.lender), f"/agencies/{agency_id}", language)
    assert "100 × (2 + 500) ÷ (2 + 500 + 0) = 100.00" in shown
    assert page(signed_in(world.auditor(ground.lender)), f"/agencies/{agency_id}", language)


def test_the_freeze_is_one_button_and_its_clear_another(world: World, signed_in: Client, ground: Placed) -> None:
    client, path = signed_in(ground.lender), f"/agencies/{ground.agency.organisation.id}"
    assert client.post(f"{path}/freeze", data={"reason": "data_incident"}).status_code == 302
    shown = page(client, path)
    assert "The lender has frozen everything with the agency." in shown
    assert "Freeze the agency" not in shown
    assert client.post(f"{path}/freeze", data={"reason": "data_incident"}).status_code == 409
    assert client.post(f"{path}/standing", data={"act": "clear", "reason": "conduct"}).status_code == 302
    assert "May receive cases now." in page(client, path)


def test_a_freeze_is_answered_and_holds_although_somebody_acts_under_a_placement(
    world: World, signed_in: Client, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", func.set_config("lock_timeout", "50ms", True))
    officer, manager = signed_in(ground.lender), signed_in(ground.agency)
    path = f"{API}/agencies/{ground.agency.organisation.id}"
    with world.database.work(ground.agency.actor) as acting:
        mine = placements.get(acting, ground.placement.id)
        with acting.as_lender(mine):
            placements.lock(acting, mine, shared=True)
        assert officer.post(f"{path}/freeze", json={"reason": "conduct"}).get_json()["state"] == "frozen"
    assert len(manager.get("/worklist.csv").text.splitlines()) == 1
    assert manager.get(f"/placements/{ground.placement.id}/opened.csv").status_code == 409
    assert officer.post(f"{path}/standing", json={"act": "remove", "reason": "conduct"}).status_code == 200
    asked = {"field_class": "contact", "reason": "contact_borrower"}
    assert manager.post(f"{API}/cases/{ground.case.id}/releases", json=asked).status_code == 409


@pytest.mark.parametrize(
    ("step", "data", "status"),
    [
        ("standing", {"act": "watch", "reason": "conduct"}, 302),
        ("standing", {"act": "watch"}, 422),
        ("standing", {"act": "freeze", "reason": "conduct"}, 422),
        ("standing", {"act": "remove", "reason": "conduct"}, 409),
        ("freeze", {"reason": "mood"}, 422),
        ("complaints", {"upheld_complaints": "1"}, 302),
        ("complaints", {"upheld_complaints": "-1"}, 422),
        ("papers", PAPER, 302),
        ("papers", PAPER | {"expires_on": "2020-01-01"}, 422),
        ("papers", PAPER | {"kind": "licence", "provinces": "119999"}, 422),
        ("papers", PAPER | {"file_digest": "zz"}, 422),
    ],
)
def test_what_a_form_of_the_page_is_answered(
    signed_in: Client, ground: Placed, step: str, data: dict[str, str], status: int
) -> None:
    answer = signed_in(ground.lender).post(f"/agencies/{ground.agency.organisation.id}/{step}", data=data)
    assert answer.status_code == status


def test_a_paper_goes_from_the_agencys_page_to_the_lenders(world: World, signed_in: Client, ground: Placed) -> None:
    agency, lender = signed_in(ground.agency), signed_in(ground.lender)
    papers = f"/papers/{ground.lender.organisation.id}"
    assert ground.placement.lender_name in page(agency, "/papers")
    form = PAPER | {"kind": "licence", "provinces": ["110000"], "idempotency_key": "once"}
    for _ in range(2):
        assert agency.post(papers, data=form).status_code == 302
    with world.database.work(ground.agency.actor) as work:
        newest, *older = agency_documents.list_own(work)
    assert (newest.state, newest.provinces, len(older)) == ("attested", ["110000"], 2)
    assert "PICC-7" in page(agency, papers)
    assert "Accept" in page(lender, f"/agencies/{ground.agency.organisation.id}")
    assert lender.post(f"/agency-papers/{newest.id}/accept").status_code == 302
    shown = page(lender, f"/agencies/{ground.agency.organisation.id}")
    assert "Beijing" in shown
    assert "An older version ends later and counts on" in shown
    assert shown.count("In force") == 3  # the older licence, the newer one, the due diligence
    assert agency.post(f"/agency-papers/{newest.id}/withdraw").status_code == 302


def test_what_a_lender_records_the_agency_attests_on_its_page(world: World, signed_in: Client, ground: Placed) -> None:
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    lender.post(f"/agencies/{ground.agency.organisation.id}/papers", data=PAPER)
    with world.database.work(ground.agency.actor) as work:
        newest = agency_documents.list_own(work)[0]
    assert "To be attested" in page(agency, f"/papers/{ground.lender.organisation.id}")
    assert agency.post(f"/agency-papers/{newest.id}/attest").status_code == 302
    assert lender.post(f"/agency-papers/{newest.id}/withdraw").status_code == 302


def test_a_paper_that_is_over_counts_as_something_for_the_agency_to_do(
    world: World, signed_in: Client, ground: Placed, clock: Clock
) -> None:
    told, papers = "1 paper is missing, over or waits for you", f"/papers/{ground.lender.organisation.id}"
    assert told not in page(signed_in(ground.agency), "/")
    with world.database.work(ground.agency.actor) as work:
        licence = next(one for one in agency_documents.list_own(work) if one.kind == "licence")
        licence_id, lender_id = licence.id, licence.lender_id
    with world.database.work(ground.agency.actor) as work:
        agency_documents.withdraw(work, licence_id)
        (asked,) = own_papers.list_own(work)
    assert (asked.lender_id, len(asked.open_since)) == (lender_id, 1)
    agency = signed_in(ground.agency)
    assert told in page(agency, "/")
    assert '<td class="text-end num">1</td>' in page(agency, "/papers")
    form = PAPER | {"kind": "licence", "expires_on": (TODAY + dt.timedelta(days=9)).isoformat()}
    agency.post(papers, data=form)  # now it is the lender's turn
    assert told not in page(agency, "/")
    with world.database.work(ground.agency.actor) as work:
        newest = agency_documents.list_own(work)[0].id
    with world.database.work(world.person(ground.lender, "compliance_officer").actor) as work:
        agency_documents.accept(work, newest)
    clock.forward(days=10)
    assert told in page(signed_in(ground.agency), "/")


def test_pages_of_others_are_not_there(world: World, signed_in: Client, ground: Placed) -> None:
    other_lender, other_agency = signed_in(world.lender("compliance_officer")), signed_in(world.agency())
    for agency_id in (ground.agency.organisation.id, uuid4()):
        assert other_lender.get(f"/agencies/{agency_id}").status_code == 404
        for step, data in (
            ("freeze", {"reason": "conduct"}),
            ("standing", {"act": "watch", "reason": "conduct"}),
            ("complaints", {"upheld_complaints": "1"}),
            ("papers", PAPER),
        ):
            assert other_lender.post(f"/agencies/{agency_id}/{step}", data=data).status_code == 404
    for lender_id in (ground.lender.organisation.id, uuid4()):
        assert other_agency.get(f"/papers/{lender_id}").status_code == 404
        assert other_agency.post(f"/papers/{lender_id}", data=PAPER).status_code == 404
        assert other_agency.post(f"/papers/{lender_id}", data={}).status_code == 404


@pytest.mark.parametrize(
    ("role", "step", "data"),
    [
        ("settlement_officer", "freeze", {"reason": "conduct"}),
        ("portfolio_manager", "standing", {"act": "watch", "reason": "conduct"}),
        ("administrator", "complaints", {"upheld_complaints": "1"}),
        ("settlement_officer", "papers", PAPER),
    ],
)
def test_who_may_not_is_refused(
    world: World, signed_in: Client, ground: Placed, role: str, step: str, data: dict[str, str]
) -> None:
    client = signed_in(world.person(ground.lender, role))
    assert client.post(f"/agencies/{ground.agency.organisation.id}/{step}", data=data).status_code == 403
    assert client.get(f"/agencies/{ground.agency.organisation.id}").status_code == 200


def test_no_agency_sees_the_lenders_pages_and_no_collector_the_papers(
    world: World, signed_in: Client, ground: Placed
) -> None:
    manager, collector = signed_in(ground.agency), signed_in(world.person(ground.agency, "collector"))
    for path in ("/agencies", f"/agencies/{ground.agency.organisation.id}"):
        assert manager.get(path).status_code == 403
    assert collector.get("/papers").status_code == 403


def test_the_api_tells_the_same_as_the_pages(world: World, program: Client, ground: Placed) -> None:
    client, agency_id = program(ground.lender), str(ground.agency.organisation.id)
    listed: dict[str, Any] = client.get(f"{API}/agencies?eligibility=eligible&sort=score").get_json()
    (line,) = listed["items"]
    assert (line["agency_id"], line["reasons"], line["open_cases"], line["conduct_score"]) == (
        agency_id,
        [],
        2,
        "100.00",
    )
    assert [(each["capacity"], each["capacity_left"]) for each in line["candidates"]] == [(3, 1)]
    assert listed["next_after"] is None
    frozen = client.post(f"{API}/agencies/{agency_id}/freeze", json={"reason": "regulator"}).get_json()
    assert (frozen["state"], frozen["reason"]) == ("frozen", "regulator")
    one = client.get(f"{API}/agencies/{agency_id}").get_json()
    assert one["agency"]["reasons"] == ["agency_frozen"]
    assert [change["act"] for change in one["changes"]] == ["freeze"]
    assert len(one["papers"]) == 2
    assert [(kind["kind"], kind["state"], len(kind["counting"])) for kind in one["kinds"][:2]] == [
        ("licence", "current", 1),
        ("insurance", "missing", 0),
    ]
    cleared = client.post(f"{API}/agencies/{agency_id}/standing", json={"act": "clear"})
    assert cleared.get_json()["state"] == "good"
    counted = client.put(f"{API}/agencies/{agency_id}/complaints", json={"upheld_complaints": 2})
    assert counted.get_json()["upheld_complaints"] == 2


def test_a_paper_is_recorded_attested_and_accepted_over_the_api_once(
    world: World, program: Client, ground: Placed
) -> None:
    agency, lender = program(ground.agency), program(ground.lender)
    body = PAPER | {"counterparty_id": str(ground.lender.organisation.id), "file_digest": "ab" * 32}
    made = [
        agency.post(f"{API}/agency-documents", json=body, headers={"Idempotency-Key": "k"}).get_json() for _ in range(2)
    ]
    assert made[0] == made[1]
    assert (made[0]["state"], made[0]["file_digest"]) == ("recorded", "ab" * 32)
    path = f"{API}/agency-documents/{made[0]['id']}"
    assert lender.post(f"{path}/accept").get_json()["code"] == "wrong_state"
    assert agency.post(f"{path}/attest").get_json()["state"] == "attested"
    assert lender.post(f"{path}/accept").get_json()["state"] == "accepted"
    assert lender.post(f"{path}/withdraw").get_json()["state"] == "withdrawn"
    assert agency.get(f"{API}/agency-documents").get_json()[0]["id"] == made[0]["id"]
    for client in (agency, lender):
        asked = client.get(f"{API}/lenders/{ground.lender.organisation.id}/required-documents").get_json()
        assert asked == {"kinds": ["licence", "due_diligence"]}
    assert agency.get(f"{API}/lenders/{uuid4()}/required-documents").status_code == 404


def test_a_faulty_paper_is_refused_by_field(program: Client, ground: Placed) -> None:
    body = PAPER | {"counterparty_id": str(ground.lender.organisation.id)}
    client = program(ground.agency)
    faults = {
        "expires_on": {"issued_on": "2026-01-02", "expires_on": "2026-01-01"},
        "provinces": {"provinces": ["110000"]},
        "kind": {"kind": "diploma"},
        "file_digest": {"file_digest": "00"},
    }
    for field, changes in faults.items():
        answer = client.post(f"{API}/agency-documents", json=body | changes)
        assert (answer.status_code, [error["field"] for error in answer.get_json()["errors"]]) == (422, [field])


def test_the_page_of_one_agency_says_that_its_agreements_share_its_room(
    world: World, signed_in: Client, ground: Placed
) -> None:
    full = world.agreement(ground.lender, ground.agency, open_cases_max=2)
    client = signed_in(ground.lender)
    shown = page(client, f"/agencies/{ground.agency.organisation.id}")
    assert "0 / 2" in shown
    assert "every open case of the agency counts against each" in shown
    assert "under all agreements together" in page(signed_in(ground.lender), f"/agreements/{full.id}")
