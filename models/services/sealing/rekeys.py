"""New keys for what a lender in self-custody has sealed: a portfolio under a new epoch, or wraps to its new key.

Its tool does both and hands back what replaces the old; nothing of it can be read here.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import and_, delete, exists, select, update
from sqlalchemy.orm import InstrumentedAttribute

from crypto import cobblestone, strict
from crypto.fields import FIELDS
from crypto.free_text import epoch_of
from crypto.grants import Grant
from models.case import Case, CaseSalt, CaseSealing
from models.contact import Contact
from models.errors import Conflict
from models.key_answer import read_cases, read_classes, read_grant, refused
from models.key_order import REKEY, REWRAP, KeyOrder
from models.placement import Placement
from models.portfolio import LENDER, ClassKey, Portfolio
from models.sealed_portfolio import is_cell_sized
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.portfolio import portfolios
from models.services.sealing import class_grants, class_keys, key_directory, key_orders, leases
from models.services.sealing.key_directory import Keys
from models.work import Work

WHOLE, OWN = "portfolio", "lender"  # what an order is about
NOTE_BYTES_MIN: Final = 2 + cobblestone.HEADER_BYTES + cobblestone.TAG_BYTES
_CELLS: Final[Mapping[str, InstrumentedAttribute[bytes | None]]] = {name: getattr(CaseSealing, name) for name in FIELDS}


class Sealings(NamedTuple):
    """What of one case is sealed now: class -> (version, cell), and its notes by contact."""

    reference: str
    salt: bytes
    cells: dict[str, tuple[int, bytes]]
    notes: dict[UUID, bytes]


def order_rekey(work: Work, portfolio_id: UUID) -> KeyOrder:
    """Ask for the portfolio to be sealed anew under new class keys. Conflict `not_sealed_by_you` for others."""
    if portfolios.get(work, portfolio_id).sealed_by != LENDER:
        raise Conflict("not_sealed_by_you")
    return key_orders.place(work, work.tenant_id, REKEY, WHOLE, portfolio_id)


def order_rewrap(work: Work) -> KeyOrder | None:
    """Ask for every class key to be wrapped to the newest key; None where there is none to wrap."""
    if not _own_class_keys(work):
        return None
    return key_orders.place(work, work.tenant_id, REWRAP, OWN, work.tenant_id)


def rekey_document(work: Work, order: KeyOrder) -> dict[str, Any]:
    grants = class_grants.newest(work, order.lender_id, order.subject_id)
    return {
        "portfolio": str(order.subject_id),
        "epoch": class_grants.epoch_of(grants),
        "classes": class_grants.documents(grants),
        "cases": [_case_document(case_id, found) for case_id, found in _sealings(work, order.subject_id).items()],
    }


def settle_rekey(work: Work, order: KeyOrder, answer: Mapping[str, Any]) -> None:
    """Replace every cell and note at its version, and order new leases: the old ones open nothing any more.

    The old keys go, but for that of files, which are not in the answer.
    The portfolio's live placements are locked, so that no note is written meanwhile under the old keys.
    """
    live = (Placement.portfolio_id == order.subject_id,)
    leases.order_for_live(work, *live)
    standing = class_grants.newest(work, order.lender_id, order.subject_id)
    epoch = class_grants.epoch_of(standing) + 1
    if answer["epoch"] != epoch:
        raise refused("answer_incomplete")
    keys = _require_own(work)
    grants = {
        name: read_grant(
            one,
            standing[name].context._replace(epoch=epoch, serial=1),
            None,
            keys.kem.public_key,
            keys.signing.public_key,
        )
        for name, one in read_classes(answer["classes"]).items()
    }
    before = _sealings(work, order.subject_id)
    after = _read_sealings(answer["cases"], before, epoch)
    for name, grant in grants.items():
        work.session.add(_class_key(work, order, name, grant))
    work.session.flush()
    _replace_cells(work, after, epoch)
    _replace_notes(work, after)
    deleted = class_keys.delete_unused(work, class_keys.lock_older(work, order.subject_id))
    subject = {"portfolio": order.subject_id, "epoch": epoch, "cases": len(after), "class_keys": deleted}
    audit.record(work, audit.Action.PORTFOLIO_REKEYED, subject)


def rewrap_document(work: Work, order: KeyOrder) -> dict[str, Any]:
    keys = key_directory.list_own(work)
    return {
        "classes": [
            {
                "portfolio": str(row.portfolio_id),
                "epoch": row.epoch,
                "grant": class_grants.of_row(keys, row).to_json(),
            }
            for row in _own_class_keys(work)
        ]
    }


def settle_rewrap(work: Work, order: KeyOrder, answer: Mapping[str, Any]) -> None:
    """The same keys in new wraps, each of the next serial, to the newest key: all of them or none."""
    turns.take(work, "keys")
    keys = _require_own(work)
    rows = _own_class_keys(work)
    given = answer["grants"]
    if not isinstance(given, list) or len(given) != len(rows):
        raise refused("answer_incomplete")
    for row, one in zip(rows, given, strict=True):
        context = class_grants.context_of(row, serial=row.serial + 1)
        grant = read_grant(one, context, None, keys.kem.public_key, keys.signing.public_key)
        row.serial, row.wrapped, row.signature = row.serial + 1, grant.wrapped, grant.signature
    work.session.flush()


def _require_own(work: Work) -> Keys:
    keys = key_directory.find_own(work)
    assert keys is not None, "an order is answered by a key that was published"
    return keys


def _own_class_keys(work: Work) -> list[ClassKey]:
    """Of all portfolios that the lender has sealed itself, in the order in which the tool is told of them.

    Of every epoch that stands: a file may still be sealed under an earlier one. Locked, for a re-key changes them too.
    """
    sealed = exists().where(
        tenancy.own(work, Portfolio), Portfolio.id == ClassKey.portfolio_id, Portfolio.sealed_by == LENDER
    )
    return list(
        work.session.scalars(
            select(ClassKey)
            .where(tenancy.own(work, ClassKey), sealed)
            .order_by(ClassKey.portfolio_id, ClassKey.field_class, ClassKey.epoch)
            .with_for_update(key_share=True)  # releases go on
        )
    )


def _class_key(work: Work, order: KeyOrder, name: str, grant: Grant) -> ClassKey:
    return ClassKey(
        lender_id=order.lender_id,
        portfolio_id=order.subject_id,
        field_class=name,
        epoch=grant.context.epoch,
        serial=grant.context.serial,
        wrapped=grant.wrapped,
        signature=grant.signature,
        created_at=work.at,
    )


def _sealings(work: Work, portfolio_id: UUID) -> dict[UUID, Sealings]:
    """Of every case that is not erased, by id: of each class the cell of its highest version, and every note.

    No erasure takes one before the transaction ends.
    """
    mine = (tenancy.own(work, Case), Case.portfolio_id == portfolio_id, Case.erased_at.is_(None))
    rows = work.session.execute(
        select(Case.id, Case.reference, CaseSalt.salt)
        .join(CaseSalt, and_(CaseSalt.lender_id == Case.lender_id, CaseSalt.case_id == Case.id))
        .where(*mine)
        .order_by(Case.id)
        .with_for_update(read=True, of=Case)  # an erasure locks it FOR UPDATE
    )
    found = {case_id: Sealings(reference, salt, {}, {}) for case_id, reference, salt in rows}
    cells = work.session.execute(
        select(CaseSealing.case_id, CaseSealing.version, *_CELLS.values())
        .join(Case, and_(Case.lender_id == CaseSealing.lender_id, Case.id == CaseSealing.case_id))
        .where(*mine)
        .order_by(CaseSealing.version)
    )
    for case_id, version, *sealed in cells:
        newer = {name: (version, cell) for name, cell in zip(_CELLS, sealed, strict=True) if cell is not None}
        found[case_id].cells.update(newer)
    notes = work.session.execute(
        select(Contact.case_id, Contact.id, Contact.note)
        .join(Case, and_(Case.lender_id == Contact.lender_id, Case.id == Contact.case_id))
        .where(*mine, Contact.note.is_not(None))
        .order_by(Contact.id)
    )
    for case_id, contact_id, note in notes:
        found[case_id].notes[contact_id] = note or b""
    return found


def _case_document(case_id: UUID, found: Sealings) -> dict[str, Any]:
    return {
        "case": str(case_id),
        "reference": found.reference,
        "salt": strict.to_base64(found.salt),
        "cells": {
            name: {"version": version, "cell": strict.to_base64(cell)} for name, (version, cell) in found.cells.items()
        },
        "notes": [
            {"contact": str(contact_id), "sealed": strict.to_base64(note)} for contact_id, note in found.notes.items()
        ],
    }


def _read_sealings(value: object, before: Mapping[UUID, Sealings], epoch: int) -> dict[UUID, Sealings]:
    """For every case exactly the cells and notes that it has now, in their sizes and the new epoch."""
    try:
        listed = value if isinstance(value, list) else []
        by_case = {strict.mapping(one).get("case"): strict.exactly(one, "case", "cells", "notes") for one in listed}
        if len(by_case) != len(listed):
            raise ValueError("a case comes twice")
        cases = read_cases(by_case, set(before))
        return {case_id: _read_sealing(one, before[case_id], epoch) for case_id, one in cases.items()}
    except (ValueError, TypeError):
        raise refused("answer_broken") from None


def _read_sealing(one: Mapping[str, Any], before: Sealings, epoch: int) -> Sealings:
    cells = {name: strict.unbase64(cell) for name, cell in strict.mapping(one["cells"]).items()}
    listed = [strict.exactly(note, "contact", "sealed") for note in one["notes"]]
    notes = {UUID(bytes=strict.raw_id(note["contact"])): strict.unbase64(note["sealed"]) for note in listed}
    if cells.keys() != before.cells.keys() or notes.keys() != before.notes.keys() or len(listed) != len(notes):
        raise refused("answer_incomplete")
    of_size = all(len(note) >= NOTE_BYTES_MIN and epoch_of(note) == epoch for note in notes.values())
    if not of_size or not all(map(is_cell_sized, cells.values())):
        raise ValueError("a cell or note of no such size")
    return before._replace(cells={name: (before.cells[name][0], cell) for name, cell in cells.items()}, notes=notes)


def _replace_cells(work: Work, after: Mapping[UUID, Sealings], epoch: int) -> None:
    """Each class's new cell stands at its version; what a later version had replaced goes with the old keys."""
    schema = {"case_id": pl.String, "version": pl.Int16, **dict.fromkeys(FIELDS, pl.Binary)}
    rows = [
        {"case_id": str(case_id), "version": version, name: cell}
        for case_id, found in after.items()
        for name, (version, cell) in found.cells.items()
    ]
    by_version = pl.DataFrame(rows, schema).group_by("case_id", "version").agg(pl.col(*FIELDS).drop_nulls().first())
    fresh = bulk.stage(work, CaseSealing, by_version.with_columns(bulk.bytes_text(pl.col(*FIELDS))))
    work.session.execute(
        update(CaseSealing)
        .where(
            tenancy.own(work, CaseSealing),
            CaseSealing.case_id == fresh.c.case_id,
            CaseSealing.version == fresh.c.version,
        )
        .values(epoch=epoch, **{name: fresh.c[name] for name in FIELDS})
        .execution_options(synchronize_session=False)
    )
    replaced = (CaseSealing.case_id.in_(select(fresh.c.case_id)), CaseSealing.epoch != epoch)
    work.session.execute(
        delete(CaseSealing)
        .where(tenancy.own(work, CaseSealing), *replaced)
        .execution_options(synchronize_session=False)
    )


def _replace_notes(work: Work, after: Mapping[UUID, Sealings]) -> None:
    rows = [(str(contact_id), note) for found in after.values() for contact_id, note in found.notes.items()]
    frame = pl.DataFrame(rows, {"id": pl.String, "note": pl.Binary}, orient="row")
    fresh = bulk.stage(work, Contact, frame.with_columns(bulk.bytes_text(pl.col("note"))))
    work.session.execute(
        update(Contact)
        .where(tenancy.own(work, Contact), Contact.id == fresh.c.id)
        .values(note=fresh.c.note)
        .execution_options(synchronize_session=False)
    )
