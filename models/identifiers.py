"""Chinese resident ids, mobile numbers and card numbers over a Polars column of text.

Each rule for one value (`is_…`, crypto/identifiers.py) holds for a column under the name `…_holds`.
"""

import polars as pl

from crypto.identifiers import (
    CARD_INSIDE,
    CARD_SHAPE,
    LEGACY_ID_SHAPE,
    PERSONAL_SHAPE,
    RESIDENT_ID_SHAPE,
    SEPARATORS,
    WEIGHTS,
)
from crypto.identifiers import MOBILE_PREFIX as MOBILE_PREFIX
from crypto.identifiers import MOBILE_SHAPE as MOBILE_SHAPE
from crypto.identifiers import PROVINCES as PROVINCES
from crypto.identifiers import SCIENTIFIC as SCIENTIFIC
from crypto.identifiers import birth_date_of as birth_date_of
from crypto.identifiers import check_character as check_character
from crypto.identifiers import is_card as is_card
from crypto.identifiers import is_luhn as is_luhn
from crypto.identifiers import is_mobile as is_mobile
from crypto.identifiers import is_resident_id as is_resident_id
from crypto.identifiers import looks_personal as looks_personal
from crypto.identifiers import luhn_digit as luhn_digit
from crypto.identifiers import national_mobile as national_mobile
from crypto.identifiers import resident_id_18 as resident_id_18


def resident_id_holds(text: pl.Expr) -> pl.Expr:
    """`is_resident_id` over a column of text."""
    sum_ = sum_of_digits(text.str.slice(0, 17), WEIGHTS)
    last = text.str.slice(17, 1)
    check = pl.when(last == "X").then(10).otherwise(last.cast(pl.Int64, strict=False))
    return (
        text.str.slice(0, 2).is_in(PROVINCES)
        & birth_date_column(text).is_not_null()
        & ((text.str.len_bytes() == 15) | ((sum_ + check) % 11 == 1))
    )


def birth_date_column(resident_id: pl.Expr) -> pl.Expr:
    """`birth_date_of` over a column of text: Date, null where there is none."""
    digits = (
        pl.when(resident_id.str.contains(RESIDENT_ID_SHAPE))
        .then(resident_id.str.slice(6, 8))
        .when(resident_id.str.contains(LEGACY_ID_SHAPE))
        .then("19" + resident_id.str.slice(6, 6))
    )
    return digits.str.to_date("%Y%m%d", strict=False)


def luhn_holds(text: pl.Expr) -> pl.Expr:
    """`is_luhn` over a column of text of at most 19 digits; null or false for anything else."""
    number = text.cast(pl.UInt64, strict=False)
    total = pl.lit(0, pl.UInt64)
    for place in range(19):
        digit = number // 10**place % 10
        total = total + (digit if place % 2 == 0 else 2 * digit - 9 * (digit > 4).cast(pl.UInt64))
    return total % 10 == 0


def card_holds(text: pl.Expr) -> pl.Expr:
    """`is_card` over a column of text."""
    return text.str.contains(CARD_SHAPE) & luhn_holds(text)


def sum_of_digits(text: pl.Expr, weights: tuple[int, ...]) -> pl.Expr:
    """The weighted sum of the digits of a column of numbers as long as `weights`; null for other text."""
    number = text.cast(pl.Int64, strict=False)
    total = pl.lit(0, pl.Int64)
    for place, weight in enumerate(reversed(weights)):
        total = total + number // 10**place % 10 * weight
    return total


def looks_personal_column(text: pl.Expr) -> pl.Expr:
    """`looks_personal` over a column of text."""
    return text.map_batches(_looks_personal_series, return_dtype=pl.Boolean)


def _looks_personal_series(texts: pl.Series) -> pl.Series:
    # No number of a person has fewer than ten digits, and few columns hold as many.
    if not texts.str.contains("[0-9](?:[^0-9]*[0-9]){9}").any():
        return texts.is_null() & False
    forms = [texts, texts.str.replace_all(SEPARATORS, "")]
    found = [form.str.contains(PERSONAL_SHAPE) for form in forms]
    cards = [form.str.extract(CARD_INSIDE, 1) for form in forms if form.str.contains(CARD_INSIDE).any()]
    found += [
        card.to_frame("card").select(luhn_holds(pl.col("card")).fill_null(value=False)).to_series() for card in cards
    ]
    return pl.select(pl.any_horizontal(pl.lit(test) for test in found)).to_series()
