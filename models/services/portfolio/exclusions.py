"""Exclusions: recording why a case, or everything of its borrower, may not be placed, and lifting that again.

Whatever is excluded leaves the open tenders that hold it at once. Cases are locked by id first, as whoever places them
does: of an exclusion and an acceptance the later sees what the earlier did.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import and_, func, or_, select

from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.exclusion import RECORDED_REASONS, SOURCES, Exclusion
from models.exclusion_file import read_exclusions
from models.ids import new_id
from models.services import bulk, pages, tenancy
from models.services.exchange import tenders
from models.services.oversight import audit
from models.tabular import FileOutcome, Source, Upload
from models.work import LENDER, Work

_ROW: Final = {"row": "bigint", "case_number": "text", "reason": "text", "source": "text", "noted_on": "date"}


class Line(NamedTuple):
    """An exclusion and the numbers of the cases that it keeps back, in order, by id; `reference` is that of its one
    case, None where it is of the whole borrower."""

    exclusion: Exclusion
    reference: str | None
    references: Mapping[UUID, str]


def record(
    work: Work, case_id: UUID, reason: str, source: str, noted_on: dt.date, whole_borrower: bool = False
) -> Exclusion:
    """Keep the case, or everything of its borrower, from being placed; placed cases stay where they are.

    Conflict `already_excluded` where it is for this reason already.
    """
    assert work.actor.side == LENDER
    _refuse_impossible(work, reason, source, noted_on)
    borrower_id = _get_borrower(work, case_id)
    cases = _lock_cases(work, Case.borrower_id == borrower_id if whole_borrower else Case.id == case_id)
    made = Exclusion(
        lender_id=work.tenant_id,
        id=new_id(),
        borrower_id=borrower_id,
        case_id=None if whole_borrower else case_id,
        reason=reason,
        source=source,
        noted_on=noted_on,
        recorded_by=work.actor.member_id,
        recorded_at=work.at,
    )
    same = Exclusion.case_id.is_(None) if whole_borrower else Exclusion.case_id == case_id
    standing = select(Exclusion.id).where(
        tenancy.own(work, Exclusion),
        Exclusion.borrower_id == borrower_id,
        same,
        Exclusion.reason == reason,
        Exclusion.lifted_at.is_(None),
    )
    if work.session.scalar(standing.limit(1)):
        raise Conflict("already_excluded")
    work.session.add(made)
    work.session.flush()
    tenders.release(work, cases)
    audit.record(work, audit.Action.EXCLUSION_RECORD, _subject(made) | {"source": source})
    return made


def record_file(work: Work, stream: Source) -> FileOutcome:
    """Record one case after another; a row at fault is told of, the rest stands. What stands already is `repeated`."""
    assert work.actor.side == LENDER
    upload, rows = Upload(stream), bulk.make(work, _ROW)
    errors: list[RowError] = []
    for batch in read_exclusions(upload, day_of(work.at)):
        bulk.fill(work, rows, batch.rows.select(*_ROW))
        errors += [RowError(*error) for error in batch.errors.iter_rows()]
    found = _found(work, rows)
    errors += [RowError(row, "case_number", "unknown_case") for row in found.filter(pl.col("case_id").is_null())["row"]]
    known = found.filter(pl.col("case_id").is_not_null())
    case_ids = [UUID(case_id) for case_id in known["case_id"].unique().sort()]
    _lock_cases(work, bulk.among(Case.id, case_ids))
    new = _without_standing(work, known)
    _insert(work, new)
    tenders.release(work, case_ids)
    refused = len({error.row for error in errors})
    outcome = FileOutcome(new.height, known.height - new.height, refused, sorted(errors))
    audit.record(
        work,
        audit.Action.EXCLUSION_FILE,
        {"file_digest": upload.digest(), "accepted": outcome.accepted, "refused": outcome.refused},
    )
    return outcome


def lift(work: Work, exclusion_id: UUID) -> Exclusion:
    """It holds no longer, and is kept; Conflict `exclusion_lifted` where that is so already."""
    assert work.actor.side == LENDER
    made = get(work, exclusion_id)
    work.session.refresh(made, with_for_update=True)
    if made.lifted_at is not None:
        raise Conflict("exclusion_lifted")
    made.lifted_by, made.lifted_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.EXCLUSION_LIFT, _subject(made))
    return made


def get(work: Work, exclusion_id: UUID) -> Exclusion:
    found = work.session.scalar(select(Exclusion).where(tenancy.own(work, Exclusion), Exclusion.id == exclusion_id))
    if found is None:
        raise NotFound
    return found


def list_own(
    work: Work, after: UUID | None = None, limit: int = 50, reason: str | None = None, standing: bool = True
) -> list[Line]:
    """Newest first; only those that stand, unless told otherwise."""
    query = select(Exclusion).where(tenancy.own(work, Exclusion))
    if reason is not None:
        query = query.where(Exclusion.reason == reason)
    if standing:
        query = query.where(Exclusion.lifted_at.is_(None))
    return _lines(work, work.session.scalars(pages.newest(query, Exclusion.id, after, limit)).all())


def list_of_case(work: Work, case_id: UUID) -> list[Line]:
    """Those of the case and of its borrower as a whole, newest first, with those that were lifted."""
    borrower_id = _get_borrower(work, case_id)
    of_case = and_(Exclusion.borrower_id == borrower_id, or_(Exclusion.case_id.is_(None), Exclusion.case_id == case_id))
    query = select(Exclusion).where(tenancy.own(work, Exclusion), of_case)
    return _lines(work, work.session.scalars(query.order_by(Exclusion.id.desc())).all())


def count_by_reason(work: Work) -> dict[str, int]:
    """How many stand for each reason."""
    rows = work.session.execute(
        select(Exclusion.reason, func.count())
        .where(tenancy.own(work, Exclusion), Exclusion.lifted_at.is_(None))
        .group_by(Exclusion.reason)
    )
    return {row[0]: row[1] for row in rows}


def _lines(work: Work, found: Sequence[Exclusion]) -> list[Line]:
    """With their cases, which are read once for all of them."""
    named = [one.case_id for one in found if one.case_id]
    whole = [one.borrower_id for one in found if not one.case_id]
    query = select(Case.borrower_id, Case.id, Case.reference).where(
        tenancy.own(work, Case), or_(bulk.among(Case.id, named), bulk.among(Case.borrower_id, whole))
    )
    of_borrower: dict[UUID, dict[UUID, str]] = {}
    for borrower_id, case_id, reference in work.session.execute(query.order_by(Case.reference)):
        of_borrower.setdefault(borrower_id, {})[case_id] = reference
    return [_line(one, of_borrower.get(one.borrower_id, {})) for one in found]


def _line(one: Exclusion, of_borrower: Mapping[UUID, str]) -> Line:
    if one.case_id is None:
        return Line(one, None, of_borrower)
    return Line(one, of_borrower[one.case_id], {one.case_id: of_borrower[one.case_id]})


def _get_borrower(work: Work, case_id: UUID) -> UUID:
    found = work.session.scalar(select(Case.borrower_id).where(tenancy.own(work, Case), Case.id == case_id))
    if found is None:
        raise NotFound
    return found


def _lock_cases(work: Work, which: Any) -> Sequence[UUID]:
    query = select(Case.id).where(tenancy.own(work, Case), which).order_by(Case.id)
    return work.session.scalars(query.with_for_update()).all()


def _found(work: Work, rows: Any) -> pl.DataFrame:
    """The rows with the case and the borrower that their number names, if it names one."""
    joined = select(rows.c.row, Case.id, Case.borrower_id, rows.c.reason, rows.c.source, rows.c.noted_on).select_from(
        rows.outerjoin(Case, and_(tenancy.own(work, Case), Case.reference == rows.c.case_number))
    )
    schema = dict.fromkeys(("case_id", "borrower_id", "reason", "source", "noted_on"), pl.String)
    return bulk.read(work, joined.order_by(rows.c.row), {"row": pl.Int64, **schema})


def _without_standing(work: Work, rows: pl.DataFrame) -> pl.DataFrame:
    standing = bulk.read(
        work,
        select(Exclusion.case_id, Exclusion.reason).where(
            tenancy.own(work, Exclusion), Exclusion.lifted_at.is_(None), Exclusion.case_id.is_not(None)
        ),
        {"case_id": pl.String, "reason": pl.String},
    )
    return rows.join(standing, on=["case_id", "reason"], how="anti")


def _insert(work: Work, rows: pl.DataFrame) -> None:
    recorded_by = pl.lit(None if work.actor.member_id is None else str(work.actor.member_id), pl.String)
    made = bulk.stamped(work, rows.drop("row"), "recorded_at").with_columns(recorded_by=recorded_by)
    bulk.append(work, Exclusion, made)


def _subject(made: Exclusion) -> dict[str, Any]:
    return {"exclusion": made.id, "case": made.case_id, "borrower": made.borrower_id, "reason": made.reason}


def _refuse_impossible(work: Work, reason: str, source: str, noted_on: dt.date) -> None:
    faults = [
        *([RowError(0, "reason", "unknown_value")] if reason not in RECORDED_REASONS else []),
        *([RowError(0, "source", "unknown_value")] if source not in SOURCES else []),
        *([RowError(0, "noted_on", "in_future")] if noted_on > day_of(work.at) else []),
    ]
    if faults:
        raise Invalid(errors=faults)
