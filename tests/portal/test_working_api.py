"""The API over cases, releases, contacts, promises, claims and activity files."""

import datetime as dt
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from models.database import Database
from models.services.collection import assignments
from models.services.exchange import recalls
from tests.conftest import Clock
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]

CONTACT = {
    "channel": "call",
    "direction": "outbound",
    "party": "debtor",
    "outcome": "ring_no_answer",
    "occurred_at": "2026-03-10T10:00:00+08:00",
}
RELEASE = {"field_class": "contact", "reason": "contact_borrower"}


class Placed:
    """Three cases of a lender at an agency: a manager, a collector who has the first, and another who has none."""

    def __init__(self, world: World, database: Database) -> None:
        self.lender, self.manager = world.lender(), world.agency()
        self.compliance = world.person(self.lender, "compliance_officer")
        self.collector, self.idle = world.person(self.manager, "collector"), world.person(self.manager, "collector")
        self.placement = world.placement(self.lender, self.manager, [Debt(1), Debt(2, "50000.00", dpd=20), Debt(3)])
        self.cases = world.case_ids(self.placement, self.lender)
        with database.work(self.manager.actor) as work:
            assignments.assign(work, self.placement.id, self.collector.member.id, self.cases[:1])
        self.case = self.cases[0]


@pytest.fixture
def placed(world: World, database: Database, clock: Clock) -> Placed:
    made = Placed(world, database)
    clock.forward(seconds=20)  # the log counts as running for half a minute without its integrator
    return made


def test_a_manager_gets_the_worklist_and_a_collector_their_own_part(placed: Placed, program: Client) -> None:
    everything = program(placed.manager).get("/api/v1/cases").json
    own = program(placed.collector).get("/api/v1/cases").json
    assert {item["id"] for item in everything["items"]} == {str(case) for case in placed.cases}
    assert [item["id"] for item in own["items"]] == [str(placed.case)]
    assert own["items"][0]["masks"]["name"] == "张*"
    assert own["items"][0]["reasons"][0] == "never_contacted"


def test_the_worklist_comes_in_pages_without_gap_or_repeat(placed: Placed, program: Client) -> None:
    client, seen, after = program(placed.manager), [], None
    while True:
        page = client.get("/api/v1/cases", query_string={"limit": 1} | ({"after": after} if after else {})).json
        seen += [item["id"] for item in page["items"]]
        after = page["next_after"]
        if after is None:
            break
    assert sorted(seen) == sorted(str(case) for case in placed.cases)


def test_the_worklist_is_filtered_by_bucket_and_reason(placed: Placed, program: Client) -> None:
    client = program(placed.manager)
    early = client.get("/api/v1/cases?bucket=M1").json["items"]
    high = client.get("/api/v1/cases?reason=balance_high").json["items"]
    assert {item["balance"] for item in early} == {item["balance"] for item in high} == {"50000.00"}


def test_a_lender_lists_its_cases_with_the_agency_that_has_them(placed: Placed, program: Client) -> None:
    items = program(placed.lender).get("/api/v1/cases?placed=true&limit=2").json["items"]
    assert {item["agency_name"] for item in items} == {placed.manager.organisation.name}


@pytest.mark.parametrize("query", ["after=x", "status=unheard", "limit=0"])
def test_a_filter_of_the_wrong_shape_is_refused(placed: Placed, program: Client, query: str) -> None:
    assert program(placed.lender).get(f"/api/v1/cases?{query}").status_code == 422


def test_a_case_is_found_by_its_number_in_the_body(placed: Placed, program: Client) -> None:
    client = program(placed.manager)
    number = client.get(f"/api/v1/cases/{placed.case}").json["reference"]
    assert [c["id"] for c in client.post("/api/v1/cases/find", json={"case_number": number}).json] == [str(placed.case)]
    assert program(placed.idle).post("/api/v1/cases/find", json={"case_number": number}).json == []


def test_a_case_says_what_may_be_done_and_why_not(placed: Placed, program: Client) -> None:
    own = program(placed.collector).get(f"/api/v1/cases/{placed.case}").json
    assert own["actions"]["release"] is None
    assert own["actions"]["assign"] == "for_managers"
    assert own["placement_id"] == str(placed.placement.id)


def test_a_foreign_an_unassigned_and_an_unknown_case_look_alike(placed: Placed, world: World, program: Client) -> None:
    other = program(world.agency()).get(f"/api/v1/cases/{placed.case}")
    idle = program(placed.idle).get(f"/api/v1/cases/{placed.case}")
    unknown = program(placed.idle).get(f"/api/v1/cases/{uuid4()}")
    assert other.status_code == idle.status_code == unknown.status_code == 404
    assert other.json == idle.json == unknown.json


def test_a_release_answers_the_values_and_the_entry_that_was_logged_first(placed: Placed, program: Client) -> None:
    answer = program(placed.collector).post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    assert answer.status_code == 201
    assert answer.json["fields"]["mobile"] == "13800000001"
    assert answer.headers["Cache-Control"] == "no-store"
    listed = program(placed.compliance).get(f"/api/v1/cases/{placed.case}/releases").json
    assert [(row["id"], row["entry"]) for row in listed] == [(answer.json["release_id"], answer.json["entry"])]


def test_a_repeated_release_is_checked_again_and_has_an_entry_of_its_own(placed: Placed, program: Client) -> None:
    client, path = program(placed.collector), f"/api/v1/cases/{placed.case}/releases"
    first, again = (client.post(path, json=RELEASE, headers={"Idempotency-Key": "r1"}) for _ in range(2))
    assert first.json["fields"] == again.json["fields"]
    assert first.json["entry"] != again.json["entry"]
    other = client.post(path, json=RELEASE | {"reason": "verify_payment"}, headers={"Idempotency-Key": "r1"})
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_at_night_contact_data_stays_closed_and_leaves_no_entry(placed: Placed, clock: Clock, program: Client) -> None:
    clock.at = dt.datetime(2026, 3, 10, 14, 30, tzinfo=dt.UTC)  # half past ten in the evening in Shanghai
    answer = program(placed.collector).post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    assert (answer.status_code, answer.json["code"]) == (409, "outside_contact_hours")
    assert program(placed.compliance).get("/api/v1/releases").json["items"] == []


def test_after_a_recall_nothing_opens_and_nothing_is_taken(placed: Placed, database: Database, program: Client) -> None:
    with database.work(placed.lender.actor) as work:
        recalls.recall(work, placed.placement.id, "lender_request")
    client = program(placed.collector)
    released = client.post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    contact = client.post(f"/api/v1/cases/{placed.case}/contacts", json=CONTACT)
    assert released.status_code == contact.status_code == 409
    assert released.json["code"] == contact.json["code"] == "case_recalled"


def test_what_was_opened_is_read_by_those_who_watch_and_not_by_collectors(placed: Placed, program: Client) -> None:
    program(placed.collector).post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    assert len(program(placed.compliance).get("/api/v1/releases").json["items"]) == 1
    assert len(program(placed.manager).get("/api/v1/releases").json["items"]) == 1
    assert program(placed.collector).get("/api/v1/releases").status_code == 403


def test_a_contact_a_promise_and_a_claim_stand_on_the_timeline(placed: Placed, program: Client) -> None:
    client, path = program(placed.collector), f"/api/v1/cases/{placed.case}"
    contact = client.post(f"{path}/contacts", json=CONTACT | {"note": "家人接听，约定回电"})
    promise = client.post(f"{path}/promises", json={"amount": "200.00", "currency": "CNY", "due_on": "2026-03-12"})
    claim = client.post(
        f"{path}/claims",
        json={"amount": "100", "currency": "CNY", "paid_on": "2026-03-10", "reference": "BK-1", "paid_to": "lender"},
    )
    assert (contact.status_code, promise.status_code, claim.status_code) == (201, 201, 201)
    timeline = client.get(f"{path}/timeline")
    facts = {item["kind"]: item["facts"] for item in timeline.json}
    assert facts["contact"]["noted"] is True
    assert (facts["promise"]["amount"], facts["promise"]["due_on"]) == ("200.00", "2026-03-12")
    assert facts["claim"]["reference"] == "BK-1"
    assert "家人" not in timeline.text + contact.text


def test_a_note_opens_by_a_release_of_its_class(placed: Placed, program: Client) -> None:
    client, path = program(placed.collector), f"/api/v1/cases/{placed.case}"
    made = client.post(f"{path}/contacts", json=CONTACT | {"note": "约定回电"}).json
    opened = client.post(f"{path}/releases", json={"field_class": "notes", "reason": "answer_complaint"}).json
    assert opened["fields"] == {made["id"]: "约定回电"}


def test_a_repeated_report_with_one_key_is_recorded_once(placed: Placed, program: Client) -> None:
    client, path = program(placed.collector), f"/api/v1/cases/{placed.case}/contacts"
    first, again = (client.post(path, json=CONTACT, headers={"Idempotency-Key": "c1"}) for _ in range(2))
    assert first.json == again.json
    timeline = client.get(f"/api/v1/cases/{placed.case}/timeline").json
    assert [item["kind"] for item in timeline].count("contact") == 1


@pytest.mark.parametrize(
    ("noun", "body", "field"),
    [
        ("contacts", CONTACT | {"occurred_at": "2026-03-11T10:00:00+08:00"}, "occurred_at"),
        ("contacts", CONTACT | {"channel": "pigeon"}, "channel"),
        ("promises", {"amount": "0", "currency": "CNY", "due_on": "2026-03-12"}, "amount"),
        ("promises", {"amount": 10.5, "currency": "CNY", "due_on": "2026-03-12"}, "amount"),
        ("promises", {"amount": "10", "currency": "CNY", "due_on": "2027-03-12"}, "due_on"),
    ],
)
def test_a_report_that_cannot_be_names_its_field(
    placed: Placed, program: Client, noun: str, body: dict[str, object], field: str
) -> None:
    answer = program(placed.collector).post(f"/api/v1/cases/{placed.case}/{noun}", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_file_of_contacts_says_what_became_of_each_row(placed: Placed, program: Client) -> None:
    client = program(placed.manager)
    number = client.get(f"/api/v1/cases/{placed.case}").json["reference"]
    rows = "\n".join(
        (
            "case_number,channel,direction,party,outcome,occurred_at,external_ref",
            f"{number},call,outbound,debtor,busy,2026-03-10 10:01,C-1",
            "NO-SUCH,call,outbound,debtor,busy,2026-03-10 10:02,C-2",
        )
    )
    first = client.post("/api/v1/activity/contacts", data=rows.encode(), content_type="text/csv")
    again = client.post("/api/v1/activity/contacts", data=rows.encode(), content_type="text/csv")
    assert first.status_code == 200
    assert (first.json["accepted"], first.json["refused"]) == (1, 1)
    assert [(e["row"], e["field"], e["code"]) for e in first.json["errors"]] == [(2, "case_number", "unknown_case")]
    assert (again.json["accepted"], again.json["repeated"]) == (0, 1)


def test_a_file_of_claims_is_taken_and_a_collector_may_not_send_one(placed: Placed, program: Client) -> None:
    client = program(placed.manager)
    number = client.get(f"/api/v1/cases/{placed.case}").json["reference"]
    rows = f"case_number,amount,currency,paid_on,reference,paid_to\n{number},88.00,CNY,2026-03-10,BK-9,lender\n"
    assert client.post("/api/v1/activity/claims", data=rows, content_type="text/csv").json["accepted"] == 1
    assert program(placed.collector).post("/api/v1/activity/claims", data=rows).status_code == 403


def test_the_auditor_under_mandate_reads_and_changes_nothing(placed: Placed, world: World, program: Client) -> None:
    administrator = world.person(placed.lender, "administrator")
    auditor = program(world.auditor(of=administrator))
    assert UUID(auditor.get(f"/api/v1/cases/{placed.case}").json["id"]) == placed.case
    assert auditor.post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE).status_code == 403
