"""Ids, phones and cards: the published rows, and one rule for a value and for a column."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import identifiers

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "identifiers.json"


@pytest.fixture(scope="module")
def vectors() -> dict[str, dict[str, list[str]]]:
    if not VECTORS.exists():
        pytest.skip("needs ../shared/vectors/identifiers.json")
    return json.loads(VECTORS.read_text())


def on_column(rule, values: list[str]) -> list[bool]:
    column = pl.DataFrame({"text": pl.Series(values, dtype=pl.String)})
    return column.select(rule(pl.col("text")).fill_null(value=False)).to_series().to_list()


def test_published_resident_ids_are_told_apart(vectors):
    rows = vectors["cn_resident_id"]
    assert all(map(identifiers.is_resident_id, rows["valid"]))
    assert not any(map(identifiers.is_resident_id, rows["invalid"]))
    assert on_column(identifiers.resident_id_holds, rows["valid"] + rows["invalid"]) == (
        [True] * len(rows["valid"]) + [False] * len(rows["invalid"])
    )


def test_published_luhn_numbers_are_told_apart(vectors):
    rows = vectors["luhn"]
    assert all(identifiers.is_luhn(number.replace(" ", "")) for number in rows["valid"])
    assert not any(map(identifiers.is_luhn, rows["invalid"]))


def test_published_mainland_mobiles_are_told_apart(vectors):
    rows = vectors["cn_mobile"]
    mainland = [number for number in rows["valid"] if identifiers.national_mobile(number).startswith("1")]
    assert len(mainland) == 17
    assert all(map(identifiers.is_mobile, mainland))
    assert not any(map(identifiers.is_mobile, rows["invalid"]))
    assert {len(identifiers.national_mobile(number)) for number in mainland} == {11}


def test_a_legacy_id_and_its_new_form_are_one():
    assert identifiers.is_resident_id("110105491231002")
    assert identifiers.resident_id_18("110105491231002") == "11010519491231002X"
    assert identifiers.is_resident_id("11010519491231002X")
    assert identifiers.birth_date_of("110105491231002") == dt.date(1949, 12, 31)


def test_a_day_that_is_not_in_the_calendar_is_no_birth_date():
    assert identifiers.birth_date_of("110105199902300010") is None


@pytest.mark.parametrize(
    "number",
    [
        "13812345678",
        "138-1234-5678",
        "+8613812345678",
        "LN13812345678",
        "case 13812345678 x",
        "010-62345678",
        "11010519491231002X",
        "ID-11010519491231002x",
        "1101-0519-4912-3100-21",
        "110105491231002",
        "4716461583322103",
        "C-4716461583322103",
        "4716-4615-8332-2103",
    ],
)
def test_a_number_of_a_person_is_seen_also_when_dressed_up(number):
    assert identifiers.looks_personal(number)
    assert on_column(identifiers.looks_personal_column, [number, "A-1"]) == [True, False]


@pytest.mark.parametrize("number", ["UCI-000001", "S7N0000001", "2025010100012345", "LN-2026/01.0042", "12345678901"])
def test_an_ordinary_case_number_is_left_alone(number):
    assert not identifiers.looks_personal(number)
    assert on_column(identifiers.looks_personal_column, [number]) == [False]


@settings(deadline=None)
@given(st.from_regex(r"[0-9]{1,18}", fullmatch=True))
def test_a_luhn_digit_completes_any_number(body):
    assert identifiers.is_luhn(body + identifiers.luhn_digit(body))


NUMBER_LIKE = st.lists(
    st.one_of(
        st.from_regex(r"[1-6][0-9]{5}(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9]{4}[0-9X]?", fullmatch=True),
        st.from_regex(r"[0-9]{10,20}", fullmatch=True),
        st.text("0123456789X-./ A", max_size=24),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(NUMBER_LIKE)
def test_a_value_and_a_column_are_judged_alike(values):
    assert on_column(identifiers.resident_id_holds, values) == list(map(identifiers.is_resident_id, values))
    assert on_column(identifiers.card_holds, values) == list(map(identifiers.is_card, values))
    assert on_column(identifiers.looks_personal_column, values) == list(map(identifiers.looks_personal, values))
