"""Erasure: what goes and what stays, who may not be erased yet, and that nothing opens afterwards."""

import datetime as dt
import json
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import func, select, update
from sqlalchemy.engine import URL

from crypto.canonical import canonical
from crypto.cells import CellName, case_key, open_cell
from crypto.errors import SealBroken
from crypto.grants import WrapContext, verify_signature
from crypto.secret import Secret
from models.audit import OutboxEntry
from models.case import Case, CaseSalt, CaseSealing, PhoneToken
from models.case_document import CaseDocument
from models.contact import Contact
from models.erasure import BORROWER, CASE, PORTFOLIO, Erasure
from models.errors import Conflict, Invalid, NotFound
from models.ids import new_id
from models.objects import ObjectStore, open_store
from models.organisation import SELF, Organisation
from models.portfolio import ClassKey
from models.services.collection import releases
from models.services.exchange import recalls, tenders
from models.services.parties import lender_settings
from models.services.portfolio import cases, documents, erasure_grounds, erasure_records, erasures, holds, portfolios
from models.services.portfolio.erasure_records import SignedRecord, StoredName
from models.work import Work
from tests.conftest import plain
from tests.facts import call, jobs, payment, placed, recall, receive_payments
from tests.world import Debt, Someone, World, case_file


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def erase(world: World, lender: Someone, kind: str, subject_id: UUID) -> Erasure:
    with world.database.work(lender.actor) as work:
        return erasures.erase(work, kind, subject_id)


def refusal(world: World, lender: Someone, kind: str, subject_id: UUID) -> Conflict:
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        erasures.erase(work, kind, subject_id)
    return refused.value


def cases_of(world: World, lender: Someone, portfolio_id: UUID) -> list[Case]:
    with world.database.work(lender.actor) as work:
        return list(work.session.scalars(select(Case).where(Case.portfolio_id == portfolio_id).order_by(Case.id)))


def count(world: World, lender: Someone, table: Any, case_id: UUID) -> int:
    with world.database.work(lender.actor) as work:
        return work.session.scalar(select(func.count()).select_from(table).where(table.case_id == case_id)) or 0


def test_an_erased_case_has_nothing_personal_left_and_keeps_its_figures(world: World, lender: Someone) -> None:
    case, other = cases_of(world, lender, world.portfolio(lender, [Debt(1), Debt(2)]).id)
    erase(world, lender, CASE, case.id)
    for table in (CaseSalt, CaseSealing, PhoneToken):
        assert (count(world, lender, table, case.id), count(world, lender, table, other.id)) == (0, 1)
    with world.database.work(lender.actor) as work:
        erased, left = cases.get(work, case.id).case, cases.get(work, other.id).case
    assert (erased.masks, erased.erased_at) == ({}, world.clock())
    assert (erased.balance, erased.reference) == (Decimal(1000), case.reference)
    assert left.masks
    assert left.erased_at is None


def test_notes_go_and_that_a_contact_was_made_stays(world: World, lender: Someone) -> None:
    ground = placed(world, [Debt(1)], lender)
    call(world, ground, world.clock(), note=b"sealed")
    recall(world, ground)
    world.clock.forward(days=1096)  # type: ignore[attr-defined]
    erase(world, lender, CASE, ground.case.id)
    with world.database.work(lender.actor) as work:
        contact = work.session.scalars(select(Contact).where(Contact.case_id == ground.case.id)).one()
        assert (contact.outcome, contact.note) == ("conversation", None)


def test_an_erased_case_opens_for_nobody(world: World, lender: Someone) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    erase(world, lender, CASE, case.id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        releases.authorise(work, case.id, "identity", "verify_identity")
    assert refused.value.code == "case_erased"


def test_a_copy_of_cell_and_class_key_kept_aside_opens_no_more(
    world: World, lender: Someone, admin: URL, database_name: str
) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    name = CellName(case.portfolio_id.bytes, case.reference.encode(), "identity", 1)
    with world.database.work(lender.actor) as work:
        cell = work.session.scalars(select(CaseSealing.identity).where(CaseSealing.case_id == case.id)).one()
        salt = work.session.scalars(select(CaseSalt.salt).where(CaseSalt.case_id == case.id)).one()
        class_key = open_class_key(work, case, "identity")
    assert cell is not None
    assert open_cell(case_key(class_key, name.portfolio_id, name.case_reference, salt), name, cell)["name"] == "张三"
    erase(world, lender, CASE, case.id)
    left = thirty_two_bytes(admin, database_name)
    assert left
    for candidate in left:
        with pytest.raises(SealBroken):
            open_cell(case_key(class_key, name.portfolio_id, name.case_reference, candidate), name, cell)


def test_a_borrower_with_no_case_left_is_not_found_again_and_another_case_of_theirs_is(
    world: World, lender: Someone
) -> None:
    first, second = (cases_of(world, lender, world.portfolio(lender, [Debt(5)]).id)[0] for _ in range(2))
    assert first.borrower_id == second.borrower_id
    erase(world, lender, CASE, first.id)
    (third,) = cases_of(world, lender, world.portfolio(lender, [Debt(5)]).id)
    assert third.borrower_id == first.borrower_id
    erase(world, lender, BORROWER, first.borrower_id)
    (fourth,) = cases_of(world, lender, world.portfolio(lender, [Debt(5)]).id)
    assert fourth.borrower_id != first.borrower_id


def test_a_borrower_is_erased_across_portfolios(world: World, lender: Someone) -> None:
    one, other = world.portfolio(lender, [Debt(5), Debt(6)]), world.portfolio(lender, [Debt(5)])
    borrower_id = cases_of(world, lender, other.id)[0].borrower_id
    assert erase(world, lender, BORROWER, borrower_id).case_count == 2
    found = [*cases_of(world, lender, one.id), *cases_of(world, lender, other.id)]
    assert [case.erased_at is not None for case in found] == [case.borrower_id == borrower_id for case in found]


def test_what_was_erased_before_is_left_out_and_erasing_twice_is_refused(world: World, lender: Someone) -> None:
    portfolio = world.portfolio(lender, 3)
    erase(world, lender, CASE, cases_of(world, lender, portfolio.id)[0].id)
    assert erase(world, lender, PORTFOLIO, portfolio.id).case_count == 2
    for kind, subject_id in ((PORTFOLIO, portfolio.id), (CASE, cases_of(world, lender, portfolio.id)[0].id)):
        assert refusal(world, lender, kind, subject_id).code == "already_erased"


def test_the_number_of_an_erased_case_is_not_used_again(world: World, lender: Someone) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, [Debt(1, case_number="K-ONE")]).id)
    erase(world, lender, CASE, case.id)
    with world.database.work(lender.actor) as work:
        again = portfolios.upload(work, [case_file([Debt(2, case_number="K-ONE")])], "again")
        assert [error.code for error in portfolios.list_errors(work, again.id)] == ["case_number_exists"]


def test_an_erased_case_is_not_offered(world: World, lender: Someone) -> None:
    portfolio, agreement = world.portfolio(lender, 2), world.agreement(lender, world.agency())
    erase(world, lender, CASE, cases_of(world, lender, portfolio.id)[0].id)
    with world.database.work(lender.actor) as work:
        assert tenders.get(work, tenders.assign(work, portfolio.id, agreement.id).tender_id).case_count == 1
        assert cases.get(work, cases_of(world, lender, portfolio.id)[0].id).actions["offer"] == "case_erased"


@pytest.mark.parametrize("kind", [CASE, PORTFOLIO, BORROWER])
def test_only_what_the_lender_has_is_erased(world: World, lender: Someone, kind: str) -> None:
    other = world.lender("compliance_officer")
    (case,) = cases_of(world, other, world.portfolio(other, 1).id)
    foreign = {CASE: case.id, PORTFOLIO: case.portfolio_id, BORROWER: case.borrower_id}[kind]
    for subject_id in (foreign, uuid4()):
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            erasures.erase(work, kind, subject_id)
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            erasure_grounds.prospect(work, kind, subject_id)


def test_a_subject_of_no_kind_is_named(world: World, lender: Someone) -> None:
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        erasures.erase(work, "agency", uuid4())
    assert [(error.field, error.code) for error in refused.value.errors] == [("subject_kind", "unknown_value")]


def test_an_agency_erases_nothing(world: World, lender: Someone) -> None:
    ground = placed(world, 1, lender)
    with world.database.work(ground.agency.actor) as work, pytest.raises(AssertionError):
        erasures.erase(work, CASE, ground.case.id)


def test_a_placed_case_is_recalled_first(world: World, lender: Someone) -> None:
    ground = placed(world, 1, lender)
    assert refusal(world, lender, CASE, ground.case.id).code == "case_placed"


def test_an_offered_case_waits_for_its_offer(world: World, lender: Someone) -> None:
    offer = world.offer(lender, world.agency(), 1)
    (case,) = cases_of(world, lender, offer.portfolio_id)
    assert refusal(world, lender, CASE, case.id).code == "already_offered"


@pytest.mark.parametrize("kind", [CASE, PORTFOLIO, BORROWER])
def test_a_hold_on_the_case_its_portfolio_or_its_borrower_keeps_it(world: World, lender: Someone, kind: str) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    subject_id = {CASE: case.id, PORTFOLIO: case.portfolio_id, BORROWER: case.borrower_id}[kind]
    with world.database.work(lender.actor) as work:
        hold = holds.place(work, kind, subject_id, "litigation")
    assert refusal(world, lender, CASE, case.id).code == "legal_hold"
    with world.database.work(lender.actor) as work:
        holds.lift(work, hold.id)
    assert erase(world, lender, CASE, case.id).case_count == 1


@pytest.mark.parametrize("act", ["contact", "payment", "end"])
def test_a_case_is_kept_for_the_lenders_days_after_its_last_act(world: World, lender: Someone, act: str) -> None:
    ground = placed(world, 1, lender)
    began = world.clock()
    world.clock.forward(days=10 if act == "contact" else 0)  # type: ignore[attr-defined]
    if act == "contact":
        call(world, ground, world.clock())
    recall(world, ground)
    world.clock.forward(days=20 if act == "payment" else 0)  # type: ignore[attr-defined]
    if act == "payment":
        receive_payments(world, lender, payment(ground.case, "1.00", world.clock().date()))
    last = world.clock()
    world.clock.forward(days=1094)  # type: ignore[attr-defined]
    refused = refusal(world, lender, CASE, ground.case.id)
    assert refused.code == "retention_until"
    assert refused.facts == {"until": (last + dt.timedelta(days=1095)).date().isoformat()}
    assert began <= last
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    assert erase(world, lender, CASE, ground.case.id).case_count == 1


def test_the_lender_may_keep_longer(world: World, lender: Someone) -> None:
    ground = placed(world, 1, lender)
    recall(world, ground)
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"retention_days": 1826})
    world.clock.forward(days=1825)  # type: ignore[attr-defined]
    assert refusal(world, lender, CASE, ground.case.id).code == "retention_until"


def test_a_portfolio_is_erased_whole_or_not_at_all(world: World, lender: Someone) -> None:
    ground = placed(world, 3, lender)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, ground.placement.id, "complaint", [ground.cases[0].id])
        holds.place(work, CASE, ground.cases[1].id, "audit")
    refused = refusal(world, lender, PORTFOLIO, ground.placement.portfolio_id)
    until = (world.clock() + dt.timedelta(days=1095)).date().isoformat()
    assert refused.code == "erasure_blocked"
    assert refused.facts == {"cases": 3, "case_placed": 2, "retention_until": 1, "until": until}
    assert all(case.erased_at is None for case in cases_of(world, lender, ground.placement.portfolio_id))


def test_a_prospect_says_what_an_erasure_would_meet(world: World, lender: Someone) -> None:
    portfolio = world.portfolio(lender, 3)
    one, other, _ = cases_of(world, lender, portfolio.id)
    erase(world, lender, CASE, one.id)
    with world.database.work(lender.actor) as work:
        holds.place(work, CASE, other.id, "audit")
        found = erasure_grounds.prospect(work, PORTFOLIO, portfolio.id)
    assert found == erasure_grounds.Prospect(2, 1, {"legal_hold": 1}, None)


def test_the_record_names_cases_and_salts_and_is_signed_by_the_lender(world: World, lender: Someone) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    with world.database.work(lender.actor) as work:
        salt = work.session.scalars(select(CaseSalt.salt).where(CaseSalt.case_id == case.id)).one()
    made = erase(world, lender, CASE, case.id)
    with world.database.work(lender.actor) as work:
        erasure = erasures.get(work, made.id)
    record = json.loads(erasure.record)
    assert record == {
        "format": "consign-erasure/1",
        "lender": str(lender.organisation.id),
        "subject_kind": "case",
        "subject": str(case.id),
        "cases": [str(case.id)],
        "salt_digests": [sha256(salt).hexdigest()],
        "counts": {"borrowers": 1, "cells": 1, "salts": 1, "tokens": 1},
        "asked_by": str(lender.member.id),
        "at": int(world.clock().timestamp()),
    }
    signing = world.database.vault.custody.public(str(lender.organisation.id)).signing
    verify_signature(signing, "erasure", erasure.record.encode(), erasure.signature)


def test_the_log_has_what_was_erased(world: World, lender: Someone) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    made = erase(world, lender, CASE, case.id)
    with world.database.work(jobs(lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    (subject,) = [entry["subject"] for entry in entries if entry["action"] == "erasure.carry_out"]
    assert (subject["erasure"], subject["subject"], subject["cases"]) == (str(made.id), str(case.id), 1)


def test_a_lender_with_its_own_keys_brings_its_own_record(world: World, lender: Someone) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    hand_over_keys(world, lender)
    assert refusal(world, lender, CASE, case.id).code == "erasure_needs_own_key"
    with world.database.work(lender.actor) as work:
        said = erasure_records.statement(work, CASE, case.id, [case.id])
    assert erase_signed(world, lender, case.id, said | {"at": 1767225600}).case_count == 1


@pytest.mark.parametrize("change", ["subject", "cases", "salt_digests", "lender", "format", "at", "more", "signature"])
def test_a_record_of_anything_else_is_refused(world: World, lender: Someone, change: str) -> None:
    (case,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    with world.database.work(lender.actor) as work:
        said = erasure_records.statement(work, CASE, case.id, [case.id]) | {"at": 1767225600}
    wrong = {"subject": str(uuid4()), "cases": [], "salt_digests": ["00" * 32], "lender": str(uuid4()), "format": "x"}
    with pytest.raises(Conflict) as refused:
        erase_signed(
            world,
            lender,
            case.id,
            said if change == "signature" else said | {change: wrong.get(change, "x")},
            forged=change == "signature",
        )
    assert refused.value.code == "erasure_record_wrong"
    assert cases_of(world, lender, case.portfolio_id)[0].erased_at is None


def test_the_store_keeps_each_record_once(world: World, lender: Someone, objects: ObjectStore) -> None:
    made = erase(world, lender, PORTFOLIO, world.portfolio(lender, 2).id)
    with world.database.work(jobs(lender)) as work:
        assert (erasures.publish(work, objects), erasures.publish(work, objects)) == (1, 0)
    name = StoredName(lender.organisation.id, made.id)
    assert list(erasure_records.list_stored(objects)) == [name]
    assert json.loads(objects.get(name.key()))["record"]["subject_kind"] == "portfolio"


def test_a_record_stored_by_a_process_that_died_is_taken_for_stored(
    world: World, lender: Someone, objects: ObjectStore
) -> None:
    made = erase(world, lender, PORTFOLIO, world.portfolio(lender, 1).id)
    with world.database.work(jobs(lender)) as work:
        erasures.publish(work, objects)
        work.session.rollback()
    with world.database.work(jobs(lender)) as work:
        assert erasures.publish(work, objects) == 1
    with world.database.work(lender.actor) as work:
        assert erasures.get(work, made.id).published_at == world.clock()


def test_the_files_of_an_erased_case_leave_the_store(world: World, lender: Someone, objects: ObjectStore) -> None:
    one, other = cases_of(world, lender, world.portfolio(lender, 2).id)
    keys = [document(world, lender, case, objects) for case in (one, other)]
    erase(world, lender, CASE, one.id)
    with world.database.work(jobs(lender)) as work:
        erasures.publish(work, objects)
    assert list(objects.list("document/")) == [keys[1]]
    with world.database.work(lender.actor) as work:
        rows = {row.case_id: row.erased_at for row in work.session.scalars(select(CaseDocument))}
    assert rows == {one.id: world.clock(), other.id: None}


def test_another_lender_learns_of_no_erasure(world: World, lender: Someone) -> None:
    made = erase(world, lender, PORTFOLIO, world.portfolio(lender, 1).id)
    other, agency = world.lender("compliance_officer"), world.agency()
    with world.database.work(lender.actor) as work:
        assert [(line.erasure.id, line.erased_by) for line in erasures.list_own(work)] == [
            (made.id, lender.member.name)
        ]
    for stranger in (other, agency):
        with world.database.work(stranger.actor) as work:
            assert work.session.scalars(select(Erasure.id)).all() == []
    with world.database.work(other.actor) as work, pytest.raises(NotFound):
        erasures.get(work, made.id)


def test_an_auditor_sees_what_was_erased_and_by_whom(world: World, lender: Someone) -> None:
    made = erase(world, lender, PORTFOLIO, world.portfolio(lender, 1).id)
    with world.database.work(world.auditor(lender).actor) as work:
        assert [(line.erasure.id, line.erased_by) for line in erasures.list_own(work)] == [
            (made.id, lender.member.name)
        ]


def open_class_key(work: Work, case: Case, field_class: str) -> Secret:
    row = work.session.scalars(
        select(ClassKey).where(ClassKey.portfolio_id == case.portfolio_id, ClassKey.field_class == field_class)
    ).one()
    context = WrapContext.of_class(case.lender_id.bytes, case.portfolio_id.bytes, field_class, row.epoch, row.serial)
    return work.vault.open_key(str(case.lender_id), row.wrapped, row.signature, context)


def thirty_two_bytes(admin: URL, database_name: str) -> list[bytes]:
    """Everything in the whole database that could be a salt."""
    found: set[bytes] = set()
    with psycopg.connect(plain(admin.set(database=database_name))) as connection:
        columns = connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'public' and data_type = 'bytea'"
        ).fetchall()
        for table, column in columns:
            query = SQL("select {0} from {1} where length({0}) = 32").format(Identifier(column), Identifier(table))
            found |= {row[0] for row in connection.execute(query)}
    return sorted(found)


def hand_over_keys(world: World, lender: Someone) -> None:
    """As if the lender had always held its keys: its organisation says so, and its published keys stay."""
    with world.database.work(world.operator) as work:
        work.session.execute(update(Organisation).where(Organisation.id == lender.organisation.id).values(custody=SELF))


def erase_signed(world: World, lender: Someone, case_id: UUID, said: dict[str, Any], forged: bool = False) -> Erasure:
    """As the lender's tool signs it, with the lender's own signing key."""
    record = canonical(said)
    signature = world.database.vault.custody.sign(str(lender.organisation.id), "erasure", record)
    if forged:
        signature = signature[:-1] + bytes([signature[-1] ^ 1])
    with world.database.work(lender.actor) as work:
        return erasures.erase(work, CASE, case_id, SignedRecord(record, signature))


def document(world: World, lender: Someone, case: Case, objects: ObjectStore) -> str:
    """A sealed file of the case: its row, and its object."""
    row = CaseDocument(
        lender_id=case.lender_id,
        id=new_id(),
        case_id=case.id,
        kind="letter",
        media_type="application/pdf",
        byte_count=6,
        object_id=new_id(),
        sealed_digest=b"",
        epoch=1,
        added_by=lender.member.id,
        member_name=lender.member.name,
        added_at=world.clock(),
    )
    with world.database.work(lender.actor) as work:
        work.session.add(row)
    key = documents.object_key(row.lender_id, row.object_id)
    objects.put(key, b"sealed")
    return key
