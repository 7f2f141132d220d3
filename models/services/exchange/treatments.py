"""Treatments: what follows when cases come back, by why: an exclusion from being placed until it is lifted, or nothing.

An agency's returns have one table, a lender's recalls the other.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import exists, select

from models.business_day import day_of
from models.case import Case
from models.exclusion import Exclusion
from models.placement import Placement
from models.services import bulk, tenancy
from models.services.exchange import ends, tenders
from models.work import Work

BORROWER, CASE, NOTHING = "borrower", "case", "nothing"


class Treatment(NamedTuple):
    """Whom it excludes, and the reason of the exclusion. With NOTHING excluded a case may be placed again at once."""

    excludes: str
    reason: str = ""


RETURNS: Final[Mapping[str, Treatment]] = {
    "deceased": Treatment(BORROWER, "deceased"),
    "bankrupt": Treatment(BORROWER, "bankrupt"),
    "protected": Treatment(BORROWER, "protected"),
    "hardship": Treatment(CASE, "hardship"),
    "complaint": Treatment(CASE, "complaint"),
    "dispute": Treatment(CASE, "on_hold"),  # until the lender has answered it
    "paid_already": Treatment(CASE, "on_hold"),  # until settlement has found the payment, or not
    "lost_contact": Treatment(NOTHING),
    "contact_exhausted": Treatment(NOTHING),
    "refuses_to_pay": Treatment(NOTHING),
    "outside_territory": Treatment(NOTHING),
    "capacity": Treatment(NOTHING),
}
RECALLS: Final[Mapping[str, Treatment]] = {
    "complaint": Treatment(CASE, "complaint"),
    "dispute": Treatment(CASE, "on_hold"),  # until the lender has answered it
    "hardship": Treatment(CASE, "hardship"),
    "legal_action": Treatment(CASE, "in_court"),
    "debt_sold": Treatment(CASE, "debt_sold"),
    "lender_request": Treatment(NOTHING),
    "conduct": Treatment(NOTHING),  # the agency's, not the borrower's
    "placed_in_error": Treatment(NOTHING),
}


def lock(work: Work, lender_id: UUID, placement_ids: Sequence[UUID], case_ids: Sequence[UUID]) -> Sequence[Placement]:
    """`ends.lock` before a return, which may exclude a borrower as a whole: with all cases of the borrowers.

    So of a return and an acceptance of another case of the borrower the later sees what the earlier did. What open
    tenders hold of them is locked as well: the codes of a file would take it out of those in an order of their own.
    """
    borrowers = select(Case.borrower_id).where(tenancy.of_lender(lender_id, Case), bulk.among(Case.id, case_ids))
    theirs = select(Case.id).where(tenancy.of_lender(lender_id, Case), Case.borrower_id.in_(borrowers))
    of_borrowers = work.session.scalars(theirs).all()
    locked = ends.lock(work, lender_id, placement_ids, of_borrowers)
    tenders.hold(work, of_borrowers, lender_id)
    return locked


def exclude(
    work: Work,
    placement: Placement,
    case_ids: Sequence[UUID],
    treatment: Treatment,
    source: str,
    recorded_by: UUID | None = None,
    at: dt.datetime | None = None,
) -> int:
    """Record the exclusions that do not stand already, as of `at` or the act's own time; answers how many.

    What they name leaves the open tenders that hold it. The cases were taken back by this transaction, which has them
    locked, by `lock` where a borrower is excluded. Stands in the lender's tenant.
    """
    if treatment.excludes == NOTHING or not case_ids:
        return 0
    of_case = treatment.excludes == CASE
    standing = exists().where(
        Exclusion.lender_id == Case.lender_id,
        Exclusion.borrower_id == Case.borrower_id,
        Exclusion.case_id == Case.id if of_case else Exclusion.case_id.is_(None),
        Exclusion.reason == treatment.reason,
        Exclusion.lifted_at.is_(None),
    )
    named = (tenancy.of_lender(placement.lender_id, Case), bulk.among(Case.id, case_ids), ~standing)
    found = bulk.read(
        work,
        select(Case.borrower_id, Case.id).where(*named).order_by(Case.id),
        {"borrower_id": pl.String, "case_id": pl.String},
    )
    whom = found if of_case else found.select("borrower_id").unique(maintain_order=True)
    rows = bulk.stamped(work, whom, "recorded_at").with_columns(
        lender_id=pl.lit(str(placement.lender_id)),  # an agency that crossed is at work in its own tenant
        reason=pl.lit(treatment.reason),
        source=pl.lit(source),
        noted_on=pl.lit(day_of(work.at).isoformat()),
        recorded_by=pl.lit(recorded_by and str(recorded_by), pl.String),
        recorded_at=pl.lit((at or work.at).isoformat()),
    )
    bulk.append(work, Exclusion, rows)
    whose = bulk.among(Case.borrower_id, [UUID(borrower_id) for borrower_id in whom["borrower_id"]])
    of_borrowers = select(Case.id).where(tenancy.of_lender(placement.lender_id, Case), whose).order_by(Case.id)
    named_now = case_ids if of_case else work.session.scalars(of_borrowers).all()
    tenders.release(work, named_now, placement.lender_id)
    return rows.height
