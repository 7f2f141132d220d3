"""Judging opened bids: `models.award` decides, and what became of each is written on its bid, its offer and the record.

A tender is judged as a whole, or in lots, where each package of a bid stands before the gate by itself.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from models import award as rules
from models.agreement import Agreement
from models.award import LOST, VOID, WON, Candidate, LotBid, LotResult, Package, Terms
from models.bid import TRANSITIONS, Bid
from models.offer import TRANSITIONS as OFFER_TRANSITIONS
from models.offer import Offer
from models.services.exchange import eligibility, tender_cases
from models.services.exchange import lots as tender_lots
from models.services.exchange.opened_bids import Opened
from models.services.exchange.placing import BidTerms
from models.services.oversight import audit
from models.states import step
from models.tender import Tender
from models.work import Work

ACTS = {WON: "win", LOST: "lose", VOID: "void"}

TERMS_CHANGED: Final = "terms_changed"

Cases = Mapping[UUID, Decimal]  # id → balance


class Win(NamedTuple):
    """What is placed with whom, at what was bid."""

    opened: Opened
    cases: dict[UUID, Decimal]
    terms: BidTerms


class Judged(NamedTuple):
    """`record`: the members of the award's record that the judgement makes; `told`: what the log says of it."""

    record: dict[str, Any]
    told: dict[str, Any]
    wins: list[Win]


def judge(work: Work, tender: Tender, opened: Sequence[Opened], free: Cases, now: dt.datetime) -> Judged:
    """Decide and settle these bids; `free` are the cases that can be placed."""
    in_lots = "lots" in tender.rules["scoring"]
    return (_in_lots if in_lots else _as_a_whole)(work, tender, opened, free, now)


def describe(bid: Bid, offer: Offer, agreement: Agreement) -> dict[str, Any]:
    """A decided bid as its agency's part of the record tells it."""
    told = {
        "bid": str(bid.id),
        "agency": str(bid.agency_id),
        "agency_name": agreement.agency_name,
        "offer": str(bid.offer_id),
        "commitment": bid.commitment.hex(),
        "committed_at": audit.time_text(bid.committed_at),
        "revealed_at": audit.time_text(bid.revealed_at) if bid.revealed_at else None,
        "nonce": bid.nonce.hex() if bid.nonce else None,
        "conduct_factor": offer.terms["conduct_factor"],
        "state": bid.state,
        "reason": bid.reason,
    }
    if "lots" in offer.terms["scoring"]:
        return told | {"packages": bid.packages}
    return told | {
        "terms": {"kind": bid.kind, "rate": f"{bid.rate:.6f}", "case_fee": f"{bid.case_fee:.2f}"} if bid.kind else None,
        "refusal": bid.reason if bid.reason in rules.REFUSED_BY_GATE else None,
        "score": None if bid.score is None else f"{bid.score:.8f}",
    }


def _as_a_whole(work: Work, tender: Tender, opened: Sequence[Opened], free: Cases, now: dt.datetime) -> Judged:
    gates = [_gate_of_whole(work, tender, one, len(free), now) for one in opened]
    candidates = [_candidate(one, gate) for one, gate in zip(opened, gates, strict=True)]
    scoring = tender.rules["scoring"]
    published = rules.Scoring(**scoring | {"kinds": tuple(scoring["kinds"])})
    results = rules.decide(tender.id, published, candidates, bool(free))
    wins = []
    for one, result in zip(opened, results, strict=True):
        _settle(one, result.state, result.reason, now)
        if isinstance(one.bid_on, Terms):
            _write_terms(one.bid, one.bid_on, result.score)
        if result.state == WON:
            wins.append(_win(one, dict(free)))
    winner = next((result.bid for result in results if result.state == WON), None)
    outcome = rules.outcome_of(results)
    entries = [
        describe(one.bid, one.offer, one.agreement) | {"gate": gate, "refusal": candidate.refusal}
        for one, gate, candidate in zip(opened, gates, candidates, strict=True)
    ]
    heads = {"format": rules.RECORD, "tie_rule": list(rules.TIE_RULE)}
    record = heads | {"bids": entries, "outcome": outcome, "winner": winner}
    return Judged(record, {"outcome": outcome, "bid": winner}, wins)


def _in_lots(work: Work, tender: Tender, opened: Sequence[Opened], free: Cases, now: dt.datetime) -> Judged:
    lot_of = tender_lots.lot_of(work, tender)
    scoring = rules.read_lots(tender.rules["scoring"])
    numbers = range(1, len(scoring.lots) + 1)
    by_lot = {number: {case: free[case] for case in free if lot_of[case] == number} for number in numbers}
    empty = [number for number in numbers if not by_lot[number]]
    gates = [_gates_of_packages(work, tender, one, by_lot, now) for one in opened]
    bids = [_lot_bid(one, gate) for one, gate in zip(opened, gates, strict=True)]
    results = rules.decide_lots(tender.id, scoring, bids, empty)
    wins, entries = [], []
    for one, bid, gate, result in zip(opened, bids, gates, results, strict=True):
        _settle(one, result.state, result.reason, now)
        one.bid.packages = _described_packages(bid, result)
        if result.packages and (won := _won(bid, result)):
            package, score = won
            _write_terms(one.bid, package.terms, score)
            wins.append(_win(one, {case: balance for lot in package.lots for case, balance in by_lot[lot].items()}))
        told = describe(one.bid, one.offer, one.agreement)
        told["packages"] = _with_gates(one.bid.packages, gate)
        entries.append(told)
    outcome, value = rules.lots_outcome_of(results), rules.value_of(scoring, bids, results)
    winners = rules.holders_of(scoring, bids, results)
    record = {
        "format": rules.LOTS_RECORD,
        "tie_rule": list(rules.LOTS_TIE_RULE),
        "empty_lots": empty,
        "bids": entries,
        "outcome": outcome,
        "winners": winners,
        "value": value,
    }
    return Judged(record, {"outcome": outcome, "bids": [one or "" for one in winners], "value": value}, wins)


def _gate_of_whole(work: Work, tender: Tender, one: Opened, case_count: int, now: dt.datetime) -> list[str]:
    """What the gate says of the agency now, for all that could be placed."""
    gate = eligibility.reasons(work, one.agreement, now, case_count, besides=one.offer.id)
    outside = tender_cases.holds_outside(work, tender.id, one.agreement, now)
    return [*gate, *([eligibility.OUTSIDE] if outside else []), *_changed(one)]


def _gates_of_packages(
    work: Work, tender: Tender, one: Opened, by_lot: Mapping[int, Cases], now: dt.datetime
) -> list[list[str]]:
    """The same of each package: whether there is room for its cases, and the agreement covers its lots."""
    if one.bid_on is None or isinstance(one.bid_on, Terms):
        return []
    seat = eligibility.assess(work, one.offer.lender_id, [one.agreement], now, besides=one.offer.id)[0]
    outside = tender_lots.list_outside(work, tender, seat, now)

    def gate(package: Package) -> list[str]:
        count = sum(len(by_lot[lot]) for lot in package.lots)
        full = seat.capacity_left is not None and seat.capacity_left < count
        found = [*seat.reasons, *([eligibility.FULL] if full else [])]
        beyond = [eligibility.OUTSIDE] if outside.intersection(package.lots) else []
        return list(dict.fromkeys([*found, *beyond, *_changed(one)]))

    return [gate(package) for package in one.bid_on]


def _changed(one: Opened) -> list[str]:
    """Beside the gate's reasons: a bid is not taken at terms that its bidder has not read."""
    return [] if one.terms else [TERMS_CHANGED]


def _candidate(one: Opened, gate: list[str]) -> Candidate:
    terms = one.bid_on if isinstance(one.bid_on, Terms) else None
    return Candidate(*_head(one), terms, one.nonce, rules.refusal_of(gate))


def _lot_bid(one: Opened, gates: list[list[str]]) -> LotBid:
    packages = None if one.bid_on is None or isinstance(one.bid_on, Terms) else one.bid_on
    return LotBid(*_head(one), packages, one.nonce, tuple(rules.refusal_of(gate) for gate in gates))


def _head(one: Opened) -> tuple[str, UUID, bytes, str, str]:
    bid = one.bid
    committed_at = audit.time_text(bid.committed_at)
    return str(bid.id), bid.agency_id, bid.commitment, committed_at, one.offer.terms["conduct_factor"]


def _settle(one: Opened, state: str, reason: str | None, now: dt.datetime) -> None:
    """Write down what became of a bid, and of the offer it was for."""
    bid, offer, act = one.bid, one.offer, ACTS[state]
    bid.state, offer.state = step(TRANSITIONS, bid.state, act), step(OFFER_TRANSITIONS, offer.state, act)
    bid.reason = offer.outcome_reason = reason
    bid.decided_at = offer.decided_at = now
    bid.nonce = one.nonce


def _write_terms(bid: Bid, terms: Terms, score: str | None) -> None:
    bid.kind, bid.rate, bid.case_fee = terms.kind, Decimal(terms.rate), Decimal(terms.case_fee)
    bid.score = None if score is None else Decimal(score)


def _win(one: Opened, cases: dict[UUID, Decimal]) -> Win:
    assert one.bid.rate is not None
    assert one.bid.case_fee is not None
    return Win(one, cases, BidTerms(one.bid.rate, one.bid.case_fee))


def _won(bid: LotBid, result: LotResult) -> tuple[Package, str | None] | None:
    """The package that has won, with its score."""
    found = zip(bid.packages or (), result.packages or (), strict=True)
    return next(((package, one.score) for package, one in found if one.state == WON), None)


def _described_packages(bid: LotBid, result: LotResult) -> list[dict[str, Any]] | None:
    """None where none were revealed."""
    if result.packages is None:
        return None
    found = zip(bid.packages or (), bid.refusals, result.packages, strict=True)
    return [package.spelled() | {"refusal": refusal} | one._asdict() for package, refusal, one in found]


def _with_gates(packages: list[dict[str, Any]] | None, gates: list[list[str]]) -> list[dict[str, Any]] | None:
    """As the lender's record has them."""
    if packages is None:
        return None
    return [package | {"gate": gate} for package, gate in zip(packages, gates, strict=True)]
