"""The sealed cells and notes of a case, and the way to their keys: nothing is open here until `open` is called."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from sqlalchemy import select

from crypto.cells import CellName, case_key, open_cell
from crypto.grants import WrapContext
from crypto.secret import Secret
from crypto.vault import Vault
from models.case import Case, CaseSalt, CaseSealing
from models.contact import Contact
from models.errors import Conflict
from models.notes import NoteName, epoch_of, open_note
from models.portfolio import ClassKey
from models.services import tenancy
from models.work import Work


class Sealed(Protocol):
    """What a release opens. `version` and `digest` say which bytes exactly, without saying what is in them."""

    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    def open(self, vault: Vault) -> dict[str, str]: ...


@dataclass(frozen=True, repr=False)
class CaseKeyPath:
    """The way to a case's key of one field class: the wrapped class key and the case's salt. Nothing is open yet."""

    lender_id: UUID
    portfolio_id: UUID
    field_class: str
    epoch: int
    wrapped: bytes
    reference: bytes
    salt: bytes

    def derive(self, vault: Vault) -> Secret:
        context = WrapContext(
            "class-key", self.lender_id.bytes, self.portfolio_id.bytes, self.field_class, epoch=self.epoch
        )
        class_key = vault.open_key(str(self.lender_id), self.wrapped, context)
        return case_key(class_key, self.portfolio_id.bytes, self.reference, self.salt)


@dataclass(frozen=True, repr=False)
class SealedCell:
    path: CaseKeyPath
    version: int
    cell: bytes

    @property
    def digest(self) -> bytes:
        return sha256(self.cell).digest()

    def open(self, vault: Vault) -> dict[str, str]:
        path = self.path
        name = CellName(path.portfolio_id.bytes, path.reference, path.field_class, self.version)
        return {field: str(value) for field, value in open_cell(path.derive(vault), name, self.cell).items()}


@dataclass(frozen=True, repr=False)
class SealedNotes:
    """The notes of a case by contact; `paths` by epoch."""

    paths: dict[int, CaseKeyPath]
    notes: dict[UUID, bytes]

    @property
    def version(self) -> int:
        return len(self.notes)

    @property
    def digest(self) -> bytes:
        """Over the digest of each note, oldest first."""
        return sha256(b"".join(sha256(note).digest() for note in self.notes.values())).digest()

    def open(self, vault: Vault) -> dict[str, str]:
        keys = {epoch: path.derive(vault) for epoch, path in self.paths.items()}
        opened = {}
        for contact_id, sealed in self.notes.items():
            path = self.paths[epoch_of(sealed)]
            name = NoteName(path.portfolio_id.bytes, path.reference, contact_id.bytes)
            opened[str(contact_id)] = open_note(keys[path.epoch], name, sealed)
        return opened


def key_path(work: Work, case: Case, field_class: str, epoch: int | None = None) -> CaseKeyPath:
    """The way to the case's key, of this or of the newest epoch. Only the lender's tenant has it.

    Conflict `case_erased` where the salt is gone.
    """
    query = (
        select(ClassKey.epoch, ClassKey.wrapped, CaseSalt.salt)
        .join(CaseSalt, CaseSalt.lender_id == ClassKey.lender_id)
        .where(
            tenancy.of_lender(case.lender_id, ClassKey),
            tenancy.of_lender(case.lender_id, CaseSalt),
            ClassKey.portfolio_id == case.portfolio_id,
            ClassKey.field_class == field_class,
            CaseSalt.case_id == case.id,
        )
        .order_by(ClassKey.epoch.desc())
        .limit(1)
    )
    found = work.session.execute(query if epoch is None else query.where(ClassKey.epoch == epoch)).one_or_none()
    if found is None:
        raise Conflict("case_erased")
    return CaseKeyPath(
        lender_id=case.lender_id,
        portfolio_id=case.portfolio_id,
        field_class=field_class,
        epoch=found.epoch,
        wrapped=found.wrapped,
        reference=case.reference.encode(),
        salt=found.salt,
    )


def cell_of(work: Work, case: Case, field_class: str) -> SealedCell:
    """The class's cell of its highest version."""
    column = getattr(CaseSealing, field_class)
    found = work.session.execute(
        select(CaseSealing.version, CaseSealing.epoch, column)
        .where(tenancy.of_lender(case.lender_id, CaseSealing), CaseSealing.case_id == case.id, column.is_not(None))
        .order_by(CaseSealing.version.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise Conflict("nothing_to_release")
    version, epoch, cell = found
    return SealedCell(key_path(work, case, field_class, epoch), version, cell)


def notes_of(work: Work, case: Case, agency_id: UUID | None) -> SealedNotes:
    """The notes of the case: an agency's own, or all for the lender."""
    query = (
        select(Contact.id, Contact.note)
        .where(tenancy.of_lender(case.lender_id, Contact), Contact.case_id == case.id, Contact.note.is_not(None))
        .order_by(Contact.id)
    )
    rows = work.session.execute(query if agency_id is None else query.where(Contact.agency_id == agency_id))
    notes = {contact_id: note for contact_id, note in rows if note is not None}
    if not notes:
        raise Conflict("nothing_to_release")
    epochs = {epoch_of(note) for note in notes.values()}
    return SealedNotes({epoch: key_path(work, case, "notes", epoch) for epoch in epochs}, notes)
