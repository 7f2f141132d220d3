"""Money is exact, rounds half away from zero, and refuses floats."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import (
    CURRENCIES,
    MONEY,
    money_frame,
    money_product,
    parse_money,
    refuse_floats,
    round_money,
    round_money_expr,
)

WIDE = Context(prec=76)

exact_amounts = st.integers(-(10**19), 10**19).map(lambda n: Decimal(n).scaleb(-6))
cents = st.integers(-(10**15), 10**15).map(lambda n: Decimal(n).scaleb(-2))
rates = st.integers(0, 10**6).map(lambda n: Decimal(n).scaleb(-6))


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0.004", "0.00"),
        ("0.005", "0.01"),
        ("0.015", "0.02"),
        ("0.025", "0.03"),
        ("-0.004", "0.00"),
        ("-0.005", "-0.01"),
        ("-0.025", "-0.03"),
        ("2.675", "2.68"),
        ("10000000000000.005", "10000000000000.01"),
        ("-10000000000000.005", "-10000000000000.01"),
    ],
)
def test_halves_go_away_from_zero(amount: str, rounded: str) -> None:
    assert str(round_money(Decimal(amount))) == rounded
    column = pl.DataFrame({"amount": [Decimal(amount)]}).select(round_money_expr(pl.col("amount")))["amount"]
    assert [str(value) for value in column] == [rounded]


@given(exact_amounts)
def test_the_rounded_size_does_not_depend_on_the_sign(amount: Decimal) -> None:
    assert round_money(-amount) == -round_money(amount)
    assert round_money(abs(amount)) == abs(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)


@given(st.lists(exact_amounts, min_size=1), st.integers(0, 4))
def test_the_column_form_rounds_like_the_one_rounding_function(amounts: list[Decimal], places: int) -> None:
    frame = pl.DataFrame({"amount": amounts}, schema={"amount": pl.Decimal(38, 6)})
    rounded = frame.select(round_money_expr(pl.col("amount"), places))["amount"]
    assert rounded.dtype == pl.Decimal(38, places)
    assert rounded.to_list() == [round_money(amount, places) for amount in amounts]


def test_a_missing_amount_stays_missing() -> None:
    frame = pl.DataFrame({"amount": [None, Decimal("0.005")]}, schema={"amount": pl.Decimal(38, 3)})
    assert frame.select(round_money_expr(pl.col("amount")))["amount"].to_list() == [None, Decimal("0.01")]


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_rounded(amount: str) -> None:
    with pytest.raises(ValueError):
        round_money(Decimal(amount))


@given(cents, rates)
def test_a_product_is_exact(amount: Decimal, rate: Decimal) -> None:
    a = pl.Series("a", [amount], dtype=MONEY)
    b = pl.Series("b", [rate], dtype=pl.Decimal(38, 6))
    assert money_product(a, b).to_list() == [WIDE.multiply(amount, rate)]


def test_a_product_keeps_places_that_polars_alone_would_cut_off() -> None:
    a, b = pl.Series("a", [Decimal("1.01")]), pl.Series("b", [Decimal("0.005")])
    assert (a * b).to_list() != [Decimal("0.00505")]
    assert money_product(a, b).to_list() == [Decimal("0.00505")]


@pytest.mark.parametrize("digits", [32, 36])
def test_a_product_beyond_38_digits_is_refused(digits: int) -> None:
    huge = pl.Series("huge", [Decimal(10) ** (digits - 1)], dtype=MONEY)
    with pytest.raises(OverflowError):
        money_product(huge, pl.Series("rate", [Decimal("99.999999")], dtype=pl.Decimal(38, 6)))


def test_a_product_of_floats_is_refused() -> None:
    with pytest.raises(TypeError):
        money_product(pl.Series("a", [1.5]), pl.Series("b", [Decimal("0.5")]))


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_a_float_column_is_refused_by_name(dtype: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"amount": [Decimal("1.00")], "share": [0.5]}, schema_overrides={"share": dtype})
    with pytest.raises(TypeError, match="share"):
        refuse_floats(frame)


def test_an_amount_with_three_places_is_refused_rather_than_rounded() -> None:
    with pytest.raises(TypeError, match="amount"):
        money_frame(pl.DataFrame({"amount": [Decimal("1.005")]}), {"amount": MONEY})


def test_whole_amounts_get_their_two_places() -> None:
    frame = money_frame(pl.DataFrame({"amount": [Decimal(7)], "other": [1]}), {"amount": MONEY})
    assert [str(value) for value in frame["amount"]] == ["7.00"]


@given(cents)
def test_an_amount_reads_back_as_written(amount: Decimal) -> None:
    assert parse_money(str(amount)) == amount


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1\n", "+1", "1,000", "1.", ".5", "1.005", "1e3", "NaN", "--1", "\uff11", "¥1", "12345678901234567"],
)
def test_what_is_not_plainly_an_amount_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_money(text)
    assert str(refused.value) == "not an amount of money"


@given(st.text())
def test_reading_an_amount_gives_two_places_or_refuses(text: str) -> None:
    try:
        amount = parse_money(text)
    except ValueError:
        return
    assert amount == amount.quantize(Decimal("0.01"), rounding=ROUND_DOWN)
    assert amount.as_tuple().exponent == -2


def test_currencies_are_codes_of_three_letters() -> None:
    assert {"CNY", "USD", "INR", "HKD", "EUR"} <= CURRENCIES
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert not {"XXX", "XTS", "XAU"} & CURRENCIES
