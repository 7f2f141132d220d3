"""How figures, days and moments read on a page: pure functions of a value, a language and a zone."""

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_timedelta
from jinja2 import Environment, pass_context

from models.business_day import ZONE
from models.money import round_money
from portal.words import STATES, State, label, labels

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
NBSP = "\N{NO-BREAK SPACE}"

# The sign people write in both languages; any other currency is shown by its code.
SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$", "INR": "₹", "JPY": "JP¥"}

# Largest first; a language without an entry reads as English.
MAGNITUDES = {
    "zh": ((Decimal(10) ** 8, "亿"), (Decimal(10) ** 4, "万"), (Decimal(1), "")),
    "en": ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "K"), (Decimal(1), "")),
}

Unit = Literal["year", "month", "day", "hour", "minute"]


class Span(NamedTuple):
    """A unit of elapsed time, its length in seconds, and how many seconds must lie between before it is used."""

    unit: Unit
    seconds: int
    least: int


SPANS = (
    Span("year", 365 * 86400, 365 * 86400),
    Span("month", 30 * 86400, 91 * 86400),  # terms of up to 90 days are counted in days
    Span("day", 86400, 86400),
    Span("hour", 3600, 3600),
    Span("minute", 60, 60),
)
TO_THE_NEAREST = 10  # units to come from which on half of one more or less misleads nobody
ALONE = 10**9  # a threshold no larger unit reaches: the unit we chose is the one that is written
JUST_NOW = {"zh": "刚刚", "en": "just now"}


def _family(language: str) -> str:
    """The part of a language tag that the tables know: `zh` for `zh_Hans_CN`, else `en`."""
    return "zh" if language.startswith("zh") else "en"


def _signed(digits: str, negative: bool, currency: str = "") -> str:
    symbol = SYMBOLS.get(currency, f"{currency}{NBSP}" if currency else "")
    return f"{MINUS if negative else ''}{symbol}{digits}"


def money(amount: Decimal | None, currency: str = "") -> str:
    """`¥1,284.60`, `−¥3.00`; a dash where there is no amount. Two places, whatever the amount carries."""
    if amount is None:
        return DASH
    shown = round_money(amount, 2)
    return _signed(f"{abs(shown):,}", shown < 0, currency)


def short_money(amount: Decimal | None, currency: str = "", language: str = "en") -> str:
    """`¥1,284.6万` in Chinese, `¥12.8M` in English; below the first magnitude, whole units."""
    if amount is None:
        return DASH
    for (size, word), (below, _) in pairwise(MAGNITUDES[_family(language)]):
        # What the smaller unit would round up to this one is written in this one: 999,950 is 1.0M, never 1,000.0K.
        if round_money(abs(amount) / below, 1 if below > 1 else 0) * below >= size:
            shown = round_money(amount / size, 1)
            return _signed(f"{abs(shown):,}{word}", shown < 0, currency)
    shown = round_money(amount, 0)
    return _signed(f"{abs(shown):,}", shown < 0, currency)


def count(number: int | None) -> str:
    """`1,284`, with a true minus."""
    return DASH if number is None else _signed(f"{abs(number):,}", number < 0)


def percent(ratio: Decimal | None, places: int = 1) -> str:
    """A ratio as a percentage: `Decimal("0.1234")` is `12.3%`."""
    if ratio is None:
        return DASH
    shown = round_money(ratio * 100, places)
    return _signed(f"{abs(shown):,}%", shown < 0)


def rate(ratio: Decimal | None) -> str:
    """A rate that was agreed or bid, to the last place it has: `18.00%`, `15.125%`."""
    return DASH if ratio is None else percent(ratio, max(2, -_exponent(ratio * 100)))


def factor(ratio: Decimal | None) -> str:
    """What a score is multiplied by: `0.9804`."""
    return DASH if ratio is None else f"{round_money(ratio, 4)}"


def _exponent(number: Decimal) -> int:
    """The place of the last digit that is not nought: -3 of 15.1250."""
    return int(number.normalize().as_tuple().exponent)


def change(ratio: Decimal | None, places: int = 1) -> str:
    """A relative change with its sign always shown: `+3.2%`, `−0.4%`, `0.0%`."""
    shown = percent(ratio, places)
    return f"+{shown}" if ratio is not None and round_money(ratio * 100, places) > 0 else shown


def file_size(octets: int) -> str:
    """Bytes in decimal units, as file managers show them: `1.8 MB`."""
    for size, word in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if octets >= size:
            return f"{round_money(Decimal(octets) / size, 1)}{NBSP}{word}"
    return f"{octets}{NBSP}B"


def day(on: date | None) -> str:
    """`2026-03-10`; a moment has a day only in a zone, so it is refused here."""
    if on is None:
        return DASH
    if isinstance(on, datetime):
        raise TypeError("a moment is not a business day: use `moment`")
    return on.isoformat()


def moment(at: datetime | None, zone: ZoneInfo = ZONE) -> str:
    """`2026-03-10 14:05` on the business clock."""
    return DASH if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def exact_moment(at: datetime, zone: ZoneInfo = ZONE) -> str:
    """`2026-03-10 14:05:33+08:00 Asia/Shanghai`: what hovering over a moment shows."""
    return f"{at.astimezone(zone).isoformat(' ', 'seconds')} {zone.key}"


def ago(at: datetime, now: datetime, language: str = "en") -> str:
    """How far `at` lies from `now`, in whole units: `5 minutes ago`, `in 2 days`, `2天后`.

    Rounded down, but to the nearest unit where ten or more are to come: a term of 90 days is so on its first one.
    """
    away = at - now
    seconds = int(abs(away.total_seconds()))
    for unit, length, least in SPANS:
        if seconds >= least:
            if away >= timedelta(seconds=TO_THE_NEAREST * length):
                seconds += length // 2
            whole = timedelta(seconds=seconds // length * length)
            signed = whole if away > timedelta(0) else -whole
            return format_timedelta(
                signed, granularity=unit, threshold=ALONE, add_direction=True, locale=_family(language)
            )
    return JUST_NOW[_family(language)]


def heat_level(value: Decimal | float | None, highest: Decimal | float | None) -> int:
    """Which of eight shades a cell of a heat table takes: 0 for nothing, 8 for the highest."""
    if not value or not highest:
        return 0
    return max(1, min(8, math.ceil(value / highest * 8)))  # type: ignore[operator]  # both of one kind


def state(word: str) -> State:
    """How a state is shown; a word the table lacks is shown plainly, without a meaning."""
    return STATES.get(word, State("neutral", "dot", word.replace("_", " ")))


def install(
    environment: Environment,
    language: Callable[[], str],
    now: Callable[[], datetime],
    zone: ZoneInfo = ZONE,
) -> None:
    """Registers the filters; `language` and `now` are asked at each use, so the functions above stay pure.

    Those that ask take the template's context, though they do not read it: without it Jinja would work out a
    filter of a constant once, when it compiles the template, in the language of whoever came first.
    """
    environment.filters.update(
        decimal=Decimal,
        money=money,
        short_money=pass_context(lambda _context, amount, currency="": short_money(amount, currency, language())),
        count_of=count,
        percent=percent,
        rate=rate,
        factor=factor,
        change=change,
        file_size=file_size,
        day=day,
        moment=lambda at: moment(at, zone),
        exact_moment=lambda at: exact_moment(at, zone),
        ago=pass_context(lambda _context, at: ago(at, now(), language())),
        heat_level=heat_level,
        state=state,
        label=pass_context(lambda _context, code, table: label(code, table)),
        labels=pass_context(lambda _context, table: labels(table)),
    )
    environment.globals["language"] = language
