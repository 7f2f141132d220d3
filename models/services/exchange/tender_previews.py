"""What a tender would hold and whom it could ask, before it is made: nothing is changed."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, distinct, false, func, select
from sqlalchemy.orm import aliased

from models.agreement import Agreement
from models.case import Case
from models.services import tenancy
from models.services.exchange import eligibility, tender_cases, tenders
from models.services.parties import lender_settings
from models.services.portfolio import scrub
from models.tender_plan import Plan
from models.work import LENDER, Work


class Follow(NamedTuple):
    """Cases left out because something of their borrowers is placed with this agency, which alone may be asked."""

    agency_id: UUID
    agency_name: str
    case_count: int


class Preview(NamedTuple):
    """`scrubbed` and `left_out`: reason → how many cases of the portfolio stay out; each is counted once.

    `left_out` has `other_currency`, `not_chosen` (bucket, province, or outside the one agreement asked),
    `household_elsewhere` and `beyond_limit`. `shown`: whether there are enough borrowers for agencies to see figures.
    """

    currency: str
    case_count: int
    borrower_count: int
    balance: Decimal
    scrubbed: Mapping[str, int]
    left_out: Mapping[str, int]
    follows: Sequence[Follow]
    seats: Sequence[eligibility.Candidate]
    needs_approval: bool
    shown: bool
    k: int


def make(work: Work, plan: Plan) -> Preview:
    """What `tenders.create` would do with this plan now; refuses as it would, except for agencies' reasons."""
    assert work.actor.side == LENDER
    panel = tenders.get_panel(work, plan)
    currency = panel[0].currency
    cases = tender_cases.read(work, plan, panel)
    borrowers = cases["borrower_id"].n_unique()
    settings = lender_settings.get(work)
    return Preview(
        currency=currency,
        case_count=cases.height,
        borrower_count=borrowers,
        balance=tender_cases.total(cases),
        scrubbed=scrub.count(work, plan.portfolio_id),
        left_out=_left_out(work, plan, panel, cases.height),
        follows=_follows(work, plan, panel) if settings.new_case_follows else [],
        seats=tenders.assess(work, panel, cases),
        needs_approval=tenders.needs_approval(work, cases.height, work.actor.member_id),
        shown=borrowers >= settings.tape_borrowers_min,
        k=settings.tape_borrowers_min,
    )


def _left_out(work: Work, plan: Plan, panel: Sequence[Agreement], held: int) -> dict[str, int]:
    """Of the cases that nothing keeps from being tendered: why the others are not in this one."""
    currency, alone = panel[0].currency, panel[0] if len(panel) == 1 else None
    chosen = tender_cases.chosen(plan, currency)
    if alone is not None:
        chosen &= eligibility.fits(work, alone, work.at)
    elsewhere = tender_cases.household_elsewhere(work, alone.agency_id if alone else None)
    free = select(
        func.count().filter(Case.currency != currency),
        func.count().filter(Case.currency == currency, func.coalesce(chosen, false()).is_(False)),
        func.count().filter(chosen, elsewhere),
        func.count().filter(chosen, ~elsewhere),
    ).where(tenancy.own(work, Case), Case.portfolio_id == plan.portfolio_id, scrub.free(), scrub.clear(work))
    other_currency, not_chosen, household_elsewhere, open_to_it = work.session.execute(free).one()
    counts = {
        "other_currency": other_currency,
        "not_chosen": not_chosen,
        "household_elsewhere": household_elsewhere,
        "beyond_limit": open_to_it - held,
    }
    return {reason: count for reason, count in counts.items() if count}


def _follows(work: Work, plan: Plan, panel: Sequence[Agreement]) -> list[Follow]:
    """Whom the cases follow that may go to no other, the most cases first; those of the one agency asked are in."""
    household = aliased(Case)
    alone = panel[0].agency_id if len(panel) == 1 else None
    count = func.count(distinct(Case.id))
    rows = work.session.execute(
        select(household.agency_id, count)
        .join(household, and_(household.lender_id == Case.lender_id, household.borrower_id == Case.borrower_id))
        .where(
            tenancy.own(work, Case),
            Case.portfolio_id == plan.portfolio_id,
            scrub.free(),
            scrub.clear(work),
            tender_cases.chosen(plan, panel[0].currency),
            household.agency_id.is_not(None),
            *([household.agency_id != alone] if alone else []),
        )
        .group_by(household.agency_id)
        .order_by(count.desc(), household.agency_id)
    ).all()
    names = select(Agreement.agency_id, Agreement.agency_name).where(tenancy.own(work, Agreement))
    known: dict[UUID, str] = {row[0]: row[1] for row in work.session.execute(names)}
    return [Follow(agency_id, known[agency_id], number) for agency_id, number in rows if agency_id]
