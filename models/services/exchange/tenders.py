"""Tenders (发单): the lender's side of every way of placing. What each agency is shown of one is its offer.

Which cases one is about is in `tender_cases`. Locks are taken in one order everywhere: the tender, its offers by id,
the agencies' turns, placements and cases by id.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import defer

from models.agreement import Agreement
from models.bid import COMMITTED, REVEALED, Bid
from models.bid import TRANSITIONS as BID_TRANSITIONS
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.notice import LENDER as TELL_LENDER
from models.offer import Offer
from models.services import bulk, notices, pages, second_person, tenancy
from models.services.exchange import agreements, eligibility, tender_cases, tender_offers, turns, undone
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.services.portfolio import portfolios, scrub
from models.states import step
from models.tender import (
    ALLOCATION,
    ASSIGNED,
    AWAITING_APPROVAL,
    FIRST_CLAIM,
    OPEN,
    PLACED,
    TRANSITIONS,
    Tender,
    TenderedCase,
)
from models.tender_plan import Plan, refuse_impossible
from models.work import LENDER, Work

ONE_PERSON_SPAN: Final = dt.timedelta(hours=24)  # so that many small ones are not a way around a second person


def create(work: Work, plan: Plan) -> Tender:
    """Tender the portfolio's free cases: to one agency after another, or to a panel of whom the first takes all.

    Above the lender's limit the tender waits for a second person; else whoever is asked first has the offer. Conflict
    by the gate's code where nobody named may be asked, `no_cases_to_offer` where no case is left.
    """
    assert work.actor.side == LENDER
    panel = get_panel(work, plan)
    # Two made at once could each take one case of the same borrower: the second waits.
    turns.take(work, "offers")
    cases = tender_cases.require_some(tender_cases.read(work, plan, panel))
    require_anybody(assess(work, panel, cases))
    state = AWAITING_APPROVAL if needs_approval(work, cases.height, work.actor.member_id) else OPEN
    tender = open_tender(work, plan.portfolio_id, plan.kind, cases, _rules(plan, panel), state=state)
    if tender.state == OPEN:
        _begin(work, tender, cases)
    return tender


def assign(
    work: Work,
    portfolio_id: UUID,
    agreement_id: UUID,
    buckets: list[str] | None = None,
    case_limit: int | None = None,
    respond_hours: int = 72,
) -> Offer:
    """Offer the portfolio's free cases to the agency of one agreement, at once: `create` with one choice.

    Conflict `needs_approval` above the lender's limit: then it takes a tender, and a second person.
    """
    plan = Plan(portfolio_id, ASSIGNED, [agreement_id], buckets, None, case_limit, respond_hours)
    tender = create(work, plan)
    if tender.state == AWAITING_APPROVAL:
        raise Conflict("needs_approval")
    (offer,) = tender_offers.lock_unanswered(work, tender)
    return offer


def get_panel(work: Work, plan: Plan) -> list[Agreement]:
    """The agreements that a possible plan names, in its order; NotFound for one or a portfolio that is not ours.

    Conflict `currencies_mixed` where they differ among themselves, `currency_differs` from every case there is.
    """
    refuse_impossible(plan)
    portfolios.get(work, plan.portfolio_id)
    panel = agreements.get_each(work, plan.agreement_ids)
    if len({agreement.currency for agreement in panel}) > 1:
        raise Conflict("currencies_mixed")
    tender_cases.require_currency(work, plan.portfolio_id, panel[0].currency)
    return panel


def assess(work: Work, panel: Sequence[Agreement], cases: pl.DataFrame) -> list[eligibility.Candidate]:
    """The panel at the gate, in its order, for these cases of one currency."""
    found = eligibility.assess(work, work.tenant_id, panel, work.at, cases.height)
    return [
        one._replace(reasons=[*one.reasons, eligibility.OUTSIDE]) if not tender_cases.covered(one, cases) else one
        for one in found
    ]


def require_anybody(seats: Sequence[eligibility.Candidate]) -> None:
    """Conflict by the one agency's first reason, or `nobody_eligible`, with every reason there is in `reasons`."""
    if all(seat.reasons for seat in seats):
        found = list(dict.fromkeys(code for seat in seats for code in seat.reasons))
        raise Conflict(found[0] if len(seats) == 1 else "nobody_eligible", reasons=found)


def needs_approval(work: Work, case_count: int, by: UUID | None) -> bool:
    """Whether so many cases, with those that the same person distributed in the last day, are above what one person
    of the lender may; called under the turn at offers. `by` None: a program, which has no other way around it.
    """
    # A preview may lie for days: an allocation is distributed when it is committed.
    distributed_at = case((Tender.kind == ALLOCATION, Tender.decided_at), else_=Tender.created_at)
    before = select(func.coalesce(func.sum(Tender.case_count), 0)).where(
        tenancy.own(work, Tender),
        Tender.created_by == by,
        Tender.state.in_((OPEN, PLACED)),
        distributed_at > work.at - ONE_PERSON_SPAN,
    )
    so_far = 0 if by is None else work.session.scalars(before).one()
    return so_far + case_count > lender_settings.get(work).approval_cases


def open_tender(
    work: Work,
    portfolio_id: UUID,
    kind: str,
    cases: pl.DataFrame,
    rules: dict[str, Any],
    *,
    state: str = OPEN,
    **moments: dt.datetime,
) -> Tender:
    """A tender that holds these cases: open, or, where `needs_approval` says so, awaiting it."""
    tender = Tender(
        lender_id=work.tenant_id,
        id=new_id(),
        portfolio_id=portfolio_id,
        kind=kind,
        state=state,
        currency=cases["currency"][0],
        case_count=cases.height,
        borrower_count=cases["borrower_id"].n_unique(),
        balance=tender_cases.total(cases),
        scrubbed=scrub.count(work, portfolio_id),
        rules=rules,
        created_by=work.actor.member_id,
        created_at=work.at,
        **moments,
    )
    work.session.add(tender)
    work.session.flush()
    held = cases.select(
        *(["lot"] if "lot" in cases.columns else []),  # of sealed bids
        lender_id=pl.lit(str(tender.lender_id)),
        tender_id=pl.lit(str(tender.id)),
        case_id="case_id",
        open=True,
    )
    bulk.append(work, TenderedCase, held)
    audit.record(work, audit.Action.TENDER_CREATE, {"tender": tender.id, "kind": kind, "cases": tender.case_count})
    return tender


def list_own(
    work: Work,
    after: UUID | None = None,
    limit: int = 50,
    state: str | None = None,
    kind: str | None = None,
    portfolio_id: UUID | None = None,
) -> list[Tender]:
    """Newest first, without their previews and tapes, which are long."""
    query = select(Tender).options(defer(Tender.preview), defer(Tender.tape)).where(tenancy.own(work, Tender))
    for column, value in ((Tender.state, state), (Tender.kind, kind), (Tender.portfolio_id, portfolio_id)):
        if value is not None:
            query = query.where(column == value)
    found = list(work.session.scalars(pages.newest(query, Tender.id, after, limit)))
    undone.date(work, found)
    return found


def count_by_state(work: Work) -> dict[str, int]:
    """How many tenders stand in each state."""
    rows = work.session.execute(
        select(Tender.state, func.count()).where(tenancy.own(work, Tender)).group_by(Tender.state)
    )
    return {row[0]: row[1] for row in rows}


def get(work: Work, tender_id: UUID) -> Tender:
    found = work.session.scalar(select(Tender).where(tenancy.own(work, Tender), Tender.id == tender_id))
    if found is None:
        raise NotFound
    undone.date(work, [found])
    return found


def lock(work: Work, lender_id: UUID, tender_id: UUID) -> Tender:
    """Wait for whoever is deciding this tender now, then read it as they left it. Offers are locked after it."""
    return work.session.scalars(
        select(Tender)
        .where(tenancy.of_lender(lender_id, Tender), Tender.id == tender_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def close(work: Work, tender: Tender, act: str, now: dt.datetime) -> None:
    """Move a locked tender to its end; what it still held may be tendered again."""
    tender.state = step(TRANSITIONS, tender.state, act)
    tender.decided_at = now
    _let_go(work, tender.lender_id, TenderedCase.tender_id == tender.id)


def approve(work: Work, tender_id: UUID) -> Tender:
    """A second person opens what is above the limit; whoever is asked first has the offer now.

    Forbidden `second_person_needed` for whoever made it. Of a kind that this module does not begin, the caller does.
    """
    assert work.actor.side == LENDER
    tender = lock(work, work.tenant_id, get(work, tender_id).id)
    state = step(TRANSITIONS, tender.state, "approve")
    second_person.require(work, tender.created_by)
    tender.state, tender.approved_by, tender.approved_at = state, work.actor.member_id, work.at
    audit.record(work, audit.Action.TENDER_APPROVE, {"tender": tender.id, "cases": tender.case_count})
    if tender.kind in (ASSIGNED, FIRST_CLAIM):
        _begin(work, tender, None)
    return tender


def refuse(work: Work, tender_id: UUID) -> Tender:
    """It is never opened: a second person says no, or whoever made it takes it back. Its cases are free again."""
    assert work.actor.side == LENDER
    tender = lock(work, work.tenant_id, get(work, tender_id).id)
    close(work, tender, "refuse", work.at)
    tender.approved_by, tender.approved_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.TENDER_REFUSE, {"tender": tender.id})
    return tender


def withdraw(work: Work, tender_id: UUID) -> Tender:
    """The lender takes a tender back, with every offer of it that is not answered yet and every bid that stands."""
    assert work.actor.side == LENDER
    tender = lock(work, work.tenant_id, get(work, tender_id).id)
    close(work, tender, "withdraw", work.at)
    tender_offers.take_back(work, tender, tender_offers.lock_unanswered(work, tender), work.at)
    _call_off_bids(work, tender)
    audit.record(work, audit.Action.TENDER_WITHDRAW, {"tender": tender.id})
    return tender


def _call_off_bids(work: Work, tender: Tender) -> None:
    """End the bids on a locked tender, unopened, and tell whoever made them."""
    standing = work.session.scalars(
        select(Bid)
        .where(tenancy.own(work, Bid), Bid.tender_id == tender.id, Bid.state.in_((COMMITTED, REVEALED)))
        .order_by(Bid.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for bid in standing:
        bid.state, bid.decided_at = step(BID_TRANSITIONS, bid.state, "call_off"), work.at
    subjects = (
        {"tender": tender.id, "offer": bid.offer_id, "bid": bid.id, "agency": bid.agency_id} for bid in standing
    )
    audit.record_each(work, audit.Action.BID_WITHDRAW, subjects)
    told = [(bid.agency_id, bid.offer_id) for bid in standing]
    notices.tell_agencies(work, tender.lender_id, "bid.withdrawn", "offer", told)


def go_on(work: Work, tender: Tender, now: dt.datetime, last: Offer) -> None:
    """After an offer of a locked tender ended without a placement: ask the next choice, or run out.

    `last` is that offer. Stands in the lender's tenant, in the same transaction.
    """
    if tender_offers.lock_unanswered(work, tender) or (tender.kind == ASSIGNED and _ask_next(work, tender, now, None)):
        return
    close(work, tender, "run_out", now)
    audit.record(work, audit.Action.TENDER_RUN_OUT, {"tender": tender.id})
    told = (work, tender.lender_id, last.agency_id, TELL_LENDER)
    notices.tell(*told, "tender.unanswered", "tender", tender.id, cases=tender.case_count)


def release(work: Work, case_ids: Sequence[UUID], lender_id: UUID | None = None) -> int:
    """Take cases out of the open tenders that hold them; answers how many stood in one. An agency that crossed names
    the lender."""
    return _let_go(work, lender_id or work.tenant_id, bulk.among(TenderedCase.case_id, case_ids))


def hold(work: Work, case_ids: Sequence[UUID], lender_id: UUID) -> None:
    """Lock what open tenders hold of these cases, for whoever takes them out of those in several steps."""
    _lock_held(work, lender_id, bulk.among(TenderedCase.case_id, case_ids))


def _let_go(work: Work, lender_id: UUID, which: ColumnElement[bool]) -> int:
    """Cases that open tenders hold, locked before the first is changed; answers how many."""
    count = _lock_held(work, lender_id, which)
    held = tenancy.of_lender(lender_id, TenderedCase), TenderedCase.open, which
    work.session.execute(
        update(TenderedCase).where(*held).values(open=False).execution_options(synchronize_session=False)
    )
    return count


def _lock_held(work: Work, lender_id: UUID, which: ColumnElement[bool]) -> int:
    """In order of id, as everybody; answers how many."""
    held = tenancy.of_lender(lender_id, TenderedCase), TenderedCase.open, which
    locked = select(TenderedCase.case_id).where(*held).order_by(TenderedCase.case_id).with_for_update().subquery()
    return work.session.scalars(select(func.count()).select_from(locked)).one()


def _begin(work: Work, tender: Tender, cases: pl.DataFrame | None) -> None:
    """Make the first offers of a tender that just opened; Conflict where nobody may be asked any more."""
    if tender.kind == ASSIGNED:
        if _ask_next(work, tender, work.at, cases) is None:
            raise Conflict("nobody_eligible", reasons=_codes(tender.rules["passed_over"]))
        return
    panel = agreements.get_each(work, [UUID(agreement_id) for agreement_id in tender.rules["panel"]])
    cases = tender_cases.read_held(work, tender) if cases is None else cases
    eligibility.take_turns(work, tender.lender_id, [agreement.agency_id for agreement in panel])
    seats = assess(work, panel, cases)
    require_anybody(seats)
    tender.rules = tender.rules | {"passed_over": {str(one.agreement.id): one.reasons for one in seats if one.reasons}}
    asked = [one.agreement for one in seats if not one.reasons]
    tender_offers.make(work, tender, asked, cases, _answer_until(tender, work.at))


def _ask_next(work: Work, tender: Tender, now: dt.datetime, cases: pl.DataFrame | None) -> Offer | None:
    """The next choice whom the gate lets through has its offer; whom it does not is passed over, with the reasons."""
    left = tender_offers.choices_left(work, tender)
    found = work.session.scalars(
        select(Agreement).where(tenancy.of_lender(tender.lender_id, Agreement), Agreement.id.in_(left))
    )
    by_id = {agreement.id: agreement for agreement in found}
    eligibility.take_turns(work, tender.lender_id, [agreement.agency_id for agreement in by_id.values()])
    for agreement_id in left:
        reasons = eligibility.reasons(work, by_id[agreement_id], now, tender.case_count)
        if not reasons and not tender_cases.holds_outside(work, tender.id, by_id[agreement_id], now):
            (made,) = tender_offers.make(work, tender, [by_id[agreement_id]], cases, _answer_until(tender, now))
            return made
        passed = tender.rules.get("passed_over", {}) | {str(agreement_id): reasons or [eligibility.OUTSIDE]}
        tender.rules = tender.rules | {"passed_over": passed}
    return None


def _answer_until(tender: Tender, now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(hours=tender.rules["respond_hours"])


def _codes(passed_over: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(code for codes in passed_over.values() for code in codes))


def _rules(plan: Plan, panel: Sequence[Agreement]) -> dict[str, Any]:
    """What the tender was made by; `agency_id` where it is one agency's alone."""
    named = [str(agreement.id) for agreement in panel]
    agencies = {agreement.agency_id for agreement in panel}
    return {
        "choices" if plan.kind == ASSIGNED else "panel": named,
        "respond_hours": plan.respond_hours,
        "buckets": plan.buckets,
        "provinces": plan.provinces,
        "case_limit": plan.case_limit,
        "agency_id": str(*agencies) if len(agencies) == 1 else None,
    }
