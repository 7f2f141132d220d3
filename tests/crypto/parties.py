"""A lender and an agency with keys of their own, and packages as an honest platform hands them out."""

import copy
from collections.abc import Iterator
from typing import Any

from crypto import strict
from crypto.cells import CellName, case_key, seal_cell
from crypto.free_text import NoteName, seal_note
from crypto.grants import WrapContext, make_grant
from crypto.keyfile import PrivateKeys, RecipientKey
from crypto.leases import LeaseName, seal_lease
from crypto.memory import Memory, fingerprint
from crypto.packages import Package
from crypto.secret import Secret
from crypto.terms import Terms, case_terms, lease_terms

NOW = 1_767_225_600
EXPIRES_AT = NOW + 86_400
LENDER_ID, AGENCY_ID = b"L" * 16, b"A" * 16
PORTFOLIO, PLACEMENT, CASE, CONTACT = b"P" * 16, b"p" * 16, b"c" * 16, b"n" * 16
REFERENCE, SALT, VERSION = "K-2026-0001", b"S" * 32, 2
FIELDS: dict[str, Any] = {"name": "张三", "id_number": "51343620000320711X"}
NOTE = "本人称下周还款"
CLASS_KEY, LEASE_KEY = Secret(b"k" * 32), Secret(b"l" * 32)


def keys_of(organisation_id: bytes, suite: str = "x25519") -> PrivateKeys:
    """An organisation's keys, the same in every test."""
    seed = [Secret(bytes([part]) * 16 + organisation_id) for part in range(3)]
    return PrivateKeys(organisation_id, RecipientKey(suite, seed[0]), seed[1], seed[2])


LENDER, AGENCY = keys_of(LENDER_ID), keys_of(AGENCY_ID)
SIGNING_KEYS = {LENDER_ID: LENDER.public.signing}


def memory() -> Memory:
    """The agency's: it has pinned the lender's signing key."""
    remembered = Memory()
    remembered.pin(LENDER_ID, "signing", fingerprint(LENDER.public.signing))
    return remembered


def terms(field_class: str = "identity", expires_at: int = EXPIRES_AT) -> Terms:
    return lease_terms(LENDER_ID, AGENCY_ID, PLACEMENT, PORTFOLIO, field_class, expires_at)


def key_of_case(class_key: Secret = CLASS_KEY, reference: str = REFERENCE) -> Secret:
    return case_key(class_key, PORTFOLIO, reference.encode(), SALT)


def _package(field_class: str, version: int, epoch: int, key: Secret) -> dict[str, Any]:
    of_notes = field_class == "notes"
    cell = seal_cell(key, CellName(PORTFOLIO, REFERENCE.encode(), field_class, version), FIELDS)
    note = seal_note(key, epoch, NoteName(PORTFOLIO, REFERENCE.encode(), CONTACT), NOTE)
    return {
        "format": "consign-package/1",
        "case": strict.id_text(CASE),
        "reference": REFERENCE,
        "portfolio": strict.id_text(PORTFOLIO),
        "placement": strict.id_text(PLACEMENT),
        "class": field_class,
        "version": version,
        "epoch": epoch,
        "cell": None if of_notes else strict.to_base64(cell),
        "notes": [{"contact": strict.id_text(CONTACT), "sealed": strict.to_base64(note)}] if of_notes else [],
        "grant": {},
        "lease": None,
        "salt": None,
    }


def leased(
    field_class: str = "identity", version: int = VERSION, epoch: int = 1, serial: int = 1, agency: PrivateKeys = AGENCY
) -> dict[str, Any]:
    """What the agency gets where the lender holds its own keys."""
    key = key_of_case()
    context = WrapContext(field_class, LENDER_ID, AGENCY_ID, PORTFOLIO, epoch, serial)
    grant = make_grant(LEASE_KEY, agency.public.kem, context, LENDER.sign, terms(field_class))
    name = LeaseName(PLACEMENT, CASE, field_class, epoch)
    lease = seal_lease(LEASE_KEY, name, key, 0 if field_class == "notes" else version)
    return _package(field_class, version, epoch, key) | {"grant": grant.to_json(), "lease": strict.to_base64(lease)}


def granted(field_class: str = "identity", version: int = VERSION, epoch: int = 1, serial: int = 1) -> dict[str, Any]:
    """What the agency gets where the platform holds the lender's keys: a grant of the case key itself."""
    key = key_of_case()
    package = _package(field_class, version, epoch, key)
    digest = Package.from_json(package | {"grant": leased()["grant"]}).digest
    context = WrapContext(field_class, LENDER_ID, AGENCY_ID, PORTFOLIO, epoch, serial)
    narrowed = case_terms(terms(field_class), CASE, REFERENCE, version, digest)
    return package | {"grant": make_grant(key, AGENCY.public.kem, context, LENDER.sign, narrowed).to_json()}


def own(field_class: str = "identity", version: int = VERSION, epoch: int = 1, serial: int = 1) -> dict[str, Any]:
    """What the lender itself gets where it holds its own keys."""
    context = WrapContext.of_class(LENDER_ID, PORTFOLIO, field_class, epoch, serial)
    grant = make_grant(CLASS_KEY, LENDER.public.kem, context, LENDER.sign)
    package = _package(field_class, version, epoch, key_of_case())
    return package | {"placement": None, "grant": grant.to_json(), "salt": strict.to_base64(SALT)}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the member at a dotted path replaced."""
    copied = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner: Any = copied
    for name in parents:
        inner = inner[int(name) if name.isdigit() else name]
    inner[last] = value
    return copied


def flipped(data: bytes) -> Iterator[bytes]:
    """The data with each single bit changed."""
    for bit in range(len(data) * 8):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        yield bytes(altered)
