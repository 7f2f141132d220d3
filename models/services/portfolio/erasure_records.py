"""The signed record of an erasure: made here for a lender whose keys we hold, else brought by its own tool."""

import base64
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from crypto.canonical import canonical
from crypto.errors import CryptoError, SignatureRefused
from crypto.grants import verify_signature
from models.case import CaseSalt
from models.erasure import RECORD_FORMAT, Erasure
from models.errors import Conflict, NotFound
from models.objects import ObjectStore
from models.organisation import SELF, SIGNING
from models.services import bulk, tenancy
from models.services.parties import organisations
from models.services.sealing import key_directory
from models.work import Work

PURPOSE: Final = "erasure"
STORED: Final = "erasure/"  # then <lender>/<erasure>.json


class SignedRecord(NamedTuple):
    """The exact bytes of a record (canonical JSON) and the lender's signature over them."""

    record: bytes
    signature: bytes


class Stored(NamedTuple):
    """What the object store keeps of an erasure: the record, and by whose hand and when the platform carried it out."""

    signed: SignedRecord
    erased_by: UUID
    erased_at: dt.datetime


class StoredName(NamedTuple):
    """Under which lender and id a record is kept."""

    lender_id: UUID
    erasure_id: UUID

    def key(self) -> str:
        return f"{STORED}{self.lender_id}/{self.erasure_id}.json"


def statement(work: Work, subject_kind: str, subject_id: UUID, case_ids: Sequence[UUID]) -> dict[str, Any]:
    """What every record says: whose cases, and the SHA-256 of each one's salt, both in order of id."""
    salts = work.session.scalars(
        select(func.encode(func.sha256(CaseSalt.salt), "hex"))
        .where(tenancy.own(work, CaseSalt), bulk.among(CaseSalt.case_id, case_ids))
        .order_by(CaseSalt.case_id)
    )
    return {
        "format": RECORD_FORMAT,
        "lender": str(work.tenant_id),
        "subject_kind": subject_kind,
        "subject": str(subject_id),
        "cases": [str(case_id) for case_id in sorted(case_ids)],
        "salt_digests": salts.all(),
    }


def require_custody(work: Work) -> None:
    """Conflict `erasure_needs_own_key` where the lender holds its keys itself."""
    if organisations.get_own(work).custody == SELF:
        raise Conflict("erasure_needs_own_key")


def sign(work: Work, said: Mapping[str, Any], counts: Mapping[str, int]) -> SignedRecord:
    """The record of a lender whose keys are in our custody."""
    record = canonical(
        {**said, "counts": dict(counts), "asked_by": str(work.actor.member_id), "at": int(work.at.timestamp())}
    )
    return SignedRecord(record, work.vault.custody.sign(str(work.tenant_id), PURPOSE, record))


def require_says(work: Work, given: SignedRecord, said: Mapping[str, Any]) -> None:
    """Conflict `erasure_record_wrong` unless the lender signed a record of exactly what is `said`, and when."""
    record = verified(work, given)
    if record != {**said, "at": record.get("at")} or type(record["at"]) is not int:
        raise Conflict("erasure_record_wrong")


def verified(work: Work, given: SignedRecord) -> dict[str, Any]:
    """The record, or Conflict `erasure_record_wrong` where none of the lender's published keys has signed it.

    NotFound where the lender has published none: a restored database may be older than the lender.
    """
    keys = [key.public_key for key in key_directory.list_own(work) if key.purpose == SIGNING]
    if not keys:
        raise NotFound
    if not any(_verifies(key, given) for key in keys):
        raise Conflict("erasure_record_wrong")
    record: dict[str, Any] = json.loads(given.record)
    if record.get("format") != RECORD_FORMAT or record.get("lender") != str(work.tenant_id):
        raise Conflict("erasure_record_wrong")
    return record


def to_stored(erasure: Erasure) -> bytes:
    """As the object store keeps it, and as people may take it away."""
    return canonical(
        {
            "record": json.loads(erasure.record),
            "signature": base64.b64encode(erasure.signature).decode(),
            "erased_by": str(erasure.erased_by),
            "erased_at": erasure.erased_at.astimezone(dt.UTC).isoformat(),
        }
    )


def from_stored(data: bytes) -> Stored:
    """Conflict `erasure_record_wrong` for what `to_stored` did not write."""
    try:
        stored = json.loads(data)
        signature = base64.b64decode(stored["signature"], validate=True)
        erased_at = dt.datetime.fromisoformat(stored["erased_at"])
        return Stored(SignedRecord(canonical(stored["record"]), signature), UUID(stored["erased_by"]), erased_at)
    except (ValueError, KeyError, TypeError, CryptoError):
        raise Conflict("erasure_record_wrong") from None


def list_stored(objects: ObjectStore) -> Iterator[StoredName]:
    """Every record in the store, by lender."""
    for key in objects.list(STORED):
        lender_id, _, erasure_id = key.removeprefix(STORED).removesuffix(".json").partition("/")
        yield StoredName(UUID(lender_id), UUID(erasure_id))


def _verifies(public_key: bytes, given: SignedRecord) -> bool:
    try:
        verify_signature(public_key, PURPOSE, given.record, given.signature)
    except SignatureRefused:
        return False
    return True
