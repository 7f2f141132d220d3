"""The rows of an activity file: read into a temporary table, each with its faults beside it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import polars as pl
from sqlalchemy import ColumnElement, TableClause, delete, exists, insert, literal, select

from models.claim import Claim
from models.contact import Contact
from models.errors import RowError
from models.ids import new_ids
from models.services import bulk
from models.services.oversight import audit
from models.tabular import Batch, Upload
from models.work import Work

_KEY: Final = {"row": "bigint", "id": "uuid", "case_number": "text"}
_CONTACT: Final = {
    "channel": "text",
    "direction": "text",
    "party": "text",
    "outcome": "text",
    "occurred_at": "timestamptz",
    "duration_seconds": "integer",
    "external_ref": "text",
}
_CLAIM: Final = {
    "amount": "numeric(18, 2)",
    "currency": "text",
    "paid_on": "date",
    "reference": "text",
    "paid_to": "text",
}
_ERROR: Final = {"row": "bigint", "field": "text", "code": "text"}
PLACE: Final = {  # where a row's case is, or was, placed with this agency: one at each lender at most
    "row": "bigint",
    "lender_id": "uuid",
    "placement_id": "uuid",
    "case_id": "uuid",
    "borrower_id": "uuid",
    "currency": "text",
    "status": "text",
    "closed_since": "timestamptz",
    "started_at": "timestamptz",
    "retained_until": "timestamptz",
    "ended_at": "timestamptz",
    "end_reason": "text",
    "agency_state": "text",  # with the lender
}


class Kind(NamedTuple):
    """What a file reports: its columns, and the one by which a report is known when it comes again."""

    table: type[Contact] | type[Claim]
    types: dict[str, str]
    key: str
    action: audit.Action


CONTACTS: Final = Kind(Contact, _CONTACT, "external_ref", audit.Action.CONTACT_RECORD)
CLAIMS: Final = Kind(Claim, _CLAIM, "reference", audit.Action.CLAIM_RECORD)


class Fault(NamedTuple):
    """A reason to refuse a row, told of the row and its place together."""

    field: str
    code: str
    condition: ColumnElement[bool]


class File(NamedTuple):
    """One file on its way in: what it reports, and its rows, faults and places, each in a temporary table."""

    kind: Kind
    digest: bytes
    rows: TableClause
    errors: TableClause
    places: TableClause


class Referenced:
    """Gives contacts without a number of the agency's own one made of what they say.

    So the same file, or the same row in another file, changes nothing. Equal rows of one file are counted:
    two calls in one minute may both have met no answer. No reference of an agency has a colon.
    """

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def __call__(self, batch: Batch) -> Batch:
        named = [name for name in ("case_number", *_CONTACT) if name != "external_ref"]
        rows = batch.rows
        references = [
            reference or self._reference(values)
            for reference, *values in rows.select("external_ref", *named).iter_rows()
        ]
        return batch._replace(rows=rows.with_columns(pl.Series("external_ref", references, pl.String)))

    def _reference(self, values: list[Any]) -> str:
        content = hashlib.sha256("\x00".join(map(str, values)).encode()).digest()[:16]
        self._seen[content] += 1
        return f"file:{content.hex()}:{self._seen[content]}"


def read(work: Work, kind: Kind, upload: Upload, batches: Iterable[Batch]) -> File:
    rows, errors = bulk.make(work, _KEY | kind.types), bulk.make(work, _ERROR)
    for batch in batches:
        ids = pl.Series("id", [str(id_) for id_ in new_ids(batch.rows.height)], pl.String)
        bulk.fill(work, rows, batch.rows.with_columns(ids).select(*_KEY, *kind.types))
        bulk.fill(work, errors, batch.errors)
    bulk.analyze(work, rows)
    return File(kind, upload.digest(), rows, errors, bulk.make(work, PLACE))


def here(file: File, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The row has a place for which `condition` holds."""
    return exists(select(file.places.c.row).where(file.places.c.row == file.rows.c.row, condition))


def refuse(work: Work, file: File, field: str, code: str, condition: ColumnElement[bool]) -> None:
    """Turn the rows for which `condition` holds into errors."""
    faulty = select(file.rows.c.row, literal(field), literal(code)).where(condition)
    work.session.execute(insert(file.errors).from_select(list(_ERROR), faulty))
    work.session.execute(delete(file.rows).where(file.rows.c.row.in_(select(file.errors.c.row))))


def list_errors(work: Work, file: File) -> list[RowError]:
    errors = file.errors.c
    ordered = select(errors.row, errors.field, errors.code).order_by(errors.row, errors.field, errors.code)
    return [RowError(*error) for error in work.session.execute(ordered)]
