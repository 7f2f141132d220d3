"""Who wins a tender that is placed as a whole: the highest score, and how ties fall."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple
from uuid import UUID

from .terms import (
    COMMITMENT_MISMATCH,
    LOST,
    NO_CASES,
    NO_VALID_BID,
    NOT_REVEALED,
    PLACED,
    VOID,
    WON,
    Scoring,
    Terms,
    commitment_of,
    flaw_of,
    score_of,
)

# Of equal scores the higher conduct factor wins, then the lower rate, then whoever committed first.
TIE_RULE: Final = ("conduct_factor", "rate", "committed_at", "commitment")
# Why a bid lost: another's score was higher, or equal and the rule broke the tie; or nothing was left to place.
SCORE_LOWER, TIE_LOST = "score_lower", "tie_lost"


class Candidate(NamedTuple):
    """One bid at the award. `terms` is None where none were revealed; `refusal` is of REFUSED_BY_GATE."""

    bid: str
    agency_id: UUID
    commitment: bytes
    committed_at: str
    conduct_factor: str
    terms: Terms | None
    nonce: bytes | None
    refusal: str | None = None


class Result(NamedTuple):
    """`score` is a text with eight places, None for what was not revealed as it was committed."""

    bid: str
    state: str
    score: str | None
    reason: str | None


def decide(tender_id: UUID, scoring: Scoring, candidates: Sequence[Candidate], placeable: bool = True) -> list[Result]:
    """What becomes of each bid, in the order given. Unless there is something `placeable` nobody wins."""
    judged = [judge(tender_id, scoring, one) for one in candidates]
    valid = [one for one, (_, flaw) in zip(candidates, judged, strict=True) if flaw is None]
    best = min(valid, key=lambda one: _rank(scoring, one), default=None)
    best_score = next((score for one, (score, _) in zip(candidates, judged, strict=True) if one is best), None)

    def result(one: Candidate, score: str | None, flaw: str | None) -> Result:
        if flaw:
            return Result(one.bid, VOID, score, flaw)
        if not placeable:
            return Result(one.bid, LOST, score, NO_CASES)
        if one is best:
            return Result(one.bid, WON, score, None)
        return Result(one.bid, LOST, score, TIE_LOST if score == best_score else SCORE_LOWER)

    return [result(one, *found) for one, found in zip(candidates, judged, strict=True)]


def outcome_of(results: Sequence[Result]) -> str:
    if any(one.state == WON for one in results):
        return PLACED
    return NO_CASES if any(one.reason == NO_CASES for one in results) else NO_VALID_BID


def judge(tender_id: UUID, scoring: Scoring, one: Candidate) -> tuple[str | None, str | None]:
    """Score and flaw. Every bid has a score, a void one too, except what was not revealed as it was committed."""
    if one.terms is None or one.nonce is None:
        return None, NOT_REVEALED
    kept = commitment_of(tender_id, one.agency_id, one.terms, one.nonce) == one.commitment
    if not kept or one.terms.kind not in scoring.kinds:
        return None, COMMITMENT_MISMATCH
    flaw = flaw_of(scoring, one.terms, one.conduct_factor, one.refusal)
    return score_of(scoring, one.terms, one.conduct_factor), flaw


def _rank(scoring: Scoring, one: Candidate) -> tuple[Fraction, Fraction, Fraction, str, bytes]:
    """The smallest is the best: by score, then by TIE_RULE."""
    assert one.terms is not None
    score = Fraction(score_of(scoring, one.terms, one.conduct_factor))
    return -score, -Fraction(one.conduct_factor), Fraction(one.terms.rate), one.committed_at, one.commitment
