"""Agreements between a lender and an agency: no offer stands without one."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select

from models.agreement import Agreement
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.organisation import AGENCY
from models.services import audit, organisations, tenancy
from models.work import Work


class Terms(NamedTuple):
    """What the parties agreed. `contingency_rate` is a fraction of what is recovered: 0.18 is 18 %."""

    number: str
    currency: str
    contingency_rate: Decimal
    term_days: int
    tail_days: int
    agency_may_receive: bool
    processing_agreement: str
    impact_assessment: str
    starts_on: dt.date
    ends_on: dt.date


def create(work: Work, agency_code: str, terms: Terms) -> Agreement:
    faults = [
        *([RowError(0, "ends_on", "dates_reversed")] if terms.ends_on < terms.starts_on else []),
        *([RowError(0, "contingency_rate", "out_of_range")] if not 0 <= terms.contingency_rate <= 1 else []),
        *([RowError(0, "term_days", "out_of_range")] if not 1 <= terms.term_days <= 730 else []),
        *([RowError(0, "tail_days", "out_of_range")] if not 0 <= terms.tail_days <= 90 else []),
        *([RowError(0, "processing_agreement", "required_missing")] if not terms.processing_agreement else []),
        *([RowError(0, "impact_assessment", "required_missing")] if not terms.impact_assessment else []),
    ]
    if faults:
        raise Invalid(errors=faults)
    agency = organisations.get_counterparty(work, agency_code, AGENCY)
    number_taken = select(Agreement.id).where(tenancy.own(work, Agreement), Agreement.number == terms.number)
    if work.session.scalar(number_taken):
        raise Conflict("agreement_number_taken")
    agreement = Agreement(
        lender_id=work.tenant_id,
        id=new_id(),
        agency_id=agency.id,
        lender_name=organisations.get_own(work).name,
        agency_name=agency.name,
        state="active",
        created_at=work.at,
        **terms._asdict(),
    )
    work.session.add(agreement)
    work.session.flush()
    audit.record(
        work,
        audit.Action.AGREEMENT_CREATE,
        {"agreement": agreement.id, "agency": agency.id, "contingency_rate": terms.contingency_rate},
    )
    return agreement


def list_own(work: Work) -> list[Agreement]:
    """Newest first: a lender's, or those in which an agency is named."""
    return list(
        work.session.scalars(select(Agreement).where(tenancy.own(work, Agreement)).order_by(Agreement.id.desc()))
    )


def get(work: Work, agreement_id: UUID) -> Agreement:
    found = work.session.scalar(select(Agreement).where(tenancy.own(work, Agreement), Agreement.id == agreement_id))
    if found is None:
        raise NotFound
    return found


def require_with(work: Work, agency_id: UUID) -> None:
    """NotFound for an agency with which the lender never had an agreement."""
    with_it = select(Agreement.id).where(tenancy.own(work, Agreement), Agreement.agency_id == agency_id)
    if work.session.scalar(with_it.limit(1)) is None:
        raise NotFound
