"""Bids on parts and bundles of a tender: the best choice, ties, refusals by package, and the verifier of its record."""

import copy
import itertools
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import award
from models.award import AwardRefused, Lot, LotBid, LotResult, LotScoring, Package, Terms

TENDER = UUID("01890000-0000-7000-8000-00000000000a")
LENDER = "01890000-0000-7000-8000-00000000000b"
EARLY, LATE = "2026-03-10T02:00:00.000000+00:00", "2026-03-10T03:00:00.000000+00:00"
BALANCES = ("100000.00", "100000.00", "50000.00", "200000.00")
GATE: dict[str | None, list[str]] = {told: [code] for code, told in award.GATE_TOLD.items()} | {None: []}


def scoring(*balances: str, **changes: Any) -> LotScoring:
    """Lots of these balances, each of 100 cases, by bucket."""
    lots = tuple(Lot((f"M{at}",), 100, 90, balance) for at, balance in enumerate(balances, start=1))
    return LotScoring("0.120000", "CNY", award.KINDS, None, None, "buckets", lots)._replace(**changes)


FOUR = scoring(*BALANCES)


def agency(number: int) -> UUID:
    return UUID(int=0x01890000000070008000000000010000 + number)


def package(lots: Sequence[int], rate: str = "0.200000", fee: str = "0.00") -> Package:
    return Package(tuple(lots), Terms(award.RATE if fee == "0.00" else award.HYBRID, rate, fee))


def bid(
    number: int,
    *packages: Package,
    factor: str = "1.0000",
    at: str = EARLY,
    revealed: bool = True,
    refusals: Sequence[str | None] | None = None,
) -> LotBid:
    """`packages` in any order; `refusals` go with them."""
    gate = tuple(refusals or [None] * len(packages))
    ordered = sorted(zip(packages, gate, strict=True), key=lambda one: one[0])
    packages, gate = tuple(one for one, _ in ordered), tuple(code for _, code in ordered)
    nonce = bytes([number]) * award.NONCE_BYTES
    commitment = award.commitment_to_packages(TENDER, agency(number), packages, nonce)
    name = f"01890000-0000-7000-8000-0000000{number:05d}"
    shown = (packages, nonce, gate) if revealed else (None, None, ())
    return LotBid(name, agency(number), commitment, at, factor, *shown)


def decide(*bids: LotBid, over: LotScoring = FOUR, empty: Sequence[int] = ()) -> list[LotResult]:
    return award.decide_lots(TENDER, over, bids, empty)


def held(*bids: LotBid, over: LotScoring = FOUR, empty: Sequence[int] = ()) -> list[int | None]:
    """Which bid, by its place, holds each lot."""
    names = [one.bid for one in bids]
    found = award.holders_of(over, bids, decide(*bids, over=over, empty=empty))
    return [None if one is None else names.index(one) for one in found]


def reasons(result: LotResult) -> list[str | None]:
    return [one.reason for one in result.packages or ()]


def record(*bids: LotBid, over: LotScoring = FOUR, empty: Sequence[int] = ()) -> dict[str, Any]:
    """The record of an award as the service writes it."""
    results = decide(*bids, over=over, empty=empty)
    return {
        "format": award.LOTS_RECORD,
        "tender": str(TENDER),
        "lender": LENDER,
        "commit_until": "2026-03-11T00:00:00.000000+00:00",
        "reveal_until": "2026-03-12T00:00:00.000000+00:00",
        "awarded_at": "2026-03-12T00:00:30.000000+00:00",
        "scoring": over._asdict()
        | {"kinds": list(over.kinds), "lots": [lot._asdict() | {"values": list(lot.values)} for lot in over.lots]},
        "tie_rule": list(award.LOTS_TIE_RULE),
        "empty_lots": list(empty),
        "bids": [entry(*one) for one in zip(bids, results, strict=True)],
        "outcome": award.lots_outcome_of(results),
        "winners": award.holders_of(over, bids, results),
        "value": award.value_of(over, bids, results),
    }


def entry(one: LotBid, result: LotResult) -> dict[str, Any]:
    return {
        "bid": one.bid,
        "agency": str(one.agency_id),
        "agency_name": "委外机构",
        "offer": one.bid,
        "commitment": one.commitment.hex(),
        "committed_at": one.committed_at,
        "revealed_at": None if one.packages is None else "2026-03-11T02:00:00.000000+00:00",
        "nonce": one.nonce.hex() if one.nonce else None,
        "conduct_factor": one.conduct_factor,
        "state": result.state,
        "reason": result.reason,
        "packages": None
        if one.packages is None
        else [
            made.spelled() | {"gate": GATE[code], "refusal": code} | found._asdict()
            for made, code, found in zip(one.packages, one.refusals, result.packages or (), strict=True)
        ],
    }


def part(whole: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """What one bidder has of a record."""
    own = copy.deepcopy(whole["bids"][at])
    for one in own["packages"] or []:
        del one["gate"]
    heads = {name: whole[name] for name in ("tender", "lender", "scoring", "tie_rule")}
    return heads | {"format": award.LOTS_PART, "bid": own}


def verify(document: dict[str, Any]) -> str:
    return award.verify(award.canonical(document))


def test_a_commitment_to_packages_is_this_hash_and_no_other() -> None:
    packages = (package([1]), package([1, 3], "0.150000", "12.50"))
    spelled = (
        b'{"packages":[{"case_fee":"0.00","kind":"rate","lots":[1],"rate":"0.200000"},'
        b'{"case_fee":"12.50","kind":"hybrid","lots":[1,3],"rate":"0.150000"}]}'
    )
    parts = (TENDER.bytes, agency(1).bytes, spelled, b"\x07" * 32)
    framed = b"consign/bid/2\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert award.commitment_to_packages(TENDER, agency(1), packages, b"\x07" * 32) == sha256(framed).digest()


def test_parts_win_where_they_are_worth_more_together_than_a_bundle() -> None:
    parts = bid(1, package([1], "0.100000")), bid(2, package([2], "0.100000"))
    assert held(*parts, bid(3, package([1, 2], "0.150000"))) == [0, 1, None, None]
    assert held(*parts, bid(3, package([1, 2], "0.050000"))) == [2, 2, None, None]


def test_of_one_bidder_one_package_wins_at_most_and_it_learns_which() -> None:
    bids = bid(1, package([1], "0.100000"), package([2], "0.100000")), bid(2, package([1], "0.110000"))
    results = decide(*bids)
    assert held(*bids) == [1, 0, None, None]
    assert reasons(results[0]) == [award.OTHER_PACKAGE_WON, None]
    assert (results[0].state, results[0].reason, results[1].state) == (award.WON, None, award.WON)


def test_who_is_outbid_on_every_lot_learns_so_for_each_package() -> None:
    results = decide(bid(1, package([1]), package([1, 2])), bid(2, package([1, 2], "0.100000")))
    assert reasons(results[0]) == [award.OUTBID, award.OUTBID]
    assert (results[0].state, results[0].reason) == (award.LOST, award.OUTBID)


def test_a_bundle_is_scored_by_the_figures_of_its_lots_together() -> None:
    """0.12 * 0.8 * 250,000 less 10.00 for each of 200 cases."""
    (result,) = decide(bid(1, package([1, 3], "0.200000", "10.00"), factor="0.5000"))
    assert result.packages is not None
    assert (result.packages[0].score, result.packages[0].value) == ("0.04133333", "6200.00")


def test_the_value_of_the_award_is_rounded_once() -> None:
    """Each lot is worth 0.004 of the currency: nothing by itself, a cent together."""
    small = scoring("0.04", "0.04", "0.04", expected_recovery="0.100000")
    bids = [bid(at, package([at], "0.000000")) for at in (1, 2, 3)]
    results = decide(*bids, over=small)
    assert [one.packages[0].value for one in results if one.packages] == ["0.00"] * 3
    assert award.value_of(small, bids, results) == "0.01"


def test_a_refused_package_leaves_the_others_standing() -> None:
    bids = [bid(1, package([1]), package([1, 2]), refusals=[None, "capacity_exceeded"])]
    (result,) = decide(*bids)
    assert [one.state for one in result.packages or ()] == [award.WON, award.VOID]
    assert held(*bids) == [0, None, None, None]


def test_a_bid_of_void_packages_alone_is_void_with_the_first_reason() -> None:
    refused = bid(1, package([1]), package([2], "1.000000"), refusals=["licence_elsewhere", "licence_elsewhere"])
    (result,) = decide(refused)
    assert (result.state, result.reason) == (award.VOID, "licence_elsewhere")
    assert reasons(result) == ["licence_elsewhere", award.SCORE_NOT_POSITIVE]


def test_a_package_above_a_published_maximum_is_void() -> None:
    over = FOUR._replace(rate_max="0.150000")
    (result,) = decide(bid(1, package([1], "0.150000"), package([2], "0.150001")), over=over)
    assert reasons(result) == [None, award.ABOVE_MAXIMUM]


def test_what_was_not_revealed_as_committed_is_void_without_a_score() -> None:
    silent, other = bid(1, package([1]), revealed=False), bid(2, package([1]))._replace(commitment=bytes(32))
    assert [(one.state, one.reason, one.packages) for one in decide(silent, other)] == [
        (award.VOID, award.NOT_REVEALED, None),
        (award.VOID, award.COMMITMENT_MISMATCH, ((award.VOID, None, None, award.COMMITMENT_MISMATCH),)),
    ]
    assert verify(record(silent, other)).startswith("VERIFIED: 2 bids, 0 scored, 0 of 4 lots placed")


def test_a_lot_without_cases_takes_every_package_with_it() -> None:
    bids = bid(1, package([1, 2], "0.000000")), bid(2, package([2]))
    assert held(*bids, empty=[1]) == [None, 1, None, None]
    assert reasons(decide(*bids, empty=[1])[0]) == [award.NO_CASES]
    assert award.lots_outcome_of(decide(*bids, empty=[1, 2])) == award.NO_CASES


def test_of_equal_values_more_lots_are_placed() -> None:
    over = scoring("200000.00", "100000.00", "100000.00")
    assert held(bid(1, package([1]), package([2, 3])), over=over) == [None, 0, 0]


def test_of_as_many_lots_the_first_ones_are_placed() -> None:
    assert held(bid(1, package([1]), package([2]))) == [0, None, None, None]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (  # 0.12 * (1 - 0.6) * 1.0 == 0.12 * (1 - 0.5) * 0.8
            {"factor": "1.0000", "rate": "0.600000"},
            {"factor": "0.8000", "rate": "0.500000"},
        ),
        (  # 6.00 * 100 / 100,000 == 0.006 == 0.12 * 0.05
            {"rate": "0.150000", "fee": "6.00"},
            {"rate": "0.200000"},
        ),
        ({"at": EARLY}, {"at": LATE}),
    ],
)
def test_a_tie_goes_to_the_better_package(better: dict[str, str], worse: dict[str, str]) -> None:
    def made(number: int, given: dict[str, str]) -> LotBid:
        terms = {name: given[name] for name in ("rate", "fee") if name in given}
        return bid(number, package([1], **terms), **{name: given[name] for name in ("factor", "at") if name in given})

    for numbers in ((1, 2), (2, 1)):
        bids = made(numbers[0], better), made(numbers[1], worse)
        values = {one.packages[0].value for one in decide(*bids) if one.packages}
        assert len(values) == 1
        assert held(*bids) == [0, None, None, None]
        assert held(*reversed(bids)) == [1, None, None, None]


def test_a_tie_of_one_moment_goes_to_the_smaller_commitment() -> None:
    first, second = sorted((bid(1, package([2])), bid(2, package([2]))), key=lambda one: one.commitment)
    assert held(second, first) == [None, 1, None, None]


RATES = st.sampled_from(["0.000000", "0.100000", "0.200000", "0.250000", "1.000000"])
PACKAGES = st.lists(
    st.builds(
        package,
        st.sets(st.integers(1, 4), min_size=1).map(sorted),
        RATES,
        st.sampled_from(["0.00", "6.00"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one.lots,
)
REFUSALS = st.sampled_from([None, None, None, "capacity_exceeded"])


@st.composite
def bids_of(draw: st.DrawFn, most: int = 5) -> list[LotBid]:
    made = []
    for number in draw(st.lists(st.integers(1, 200), max_size=most, unique=True)):
        packages = draw(PACKAGES)
        refusals = draw(st.lists(REFUSALS, min_size=len(packages), max_size=len(packages)))
        factor, at = draw(st.sampled_from(["0.8000", "1.0000"])), draw(st.sampled_from([EARLY, LATE]))
        shown = draw(st.sampled_from([True, True, True, False]))
        made.append(bid(number, *packages, factor=factor, at=at, revealed=shown, refusals=refusals))
    return made


def best_by_hand(bids: Sequence[LotBid], over: LotScoring) -> list[str | None]:
    """Who holds which lot in the best of all choices there are, one after the other."""
    valid: list[list[tuple[LotBid, Package] | None]] = []
    for one in bids:
        found = award.decide_lots(TENDER, over, [one])[0].packages or ()
        stands = [made for made, result in zip(one.packages or (), found, strict=True) if result.state != award.VOID]
        valid.append([None, *((one, made) for made in stands)])
    best: tuple[Any, list[str | None]] | None = None
    for choice in itertools.product(*valid):
        chosen = [one for one in choice if one is not None]
        taken = [lot for _, made in chosen for lot in made.lots]
        if len(set(taken)) < len(taken):
            continue
        owner = {lot: one for one in chosen for lot in one[1].lots}
        worth = sum((exact_value(over, *one) for one in chosen), Fraction(0))
        by_lot = [quality(*owner[lot]) if lot in owner else (1,) for lot in range(1, len(over.lots) + 1)]
        rank = (-worth, -len(taken), by_lot)
        if best is None or rank < best[0]:
            best = rank, [owner[lot][0].bid if lot in owner else None for lot in range(1, len(over.lots) + 1)]
    assert best is not None
    return best[1]


def exact_value(over: LotScoring, one: LotBid, made: Package) -> Fraction:
    figures = over.over(made.lots)
    return Fraction(award.score_of(figures, made.terms, one.conduct_factor)) * Fraction(figures.balance)


def quality(one: LotBid, made: Package) -> tuple[Any, ...]:
    rate = Fraction(made.terms.rate)
    return 0, -Fraction(one.conduct_factor), rate, one.committed_at, one.commitment, made.lots


@settings(max_examples=150)
@given(bids_of())
def test_the_best_of_all_choices_wins(bids: list[LotBid]) -> None:
    results = decide(*bids)
    assert award.holders_of(FOUR, bids, results) == best_by_hand(bids, FOUR)


@given(bids_of(), st.randoms(use_true_random=False))
def test_the_order_of_the_bids_decides_nothing(bids: list[LotBid], shuffle: Any) -> None:
    other = list(bids)
    shuffle.shuffle(other)
    assert {*decide(*bids)} == {*decide(*other)}


@given(bids_of(), bids_of(most=1))
def test_a_losing_bid_changes_nothing(bids: list[LotBid], more: list[LotBid]) -> None:
    added = [one for one in more if one.bid not in {other.bid for other in bids}]
    before, after = decide(*bids), decide(*bids, *added)
    if not any(one.state == award.WON for one in after[len(bids) :]):
        assert after[: len(bids)] == before


@given(bids_of())
def test_each_lot_is_won_once_and_each_bidder_wins_once(bids: list[LotBid]) -> None:
    results = decide(*bids)
    won = award.won_packages(results)
    assert len({at for at, _ in won}) == len(won)
    lots = [lot for at, number in won for lot in (bids[at].packages or ())[number].lots]
    assert len(set(lots)) == len(lots)


ONE = scoring("8000000.00")
SINGLE = st.builds(
    lambda number, rate, fee, factor, at: bid(number, package([1], rate, fee), factor=factor, at=at),
    st.integers(1, 200),
    RATES,
    st.sampled_from(["0.00", "6.00"]),
    st.sampled_from(["0.8000", "1.0000"]),
    st.sampled_from([EARLY, LATE]),
)


@given(st.lists(SINGLE, max_size=8, unique_by=lambda one: one.bid))
def test_a_single_lot_is_won_as_a_whole_tender_is(bids: list[LotBid]) -> None:
    """Up to the commitment, the last rule between equals, which is another hash in each way."""
    whole = award.Scoring("0.120000", 100, "8000000.00", "CNY", award.KINDS)
    candidates = [_as_whole(one) for one in bids]
    best = [one.bid for one in award.decide(TENDER, whole, candidates) if one.state == award.WON]
    found = [one for one in award.holders_of(ONE, bids, decide(*bids, over=ONE)) if one]
    by_name = {one.bid: quality(one, (one.packages or ())[0])[:4] for one in bids}
    assert [by_name[name] for name in best] == [by_name[name] for name in found]


def _as_whole(one: LotBid) -> award.Candidate:
    terms, nonce = (one.packages or ())[0].terms, one.nonce or b""
    commitment = award.commitment_of(TENDER, one.agency_id, terms, nonce)
    return award.Candidate(one.bid, one.agency_id, commitment, one.committed_at, one.conduct_factor, terms, nonce)


@given(bids_of(), st.sets(st.integers(1, 4)).map(sorted))
def test_every_record_and_every_part_verifies(bids: list[LotBid], empty: list[int]) -> None:
    whole = record(*bids, empty=empty)
    assert verify(whole).startswith(f"VERIFIED: {len(bids)} bids")
    for at in range(len(bids)):
        assert verify(part(whole, at)).startswith("VERIFIED: the bid is")


def made_of_three() -> dict[str, Any]:
    """Two parts that win against a bundle, and a package of the first that stays behind."""
    return record(
        bid(1, package([1], "0.100000"), package([3], "0.950000")),
        bid(2, package([2], "0.100000")),
        bid(3, package([1, 2], "0.150000")),
    )


def worse(changed: dict[str, Any]) -> None:
    """Give both lots to the bundle, which is worth less, and write everything accordingly."""
    first, second, bundle = changed["bids"]
    for one in (*first["packages"], *second["packages"]):
        one.update(state="lost", reason="outbid")
    for one in (first, second):
        one.update(state="lost", reason="outbid")
    bundle.update(state="won", reason=None)
    bundle["packages"][0].update(state="won", reason=None)
    changed.update(winners=[bundle["bid"], bundle["bid"], None, None], value=bundle["packages"][0]["value"])


def fewer(changed: dict[str, Any]) -> None:
    """Leave the second lot free."""
    changed["bids"][1].update(state="lost", reason="outbid")
    changed["bids"][1]["packages"][0].update(state="lost", reason="outbid")
    changed["winners"][1] = None
    changed["value"] = changed["bids"][0]["packages"][0]["value"]


def twice(changed: dict[str, Any]) -> None:
    """Let both packages of one bidder win."""
    changed["bids"][0]["packages"][1].update(state="won", reason=None)
    changed["winners"][2] = changed["bids"][0]["bid"]


def blanked(changed: dict[str, Any]) -> None:
    """Never revealed, if it were not for when it was; everything else as it would follow."""
    rest = record(
        bid(1, package([1], "0.100000"), revealed=False),
        bid(2, package([2], "0.100000")),
        bid(3, package([1, 2], "0.150000")),
    )
    revealed_at = changed["bids"][0]["revealed_at"]
    changed.update(rest)
    changed["bids"][0]["revealed_at"] = revealed_at


CHANGES: dict[str, Any] = {
    "a worse set of packages": worse,
    "fewer packages": fewer,
    "two of one bidder": twice,
    "the other package": lambda r: r["bids"][0]["packages"][1].update(state="won", reason=None),
    "value of all": lambda r: r.update(value="999999.99"),
    "value of one": lambda r: r["bids"][0]["packages"][0].update(value="10800.01"),
    "score": lambda r: r["bids"][0]["packages"][0].update(score="0.10900000"),
    "rate": lambda r: r["bids"][0]["packages"][0].update(rate="0.110000"),
    "lots": lambda r: r["bids"][0]["packages"][0].update(lots=[1, 4]),
    "order of lots": lambda r: r["bids"][2]["packages"][0].update(lots=[2, 1]),
    "lot twice": lambda r: r["bids"][2]["packages"][0].update(lots=[1, 1]),
    "lot of none": lambda r: r["bids"][2]["packages"][0].update(lots=[1, 5]),
    "order of packages": lambda r: r["bids"][0]["packages"].reverse(),
    "a package left out": lambda r: r["bids"][0]["packages"].pop(),
    "no packages": lambda r: r["bids"][0].update(packages=[]),
    "a bid left out": lambda r: r["bids"].pop(0),
    "a bid twice": lambda r: r["bids"].append(r["bids"][0]),
    "never revealed": lambda r: r["bids"][0].update(packages=None, nonce=None, revealed_at=None),
    "blanked after it was revealed": blanked,
    "half revealed": lambda r: r["bids"][0].update(nonce=None),
    "nonce": lambda r: r["bids"][0].update(nonce="00" * 32),
    "factor": lambda r: r["bids"][2].update(conduct_factor="0.9000"),
    "balance": lambda r: r["scoring"]["lots"][0].update(balance="100001.00"),
    "no balance": lambda r: r["scoring"]["lots"][3].update(balance="0.00"),
    "a lot more": lambda r: r["scoring"]["lots"].append(r["scoring"]["lots"][0]),
    "no lots": lambda r: r["scoring"].update(lots=[]),
    "values shared": lambda r: r["scoring"]["lots"][0].update(values=["M2"]),
    "an empty lot": lambda r: r.update(empty_lots=[1]),
    "an empty lot of none": lambda r: r.update(empty_lots=[5]),
    "voided without a reason": lambda r: r["bids"][0]["packages"][0].update(state="void", refusal="ineligible"),
    "gate without a refusal": lambda r: r["bids"][0]["packages"][0].update(gate=["licence_expired"]),
    "no code of the gate": lambda r: r["bids"][0]["packages"][0].update(gate=["disliked"]),
    "winner": lambda r: r["winners"].reverse(),
    "outcome": lambda r: r.update(outcome=award.NO_CASES),
    "state": lambda r: r["bids"][0].update(state="lost"),
    "reason": lambda r: r["bids"][2]["packages"][0].update(reason="other_package_won"),
    "late": lambda r: r["bids"][0].update(committed_at="2026-03-11T00:00:00.000000+00:00"),
    "revealed late": lambda r: r["bids"][0].update(revealed_at="2026-03-12T00:00:00.000000+00:00"),
    "awarded early": lambda r: r.update(awarded_at="2026-03-11T23:59:59.999999+00:00"),
    "other rule": lambda r: r["tie_rule"].reverse(),
    "maximum": lambda r: r["scoring"].update(rate_max="0.050000"),
    "kinds": lambda r: r["scoring"].update(kinds=["hybrid"]),
    "one more": lambda r: r.update(more=1),
    "one more of a package": lambda r: r["bids"][0]["packages"][0].update(more=1),
    "a truth": lambda r: r["bids"][0]["packages"][0].update(lots=[True]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_was_changed_does_not_verify(change: str) -> None:
    changed = made_of_three()
    assert verify(changed).startswith("VERIFIED: 3 bids, 3 scored, 2 of 4 lots placed, worth 21600.00; that no bid is")
    CHANGES[change](changed)
    with pytest.raises(AwardRefused):
        verify(changed)


@pytest.mark.parametrize(
    "change",
    [
        {"score": "0.10900000"},
        {"value": "10800.01"},
        {"state": "void", "reason": "capacity_exceeded"},
        {"state": "lost"},
        {"reason": "outbid"},
        {"rate": "0.090000"},
        {"lots": [2]},
        {"refusal": "ineligible"},
    ],
)
def test_a_part_that_was_changed_does_not_verify(change: dict[str, Any]) -> None:
    changed = part(made_of_three())
    changed["bid"]["packages"][0] |= change
    with pytest.raises(AwardRefused):
        verify(changed)


def test_in_a_part_no_two_packages_have_won() -> None:
    changed = part(made_of_three())
    changed["bid"]["packages"][1].update(state="won", reason=None)
    with pytest.raises(AwardRefused, match="more than one"):
        verify(changed)


@pytest.mark.parametrize(("won", "reason"), [(False, "other_package_won"), (True, "outbid")])
def test_in_a_part_another_package_has_won_exactly_if_one_has(won: bool, reason: str) -> None:
    changed = part(made_of_three())
    first, second = changed["bid"]["packages"]
    if not won:
        first.update(state="lost", reason=reason)
        changed["bid"].update(state="lost", reason=reason)
    second.update(reason=reason)
    with pytest.raises(AwardRefused, match="reason is"):
        verify(changed)


def test_a_record_without_its_bids_verifies_and_says_what_alone_shows_that_none_is_missing() -> None:
    assert "0 bids" in verify(record())
    assert "shown by the digest in the audit log alone" in verify(record())


GIVEN = {"lots": [1, 2], "kind": "rate", "rate": "0.180000", "case_fee": "0.00"}


@pytest.mark.parametrize(
    ("packages", "faults"),
    [
        (None, [(0, "packages", "required_missing")]),
        ([], [(0, "packages", "required_missing")]),
        ({}, [(0, "packages", "required_missing")]),
        ([GIVEN | {"lots": [at]} for at in range(9)], [(0, "packages", "too_many_packages")]),
        ([GIVEN, "text"], [(2, "*", "wrong_shape")]),
        ([GIVEN | {"more": 1}], [(1, "*", "wrong_shape")]),
        ([GIVEN | {"lots": []}], [(1, "lots", "required_missing")]),
        ([GIVEN | {"lots": "1"}], [(1, "lots", "required_missing")]),
        ([GIVEN, GIVEN | {"lots": [5]}], [(2, "lots", "lot_unknown")]),
        ([GIVEN | {"lots": [0]}], [(1, "lots", "lot_unknown")]),
        ([GIVEN | {"lots": [True]}], [(1, "lots", "lot_unknown")]),
        ([GIVEN | {"lots": ["1"]}], [(1, "lots", "lot_unknown")]),
        ([GIVEN | {"lots": [[]]}], [(1, "lots", "lot_unknown")]),
        ([GIVEN | {"lots": [2, 2]}], [(1, "lots", "lot_repeated")]),
        ([GIVEN, GIVEN | {"lots": [2, 1]}], [(2, "lots", "package_repeated")]),
        (
            [GIVEN | {"lots": [9], "rate": "0.18"}, GIVEN | {"kind": "flat"}],
            [(1, "lots", "lot_unknown"), (1, "rate", "rate_spelling"), (2, "kind", "unknown_value")],
        ),
        ([GIVEN | {"case_fee": "1.00"}], [(1, "case_fee", "fee_spelling")]),
    ],
)
def test_what_is_wrong_with_a_bid_is_said_by_package_and_field(
    packages: object, faults: list[tuple[int, str, str]]
) -> None:
    assert [tuple(one) for one in award.faults_in(packages, 4)] == faults
    with pytest.raises(AwardRefused):
        award.read_packages(packages, 4)


def test_packages_have_one_order() -> None:
    given_so = [GIVEN | {"lots": [2]}, GIVEN | {"lots": [3, 1]}]
    assert [one.lots for one in award.read_packages(given_so, 4)] == [(1, 3), (2,)]
