"""The re-key of a portfolio that we have sealed: new class keys, all sealed anew under them, the old keys deleted.

`rekey` makes the keys of the next epoch; from then on notes and corrections are sealed under them. `reseal` brings
over cells and notes, batch by batch, while both epochs open. `finish` takes what came in between and deletes the old
keys: an older copy of a cell then opens no more, unless somebody has kept an old wrap and an old key of the lender's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update

from crypto import cobblestone
from crypto.fields import FIELD_CLASSES, FIELDS, NOTES
from crypto.free_text import NoteName, epoch_of, open_note, seal_note
from models.case import Case, CaseSealing
from models.case_document import CaseDocument
from models.contact import Contact
from models.errors import Conflict
from models.portfolio import LENDER, ClassKey, Portfolio
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.portfolio import portfolios
from models.services.sealing import class_keys
from models.services.sealing.class_keys import ClassKeys, SaltedCase
from models.work import Work

CASES_PER_BATCH: Final = 500


class Rekey(NamedTuple):
    """One under way, towards `epoch`: of `total` cases `left` have cells under older keys."""

    portfolio_id: UUID
    portfolio_name: str
    epoch: int
    left: int
    total: int


def rekey(work: Work, portfolio_id: UUID) -> int:
    """Begin: keys of the next epoch, which is answered.

    Conflict `needs_own_key` where the lender has sealed the portfolio itself, `rekey_running`.
    """
    if portfolios.get(work, portfolio_id).sealed_by == LENDER:
        raise Conflict("needs_own_key")
    turns.take(work, "keys")
    epochs = _epochs(work, portfolio_id)
    if len(epochs) > 1:
        raise Conflict("rekey_running")
    epoch, lender_id = epochs[-1] + 1, work.tenant_id
    made = work.vault.make_class_keys(str(lender_id), lender_id.bytes, portfolio_id.bytes, FIELD_CLASSES, epoch)
    work.session.add_all(
        ClassKey(
            lender_id=lender_id,
            portfolio_id=portfolio_id,
            field_class=field_class,
            epoch=epoch,
            serial=1,
            wrapped=key.wrapped,
            signature=key.signature,
            created_at=work.at,
        )
        for field_class, key in made.items()
    )
    work.session.flush()
    audit.record(work, audit.Action.PORTFOLIO_REKEY, {"portfolio": portfolio_id, "epoch": epoch})
    return epoch


def list_running(work: Work) -> list[Rekey]:
    """Those under way, by portfolio."""
    epoch = func.max(ClassKey.epoch)
    found = work.session.execute(
        select(ClassKey.portfolio_id, Portfolio.name, epoch)
        .join(Portfolio, and_(Portfolio.lender_id == ClassKey.lender_id, Portfolio.id == ClassKey.portfolio_id))
        .where(tenancy.own(work, ClassKey), tenancy.own(work, Portfolio), Portfolio.sealed_by != LENDER)
        .group_by(ClassKey.portfolio_id, Portfolio.name)
        .having(epoch > func.min(ClassKey.epoch))
        .order_by(ClassKey.portfolio_id)
    ).all()
    return [Rekey(*row, *_count_cases(work, *row[::2])) for row in found]


def reseal(work: Work, portfolio_id: UUID, after: UUID | None = None, limit: int = CASES_PER_BATCH) -> UUID | None:
    """Seal the next cases after `after` anew under the newest keys; answers the last of them, None at the end."""
    epoch = _epochs(work, portfolio_id)[-1]
    query = _left(work, portfolio_id, epoch)
    if after is not None:
        query = query.where(Case.id > after)
    case_ids = work.session.scalars(query.order_by(Case.id).limit(limit)).all()
    _reseal(work, case_ids, epoch)
    return case_ids[-1] if case_ids else None


def finish(work: Work, portfolio_id: UUID, limit: int = CASES_PER_BATCH) -> bool:
    """Delete the older keys, if no more than `limit` cases are left, which are sealed anew first.

    The keys are locked, so that whoever still reads or writes under them ends before.
    """
    older = class_keys.lock_older(work, portfolio_id)
    if not older:
        return False
    epoch = _epochs(work, portfolio_id)[-1]
    left = work.session.scalars(_left(work, portfolio_id, epoch).order_by(Case.id).limit(limit + 1)).all()
    if len(left) > limit:
        return False
    _reseal(work, left, epoch)
    deleted = class_keys.delete_unused(work, older)
    if deleted:
        subject = {"portfolio": portfolio_id, "epoch": epoch, "cases": _count_cases(work, portfolio_id, epoch)[1]}
        audit.record(work, audit.Action.PORTFOLIO_REKEYED, subject | {"class_keys": deleted})
    return deleted > 0


def _epochs(work: Work, portfolio_id: UUID) -> Sequence[int]:
    """In ascending order."""
    mine = (tenancy.own(work, ClassKey), ClassKey.portfolio_id == portfolio_id)
    return work.session.scalars(select(ClassKey.epoch).where(*mine).distinct().order_by(ClassKey.epoch)).all()


def _left(work: Work, portfolio_id: UUID, epoch: int) -> Any:
    """The ids of cases that have something sealed under older keys."""
    return select(Case.id).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id, _is_left(work, epoch))


def _is_left(work: Work, epoch: int) -> ColumnElement[bool]:
    cell = exists().where(tenancy.own(work, CaseSealing), CaseSealing.case_id == Case.id, CaseSealing.epoch != epoch)
    note = exists().where(tenancy.own(work, Contact), Contact.case_id == Case.id, class_keys.of_other_epoch(epoch))
    document = exists().where(
        tenancy.own(work, CaseDocument),
        CaseDocument.case_id == Case.id,
        CaseDocument.epoch != epoch,
        CaseDocument.erased_at.is_(None),
    )
    return or_(cell, note, document)


def _count_cases(work: Work, portfolio_id: UUID, epoch: int) -> tuple[int, int]:
    """How many cases are left, and how many there are."""
    mine = (tenancy.own(work, Case), Case.portfolio_id == portfolio_id, Case.erased_at.is_(None))
    row = work.session.execute(select(func.count().filter(_is_left(work, epoch)), func.count()).where(*mine)).one()
    return row[0], row[1]


def _reseal(work: Work, case_ids: Sequence[UUID], epoch: int) -> None:
    cases, keys = class_keys.list_cases(work, case_ids), ClassKeys(work)
    if cases:
        _reseal_cells(work, cases, keys, epoch)
        _reseal_notes(work, cases, keys, epoch)


def _reseal_cells(work: Work, cases: Mapping[UUID, SaltedCase], keys: ClassKeys, epoch: int) -> None:
    """Every cell of every version, at its version. What another has sealed anew meanwhile is left as it is."""
    stored = work.session.scalars(
        select(CaseSealing).where(
            tenancy.own(work, CaseSealing), bulk.among(CaseSealing.case_id, list(cases)), CaseSealing.epoch != epoch
        )
    ).all()
    rows = [
        {"case_id": str(row.case_id), "version": row.version, **_cells_anew(cases[row.case_id], row, keys, epoch)}
        for row in stored
    ]
    if not rows:
        return
    schema = {"case_id": pl.String, "version": pl.Int16, **dict.fromkeys(FIELDS, pl.Binary)}
    fresh = bulk.stage(
        work, CaseSealing, pl.DataFrame(rows, schema).with_columns(bulk.bytes_text(pl.col(*FIELDS)).name.keep())
    )
    work.session.execute(
        update(CaseSealing)
        .where(
            tenancy.own(work, CaseSealing),
            CaseSealing.case_id == fresh.c.case_id,
            CaseSealing.version == fresh.c.version,
            CaseSealing.epoch != epoch,
        )
        .values(epoch=epoch, **{name: fresh.c[name] for name in FIELDS})
        .execution_options(synchronize_session=False)
    )


def _cells_anew(case: SaltedCase, row: CaseSealing, keys: ClassKeys, epoch: int) -> dict[str, bytes]:
    sealed: dict[str, bytes] = {}
    for field_class in FIELDS:
        cell = getattr(row, field_class)
        if cell is not None:
            context = case.name(field_class, row.version).context()
            old = case.key(keys.get(case.portfolio_id, field_class, row.epoch))
            new = case.key(keys.get(case.portfolio_id, field_class, epoch))
            # The same bytes in the same place: nobody has to know what they say.
            sealed[field_class] = cobblestone.seal(
                new.reveal(), context, cobblestone.open_(old.reveal(), context, cell)
            )
    return sealed


def _reseal_notes(work: Work, cases: Mapping[UUID, SaltedCase], keys: ClassKeys, epoch: int) -> None:
    stored = work.session.execute(
        select(Contact.id, Contact.case_id, Contact.note).where(
            tenancy.own(work, Contact), bulk.among(Contact.case_id, list(cases)), class_keys.of_other_epoch(epoch)
        )
    ).all()
    if not stored:
        return
    rows = [
        (str(contact_id), _note_anew(cases[case_id], contact_id, note or b"", keys, epoch))
        for contact_id, case_id, note in stored
    ]
    frame = pl.DataFrame(rows, {"id": pl.String, "note": pl.Binary}, orient="row")
    fresh = bulk.stage(work, Contact, frame.select("id", bulk.bytes_text(pl.col("note"))))
    work.session.execute(
        update(Contact)
        .where(tenancy.own(work, Contact), Contact.id == fresh.c.id, class_keys.of_other_epoch(epoch))
        .values(note=fresh.c.note)
        .execution_options(synchronize_session=False)
    )


def _note_anew(case: SaltedCase, contact_id: UUID, note: bytes, keys: ClassKeys, epoch: int) -> bytes:
    name = NoteName(case.portfolio_id.bytes, case.reference, contact_id.bytes)
    old = case.key(keys.get(case.portfolio_id, NOTES, epoch_of(note)))
    new = case.key(keys.get(case.portfolio_id, NOTES, epoch))
    return seal_note(new, epoch, name, open_note(old, name, note))
