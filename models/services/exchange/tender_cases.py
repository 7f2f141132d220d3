"""Which cases a tender is about: those that a plan would take, and those that a tender holds.

Of each portfolio only its open, unplaced, unscrubbed cases are tendered, in whole households: a borrower of whom
something is placed with, or tendered to, another agency is left out.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, false, or_, select
from sqlalchemy.orm import aliased

from models.agreement import Agreement
from models.case import Case
from models.errors import Conflict
from models.household import within_limit
from models.money import MONEY, Schema
from models.provinces import PROVINCE, province_of
from models.services import bulk, tenancy
from models.services.exchange import eligibility
from models.services.parties import lender_settings
from models.services.portfolio import scrub
from models.tender import Tender, TenderedCase
from models.tender_plan import Plan
from models.work import Work

CANDIDATE: Final[Schema] = {
    "case_id": pl.String,
    "borrower_id": pl.String,
    "currency": pl.String,
    "balance": MONEY,
    "bucket": pl.String,
    "product": pl.String,
    "region": pl.String,
    "age_band": pl.String,
}


def read(work: Work, plan: Plan, panel: Sequence[Agreement]) -> pl.DataFrame:
    """The cases that the plan tenders now, as CANDIDATE, in order of upload; there may be none.

    Asked of one agency alone, cases outside its agreement stay out, and those come in whose household it has.
    """
    alone = panel[0] if len(panel) == 1 else None
    query = _candidates(work, plan, panel[0].currency, alone.agency_id if alone else None)
    if alone is not None:
        query = query.where(eligibility.fits(work, alone, work.at))
    return _taken(work, query, plan.case_limit)


def read_held(work: Work, tender: Tender) -> pl.DataFrame:
    """What a tender holds that may still be placed, as CANDIDATE. Conflict `no_cases_to_offer`."""
    query = _held(tender.lender_id, tender.id).where(placeable(work, tender.lender_id))
    return require_some(_taken(work, query.with_only_columns(*_columns()).order_by(Case.id), None))


def placeable(work: Work, lender_id: UUID) -> ColumnElement[bool]:
    """Of the cases that a tender holds: those that nothing has happened to since."""
    return and_(Case.agency_id.is_(None), scrub.clear(work, lender_id))


def chosen(plan: Plan, currency: str) -> ColumnElement[bool]:
    """The cases that a plan means, of what the portfolio has."""
    return (
        (Case.currency == currency)
        & bulk.among_named(Case.bucket, plan.buckets)
        & bulk.among_named(province_of(Case.region), plan.provinces)
    )


def household_elsewhere(work: Work, agency_id: UUID | None) -> ColumnElement[bool]:
    """Something of the borrower is tendered to another agency than this one, or to any; or placed with one, where the
    lender has new cases follow placed ones."""
    household = aliased(Case)
    of_household = (household.lender_id == Case.lender_id, household.borrower_id == Case.borrower_id)
    follows = lender_settings.get(work).new_case_follows
    to_others: Any = Tender.rules["agency_id"].as_string().is_distinct_from(str(agency_id))
    tendered = exists().where(
        *of_household,
        TenderedCase.lender_id == household.lender_id,
        TenderedCase.case_id == household.id,
        TenderedCase.open,
        Tender.lender_id == TenderedCase.lender_id,
        Tender.id == TenderedCase.tender_id,
        *([to_others] if agency_id else []),
    )
    placed = exists().where(
        *of_household,
        household.agency_id.is_not(None),
        *([household.agency_id != agency_id] if agency_id else []),
    )
    return or_(tendered, placed if follows else false())


def require_currency(work: Work, portfolio_id: UUID, currency: str) -> None:
    """Conflict `currency_differs` where the portfolio has cases, and every one is in another currency."""
    cases = exists().where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
    if work.session.scalar(select(cases & ~cases.where(Case.currency == currency))):
        raise Conflict("currency_differs")


def holds_outside(work: Work, tender_id: UUID, agreement: Agreement, now: dt.datetime) -> bool:
    """Whether a tender of the agreement's lender holds what may be placed and the agreement does not cover."""
    held = _held(agreement.lender_id, tender_id).where(placeable(work, agreement.lender_id))
    outside = held.where(eligibility.outside(work, agreement, now)).limit(1)
    return work.session.scalar(outside) is not None


def find_covered(work: Work, tender_ids: Sequence[UUID], agreement: Agreement, now: dt.datetime) -> set[UUID]:
    """Which of these tenders of the agreement's lender hold or held a case that it covers now."""
    covered = (
        select(TenderedCase.case_id)
        .join(Case, (Case.lender_id == TenderedCase.lender_id) & (Case.id == TenderedCase.case_id))
        .where(
            TenderedCase.lender_id == Tender.lender_id,
            TenderedCase.tender_id == Tender.id,
            eligibility.fits(work, agreement, now),
        )
    )
    tenders = select(Tender.id).where(
        tenancy.of_lender(agreement.lender_id, Tender), Tender.id.in_(tender_ids), covered.exists()
    )
    return set(work.session.scalars(tenders))


def covered(seat: eligibility.Candidate, cases: pl.DataFrame) -> bool:
    """Whether the agreement, and where it asks for one the licence, covers every case."""
    wanted = (
        (PROVINCE.fill_null(""), seat.provinces),
        (pl.col("product"), seat.agreement.products),
        (pl.col("bucket"), seat.agreement.buckets),
    )
    named = [column.is_in(list(values)) for column, values in wanted if values]
    fits = [*named, *seat.agreement.bounds(pl.col("balance"))]
    return not fits or bool(cases.select(pl.all_horizontal(fits).all()).item())


def total(cases: pl.DataFrame) -> Decimal:
    """What is owed on cases of one currency."""
    return Decimal(str(cases["balance"].sum()))


def _candidates(work: Work, plan: Plan, currency: str, agency_id: UUID | None) -> Select[*tuple[Any, ...]]:
    """The columns of CANDIDATE for the cases that may be tendered to the agency, or to anybody."""
    return (
        select(*_columns())
        .where(
            tenancy.own(work, Case),
            Case.portfolio_id == plan.portfolio_id,
            scrub.free(),
            scrub.clear(work),
            chosen(plan, currency),
            ~household_elsewhere(work, agency_id),
        )
        .order_by(Case.id)
    )


def _held(lender_id: UUID, tender_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(Case.id)
        .join(TenderedCase, (TenderedCase.lender_id == Case.lender_id) & (TenderedCase.case_id == Case.id))
        .where(tenancy.of_lender(lender_id, Case), TenderedCase.tender_id == tender_id, TenderedCase.open)
    )


def _taken(work: Work, query: Select[*tuple[Any, ...]], case_limit: int | None) -> pl.DataFrame:
    cases = bulk.read(work, query, CANDIDATE)
    return cases if case_limit is None else within_limit(cases, case_limit)


def require_some(cases: pl.DataFrame) -> pl.DataFrame:
    if cases.is_empty():
        raise Conflict("no_cases_to_offer")
    return cases


def _columns() -> tuple[Any, ...]:
    """Those of CANDIDATE."""
    figures = (Case.currency, Case.balance, Case.bucket, Case.product, Case.region, Case.age_band)
    return cast(Case.id, String), cast(Case.borrower_id, String), *figures
