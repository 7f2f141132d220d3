"""Erasures: one case, one portfolio or one borrower made unreadable for good, with a signed record of it.

What goes is all that is personal or leads to it: salts, cells, phone tokens, leases, masks, notes and files.
Without its salt a case's key cannot be derived, so an older copy of a cell opens no more, whoever keeps the
class key beside it. What stays is what the books need: figures, payments, and that a contact was made.

The record outlives the database: `publish` keeps it in the object store, and `repeat` carries it out on a
database that was restored from a time before.
"""

import datetime as dt
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, Delete, Update, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased, undefer

from models.borrower import Borrower
from models.case import Case, CaseSalt, CaseSealing, PhoneToken
from models.case_document import CaseDocument
from models.contact import Contact
from models.erasure import Erasure
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.lease import LeasedCase
from models.member import Member
from models.objects import ObjectStore
from models.services import bulk, pages, tenancy
from models.services.oversight import audit
from models.services.portfolio import documents, erasure_grounds, erasure_records
from models.services.portfolio.erasure_records import SignedRecord, Stored, StoredName
from models.work import JOBS, LENDER, Work


class ErasureLine(NamedTuple):
    """An erasure, and who of one's own organisation asked for it."""

    erasure: Erasure
    erased_by: str | None


def erase(work: Work, subject_kind: str, subject_id: UUID, signed: SignedRecord | None = None) -> Erasure:
    """Erase every case of the subject that is not erased yet, or none.

    Conflict: `already_erased` where none is left; for one case why it may not go (`case_placed`, `already_offered`,
    `legal_hold`, `retention_until` with the day); for more `erasure_blocked` with how many each reason stops.
    A lender in self-custody brings the record that its tool `signed`: `erasure_needs_own_key` without, and
    `erasure_record_wrong` where it is not the lender's, or not about exactly these cases and salts.
    """
    assert work.actor.side == LENDER
    assert work.actor.member_id is not None
    case_ids = erasure_grounds.lock_free_cases(work, subject_kind, subject_id)
    said = erasure_records.statement(work, subject_kind, subject_id, case_ids)
    if signed:
        erasure_records.require_says(work, signed, said)
    else:
        erasure_records.require_custody(work)
    counts = _destroy(work, case_ids)
    record = signed or erasure_records.sign(work, said, counts)
    erasure = Erasure(
        lender_id=work.tenant_id,
        id=new_id(),
        subject_kind=subject_kind,
        subject_id=subject_id,
        case_count=len(case_ids),
        record=record.record.decode(),
        signature=record.signature,
        erased_by=work.actor.member_id,
        erased_at=work.at,
    )
    work.session.add(erasure)
    work.session.flush()
    subject = {"erasure": erasure.id, "subject_kind": subject_kind, "subject": subject_id, "cases": len(case_ids)}
    audit.record(work, audit.Action.ERASURE_CARRY_OUT, {**subject, "digest": sha256(record.record).digest(), **counts})
    return erasure


def list_own(work: Work, after: UUID | None = None, limit: int = 50) -> list[ErasureLine]:
    """The lender's erasures, newest first, without the long text of their records."""
    name = (
        select(Member.name)
        .where(tenancy.equals(Member.org_id, work.tenant_id), Member.id == Erasure.erased_by)
        .scalar_subquery()
    )
    query = select(Erasure, name).where(tenancy.own(work, Erasure))
    return [ErasureLine(*row) for row in work.session.execute(pages.newest(query, Erasure.id, after, limit))]


def get(work: Work, erasure_id: UUID) -> Erasure:
    """With its record."""
    query = select(Erasure).where(tenancy.own(work, Erasure), Erasure.id == erasure_id)
    found = work.session.scalar(query.options(undefer(Erasure.record)))
    if found is None:
        raise NotFound
    return found


def publish(work: Work, objects: ObjectStore) -> int:
    """Keep in the store, once, each record that is not there yet, and take the erased files out of it.

    Answers how many records. A call that is cut off has done what it came to; the next does the rest.
    """
    assert work.actor.side == JOBS
    waiting = work.session.scalars(
        select(Erasure)
        .where(tenancy.own(work, Erasure), Erasure.published_at.is_(None))
        .options(undefer(Erasure.record))
        .order_by(Erasure.id)
    ).all()
    for erasure in waiting:
        key, record = StoredName(erasure.lender_id, erasure.id).key(), erasure_records.to_stored(erasure)
        try:
            objects.put_once(key, record)
        except Conflict:  # An earlier call put it there and died before it could say so.
            if objects.get(key) != record:
                raise
        _delete_files(work, objects, erasure.erased_at)
        erasure.published_at = work.at
    return len(waiting)


def repeat(work: Work, objects: ObjectStore, name: StoredName) -> int:
    """Carry out a stored record on a restored database, whatever stands in its way there; answers how many cases.

    Conflict `erasure_record_wrong` for a record that this lender has not signed.
    """
    assert work.actor.side == JOBS
    stored = erasure_records.from_stored(objects.get(name.key()))
    record = erasure_records.verified(work, stored.signed)
    erasure_grounds.take_turn(work)
    named = [UUID(case_id) for case_id in record["cases"]]
    unerased = select(Case.id).where(tenancy.own(work, Case), bulk.among(Case.id, named), Case.erased_at.is_(None))
    case_ids = work.session.scalars(unerased.order_by(Case.id).with_for_update()).all()
    _restore_row(work, name, stored, record)
    if not case_ids:
        return 0
    counts = _destroy(work, case_ids)
    _delete_files(work, objects, work.at)
    subject = {"erasure": name.erasure_id, "cases": len(case_ids), "digest": sha256(stored.signed.record).digest()}
    audit.record(work, audit.Action.ERASURE_REPEAT, {**subject, **counts})
    return len(case_ids)


def _restore_row(work: Work, name: StoredName, stored: Stored, record: dict[str, Any]) -> None:
    """The erasure's own row, which the restored database may be too old to have."""
    row = insert(Erasure).values(
        lender_id=name.lender_id,
        id=name.erasure_id,
        subject_kind=record["subject_kind"],
        subject_id=UUID(record["subject"]),
        case_count=len(record["cases"]),
        record=stored.signed.record.decode(),
        signature=stored.signed.signature,
        erased_by=stored.erased_by,
        erased_at=stored.erased_at,
        published_at=work.at,
    )
    work.session.execute(row.on_conflict_do_nothing())


def _destroy(work: Work, case_ids: Sequence[UUID]) -> dict[str, int]:
    """Take all that is personal from these locked cases; answers what went, by kind, as far as there was any."""
    changes: dict[str, Delete | Update] = {
        "salts": _delete(work, CaseSalt, case_ids),
        "cells": _delete(work, CaseSealing, case_ids),
        "tokens": _delete(work, PhoneToken, case_ids),
        "leases": _delete(work, LeasedCase, case_ids),
        "notes": update(Contact)
        .where(tenancy.own(work, Contact), bulk.among(Contact.case_id, case_ids), Contact.note.is_not(None))
        .values(note=None),
        "documents": update(CaseDocument)
        .where(
            tenancy.own(work, CaseDocument),
            bulk.among(CaseDocument.case_id, case_ids),
            CaseDocument.erased_at.is_(None),
        )
        .values(erased_at=work.at),
        "cases": update(Case)
        .where(tenancy.own(work, Case), bulk.among(Case.id, case_ids))
        .values(masks={}, erased_at=work.at),
    }
    counts = {kind: _carry_out(work, change) for kind, change in changes.items()}
    counts["borrowers"] = _forget_borrowers(work, case_ids)
    return {kind: count for kind, count in counts.items() if count and kind != "cases"}


def _forget_borrowers(work: Work, case_ids: Sequence[UUID]) -> int:
    """Borrowers of whom no readable case is left are found by their id number no more; answers how many."""
    theirs = select(Case.borrower_id).where(tenancy.own(work, Case), bulk.among(Case.id, case_ids))
    left = aliased(Case)
    readable = exists().where(
        left.lender_id == Borrower.lender_id, left.borrower_id == Borrower.id, left.erased_at.is_(None)
    )
    random_bytes = func.uuid_send(func.gen_random_uuid()).op("||")(func.uuid_send(func.gen_random_uuid()))
    forgotten = (
        update(Borrower)
        .where(tenancy.own(work, Borrower), Borrower.id.in_(theirs), ~readable)
        .values(id_token=random_bytes, next_id_token=None)
    )
    return _carry_out(work, forgotten)


def _delete(
    work: Work, table: type[CaseSalt | CaseSealing | PhoneToken | LeasedCase], case_ids: Sequence[UUID]
) -> Delete:
    return delete(table).where(tenancy.own(work, table), bulk.among(table.case_id, case_ids))


def _carry_out(work: Work, change: Delete | Update) -> int:
    done = work.session.execute(change.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    return done.rowcount


def _delete_files(work: Work, objects: ObjectStore, erased_at: dt.datetime) -> None:
    """The objects of the documents erased at that moment. Each was unreadable from then on."""
    erased = select(CaseDocument.object_id).where(tenancy.own(work, CaseDocument), CaseDocument.erased_at == erased_at)
    for object_id in work.session.scalars(erased):
        objects.delete(documents.object_key(work.tenant_id, object_id))
