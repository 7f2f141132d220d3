"""The terms under which a lender grants a key to an agency; the grant's signature covers their digest."""

from hashlib import sha256
from typing import TypeAlias

from crypto import strict
from crypto.canonical import Json, canonical

FORMAT = "consign-terms/1"
LEASE, CASE = "lease", "case"  # what is granted: the key of a placement's leases, or the key of one case

Terms: TypeAlias = dict[str, Json]

_MEMBERS = ("format", "kind", "lender", "agency", "placement", "portfolio", "class", "expires_at")
_CASE_MEMBERS = ("case", "reference", "version", "cell_digest")


def lease_terms(
    lender_id: bytes, agency_id: bytes, placement_id: bytes, portfolio_id: bytes, field_class: str, expires_at: int
) -> Terms:
    """For the leases of a placement in one field class, until `expires_at` in unix seconds. Ids are raw bytes."""
    return {
        "format": FORMAT,
        "kind": LEASE,
        "lender": strict.id_text(lender_id),
        "agency": strict.id_text(agency_id),
        "placement": strict.id_text(placement_id),
        "portfolio": strict.id_text(portfolio_id),
        "class": field_class,
        "expires_at": expires_at,
    }


def case_terms(lease: Terms, case_id: bytes, reference: str, version: int, sealed_digest: bytes) -> Terms:
    """For one case instead: `lease_terms` narrowed to a case, and to the sealed bytes of that version and digest."""
    return lease | {
        "kind": CASE,
        "case": strict.id_text(case_id),
        "reference": reference,
        "version": version,
        "cell_digest": sealed_digest.hex(),
    }


def digest_of(terms: Terms) -> bytes:
    return sha256(canonical(terms)).digest()


def read_terms(value: object) -> Terms:
    """Terms of one of the two kinds, well formed, or ValueError."""
    terms = strict.mapping(value)
    of_a_case = terms.get("kind") == CASE
    strict.exactly(terms, *_MEMBERS, *(_CASE_MEMBERS if of_a_case else ()))
    if terms["format"] != FORMAT or terms["kind"] not in (LEASE, CASE):
        raise ValueError("terms of another format or kind")
    for name in ("lender", "agency", "placement", "portfolio"):
        strict.raw_id(terms[name])
    strict.text(terms["class"])
    strict.integer(terms["expires_at"])
    if of_a_case:
        strict.raw_id(terms["case"])
        strict.text(terms["reference"])
        strict.integer(terms["version"])
        strict.unhex(terms["cell_digest"], 32)
    return dict(terms)
