"""Booking commission: derive what payments and placed cases earn, post only what differs from what is booked.

A run derives anew every case that something touched since commission was last booked: a payment that came in, a
placement that started, was acknowledged at a fee or was undone, or one that ended before a payment booked as within
its term. A day of overlap covers feeds that were still being received then; deriving a case twice posts nothing.
"""

import datetime as dt
from typing import Any, Final

import polars as pl
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union

from models.business_day import ZONE, period_of
from models.commission import engine
from models.commission_line import CommissionLine
from models.ledger import LedgerPayment
from models.placement import UNDONE, PlacedCase, Placement
from models.services import bulk, job_runs, tenancy
from models.services.exchange import turns
from models.services.job_runs import Report, quietly
from models.services.oversight import audit
from models.services.settlement import attributions
from models.work import Work

OVERLAP: Final = dt.timedelta(days=1)
BID_VERSION: Final = 0


def book(work: Work, business_date: dt.date, report: Report = quietly) -> dict[str, int]:
    """Bring the booked lines up to the facts. Nothing is booked before the month of the last date that was done."""
    turns.take(work, "commission")
    bulk.join_by_sets(work)
    cases = bulk.keep(work, _touched_cases(work))
    attributed = attributions.attribute(work, cases)
    report(40)
    shares = engine.derive(attributed, bulk.read(work, _terms(work, cases), engine.TERMS))
    fees = engine.derive_fees(bulk.read(work, _fees(work, cases), engine.FEES))
    booked = read_lines(work, _lines_of(work, cases))
    report(70)
    last_date = job_runs.find_last_date(work, "commission") or business_date
    lines = engine.difference(pl.concat([shares, fees]), booked, period_of(max(business_date, last_date)))
    _post(work, lines)
    counts = {
        "payments": attributed.height,
        "lines": lines.height,
        "adjustments": lines.height - lines["adjusts_id"].null_count(),
    }
    if lines.height:
        audit.record(work, audit.Action.COMMISSION_BOOK, {"business_date": business_date, **counts})
    return counts


def read_lines(work: Work, query: bulk.Query) -> pl.DataFrame:
    """BOOKED, from a query of `line_columns()`."""
    stored = bulk.read(work, query, {**engine.BOOKED, "derivation": pl.String})
    return stored.with_columns(pl.col("derivation").str.json_decode(engine.DERIVATION))


def line_columns() -> list[Any]:
    return [getattr(CommissionLine, name) for name in engine.BOOKED]


def _touched_cases(work: Work) -> Select[Any]:
    last_booked = work.session.scalar(
        select(func.max(CommissionLine.booked_at)).where(tenancy.own(work, CommissionLine))
    )
    since = last_booked - OVERLAP if last_booked else dt.datetime.min.replace(tzinfo=dt.UTC)
    paid = (
        select(LedgerPayment.case_id)
        .join(
            PlacedCase,
            and_(PlacedCase.lender_id == LedgerPayment.lender_id, PlacedCase.case_id == LedgerPayment.case_id),
        )
        .where(tenancy.own(work, LedgerPayment), LedgerPayment.received_at >= since)
    )
    placed_or_undone = select(PlacedCase.case_id).where(
        tenancy.own(work, PlacedCase),
        or_(PlacedCase.started_at >= since, and_(PlacedCase.end_reason == UNDONE, PlacedCase.ended_at >= since)),
    )
    acknowledged = (
        select(PlacedCase.case_id)
        .join(Placement, _of_placement())
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Placement))
        .where(Placement.case_fee != 0, Placement.acknowledged_at >= since)
    )
    touched = union(paid, placed_or_undone, acknowledged, _ended_before_booked(work)).subquery()
    return select(touched.c.case_id)


def _ended_before_booked(work: Work) -> Select[Any]:
    """Cases with a payment that is booked as within a term, and is not."""
    return (
        select(CommissionLine.case_id)
        .join(
            PlacedCase,
            and_(
                PlacedCase.lender_id == CommissionLine.lender_id,
                PlacedCase.placement_id == CommissionLine.placement_id,
                PlacedCase.case_id == CommissionLine.case_id,
            ),
        )
        .where(
            tenancy.own(work, CommissionLine),
            CommissionLine.effective_on > _day(PlacedCase.ended_at),
            CommissionLine.derivation["attribution"]["attribution"].astext == "term",
        )
    )


def _terms(work: Work, cases: Select[Any]) -> bulk.Query:
    """What was frozen on each case when it was placed; a rate that was bid has version 0."""
    return (
        select(
            PlacedCase.placement_id,
            PlacedCase.case_id,
            Placement.agreement_id,
            func.coalesce(Placement.rate_card_version, BID_VERSION),
            PlacedCase.contingency_rate,
        )
        .join(Placement, _of_placement())
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Placement), PlacedCase.case_id.in_(cases))
    )


def _fees(work: Work, cases: Select[Any]) -> bulk.Query:
    """FEES: the cases a placement held when it was acknowledged. However they end later it has earned the fee for
    them, unless the distribution was undone.
    """
    return (
        select(
            PlacedCase.agency_id,
            Placement.agreement_id,
            PlacedCase.placement_id,
            PlacedCase.case_id,
            func.coalesce(Placement.rate_card_version, BID_VERSION),
            Placement.case_fee,
            Placement.currency,
            _day(Placement.acknowledged_at),
        )
        .join(Placement, _of_placement())
        .where(
            tenancy.own(work, PlacedCase),
            tenancy.own(work, Placement),
            PlacedCase.case_id.in_(cases),
            Placement.case_fee != 0,
            Placement.acknowledged_at.is_not(None),
            or_(PlacedCase.ended_at.is_(None), PlacedCase.ended_at >= Placement.acknowledged_at),
            PlacedCase.end_reason.is_distinct_from(UNDONE),
        )
    )


def _of_placement() -> ColumnElement[bool]:
    return and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id)


def _day(at: Any) -> ColumnElement[dt.date]:
    """The business day of a time."""
    return func.date(func.timezone(str(ZONE), at))


def _lines_of(work: Work, cases: Select[Any]) -> bulk.Query:
    return select(*line_columns()).where(tenancy.own(work, CommissionLine), CommissionLine.case_id.in_(cases))


def _post(work: Work, lines: pl.DataFrame) -> None:
    stored = lines.with_columns(pl.col("derivation").struct.json_encode())
    bulk.append(work, CommissionLine, bulk.stamped(work, stored, "booked_at"))
