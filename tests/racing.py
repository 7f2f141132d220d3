"""Acts at once: what each came to, and a head start in turn, so that every one of them is first at times."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Final

from sqlalchemy import text

from models.errors import Conflict, NotFound
from models.work import Work

HEAD_START: Final = 0.02  # seconds: enough to be first on a busy machine, and not enough to be through

Act = Callable[[], object]


def at_once(*acts: Act, first: int | None = None) -> list[str]:
    """Run the acts from one moment on; `done`, or the code of its refusal, for each. `first` has a head start."""
    start = threading.Barrier(len(acts))

    def run(act: Act, behind: float) -> str:
        start.wait()
        time.sleep(behind)
        try:
            act()
        except (Conflict, NotFound) as refused:
            return refused.code
        return "done"

    behind: Sequence[float] = [HEAD_START * (at != first) for at in range(len(acts))] if first is not None else []
    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts, behind or repeat(0.0)))


def await_waiter(holding: Work, count: int = 1) -> None:
    """Until so many wait for a lock that this transaction holds, or for one who waits for it."""
    waiters = text(
        """with recursive behind(pid) as (
               select pg_backend_pid()
               union
               select lock.pid from pg_locks lock join behind on behind.pid = any(pg_blocking_pids(lock.pid))
               where not lock.granted)
           select count(*) - 1 from behind"""
    )
    while holding.session.scalar(waiters) < count:
        time.sleep(0.01)
