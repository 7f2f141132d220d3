"""Opening what a release hands to somebody who holds their own key: one case's field class, and the way to its key.

Nothing in a package is believed: every member has to agree with the signed grant, or to be bound by a seal.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from crypto import strict
from crypto.cells import CellName, case_key, open_cell
from crypto.errors import Distrusted, SealBroken
from crypto.fields import FIELD_CLASSES, NOTES
from crypto.free_text import NoteName, epoch_of, open_note
from crypto.grants import Grant, open_grant
from crypto.keyfile import PrivateKeys
from crypto.leases import LeasedKey, LeaseName, open_lease
from crypto.memory import Memory
from crypto.secret import Secret
from crypto.terms import CASE, Terms

FORMAT = "consign-package/1"
NOTES_VERSION = 0  # by which a lease says that notes have no versions

_MEMBERS = (
    "format", "case", "reference", "portfolio", "placement", "class", "version", "epoch",
    "cell", "notes", "grant", "lease", "salt",
)  # fmt: skip


class Package(NamedTuple):
    """A package as read, not yet believed. Ids are raw bytes; notes by their contact's id."""

    case_id: bytes
    reference: str
    portfolio_id: bytes
    placement_id: bytes | None
    field_class: str
    version: int
    epoch: int
    cell: bytes | None
    notes: dict[bytes, bytes]
    grant: Grant
    lease: bytes | None
    salt: bytes | None

    @classmethod
    def from_json(cls, document: object) -> "Package":
        """`SealBroken` where it is no package; `WrapBroken` where its grant is none."""
        try:
            return cls._read(strict.exactly(document, *_MEMBERS))
        except ValueError:
            raise SealBroken from None

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> "Package":
        placement, cell, lease, salt = (document[name] for name in ("placement", "cell", "lease", "salt"))
        if document["format"] != FORMAT or document["class"] not in FIELD_CLASSES:
            raise ValueError("of another format or class")
        of_notes = document["class"] == NOTES
        if of_notes != (cell is None) or of_notes != bool(document["notes"]):
            raise ValueError("a package has either notes or a cell")
        return cls(
            case_id=strict.raw_id(document["case"]),
            reference=strict.text(document["reference"]),
            portfolio_id=strict.raw_id(document["portfolio"]),
            placement_id=None if placement is None else strict.raw_id(placement),
            field_class=document["class"],
            version=strict.integer(document["version"]),
            epoch=strict.integer(document["epoch"], least=1),
            cell=None if cell is None else strict.unbase64(cell),
            notes=_read_notes(document["notes"]),
            grant=Grant.from_json(document["grant"]),
            lease=None if lease is None else strict.unbase64(lease),
            salt=None if salt is None else strict.unbase64(salt, 32),
        )

    @property
    def digest(self) -> bytes:
        """What case terms call `cell_digest`: of the cell, or of the notes' digests one after the other."""
        if self.cell is not None:
            return sha256(self.cell).digest()
        return sha256(b"".join(sha256(note).digest() for note in self.notes.values())).digest()


def _read_notes(value: object) -> dict[bytes, bytes]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    read = [strict.exactly(note, "contact", "sealed") for note in value]
    notes = {strict.raw_id(note["contact"]): strict.unbase64(note["sealed"]) for note in read}
    if len(notes) != len(read):
        raise ValueError("a contact has two notes")
    return notes


def open_package(
    package: Mapping[str, Any], keys: PrivateKeys, memory: Memory, signing_keys: Mapping[bytes, bytes], now: int
) -> dict[str, str]:
    """The fields of a cell, or the notes by their contact's id; else `Distrusted`, `WrapBroken` or `SealBroken`.

    `signing_keys` are the granters' public keys by raw id, from anywhere: `memory` holds what is pinned, and one's
    own come from `keys`. `now` in unix seconds. Compare the package's `case` with the one that was asked for.
    """
    found = Package.from_json(package)
    context = found.grant.context
    if context.grantee != keys.organisation_id:
        raise Distrusted("wrap_retargeted")
    _require_agreement(found)
    signing = keys.public.signing if context.own else signing_keys.get(context.granter)
    if signing is None:
        raise Distrusted("key_unpinned")
    leased = _case_key(found, open_grant(found.grant, keys.kem, signing, memory, now))
    if found.cell is None:
        return _open_notes(found, leased.key)
    return _open_cell(found, found.cell, leased, memory)


def _require_agreement(package: Package) -> None:
    """The grant is of this portfolio, class and epoch, and its terms are of this placement and case."""
    context, terms = package.grant.context, package.grant.terms
    granted = (context.portfolio_id, context.kind, context.epoch)
    if granted != (package.portfolio_id, package.field_class, package.epoch):
        raise Distrusted("terms_changed")
    if terms is None:
        return
    if package.placement_id is None or terms["placement"] != strict.id_text(package.placement_id):
        raise Distrusted("terms_changed")
    if terms["kind"] == CASE:
        _require_case(package, terms)


def _require_case(package: Package, terms: Terms) -> None:
    if (terms["case"], terms["reference"]) != (strict.id_text(package.case_id), package.reference):
        raise Distrusted("terms_changed")
    if package.version < strict.integer(terms["version"]):
        raise Distrusted("version_rolled_back")
    if (terms["version"], terms["cell_digest"]) != (package.version, package.digest.hex()):
        raise Distrusted("terms_changed")


def _case_key(package: Package, granted: Secret) -> LeasedKey:
    """The case key out of what the grant wraps: a class key, the case key itself, or the key of the leases."""
    terms = package.grant.terms
    if terms is None:
        if package.salt is None:
            raise SealBroken
        key = case_key(granted, package.portfolio_id, package.reference.encode(), package.salt)
        return LeasedKey(key, NOTES_VERSION)
    if terms["kind"] == CASE:
        return LeasedKey(granted, NOTES_VERSION)
    if package.lease is None or package.placement_id is None:
        raise SealBroken
    name = LeaseName(package.placement_id, package.case_id, package.field_class, package.epoch)
    return open_lease(granted, name, package.lease)


def _open_cell(package: Package, cell: bytes, leased: LeasedKey, memory: Memory) -> dict[str, str]:
    if package.version < leased.version:
        raise Distrusted("version_rolled_back")
    name = CellName(package.portfolio_id, package.reference.encode(), package.field_class, package.version)
    fields = open_cell(leased.key, name, cell)
    memory.take_version(f"{strict.id_text(package.case_id)}/{package.field_class}", package.version)
    return {field: str(value) for field, value in fields.items()}


def _open_notes(package: Package, key: Secret) -> dict[str, str]:
    opened = {}
    for contact_id, sealed in package.notes.items():
        if epoch_of(sealed) != package.epoch:
            raise SealBroken
        name = NoteName(package.portfolio_id, package.reference.encode(), contact_id)
        opened[strict.id_text(contact_id)] = open_note(key, name, sealed)
    return opened
