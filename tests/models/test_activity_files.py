"""Activity files: good rows are applied, bad ones named, and the same file again changes nothing."""

import datetime as dt
import io
import json
from uuid import UUID

import openpyxl
import pytest
from sqlalchemy import func, select, update

from models import activity_file
from models.audit import OutboxEntry
from models.case import Case
from models.claim import Claim
from models.contact import Contact
from models.errors import Forbidden, Invalid
from models.placement import Placement
from models.services.collection import activity_files, contacts
from models.services.collection.contacts import ContactReport
from models.services.exchange import offers, placements, recalls, tenders
from models.tabular import FileOutcome
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.world import Debt, Someone, World

CONTACTS = "case_number,channel,direction,party,outcome,occurred_at,duration_seconds,external_ref\n"
CLAIMS = "case_number,amount,currency,paid_on,reference,paid_to\n"
NOW = "2026-03-10T10:00:00+08:00"


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, [Debt(1, case_number="K-1"), Debt(2, case_number="K-2")])


def send_contacts(world: World, someone: Someone, *rows: str) -> FileOutcome:
    with world.database.work(someone.actor) as work:
        content = CONTACTS + "".join(f"{row}\n" for row in rows)
        return activity_files.record_contacts(work, [content.encode()], "contacts.csv")


def send_claims(world: World, someone: Someone, *rows: str) -> FileOutcome:
    with world.database.work(someone.actor) as work:
        content = CLAIMS + "".join(f"{row}\n" for row in rows)
        return activity_files.record_claims(work, [content.encode()], "claims.csv")


def call(case_number: str = "K-1", at: str = NOW, ref: str = "", outcome: str = "ring_no_answer") -> str:
    return f"{case_number},call,outbound,debtor,{outcome},{at},,{ref}"


def paid(case_number: str = "K-1", amount: str = "10.00", ref: str = "R-1", on: str = "2026-03-10") -> str:
    return f"{case_number},{amount},CNY,{on},{ref},lender"


def count(world: World, someone: Someone, table: type) -> int:
    with world.database.work(someone.actor) as work:
        return work.session.scalars(select(func.count()).select_from(table)).one()


def recall(world: World, lender: Someone, placement: Placement, case_ids: list[UUID] | None = None) -> None:
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request", case_ids)


def test_good_rows_are_applied_and_bad_ones_named(world: World, agency: Someone, placement: Placement) -> None:
    outcome = send_contacts(
        world, agency, call("K-1"), call("K-9"), call("K-2", outcome="hung_up"), call("K-2", "2026-03-10T10:06+08:00")
    )
    assert outcome == (
        1,
        0,
        3,
        [(2, "case_number", "unknown_case"), (3, "outcome", "unknown_value"), (4, "occurred_at", "in_future")],
    )
    assert count(world, agency, Contact) == 1


def test_a_contact_of_a_file_is_whole(world: World, agency: Someone, placement: Placement) -> None:
    send_contacts(world, agency, f"K-1,call,outbound,debtor,conversation,{NOW},42,C-1")
    with world.database.work(agency.actor) as work:
        made = work.session.scalars(select(Contact)).one()
        case = work.session.scalars(select(Case).where(Case.id == made.case_id)).one()
    assert (case.reference, made.borrower_id, made.placement_id) == ("K-1", case.borrower_id, placement.id)
    assert (made.duration_seconds, made.external_ref, made.source) == (42, "C-1", "file")
    assert made.occurred_at == dt.datetime(2026, 3, 10, 2, tzinfo=dt.UTC)
    assert (made.member_id, made.member_name) == (agency.member.id, agency.member.name)


def test_the_same_file_again_is_all_repeated(world: World, agency: Someone, placement: Placement) -> None:
    rows = [call(), call(), call("K-2", ref="C-1")]
    assert send_contacts(world, agency, *rows) == (3, 0, 0, [])
    assert send_contacts(world, agency, *rows) == (0, 3, 0, [])
    claims = [paid(), paid("K-2", ref="R-2")]
    assert send_claims(world, agency, *claims) == (2, 0, 0, [])
    assert send_claims(world, agency, *claims) == (0, 2, 0, [])
    assert (count(world, agency, Contact), count(world, agency, Claim)) == (3, 2)


def test_repeated_rows_stand_although_their_case_was_recalled(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    send_claims(world, agency, paid())
    recall(world, lender, placement)
    assert send_claims(world, agency, paid()) == (0, 1, 0, [])


def test_a_contact_reported_one_by_one_is_repeated_by_the_file(
    world: World, lender: Someone, agency: Someone, placement: Placement, clock: Clock
) -> None:
    with world.database.work(agency.actor) as work:
        report = ContactReport("call", "outbound", "debtor", "ring_no_answer", clock.at, external_ref="C-1")
        contacts.record(work, world.case_ids(placement, lender)[0], report)
    assert send_contacts(world, agency, call(ref="C-1")) == (0, 1, 0, [])


def test_a_reference_that_stands_for_something_else_is_refused(
    world: World, agency: Someone, placement: Placement
) -> None:
    send_contacts(world, agency, call(ref="C-1"))
    send_claims(world, agency, paid())
    changed = send_contacts(world, agency, call(ref="C-1", outcome="busy"))
    assert changed.errors == [(1, "external_ref", "duplicate_reference")]
    assert send_claims(world, agency, paid(amount="11.00")).errors == [(1, "reference", "duplicate_reference")]


def test_a_claim_on_a_recalled_case_is_refused_and_says_so(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    recall(world, lender, placement, world.case_ids(placement, lender)[:1])
    assert send_claims(world, agency, paid(), paid("K-2", ref="R-2")) == (
        1,
        0,
        1,
        [(1, "case_number", "case_recalled")],
    )


def test_an_expired_placement_takes_no_rows_although_nobody_has_swept_it_yet(
    world: World, agency: Someone, placement: Placement, clock: Clock
) -> None:
    clock.at = placement.expires_at
    assert send_claims(world, agency, paid()).errors == [(1, "case_number", "placement_expired")]


def test_a_placement_not_acknowledged_takes_no_rows(world: World, lender: Someone, agency: Someone) -> None:
    world.placement(lender, agency, [Debt(1, case_number="K-1")], acknowledged=False)
    errors = send_contacts(world, agency, call()).errors
    assert errors == [(1, "case_number", "placement_awaiting_acknowledgement")]


def test_a_foreign_case_number_and_an_unknown_one_are_equally_unknown(
    world: World, agency: Someone, placement: Placement
) -> None:
    other_lender, other = world.lender(), world.agency()
    world.placement(other_lender, other, [Debt(1, case_number="F-1")])
    for sender, foreign in ((agency, "F-1"), (other, "K-1")):
        outcome = send_claims(world, sender, paid(foreign), paid("NOBODY-1", ref="R-2"))
        assert outcome == (0, 0, 2, [(1, "case_number", "unknown_case"), (2, "case_number", "unknown_case")])


def test_rows_find_their_lender_and_one_number_at_two_lenders_is_ambiguous(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    second = world.lender()
    world.placement(second, agency, [Debt(1, case_number="K-1"), Debt(2, case_number="S-1")])
    outcome = send_claims(world, agency, paid("K-1"), paid("K-2", ref="R-2"), paid("S-1", ref="R-3"))
    assert outcome == (2, 0, 1, [(1, "case_number", "ambiguous_case_number")])
    with world.database.work(agency.actor) as work:
        owners = work.session.execute(select(Claim.reference, Claim.lender_id)).all()
    assert dict(owners) == {"R-2": lender.organisation.id, "R-3": second.organisation.id}


def test_a_number_live_at_one_lender_and_recalled_at_another_is_the_live_one(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    second = world.lender()
    recall(world, lender, placement)
    world.placement(second, agency, [Debt(1, case_number="K-1")])
    assert send_claims(world, agency, paid("K-1")).accepted == 1


def test_a_case_placed_again_takes_rows_of_its_new_placement(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    recall(world, lender, placement)
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, placement.portfolio_id, agreement.id)
    with world.database.work(agency.actor) as work:
        again = offers.accept(work, offer.id)
    with world.database.work(agency.actor) as work:
        placements.acknowledge(work, again.id, again.case_count, again.referred_amount)
    assert send_claims(world, agency, paid()).accepted == 1
    with world.database.work(agency.actor) as work:
        assert work.session.scalars(select(Claim.placement_id)).one() == again.id


def test_a_closed_case_takes_claims_and_inbound_contacts_only(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).where(Case.reference == "K-1").values(status="stopped"))
    assert send_contacts(world, agency, call()).errors == [(1, "case_number", "case_stopped")]
    assert send_contacts(world, agency, f"K-1,call,inbound,debtor,conversation,{NOW},,").accepted == 1
    assert send_claims(world, agency, paid()).accepted == 1


def test_a_contact_before_the_placement_is_refused(world: World, agency: Someone, placement: Placement) -> None:
    outcome = send_contacts(world, agency, call(at="2026-03-10T09:59:59+08:00"))
    assert outcome.errors == [(1, "occurred_at", "before_placement")]


def test_a_claim_of_tomorrow_or_in_another_currency_is_refused(
    world: World, agency: Someone, placement: Placement
) -> None:
    outcome = send_claims(world, agency, paid(on="2026-03-11"), paid(ref="R-2").replace("CNY", "USD"))
    assert outcome.errors == [(1, "paid_on", "in_future"), (2, "currency", "currency_mismatch")]


def test_a_workbook_is_read_like_a_csv(world: World, agency: Someone, placement: Placement) -> None:
    book = openpyxl.Workbook()
    for row in (CLAIMS.strip(), paid()):
        book.active.append(row.split(","))
    file = io.BytesIO()
    book.save(file)
    with world.database.work(agency.actor) as work:
        assert activity_files.record_claims(work, [file.getvalue()], "claims.xlsx").accepted == 1


def test_each_lender_logs_its_own_rows_by_count_and_digest(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    second = world.lender()
    world.placement(second, agency, [Debt(1, case_number="S-1")])
    send_claims(world, agency, paid("K-1"), paid("K-2", ref="R-2"), paid("S-1", ref="R-3"))
    counts = {}
    for someone in (lender, second):
        with world.database.work(Actor(side=JOBS, org_id=someone.organisation.id)) as work:
            entries = [
                json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
            ]
        counts[someone] = [e["subject"]["count"] for e in entries if e["action"] == "claim.record"]
    assert counts == {lender: [2], second: [1]}


def test_a_file_refused_as_a_whole_changes_nothing(world: World, agency: Someone, placement: Placement) -> None:
    with world.database.work(agency.actor) as work, pytest.raises(Invalid) as refused:
        activity_files.record_claims(work, [b"case_number,amount\nK-1,1.00\n"], "claims.csv")
    assert refused.value.code == "file_refused"
    assert count(world, agency, Claim) == 0


def test_a_file_name_that_is_a_phone_number_is_refused(world: World, agency: Someone, placement: Placement) -> None:
    with world.database.work(agency.actor) as work, pytest.raises(Invalid) as refused:
        activity_files.record_claims(work, [b""], "13800138000.csv")
    assert refused.value.errors == [(0, "file_name", "name_personal")]


def test_files_are_for_managers(world: World, agency: Someone, placement: Placement) -> None:
    with pytest.raises(Forbidden):
        send_claims(world, world.person(agency, "collector"), paid())


def test_an_agency_without_any_placement_finds_no_case(world: World) -> None:
    assert send_claims(world, world.agency(), paid()).errors == [(1, "case_number", "unknown_case")]


def test_a_file_of_too_many_rows_reports_nothing(
    world: World, agency: Someone, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_file, "ROWS_MAX", 2)
    rows = [paid(ref=f"R-{number}") for number in range(3)]
    for send, lines in ((send_claims, rows), (send_contacts, [call()] * 3)):
        with pytest.raises(Invalid) as refused:
            send(world, agency, *lines)
        assert [tuple(error) for error in refused.value.errors] == [(0, "*", "too_many_rows")]
    assert count(world, agency, Claim) == count(world, agency, Contact) == 0
    assert send_claims(world, agency, *rows[:2]).accepted == 2
