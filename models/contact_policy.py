"""What a lender asks of its agencies beyond the law: hours, frequency, third parties. Frozen onto a placement."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.errors import OutOfRange, RowError

# name -> (least, most); hours are whole hours of the borrower's local time, attempts are per borrower and day.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "earliest_hour": (8, 20),
    "latest_hour": (9, 21),
    "attempts_per_day": (0, 3),
}
FLAGS: Final = ("third_parties", "visits")
HOURS: Final = ("earliest_hour", "latest_hour")


def faults(policy: Mapping[str, Any]) -> list[RowError]:
    """A policy may leave anything out. Unknown names, values out of range and hours reversed are told."""
    errors = [RowError(0, name, "unknown_field") for name in sorted(set(policy) - {*RANGES, *FLAGS})]
    for name, (least, most) in RANGES.items():
        value = policy.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            errors.append(OutOfRange(0, name, least, most))
    errors += [RowError(0, name, "unknown_value") for name in FLAGS if not isinstance(policy.get(name, True), bool)]
    hours_stand = not any(error.field in HOURS for error in errors)
    if hours_stand and policy.get("earliest_hour", 8) >= policy.get("latest_hour", 21):
        errors.append(RowError(0, "latest_hour", "range_reversed"))
    return errors


def layered(levels: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, tuple[Any, str]]:
    """Levels with their policies, the most general first → what holds of each name, and the level that says so.

    Whoever says one of the hours says both, so that the hours of two levels never make a window that nobody meant.
    """
    found: dict[str, tuple[Any, str]] = {}
    for level, policy in levels:
        if any(hour in policy for hour in HOURS):
            found = {name: said for name, said in found.items() if name not in HOURS}
        found |= {name: (value, level) for name, value in policy.items()}
    return found
