"""Awards: sealed bids are opened once their windows have closed, judged by `models.award`, and the best ones placed.

What came of it stands in a record from which anybody entitled to it computes the award again, and whose digest is in
the lender's log; each bidder has its own part of it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select

from models import award as rules
from models.agreement import Agreement
from models.award import LOST, LOTS_PART, LOTS_TIE_RULE, PART, TIE_RULE, WON, Terms, canonical
from models.bid import COMMITTED, REVEALED, Award, Bid
from models.errors import Conflict
from models.notice import AGENCY as TELL_AGENCY
from models.notice import LENDER as TELL_LENDER
from models.offer import OFFERED, Offer
from models.offer import TRANSITIONS as OFFER_TRANSITIONS
from models.placement import Placement
from models.services import notices, tenancy
from models.services.exchange import (
    bids,
    eligibility,
    judging,
    opened_bids,
    placing,
    tender_offers,
    tenders,
)
from models.services.exchange.judging import Judged, Win
from models.services.exchange.opened_bids import BidOn, Opened
from models.services.oversight import audit
from models.states import step
from models.tender import OPEN, SEALED_BID, Tender
from models.work import AGENCY, Work

TOLD = {WON: "bid.won", LOST: "bid.lost", rules.VOID: "bid.void"}


def award(work: Work, tender_id: UUID) -> Award:
    """Open the bids, judge them and place the tender's free cases, or of its lots those that are won, at the terms bid.

    The lender's to ask for, or the job's. Conflict `award_too_early` while bids may still be revealed, `bid_broken`
    where one does not open: then nothing is decided.
    """
    assert work.actor.side != AGENCY
    tender = tenders.lock(work, work.tenant_id, tenders.get(work, tender_id).id)
    now = _require_ripe(work, tender)
    offers = {offer.id: offer for offer in tender_offers.lock_unanswered(work, tender)}
    standing = _lock_standing(work, tender, offers)
    eligibility.take_turns(work, tender.lender_id, [bid.agency_id for bid in standing])
    agreements = {bid.id: _lock_agreement(work, offers[bid.offer_id]) for bid in standing}
    free = placing.lock_free_cases(work, next(iter(offers.values()))) if standing else {}
    opened = [opened_bids.open_at_award(work, bid, offers[bid.offer_id], agreements[bid.id]) for bid in standing]
    judged = judging.judge(work, tender, opened, free, now)
    placements = [_place(work, win, now) for win in judged.wins]
    for offer in offers.values():
        if offer.state == OFFERED:
            offer.state, offer.decided_at = step(OFFER_TRANSITIONS, offer.state, "expire"), now
    tenders.close(work, tender, "place" if placements else "run_out", now)
    made = _keep(work, tender, opened, judged, now)
    _tell_lender(work, tender, [*offers.values()], placements, len(free))
    for bid in standing:
        _tell_bidder(work, bid)
    return made


def list_due(work: Work) -> list[UUID]:
    """The tenders at work whose bids wait to be opened, the oldest first."""
    return list(
        work.session.scalars(
            select(Tender.id)
            .where(
                tenancy.own(work, Tender),
                Tender.kind == SEALED_BID,
                Tender.state == OPEN,
                Tender.reveal_until <= work.at,
            )
            .order_by(Tender.reveal_until, Tender.id)
        )
    )


def find(work: Work, tender_id: UUID) -> Award | None:
    """What came of a tender, for its lender and the auditor at work there."""
    assert work.actor.side != AGENCY
    return work.session.scalar(select(Award).where(tenancy.own(work, Award), Award.tender_id == tender_id))


def part(work: Work, offer: Offer) -> dict[str, Any]:
    """What a bidder may compute again: its own bid, by the published scoring. Conflict `not_awarded` before."""
    bid = bids.find_own(work, offer)
    if bid is None or bid.state in (COMMITTED, REVEALED):
        raise Conflict("not_awarded")
    in_lots = "lots" in offer.terms["scoring"]
    return {
        "format": LOTS_PART if in_lots else PART,
        "tender": str(offer.tender_id),
        "lender": str(offer.lender_id),
        "scoring": offer.terms["scoring"],
        "tie_rule": list(LOTS_TIE_RULE if in_lots else TIE_RULE),
        "bid": judging.describe(bid, offer, placing.get_agreement(work, offer)),
    }


def _require_ripe(work: Work, tender: Tender) -> dt.datetime:
    """The time after the wait for the lock, once every window has closed."""
    if tender.kind != SEALED_BID:
        raise Conflict("no_bids_taken")
    if tender.state != OPEN or tender.reveal_until is None:
        raise Conflict("wrong_state", state=tender.state, act="award")
    now = work.now()
    if now < tender.reveal_until:
        raise Conflict("award_too_early")
    return now


def _lock_standing(work: Work, tender: Tender, offers: Mapping[UUID, Offer]) -> Sequence[Bid]:
    """The bids that stand on these offers, in the order in which they were committed."""
    return work.session.scalars(
        select(Bid)
        .where(
            tenancy.own(work, Bid),
            Bid.tender_id == tender.id,
            Bid.offer_id.in_(offers),
            Bid.state.in_((COMMITTED, REVEALED)),
        )
        .order_by(Bid.committed_at, Bid.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _lock_agreement(work: Work, offer: Offer) -> Agreement:
    """As it stands, and until the award is made."""
    agreement = placing.get_agreement(work, offer)
    work.session.refresh(agreement, with_for_update={"read": True})
    return agreement


def _place(work: Work, win: Win, now: dt.datetime) -> Placement:
    """On the very terms that the bid was judged to stand on."""
    assert win.opened.terms is not None
    return placing.place(work, win.opened.offer, win.opened.terms, win.cases, now, win.terms)


def _keep(work: Work, tender: Tender, opened: Sequence[Opened], judged: Judged, now: dt.datetime) -> Award:
    """The record, and in the log the bids that were revealed and the record's digest."""
    record = judged.record | {
        "tender": str(tender.id),
        "lender": str(tender.lender_id),
        **{name: audit.time_text(getattr(tender, name)) for name in ("commit_until", "reveal_until")},
        "awarded_at": audit.time_text(now),
        "scoring": tender.rules["scoring"],
    }
    made = Award(
        lender_id=tender.lender_id,
        tender_id=tender.id,
        record=record,
        digest=sha256(canonical(record)).digest(),
        awarded_at=now,
    )
    work.session.add(made)
    work.session.flush()
    for one in opened:
        if one.bid_on is not None:
            subject = {"tender": tender.id, "bid": one.bid.id, "agency": one.bid.agency_id, **_logged(one.bid_on)}
            audit.record(work, audit.Action.BID_OPEN, subject | {"nonce": one.nonce})
    audit.record(work, audit.Action.TENDER_AWARD, {"tender": tender.id, **judged.told, "digest": made.digest})
    return made


def _logged(bid_on: BidOn) -> dict[str, Any]:
    """What was bid, as the log names it: packages each as the text that was committed to."""
    if isinstance(bid_on, Terms):
        return bid_on._asdict()
    return {"packages": [canonical(package.spelled()).decode() for package in bid_on]}


def _tell_lender(
    work: Work, tender: Tender, offers: Sequence[Offer], placements: Sequence[Placement], free_count: int
) -> None:
    """Who has won, and what is left of the lots; or, by way of one of those who were asked, that nobody has."""
    for placement in placements:
        told = (work, tender.lender_id, placement.agency_id, TELL_LENDER)
        cases = placement.case_count
        notices.tell(*told, "tender.awarded", "tender", tender.id, placement=placement.id, cases=cases)
    left = free_count - sum(placement.case_count for placement in placements)
    if placements and left:
        told = (work, tender.lender_id, placements[0].agency_id, TELL_LENDER)
        notices.tell(*told, "tender.lots_left", "tender", tender.id, cases=left)
    if not placements and offers:
        told = (work, tender.lender_id, offers[0].agency_id, TELL_LENDER)
        notices.tell(*told, "tender.unanswered", "tender", tender.id, cases=tender.case_count)


def _tell_bidder(work: Work, bid: Bid) -> None:
    facts: dict[str, Any] = {"reason": bid.reason} if bid.reason else {}
    notices.tell(work, bid.lender_id, bid.agency_id, TELL_AGENCY, TOLD[bid.state], "offer", bid.offer_id, **facts)
