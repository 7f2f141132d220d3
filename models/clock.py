"""What time it is: the system's clock, or one that a demonstration moves through its days."""

import datetime as dt
from pathlib import Path

from models.settings import Settings
from models.work import Clock


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class ShiftedClock:
    """The system's clock plus the seconds written in a file, read at each call: one story, many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> dt.datetime:
        return utc_now() + dt.timedelta(seconds=float(self.path.read_text()))

    def set(self, at: dt.datetime) -> None:
        """Make it `at` now; readers see the old shift or the new one, never half of one."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(str((at - utc_now()).total_seconds()))
        fresh.replace(self.path)


def clock_of(settings: Settings) -> Clock:
    return ShiftedClock(settings.clock_file) if settings.clock_file else utc_now
