"""Sealed bids: who is invited, what a bidder commits to, and the bid itself, under seal until the windows close.

A bid is committed until `commit_until` and revealed from then until `reveal_until`, by the clock of the server, read
under the tender's lock. Before the reveal nobody here knows it; then it stands sealed to the platform's own principal,
bound to its place, and `awards` alone opens it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, DateTime, and_, case, cast, func, or_, select

from models import award
from models.bid import COMMITTED, REVEALED, TRANSITIONS, VOID, WITHDRAWN, Bid
from models.errors import Conflict, Invalid, NotFound, RowError, outside
from models.ids import new_id
from models.lots import find as find_lots
from models.lots import part
from models.lots import read as read_lots
from models.notice import AGENCY as TELL_AGENCY
from models.offer import OFFERED, Offer
from models.services import notices, tenancy
from models.services.exchange import (
    agreements,
    answering,
    eligibility,
    opened_bids,
    placing,
    tender_cases,
    tender_offers,
    tenders,
    turns,
)
from models.services.exchange import lots as tender_lots
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.tender import AWAITING_APPROVAL, FIRST_CLAIM, OPEN, SEALED_BID, Tender
from models.tender_plan import Plan
from models.work import AGENCY, LENDER, Work

COMMITMENT_BYTES: Final = 32
HOURS_MAX: Final = 30 * 24  # of either window
UNREVEALED_DAYS: Final = 365
RATE_STEP: Final = Decimal("0.000001")  # the least rate that can be spelt
FEE_MAX: Final = Decimal("999999.99")  # for each case, as its spelling in models.award
COMMIT, REVEAL = "commit", "reveal"


class Windows(NamedTuple):
    """`open` is COMMIT, REVEAL or None, where both have closed."""

    commit_until: dt.datetime
    reveal_until: dt.datetime
    open: str | None


def invite(
    work: Work,
    portfolio_id: UUID,
    agreement_ids: Sequence[UUID],
    buckets: list[str] | None,
    case_limit: int | None,
    commit_hours: int,
    reveal_hours: int,
    expected_recovery: Decimal,
    kinds: Sequence[str] = award.KINDS,
    provinces: list[str] | None = None,
    rate_max: Decimal | None = None,
    case_fee_max: Decimal | None = None,
    lots: Sequence[Mapping[str, Sequence[str] | None]] | None = None,
) -> Tender:
    """Ask the agencies of these agreements for sealed bids on the portfolio's free cases.

    `expected_recovery` is the fraction of the balance that the scoring counts on; `kinds` are of `award.KINDS`. A bid
    above `rate_max` (a fraction) or `case_fee_max` is refused; None: whatever still scores. `lots`, as `models.lots`
    reads them, part the cases: then bids are on parts and bundles. Above the lender's limit the tender waits for a
    second person, and its windows begin with the approval. Whom the gate refuses, for every lot, is passed over;
    Conflict `nobody_eligible` where that is everybody.
    """
    assert work.actor.side == LENDER
    _refuse_impossible(commit_hours, reveal_hours, expected_recovery, kinds, rate_max, case_fee_max)
    parted = None if lots is None else read_lots(lots)
    plan = Plan(portfolio_id, FIRST_CLAIM, agreement_ids, buckets, provinces, case_limit)  # to a panel, as a claim is
    panel = tenders.get_panel(work, plan)
    agencies = {agreement.agency_id for agreement in panel}
    if len(agencies) < len(panel):
        raise Invalid(errors=[RowError(0, "agreement_ids", "duplicate")])
    turns.take(work, "offers")
    cases = tender_cases.read(work, plan, panel)
    if cases.is_empty():
        raise Conflict("no_cases_to_offer")
    if parted is not None:
        cases = part(cases, parted, lender_settings.get(work).tape_borrowers_min)
    tenders.require_anybody([seat.candidate for seat in tender_lots.assess(work, panel, cases, parted)])
    rules = {
        "panel": [str(agreement.id) for agreement in panel],
        "agency_id": str(*agencies) if len(agencies) == 1 else None,
        "buckets": buckets,
        "provinces": provinces,
        "case_limit": case_limit,
        "commit_hours": commit_hours,
        "reveal_hours": reveal_hours,
        "expected_recovery": f"{expected_recovery:.6f}",
        "kinds": list(kinds),
        "rate_max": None if rate_max is None else f"{rate_max:.6f}",
        "case_fee_max": None if case_fee_max is None else f"{case_fee_max:.2f}",
        "lots": None if parted is None else parted._asdict(),
    }
    state = AWAITING_APPROVAL if tenders.needs_approval(work, cases.height, work.actor.member_id) else OPEN
    tender = tenders.open_tender(work, portfolio_id, SEALED_BID, cases, rules, state=state)
    if tender.state == OPEN:
        _begin(work, tender, cases)
    return tender


def approve(work: Work, tender_id: UUID) -> Tender:
    """A second person opens what is above the limit: the agencies are asked now, and their windows begin."""
    if tenders.get(work, tender_id).kind != SEALED_BID:
        raise Conflict("no_bids_taken")
    tender = tenders.approve(work, tender_id)
    _begin(work, tender, tender_lots.read_held(work, tender))
    return tender


def windows(offer: Offer, at: dt.datetime) -> Windows:
    """When a bidder may do what, and which window is open at that time."""
    commit_until, reveal_until = (dt.datetime.fromisoformat(offer.terms[name]) for name in Windows._fields[:2])
    return Windows(commit_until, reveal_until, COMMIT if at < commit_until else REVEAL if at < reveal_until else None)


def find_own(work: Work, offer: Offer) -> Bid | None:
    """The agency's own bid on an offer, if one stands; also while it crosses."""
    assert work.actor.side == AGENCY
    return work.session.scalar(
        select(Bid).where(
            tenancy.of_lender(offer.lender_id, Bid),
            tenancy.own(work, Bid),
            Bid.offer_id == offer.id,
            Bid.state != WITHDRAWN,
        )
    )


def list_standing(work: Work, made: Sequence[Offer]) -> dict[UUID, Bid]:
    """By offer, the agency's own bid, where one stands."""
    assert work.actor.side == AGENCY
    ids = [offer.id for offer in made if offer.kind == SEALED_BID]
    standing = (tenancy.own(work, Bid), Bid.offer_id.in_(ids), Bid.state != WITHDRAWN)
    return {bid.offer_id: bid for bid in work.session.scalars(select(Bid).where(*standing))}


def answer_by(offer: Offer, bid: Bid | None) -> dt.datetime:
    """Until when its agency takes the next step: of a sealed bid first the commitment, then revealing it."""
    awaits_commitment = offer.kind == SEALED_BID and bid is None
    return windows(offer, offer.created_at).commit_until if awaits_commitment else offer.expires_at


def first_answer_by(work: Work) -> ColumnElement[dt.datetime]:
    """The same for the first of the offers that do not rest: before the commitments' end none of them has a bid."""
    commit_until = cast(Offer.terms["commit_until"].astext, DateTime(timezone=True))
    return func.min(case((_is_early(work), commit_until), else_=Offer.expires_at))


def rests(work: Work) -> ColumnElement[bool]:
    """Of an offer: whether the agency has nothing to do before the next window, be it that it did not bid in time."""
    own = select(Bid.id).where(tenancy.own(work, Bid), Bid.offer_id == Offer.id, Bid.state != WITHDRAWN)
    has_done = own.where((Bid.state == REVEALED) | (Bid.state == COMMITTED) & _is_early(work)).exists()
    return or_(has_done, and_(Offer.kind == SEALED_BID, ~_is_early(work), ~own.exists()))


def _is_early(work: Work) -> ColumnElement[bool]:
    """Of an offer: whether a sealed bid may still be committed to; false for every other kind."""
    return and_(Offer.kind == SEALED_BID, Offer.terms["commit_until"].astext > audit.time_text(work.at))


def commit(work: Work, offer_id: UUID, commitment: bytes, terms_seen: str | None = None) -> Bid:
    """Bind the agency to a bid that nobody else can read yet; its entry is the commitment's proof.

    `terms_seen` is the digest of the terms that it was shown (`frozen_terms`): Conflict `terms_changed` where they are
    others by now. Without it the bid stands on whatever holds. Where they change later, the award finds it void.

    Conflict `commit_window_closed`, or `bid_stands` until the earlier commitment is withdrawn.
    """
    if len(commitment) != COMMITMENT_BYTES:
        raise Invalid(errors=[RowError(0, "commitment", "wrong_shape")])
    offer = _get(work, offer_id)
    with work.as_lender(offer):
        tender = _lock(work, offer)
        now = _require_before(work, tender.commit_until, "commit_window_closed")
        agreement = placing.get_agreement(work, offer)
        eligibility.hold(work, agreement)
        answering.require(work, offer, agreement, now, answering.least_cases(offer))
        if find_own(work, offer) is not None:
            raise Conflict("bid_stands")
        opened_bids.stand_on(work, offer, agreement, terms_seen)
        bid = Bid(
            lender_id=offer.lender_id,
            id=new_id(),
            agency_id=offer.agency_id,
            offer_id=offer.id,
            tender_id=tender.id,
            state=COMMITTED,
            commitment=commitment,
            committed_by=work.actor.member_id,
            committed_at=now,
        )
        said = {"commitment": commitment, opened_bids.TERMS_DIGEST: offer.terms[opened_bids.TERMS_DIGEST]}
        bid.entry_leaf = audit.record(work, audit.Action.BID_COMMIT, _named(bid) | said, at=now)
        work.session.add(bid)
        work.session.flush()
    return bid


def withdraw(work: Work, offer_id: UUID) -> Bid:
    """Take the commitment back while others may still be made; the agency is free to commit again."""
    offer = _get(work, offer_id)
    with work.as_lender(offer):
        tender = _lock(work, offer)
        now = _require_before(work, tender.commit_until, "commit_window_closed")
        bid = _get_standing(work, offer)
        bid.state = step(TRANSITIONS, bid.state, "withdraw")
        bid.decided_at = now
        audit.record(work, audit.Action.BID_WITHDRAW, _named(bid))
    return bid


def reveal(work: Work, offer_id: UUID, given: Mapping[str, Any], nonce: bytes) -> Bid:
    """Show the bid that was committed; repeating it changes nothing.

    The gate is not asked: an agency that it has shut out since its commitment learns nothing by revealing, and need not
    be counted among those that never revealed. The award asks the gate, and such a bid cannot win while it is shut.

    `given` has the texts of `award.Terms`, or where the tender is in lots `packages`: a list of these with `lots`
    beside. Conflict `reveal_window_not_open` or `reveal_window_closed`, `not_committed`, or `commitment_mismatch`;
    Invalid by package (row) and field, `above_maximum` too.
    """
    offer = _get(work, offer_id)
    bid_on = opened_bids.read(offer.terms, given, nonce)
    with work.as_lender(offer):
        tender = _lock(work, offer)
        now = _require_before(work, tender.reveal_until, "reveal_window_closed")
        if tender.commit_until is None or now < tender.commit_until:
            raise Conflict("reveal_window_not_open")
        bid = _get_standing(work, offer)
        if opened_bids.commitment_of(offer, bid_on, nonce) != bid.commitment:
            raise Conflict("commitment_mismatch")
        opened_bids.require_asked_for(offer.terms, given)
        if bid.state == REVEALED:
            return bid
        bid.state = step(TRANSITIONS, bid.state, "reveal")
        bid.revealed_at = now
        bid.sealed = opened_bids.seal_bid(work, bid, bid_on, nonce)
        audit.record(work, audit.Action.BID_REVEAL, _named(bid))
    return bid


def remind(work: Work) -> int:
    """Tell whoever has committed, once, that the time to reveal has begun; answers how many were told now."""
    waiting = work.session.scalars(
        select(Bid)
        .join(Tender, (Tender.lender_id == Bid.lender_id) & (Tender.id == Bid.tender_id))
        .where(
            tenancy.own(work, Bid),
            Bid.state == COMMITTED,
            Tender.state == OPEN,
            Tender.commit_until <= work.at,
            Tender.reveal_until > work.at,
        )
        .order_by(Bid.id)
    )
    return sum(
        notices.tell(work, bid.lender_id, bid.agency_id, TELL_AGENCY, "bid.reveal_due", "offer", bid.offer_id)
        for bid in waiting.all()
    )


def count_unrevealed(work: Work) -> dict[UUID, int]:
    """By agency: how many of its bids to this lender became void in the last year because it never revealed them."""
    since = work.at - dt.timedelta(days=UNREVEALED_DAYS)
    rows = work.session.execute(
        select(Bid.agency_id, func.count())
        .where(tenancy.own(work, Bid), Bid.state == VOID, Bid.reason == award.NOT_REVEALED, Bid.decided_at >= since)
        .group_by(Bid.agency_id)
    )
    return {row[0]: row[1] for row in rows}


def _begin(work: Work, tender: Tender, cases: pl.DataFrame) -> None:
    """Make the offers of a tender that just opened, to whom the gate lets through."""
    panel = agreements.get_each(work, [UUID(agreement_id) for agreement_id in tender.rules["panel"]])
    eligibility.take_turns(work, tender.lender_id, [agreement.agency_id for agreement in panel])
    seats = tender_lots.assess(work, panel, cases, find_lots(tender.rules))
    tenders.require_anybody([seat.candidate for seat in seats])
    tender.commit_until = work.at + dt.timedelta(hours=tender.rules["commit_hours"])
    tender.reveal_until = tender.commit_until + dt.timedelta(hours=tender.rules["reveal_hours"])
    asked = [seat for seat in seats if not seat.candidate.reasons]
    invited = [one.candidate.agreement for one in asked]
    offers = tender_offers.make(work, tender, invited, cases, tender.reveal_until)
    scoring = _scoring(tender, offers[0])
    passed_over = {str(one.candidate.agreement.id): one.candidate.reasons for one in seats if one.candidate.reasons}
    tender.rules = tender.rules | {"passed_over": passed_over, "scoring": scoring}
    for offer, seat in zip(offers, asked, strict=True):
        offer.terms = {
            "commit_until": audit.time_text(tender.commit_until),
            "reveal_until": audit.time_text(tender.reveal_until),
            "scoring": scoring,
            "tie_rule": list(award.LOTS_TIE_RULE if "lots" in scoring else award.TIE_RULE),
            "conduct_factor": f"{seat.candidate.conduct_factor:.4f}",
            "lots_outside": seat.outside,
        }
    work.session.flush()


def _scoring(tender: Tender, shown: Offer) -> dict[str, Any]:
    """What every bid is judged by: figures of the tape, which is the same for all. Conflict `too_few_to_score`."""
    limits = {name: tender.rules[name] for name in ("expected_recovery", "kinds", "rate_max", "case_fee_max")}
    lots = find_lots(tender.rules)
    if lots is None:
        published: dict[str, Any] = {"case_count": shown.case_count, "balance": f"{shown.balance or 0:.2f}"}
        figures = [published]
    else:
        figures = tender_lots.published(shown.strata, lots)
        published = {"divided_by": lots.divided_by, "lots": figures}
    if not figures or not all(one["case_count"] and Decimal(one["balance"]) for one in figures):
        raise Conflict("too_few_to_score")
    return {"currency": shown.currency, **limits, **published}


def _get(work: Work, offer_id: UUID) -> Offer:
    """The agency's own offer of this kind; Conflict `no_bids_taken` for one of another."""
    assert work.actor.side == AGENCY
    offer = work.session.scalar(select(Offer).where(tenancy.own(work, Offer), Offer.id == offer_id))
    if offer is None:
        raise NotFound
    if offer.kind != SEALED_BID:
        raise Conflict("no_bids_taken")
    return offer


def _lock(work: Work, offer: Offer) -> Tender:
    """Wait for whoever decides the tender now; Conflict `wrong_state` where the offer is open no more."""
    tender = tenders.lock(work, offer.lender_id, offer.tender_id)
    work.session.refresh(offer, with_for_update=True)
    if offer.state != OFFERED:
        raise Conflict("wrong_state", state=offer.state, act="bid")
    return tender


def _get_standing(work: Work, offer: Offer) -> Bid:
    bid = find_own(work, offer)
    if bid is None:
        raise Conflict("not_committed")
    return bid


def _require_before(work: Work, until: dt.datetime | None, code: str) -> dt.datetime:
    """The time after the wait for the lock, which decides."""
    now = work.now()
    if until is None or now >= until:
        raise Conflict(code)
    return now


def _named(bid: Bid) -> dict[str, Any]:
    return {"tender": bid.tender_id, "offer": bid.offer_id, "bid": bid.id, "agency": bid.agency_id}


def _refuse_impossible(
    commit_hours: int,
    reveal_hours: int,
    expected_recovery: Decimal,
    kinds: Sequence[str],
    rate_max: Decimal | None,
    case_fee_max: Decimal | None,
) -> None:
    unknown = not kinds or not set(kinds) <= set(award.KINDS) or len(set(kinds)) != len(kinds)
    hours = {"commit_hours": commit_hours, "reveal_hours": reveal_hours}
    faults = [
        *(fault for name, value in hours.items() for fault in outside(name, value, 1, HOURS_MAX)),
        *outside("expected_recovery", expected_recovery, RATE_STEP, Decimal(1)),
        *([RowError(0, "kinds", "unknown_value")] if unknown else []),
        *outside("rate_max", rate_max, RATE_STEP, Decimal(1)),
        *outside("case_fee_max", case_fee_max, 0, FEE_MAX),
    ]
    if faults:
        raise Invalid(errors=faults)
