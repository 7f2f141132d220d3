"""Who wins a tender of sealed bids: what a bidder commits to, how bids are scored, and how ties fall.

Pure, and of the standard library alone: this file may be copied and used elsewhere. `python -m models.award verify
FILE` computes a whole award again from its record, or a bidder's own part of one.

A commitment is SHA-256 over `consign/bid/1`, a zero byte, and then tender id, agency id, terms and nonce, each behind
its length in four big-endian bytes. Ids are 16 raw bytes, the nonce 32; terms are RFC 8785 JSON of three strings:
`{"case_fee":"0.00","kind":"rate","rate":"0.180000"}`.

    score = (expected recovery * (1 - rate) - case fee * cases / balance) * conduct factor

with the figures that were published to every bidder, exact, and then rounded to 8 places, half away from zero. A bid
that scores nought or less is void, and so is one above a maximum that was published.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

RECORD, PART = "consign/award/1", "consign/award-part/1"
RATE, HYBRID = "rate", "hybrid"
KINDS: Final = (RATE, HYBRID)
# Of equal scores the higher conduct factor wins, then the lower rate, then whoever committed first.
TIE_RULE: Final = ("conduct_factor", "rate", "committed_at", "commitment")
WON, LOST, VOID = "won", "lost", "void"
# How a tender of bids ends.
PLACED, NO_VALID_BID, NO_CASES = "placed", "no_valid_bid", "no_cases_to_place"
OUTCOMES: Final = (PLACED, NO_VALID_BID, NO_CASES)
# Why a bid lost: another's score was higher, or equal and the rule broke the tie; or nothing was left to place.
SCORE_LOWER, TIE_LOST = "score_lower", "tie_lost"
# Why a bid is void, beside what the gate says: it was never revealed as it was committed, or nobody would pay it.
NOT_REVEALED, COMMITMENT_MISMATCH = "not_revealed", "commitment_mismatch"
ABOVE_MAXIMUM, SCORE_NOT_POSITIVE = "above_maximum", "score_not_positive"
INELIGIBLE = "ineligible"
# What an agency is told of each reason of the gate: what its own papers, agreement, territory and capacity show, as it
# is; what rests on figures and decisions of the lender's, in one word.
GATE_TOLD: Final = {
    "agreement_not_in_force": "agreement_not_in_force",
    "processing_agreement_missing": "processing_agreement_missing",
    "impact_assessment_missing": "impact_assessment_missing",
    "no_rate_card_in_force": "no_rate_card_in_force",
    "agency_suspended": INELIGIBLE,
    "agency_frozen": INELIGIBLE,
    "agency_removed": INELIGIBLE,
    "licence_missing": "licence_missing",
    "insurance_missing": "insurance_missing",
    "due_diligence_missing": "due_diligence_missing",
    "training_missing": "training_missing",
    "licence_expired": "licence_expired",
    "insurance_expired": "insurance_expired",
    "due_diligence_expired": "due_diligence_expired",
    "training_expired": "training_expired",
    "licence_elsewhere": "licence_elsewhere",
    "conduct_score_too_low": INELIGIBLE,
    "complaints_too_many": INELIGIBLE,
    "capacity_exceeded": "capacity_exceeded",
    "cases_outside_agreement": "cases_outside_agreement",
}
REFUSED_BY_GATE: Final = tuple(dict.fromkeys(GATE_TOLD.values()))
VOID_REASONS: Final = (*REFUSED_BY_GATE, NOT_REVEALED, COMMITMENT_MISMATCH, ABOVE_MAXIMUM, SCORE_NOT_POSITIVE)

NONCE_BYTES: Final = 32
SCORE_PLACES: Final = 8

_LABEL = b"consign/bid/1\x00"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FRACTION = re.compile(r"0\.[0-9]{6}|1\.000000")
_FACTOR = re.compile(r"0\.[0-9]{4}|1\.0000")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})\.[0-9]{2}")
_FEE = re.compile(r"(0|[1-9][0-9]{0,5})\.[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00")
_CURRENCY = re.compile(r"[A-Z]{3}")


# Whether a member of a record is in its form, by name.
Fits = Callable[[object], bool]
Shape = dict[str, Fits]


class AwardRefused(ValueError):
    """The record does not come out as written; the text says where and what."""


class Terms(NamedTuple):
    """What is bid, as the texts that are committed to: a fraction with six places, and money with two."""

    kind: str
    rate: str
    case_fee: str

    def canonical(self) -> bytes:
        return canonical(self._asdict())


class Scoring(NamedTuple):
    """What is published to every bidder before anyone commits."""

    expected_recovery: str  # of the balance, as a fraction with six places
    case_count: int
    balance: str
    currency: str
    kinds: tuple[str, ...]
    rate_max: str | None = None  # None: any that still scores
    case_fee_max: str | None = None


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


def canonical(value: Any) -> bytes:
    """RFC 8785, for what stands in a record: texts, small integers, nulls and booleans under names in ASCII."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_terms(given: Mapping[str, object]) -> Terms:
    """Terms in their one spelling; AwardRefused names the member that is not in it."""
    for name, fits in (("kind", _one_of(KINDS)), ("rate", _matches(_FRACTION)), ("case_fee", _matches(_FEE))):
        if not fits(given.get(name)):
            raise AwardRefused(name)
    if given["kind"] == RATE and given["case_fee"] != "0.00":
        raise AwardRefused("case_fee")
    return Terms(str(given["kind"]), str(given["rate"]), str(given["case_fee"]))


def commitment_of(tender_id: UUID, agency_id: UUID, terms: Terms, nonce: bytes) -> bytes:
    """The 32 bytes that bind an agency to its terms in one tender, and tell nothing of them without the nonce."""
    parts = (tender_id.bytes, agency_id.bytes, terms.canonical(), nonce)
    return sha256(_LABEL + b"".join(len(part).to_bytes(4) + part for part in parts)).digest()


def told(gate: Sequence[str]) -> list[str]:
    """The gate's reasons as their agency is told them."""
    return list(dict.fromkeys(GATE_TOLD[code] for code in gate))


def refusal_of(gate: Sequence[str]) -> str | None:
    """What the gate's reasons make of a bid: it is void by the first that its agency is told."""
    return next(iter(told(gate)), None)


def exceeded(scoring: Scoring, terms: Terms) -> list[str]:
    """Which members of the terms are above the maximum that was published."""
    limits = {"rate": scoring.rate_max, "case_fee": scoring.case_fee_max}
    given = terms._asdict()
    return [name for name, limit in limits.items() if limit is not None and Fraction(given[name]) > Fraction(limit)]


def score_of(scoring: Scoring, terms: Terms, conduct_factor: str) -> str:
    """What one unit of the balance is expected to bring the lender, times the agency's conduct factor."""
    kept = Fraction(scoring.expected_recovery) * (1 - Fraction(terms.rate))
    fees = Fraction(terms.case_fee) * scoring.case_count / Fraction(scoring.balance)
    return _rounded((kept - fees) * Fraction(conduct_factor))


def decide(tender_id: UUID, scoring: Scoring, candidates: Sequence[Candidate], placeable: bool = True) -> list[Result]:
    """What becomes of each bid, in the order given. Unless there is something `placeable` nobody wins."""
    flaws = {one.bid: _flaw(tender_id, scoring, one) for one in candidates}
    scores = {one.bid: _score(scoring, one, flaws[one.bid]) for one in candidates}
    valid = [one for one in candidates if flaws[one.bid] is None]
    best = min(valid, key=lambda one: _rank(scoring, one), default=None)

    def result(one: Candidate) -> Result:
        score = scores[one.bid]
        if flaw := flaws[one.bid]:
            return Result(one.bid, VOID, score, flaw)
        if not placeable:
            return Result(one.bid, LOST, score, NO_CASES)
        if one is best:
            return Result(one.bid, WON, score, None)
        assert best is not None
        return Result(one.bid, LOST, score, TIE_LOST if score == scores[best.bid] else SCORE_LOWER)

    return [result(one) for one in candidates]


def outcome_of(results: Sequence[Result]) -> str:
    if any(one.state == WON for one in results):
        return PLACED
    return NO_CASES if any(one.reason == NO_CASES for one in results) else NO_VALID_BID


def verify(text: bytes) -> str:
    """Compute a record or a part again; one line that says what came out, or AwardRefused."""
    try:
        document = json.loads(text)
        spelled = canonical(document)
    except (ValueError, RecursionError):
        raise AwardRefused("not a document in JSON") from None
    if not isinstance(document, dict) or document.get("format") not in _READERS:
        raise AwardRefused(f"neither {RECORD} nor {PART}")
    if spelled != text:
        raise AwardRefused("not in its canonical spelling: this is not the file as it was downloaded")
    return _READERS[document["format"]](document)


def verify_file(path: Path) -> int:
    """Print what came out. Exit code 0: as written; 1: not; 2: the file cannot be read."""
    try:
        text = path.read_bytes()
    except OSError as unreadable:
        print(f"{path}: {unreadable.strerror}", file=sys.stderr)
        return 2
    try:
        found = verify(text)
    except AwardRefused as refused:
        print(f"REFUSED: {refused}", file=sys.stderr)
        return 1
    print(f"{found}\nSHA-256 of the file, as the audit log names it: {sha256(text).hexdigest()}")
    return 0


def _verify_record(record: dict[str, Any]) -> str:
    _require_members("the record", record, _RECORD_SHAPE)
    scoring = _read_scoring(record["scoring"])
    if not record["commit_until"] < record["reveal_until"] <= record["awarded_at"]:
        raise AwardRefused("the award was made before its windows had closed")
    bids = [_require_members(f"bid {at}", bid, _ENTRY_SHAPE) for at, bid in enumerate(record["bids"], start=1)]
    if len({bid["bid"] for bid in bids}) != len(bids) or len({bid["agency"] for bid in bids}) != len(bids):
        raise AwardRefused("a bid or an agency stands there twice")
    for bid in bids:
        _require_in_time(bid, record["commit_until"], record["reveal_until"])
        if bid["refusal"] != refusal_of(bid["gate"]):
            raise AwardRefused(f"bid {bid['bid']}: its refusal is not what the gate's reasons come to")
    candidates = [_read_candidate(bid) for bid in bids]
    results = decide(UUID(record["tender"]), scoring, candidates, record["outcome"] != NO_CASES)
    for bid, result in zip(bids, results, strict=True):
        _require_same(bid, result)
    winner = next((result.bid for result in results if result.state == WON), None)
    if record["winner"] != winner or record["outcome"] != outcome_of(results):
        raise AwardRefused(f"the bids come to {outcome_of(results)}, winner {winner}")
    return f"VERIFIED: {len(bids)} bids, {sum(one.score is not None for one in results)} scored, winner {winner}"


def _verify_part(part: dict[str, Any]) -> str:
    """Of one's own bid alone: that it is what was committed, and that its score is right."""
    _require_members("the part", part, _PART_SHAPE)
    scoring, bid = _read_scoring(part["scoring"]), _require_members("the bid", part["bid"], _BID_SHAPE)
    one = _read_candidate(bid)
    flaw = _flaw(UUID(part["tender"]), scoring, one)
    score = _score(scoring, one, flaw)
    if bid["score"] != score:
        raise AwardRefused(f"the score is {score}, not {bid['score']}")
    if (bid["state"] == VOID) != (flaw is not None) or (flaw and bid["reason"] != flaw):
        raise AwardRefused(f"the bid is {'void: ' + flaw if flaw else 'valid'}")
    return f"VERIFIED: the bid is {bid['state']}, its score {score}"


def _flaw(tender_id: UUID, scoring: Scoring, one: Candidate) -> str | None:
    """Why a bid is void, if it is. What is wrong with the bid itself comes before what the gate says."""
    if one.terms is None or one.nonce is None:
        return NOT_REVEALED
    kept = commitment_of(tender_id, one.agency_id, one.terms, one.nonce) == one.commitment
    if not kept or one.terms.kind not in scoring.kinds:
        return COMMITMENT_MISMATCH
    if exceeded(scoring, one.terms):
        return ABOVE_MAXIMUM
    if Fraction(score_of(scoring, one.terms, one.conduct_factor)) <= 0:
        return SCORE_NOT_POSITIVE
    return one.refusal


def _score(scoring: Scoring, one: Candidate, flaw: str | None) -> str | None:
    """Every bid has one, a void one too, except what was not revealed as committed."""
    if one.terms is None or flaw in (NOT_REVEALED, COMMITMENT_MISMATCH):
        return None
    return score_of(scoring, one.terms, one.conduct_factor)


def _rank(scoring: Scoring, one: Candidate) -> tuple[Fraction, Fraction, Fraction, str, bytes]:
    """The smallest is the best: by score, then by TIE_RULE."""
    assert one.terms is not None
    score = Fraction(score_of(scoring, one.terms, one.conduct_factor))
    return -score, -Fraction(one.conduct_factor), Fraction(one.terms.rate), one.committed_at, one.commitment


def _rounded(exact: Fraction) -> str:
    """To SCORE_PLACES, half away from zero; zero has no sign."""
    scale = 10**SCORE_PLACES
    units = int(abs(exact) * scale + Fraction(1, 2))
    sign = "-" if exact < 0 and units else ""
    return f"{sign}{units // scale}.{units % scale:0{SCORE_PLACES}d}"


def _one_of(values: Sequence[str]) -> Fits:
    return lambda value: isinstance(value, str) and value in values


def _matches(pattern: re.Pattern[str]) -> Fits:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _or_null(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_moment(value: object) -> bool:
    return _matches(_TIME)(value) and _is_calendar(str(value))


def _is_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _list_of(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_IS_ID, _IS_HASH = _matches(_UUID), _matches(_HASH)
_SCORING_SHAPE: Final[Shape] = {
    "expected_recovery": _matches(_FRACTION),
    "case_count": _is_count,
    "balance": _matches(_AMOUNT),
    "currency": _matches(_CURRENCY),
    "kinds": _list_of(_one_of(KINDS)),
    "rate_max": _or_null(_matches(_FRACTION)),
    "case_fee_max": _or_null(_matches(_FEE)),
}
_BID_SHAPE: Final[Shape] = {
    "bid": _IS_ID,
    "agency": _IS_ID,
    "agency_name": lambda value: isinstance(value, str),
    "offer": _IS_ID,
    "commitment": _IS_HASH,
    "committed_at": _is_moment,
    "revealed_at": _or_null(_is_moment),
    "terms": _or_null(_is_object),
    "nonce": _or_null(_IS_HASH),
    "conduct_factor": _matches(_FACTOR),
    "refusal": _or_null(_one_of(REFUSED_BY_GATE)),
    "state": _one_of((WON, LOST, VOID)),
    "score": _or_null(_matches(re.compile(r"-?[0-9]+\.[0-9]{8}"))),
    "reason": _or_null(_one_of((SCORE_LOWER, TIE_LOST, NO_CASES, *VOID_REASONS))),
}
# The lender's record also says every reason of the gate.
_ENTRY_SHAPE: Final[Shape] = _BID_SHAPE | {"gate": _list_of(_one_of(tuple(GATE_TOLD)))}
_PART_SHAPE: Final[Shape] = {
    "format": _one_of((PART,)),
    "tender": _IS_ID,
    "lender": _IS_ID,
    "scoring": _is_object,
    "tie_rule": lambda value: value == list(TIE_RULE),
    "bid": _is_object,
}
_RECORD_SHAPE: Final[Shape] = {
    "format": _one_of((RECORD,)),
    "tender": _IS_ID,
    "lender": _IS_ID,
    "commit_until": _is_moment,
    "reveal_until": _is_moment,
    "awarded_at": _is_moment,
    "scoring": _is_object,
    "tie_rule": lambda value: value == list(TIE_RULE),
    "bids": _list_of(_is_object),
    "outcome": _one_of(OUTCOMES),
    "winner": _or_null(_IS_ID),
}
_READERS: Final = {RECORD: _verify_record, PART: _verify_part}


def _require_members(where: str, given: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Exactly these members, each in its form."""
    if given.keys() != shape.keys():
        raise AwardRefused(f"{where}: members are missing, or others than belong there")
    for name, fits in shape.items():
        if not fits(given[name]):
            raise AwardRefused(f"{where}: {name} is not in its form")
    return given


def _read_scoring(given: dict[str, Any]) -> Scoring:
    _require_members("the scoring", given, _SCORING_SHAPE)
    if not Fraction(given["balance"]):
        raise AwardRefused("the scoring: balance is nothing")
    return Scoring(**given | {"kinds": tuple(given["kinds"])})


def _read_candidate(bid: dict[str, Any]) -> Candidate:
    revealed = bid["terms"] is not None
    if revealed != (bid["nonce"] is not None) or (revealed and bid["revealed_at"] is None):
        raise AwardRefused(f"bid {bid['bid']}: half revealed")
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


def _require_in_time(bid: dict[str, Any], commit_until: str, reveal_until: str) -> None:
    late = bid["committed_at"] >= commit_until
    if late or (bid["revealed_at"] and not commit_until <= bid["revealed_at"] < reveal_until):
        raise AwardRefused(f"bid {bid['bid']}: outside its window")


def _require_same(bid: dict[str, Any], result: Result) -> None:
    for name in ("score", "state", "reason"):
        if bid[name] != getattr(result, name):
            raise AwardRefused(f"bid {bid['bid']}: {name} is {getattr(result, name)}, not {bid[name]}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.award", description="Compute an award again.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("verify", help="an award's record as the lender downloads it, or a bidder's own part")
    verb.add_argument("file", type=Path)
    return verify_file(parser.parse_args(arguments).file)


if __name__ == "__main__":
    sys.exit(main())
