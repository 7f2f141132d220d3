"""The business day: which calendar day a moment belongs to where the borrowers live."""

import datetime as dt
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")


def day_of(at: dt.datetime) -> dt.date:
    return at.astimezone(ZONE).date()


def start_of(day: dt.date) -> dt.datetime:
    """Midnight at its beginning, in UTC."""
    return dt.datetime.combine(day, dt.time(), ZONE).astimezone(dt.UTC)


def bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """From midnight to the next, in UTC: [start, end)."""
    return start_of(day), start_of(day + dt.timedelta(days=1))


def period_of(day: dt.date) -> str:
    """The month a day is booked in: `2026-03`."""
    return f"{day:%Y-%m}"
