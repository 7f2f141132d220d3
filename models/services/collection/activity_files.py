"""Activity files: an agency's contacts or claims, many at once, over all the lenders it works for.

The stream is read to its end into a temporary table before anything is locked, so that a slow upload never
keeps a lender's recall waiting. Then every row finds its case, the rows at fault become errors, and the rest
is applied in the same transaction. A row that stands already is `repeated`, also where its case is gone since.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, literal, or_, select

from models.activity_file import read_claims, read_contacts
from models.business_day import day_of
from models.case_actions import CLOSED_TO_WORK
from models.errors import Forbidden, Invalid, RowError
from models.identifiers import looks_personal
from models.placement import Placement
from models.services import refusals, tenancy
from models.services.collection import activity_places, activity_rows, contacts
from models.services.collection.activity_rows import CLAIMS, CONTACTS, Fault, File, here, refuse
from models.services.exchange.placed_cases import LATE
from models.services.oversight import audit
from models.tabular import FileOutcome, Source, Upload
from models.work import AGENCY, Work


def record_contacts(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """Append the contacts of a CSV or XLSX file. Raises Invalid where the file as a whole is refused."""
    _refuse_impossible(work, file_name)
    upload = Upload(stream)
    file = activity_rows.read(work, CONTACTS, upload, map(activity_rows.Referenced(), read_contacts(upload)))
    lenders = activity_places.find(work, file)
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
    file = activity_rows.read(work, CLAIMS, upload, read_claims(upload))
    lenders = activity_places.find(work, file)
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


def _apply(
    work: Work, file: File, lenders: dict[UUID, Placement], faults: list[Fault], own: Mapping[str, ColumnElement[Any]]
) -> FileOutcome:
    """Refuse the rows at fault and append the others; `own` are columns that only this kind of report has."""
    activity_places.settle(work, file)
    repeated = _drop_repeated(work, file)
    taken = Fault(file.kind.key, "duplicate_reference", exists().where(_standing(work, file)))
    for field, code, condition in (*activity_places.faults(work, file), *faults, taken):
        refuse(work, file, field, code, here(file, condition))
    accepted = _append(work, file, own)
    for lender_id, count in accepted.items():
        with work.as_lender(lenders[lender_id]):
            subject = {"agency": work.actor.org_id, "file_digest": file.digest, "count": count}
            audit.record(work, file.kind.action, subject)
    _record_late(work, file, lenders)
    errors = activity_rows.list_errors(work, file)
    return FileOutcome(sum(accepted.values()), repeated, len({error.row for error in errors}), errors)


def _drop_repeated(work: Work, file: File) -> int:
    """Take out the rows that stand exactly so already; answers how many."""
    stand = here(file, exists().where(_standing(work, file, *_same_report(file))))
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
    """What was reported on cases that are gone stands in their lender's log: under which placement, and how many."""
    errors, places = file.errors.c, file.places.c
    kind = places.lender_id, places.placement_id, errors.code
    late = (
        select(*kind, func.count(errors.row.distinct()))
        .join_from(file.errors, file.places, places.row == errors.row)
        .where(errors.code.in_(LATE))
        .group_by(*kind)
        .order_by(*kind)
    )
    for lender_id, placement_id, code, count in work.session.execute(late).all():
        with work.as_lender(lenders[lender_id]):
            refusals.record_rows(work, code, "activity.upload", count, placement_id)
