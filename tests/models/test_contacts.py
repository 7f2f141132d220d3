"""The contact log and promises: what an agency may report, when, and that a repetition changes nothing."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from crypto import free_text
from models.contact import Contact
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound
from models.placement import Placement
from models.promise import Promise
from models.services.collection import assignments, contacts, promises
from models.services.collection.contacts import ContactReport
from models.services.collection.promises import PromiseReport
from models.services.exchange import recalls
from models.services.settlement import ledgers
from tests.conftest import Clock
from tests.world import Debt, Someone, World

TODAY = dt.date(2026, 3, 10)
AT = dt.datetime(2026, 3, 10, 2, 0, tzinfo=dt.UTC)
CALL = ContactReport("call", "outbound", "debtor", "ring_no_answer", AT)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, [Debt(1, case_number="K-1"), Debt(2, case_number="K-2")])


@pytest.fixture
def case_id(world: World, lender: Someone, placement: Placement) -> UUID:
    return world.case_ids(placement, lender)[0]


def record(world: World, someone: Someone, case_id: UUID, report: ContactReport = CALL) -> Contact:
    with world.database.work(someone.actor) as work:
        return contacts.record(work, case_id, report)


def count(world: World, someone: Someone, table: type = Contact) -> int:
    with world.database.work(someone.actor) as work:
        return work.session.scalars(select(func.count()).select_from(table)).one()


def close_case(world: World, lender: Someone, status: str = "paid_off") -> None:
    officer = world.person(world.person(lender, "administrator"), "settlement_officer")
    rows = f"case_number,balance,currency,status\nK-1,0.00,CNY,{status}\n".encode()
    with world.database.work(officer.actor) as work:
        assert ledgers.receive_balances(work, [rows], TODAY, 1).row_count == 1


def test_a_contact_names_who_made_it_and_where(
    world: World, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    made = record(world, agency, case_id)
    assert (made.agency_id, made.placement_id, made.case_id) == (agency.organisation.id, placement.id, case_id)
    assert (made.member_id, made.recorded_at, made.source) == (agency.member.id, AT, "api")


def test_a_collector_reports_on_their_own_cases_alone(
    world: World, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    collector = world.person(agency, "collector")
    with pytest.raises(Forbidden):
        record(world, collector, case_id)
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, collector.member.id, [case_id])
    made, other = record(world, collector, case_id), record(world, agency, case_id)
    with world.database.work(collector.actor) as work:
        assert contacts.get(work, made.id).id == made.id
        with pytest.raises(NotFound):
            contacts.get(work, other.id)


def test_a_foreign_case_is_unknown(world: World, case_id: UUID) -> None:
    for id_ in (case_id, uuid4()):
        with pytest.raises(NotFound):
            record(world, world.agency(), id_)


def test_the_same_reference_is_one_contact(world: World, agency: Someone, case_id: UUID) -> None:
    report = CALL._replace(external_ref="CALL-1")
    first, again = record(world, agency, case_id, report), record(world, agency, case_id, report)
    assert first.id == again.id
    assert count(world, agency) == 1


def test_the_same_reference_at_once_is_one_contact(world: World, agency: Someone, case_id: UUID) -> None:
    report = CALL._replace(external_ref="CALL-1")
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: record(world, agency, case_id, report).id, range(8)))
    assert len(set(made)) == 1
    assert count(world, agency) == 1


def test_a_reference_cannot_stand_for_another_event(world: World, agency: Someone, case_id: UUID) -> None:
    record(world, agency, case_id, CALL._replace(external_ref="CALL-1"))
    with pytest.raises(Conflict) as refused:
        record(world, agency, case_id, CALL._replace(external_ref="CALL-1", outcome="busy"))
    assert refused.value.code == "external_ref_taken"


def test_two_agencies_may_use_the_same_reference(world: World, lender: Someone, agency: Someone, case_id: UUID) -> None:
    other = world.agency()
    elsewhere = world.case_ids(world.placement(lender, other, [Debt(3)]), lender)[0]
    report = CALL._replace(external_ref="CALL-1")
    assert record(world, agency, case_id, report).id != record(world, other, elsewhere, report).id


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"channel": "fax"}, "channel", "unknown_value"),
        ({"direction": "up"}, "direction", "unknown_value"),
        ({"party": "neighbour"}, "party", "unknown_value"),
        ({"outcome": "hung_up"}, "outcome", "unknown_value"),
        ({"occurred_at": AT + dt.timedelta(minutes=5, seconds=1)}, "occurred_at", "in_future"),
        ({"occurred_at": AT - dt.timedelta(seconds=1)}, "occurred_at", "before_placement"),
        ({"duration_seconds": -1}, "duration_seconds", "out_of_range"),
        ({"external_ref": "13800138000"}, "external_ref", "reference_personal"),
        ({"external_ref": "a b"}, "external_ref", "reference_shape"),
        ({"note": " "}, "note", "required_missing"),
        ({"note": "x" * 2001}, "note", "too_long"),
        ({"note": "a\x00b"}, "note", "control_character"),
    ],
)
def test_an_impossible_report_is_refused_by_field(
    world: World, agency: Someone, case_id: UUID, change: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        record(world, agency, case_id, CALL._replace(**change))
    assert refused.value.errors == [(0, field, code)]
    assert count(world, agency) == 0


def test_a_fast_clock_is_forgiven(world: World, agency: Someone, case_id: UUID) -> None:
    assert record(world, agency, case_id, CALL._replace(occurred_at=AT + dt.timedelta(minutes=5)))


def test_a_recalled_case_takes_no_report_but_repeats_stand(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    report = CALL._replace(external_ref="CALL-1")
    made = record(world, agency, case_id, report)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request", [case_id])
    with pytest.raises(CaseClosedToWork) as refused:
        record(world, agency, case_id, CALL._replace(external_ref="CALL-2"))
    assert refused.value.code == "case_recalled"
    assert record(world, agency, case_id, report).id == made.id


@pytest.mark.parametrize(
    ("status", "code"),
    [("paid_off", "case_paid_off"), ("cured", "case_cured"), ("hold", "case_on_hold"), ("stopped", "case_stopped")],
)
def test_nobody_may_call_on_a_closed_case(
    world: World, lender: Someone, agency: Someone, case_id: UUID, clock: Clock, status: str, code: str
) -> None:
    close_case(world, lender, status)
    clock.forward(minutes=1)
    with pytest.raises(CaseClosedToWork) as refused:
        record(world, agency, case_id, CALL._replace(occurred_at=clock.at))
    assert refused.value.code == code


def test_what_happened_before_the_case_closed_may_still_be_reported(
    world: World, lender: Someone, agency: Someone, case_id: UUID, clock: Clock
) -> None:
    clock.forward(hours=1)
    close_case(world, lender)
    assert record(world, agency, case_id, CALL)
    assert record(world, agency, case_id, CALL._replace(direction="inbound", occurred_at=clock.at))


def test_a_correction_names_a_contact_of_the_same_case(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    wrong = record(world, agency, case_id)
    other = world.case_ids(placement, lender)[1]
    with pytest.raises(NotFound):
        record(world, agency, other, CALL._replace(corrects_id=wrong.id))
    assert record(world, agency, case_id, CALL._replace(outcome="busy", corrects_id=wrong.id)).corrects_id == wrong.id


def test_a_note_is_sealed_where_it_lies(world: World, agency: Someone, case_id: UUID) -> None:
    sealed = record(world, agency, case_id, CALL._replace(note="本人称下周还款")).note
    assert sealed is not None
    assert "本人".encode() not in sealed
    assert free_text.epoch_of(sealed) == 1


def promise(world: World, someone: Someone, case_id: UUID, amount: str, days: int, currency: str = "CNY") -> Promise:
    with world.database.work(someone.actor) as work:
        report = PromiseReport(Decimal(amount), currency, TODAY + dt.timedelta(days=days))
        return promises.record(work, case_id, report)


@pytest.mark.parametrize(("amount", "days"), [("0.01", 0), ("1000.00", 60)])
def test_a_promise_is_kept_as_it_was_made(world: World, agency: Someone, case_id: UUID, amount: str, days: int) -> None:
    made = promise(world, agency, case_id, amount, days)
    with world.database.work(agency.actor) as work:
        stands = promises.get(work, made.id)
    assert (stands.amount, stands.due_on) == (Decimal(amount), TODAY + dt.timedelta(days=days))


@pytest.mark.parametrize(
    ("amount", "days", "currency", "field", "code"),
    [
        ("0", 1, "CNY", "amount", "zero_amount"),
        ("-1", 1, "CNY", "amount", "negative_amount"),
        ("0.001", 1, "CNY", "amount", "too_many_decimals"),
        ("NaN", 1, "CNY", "amount", "not_a_number"),
        ("1000.01", 1, "CNY", "amount", "above_balance"),
        ("1", -1, "CNY", "due_on", "out_of_range"),
        ("1", 61, "CNY", "due_on", "out_of_range"),
        ("1", 1, "USD", "currency", "currency_mismatch"),
    ],
)
def test_an_impossible_promise_is_refused_by_field(
    world: World, agency: Someone, case_id: UUID, amount: str, days: int, currency: str, field: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        promise(world, agency, case_id, amount, days, currency)
    assert refused.value.errors == [(0, field, code)]


def test_nobody_promises_on_a_closed_case(world: World, lender: Someone, agency: Someone, case_id: UUID) -> None:
    close_case(world, lender)
    with pytest.raises(CaseClosedToWork):
        promise(world, agency, case_id, "1", 1)
    assert count(world, agency, Promise) == 0
