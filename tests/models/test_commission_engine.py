"""Commission: hand-worked lines first, then the engine against a slow recomputation, then derive, diff, post."""

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.attribution import ATTRIBUTED
from models.commission.engine import (
    BOOKED,
    DERIVATION,
    FEES,
    LINES,
    TERMS,
    derive,
    derive_fees,
    difference,
    replay,
    told,
)
from models.errors import Conflict


def attributed(*rows: dict[str, Any]) -> pl.DataFrame:
    ordinary = {
        "id": "p1",
        "case_id": "k1",
        "amount": Decimal("1000.00"),
        "currency": "CNY",
        "effective_on": dt.date(2026, 1, 15),
        "posted_on": dt.date(2026, 1, 16),
        "paid_to": "lender",
        "placement_id": "A",
        "agency_id": "agency-A",
        "attribution": "term",
        "commissionable": True,
    }
    return pl.DataFrame([{**ordinary, **row} for row in rows], schema=ATTRIBUTED)


def terms(
    rate: str = "0.225", version: int = 1, placement: str = "A", agreement: str = "AG", case: str = "k1"
) -> pl.DataFrame:
    return pl.DataFrame([(placement, case, agreement, version, Decimal(rate))], schema=TERMS, orient="row")


def fees(*rows: dict[str, Any]) -> pl.DataFrame:
    ordinary = {
        "agency_id": "agency-A",
        "agreement_id": "AG",
        "placement_id": "A",
        "case_id": "k1",
        "terms_version": 0,
        "case_fee": Decimal("12.50"),
        "currency": "CNY",
        "acknowledged_on": dt.date(2026, 1, 20),
    }
    return pl.DataFrame([{**ordinary, **row} for row in rows], schema=FEES)


def book(lines: pl.DataFrame, after: pl.DataFrame | None = None) -> pl.DataFrame:
    """Everything booked once `lines` are posted, each with an id that tells its cause and sequence."""
    cause = pl.when(pl.col("component") == "case_fee").then(pl.format("{}/{}", "cause_id", "case_id"))
    posted = lines.select(
        pl.format("{}-{}-{}", cause.otherwise("cause_id"), "component", "sequence").alias("id"), pl.all()
    )
    return posted if after is None else pl.concat([after, posted])


NOTHING = pl.DataFrame(schema=BOOKED)


def amounts(lines: pl.DataFrame) -> list[str]:
    return [str(amount) for amount in lines["amount"]]


@pytest.mark.parametrize(
    ("paid", "rate", "earned"),
    [
        ("1000.00", "0.225", "225.00"),
        ("0.01", "0.5", "0.01"),  # half a cent
        ("0.01", "0.499999", "0.00"),
        ("-0.01", "0.5", "-0.01"),
        ("-0.01", "0.499999", "0.00"),
        ("100.10", "0.125", "12.51"),  # 12.5125
        ("100.12", "0.125", "12.52"),  # 12.515, half a cent up
        ("-100.12", "0.125", "-12.52"),
        ("100.13", "0.125", "12.52"),  # 12.51625
        ("100.04", "0.125", "12.51"),  # 12.505: to even it would be 12.50
        ("1000.00", "0", "0.00"),
        ("1000.00", "1", "1000.00"),
        ("10000000000000.00", "0.333333", "3333330000000.00"),
        ("9999999999999.99", "0.225", "2250000000000.00"),  # 2249999999999.99775
        ("-9999999999999.99", "0.999999", "-9999989999999.99"),  # …989999999.99000001
    ],
)
def test_a_line_is_the_base_times_the_rate_rounded_half_away_from_zero(paid: str, rate: str, earned: str) -> None:
    assert amounts(derive(attributed({"amount": Decimal(paid)}), terms(rate))) == [earned]


def test_a_line_says_for_what_under_what_and_when() -> None:
    line = derive(attributed({}), terms("0.225", version=3)).row(0, named=True)
    derivation = line.pop("derivation")
    assert line == {
        "agency_id": "agency-A",
        "agreement_id": "AG",
        "placement_id": "A",
        "case_id": "k1",
        "component": "contingency",
        "cause_id": "p1",
        "sequence": 1,
        "adjusts_id": None,
        "period": "2026-01",
        "base_amount": Decimal("1000.00"),
        "rate": Decimal("0.225000"),
        "amount": Decimal("225.00"),
        "currency": "CNY",
        "effective_on": dt.date(2026, 1, 15),
        "posted_on": dt.date(2026, 1, 16),
    }
    assert told(derivation) == [
        "payment: id p1, amount 1000.00, currency CNY, effective_on 2026-01-15, posted_on 2026-01-16, paid_to lender",
        "attribution: placement_id A, attribution term",
        "rate: version 3, rate 0.225000",
        "amount: base 1000.00, entitled 225.00, booked 0.00, amount 225.00",
    ]


def test_the_posting_date_and_not_the_value_date_names_the_period() -> None:
    late = {"effective_on": dt.date(2025, 12, 31), "posted_on": dt.date(2026, 1, 1)}
    assert derive(attributed(late), terms())["period"].to_list() == ["2026-01"]


def test_a_payment_no_placement_earns_has_no_line() -> None:
    assert derive(attributed({"placement_id": None, "commissionable": False}), terms()).height == 0


def test_a_payment_the_agency_may_not_receive_has_a_line_of_nothing_that_says_why() -> None:
    lines = derive(attributed({"commissionable": False, "reason": "agency_may_not_receive"}), terms())
    assert amounts(lines) == ["0.00"]
    assert "reason agency_may_not_receive" in told(lines["derivation"][0])[1]


def test_a_reversal_is_a_clawback_at_the_rate_of_its_placement() -> None:
    lines = derive(attributed({"id": "r1", "amount": Decimal("-400.00"), "original": "p1"}), terms("0.225"))
    assert lines.select("component", "amount").row(0) == ("clawback", Decimal("-90.00"))
    assert lines["derivation"][0]["payment"]["original"] == "p1"


def test_a_placement_without_terms_is_refused_by_name() -> None:
    with pytest.raises(Conflict) as refused:
        derive(attributed({"placement_id": "B"}), terms())
    assert (refused.value.code, refused.value.facts) == ("terms_missing", {"placements": ["B"]})


def test_each_case_of_a_placement_earns_at_its_own_rate() -> None:
    paid = attributed({"id": "p1", "case_id": "k1"}, {"id": "p2", "case_id": "k2"})
    lines = derive(paid, pl.concat([terms("0.225", case="k1"), terms("0.1", case="k2")]))
    assert lines.select("case_id", "amount").rows() == [("k1", Decimal("225.00")), ("k2", Decimal("100.00"))]


def test_a_case_without_terms_is_refused_by_the_name_of_its_placement() -> None:
    with pytest.raises(Conflict) as refused:
        derive(attributed({"case_id": "k2"}), terms(case="k1"))
    assert (refused.value.code, refused.value.facts) == ("terms_missing", {"placements": ["A"]})


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="amount"):
        derive(attributed({}).cast({"amount": pl.Float64}), terms())
    with pytest.raises(TypeError, match="case_fee"):
        derive_fees(fees({}).cast({"case_fee": pl.Float64}))


def test_a_fee_is_a_line_without_base_or_rate_of_the_day_of_the_acknowledgement() -> None:
    line = derive_fees(fees({})).row(0, named=True)
    derivation = line.pop("derivation")
    assert line == {
        "agency_id": "agency-A",
        "agreement_id": "AG",
        "placement_id": "A",
        "case_id": "k1",
        "component": "case_fee",
        "cause_id": "A",
        "sequence": 1,
        "adjusts_id": None,
        "period": "2026-01",
        "base_amount": Decimal("0.00"),
        "rate": Decimal(0),
        "amount": Decimal("12.50"),
        "currency": "CNY",
        "effective_on": dt.date(2026, 1, 20),
        "posted_on": dt.date(2026, 1, 20),
    }
    assert told(derivation) == [
        "fee: placement_id A, version 0, case_fee 12.50, acknowledged_on 2026-01-20",
        "amount: base 0.00, entitled 12.50, booked 0.00, amount 12.50",
    ]
    assert replay(derivation) == Decimal("12.50")


def test_each_case_as_it_was_placed_is_a_cause_of_its_own() -> None:
    derived = derive_fees(fees({}, {"case_id": "k2"}, {"placement_id": "B"}))
    booked = book(difference(derived, NOTHING, "2026-01"))
    assert amounts(booked) == ["12.50"] * 3
    assert not booked["id"].is_duplicated().any()
    assert difference(derived, booked, "2026-01").height == 0
    back = difference(derive_fees(fees({}, {"placement_id": "B"})), booked, "2026-02")
    assert back.select("case_id", "amount", "adjusts_id", "period").rows() == [
        ("k2", Decimal("-12.50"), "A/k2-case_fee-1", "2026-02")
    ]


def test_a_fee_that_is_undone_is_taken_back_and_says_so() -> None:
    booked = book(difference(derive_fees(fees({})), NOTHING, "2026-01"))
    line = difference(derive_fees(fees()), booked, "2026-02").row(0, named=True)
    assert (line["amount"], line["adjusts_id"]) == (Decimal("-12.50"), "A/k1-case_fee-1")
    assert told(line["derivation"]) == [
        "fee: placement_id A, version 0, case_fee 12.50, acknowledged_on 2026-01-20, reason undone",
        "amount: base 0.00, entitled 0.00, booked 12.50, amount -12.50",
    ]
    assert replay(line["derivation"]) == Decimal("-12.50")


def test_a_fee_and_a_payment_of_one_case_are_booked_beside_each_other() -> None:
    derived = pl.concat([derive(attributed({}), terms()), derive_fees(fees({}))])
    posted = difference(derived, NOTHING, "2026-01")
    assert posted.select("component", "amount").rows() == [
        ("contingency", Decimal("225.00")),
        ("case_fee", Decimal("12.50")),
    ]
    booked = book(posted)
    back = difference(derived.clear(), booked, "2026-01")
    assert [told(line)[-2].partition(":")[0] for line in back["derivation"]] == ["rate", "fee"]
    assert [replay(line) for line in back["derivation"]] == [Decimal("-225.00"), Decimal("-12.50")]


def test_a_line_from_before_there_were_fees_reads_and_replays() -> None:
    derivation = derive(attributed({}), terms())["derivation"][0]
    del derivation["fee"]
    assert replay(derivation) == Decimal("225.00")
    assert len(told(derivation)) == 4
    (read,) = pl.Series([json.dumps(derivation)]).str.json_decode(DERIVATION)
    assert read == {**derivation, "fee": None}


def test_the_first_posting_books_every_line() -> None:
    derived = derive(attributed({}, {"id": "p2", "amount": Decimal("0.00")}), terms())
    assert difference(derived, NOTHING, "2026-01").equals(derived)


def test_posting_twice_posts_nothing() -> None:
    derived = derive(attributed({}, {"id": "p2"}), terms())
    booked = book(difference(derived, NOTHING, "2026-01"))
    assert difference(derived, booked, "2026-01").height == 0


def test_a_late_change_posts_the_difference_and_names_the_first_line() -> None:
    booked = book(difference(derive(attributed({}), terms("0.225")), NOTHING, "2026-01"))
    line = difference(derive(attributed({}), terms("0.25", version=2)), booked, "2026-01").row(0, named=True)
    assert (line["amount"], line["sequence"], line["adjusts_id"]) == (Decimal("25.00"), 2, "p1-contingency-1")
    assert told(line["derivation"])[2:] == [
        "rate: version 2, rate 0.250000",
        "amount: base 1000.00, entitled 250.00, booked 225.00, amount 25.00",
    ]


def test_a_second_change_still_names_the_first_line() -> None:
    booked = book(difference(derive(attributed({}), terms("0.225")), NOTHING, "2026-01"))
    booked = book(difference(derive(attributed({}), terms("0.25")), booked, "2026-01"), after=booked)
    line = difference(derive(attributed({}), terms("0.2")), booked, "2026-01").row(0, named=True)
    assert (line["amount"], line["sequence"], line["adjusts_id"]) == (Decimal("-50.00"), 3, "p1-contingency-1")


def test_an_adjustment_is_booked_in_no_earlier_period_than_what_it_adjusts() -> None:
    booked = book(difference(derive(attributed({}), terms("0.225")), NOTHING, "2026-04"))
    late = difference(derive(attributed({}), terms("0.25")), booked, "2026-01")
    assert late["period"].to_list() == ["2026-04"]


@pytest.mark.parametrize(
    ("open_period", "period"), [("2025-12", "2026-01"), ("2026-01", "2026-01"), ("2026-04", "2026-04")]
)
def test_a_difference_is_booked_in_the_first_open_period(open_period: str, period: str) -> None:
    derived = derive(attributed({}), terms())
    assert difference(derived, NOTHING, open_period)["period"].to_list() == [period]


def test_a_payment_that_moves_to_another_agreement_is_taken_back_and_booked_anew() -> None:
    booked = book(difference(derive(attributed({}), terms()), NOTHING, "2026-01"))
    moved = derive(
        attributed({"placement_id": "B", "agency_id": "agency-B"}), terms("0.1", placement="B", agreement="BG")
    )
    posted = difference(moved, booked, "2026-02").sort("agreement_id")
    assert posted.select("agreement_id", "agency_id", "amount", "adjusts_id", "period").rows() == [
        ("AG", "agency-A", Decimal("-225.00"), "p1-contingency-1", "2026-02"),
        ("BG", "agency-B", Decimal("100.00"), None, "2026-02"),
    ]
    assert told(posted["derivation"][0])[1] == "attribution: placement_id A, attribution none, reason not_attributed"


def test_what_is_taken_back_stays_back_and_can_return() -> None:
    derived = derive(attributed({}), terms())
    booked = book(difference(derived, NOTHING, "2026-01"))
    booked = book(difference(derived.clear(), booked, "2026-01"), after=booked)
    assert difference(derived.clear(), booked, "2026-01").height == 0
    assert amounts(difference(derived, booked, "2026-01")) == ["225.00"]


def test_amounts_of_two_currencies_are_never_set_off() -> None:
    booked = book(difference(derive(attributed({}), terms()), NOTHING, "2026-01"))
    posted = difference(derive(attributed({"currency": "USD"}), terms()), booked, "2026-01").sort("currency")
    assert posted.select("currency", "amount").rows() == [("CNY", Decimal("-225.00")), ("USD", Decimal("225.00"))]


def test_a_derivation_survives_json_and_replays() -> None:
    lines = derive(attributed({}), terms())
    text = pl.Series([json.dumps(lines["derivation"][0])])
    assert text.str.json_decode(DERIVATION).to_list() == lines["derivation"].to_list()
    assert replay(json.loads(text[0])) == Decimal("225.00")


@pytest.mark.parametrize(
    ("step", "fact", "value"),
    [
        ("payment", "amount", "1000.01"),
        ("rate", "rate", "0.225010"),
        ("attribution", "reason", "not_attributed"),
        ("amount", "base", "999.00"),
        ("amount", "entitled", "225.01"),
        ("amount", "booked", "0.01"),
        ("amount", "amount", "225.01"),
        ("amount", "amount", None),
    ],
)
def test_a_derivation_that_does_not_lead_to_its_amount_is_refused(step: str, fact: str, value: str | None) -> None:
    derivation = derive(attributed({}), terms())["derivation"][0]
    derivation[step][fact] = value
    with pytest.raises(ValueError):
        replay(derivation)


@pytest.mark.parametrize(
    ("step", "fact", "value"),
    [
        ("fee", "case_fee", "12.51"),
        ("fee", "case_fee", None),
        ("fee", "reason", "undone"),
        ("amount", "base", "0.01"),
        ("amount", "entitled", "12.51"),
        ("amount", "amount", "12.51"),
    ],
)
def test_a_fee_that_does_not_lead_to_its_amount_is_refused(step: str, fact: str, value: str | None) -> None:
    derivation = derive_fees(fees({}))["derivation"][0]
    derivation[step][fact] = value
    with pytest.raises(ValueError):
        replay(derivation)


def test_a_derivation_without_its_steps_is_refused() -> None:
    derivation = derive(attributed({}), terms())["derivation"][0]
    for step in ("payment", "attribution", "rate", "amount"):
        with pytest.raises(ValueError):
            replay({**derivation, step: None})


cents = st.integers(-(10**15), 10**15) | st.integers(-300, 300)


def earned(paid: Decimal, rate: Decimal) -> Decimal:
    """The rule in whole numbers: no code and no arithmetic of the engine's."""
    exact = Fraction(paid) * Fraction(rate) * 100
    whole, rest = divmod(abs(exact), 1)
    return Decimal((int(whole) + (rest >= Fraction(1, 2))) * (1 if exact > 0 else -1)).scaleb(-2)


@settings(deadline=None)
@given(st.lists(st.tuples(cents, st.integers(0, 10**6)), max_size=8), st.randoms())
def test_the_engine_agrees_with_whole_number_arithmetic_in_any_order(facts: list[tuple[int, int]], random: Any) -> None:
    rows = [
        {"id": f"p{n:02}", "amount": Decimal(paid).scaleb(-2), "placement_id": f"A{n:02}"}
        for n, (paid, _) in enumerate(facts)
    ]
    rates = [(f"A{n:02}", "k1", "AG", 1, Decimal(rate).scaleb(-6)) for n, (_, rate) in enumerate(facts)]
    shuffled = list(rows)
    random.shuffle(shuffled)
    card = pl.DataFrame(rates, schema=TERMS, orient="row")
    lines = derive(attributed(*shuffled), card)
    assert lines.equals(derive(attributed(*rows), card))
    assert lines["amount"].to_list() == [
        earned(row["amount"], rate) for row, (*_, rate) in zip(rows, rates, strict=True)
    ]
    assert [replay(derivation) for derivation in lines["derivation"]] == lines["amount"].to_list()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), cents, st.integers(0, 10**6)), max_size=4), max_size=5))
def test_whatever_changes_the_booked_sum_is_what_the_facts_say_now(days: list[list[tuple[int, int, int]]]) -> None:
    booked = NOTHING
    for facts in days:
        now = {f"p{n}": (Decimal(paid).scaleb(-2), Decimal(rate).scaleb(-6)) for n, paid, rate in facts}
        rows = [{"id": name, "amount": paid, "placement_id": name} for name, (paid, _) in now.items()]
        card = pl.DataFrame(
            [(name, "k1", "AG", 1, rate) for name, (_, rate) in now.items()], schema=TERMS, orient="row"
        )
        derived = derive(attributed(*rows), card)
        booked = book(difference(derived, booked, "2026-01"), after=booked)
        assert difference(derived, booked, "2026-01").height == 0
        sums = dict(booked.group_by("cause_id").agg(pl.col("amount").sum()).rows())
        assert sums == {name: earned(*now[name]) if name in now else 0 for name in sums}
        assert now.keys() <= sums.keys()
        assert [replay(line) for line in booked["derivation"]] == booked["amount"].to_list()
        assert not booked["id"].is_duplicated().any()


placed_cases = st.tuples(st.sampled_from("AB"), st.sampled_from(["k1", "k2", "k3"]))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sets(placed_cases), max_size=5), st.integers(1, 10**8))
def test_whatever_is_acknowledged_or_undone_the_booked_fees_are_those_that_stand(
    days: list[set[tuple[str, str]]], fee: int
) -> None:
    booked, case_fee = NOTHING, Decimal(fee).scaleb(-2)
    for standing in days:
        rows = [{"placement_id": name, "case_id": case, "case_fee": case_fee} for name, case in sorted(standing)]
        derived = derive_fees(fees(*rows))
        booked = book(difference(derived, booked, "2026-01"), after=booked)
        assert difference(derived, booked, "2026-01").height == 0
        sums = {(name, case): amount for name, case, amount in _sums(booked).rows() if amount}
        assert sums == dict.fromkeys(standing, case_fee)
        assert [replay(line) for line in booked["derivation"]] == booked["amount"].to_list()
        assert not booked["id"].is_duplicated().any()


def _sums(booked: pl.DataFrame) -> pl.DataFrame:
    return booked.group_by("placement_id", "case_id").agg(pl.col("amount").sum())


def test_lines_of_no_payments_are_an_empty_frame_of_the_same_shape() -> None:
    assert derive(attributed(), terms()).schema == LINES
    assert derive_fees(fees()).schema == LINES
    assert difference(derive(attributed(), terms()), NOTHING, "2026-01").schema == LINES
