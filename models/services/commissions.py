"""Booking commission: derive what the ledger's payments earn, post only what differs from what is booked.

A run derives anew every case that something touched since commission was last booked: a payment that came in, a
placement that started, or one that ended before a payment booked as within its term. A day of overlap covers feeds
that were still being received then; deriving a case twice posts nothing.
"""

import datetime as dt
from typing import Any, Final

import polars as pl
from sqlalchemy import Select, and_, func, select, union

from models.business_day import ZONE, period_of
from models.commission import engine
from models.commission_line import CommissionLine
from models.ledger import LedgerPayment
from models.placement import PlacedCase, Placement
from models.services import attributions, audit, bulk, job_runs, tenancy, turns
from models.services.job_runs import Report, quietly
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
    derived = engine.derive(attributed, bulk.read(work, _terms(work, cases), engine.TERMS))
    booked = read_lines(work, _lines_of(work, cases))
    report(70)
    last_date = job_runs.find_last_date(work, "commission") or business_date
    lines = engine.difference(derived, booked, period_of(max(business_date, last_date)))
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
    placed = select(PlacedCase.case_id).where(tenancy.own(work, PlacedCase), PlacedCase.started_at >= since)
    ended = (
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
            CommissionLine.effective_on > func.date(func.timezone(str(ZONE), PlacedCase.ended_at)),
            CommissionLine.derivation["attribution"]["attribution"].astext == "term",
        )
    )
    touched = union(paid, placed, ended).subquery()
    return select(touched.c.case_id)


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
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Placement), PlacedCase.case_id.in_(cases))
    )


def _lines_of(work: Work, cases: Select[Any]) -> bulk.Query:
    return select(*line_columns()).where(tenancy.own(work, CommissionLine), CommissionLine.case_id.in_(cases))


def _post(work: Work, lines: pl.DataFrame) -> None:
    stored = lines.with_columns(pl.col("derivation").struct.json_encode())
    bulk.append(work, CommissionLine, bulk.stamped(work, stored, "booked_at"))
