"""Activity files: an agency's contacts or claims, many at once, over all the lenders it works for.

The stream is read to its end into a temporary table before anything is locked, so that a slow upload never
keeps a lender's recall waiting. Then every row finds its case, the rows at fault become errors, and the rest
is applied in the same transaction. A row that stands already is `repeated`, also where its case is gone since.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import (
    ColumnElement,
    Select,
    TableClause,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import case as case_when
from sqlalchemy.dialects.postgresql import distinct_on

from models.activity_file import read_claims, read_contacts
from models.business_day import day_of
from models.case import Case
from models.case_actions import CLOSED_TO_WORK, Standing, actions
from models.claim import Claim
from models.contact import Contact
from models.errors import Forbidden, Invalid, RowError
from models.identifiers import looks_personal
from models.ids import new_ids
from models.placement import LIVE, TERM_OVER, PlacedCase, Placement
from models.services import bulk, tenancy
from models.services.collection import contacts
from models.services.exchange import placed_cases, turns
from models.services.oversight import audit
from models.tabular import Batch, Source, Upload
from models.work import AGENCY, Work

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
_PLACE: Final = {  # where a row's case is, or was, placed with this agency: one at each lender at most
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
}

EXPIRED: Final = "placement_expired"
LATE: Final = ("case_recalled", "case_returned", EXPIRED)


class FileOutcome(NamedTuple):
    """Rows by what became of them; `errors` names every fault of the refused ones, by row."""

    accepted: int
    repeated: int
    refused: int
    errors: list[RowError]


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


def record_contacts(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """Append the contacts of a CSV or XLSX file. Raises Invalid where the file as a whole is refused."""
    _refuse_impossible(work, file_name)
    upload = Upload(stream)
    file = _read(work, CONTACTS, upload, map(_Referenced(), read_contacts(upload)))
    lenders = _find_places(work, file)
    place = file.places.c
    called_after = or_(place.closed_since.is_(None), file.rows.c.occurred_at > place.closed_since)
    outbound = file.rows.c.direction == "outbound"
    faults = [
        *(
            Fault("case_number", code, and_(place.status == status, outbound, called_after))
            for status, code in CLOSED_TO_WORK.items()
        ),
        Fault("occurred_at", "in_future", file.rows.c.occurred_at > literal(work.at + contacts.AHEAD_MAX)),
        Fault("occurred_at", "before_placement", file.rows.c.occurred_at < place.started_at),
    ]
    own = {"borrower_id": place.borrower_id, "member_name": literal(work.actor.name)}
    return _apply(work, file, lenders, faults, own)


def record_claims(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """Append the payment claims of a CSV or XLSX file. Raises Invalid where the file as a whole is refused."""
    _refuse_impossible(work, file_name)
    upload = Upload(stream)
    file = _read(work, CLAIMS, upload, read_claims(upload))
    lenders = _find_places(work, file)
    faults = [
        Fault("paid_on", "in_future", file.rows.c.paid_on > literal(day_of(work.at))),
        Fault("currency", "currency_mismatch", file.rows.c.currency != file.places.c.currency),
    ]
    return _apply(work, file, lenders, faults, {})


def _refuse_impossible(work: Work, file_name: str) -> None:
    """Files are for managers: a collector reports case by case. A name may end up in a browser's history."""
    if work.actor.side != AGENCY or "manager" not in work.actor.roles:
        raise Forbidden
    if looks_personal(file_name):
        raise Invalid(errors=[RowError(0, "file_name", "name_personal")])


class _Referenced:
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


def _read(work: Work, kind: Kind, upload: Upload, batches: Iterable[Batch]) -> File:
    rows, errors = bulk.make(work, _KEY | kind.types), bulk.make(work, _ERROR)
    for batch in batches:
        ids = pl.Series("id", [str(id_) for id_ in new_ids(batch.rows.height)], pl.String)
        bulk.fill(work, rows, batch.rows.with_columns(ids).select(*_KEY, *kind.types))
        bulk.fill(work, errors, batch.errors)
    _analyze(work, rows)
    return File(kind, upload.digest(), rows, errors, bulk.make(work, _PLACE))


def _find_places(work: Work, file: File) -> dict[UUID, Placement]:
    """Fill `places`, and lock FOR SHARE the live placements among them; answers a placement for each lender.

    A case that was recalled is out of the agency's sight, so its number is looked up where it lies; only
    cases that this agency holds or held are looked at.
    """
    turns.take(work, "activity files")
    crossings = select(Placement).where(tenancy.own(work, Placement)).ext(distinct_on(Placement.lender_id))
    lenders = {p.lender_id: p for p in work.session.scalars(crossings.order_by(Placement.lender_id, Placement.id))}
    for placement in lenders.values():
        with work.as_lender(placement):
            _lock_placements(work, file, placement)
            columns = list(_PLACE)
            work.session.execute(insert(file.places).from_select(columns, _placings(file, placement)))
    _analyze(work, file.places)
    return lenders


def _lock_placements(work: Work, file: File, crossing: Placement) -> None:
    named = (
        select(PlacedCase.placement_id)
        .join(Case, and_(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id))
        .join(file.rows, file.rows.c.case_number == Case.reference)
        .where(
            tenancy.of_lender(crossing.lender_id, PlacedCase),
            PlacedCase.agency_id == crossing.agency_id,
            PlacedCase.ended_at.is_(None),
        )
    )
    work.session.execute(
        select(Placement.id)
        .where(tenancy.of_lender(crossing.lender_id, Placement), Placement.state.in_(LIVE), Placement.id.in_(named))
        .order_by(Placement.id)
        .with_for_update(read=True)
    ).all()


def _placings(file: File, crossing: Placement) -> Select[Any]:
    """Of each row's case its latest placing with this agency: the live one, if any."""
    status = Case.status
    return (
        select(
            file.rows.c.row,
            Case.lender_id,
            PlacedCase.placement_id,
            Case.id,
            Case.borrower_id,
            Case.currency,
            status,
            case_when((status.in_(CLOSED_TO_WORK), contacts.closed_since())),
            PlacedCase.started_at,
            PlacedCase.retained_until,
            PlacedCase.ended_at,
            PlacedCase.end_reason,
        )
        .join(Case, Case.reference == file.rows.c.case_number)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.of_lender(crossing.lender_id, Case), PlacedCase.agency_id == crossing.agency_id)
        .ext(distinct_on(file.rows.c.row))
        .order_by(
            file.rows.c.row,
            PlacedCase.ended_at.is_not(None),
            PlacedCase.started_at.desc(),
            PlacedCase.placement_id.desc(),
        )
    )


def _apply(
    work: Work, file: File, lenders: dict[UUID, Placement], faults: list[Fault], own: Mapping[str, ColumnElement[Any]]
) -> FileOutcome:
    """Refuse the rows at fault and append the others; `own` are columns that only this kind of report has."""
    _settle_places(work, file)
    repeated = _drop_repeated(work, file)
    taken = Fault(file.kind.key, "duplicate_reference", exists().where(_standing(work, file)))
    for field, code, condition in (*_unplaced(work, file), *faults, taken):
        _refuse(work, file, field, code, _here(file, condition))
    accepted = _append(work, file, own)
    for lender_id, count in accepted.items():
        with work.as_lender(lenders[lender_id]):
            subject = {"agency": work.actor.org_id, "file_digest": file.digest, "count": count}
            audit.record(work, file.kind.action, subject)
    _record_late(work, file, lenders)
    errors = _errors(work, file)
    return FileOutcome(sum(accepted.values()), repeated, len({error.row for error in errors}), errors)


def _settle_places(work: Work, file: File) -> None:
    """Refuse rows whose case number names none or several; where a case is live, that is its place."""
    rows, places = file.rows.c, file.places.c
    live = file.places.alias("live")
    unknown = ~exists().where(places.row == rows.row)
    _refuse(work, file, "case_number", "unknown_case", unknown)
    work.session.execute(
        delete(file.places).where(
            places.ended_at.is_not(None), exists().where(live.c.row == places.row, live.c.ended_at.is_(None))
        )
    )
    several = select(places.row).where(places.ended_at.is_(None)).group_by(places.row).having(func.count() > 1)
    _refuse(work, file, "case_number", "ambiguous_case_number", rows.row.in_(several))


def _drop_repeated(work: Work, file: File) -> int:
    """Take out the rows that stand exactly so already; answers how many."""
    stand = _here(file, exists().where(_standing(work, file, *_same_report(file))))
    dropped = work.session.execute(delete(file.rows).where(stand))
    return dropped.rowcount  # type: ignore[attr-defined, no-any-return]


def _standing(work: Work, file: File, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    """A report with the row's key that this agency has made to the lender of the row's place."""
    table: Any = file.kind.table
    return and_(
        tenancy.own(work, table),
        table.lender_id == file.places.c.lender_id,
        getattr(table, file.kind.key) == file.rows.c[file.kind.key],
        *more,
    )


def _same_report(file: File) -> list[ColumnElement[bool]]:
    table: Any = file.kind.table
    same = [getattr(table, name).is_not_distinct_from(file.rows.c[name]) for name in file.kind.types]
    return [table.case_id == file.places.c.case_id, *same]


def _unplaced(work: Work, file: File) -> list[Fault]:
    """Why a place, as it stands now that it is locked, allows no report: the same reasons as case by case."""
    places = file.places.c
    ended = places.ended_at.is_not(None)
    live = work.session.scalars(
        select(Placement)
        .where(
            tenancy.own(work, Placement), Placement.id.in_(select(places.placement_id).where(places.ended_at.is_(None)))
        )
        .execution_options(populate_existing=True)
    )
    now = work.now()
    refusing = {placement.id: code for placement in live if (code := _why_not(work, placement, now))}
    over = and_(ended, places.end_reason == TERM_OVER)
    returned = and_(ended, places.end_reason.in_(placed_cases.RETURNED))
    retained = func.coalesce(places.retained_until > now, literal(value=False))
    of_term = {id_: ~retained for id_, code in refusing.items() if code == EXPIRED}
    return [
        Fault("case_number", "case_recalled", and_(ended, ~over, ~returned)),
        Fault("case_number", "case_returned", returned),
        Fault("case_number", EXPIRED, over),
        *(
            Fault("case_number", code, and_(places.placement_id == id_, of_term.get(id_, true())))
            for id_, code in refusing.items()
        ),
    ]


def _why_not(work: Work, placement: Placement, now: dt.datetime) -> str | None:
    standing = Standing(
        side=AGENCY,
        roles=work.actor.roles,
        status="open",
        placement_state=placement.state,
        expires_at=placement.expires_at,
        assigned_to_me=False,
        offered=False,
        frozen=placement.frozen_at is not None,
        erased=False,  # what was done before may still be reported
    )
    return actions(standing, now)["record_claim"]


def _here(file: File, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The row has a place for which `condition` holds."""
    return exists(select(file.places.c.row).where(file.places.c.row == file.rows.c.row, condition))


def _refuse(work: Work, file: File, field: str, code: str, condition: ColumnElement[bool]) -> None:
    """Turn the rows for which `condition` holds into errors."""
    faulty = select(file.rows.c.row, literal(field), literal(code)).where(condition)
    work.session.execute(insert(file.errors).from_select(list(_ERROR), faulty))
    work.session.execute(delete(file.rows).where(file.rows.c.row.in_(select(file.errors.c.row))))


def _append(work: Work, file: File, own: Mapping[str, ColumnElement[Any]]) -> dict[UUID, int]:
    """Insert the rows that are left; answers how many of each lender."""
    rows, places = file.rows.c, file.places.c
    values = {
        **{name: rows[name] for name in ("id", *file.kind.types)},
        **{name: places[name] for name in ("lender_id", "placement_id", "case_id")},
        "agency_id": literal(work.actor.org_id),
        "member_id": literal(work.actor.member_id),
        "source": literal("file"),
        "recorded_at": literal(work.at),
        **own,
    }
    source = select(*values.values()).join_from(file.rows, file.places, places.row == rows.row).order_by(rows.row)
    insertion = insert(file.kind.table).from_select(list(values), source)
    appended = insertion.returning(file.kind.table.lender_id).cte("appended")
    counted = select(appended.c.lender_id, func.count()).group_by(appended.c.lender_id)
    return dict(work.session.execute(counted).all())


def _record_late(work: Work, file: File, lenders: dict[UUID, Placement]) -> None:
    """What was reported on cases that are gone stands in their lender's log: how many rows, and why refused."""
    errors, places = file.errors.c, file.places.c
    late = (
        select(places.lender_id, errors.code, func.count(errors.row.distinct()))
        .join_from(file.errors, file.places, places.row == errors.row)
        .where(errors.code.in_(LATE))
        .group_by(places.lender_id, errors.code)
        .order_by(places.lender_id, errors.code)
    )
    for lender_id, code, count in work.session.execute(late).all():
        with work.as_lender(lenders[lender_id]):
            subject = {"code": code, "asked_for": "activity.upload", "agency": work.actor.org_id, "count": count}
            audit.record(work, audit.Action.ACCESS_REFUSED, subject)


def _errors(work: Work, file: File) -> list[RowError]:
    errors = file.errors.c
    ordered = select(errors.row, errors.field, errors.code).order_by(errors.row, errors.field, errors.code)
    return [RowError(*error) for error in work.session.execute(ordered)]


def _analyze(work: Work, staged: TableClause) -> None:
    work.session.execute(text(f"analyze {staged.name}"))
