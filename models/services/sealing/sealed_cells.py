"""The sealed cells and notes of a case: nothing is open here until `open` is called, and some of it never is.

The ways to their keys are in `key_paths`. Where the way ends in this process, `open` answers the fields; where the
asker holds the key, a package (`consign-package/1`) that only the asker's own client opens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import select

from crypto import strict
from crypto.cells import CellName, open_cell
from crypto.fields import NOTES
from crypto.free_text import NoteName, epoch_of, open_note
from crypto.packages import FORMAT, NOTES_VERSION
from crypto.vault import Vault
from models.case import Case, CaseSealing
from models.contact import Contact
from models.errors import Conflict
from models.placement import Placement
from models.services import tenancy
from models.services.sealing import key_paths
from models.services.sealing.key_paths import HandedPath, OpenPath
from models.work import Work


class Sealed(Protocol):
    """What a release opens. `version` and `digest` say which bytes exactly, without saying what is in them."""

    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    @property
    def packed(self) -> bool:
        """Whether `open` answers a package instead of the fields."""

    def open(self, vault: Vault) -> dict[str, Any]: ...


@dataclass(frozen=True, repr=False)
class SealedCell:
    """A cell whose key is to be had here."""

    path: OpenPath
    name: CellName
    cell: bytes
    packed = False

    @property
    def version(self) -> int:
        return self.name.version

    @property
    def digest(self) -> bytes:
        return sha256(self.cell).digest()

    def open(self, vault: Vault) -> dict[str, Any]:
        key = self.path.derive(vault, self.version)
        return {field: str(value) for field, value in open_cell(key, self.name, self.cell).items()}


@dataclass(frozen=True, repr=False)
class SealedNotes:
    """The notes of a case by contact, oldest first; `paths` by epoch."""

    paths: Mapping[int, OpenPath]
    portfolio_id: bytes
    reference: bytes
    notes: Mapping[UUID, bytes]
    packed = False

    @property
    def version(self) -> int:
        return len(self.notes)

    @property
    def digest(self) -> bytes:
        return digest_of_notes(self.notes)

    def open(self, vault: Vault) -> dict[str, Any]:
        keys = {epoch: path.derive(vault, NOTES_VERSION) for epoch, path in self.paths.items()}
        return {
            str(contact_id): open_note(
                keys[epoch_of(sealed)], NoteName(self.portfolio_id, self.reference, contact_id.bytes), sealed
            )
            for contact_id, sealed in self.notes.items()
        }


@dataclass(frozen=True, repr=False)
class Packed:
    """A cell, or notes, for whoever holds the key: values alone, for `open` comes after the transaction."""

    path: HandedPath
    case_id: UUID
    portfolio_id: UUID
    placement_id: UUID | None
    reference: str
    field_class: str
    epoch: int
    version: int
    cell: bytes | None
    notes: Mapping[UUID, bytes]
    packed = True

    @property
    def digest(self) -> bytes:
        return digest_of_notes(self.notes) if self.cell is None else sha256(self.cell).digest()

    def open(self, vault: Vault) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "case": str(self.case_id),
            "reference": self.reference,
            "portfolio": str(self.portfolio_id),
            "placement": str(self.placement_id) if self.placement_id else None,
            "class": self.field_class,
            "version": self.version,
            "epoch": self.epoch,
            "cell": None if self.cell is None else strict.to_base64(self.cell),
            "notes": [{"contact": str(id_), "sealed": strict.to_base64(note)} for id_, note in self.notes.items()],
            **self.path.hand(vault, self.version, self.digest),
        }


def digest_of_notes(notes: Mapping[UUID, bytes]) -> bytes:
    """Over the digest of each note, oldest first."""
    return sha256(b"".join(sha256(note).digest() for note in notes.values())).digest()


def cell_of(work: Work, case: Case, field_class: str, placement: Placement | None = None) -> Sealed:
    """The class's cell of its highest version, for the lender or for the agency of `placement`."""
    key_paths.hold(work, case, field_class)
    column = getattr(CaseSealing, field_class)
    found = work.session.execute(
        select(CaseSealing.version, CaseSealing.epoch, column)
        .where(tenancy.of_lender(case.lender_id, CaseSealing), CaseSealing.case_id == case.id, column.is_not(None))
        .order_by(CaseSealing.version.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise Conflict("case_erased" if case.erased_at else "nothing_to_release")
    version, epoch, cell = found
    path = key_paths.find(work, case, field_class, epoch, placement)
    if isinstance(path, HandedPath):
        return _packed(path, case, placement, field_class, epoch, version, cell, {})
    return SealedCell(path, CellName(case.portfolio_id.bytes, case.reference.encode(), field_class, version), cell)


def notes_of(work: Work, case: Case, placement: Placement | None = None) -> Sealed:
    """The notes of the case: those of the placement's agency, or all for the lender."""
    key_paths.hold(work, case, NOTES)
    query = (
        select(Contact.id, Contact.note)
        .where(tenancy.of_lender(case.lender_id, Contact), Contact.case_id == case.id, Contact.note.is_not(None))
        .order_by(Contact.id)
    )
    rows = work.session.execute(query if placement is None else query.where(Contact.agency_id == placement.agency_id))
    notes = {contact_id: note for contact_id, note in rows if note is not None}
    if not notes:
        raise Conflict("case_erased" if case.erased_at else "nothing_to_release")
    epochs = {epoch_of(note) for note in notes.values()}
    paths = {epoch: key_paths.find(work, case, NOTES, epoch, placement) for epoch in epochs}
    opened = {epoch: path for epoch, path in paths.items() if isinstance(path, OpenPath)}
    if len(opened) == len(paths):
        return SealedNotes(opened, case.portfolio_id.bytes, case.reference.encode(), notes)
    if len(paths) > 1:
        raise Conflict("keys_awaited")  # A re-key is under way; a package has one key.
    ((epoch, path),) = paths.items()
    assert isinstance(path, HandedPath)
    return _packed(path, case, placement, NOTES, epoch, len(notes), None, notes)


def _packed(
    path: HandedPath,
    case: Case,
    placement: Placement | None,
    field_class: str,
    epoch: int,
    version: int,
    cell: bytes | None,
    notes: Mapping[UUID, bytes],
) -> Packed:
    return Packed(
        path=path,
        case_id=case.id,
        portfolio_id=case.portfolio_id,
        placement_id=placement.id if placement else None,
        reference=case.reference,
        field_class=field_class,
        epoch=epoch,
        version=version,
        cell=cell,
        notes=notes,
    )
