"""What an allocation divides: a portfolio's free cases, who may have each of them, and who had or has its borrower."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import BigInteger, ColumnElement, String, and_, case, cast, exists, func, literal, select
from sqlalchemy.orm import aliased

from models.agreement import Agreement
from models.allocation import CASES
from models.case import Case
from models.money import Schema
from models.placement import UNDONE, PlacedCase, Placement
from models.services import bulk, eligibility, lender_settings, scrub, tenancy
from models.services.placements import EXPIRY
from models.tender import TenderedCase
from models.work import Work

_READ: Final[Schema] = {name: dtype for name, dtype in CASES.items() if name not in ("earlier", "holder")}
_PAIR: Final[Schema] = {"borrower_id": pl.String, "agency_id": pl.String}


class CameBack(NamedTuple):
    """Only cases whose last placement, of this tier, ended by its term in this time: what a rotation divides."""

    tier: int
    since: dt.datetime
    until: dt.datetime


def read(
    work: Work,
    portfolio_id: UUID,
    panel: Sequence[Agreement],
    exclude_earlier: bool,
    came_back: CameBack | None = None,
) -> pl.DataFrame:
    """CASES of models.allocation, for the agreements of `panel` in their order; all are of one currency.

    A household of which anything is tendered now is left out whole.
    """
    query = select(
        cast(Case.id, String),
        cast(Case.borrower_id, String),
        Case.balance,
        Case.bucket,
        Case.product,
        func.substr(Case.region, 1, 2).concat("0000"),
        _bits_of_terms(work, panel),
    ).where(*_free(work, portfolio_id, panel[0].currency, came_back))
    cases = bulk.read(work, query, _READ)
    borrowers = select(Case.borrower_id).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
    follows = lender_settings.get(work).new_case_follows
    holders = _bits_of_agencies(work, panel, _holding(work, borrowers)) if follows else _nobody()
    earlier = _bits_of_agencies(work, panel, _having_held(work, borrowers)) if exclude_earlier else _nobody()
    return (
        cases.join(earlier.rename({"bits": "earlier"}), on="borrower_id", how="left")
        .join(holders.rename({"bits": "holder"}), on="borrower_id", how="left")
        .with_columns(pl.col("earlier").fill_null(0))
    )


def count(work: Work, portfolio_id: UUID, currency: str, came_back: CameBack) -> int:
    """How many cases `read` would answer."""
    return work.session.scalar(select(func.count(Case.id)).where(*_free(work, portfolio_id, currency, came_back))) or 0


def _free(work: Work, portfolio_id: UUID, currency: str, came_back: CameBack | None) -> Iterator[ColumnElement[bool]]:
    yield tenancy.own(work, Case)
    yield Case.portfolio_id == portfolio_id
    yield Case.currency == currency
    yield Case.agency_id.is_(None)
    yield scrub.clear(work)
    yield ~_household_tendered(work)
    if came_back:
        yield _returned(work, came_back)


def _returned(work: Work, came_back: CameBack) -> ColumnElement[bool]:
    """Cases whose last placement is the one that `came_back` says."""
    last, later = aliased(PlacedCase), aliased(PlacedCase)
    newer = exists().where(
        tenancy.own(work, later), later.case_id == last.case_id, later.placement_seq > last.placement_seq
    )
    return exists().where(
        tenancy.own(work, last),
        tenancy.own(work, Placement),
        Placement.id == last.placement_id,
        Placement.tier == came_back.tier,
        last.case_id == Case.id,
        last.end_reason == EXPIRY,
        last.ended_at >= came_back.since,
        last.ended_at < came_back.until,
        ~newer,
    )


def _bits_of_terms(work: Work, panel: Sequence[Agreement]) -> Any:
    covered = (
        case((eligibility.fits(work, agreement, work.at), literal(1 << seat, BigInteger)), else_=0)
        for seat, agreement in enumerate(panel)
    )
    return reduce(add, covered)


def _household_tendered(work: Work) -> ColumnElement[bool]:
    household = aliased(Case)
    return exists().where(
        tenancy.own(work, household),
        household.borrower_id == Case.borrower_id,
        TenderedCase.lender_id == household.lender_id,
        TenderedCase.case_id == household.id,
        TenderedCase.open,
    )


def _holding(work: Work, borrowers: Any) -> Any:
    pair = select(cast(Case.borrower_id, String), cast(Case.agency_id, String))
    return pair.where(tenancy.own(work, Case), Case.agency_id.is_not(None), Case.borrower_id.in_(borrowers)).distinct()


def _having_held(work: Work, borrowers: Any) -> Any:
    return (
        select(cast(Case.borrower_id, String), cast(PlacedCase.agency_id, String))
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.own(work, Case), tenancy.own(work, PlacedCase), PlacedCase.ended_at.is_not(None))
        .where(PlacedCase.end_reason.is_distinct_from(UNDONE), Case.borrower_id.in_(borrowers))
        .distinct()
    )


def _bits_of_agencies(work: Work, panel: Sequence[Agreement], pairs: Any) -> pl.DataFrame:
    """Borrower → the bits of the agreements with its agencies; 0 where none of them is on the panel."""
    bits: dict[str, int] = {}
    for seat, agreement in enumerate(panel):
        bits[str(agreement.agency_id)] = bits.get(str(agreement.agency_id), 0) | 1 << seat
    of_agency = pl.col("agency_id").replace_strict(bits, default=0, return_dtype=pl.Int64)
    return bulk.read(work, pairs, _PAIR).group_by("borrower_id").agg(of_agency.bitwise_or().alias("bits"))


def _nobody() -> pl.DataFrame:
    return pl.DataFrame(schema={"borrower_id": pl.String, "bits": pl.Int64})
