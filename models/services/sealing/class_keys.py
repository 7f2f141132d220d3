"""Class keys, for work on many cases: those in our custody opened, and those that seal nothing any more deleted.

What is opened through here is sealed or indexed anew, never shown.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from crypto.cells import CellName, case_key, open_cell
from crypto.fields import FIELDS, NOTES
from crypto.secret import Secret
from models.case import Case, CaseSalt, CaseSealing
from models.case_document import CaseDocument
from models.contact import Contact
from models.portfolio import ClassKey
from models.services import bulk, tenancy
from models.services.sealing import class_grants
from models.work import Work


class SaltedCase(NamedTuple):
    """What the keys of a case are derived from."""

    case_id: UUID
    portfolio_id: UUID
    reference: bytes
    salt: bytes

    def name(self, field_class: str, version: int) -> CellName:
        return CellName(self.portfolio_id.bytes, self.reference, field_class, version)

    def key(self, class_key: Secret) -> Secret:
        return case_key(class_key, self.portfolio_id.bytes, self.reference, self.salt)


class StoredCell(NamedTuple):
    """A cell as it stands."""

    version: int
    epoch: int
    cell: bytes


class ClassKeys:
    """The lender's class keys, each read and opened when it is first asked for."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._known: dict[tuple[UUID, str, int], Secret] = {}

    def get(self, portfolio_id: UUID, field_class: str, epoch: int) -> Secret:
        place = (portfolio_id, field_class, epoch)
        if place not in self._known:
            self._known[place] = self._open(*place)
        return self._known[place]

    def open(self, case: SaltedCase, field_class: str, stored: StoredCell) -> dict[str, Any]:
        key = case.key(self.get(case.portfolio_id, field_class, stored.epoch))
        return open_cell(key, case.name(field_class, stored.version), stored.cell)

    def _open(self, portfolio_id: UUID, field_class: str, epoch: int) -> Secret:
        row = self._work.session.scalars(
            select(ClassKey).where(
                tenancy.own(self._work, ClassKey),
                ClassKey.portfolio_id == portfolio_id,
                ClassKey.field_class == field_class,
                ClassKey.epoch == epoch,
            )
        ).one()
        return self._work.vault.open_key(str(row.lender_id), row.wrapped, row.signature, class_grants.context_of(row))


def list_cases(work: Work, case_ids: Sequence[UUID]) -> dict[UUID, SaltedCase]:
    """Those of these cases that are not erased, by id; no erasure takes one before the transaction ends."""
    rows = work.session.execute(
        select(Case.id, Case.portfolio_id, Case.reference, CaseSalt.salt)
        .join(CaseSalt, and_(CaseSalt.lender_id == Case.lender_id, CaseSalt.case_id == Case.id))
        .where(tenancy.own(work, Case), bulk.among(Case.id, case_ids))
        .order_by(Case.id)
        .with_for_update(read=True, of=Case)
    )
    return {
        case_id: SaltedCase(case_id, portfolio_id, reference.encode(), salt)
        for case_id, portfolio_id, reference, salt in rows
    }


def newest_cells(work: Work, case_ids: Sequence[UUID]) -> dict[UUID, dict[str, StoredCell]]:
    """Of each case the cell of the highest version in each class that it has one in."""
    rows = work.session.execute(
        select(CaseSealing)
        .where(tenancy.own(work, CaseSealing), bulk.among(CaseSealing.case_id, case_ids))
        .order_by(CaseSealing.version)
    ).scalars()
    found: dict[UUID, dict[str, StoredCell]] = {case_id: {} for case_id in case_ids}
    for row in rows:
        sealed = {name: getattr(row, name) for name in FIELDS}
        stored = partial(StoredCell, row.version, row.epoch)
        found[row.case_id].update({name: stored(cell) for name, cell in sealed.items() if cell is not None})
    return found


def lock_older(work: Work, portfolio_id: UUID) -> list[ClassKey]:
    """The portfolio's keys of epochs before the newest; whoever still reads or writes under them has ended."""
    keys = work.session.scalars(
        select(ClassKey)
        .where(tenancy.own(work, ClassKey), ClassKey.portfolio_id == portfolio_id)
        .order_by(ClassKey.field_class, ClassKey.epoch)
        .with_for_update()
    ).all()
    newest = max((key.epoch for key in keys), default=0)
    return [key for key in keys if key.epoch < newest]


def delete_unused(work: Work, older: Sequence[ClassKey]) -> int:
    """Delete those of these locked keys under which nothing is sealed that can still be opened; answers how many."""
    unused = [key for key in older if not _is_used(work, key)]
    for key in unused:
        work.session.delete(key)
    work.session.flush()
    return len(unused)


def of_other_epoch(epoch: int) -> ColumnElement[bool]:
    """Of a `Contact`: its note is sealed under another epoch's key. A note begins with its epoch."""
    return func.substr(Contact.note, 1, 2) != epoch.to_bytes(2)


def _is_used(work: Work, key: ClassKey) -> bool:
    sealed = _notes_under(work, key.epoch) if key.field_class == NOTES else _cells_under(work, key)
    found = select(Case.id).where(tenancy.own(work, Case), Case.portfolio_id == key.portfolio_id, sealed)
    return work.session.scalar(found.where(Case.erased_at.is_(None)).limit(1)) is not None


def _cells_under(work: Work, key: ClassKey) -> ColumnElement[bool]:
    cell = getattr(CaseSealing, key.field_class)
    return exists().where(
        tenancy.own(work, CaseSealing),
        CaseSealing.case_id == Case.id,
        CaseSealing.epoch == key.epoch,
        cell.is_not(None),
    )


def _notes_under(work: Work, epoch: int) -> ColumnElement[bool]:
    """Files are sealed in this class too."""
    note = exists().where(
        tenancy.own(work, Contact), Contact.case_id == Case.id, Contact.note.is_not(None), ~of_other_epoch(epoch)
    )
    document = exists().where(
        tenancy.own(work, CaseDocument),
        CaseDocument.case_id == Case.id,
        CaseDocument.epoch == epoch,
        CaseDocument.erased_at.is_(None),
    )
    return or_(note, document)
