"""Case tallies: what the rows of `CaseTally` come to, and many of one place folded into one."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, delete, func, insert, literal, select

from models.case import CLOSED as CLOSED_STATUSES
from models.case import OPEN
from models.case_tally import PLACE, CaseTally
from models.services import tenancy
from models.work import Work

PLACES = CLOSED, PLACED, HALTED, UNPLACED = ("closed", "placed", "halted", "unplaced")
IN_HAND = (CaseTally.agency_id.is_not(None), CaseTally.status.not_in(CLOSED_STATUSES))  # placed, and still owed


def of_portfolios(work: Work, portfolio_ids: Sequence[UUID]) -> Select[UUID, str, int]:
    """Portfolio, place and count: how many cases of each are closed, placed, not to be worked, or none of these."""
    place = case(
        (CaseTally.status.in_(CLOSED_STATUSES), literal(CLOSED)),
        (CaseTally.agency_id.is_not(None), literal(PLACED)),
        (CaseTally.status != OPEN, literal(HALTED)),
        else_=literal(UNPLACED),
    ).label("place")
    return (
        select(CaseTally.portfolio_id, place, func.sum(CaseTally.case_count))
        .where(tenancy.own(work, CaseTally), CaseTally.portfolio_id.in_(portfolio_ids))
        .group_by(CaseTally.portfolio_id, place)
    )


def fold(work: Work) -> None:
    """Each place of the lender in one row, or in none where nothing stands.

    In one statement, and of rows that nobody changes: who reads meanwhile sees those of before, who adds waits for
    nobody, and of two who fold at once each row goes to one.
    """
    mine = tenancy.own(work, CaseTally)
    places = select(CaseTally.id, func.count().over(partition_by=_columns(CaseTally)).label("rows")).where(mine)
    several = places.subquery()
    gone = (
        delete(CaseTally)
        .where(mine, CaseTally.id.in_(select(several.c.id).where(several.c.rows > 1)))
        .returning(*_columns(CaseTally), CaseTally.case_count, CaseTally.balance)
        .cte("gone")
    )
    count, balance = func.sum(gone.c.case_count), func.sum(gone.c.balance)
    sums = (
        select(literal(work.tenant_id), func.gen_random_uuid(), *_columns(gone.c), count, balance)
        .group_by(*_columns(gone.c))
        .having((count != 0) | (balance != 0))
    )
    kept = ["lender_id", "id", *PLACE, "case_count", "balance"]
    work.session.execute(insert(CaseTally).from_select(kept, sums))


def _columns(of: Any) -> list[Any]:
    return [getattr(of, name) for name in PLACE]
