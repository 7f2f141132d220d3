"""The scrub: which cases may be placed at all, and for what reason each other one may not."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    any_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from models.business_day import day_of
from models.case import CLOSED, OPEN, Case
from models.erasure import Erasure, LegalHold
from models.exclusion import Exclusion
from models.services import tenancy
from models.services.parties import lender_settings
from models.tender import TenderedCase
from models.work import Work

_HELD: Final = (Case.id, Case.portfolio_id, Case.borrower_id)  # what a legal hold may be on; ids are unique among all


def clear(work: Work, lender_id: UUID | None = None) -> ColumnElement[bool]:
    """Cases that nothing keeps from being placed: the one condition that every way of placing puts to its cases.

    It is asked when cases are offered and again, under their locks, when they are placed. Whether a case is placed or
    tendered already is a question of its own: `free`. `lender_id` for verbs that crossed into its tenant.
    """
    lender = lender_id or work.tenant_id
    return and_(
        Case.status == OPEN,
        Case.erased_at.is_(None),
        not_(_barred(work, lender)),
        not_(or_(_excluded(lender), _held(lender))),
    )


def free() -> ColumnElement[bool]:
    """Cases that stand in no placement and in no open tender; asked as one question, for the reason of `_excluded`."""
    return not_(or_(Case.agency_id.is_not(None), _tendered()))


def count(work: Work, portfolio_id: UUID) -> dict[str, int]:
    """Reason → how many cases of the portfolio may not be tendered for it; each counts once, for its first reason."""
    lender = work.tenant_id
    recorded = select(func.min(Exclusion.reason)).where(*_excluding(lender)).correlate(Case).scalar_subquery()
    reason = case(
        (Case.erased_at.is_not(None), literal("erased")),
        (Case.status.in_(CLOSED), literal("paid_off")),
        (Case.agency_id.is_not(None), literal("already_placed")),
        (_tendered(), literal("already_offered")),
        (Case.status != OPEN, literal("case_on_hold")),
        (_held(lender), literal("legal_hold")),
        (_barred(work, lender), literal("time_barred")),
        (_excluded(lender), recorded),
    )
    reasons = (
        select(reason.label("reason")).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id).subquery()
    )
    rows = work.session.execute(
        select(reasons.c.reason, func.count()).where(reasons.c.reason.is_not(None)).group_by(reasons.c.reason)
    )
    return dict(sorted(((row[0], row[1]) for row in rows), key=lambda found: (-found[1], found[0])))


def kept_back(work: Work, portfolio_ids: Sequence[UUID]) -> Select[UUID, int]:
    """Portfolio and count: the open and free cases that an exclusion, or a hold or erasure of less than it all, keeps
    from being tendered. They are found from these, which are few; what is time-barred only reading every case tells.
    """
    lender = work.tenant_id
    named = union_all(
        select(Exclusion.borrower_id).where(tenancy.own(work, Exclusion), Exclusion.lifted_at.is_(None)),
        select(LegalHold.subject_id).where(*_holding(lender)),
        select(Erasure.subject_id).where(tenancy.own(work, Erasure)),
    )
    names: Any = func.array(named.scalar_subquery())  # an array, so that it is looked up in the indexes of the cases
    return (
        select(Case.portfolio_id, func.count())
        .where(
            tenancy.own(work, Case),
            Case.portfolio_id.in_(portfolio_ids),
            Case.status == OPEN,
            free(),
            or_(Case.id == any_(names), Case.borrower_id == any_(names)),
            or_(Case.erased_at.is_not(None), _excluded(lender), _held(lender)),
        )
        .group_by(Case.portfolio_id)
    )


def kept_back_whole(work: Work, portfolio_ids: Sequence[UUID]) -> Select[UUID, int]:
    """Portfolio and count: how many holds and erasures are of the portfolio as a whole."""
    lender = work.tenant_id
    subjects = union_all(
        select(LegalHold.subject_id).where(*_holding(lender), LegalHold.subject_id.in_(portfolio_ids)),
        select(Erasure.subject_id).where(tenancy.own(work, Erasure), Erasure.subject_id.in_(portfolio_ids)),
    ).subquery()
    return select(subjects.c.subject_id, func.count()).group_by(subjects.c.subject_id)


def reasons_of(work: Work, case_id: UUID) -> list[str]:
    """Every reason why the lender may not tender this case now, except that it is placed or tendered."""
    lender = work.tenant_id
    recorded = select(Exclusion.reason).where(*_excluding(lender), *_is(work, case_id))
    derived = {
        "erased": Case.erased_at.is_not(None),
        "paid_off": Case.status.in_(CLOSED),
        "case_on_hold": and_(Case.status != OPEN, Case.status.not_in(CLOSED)),
        "legal_hold": _held(lender),
        "time_barred": _barred(work, lender),
    }
    queries = [
        select(literal(code)).select_from(Case).where(*_is(work, case_id), holds) for code, holds in derived.items()
    ]
    return list(work.session.scalars(union_all(recorded, *queries)))


def _is(work: Work, case_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return tenancy.own(work, Case), Case.id == case_id


def _excluding(lender_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Standing exclusions of the `Case` of the query around them, or of its borrower."""
    return (
        tenancy.of_lender(lender_id, Exclusion),
        Exclusion.borrower_id == Case.borrower_id,
        or_(Exclusion.case_id.is_(None), Exclusion.case_id == Case.id),
        Exclusion.lifted_at.is_(None),
    )


def _excluded(lender_id: UUID) -> ColumnElement[bool]:
    """Whether any of these stands, asked in two questions of equalities alone.

    Within an `or_`, as here and in `_held`, PostgreSQL asks an index for each of few cases and hashes the exclusions
    for many. A condition of its own becomes a join, and one in a square where it takes the cases that the other
    conditions leave for few: 20,000 exclusions then kept a tender of 100,000 cases from being made in minutes.
    """
    standing = (tenancy.of_lender(lender_id, Exclusion), Exclusion.lifted_at.is_(None))
    of_borrower = exists().where(*standing, Exclusion.borrower_id == Case.borrower_id, Exclusion.case_id.is_(None))
    of_case = exists().where(*standing, Exclusion.borrower_id == Case.borrower_id, Exclusion.case_id == Case.id)
    return or_(of_borrower, of_case)


def _holding(lender_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return tenancy.of_lender(lender_id, LegalHold), LegalHold.lifted_at.is_(None)


def _held(lender_id: UUID) -> ColumnElement[bool]:
    return or_(*(exists().where(*_holding(lender_id), LegalHold.subject_id == column) for column in _HELD))


def _tendered() -> ColumnElement[bool]:
    return exists().where(TenderedCase.lender_id == Case.lender_id, TenderedCase.case_id == Case.id, TenderedCase.open)


def _barred(work: Work, lender_id: UUID) -> ColumnElement[bool]:
    """Overdue for longer than the lender's limitation."""
    days = lender_settings.of_lender(work, lender_id).limitation_days
    if not days:
        return false()
    return Case.overdue_since_on < day_of(work.at) - dt.timedelta(days=days)
