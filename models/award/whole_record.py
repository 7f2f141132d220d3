"""The record of an award as a whole, and a bidder's part of one, computed again."""

from typing import Any, Final
from uuid import UUID

from .shapes import (
    AwardRefused,
    Shape,
    exactly,
    is_amount,
    is_count,
    is_currency,
    is_factor,
    is_fee,
    is_fraction,
    is_hash,
    is_id,
    is_moment,
    is_object,
    is_score,
    is_text,
    list_of,
    one_of,
    or_null,
    require_members,
)
from .terms import (
    GATE_TOLD,
    KINDS,
    LOST,
    NO_CASES,
    OUTCOMES,
    REFUSED_BY_GATE,
    VOID,
    VOID_REASONS,
    WON,
    Scoring,
    Terms,
    read_terms,
    refusal_of,
)
from .whole import SCORE_LOWER, TIE_LOST, TIE_RULE, Candidate, Result, decide, judge, outcome_of

RECORD, PART = "consign/award/1", "consign/award-part/1"
# What no record can show of itself: a bid left out leaves an award that comes out as well.
OF_THESE_BIDS: Final = "that no bid is missing is shown by the digest in the audit log alone"

# What is published of how bids are judged, whatever is bid on.
PUBLISHED_SHAPE: Final[Shape] = {
    "expected_recovery": is_fraction,
    "currency": is_currency,
    "kinds": list_of(one_of(KINDS)),
    "rate_max": or_null(is_fraction),
    "case_fee_max": or_null(is_fee),
}
# What every record says of a bid beside its terms and what became of them.
HEAD_SHAPE: Final[Shape] = {
    "bid": is_id,
    "agency": is_id,
    "agency_name": is_text,
    "offer": is_id,
    "commitment": is_hash,
    "committed_at": is_moment,
    "revealed_at": or_null(is_moment),
    "nonce": or_null(is_hash),
    "conduct_factor": is_factor,
    "state": one_of((WON, LOST, VOID)),
}
# What every record begins with.
FRAME_SHAPE: Final[Shape] = {
    "tender": is_id,
    "lender": is_id,
    "commit_until": is_moment,
    "reveal_until": is_moment,
    "awarded_at": is_moment,
    "scoring": is_object,
    "bids": list_of(is_object),
    "outcome": one_of(OUTCOMES),
}
# The lender's record says every reason of the gate; the part of a bidder does not.
GATE_SHAPE: Final[Shape] = {"gate": list_of(one_of(tuple(GATE_TOLD)))}

_SCORING_SHAPE: Final[Shape] = PUBLISHED_SHAPE | {"case_count": is_count, "balance": is_amount}
_BID_SHAPE: Final[Shape] = HEAD_SHAPE | {
    "terms": or_null(is_object),
    "refusal": or_null(one_of(REFUSED_BY_GATE)),
    "score": or_null(is_score),
    "reason": or_null(one_of((SCORE_LOWER, TIE_LOST, NO_CASES, *VOID_REASONS))),
}
_ENTRY_SHAPE: Final[Shape] = _BID_SHAPE | GATE_SHAPE
_PART_SHAPE: Final[Shape] = {
    "format": one_of((PART,)),
    "tender": is_id,
    "lender": is_id,
    "scoring": is_object,
    "tie_rule": exactly(list(TIE_RULE)),
    "bid": is_object,
}
_RECORD_SHAPE: Final[Shape] = FRAME_SHAPE | {
    "format": one_of((RECORD,)),
    "tie_rule": exactly(list(TIE_RULE)),
    "winner": or_null(is_id),
}


def verify_record(record: dict[str, Any]) -> str:
    require_members("the record", record, _RECORD_SHAPE)
    scoring = _read_scoring(record["scoring"])
    require_closed(record)
    bids = [require_members(f"bid {at}", bid, _ENTRY_SHAPE) for at, bid in enumerate(record["bids"], start=1)]
    require_once(bids)
    for bid in bids:
        require_in_time(bid, record["commit_until"], record["reveal_until"])
        if bid["refusal"] != refusal_of(bid["gate"]):
            raise AwardRefused(f"bid {bid['bid']}: its refusal is not what the gate's reasons come to")
    candidates = [_read_candidate(bid) for bid in bids]
    results = decide(UUID(record["tender"]), scoring, candidates, record["outcome"] != NO_CASES)
    for bid, result in zip(bids, results, strict=True):
        _require_same(bid, result)
    winner = next((result.bid for result in results if result.state == WON), None)
    if record["winner"] != winner or record["outcome"] != outcome_of(results):
        raise AwardRefused(f"the bids come to {outcome_of(results)}, winner {winner}")
    scored = sum(one.score is not None for one in results)
    return f"VERIFIED: {len(bids)} bids, {scored} scored, winner {winner}; {OF_THESE_BIDS}"


def verify_part(part: dict[str, Any]) -> str:
    """Of one's own bid alone: that it is what was committed, and that its score is right."""
    require_members("the part", part, _PART_SHAPE)
    scoring, bid = _read_scoring(part["scoring"]), require_members("the bid", part["bid"], _BID_SHAPE)
    score, flaw = judge(UUID(part["tender"]), scoring, _read_candidate(bid))
    if bid["score"] != score:
        raise AwardRefused(f"the score is {score}, not {bid['score']}")
    if (bid["state"] == VOID) != (flaw is not None) or (flaw and bid["reason"] != flaw):
        raise AwardRefused(f"the bid is {'void: ' + flaw if flaw else 'valid'}")
    return f"VERIFIED: the bid is {bid['state']}, its score {score}"


def require_closed(record: dict[str, Any]) -> None:
    if not record["commit_until"] < record["reveal_until"] <= record["awarded_at"]:
        raise AwardRefused("the award was made before its windows had closed")


def require_once(bids: list[dict[str, Any]]) -> None:
    if len({bid["bid"] for bid in bids}) != len(bids) or len({bid["agency"] for bid in bids}) != len(bids):
        raise AwardRefused("a bid or an agency stands there twice")


def require_in_time(bid: dict[str, Any], commit_until: str, reveal_until: str) -> None:
    late = bid["committed_at"] >= commit_until
    if late or (bid["revealed_at"] and not commit_until <= bid["revealed_at"] < reveal_until):
        raise AwardRefused(f"bid {bid['bid']}: outside its window")


def require_revealed(bid: dict[str, Any], revealed: bool) -> None:
    """What was bid stands there with its nonce and its time, or none of them."""
    if {bid["nonce"] is not None, bid["revealed_at"] is not None} != {revealed}:
        raise AwardRefused(f"bid {bid['bid']}: half revealed")


def _read_scoring(given: dict[str, Any]) -> Scoring:
    require_members("the scoring", given, _SCORING_SHAPE)
    if given["balance"] == "0.00":
        raise AwardRefused("the scoring: balance is nothing")
    return Scoring(**given | {"kinds": tuple(given["kinds"])})


def _read_candidate(bid: dict[str, Any]) -> Candidate:
    revealed = bid["terms"] is not None
    require_revealed(bid, revealed)
    if revealed and bid["terms"].keys() != set(Terms._fields):
        raise AwardRefused(f"bid {bid['bid']}: its terms are not those that are committed to")
    return Candidate(
        bid["bid"],
        UUID(bid["agency"]),
        bytes.fromhex(bid["commitment"]),
        bid["committed_at"],
        bid["conduct_factor"],
        read_terms(bid["terms"]) if revealed else None,
        bytes.fromhex(bid["nonce"]) if revealed else None,
        bid["refusal"],
    )


def _require_same(bid: dict[str, Any], result: Result) -> None:
    for name in ("score", "state", "reason"):
        if bid[name] != getattr(result, name):
            raise AwardRefused(f"bid {bid['bid']}: {name} is {getattr(result, name)}, not {bid[name]}")
