"""Offers: what an agency is shown of a tender, and what it answers.

What an agency can never see before it accepts: a case, a borrower, a mask, or a stratum of few borrowers. The
offer's row holds all that it may know; which cases it stands for is in `tendered_case`, which has no agency policy.
Another agency cannot tell that the offer exists. Whoever locks the tender first decides; offers are locked after it.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from models.errors import Conflict, Invalid, NotFound, RowError
from models.notice import AGENCY as TELL_AGENCY
from models.notice import LENDER as TELL_LENDER
from models.offer import DECLINE_REASONS, OFFERED, PLACED, TAKEN, TRANSITIONS, Offer
from models.placement import UNDONE, Placement
from models.services import notices, pages, tenancy
from models.services.exchange import (
    answering,
    bids,
    eligibility,
    frozen_terms,
    opened_bids,
    placing,
    tender_offers,
    tenders,
)
from models.services.exchange.frozen_terms import Terms
from models.services.oversight import audit
from models.states import step
from models.tender import ALLOCATION, ASSIGNED, SEALED_BID, Tender
from models.work import AGENCY, LENDER, Work


class Waiting(NamedTuple):
    """How many offers nobody has answered yet, and until when the first of them stands."""

    offer_count: int
    first_until: dt.datetime | None


class OfferFilter(NamedTuple):
    """`other_id`: the agency; for an agency, the lender."""

    other_id: UUID | None = None
    kind: str | None = None
    tender_id: UUID | None = None


ANY = OfferFilter()


class Figures(NamedTuple):
    """What an offer holds, or what was placed of it; without figures where there are too few borrowers to tell an
    agency any. How many borrowers a part of a tender has is not kept."""

    case_count: int | None
    borrower_count: int | None
    balance: Decimal | None
    is_exact: bool  # else blurred
    placement: Placement | None = None

    @property
    def is_undone(self) -> bool:
        return self.placement is not None and self.placement.state == UNDONE

    @property
    def undone_at(self) -> dt.datetime | None:
        return self.placement.ended_at if self.placement is not None and self.is_undone else None

    def state_of(self, offer: Offer) -> str:
        """As it is told: what was accepted or won, and undone since, is neither any more."""
        return UNDONE if self.is_undone else offer.state


def list_own(
    work: Work,
    after: UUID | None = None,
    limit: int = 50,
    state: str | None = None,
    portfolio_id: UUID | None = None,
    filters: OfferFilter = ANY,
) -> list[Offer]:
    """A lender's offers, or those made to an agency, newest first; `portfolio_id` is the lender's to ask for."""
    query = select(Offer).where(*_chosen(work, filters))
    if state is not None:
        query = query.where(Offer.state == state)
    if portfolio_id is not None:
        query = query.where(Offer.portfolio_id == portfolio_id)
    return answering.seen(work, work.session.scalars(pages.newest(query, Offer.id, after, limit)).all())


def count_by_state(work: Work, filters: OfferFilter = ANY) -> dict[str, int]:
    """How many of them stand in each state."""
    rows = work.session.execute(select(Offer.state, func.count()).where(*_chosen(work, filters)).group_by(Offer.state))
    return {row[0]: row[1] for row in rows}


def _chosen(work: Work, filters: OfferFilter) -> list[ColumnElement[bool]]:
    other = Offer.lender_id if work.actor.side == AGENCY else Offer.agency_id
    columns = (other, filters.other_id), (Offer.kind, filters.kind), (Offer.tender_id, filters.tender_id)
    return [tenancy.own(work, Offer), *(column == value for column, value in columns if value is not None)]


def figures(work: Work, made: Sequence[Offer]) -> dict[UUID, Figures]:
    """By offer, what its reader may know of it: what was placed of it; until then the lender all of its tender, the
    agency what it is shown."""
    before = {offer.id: shown(offer) for offer in made}
    if work.actor.side == LENDER:
        ids = {offer.tender_id for offer in made if offer.kind != ALLOCATION}
        found = work.session.scalars(select(Tender).where(tenancy.own(work, Tender), Tender.id.in_(ids)))
        exact = {tender.id: Figures(tender.case_count, tender.borrower_count, tender.balance, True) for tender in found}
        before |= {offer.id: exact[offer.tender_id] for offer in made if offer.tender_id in exact}
    taken = [offer.id for offer in made if offer.state in PLACED]
    placed = work.session.scalars(
        select(Placement).where(tenancy.own(work, Placement), Placement.offer_id == any_(literal(taken, ARRAY(Uuid))))
    )
    return before | {one.offer_id: _placed(before[one.offer_id], one) for one in placed}


def shown(offer: Offer) -> Figures:
    """Those that its agency was shown."""
    return Figures(offer.case_count, offer.borrower_count, offer.balance, offer.kind == ALLOCATION)


def _placed(before: Figures, placement: Placement) -> Figures:
    is_whole = before.is_exact and before.case_count == placement.case_count
    borrowers = before.borrower_count if is_whole else None
    return Figures(placement.case_count, borrowers, placement.referred_amount, True, placement)


def waiting(work: Work) -> Waiting:
    """Of a lender's offers, or of those made to an agency that it can answer."""
    first_until = bids.first_answer_by(work) if work.actor.side == AGENCY else func.min(Offer.expires_at)
    counted = select(func.count(), first_until).where(open_to_answer(work))
    return Waiting(*work.session.execute(counted).one())


def open_to_answer(work: Work) -> ColumnElement[bool]:
    """Offers nobody has answered; for an agency none of a lender that places nothing with it now, and none that it has
    bid on and has nothing to do about."""
    unanswered = and_(tenancy.own(work, Offer), Offer.state == OFFERED)
    if work.actor.side != AGENCY:
        return unanswered
    one_of_each = select(Offer).where(unanswered).ext(distinct_on(Offer.lender_id)).order_by(Offer.lender_id)
    shut = eligibility.shut_to(work, work.session.scalars(one_of_each).all())
    return and_(unanswered, Offer.lender_id.not_in(shut), ~bids.rests(work))


def get(work: Work, offer_id: UUID) -> Offer:
    """As its reader may see it now."""
    (found,) = answering.seen(work, [_find(work, offer_id)])
    return found


def _find(work: Work, offer_id: UUID) -> Offer:
    """As it is, for those who act on it."""
    found = work.session.scalar(select(Offer).where(tenancy.own(work, Offer), Offer.id == offer_id))
    if found is None:
        raise NotFound
    return found


def find_terms(work: Work, offer: Offer) -> Terms | None:
    """What its acceptance would freeze now, or of a bid its award; None once it is answered, and without a rate card
    in force."""
    if offer.state != OFFERED:
        return None
    at = opened_bids.placed_at(offer) if offer.kind == SEALED_BID else work.at
    return frozen_terms.explain(work, placing.get_agreement(work, offer), at)


def accept(work: Work, offer_id: UUID, terms_seen: str | None = None) -> Placement:
    """The agency takes the offer: its cases are placed with it, on the agreement's terms as they are now.

    `terms_seen` is the digest of the terms that it was shown (`frozen_terms`): Conflict `terms_changed` where they are
    others by now. Without it whatever holds is taken.

    Of a panel the first takes all: Conflict `offer_taken` for the others. Where the lender holds its own keys, the
    placement awaits the leases that its tool is asked for. Cases closed or excluded since the offer are left out, and
    those that the agreement covers no longer. The state, the deadline and the gate are looked at again under the lock.
    """
    offer = _find(work, offer_id)
    with work.as_lender(offer):
        tender = _lock(work, offer)
        _refuse_unanswerable(offer)
        offer.state = step(TRANSITIONS, offer.state, "accept")
        now = work.now()
        if now >= offer.expires_at:
            raise Conflict("offer_expired")
        agreement = placing.get_agreement(work, offer)
        eligibility.hold(work, agreement)
        free = placing.lock_free_cases(work, offer, eligibility.fits(work, agreement, now))
        answering.require(work, offer, agreement, now, tender.case_count)
        terms = frozen_terms.require(work, agreement, now, terms_seen)
        offer.decided_at = now
        if not free:
            raise Conflict("no_cases_to_place")
        placement = placing.place(work, offer, terms, free, now)
        _miss_others(work, tender, now)
        tenders.close(work, tender, "place", now)
        audit.record(
            work,
            audit.Action.OFFER_ACCEPT,
            {"offer": offer.id, "agency": offer.agency_id, "placement": placement.id, "cases": placement.case_count},
        )
        _tell_lender(work, offer, "offer.accepted", placement=placement.id, cases=placement.case_count)
    return placement


def decline(work: Work, offer_id: UUID, reason: str) -> Offer:
    """The agency says no, with one of DECLINE_REASONS: the next choice is asked, or the cases may be tendered again."""
    if reason not in DECLINE_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    offer = _find(work, offer_id)
    with work.as_lender(offer):
        tender = _lock(work, offer)
        _refuse_taken(offer)
        if bids.find_own(work, offer) is not None:
            raise Conflict("bid_stands")  # A bid is withdrawn in its window, or answered for.
        offer.state = step(TRANSITIONS, offer.state, "decline")
        offer.decline_reason, offer.decided_at = reason, work.at
        audit.record(
            work,
            audit.Action.OFFER_DECLINE,
            {"offer": offer.id, "agency": offer.agency_id, "reason": reason},
        )
        _tell_lender(work, offer, "offer.declined", reason=reason)
        tenders.go_on(work, tender, work.now(), offer)
    return get(work, offer_id)


def withdraw(work: Work, offer_id: UUID) -> Offer:
    """The lender takes back the tender that the offer shows, before it is answered."""
    assert work.actor.side == LENDER
    offer = _find(work, offer_id)
    tenders.withdraw(work, offer.tender_id)
    return offer


def expire_due(work: Work) -> int:
    """End every offer of `list_due`; answers how many."""
    return sum(end_due(work, offer_id) for offer_id in list_due(work))


def list_due(work: Work) -> list[UUID]:
    """The lender's offers whose time to answer is over, and those of agencies that may not receive any more while
    another choice waits. Sealed bids end with their award."""
    due = select(Offer.id).where(
        tenancy.own(work, Offer), Offer.state == OFFERED, Offer.kind != SEALED_BID, Offer.expires_at <= work.at
    )
    lapsed = work.session.scalars(due.order_by(Offer.tender_id, Offer.id)).all()
    stopped = [offer.id for offer in _first_of_several(work) if not _may_receive(work, offer)]
    return [*lapsed, *(offer_id for offer_id in stopped if offer_id not in lapsed)]


def end_due(work: Work, offer_id: UUID) -> bool:
    """End one of them, unless somebody was quicker, and ask the next choice. Each in a transaction of its own waits for
    nobody who waits for another."""
    offer = _find(work, offer_id)
    tender = _lock(work, offer)
    if offer.state != OFFERED:
        return False
    if offer.expires_at <= work.at:
        _expire(work, offer)
    elif tender_offers.choices_left(work, tender) and not _may_receive(work, offer):
        tender_offers.take_back(work, tender, [offer], work.at, tender_offers.INELIGIBLE)
    else:
        return False
    tenders.go_on(work, tender, work.at, offer)
    return True


def _expire(work: Work, offer: Offer) -> None:
    offer.state = step(TRANSITIONS, offer.state, "expire")
    offer.decided_at = offer.expires_at
    audit.record(work, audit.Action.OFFER_EXPIRE, {"offer": offer.id, "agency": offer.agency_id})
    for told in (TELL_LENDER, TELL_AGENCY):
        notices.tell(work, offer.lender_id, offer.agency_id, told, "offer.expired", "offer", offer.id)


def _first_of_several(work: Work) -> Sequence[Offer]:
    """Offers made to one agency while others wait for their turn."""
    query = select(Offer).join(Tender, (Tender.lender_id == Offer.lender_id) & (Tender.id == Offer.tender_id))
    several = func.jsonb_array_length(Tender.rules["choices"]) > 1
    return work.session.scalars(
        query.where(tenancy.own(work, Offer), Offer.state == OFFERED, Offer.kind == ASSIGNED, several).order_by(
            Offer.id
        )
    ).all()


def _may_receive(work: Work, offer: Offer) -> bool:
    agreement = placing.get_agreement(work, offer)
    return not answering.reasons(work, offer, agreement, work.at, offer.case_count or 0)


def _miss_others(work: Work, tender: Tender, now: dt.datetime) -> None:
    """The rest of the panel is told that another was quicker, and not who."""
    others = update(Offer).where(
        tenancy.of_lender(tender.lender_id, Offer), Offer.tender_id == tender.id, Offer.state == OFFERED
    )
    missed = (
        others.values(state=step(TRANSITIONS, OFFERED, "miss"), decided_at=now)
        .returning(Offer.agency_id, Offer.id)
        .execution_options(synchronize_session=False)
    )
    # In few statements: the rest of the panel waits for the tender's lock meanwhile.
    notices.tell_agencies(work, tender.lender_id, "offer.taken", "offer", work.session.execute(missed))


def _refuse_unanswerable(offer: Offer) -> None:
    _refuse_taken(offer)
    if offer.kind == SEALED_BID:
        raise Conflict("bid_instead")


def _refuse_taken(offer: Offer) -> None:
    if offer.state == TAKEN:
        raise Conflict("offer_taken")


def _tell_lender(work: Work, offer: Offer, kind: str, **facts: Any) -> None:
    notices.tell(work, offer.lender_id, offer.agency_id, TELL_LENDER, kind, "offer", offer.id, **facts)


def _lock(work: Work, offer: Offer) -> Tender:
    """Wait for whoever is deciding now, then read tender and offer as they left them."""
    tender = tenders.lock(work, offer.lender_id, offer.tender_id)
    work.session.refresh(offer, with_for_update=True)
    return tender
