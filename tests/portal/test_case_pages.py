"""The working pages: worklist, list of cases, one case, activity files."""

import datetime as dt
import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from models.database import Database
from models.services.collection import assignments
from models.services.portfolio import cases
from models.services.settlement import ledgers
from tests.conftest import Clock
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]

CONTACT = {
    "channel": "call",
    "direction": "outbound",
    "party": "debtor",
    "outcome": "conversation",
    "occurred_at": "2026-03-10T10:00",
    "duration_seconds": "",
    "note": "约定回电",
}


class Placed:
    """Two cases of a lender at an agency; a collector has the first."""

    def __init__(self, world: World, database: Database) -> None:
        self.lender, self.manager = world.lender(), world.agency()
        self.collector = world.person(self.manager, "collector")
        self.placement = world.placement(self.lender, self.manager, [Debt(1, "1284.60"), Debt(2)])
        self.case, self.other = world.case_ids(self.placement, self.lender)
        with database.work(self.manager.actor) as work:
            assignments.assign(work, self.placement.id, self.collector.member.id, [self.case])
        with database.work(self.lender.actor) as work:
            self.numbers = {id_: cases.get(work, id_).case.reference for id_ in (self.case, self.other)}


@pytest.fixture
def placed(world: World, database: Database, clock: Clock) -> Placed:
    made = Placed(world, database)
    clock.forward(seconds=20)  # the log counts as running for half a minute without its integrator
    return made


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ("作业清单", "从未触达")), ("en", ("Worklist", "Never contacted"))]
)
def test_the_worklist_reads_in_both_languages(
    placed: Placed, signed_in: Client, language: str, words: tuple[str, ...]
) -> None:
    client = signed_in(placed.manager)
    client.set_cookie("language", language)
    text = client.get("/worklist").text
    assert all(word in text for word in (*words, *placed.numbers.values(), "张*", "¥1,284.60"))


def test_a_collector_finds_their_own_cases_in_the_worklist_alone(placed: Placed, signed_in: Client) -> None:
    text = signed_in(placed.collector).get("/worklist").text
    assert placed.numbers[placed.case] in text
    assert placed.numbers[placed.other] not in text
    assert "data-bulk" not in text


def test_a_manager_assigns_what_is_ticked(placed: Placed, signed_in: Client) -> None:
    body = {"collector_id": placed.collector.member.id, "cases": f"{placed.placement.id}.{placed.other}"}
    answer = signed_in(placed.manager).post("/worklist/assign", data=body | {"next": "/worklist?bucket=M2"})
    assert (answer.status_code, answer.location) == (302, "/worklist?bucket=M2")
    assert placed.numbers[placed.other] in signed_in(placed.collector).get("/worklist").text


def test_after_assigning_nobody_is_sent_to_another_site(placed: Placed, signed_in: Client) -> None:
    body = {"collector_id": placed.collector.member.id, "cases": f"{placed.placement.id}.{placed.other}"}
    answer = signed_in(placed.manager).post("/worklist/assign", data=body | {"next": "https://elsewhere.example/"})
    assert answer.location == "/worklist"


def test_a_view_is_a_link_that_keeps_its_filter(placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.manager)
    unassigned = client.get("/worklist?unassigned=true").text
    assert placed.numbers[placed.other] in unassigned
    assert placed.numbers[placed.case] not in unassigned
    assert client.get("/worklist?reason=promise_overdue").status_code == 200
    assert client.get("/worklist?status=unheard").status_code == 422


def test_a_case_number_leads_to_an_address_without_it(placed: Placed, signed_in: Client) -> None:
    number = placed.numbers[placed.case]
    answer = signed_in(placed.collector).post("/cases/find", data={"case_number": number})
    assert answer.location == f"/cases/{placed.case}"
    assert signed_in(placed.collector).post("/cases/find", data={"case_number": "NONE"}).location == "/worklist"


def test_one_number_at_two_lenders_asks_which(placed: Placed, world: World, signed_in: Client) -> None:
    number, second = placed.numbers[placed.case], world.lender()
    world.placement(second, placed.manager, [Debt(9, case_number=number)])
    answer = signed_in(placed.manager).post("/cases/find", data={"case_number": number})
    assert answer.status_code == 200
    assert answer.text.count("data-href=") == 2


def test_the_lists_download_as_csv_with_masks_alone(placed: Placed, signed_in: Client) -> None:
    worklist = signed_in(placed.manager).get("/worklist.csv")
    listed = signed_in(placed.lender).get("/cases.csv?placed=true")
    for answer in (worklist, listed):
        assert answer.mimetype == "text/csv"
        assert placed.numbers[placed.case] in answer.text
        assert "张*" in answer.text
        assert "张三" not in answer.text
        assert answer.text.count("\n") == 3


def test_a_lender_sees_who_has_which_case(placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.lender)
    assert placed.manager.organisation.name in client.get("/cases").text
    assert placed.numbers[placed.case] not in client.get("/cases?placed=false").text
    assert client.get("/worklist").status_code == 403


@pytest.mark.parametrize("language", ["zh", "en"])
def test_each_side_gets_the_page_of_the_case(placed: Placed, world: World, signed_in: Client, language: str) -> None:
    administrator = world.person(placed.lender, "administrator")
    people = (placed.collector, placed.manager, placed.lender, administrator, world.auditor(of=administrator))
    for someone in people:
        client = signed_in(someone)
        client.set_cookie("language", language)
        answer = client.get(f"/cases/{placed.case}")
        assert answer.status_code == 200, someone.member.roles
        assert "138****0001" in answer.text
        assert "13800000001" not in answer.text


@pytest.mark.parametrize("path", ["", "/contacts", "/promises", "/claims", "/releases"])
def test_a_foreign_an_unassigned_and_an_unknown_case_are_one_page(
    placed: Placed, world: World, signed_in: Client, path: str
) -> None:
    method = "post" if path else "get"
    body = {"field_class": "contact", "reason": "verify_payment"} if path == "/releases" else CONTACT
    stranger, idle = signed_in(world.agency()), signed_in(world.person(placed.manager, "collector"))
    foreign = getattr(stranger, method)(f"/cases/{placed.case}{path}", data=body)
    unknown = getattr(stranger, method)(f"/cases/{uuid4()}{path}", data=body)
    assert foreign.status_code == unknown.status_code == 404
    assert _but_for_ids(foreign.text) == _but_for_ids(unknown.text)
    assert getattr(idle, method)(f"/cases/{placed.case}{path}", data=body).status_code in {403, 404}


def test_a_release_answers_the_page_s_script(placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.collector)
    body = {"field_class": "contact", "reason": "contact_borrower"}
    answer = client.post(f"/cases/{placed.case}/releases", data=body, headers={"Accept": "application/json"})
    assert answer.json["fields"]["mobile"] == "13800000001"
    assert len(answer.json["entry"]) == 64
    assert answer.headers["Cache-Control"] == "no-store"
    assert "13800000001" not in client.get(f"/cases/{placed.case}").text


def test_a_refused_release_tells_the_script_why(placed: Placed, clock: Clock, signed_in: Client) -> None:
    clock.at = dt.datetime(2026, 3, 10, 14, 30, tzinfo=dt.UTC)  # half past ten in the evening in Shanghai
    client = signed_in(placed.collector)
    body = {"field_class": "contact", "reason": "contact_borrower"}
    answer = client.post(f"/cases/{placed.case}/releases", data=body, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")
    assert answer.json["code"] == "outside_contact_hours"


def test_at_night_the_pages_say_until_when(placed: Placed, clock: Clock, signed_in: Client) -> None:
    clock.at = dt.datetime(2026, 3, 10, 14, 30, tzinfo=dt.UTC)
    client = signed_in(placed.collector)
    client.set_cookie("language", "en")
    assert client.get("/worklist").text.count("from 08:00") == 2  # above the list, and beside the case's next step
    case = client.get(f"/cases/{placed.case}").text
    assert "GB/T 45251-2025, 5.3" in case
    assert "2026-03-11 08:00" in case


def test_a_contact_stands_on_the_timeline_and_its_note_stays_sealed(placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.collector)
    client.set_cookie("language", "en")
    answer = client.post(f"/cases/{placed.case}/contacts", data=CONTACT, follow_redirects=True)
    assert "Contact logged." in answer.text
    assert "Call · Conversation" in answer.text
    assert "note sealed" in answer.text
    assert "约定回电" not in answer.text


def test_a_form_sent_twice_is_one_contact(placed: Placed, database: Database, signed_in: Client) -> None:
    client = signed_in(placed.collector)
    key = re.search(r'name="idempotency_key" value="(\w+)"', client.get(f"/cases/{placed.case}").text)
    assert key
    for _ in range(2):
        assert (
            client.post(f"/cases/{placed.case}/contacts", data=CONTACT | {"idempotency_key": key[1]}).status_code == 302
        )
    with database.work(placed.collector.actor) as work:
        assert [item.kind for item in cases.timeline(work, placed.case)].count("contact") == 1


def test_promise_and_claim_are_recorded_by_their_forms(placed: Placed, database: Database, signed_in: Client) -> None:
    client = signed_in(placed.collector)
    promise = {"amount": "200", "currency": "CNY", "due_on": "2026-03-12"}
    claim = {"amount": "88.00", "currency": "CNY", "paid_on": "2026-03-10", "reference": "BK-1", "paid_to": "lender"}
    assert client.post(f"/cases/{placed.case}/promises", data=promise).status_code == 302
    assert client.post(f"/cases/{placed.case}/claims", data=claim).status_code == 302
    with database.work(placed.collector.actor) as work:
        kinds = {item.kind for item in cases.timeline(work, placed.case)}
    assert {"promise", "claim"} <= kinds


@pytest.mark.parametrize(
    ("noun", "body", "sentence"),
    [
        ("promises", {"amount": "9999", "currency": "CNY", "due_on": "2026-03-12"}, "More than the balance."),
        ("promises", {"amount": "", "currency": "CNY", "due_on": "2026-03-12"}, "This field is required."),
        ("contacts", CONTACT | {"occurred_at": "2026-03-10T12:00"}, "This lies in the future."),
        ("contacts", {}, "This field is required."),
    ],
)
def test_a_form_filled_in_wrongly_comes_back_with_the_fault_beside_its_input(
    placed: Placed, signed_in: Client, noun: str, body: dict[str, str], sentence: str
) -> None:
    client = signed_in(placed.collector)
    client.set_cookie("language", "en")
    answer = client.post(f"/cases/{placed.case}/{noun}", data=body)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "is-invalid" in answer.text


def test_a_case_paid_off_says_so_and_offers_no_seal_to_break(
    placed: Placed, database: Database, signed_in: Client, clock: Clock
) -> None:
    settlement = placed.lender
    row = f"case_number,balance,currency,status\n{placed.numbers[placed.case]},0.00,CNY,paid_off\n"
    with database.work(settlement.actor) as work:
        ledgers.receive_balances(work, [row.encode()], clock().date(), 1)
    client = signed_in(placed.collector)
    client.set_cookie("language", "en")
    text = client.get(f"/cases/{placed.case}").text
    assert "This case is paid off." in text
    assert 'name="field_class"' not in text
    assert (
        client.post(f"/cases/{placed.case}/contacts", data=CONTACT | {"occurred_at": "2026-03-10T10:01"}).status_code
        == 409
    )


def test_those_who_watch_read_who_opened_what(placed: Placed, world: World, signed_in: Client) -> None:
    client = signed_in(placed.collector)
    client.post(f"/cases/{placed.case}/releases", data={"field_class": "contact", "reason": "contact_borrower"})
    compliance = signed_in(world.person(placed.lender, "compliance_officer"))
    compliance.set_cookie("language", "en")
    text = compliance.get(f"/cases/{placed.case}").text
    assert "Who opened what" in text
    assert placed.collector.member.name in text
    assert "Who opened what" not in client.get(f"/cases/{placed.case}").text


def test_activity_files_are_for_managers(placed: Placed, signed_in: Client) -> None:
    assert "/api/v1/activity/contacts" in signed_in(placed.manager).get("/activity").text
    assert signed_in(placed.collector).get("/activity").status_code == 403


def test_no_case_appears_in_an_address_but_by_its_id(placed: Placed, signed_in: Client) -> None:
    for someone in (placed.manager, placed.lender):
        path = "/worklist" if someone is placed.manager else "/cases"
        links = re.findall(r'(?:href|action)="([^"]+)"', signed_in(someone).get(path).text)
        assert not [link for link in links if any(number in link for number in placed.numbers.values())]
        assert any(str(UUID(link.rpartition("/")[2])) for link in links if link.startswith("/cases/0"))


def _but_for_ids(page: str) -> str:
    """The page without what its own address says in it."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", page)


def test_days_overdue_are_told_as_those_of_the_upload(placed: Placed, signed_in: Client, clock: Clock) -> None:
    clock.forward(days=30)
    for someone, of_all in ((placed.manager, "/worklist"), (placed.lender, "/cases")):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        for path in (f"/cases/{placed.case}", f"/placements/{placed.placement.id}", of_all):
            assert "at upload" in client.get(path).text, path
