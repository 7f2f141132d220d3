"""Orders: what the platform asks a lender's own keys to do, read strictly and not yet believed (`consign-order/1`)."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from crypto import strict
from crypto.errors import CryptoError, OrderRefused
from crypto.fields import FIELD_CLASSES, FIELDS
from crypto.grants import Grant, fingerprint, suite_of

FORMAT = "consign-order/1"
LEASE, REKEY, REWRAP, ERASE = "lease", "rekey", "rewrap", "erase"
SUBJECTS = ("case", "portfolio", "borrower")
EXPIRES_AT_MAX = 253_402_300_799  # the last second that has a date
VERSION_MAX = (1 << 32) - 1  # a lease has four bytes for it

_COMMON = ("format", "order", "kind", "lender")

Facts: TypeAlias = dict[str, str]  # what a person reads before the order is carried out


class LeaseCase(NamedTuple):
    """`versions`: the cell's version in each field class to lease, 0 for notes."""

    case_id: bytes
    reference: str
    salt: bytes
    versions: dict[str, int]


class LeaseOrder(NamedTuple):
    """Let an agency open the cases of a placement until it expires (unix seconds)."""

    order_id: bytes
    agency_id: bytes
    agency_kem: bytes
    placement_id: bytes
    portfolio_id: bytes
    expires_at: int
    epoch: int
    serial: int
    classes: dict[str, Grant]
    cases: list[LeaseCase]

    def facts(self) -> Facts:
        return {
            "lease to agency": strict.id_text(self.agency_id),
            "its key": f"{suite_of(self.agency_kem)} {grouped(fingerprint(self.agency_kem).hex())}",
            "placement": strict.id_text(self.placement_id),
            "portfolio": strict.id_text(self.portfolio_id),
            "classes": " ".join(self.classes),
            "cases": str(len(self.cases)),
            "until": f"{dt.datetime.fromtimestamp(self.expires_at, dt.UTC):%Y-%m-%d %H:%M} UTC",
        }


class RekeyCase(NamedTuple):
    """`cells`: version and sealed bytes by field class; `notes`: sealed bytes by their contact's id."""

    case_id: bytes
    reference: str
    salt: bytes
    cells: dict[str, tuple[int, bytes]]
    notes: dict[bytes, bytes]


class RekeyOrder(NamedTuple):
    """Seal every cell and note of a portfolio anew, under keys of the next epoch."""

    order_id: bytes
    portfolio_id: bytes
    epoch: int
    classes: dict[str, Grant]
    cases: list[RekeyCase]

    def facts(self) -> Facts:
        return {
            "re-key portfolio": strict.id_text(self.portfolio_id),
            "from epoch": str(self.epoch),
            "cases": str(len(self.cases)),
            "notes": str(sum(len(case.notes) for case in self.cases)),
        }


class RewrapOrder(NamedTuple):
    """Wrap class keys to the organisation's new key."""

    order_id: bytes
    grants: list[Grant]

    def facts(self) -> Facts:
        portfolios = {grant.context.portfolio_id for grant in self.grants}
        return {"re-wrap keys": str(len(self.grants)), "of portfolios": str(len(portfolios))}


class EraseOrder(NamedTuple):
    """Sign that cases are erased; `salt_digests` stand in the order of the cases."""

    order_id: bytes
    subject_kind: str
    subject_id: bytes
    case_ids: list[bytes]
    salt_digests: list[bytes]

    def facts(self) -> Facts:
        subject = f"{self.subject_kind} {strict.id_text(self.subject_id)}"
        return {"erase for good": subject, "cases": str(len(self.case_ids))}


Order: TypeAlias = LeaseOrder | RekeyOrder | RewrapOrder | EraseOrder


def read_order(data: bytes, kind: str, lender_id: bytes) -> Order:
    """The order of that kind for that lender, well formed; else `OrderRefused`, or `WrapBroken` for a grant."""
    try:
        document = strict.parse(data)
        version = document.get("format")
        if version != FORMAT and isinstance(version, str) and version.startswith("consign-order/"):
            raise OrderRefused("order_version")
        if version != FORMAT or strict.text(document.get("kind")) not in READERS:
            raise ValueError("of another format or kind")
        if document["kind"] != kind:
            raise OrderRefused("order_kind")
        if strict.raw_id(document.get("lender")) != lender_id:
            raise OrderRefused("order_of_another")
        return READERS[kind](document)
    except ValueError:
        raise OrderRefused("order_broken") from None


def grouped(hexadecimal: str) -> str:
    """A fingerprint as two people read it to each other."""
    return " ".join(hexadecimal[at : at + 4] for at in range(0, len(hexadecimal), 4))


def _read_lease(document: dict[str, Any]) -> LeaseOrder:
    strict.exactly(document, *_COMMON, "agency", "agency_kem", "terms_base", "epoch", "serial", "classes", "cases")
    terms = strict.exactly(document["terms_base"], "placement", "portfolio", "expires_at")
    classes = _read_classes(document["classes"])
    cases = [_read_lease_case(case, classes) for case in _list(document["cases"])]
    _require_once([case.case_id for case in cases], [case.reference for case in cases])
    return LeaseOrder(
        order_id=strict.raw_id(document["order"]),
        agency_id=strict.raw_id(document["agency"]),
        agency_kem=_read_kem(document["agency_kem"]),
        placement_id=strict.raw_id(terms["placement"]),
        portfolio_id=strict.raw_id(terms["portfolio"]),
        expires_at=_at_most(EXPIRES_AT_MAX, strict.integer(terms["expires_at"])),
        epoch=strict.integer(document["epoch"], least=1),
        serial=strict.integer(document["serial"], least=1),
        classes=classes,
        cases=cases,
    )


def _read_lease_case(value: object, classes: Mapping[str, Grant]) -> LeaseCase:
    case = strict.exactly(value, "case", "reference", "salt", "versions")
    given = strict.mapping(case["versions"])
    versions = {name: _at_most(VERSION_MAX, strict.integer(number)) for name, number in given.items()}
    if not versions.keys() <= classes.keys():
        raise ValueError("a class to lease whose key is not here")
    salt = strict.unbase64(case["salt"], 32)
    return LeaseCase(strict.raw_id(case["case"]), strict.text(case["reference"]), salt, versions)


def _read_rekey(document: dict[str, Any]) -> RekeyOrder:
    strict.exactly(document, *_COMMON, "portfolio", "epoch", "classes", "cases")
    cases = [_read_rekey_case(case) for case in _list(document["cases"])]
    _require_once([case.case_id for case in cases], [case.reference for case in cases])
    return RekeyOrder(
        order_id=strict.raw_id(document["order"]),
        portfolio_id=strict.raw_id(document["portfolio"]),
        epoch=strict.integer(document["epoch"], least=1),
        classes=_read_classes(document["classes"], *FIELD_CLASSES),
        cases=cases,
    )


def _read_rekey_case(value: object) -> RekeyCase:
    case = strict.exactly(value, "case", "reference", "salt", "cells", "notes")
    cells = {name: strict.exactly(cell, "version", "cell") for name, cell in strict.mapping(case["cells"]).items()}
    notes = [strict.exactly(note, "contact", "sealed") for note in _list(case["notes"])]
    if not cells.keys() <= FIELDS.keys():
        raise ValueError("a cell of no known class")
    _require_once([strict.raw_id(note["contact"]) for note in notes])
    return RekeyCase(
        strict.raw_id(case["case"]),
        strict.text(case["reference"]),
        strict.unbase64(case["salt"], 32),
        {name: (strict.integer(cell["version"], 1), strict.unbase64(cell["cell"])) for name, cell in cells.items()},
        {strict.raw_id(note["contact"]): strict.unbase64(note["sealed"]) for note in notes},
    )


def _read_rewrap(document: dict[str, Any]) -> RewrapOrder:
    strict.exactly(document, *_COMMON, "classes")
    grants = []
    for value in _list(document["classes"]):
        named = strict.exactly(value, "portfolio", "epoch", "grant")
        grant = Grant.from_json(named["grant"])
        if (strict.raw_id(named["portfolio"]), named["epoch"]) != (grant.context.portfolio_id, grant.context.epoch):
            raise ValueError("a grant of another portfolio or epoch")
        grants.append(grant)
    _require_once([(grant.context.portfolio_id, grant.context.epoch, grant.context.kind) for grant in grants])
    return RewrapOrder(strict.raw_id(document["order"]), grants)


def _read_erase(document: dict[str, Any]) -> EraseOrder:
    strict.exactly(document, *_COMMON, "subject_kind", "subject", "cases", "salt_digests")
    case_ids = [strict.raw_id(case_id) for case_id in _list(document["cases"])]
    digests = [strict.unhex(digest, 32) for digest in _list(document["salt_digests"])]
    if document["subject_kind"] not in SUBJECTS or len(digests) != len(case_ids) or case_ids != sorted(case_ids):
        raise ValueError("not a subject with its cases in order")
    _require_once(case_ids, digests)
    subject_id = strict.raw_id(document["subject"])
    return EraseOrder(strict.raw_id(document["order"]), document["subject_kind"], subject_id, case_ids, digests)


READERS: dict[str, Callable[[dict[str, Any]], Order]] = {
    LEASE: _read_lease,
    REKEY: _read_rekey,
    REWRAP: _read_rewrap,
    ERASE: _read_erase,
}


def _read_classes(value: object, *needed: str) -> dict[str, Grant]:
    """The lender's own class keys; the classes needed, or any there are."""
    grants = strict.mapping(value)
    if not grants or not set(needed) <= grants.keys() <= set(FIELD_CLASSES):
        raise ValueError("not the classes expected")
    return {name: Grant.from_json(grants[name]) for name in FIELD_CLASSES if name in grants}


def _read_kem(value: object) -> bytes:
    public = strict.unbase64(value)
    try:
        suite_of(public)
    except CryptoError:
        raise ValueError("not a public key") from None
    return public


def _at_most(most: int, number: int) -> int:
    if number > most:
        raise ValueError("not an integer in its range")
    return number


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def _require_once(*lists: list[Any]) -> None:
    if any(len(set(items)) != len(items) for items in lists):
        raise OrderRefused("order_repeats")
