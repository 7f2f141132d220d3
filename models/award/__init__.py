"""Who wins a tender of sealed bids: what a bidder commits to, how bids are scored, and how ties fall.

Pure, and of the standard library alone: this folder may be copied and used elsewhere, so its files name each other
relatively. `python -m models.award verify FILE` computes a whole award again from its record, or a bidder's own part
of one.

A commitment is SHA-256 over a label, a zero byte, and then tender id, agency id, terms and nonce, each behind its
length in four big-endian bytes. Ids are 16 raw bytes, the nonce 32. The terms are RFC 8785 JSON; of a tender that is
placed as a whole (label `consign/bid/1`):

    {"case_fee":"0.00","kind":"rate","rate":"0.180000"}

and of one in lots (label `consign/bid/2`), where packages and the lots in each stand in ascending order:

    {"packages":[{"case_fee":"0.00","kind":"rate","lots":[1,2],"rate":"0.180000"}]}

    score = (expected recovery * (1 - rate) - case fee * cases / balance) * conduct factor

with the figures that were published to every bidder, exact, and then rounded to 8 places, half away from zero. A bid
that scores nought or less is void, and so is one above a maximum that was published. A whole tender goes to the
highest score (`whole.py`); lots go to the packages that are together worth the most, value being score times balance
(`lots.py`).
"""

from .lots import (
    LOTS_MAX,
    LOTS_TIE_RULE,
    OTHER_PACKAGE_WON,
    OUTBID,
    PACKAGES_MAX,
    SPELLINGS,
    Fault,
    Lot,
    LotBid,
    LotResult,
    LotScoring,
    Package,
    PackageResult,
    commitment_to_packages,
    decide_lots,
    faults_in,
    holders_of,
    lots_outcome_of,
    read_lots,
    read_packages,
    value_of,
    won_packages,
)
from .lots_record import LOTS_PART, LOTS_RECORD
from .shapes import AwardRefused, canonical
from .terms import (
    ABOVE_MAXIMUM,
    COMMITMENT_MISMATCH,
    GATE_TOLD,
    HYBRID,
    INELIGIBLE,
    KINDS,
    LOST,
    NO_CASES,
    NO_VALID_BID,
    NONCE_BYTES,
    NOT_REVEALED,
    OUTCOMES,
    PLACED,
    RATE,
    REFUSED_BY_GATE,
    SCORE_NOT_POSITIVE,
    VOID,
    VOID_REASONS,
    WON,
    Scoring,
    Terms,
    commitment_of,
    exceeded,
    read_terms,
    refusal_of,
    score_of,
    told,
)
from .verification import verify, verify_file
from .whole import SCORE_LOWER, TIE_LOST, TIE_RULE, Candidate, Result, decide, outcome_of
from .whole_record import PART, RECORD

__all__ = [
    "ABOVE_MAXIMUM",
    "COMMITMENT_MISMATCH",
    "GATE_TOLD",
    "HYBRID",
    "INELIGIBLE",
    "KINDS",
    "LOST",
    "LOTS_MAX",
    "LOTS_PART",
    "LOTS_RECORD",
    "LOTS_TIE_RULE",
    "NONCE_BYTES",
    "NOT_REVEALED",
    "NO_CASES",
    "NO_VALID_BID",
    "OTHER_PACKAGE_WON",
    "OUTBID",
    "OUTCOMES",
    "PACKAGES_MAX",
    "PART",
    "PLACED",
    "RATE",
    "RECORD",
    "REFUSED_BY_GATE",
    "SCORE_LOWER",
    "SCORE_NOT_POSITIVE",
    "SPELLINGS",
    "TIE_LOST",
    "TIE_RULE",
    "VOID",
    "VOID_REASONS",
    "WON",
    "AwardRefused",
    "Candidate",
    "Fault",
    "Lot",
    "LotBid",
    "LotResult",
    "LotScoring",
    "Package",
    "PackageResult",
    "Result",
    "Scoring",
    "Terms",
    "canonical",
    "commitment_of",
    "commitment_to_packages",
    "decide",
    "decide_lots",
    "exceeded",
    "faults_in",
    "holders_of",
    "lots_outcome_of",
    "outcome_of",
    "read_lots",
    "read_packages",
    "read_terms",
    "refusal_of",
    "score_of",
    "told",
    "value_of",
    "verify",
    "verify_file",
    "won_packages",
]
