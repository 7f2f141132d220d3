"""Commitments, scores, ties and the verifier of an award's record."""

import copy
import json
import shutil
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal, localcontext
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import award
from models.award import AwardRefused, Candidate, Scoring, Terms

TENDER = UUID("01890000-0000-7000-8000-00000000000a")
LENDER = "01890000-0000-7000-8000-00000000000b"
SCORING = Scoring("0.120000", 1000, "8000000.00", "CNY", award.KINDS)
FACTORS = st.integers(0, 10_000).map(lambda n: f"{n // 10_000}.{n % 10_000:04d}")
RATES = st.integers(0, 1_000_000).map(lambda n: f"{n // 1_000_000}.{n % 1_000_000:06d}")
FEES = st.integers(0, 99_999_999).map(lambda n: f"{n // 100}.{n % 100:02d}")
TERMS = st.one_of(
    RATES.map(lambda rate: Terms(award.RATE, rate, "0.00")), st.builds(Terms, st.just(award.HYBRID), RATES, FEES)
)


# Reasons of the gate that come to each refusal.
GATE: dict[str | None, list[str]] = {told: [code] for code, told in award.GATE_TOLD.items()} | {None: []}


def agency(number: int) -> UUID:
    return UUID(int=0x01890000000070008000000000010000 + number)


def bid(
    number: int,
    rate: str = "0.200000",
    factor: str = "0.9000",
    committed_at: str = "2026-03-10T02:00:00.000000+00:00",
    fee: str = "0.00",
    revealed: bool = True,
    refusal: str | None = None,
) -> Candidate:
    terms = Terms(award.RATE if fee == "0.00" else award.HYBRID, rate, fee)
    nonce = bytes([number]) * award.NONCE_BYTES
    commitment = award.commitment_of(TENDER, agency(number), terms, nonce)
    name = f"01890000-0000-7000-8000-0000000{number:05d}"
    shown = (terms, nonce) if revealed else (None, None)
    return Candidate(name, agency(number), commitment, committed_at, factor, *shown, refusal)


def winner(*bids: Candidate) -> list[int]:
    """Where in the order given the winner stands."""
    return [at for at, result in enumerate(award.decide(TENDER, SCORING, bids)) if result.state == award.WON]


def reasons(*bids: Candidate, placeable: bool = True) -> list[str | None]:
    return [result.reason for result in award.decide(TENDER, SCORING, bids, placeable)]


def record(*bids: Candidate, placeable: bool = True) -> dict[str, Any]:
    """The record of an award as the service writes it."""
    results = award.decide(TENDER, SCORING, bids, placeable)
    entries = [
        {
            "bid": one.bid,
            "agency": str(one.agency_id),
            "agency_name": "委外机构",
            "offer": one.bid,
            "commitment": one.commitment.hex(),
            "committed_at": one.committed_at,
            "revealed_at": "2026-03-11T02:00:00.000000+00:00" if one.terms else None,
            "terms": one.terms._asdict() if one.terms else None,
            "nonce": one.nonce.hex() if one.nonce else None,
            "conduct_factor": one.conduct_factor,
            "refusal": one.refusal,
            "gate": GATE[one.refusal],
            "state": result.state,
            "score": result.score,
            "reason": result.reason,
        }
        for one, result in zip(bids, results, strict=True)
    ]
    return {
        "format": award.RECORD,
        "tender": str(TENDER),
        "lender": LENDER,
        "commit_until": "2026-03-11T00:00:00.000000+00:00",
        "reveal_until": "2026-03-12T00:00:00.000000+00:00",
        "awarded_at": "2026-03-12T00:00:30.000000+00:00",
        "scoring": SCORING._asdict() | {"kinds": list(SCORING.kinds)},
        "tie_rule": list(award.TIE_RULE),
        "bids": entries,
        "outcome": award.outcome_of(results),
        "winner": next((result.bid for result in results if result.state == award.WON), None),
    }


def part(one: Candidate) -> dict[str, Any]:
    whole = record(one, bid(9, rate="0.000000"))
    own = {name: value for name, value in whole["bids"][0].items() if name != "gate"}
    return {name: whole[name] for name in ("tender", "lender", "scoring", "tie_rule")} | {
        "format": award.PART,
        "bid": own,
    }


def test_a_commitment_is_this_hash_and_no_other() -> None:
    terms = Terms("hybrid", "0.180000", "12.50")
    spelled = b'{"case_fee":"12.50","kind":"hybrid","rate":"0.180000"}'
    parts = (TENDER.bytes, agency(1).bytes, spelled, b"\x07" * 32)
    framed = b"consign/bid/1\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert award.commitment_of(TENDER, agency(1), terms, b"\x07" * 32) == sha256(framed).digest()


def test_a_commitment_is_of_one_tender_agency_bid_and_nonce() -> None:
    terms, nonce = Terms("rate", "0.180000", "0.00"), bytes(32)
    commitments = {
        award.commitment_of(TENDER, agency(1), terms, nonce),
        award.commitment_of(agency(3), agency(1), terms, nonce),
        award.commitment_of(TENDER, agency(2), terms, nonce),
        award.commitment_of(TENDER, agency(1), terms._replace(rate="0.180001"), nonce),
        award.commitment_of(TENDER, agency(1), terms._replace(kind="hybrid"), nonce),
        award.commitment_of(TENDER, agency(1), terms, b"\x01" + bytes(31)),
    }
    assert len(commitments) == 6


@pytest.mark.parametrize(
    ("terms", "factor", "score"),
    [
        (Terms("rate", "0.200000", "0.00"), "1.0000", "0.09600000"),
        (Terms("rate", "0.200000", "0.00"), "0.9000", "0.08640000"),
        (Terms("hybrid", "0.000000", "96.00"), "1.0000", "0.10800000"),
        (Terms("hybrid", "1.000000", "8000.00"), "0.5000", "-0.50000000"),
        (Terms("rate", "1.000000", "0.00"), "1.0000", "0.00000000"),
    ],
)
def test_the_score_is_the_expected_net_back_times_the_conduct_factor(terms: Terms, factor: str, score: str) -> None:
    assert award.score_of(SCORING, terms, factor) == score


@given(TERMS, FACTORS, RATES, st.integers(0, 10**7), st.integers(1, 10**13))
def test_a_score_is_exact_and_rounded_half_away_from_zero(
    terms: Terms, factor: str, recovery: str, cases: int, cents: int
) -> None:
    scoring = Scoring(recovery, cases, f"{cents // 100}.{cents % 100:02d}", "CNY", award.KINDS)
    with localcontext() as exact:
        exact.prec, exact.rounding = 120, ROUND_HALF_UP
        balance = Decimal(scoring.balance)
        kept = Decimal(recovery) * (1 - Decimal(terms.rate)) * balance - Decimal(terms.case_fee) * cases
        expected = (kept * Decimal(factor) / balance).quantize(Decimal("1e-8")) + 0
    assert Decimal(award.score_of(scoring, terms, factor)) == expected


def test_the_highest_score_wins_and_the_others_learn_that_theirs_was_lower() -> None:
    assert winner(bid(1, rate="0.300000"), bid(2, rate="0.100000"), bid(3, rate="0.200000")) == [1]
    assert reasons(bid(1, rate="0.300000"), bid(2, rate="0.100000")) == [award.SCORE_LOWER, None]


def test_a_tie_goes_to_the_higher_conduct_factor() -> None:
    # 0.12 * (1 - 0.5) * 0.8 == 0.12 * (1 - 0.6) * 1.0
    assert winner(bid(1, rate="0.500000", factor="0.8000"), bid(2, rate="0.600000", factor="1.0000")) == [1]


def test_a_tie_of_equal_factors_goes_to_the_lower_rate() -> None:
    # A fee of 48.00 costs as much as a rate of 0.05: 48 * 1000 / 8,000,000 = 0.006 = 0.12 * 0.05.
    bids = bid(1, rate="0.200000"), bid(2, rate="0.150000", fee="48.00")
    assert award.decide(TENDER, SCORING, bids)[0].score == award.decide(TENDER, SCORING, bids)[1].score
    assert winner(*bids) == [1]
    assert reasons(*bids) == [award.TIE_LOST, None]


def test_a_tie_of_equal_bids_goes_to_whoever_committed_first() -> None:
    assert winner(bid(1, committed_at="2026-03-10T02:00:00.000002+00:00"), bid(2)) == [1]


def test_a_tie_of_one_moment_goes_to_the_smaller_commitment() -> None:
    first, second = sorted((bid(1), bid(2)), key=lambda one: one.commitment)
    assert winner(second, first) == [1]


def test_what_was_never_revealed_is_void_without_a_score() -> None:
    results = award.decide(TENDER, SCORING, [bid(1, revealed=False), bid(2)])
    assert results[0] == (bid(1).bid, award.VOID, None, award.NOT_REVEALED)
    assert results[1].state == award.WON


def test_what_was_revealed_otherwise_than_committed_is_void_without_a_score() -> None:
    other = bid(1)._replace(commitment=bytes(32))
    assert award.decide(TENDER, SCORING, [other])[0] == (other.bid, award.VOID, None, award.COMMITMENT_MISMATCH)


@pytest.mark.parametrize("refusal", award.REFUSED_BY_GATE)
def test_a_bid_that_the_gate_refuses_is_scored_and_void(refusal: str) -> None:
    best, next_best = bid(1, rate="0.000000", refusal=refusal), bid(2)
    results = award.decide(TENDER, SCORING, [best, next_best])
    assert (results[0].state, results[0].score, results[0].reason) == (award.VOID, "0.10800000", refusal)
    assert results[1].state == award.WON


@pytest.mark.parametrize(
    ("rate", "fee", "factor"),
    [
        ("1.000000", "0.00", "1.0000"),
        ("0.000000", "960.00", "1.0000"),
        ("1.000000", "999999.99", "1.0000"),
        ("0.000000", "0.00", "0.0000"),
    ],
)
def test_a_bid_that_leaves_the_lender_nothing_is_scored_and_void(rate: str, fee: str, factor: str) -> None:
    (result,) = award.decide(TENDER, SCORING, [bid(1, rate=rate, fee=fee, factor=factor)])
    assert (result.state, result.reason) == (award.VOID, award.SCORE_NOT_POSITIVE)
    assert Decimal(result.score or "1") <= 0


def test_below_zero_no_conduct_factor_wins() -> None:
    dear = {"rate": "0.500000", "fee": "700.00"}
    assert winner(bid(1, factor="0.5000", **dear), bid(2, factor="1.0000", **dear)) == []


def test_a_bid_above_a_published_maximum_is_scored_and_void_and_one_at_it_is_not() -> None:
    capped = SCORING._replace(rate_max="0.200000", case_fee_max="48.00")
    bids = [
        bid(1, rate="0.200000", fee="48.00"),
        bid(2, rate="0.200001"),
        bid(3, rate="0.000000", fee="48.01"),
        bid(4, rate="0.300000", refusal="licence_expired"),
    ]
    results = award.decide(TENDER, capped, bids)
    assert [one.reason for one in results] == [None, *[award.ABOVE_MAXIMUM] * 3]
    assert all(one.score for one in results)
    assert award.exceeded(Terms("hybrid", "0.300000", "50.00"), "0.200000", "48.00") == ["rate", "case_fee"]
    assert award.exceeded(Terms("hybrid", "1.000000", "999999.99"), None, None) == []


def test_an_agency_is_told_of_its_own_papers_and_nothing_that_only_the_lender_knows() -> None:
    assert award.told(["agency_frozen", "licence_expired", "complaints_too_many"]) == ["ineligible", "licence_expired"]
    assert award.refusal_of([]) is None
    assert award.refusal_of(["conduct_score_too_low", "capacity_exceeded"]) == "ineligible"


def test_where_nothing_is_left_to_place_nobody_wins() -> None:
    results = award.decide(TENDER, SCORING, [bid(1), bid(2, revealed=False)], placeable=False)
    assert [(one.state, one.reason) for one in results] == [
        (award.LOST, award.NO_CASES),
        (award.VOID, award.NOT_REVEALED),
    ]
    assert award.outcome_of(results) == award.NO_CASES


BIDS = st.lists(
    st.builds(
        bid,
        st.integers(1, 200),
        rate=st.sampled_from(["0.100000", "0.200000", "0.300000"]),
        factor=st.sampled_from(["0.8000", "0.9000", "1.0000"]),
        committed_at=st.sampled_from(["2026-03-10T02:00:00.000000+00:00", "2026-03-10T03:00:00.000000+00:00"]),
        fee=st.sampled_from(["0.00", "48.00"]),
        revealed=st.booleans(),
        refusal=st.sampled_from([None, None, "capacity_exceeded"]),
    ),
    max_size=12,
    unique_by=lambda one: one.bid,
)


@given(BIDS, st.randoms(use_true_random=False))
def test_the_order_of_the_bids_decides_nothing(bids: list[Candidate], shuffle: Any) -> None:
    other = list(bids)
    shuffle.shuffle(other)
    assert {*award.decide(TENDER, SCORING, bids)} == {*award.decide(TENDER, SCORING, other)}


@given(BIDS)
def test_there_is_one_winner_exactly_if_there_is_a_valid_bid(bids: list[Candidate]) -> None:
    valid = [one for one in bids if one.terms and not one.refusal]
    assert len(winner(*bids)) == bool(valid)


@given(BIDS, st.booleans())
def test_every_record_verifies(bids: list[Candidate], placeable: bool) -> None:
    assert award.verify(award.canonical(record(*bids, placeable=placeable))).startswith(f"VERIFIED: {len(bids)} bids")


def void(changed: dict[str, Any], refusal: str, gate: list[str]) -> None:
    """Take the award from its winner for no reason, and give it to the other."""
    changed["bids"][0].update(state="void", reason=refusal, refusal=refusal, gate=gate)
    changed["bids"][1].update(state="won", reason=None)
    changed["winner"] = changed["bids"][1]["bid"]


CHANGES = {
    "score": lambda r: r["bids"][0].update(score="0.09000001"),
    "rate": lambda r: r["bids"][0]["terms"].update(rate="0.100000"),
    "nonce": lambda r: r["bids"][0].update(nonce="00" * 32),
    "commitment": lambda r: r["bids"][1].update(commitment="00" * 32),
    "factor": lambda r: r["bids"][1].update(conduct_factor="1.0000"),
    "recovery": lambda r: r["scoring"].update(expected_recovery="0.130000"),
    "cases": lambda r: r["scoring"].update(case_count=1001, balance="7000000.00"),
    "winner": lambda r: r.update(winner=r["bids"][1]["bid"]),
    "nobody": lambda r: r.update(winner=None),
    "outcome": lambda r: r.update(outcome=award.NO_CASES),
    "state": lambda r: (r["bids"][0].update(state="lost"), r["bids"][1].update(state="won")),
    "reason": lambda r: r["bids"][1].update(reason="tie_lost"),
    "left out": lambda r: r["bids"].pop(0),
    "twice": lambda r: r["bids"].append(r["bids"][0]),
    "never revealed": lambda r: r["bids"][0].update(terms=None, nonce=None, revealed_at=None),
    "half revealed": lambda r: r["bids"][0].update(nonce=None),
    "late": lambda r: r["bids"][0].update(committed_at="2026-03-11T00:00:00.000000+00:00"),
    "revealed early": lambda r: r["bids"][0].update(revealed_at="2026-03-10T23:59:59.999999+00:00"),
    "revealed late": lambda r: r["bids"][0].update(revealed_at="2026-03-12T00:00:00.000000+00:00"),
    "awarded early": lambda r: r.update(awarded_at="2026-03-11T23:59:59.999999+00:00"),
    "other rule": lambda r: r["tie_rule"].reverse(),
    "voided without a reason": lambda r: void(r, "ineligible", []),
    "voided for another reason": lambda r: void(r, "ineligible", ["licence_expired"]),
    "voided by no code of the gate": lambda r: void(r, "ineligible", ["disliked"]),
    "gate without a refusal": lambda r: r["bids"][0].update(gate=["licence_expired"]),
    "maximum": lambda r: r["scoring"].update(rate_max="0.190000"),
    "kinds": lambda r: r["scoring"].update(kinds=["hybrid"]),
    "one more": lambda r: r.update(more=1),
    "a float": lambda r: r["scoring"].update(case_count=1000.0),
    "a truth": lambda r: r["scoring"].update(case_count=True),
    "no balance": lambda r: r["scoring"].update(balance="0.00"),
    "more terms": lambda r: r["bids"][0]["terms"].update(more="1"),
    "loose rate": lambda r: r["bids"][0]["terms"].update(rate="0.2"),
    "surrogate": lambda r: r["bids"][0].update(agency_name="\ud800"),
    "no day": lambda r: r.update(awarded_at="2026-13-41T00:00:00.000000+00:00"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_was_changed_does_not_verify(change: str) -> None:
    changed = copy.deepcopy(record(bid(1), bid(2, rate="0.400000", fee="48.00")))
    CHANGES[change](changed)
    text = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=change == "surrogate").encode()
    with pytest.raises(AwardRefused):
        award.verify(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b'{"format":"consign/award/2"}', b"[" * 100_000, b'{"a":1,"a":1}'),
        *(b'{"format":[]}', b'{"format":{}}', b'{"format":null}', b'{"format":1}'),
    ],
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(AwardRefused):
        award.verify(text)


def test_a_record_in_another_spelling_is_refused() -> None:
    text = award.canonical(record(bid(1)))
    for other in (text + b"\n", text.replace(b":", b": ", 1), text.replace(b'"kind"', b'"\\u006bind"')):
        with pytest.raises(AwardRefused, match="canonical"):
            award.verify(other)


@pytest.mark.parametrize(
    ("own", "came_out"),
    [(bid(1), "lost"), (bid(1, revealed=False), "void"), (bid(1, refusal="capacity_exceeded"), "void")],
)
def test_a_bidder_verifies_its_own_part_alone(own: Candidate, came_out: str) -> None:
    assert award.verify(award.canonical(part(own))).startswith(f"VERIFIED: the bid is {came_out}")


@pytest.mark.parametrize(
    "change",
    [
        {"score": "0.10000000"},
        {"state": "void", "reason": "not_revealed"},
        {"state": "void", "reason": "commitment_mismatch", "score": None},
        {"conduct_factor": "0.8000"},
        {"commitment": "11" * 32},
    ],
)
def test_a_part_that_was_changed_does_not_verify(change: dict[str, Any]) -> None:
    changed = part(bid(1))
    changed["bid"] |= change
    with pytest.raises(AwardRefused):
        award.verify(award.canonical(changed))


@pytest.mark.parametrize(
    ("given_terms", "wrong"),
    [
        ({"kind": "flat", "rate": "0.180000", "case_fee": "0.00"}, "kind"),
        ({"kind": "rate", "rate": "0.18", "case_fee": "0.00"}, "rate"),
        ({"kind": "rate", "rate": "1.000001", "case_fee": "0.00"}, "rate"),
        ({"kind": "rate", "rate": "-0.180000", "case_fee": "0.00"}, "rate"),
        ({"kind": "rate", "rate": "0.18000٠", "case_fee": "0.00"}, "rate"),
        ({"kind": "rate", "rate": "0.180000", "case_fee": "1.00"}, "case_fee"),
        ({"kind": "hybrid", "rate": "0.180000", "case_fee": "01.00"}, "case_fee"),
        ({"kind": "hybrid", "rate": "0.180000"}, "case_fee"),
        ({"kind": "hybrid", "rate": 0, "case_fee": "1.00"}, "rate"),
    ],
)
def test_terms_have_one_spelling(given_terms: dict[str, object], wrong: str) -> None:
    with pytest.raises(AwardRefused, match=f"^{wrong}$"):
        award.read_terms(given_terms)


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


def test_the_verifier_runs_alone_on_any_machine(tmp_path: Path) -> None:
    file = tmp_path / "award.json"
    shutil.copytree(Path(award.__file__).parent, tmp_path / "award", ignore=shutil.ignore_patterns("__pycache__"))
    file.write_bytes(award.canonical(record(bid(1), bid(2, rate="0.400000"), bid(3, revealed=False))))
    done = run("-E", "-S", "-m", "award", "verify", file, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 bids, 2 scored, winner" in done.stdout
    assert "that no bid is missing is shown by the digest in the audit log alone" in done.stdout
    assert sha256(file.read_bytes()).hexdigest() in done.stdout


def test_the_command_tells_what_is_wrong_and_what_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "award.json"
    changed = record(bid(1))
    changed["bids"][0]["score"] = "9.00000000"
    file.write_bytes(award.canonical(changed))
    wrong = run("-m", "models.award", "verify", file)
    assert (wrong.returncode, "score is 0.08640000, not 9.00000000" in wrong.stderr) == (1, True)
    assert run("-m", "models.award", "verify", tmp_path / "absent.json").returncode == 2
