"""What is bid: terms in their one spelling, the commitment to them, their score, and what the gate says of a bid."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from .shapes import AwardRefused, canonical, is_fee, is_fraction, one_of

RATE, HYBRID = "rate", "hybrid"
KINDS: Final = (RATE, HYBRID)
WON, LOST, VOID = "won", "lost", "void"
# How a tender of bids ends.
PLACED, NO_VALID_BID, NO_CASES = "placed", "no_valid_bid", "no_cases_to_place"
OUTCOMES: Final = (PLACED, NO_VALID_BID, NO_CASES)
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
    "renewal_evaluation_missing": "renewal_evaluation_missing",
    "licence_elsewhere": "licence_elsewhere",
    "conduct_score_too_low": INELIGIBLE,
    "complaints_too_many": INELIGIBLE,
    "capacity_exceeded": "capacity_exceeded",
    "cases_outside_agreement": "cases_outside_agreement",
    "terms_changed": "terms_changed",
}
REFUSED_BY_GATE: Final = tuple(dict.fromkeys(GATE_TOLD.values()))
VOID_REASONS: Final = (*REFUSED_BY_GATE, NOT_REVEALED, COMMITMENT_MISMATCH, ABOVE_MAXIMUM, SCORE_NOT_POSITIVE)

NONCE_BYTES: Final = 32
SCORE_PLACES: Final = 8

_WHOLE_LABEL = b"consign/bid/1\x00"


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


def read_terms(given: Mapping[str, object]) -> Terms:
    """Terms in their one spelling; AwardRefused names the member that is not in it."""
    for name, fits in (("kind", one_of(KINDS)), ("rate", is_fraction), ("case_fee", is_fee)):
        if not fits(given.get(name)):
            raise AwardRefused(name)
    if given["kind"] == RATE and given["case_fee"] != "0.00":
        raise AwardRefused("case_fee")
    return Terms(str(given["kind"]), str(given["rate"]), str(given["case_fee"]))


def commitment_of(tender_id: UUID, agency_id: UUID, terms: Terms, nonce: bytes) -> bytes:
    """The 32 bytes that bind an agency to its terms in one tender, and tell nothing of them without the nonce."""
    return committed(_WHOLE_LABEL, tender_id, agency_id, terms.canonical(), nonce)


def committed(label: bytes, tender_id: UUID, agency_id: UUID, spelled: bytes, nonce: bytes) -> bytes:
    parts = (tender_id.bytes, agency_id.bytes, spelled, nonce)
    return sha256(label + b"".join(len(part).to_bytes(4) + part for part in parts)).digest()


def told(gate: Sequence[str]) -> list[str]:
    """The gate's reasons as their agency is told them."""
    return list(dict.fromkeys(GATE_TOLD[code] for code in gate))


def refusal_of(gate: Sequence[str]) -> str | None:
    """What the gate's reasons make of a bid: it is void by the first that its agency is told."""
    return next(iter(told(gate)), None)


def exceeded(terms: Terms, rate_max: str | None, case_fee_max: str | None) -> list[str]:
    """Which members of the terms are above the maximum that was published."""
    limits = {"rate": rate_max, "case_fee": case_fee_max}
    given = terms._asdict()
    return [name for name, limit in limits.items() if limit is not None and Fraction(given[name]) > Fraction(limit)]


def score_of(scoring: Scoring, terms: Terms, conduct_factor: str) -> str:
    """What one unit of the balance is expected to bring the lender, times the agency's conduct factor."""
    kept = Fraction(scoring.expected_recovery) * (1 - Fraction(terms.rate))
    fees = Fraction(terms.case_fee) * scoring.case_count / Fraction(scoring.balance)
    return rounded((kept - fees) * Fraction(conduct_factor), SCORE_PLACES)


def flaw_of(scoring: Scoring, terms: Terms, conduct_factor: str, refusal: str | None) -> str | None:
    """Why terms that were committed to are void, if they are: their price comes before what the gate says."""
    if exceeded(terms, scoring.rate_max, scoring.case_fee_max):
        return ABOVE_MAXIMUM
    if Fraction(score_of(scoring, terms, conduct_factor)) <= 0:
        return SCORE_NOT_POSITIVE
    return refusal


def rounded(exact: Fraction, places: int) -> str:
    """Half away from zero; zero has no sign."""
    scale = 10**places
    units = int(abs(exact) * scale + Fraction(1, 2))
    sign = "-" if exact < 0 and units else ""
    return f"{sign}{units // scale}.{units % scale:0{places}d}"
