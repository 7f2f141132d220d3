"""Keys opened a moment ago: so many at most, and none for longer than five minutes."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeAlias, TypeVar

OPENED_SECONDS_MAX = 300.0

Place = TypeVar("Place")
Thing = TypeVar("Thing")
Stopwatch: TypeAlias = Callable[[], float]  # seconds since some moment, never going back


class Kept(NamedTuple, Generic[Thing]):
    """A thing, and when it is forgotten, on the stopwatch."""

    thing: Thing
    until: float


class Opened(Generic[Place, Thing]):
    """Safe to share between threads. The least lately used goes first; what is too old goes at the next call."""

    def __init__(self, stopwatch: Stopwatch, size_max: int) -> None:
        self._stopwatch = stopwatch
        self._size_max = size_max
        self._kept: OrderedDict[Place, Kept[Thing]] = OrderedDict()
        self._lock = Lock()

    def find(self, place: Place) -> Thing | None:
        with self._lock:
            self._forget_old()
            if place not in self._kept:
                return None
            self._kept.move_to_end(place)
            return self._kept[place].thing

    def keep(self, place: Place, thing: Thing) -> None:
        with self._lock:
            self._forget_old()
            self._kept.pop(place, None)
            self._kept[place] = Kept(thing, self._stopwatch() + OPENED_SECONDS_MAX)
            if len(self._kept) > self._size_max:
                self._kept.popitem(last=False)

    def _forget_old(self) -> None:
        now = self._stopwatch()
        for place in [place for place, kept in self._kept.items() if kept.until <= now]:
            del self._kept[place]
