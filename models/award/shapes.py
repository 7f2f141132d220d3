"""The forms that members of a record have, and the one spelling of a record."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

# Whether a member of a record is in its form, by name.
Fits = Callable[[object], bool]
Shape = dict[str, Fits]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FRACTION = re.compile(r"0\.[0-9]{6}|1\.000000")
_FACTOR = re.compile(r"0\.[0-9]{4}|1\.0000")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})\.[0-9]{2}")
_SIGNED_AMOUNT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]{2}")
_FEE = re.compile(r"(0|[1-9][0-9]{0,5})\.[0-9]{2}")
_SCORE = re.compile(r"-?[0-9]+\.[0-9]{8}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00")
_CURRENCY = re.compile(r"[A-Z]{3}")


class AwardRefused(ValueError):
    """The record does not come out as written; the text says where and what."""


def canonical(value: Any) -> bytes:
    """RFC 8785, for what stands in a record: texts, small integers, nulls and booleans under names in ASCII."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def require_members(where: str, given: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Exactly these members, each in its form."""
    if given.keys() != shape.keys():
        raise AwardRefused(f"{where}: members are missing, or others than belong there")
    for name, fits in shape.items():
        if not fits(given[name]):
            raise AwardRefused(f"{where}: {name} is not in its form")
    return given


def one_of(values: Sequence[str]) -> Fits:
    return lambda value: isinstance(value, str) and value in values


def or_null(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def list_of(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def exactly(expected: object) -> Fits:
    return lambda value: value == expected


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_moment(value: object) -> bool:
    return _matches(_TIME)(value) and _is_calendar(str(value))


def _is_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Fits:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


is_id: Final = _matches(_UUID)
is_hash: Final = _matches(_HASH)
is_fraction: Final = _matches(_FRACTION)
is_factor: Final = _matches(_FACTOR)
is_amount: Final = _matches(_AMOUNT)
is_signed_amount: Final = _matches(_SIGNED_AMOUNT)
is_fee: Final = _matches(_FEE)
is_score: Final = _matches(_SCORE)
is_currency: Final = _matches(_CURRENCY)
