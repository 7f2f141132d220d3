"""Figures, days and moments, as a Chinese and an English reader see them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale, gettext
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from portal import formats, words

NOW = datetime(2026, 3, 10, 6, 5, 33, tzinfo=UTC)
TRANSLATIONS = Path(formats.__file__).parent / "translations"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1284.6", "CNY", "¥1,284.60"),
        ("-3", "CNY", "−¥3.00"),
        ("0", "USD", "$0.00"),
        ("-0.004", "CNY", "¥0.00"),
        ("1234567.895", "", "1,234,567.90"),
        ("12", "CHF", "CHF\N{NO-BREAK SPACE}12.00"),
    ],
)
def test_money_has_two_decimals_separators_and_a_true_minus(amount: str, currency: str, shown: str) -> None:
    assert formats.money(Decimal(amount), currency) == shown


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**13), max_value=10**13))
def test_money_reads_back_as_the_amount(amount: Decimal) -> None:
    shown = formats.money(amount, "CNY").replace("¥", "").replace(",", "").replace(formats.MINUS, "-")

    assert Decimal(shown) == amount


@pytest.mark.parametrize(
    ("amount", "zh", "en"),
    [
        ("12846000", "¥1,284.6万", "¥12.8M"),
        ("128460000", "¥1.3亿", "¥128.5M"),
        ("9999.49", "¥9,999", "¥10.0K"),
        ("9999.50", "¥1.0万", "¥10.0K"),
        ("999949.99", "¥100.0万", "¥999.9K"),
        ("999950", "¥100.0万", "¥1.0M"),
        ("99999999", "¥1.0亿", "¥100.0M"),
        ("-52300", "−¥5.2万", "−¥52.3K"),
        ("12.5", "¥13", "¥13"),
        ("0", "¥0", "¥0"),
    ],
)
def test_short_money_counts_in_each_languages_magnitudes(amount: str, zh: str, en: str) -> None:
    shown = [formats.short_money(Decimal(amount), "CNY", language) for language in ("zh_Hans_CN", "en")]

    assert shown == [zh, en]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**13))
def test_short_money_never_shows_a_full_magnitude_in_the_smaller_unit(amount: Decimal) -> None:
    shown = formats.short_money(amount, "", "zh").rstrip("万亿").replace(",", "")

    assert Decimal(shown) < 10_000 or amount >= 10**11


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [("0.032", "+3.2%"), ("-0.0041", "−0.4%"), ("0", "0.0%"), ("0.0004", "0.0%"), ("12.5", "+1,250.0%")],
)
def test_a_change_shows_its_sign_unless_it_rounds_to_nothing(ratio: str, shown: str) -> None:
    assert formats.change(Decimal(ratio)) == shown


def test_what_is_absent_is_a_dash() -> None:
    shown = {
        f(None)
        for f in (formats.money, formats.short_money, formats.count, formats.percent, formats.change, formats.rate)
    }

    assert shown | {formats.day(None), formats.moment(None)} == {"–"}


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [("0.18", "18.00%"), ("0.1512500", "15.125%"), ("0.999999", "99.9999%"), ("0", "0.00%"), ("1", "100.00%")],
)
def test_an_agreed_rate_loses_no_place_it_was_agreed_to(ratio: str, shown: str) -> None:
    assert formats.rate(Decimal(ratio)) == shown


def test_a_conduct_factor_has_four_places_wherever_it_comes_from() -> None:
    assert {formats.factor(Decimal(text)) for text in ("1", "1.0000", "1.00")} == {"1.0000"}


@pytest.mark.parametrize(
    ("octets", "shown"), [(999, "999 B"), (1800, "1.8 kB"), (1_840_000, "1.8 MB"), (2 * 10**9, "2.0 GB")]
)
def test_a_file_size_reads_in_decimal_units(octets: int, shown: str) -> None:
    assert formats.file_size(octets).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_a_moment_reads_on_the_business_clock_with_its_zone_in_full() -> None:
    late = datetime(2026, 3, 9, 16, 30, tzinfo=UTC)

    assert formats.moment(late) == "2026-03-10 00:30"
    assert formats.exact_moment(late) == "2026-03-10 00:30:00+08:00 Asia/Shanghai"
    assert formats.moment(late, ZoneInfo("America/New_York")) == "2026-03-09 12:30"


def test_a_moment_is_not_taken_for_a_business_day() -> None:
    assert formats.day(date(2026, 3, 10)) == "2026-03-10"
    with pytest.raises(TypeError):
        formats.day(NOW)


@pytest.mark.parametrize(
    ("away", "en", "zh"),
    [
        (timedelta(seconds=-59), "just now", "刚刚"),
        (timedelta(minutes=-59, seconds=-59), "59 minutes ago", "59分钟前"),
        (timedelta(hours=-1), "1 hour ago", "1小时前"),
        (timedelta(hours=-47), "1 day ago", "1天前"),
        (timedelta(days=2), "in 2 days", "2天后"),
        (timedelta(days=9, hours=23), "in 9 days", "9天后"),
        (timedelta(days=89, hours=23), "in 90 days", "90天后"),
        (timedelta(hours=19, minutes=59), "in 20 hours", "20小时后"),
        (timedelta(hours=-19, minutes=-59), "19 hours ago", "19小时前"),
        (timedelta(days=100), "in 3 months", "3个月后"),
        (timedelta(days=-400), "1 year ago", "1年前"),
    ],
)
def test_time_is_told_in_whole_units_and_rounded_up_only_where_ten_or_more_are_to_come(
    away: timedelta, en: str, zh: str
) -> None:
    assert [formats.ago(NOW + away, NOW, language) for language in ("en", "zh")] == [en, zh]


@pytest.mark.parametrize(("value", "level"), [(None, 0), (0, 0), (1, 1), (125, 1), (126, 2), (1000, 8)])
def test_the_highest_cell_of_a_heat_table_has_the_deepest_shade(value: int | None, level: int) -> None:
    assert formats.heat_level(value, 1000) == level


def test_a_heat_table_of_noughts_has_no_shade() -> None:
    assert formats.heat_level(Decimal(0), Decimal(0)) == 0


def test_a_filtered_constant_speaks_each_readers_language_though_it_is_compiled_once() -> None:
    speaking = ["zh"]
    environment = Environment(autoescape=True)
    formats.install(environment, lambda: speaking[0], lambda: NOW)
    template = environment.from_string("{{ 52300|short_money }}")
    in_chinese = template.render()

    speaking[0] = "en"

    assert (in_chinese, template.render()) == ("5.2万", "52.3K")


def test_every_state_has_a_known_meaning_and_an_icon_of_the_sprite() -> None:
    sprite = (Path(formats.__file__).parent / "static/img/icons.svg").read_text()

    for shown in words.STATES.values():
        assert shown.meaning in {"good", "watch", "bad", "sealed", "neutral"}
        assert f'<symbol id="{shown.icon}"' in sprite


def test_an_unknown_state_is_shown_without_a_meaning() -> None:
    assert formats.state("newly_made") == words.State("neutral", "dot", "newly made")


def test_every_word_is_translated() -> None:
    with (TRANSLATIONS / "zh/LC_MESSAGES/messages.po").open("rb") as file:
        chinese = read_po(file, locale="zh")
    said = {shown.label for shown in words.STATES.values()}
    said |= {text for table in words.TABLES.values() for text in table.values() if isinstance(text, str)}
    said = {text for text in said if any(letter.isalpha() for letter in text)} - {"AWS KMS"}  # figures and a name

    missing = {text for text in said if not (found := chinese.get(text)) or not found.string or found.fuzzy}

    assert missing == set()


def test_a_code_without_a_word_is_shown_spaced() -> None:
    app = Flask("portal")
    Babel(app)

    with app.app_context(), force_locale("en"):
        assert words.label("ring_no_answer", "outcome") == gettext("No answer")
        assert words.label("not_yet_worded", "error") == "not yet worded"
