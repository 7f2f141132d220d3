"""Who wins a tender in lots: the packages that are together worth the most, and how ties fall.

A bid is one to eight packages: a part (one lot) or a bundle (several, all or none), of which at most one wins. So the
award is a choice of one package at most of each bidder, without a lot in two of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple
from uuid import UUID

from .shapes import AwardRefused, canonical
from .terms import (
    COMMITMENT_MISMATCH,
    LOST,
    NO_CASES,
    NO_VALID_BID,
    NOT_REVEALED,
    PLACED,
    SCORE_PLACES,
    VOID,
    WON,
    Scoring,
    Terms,
    committed,
    flaw_of,
    read_terms,
    rounded,
    score_of,
)

LOTS_MAX: Final = 8
PACKAGES_MAX: Final = 8
# The greatest value wins. Of equal values the one that places more lots; then, lot by lot in their order, a placed lot
# before one that is not, and the better package: higher conduct factor, lower rate, earlier commitment.
LOTS_TIE_RULE: Final = ("value", "lots_placed", "conduct_factor", "rate", "committed_at", "commitment", "lots")
# Why a package lost: what others bid for its lots is worth more, or another package of the same bidder has won.
OUTBID, OTHER_PACKAGE_WON = "outbid", "other_package_won"
# What each member of a package is, where it is not in its one spelling.
SPELLINGS: Final = {"kind": "unknown_value", "rate": "rate_spelling", "case_fee": "fee_spelling"}

_LOTS_LABEL = b"consign/bid/2\x00"
_MEMBERS = {"lots", *Terms._fields}


class Lot(NamedTuple):
    """Its number is its place, from 1; `values` are the buckets or provinces it is made of. Figures as published."""

    values: tuple[str, ...]
    case_count: int
    borrower_count: int
    balance: str


class LotScoring(NamedTuple):
    """What is published to every bidder before anyone commits. `divided_by` is `buckets` or `provinces`."""

    expected_recovery: str
    currency: str
    kinds: tuple[str, ...]
    rate_max: str | None
    case_fee_max: str | None
    divided_by: str
    lots: tuple[Lot, ...]

    def over(self, lots: Iterable[int]) -> Scoring:
        """By what a package of these lots is scored: their figures together."""
        chosen = [self.lots[number - 1] for number in lots]
        balance = sum((Fraction(lot.balance) for lot in chosen), Fraction(0))
        count = sum(lot.case_count for lot in chosen)
        limits = (self.rate_max, self.case_fee_max)
        return Scoring(self.expected_recovery, count, rounded(balance, 2), self.currency, self.kinds, *limits)


class Package(NamedTuple):
    """`lots` in ascending order."""

    lots: tuple[int, ...]
    terms: Terms

    def spelled(self) -> dict[str, Any]:
        return {"lots": list(self.lots), **self.terms._asdict()}


class LotBid(NamedTuple):
    """One bid at the award. `packages` is None where none were revealed; `refusals`, one of each, are the gate's."""

    bid: str
    agency_id: UUID
    commitment: bytes
    committed_at: str
    conduct_factor: str
    packages: tuple[Package, ...] | None
    nonce: bytes | None
    refusals: tuple[str | None, ...] = ()


class PackageResult(NamedTuple):
    """`score` has eight places, `value` two: the score times the published balance of its lots. Both are None for what
    was not revealed as it was committed."""

    state: str
    score: str | None
    value: str | None
    reason: str | None


class LotResult(NamedTuple):
    """`packages` is None where none were revealed."""

    bid: str
    state: str
    reason: str | None
    packages: tuple[PackageResult, ...] | None


class Fault(NamedTuple):
    """What is wrong with a bid: `row` is the package, from 1, or 0 for all."""

    row: int
    field: str
    code: str


class _Option(NamedTuple):
    """A package that may win. `worth` is exact, in units of 10^-10; `rank` decides between equals, the least first."""

    bid: int
    package: int
    lots: tuple[int, ...]
    worth: int
    rank: tuple[Any, ...]


class _Choice(NamedTuple):
    """Options without a lot in common, as who holds each lot."""

    worth: int
    holders: tuple[_Option | None, ...]

    def rank(self) -> tuple[Any, ...]:
        """The least is the best, by LOTS_TIE_RULE."""
        by_lot = tuple((1,) if one is None else (0, *one.rank) for one in self.holders)
        return -self.worth, self.holders.count(None), by_lot


def faults_in(given: object, lot_count: int) -> list[Fault]:
    """Everything that keeps `given` from being packages over so many lots."""
    if not isinstance(given, list) or not given:
        return [Fault(0, "packages", "required_missing")]
    if len(given) > PACKAGES_MAX:
        return [Fault(0, "packages", "too_many_packages")]
    faults, seen = [], set()
    for row, one in enumerate(given, start=1):
        found = _faults_of(one, lot_count)
        faults += [Fault(row, name, code) for name, code in found]
        if not found:
            lots = frozenset(one["lots"])
            faults += [Fault(row, "lots", "package_repeated")] if lots in seen else []
            seen.add(lots)
    return faults


def read_packages(given: object, lot_count: int) -> tuple[Package, ...]:
    """Packages in their one order: of lots, and by their lots. AwardRefused where `faults_in` finds any."""
    if not isinstance(given, list) or faults_in(given, lot_count):
        raise AwardRefused("packages")
    read = [Package(tuple(sorted(one["lots"])), read_terms(one)) for one in given]
    return tuple(sorted(read))


def commitment_to_packages(tender_id: UUID, agency_id: UUID, packages: Sequence[Package], nonce: bytes) -> bytes:
    """As `commitment_of`, of a bid on lots."""
    spelled = canonical({"packages": [package.spelled() for package in packages]})
    return committed(_LOTS_LABEL, tender_id, agency_id, spelled, nonce)


def decide_lots(
    tender_id: UUID, scoring: LotScoring, bids: Sequence[LotBid], empty_lots: Sequence[int] = ()
) -> list[LotResult]:
    """What becomes of each bid and its packages, in the order given. No package with an empty lot can win."""
    empty = set(empty_lots)
    judged = [judge_packages(tender_id, scoring, bid) for bid in bids]
    options = [
        [
            _option(scoring, bids[at], at, number)
            for number, (package, flaw) in enumerate(judgements)
            if flaw is None and not empty.intersection(package.lots)
        ]
        for at, judgements in enumerate(judged)
    ]
    won = {(one.bid, one.package) for one in _best(options, len(scoring.lots)).holders if one is not None}
    winners = {at for at, _ in won}

    def result(at: int, number: int, package: Package, flaw: str | None) -> PackageResult:
        if flaw:
            return void_package(scoring, bids[at], package, flaw)
        told = told_of(scoring, bids[at], package)
        if (at, number) in won:
            return PackageResult(WON, *told, None)
        if empty.intersection(package.lots):
            return PackageResult(LOST, *told, NO_CASES)
        return PackageResult(LOST, *told, OTHER_PACKAGE_WON if at in winners else OUTBID)

    return [
        whole_of(bid, [result(at, number, *judgement) for number, judgement in enumerate(judged[at])])
        for at, bid in enumerate(bids)
    ]


def judge_packages(tender_id: UUID, scoring: LotScoring, bid: LotBid) -> tuple[tuple[Package, str | None], ...]:
    """Each package with why it is void, if it is; each stands by itself. None where none were revealed."""
    if bid.packages is None or bid.nonce is None:
        return ()
    kept = commitment_to_packages(tender_id, bid.agency_id, bid.packages, bid.nonce) == bid.commitment
    if not kept or any(one.terms.kind not in scoring.kinds for one in bid.packages):
        return tuple((one, COMMITMENT_MISMATCH) for one in bid.packages)
    given = zip(bid.packages, bid.refusals, strict=True)
    return tuple(
        (one, flaw_of(scoring.over(one.lots), one.terms, bid.conduct_factor, refusal)) for one, refusal in given
    )


def void_package(scoring: LotScoring, bid: LotBid, package: Package, flaw: str) -> PackageResult:
    """A void package is scored too, except what was not revealed as it was committed."""
    if flaw == COMMITMENT_MISMATCH:
        return PackageResult(VOID, None, None, flaw)
    return PackageResult(VOID, *told_of(scoring, bid, package), flaw)


def told_of(scoring: LotScoring, bid: LotBid, package: Package) -> tuple[str, str]:
    """Score and value of a package, as they are written down."""
    over = scoring.over(package.lots)
    score = score_of(over, package.terms, bid.conduct_factor)
    return score, rounded(Fraction(score) * Fraction(over.balance), 2)


def whole_of(bid: LotBid, packages: Sequence[PackageResult]) -> LotResult:
    """What becomes of a bid by its packages: it won, or as the first that lost, or that is void."""
    if not packages:
        return LotResult(bid.bid, VOID, NOT_REVEALED, None)
    if any(one.state == WON for one in packages):
        return LotResult(bid.bid, WON, None, tuple(packages))
    first = next((one for one in packages if one.state == LOST), packages[0])
    return LotResult(bid.bid, first.state, first.reason, tuple(packages))


def holders_of(scoring: LotScoring, bids: Sequence[LotBid], results: Sequence[LotResult]) -> list[str | None]:
    """Who has won each lot, in their order: a bid, or None for a lot that stays free."""
    held: list[str | None] = [None] * len(scoring.lots)
    for bid, number in won_packages(results):
        for lot in (bids[bid].packages or ())[number].lots:
            held[lot - 1] = bids[bid].bid
    return held


def value_of(scoring: LotScoring, bids: Sequence[LotBid], results: Sequence[LotResult]) -> str:
    """What the winning packages are worth together, rounded once."""
    won = [_option(scoring, bids[bid], bid, number) for bid, number in won_packages(results)]
    return rounded(Fraction(sum(one.worth for one in won), 10 ** (SCORE_PLACES + 2)), 2)


def won_packages(results: Sequence[LotResult]) -> list[tuple[int, int]]:
    """The places of bid and package of all that won."""
    return [
        (at, number)
        for at, result in enumerate(results)
        for number, package in enumerate(result.packages or ())
        if package.state == WON
    ]


def lots_outcome_of(results: Sequence[LotResult]) -> str:
    if won_packages(results):
        return PLACED
    return NO_CASES if any(one.reason == NO_CASES for one in results) else NO_VALID_BID


def read_lots(published: Mapping[str, Any]) -> LotScoring:
    """The scoring as it stands in a tender's rules, in each of its offers' terms and in records."""
    lots = tuple(Lot(**lot | {"values": tuple(lot["values"])}) for lot in published["lots"])
    return LotScoring(**{**published, "kinds": tuple(published["kinds"]), "lots": lots})


def _faults_of(given: object, lot_count: int) -> list[tuple[str, str]]:
    if not isinstance(given, dict) or given.keys() != _MEMBERS:
        return [("*", "wrong_shape")]
    lots = given["lots"]
    if not isinstance(lots, list) or not lots:
        return [("lots", "required_missing")]
    unknown = [one for one in lots if not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= lot_count]
    found = [("lots", "lot_unknown")] if unknown else [("lots", "lot_repeated")] if len(set(lots)) < len(lots) else []
    try:
        read_terms(given)
    except AwardRefused as refused:
        found.append((str(refused), SPELLINGS[str(refused)]))
    return found


def _option(scoring: LotScoring, bid: LotBid, at: int, number: int) -> _Option:
    package = (bid.packages or ())[number]
    over = scoring.over(package.lots)
    exact = Fraction(score_of(over, package.terms, bid.conduct_factor)) * Fraction(over.balance)
    rank = (-Fraction(bid.conduct_factor), Fraction(package.terms.rate), bid.committed_at, bid.commitment, package.lots)
    return _Option(at, number, package.lots, int(exact * 10 ** (SCORE_PLACES + 2)), rank)


def _best(options: Iterable[Sequence[_Option]], lot_count: int) -> _Choice:
    """The best choice there is, of one option at most from each group.

    Bidder by bidder, the best choice that holds exactly these lots, for each set of lots. That suffices: of two choices
    that hold the same lots the better one stays the better one, whatever is added to both.
    """
    found = {0: _Choice(0, (None,) * lot_count)}
    for group in options:
        grown = dict(found)
        for held, choice in found.items():
            for option in group:
                bits = sum(1 << number - 1 for number in option.lots)
                rival = grown.get(held | bits)
                worth = choice.worth + option.worth
                if held & bits or (rival is not None and rival.worth > worth):
                    continue
                made = _Choice(worth, tuple(option if at in option.lots else one for at, one in _numbered(choice)))
                if rival is None or made.rank() < rival.rank():
                    grown[held | bits] = made
        found = grown
    return min(found.values(), key=_Choice.rank)


def _numbered(choice: _Choice) -> Iterable[tuple[int, _Option | None]]:
    return enumerate(choice.holders, start=1)
