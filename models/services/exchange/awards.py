"""Awards: sealed bids are opened once their windows have closed, judged by `models.award`, and the best one placed.

What came of it stands in a record from which anybody entitled to it computes the award again, and whose digest is in
the lender's log; each bidder has its own part of it.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from crypto.errors import SealBroken
from models import award as rules
from models.agreement import Agreement
from models.award import LOST, PART, RECORD, TIE_RULE, WON, Candidate, Result, Terms, canonical
from models.bid import COMMITTED, REVEALED, TRANSITIONS, Award, Bid
from models.errors import Conflict
from models.notice import AGENCY as TELL_AGENCY
from models.notice import LENDER as TELL_LENDER
from models.offer import OFFERED, Offer
from models.offer import TRANSITIONS as OFFER_TRANSITIONS
from models.placement import Placement
from models.services import notices, tenancy
from models.services.exchange import bids, eligibility, placing, tender_cases, tenders
from models.services.exchange.placing import BidTerms
from models.services.oversight import audit
from models.states import step
from models.tender import OPEN, SEALED_BID, Tender
from models.work import AGENCY, Work

TOLD = {WON: "bid.won", LOST: "bid.lost", rules.VOID: "bid.void"}
ACTS = {WON: "win", LOST: "lose", rules.VOID: "void"}


class _Entry(NamedTuple):
    """A standing bid at its award, with what it is judged by."""

    bid: Bid
    offer: Offer
    agreement: Agreement
    gate: list[str]
    candidate: Candidate


def award(work: Work, tender_id: UUID) -> Award:
    """Open the bids, judge them and place the tender's free cases with whoever won, at the terms that were bid.

    The lender's to ask for, or the job's. Conflict `award_too_early` while bids may still be revealed, `bid_broken`
    where one does not open: then nothing is decided.
    """
    assert work.actor.side != AGENCY
    tender = tenders.lock(work, work.tenant_id, tenders.get(work, tender_id).id)
    now = _require_ripe(work, tender)
    offers = {offer.id: offer for offer in tenders.lock_offers(work, tender)}
    standing = _lock_standing(work, tender, offers)
    eligibility.take_turns(work, tender.lender_id, [bid.agency_id for bid in standing])
    agreements = {bid.id: _lock_agreement(work, offers[bid.offer_id]) for bid in standing}
    free = placing.lock_free_cases(work, next(iter(offers.values()))) if standing else {}
    entries = [_entry(work, tender, bid, offers[bid.offer_id], agreements[bid.id], now, len(free)) for bid in standing]
    results = rules.decide(tender.id, bids.scoring_of(tender.rules), [entry.candidate for entry in entries], bool(free))
    placement = None
    for entry, result in zip(entries, results, strict=True):
        _settle(entry, result, now)
        if result.state == WON:
            placement = _place(work, entry, free, now)
    for offer in offers.values():
        if offer.state == OFFERED:
            offer.state, offer.decided_at = step(OFFER_TRANSITIONS, offer.state, "expire"), now
    tenders.close(work, tender, "place" if placement else "run_out", now)
    made = _keep(work, tender, entries, results, now)
    _tell_lender(work, tender, [*offers.values()], placement)
    for entry in entries:
        _tell_bidder(work, entry.bid)
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
    return {
        "format": PART,
        "tender": str(offer.tender_id),
        "lender": str(offer.lender_id),
        "scoring": offer.terms["scoring"],
        "tie_rule": list(TIE_RULE),
        "bid": _described(bid, offer, placing.get_agreement(work, offer)),
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


def _entry(
    work: Work, tender: Tender, bid: Bid, offer: Offer, agreement: Agreement, now: dt.datetime, case_count: int
) -> _Entry:
    """A bid opened, and its agency asked for at the gate once more."""
    gate = eligibility.reasons(work, agreement, now, case_count, besides=offer.id)
    if tender_cases.holds_outside(work, tender, agreement, now):
        gate = [*gate, tenders.OUTSIDE]
    terms, nonce = _open(work, bid) if bid.state == REVEALED else (None, None)
    candidate = Candidate(
        str(bid.id),
        bid.agency_id,
        bid.commitment,
        audit.time_text(bid.committed_at),
        offer.terms["conduct_factor"],
        terms,
        nonce,
        rules.refusal_of(gate),
    )
    return _Entry(bid, offer, agreement, gate, candidate)


def _open(work: Work, bid: Bid) -> tuple[Terms, bytes]:
    assert bid.sealed is not None
    try:
        opened = json.loads(work.vault.open_secret(bids.seal_place(bid), bid.sealed))
    except SealBroken:
        raise Conflict("bid_broken", bid=str(bid.id)) from None
    nonce = bytes.fromhex(opened.pop("nonce"))
    return rules.read_terms(opened), nonce


def _settle(entry: _Entry, result: Result, now: dt.datetime) -> None:
    """Write down what became of a bid, and of the offer it was for."""
    bid, offer, act = entry.bid, entry.offer, ACTS[result.state]
    bid.state, offer.state = step(TRANSITIONS, bid.state, act), step(OFFER_TRANSITIONS, offer.state, act)
    bid.reason = offer.outcome_reason = result.reason
    bid.decided_at = offer.decided_at = now
    bid.score = None if result.score is None else Decimal(result.score)
    if terms := entry.candidate.terms:
        bid.kind, bid.rate, bid.case_fee = terms.kind, Decimal(terms.rate), Decimal(terms.case_fee)
        bid.nonce = entry.candidate.nonce


def _place(work: Work, entry: _Entry, free: dict[UUID, Decimal], now: dt.datetime) -> Placement:
    assert entry.bid.rate is not None
    assert entry.bid.case_fee is not None
    won = BidTerms(entry.bid.rate, entry.bid.case_fee)
    return placing.place(work, entry.offer, entry.agreement, free, now, won)


def _keep(work: Work, tender: Tender, entries: Sequence[_Entry], results: Sequence[Result], now: dt.datetime) -> Award:
    """The record, and in the log the bids that were revealed and the record's digest."""
    winner = next((result.bid for result in results if result.state == WON), None)
    record = {
        "format": RECORD,
        "tender": str(tender.id),
        "lender": str(tender.lender_id),
        **{name: audit.time_text(getattr(tender, name)) for name in ("commit_until", "reveal_until")},
        "awarded_at": audit.time_text(now),
        "scoring": tender.rules["scoring"],
        "tie_rule": list(TIE_RULE),
        "bids": [_recorded(one) for one in entries],
        "outcome": rules.outcome_of(results),
        "winner": winner,
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
    for entry in entries:
        if terms := entry.candidate.terms:
            subject = {"tender": tender.id, "bid": entry.bid.id, "agency": entry.bid.agency_id, **terms._asdict()}
            audit.record(work, audit.Action.BID_OPEN, subject | {"nonce": entry.candidate.nonce})
    subject = {"tender": tender.id, "outcome": record["outcome"], "bid": winner, "digest": made.digest}
    audit.record(work, audit.Action.TENDER_AWARD, subject)
    return made


def _recorded(entry: _Entry) -> dict[str, Any]:
    """With what the gate said, also where the bid is void for something else."""
    judged = {"gate": entry.gate, "refusal": entry.candidate.refusal}
    return _described(entry.bid, entry.offer, entry.agreement) | judged


def _described(bid: Bid, offer: Offer, agreement: Agreement) -> dict[str, Any]:
    """A decided bid as records tell it."""
    return {
        "bid": str(bid.id),
        "agency": str(bid.agency_id),
        "agency_name": agreement.agency_name,
        "offer": str(bid.offer_id),
        "commitment": bid.commitment.hex(),
        "committed_at": audit.time_text(bid.committed_at),
        "revealed_at": audit.time_text(bid.revealed_at) if bid.revealed_at else None,
        "terms": {"kind": bid.kind, "rate": f"{bid.rate:.6f}", "case_fee": f"{bid.case_fee:.2f}"} if bid.kind else None,
        "nonce": bid.nonce.hex() if bid.nonce else None,
        "conduct_factor": offer.terms["conduct_factor"],
        "refusal": bid.reason if bid.reason in rules.REFUSED_BY_GATE else None,
        "state": bid.state,
        "score": None if bid.score is None else f"{bid.score:.8f}",
        "reason": bid.reason,
    }


def _tell_lender(work: Work, tender: Tender, offers: Sequence[Offer], placement: Placement | None) -> None:
    """Who has won, or, by way of one of those who were asked, that nobody has."""
    if placement is not None:
        told = (work, tender.lender_id, placement.agency_id, TELL_LENDER)
        cases = placement.case_count
        notices.tell(*told, "tender.awarded", "tender", tender.id, placement=placement.id, cases=cases)
    elif offers:
        told = (work, tender.lender_id, offers[0].agency_id, TELL_LENDER)
        notices.tell(*told, "tender.unanswered", "tender", tender.id, cases=tender.case_count)


def _tell_bidder(work: Work, bid: Bid) -> None:
    facts: dict[str, Any] = {"reason": bid.reason} if bid.reason else {}
    notices.tell(work, bid.lender_id, bid.agency_id, TELL_AGENCY, TOLD[bid.state], "offer", bid.offer_id, **facts)
