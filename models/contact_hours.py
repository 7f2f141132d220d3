"""The hours of a day in which a borrower may be contacted: 08:00 to 22:00 where they live (GB/T 45251-2025)."""

import datetime as dt
from typing import NamedTuple

from models.business_day import ZONE

CONTACT_FROM, CONTACT_UNTIL = dt.time(8), dt.time(22)


class Hours(NamedTuple):
    """Whether contact is allowed now, and when that changes."""

    open: bool
    until: dt.datetime


def hours(at: dt.datetime) -> Hours:
    """How it stands at `at`; the end of the window is outside it."""
    local = at.astimezone(ZONE)
    if is_open(at):
        return Hours(open=True, until=dt.datetime.combine(local.date(), CONTACT_UNTIL, ZONE).astimezone(dt.UTC))
    day = local.date() if local.time() < CONTACT_FROM else local.date() + dt.timedelta(days=1)
    return Hours(open=False, until=dt.datetime.combine(day, CONTACT_FROM, ZONE).astimezone(dt.UTC))


def is_open(at: dt.datetime) -> bool:
    return CONTACT_FROM <= at.astimezone(ZONE).time() < CONTACT_UNTIL
