"""Households (归户): all cases of one borrower move together, and are never split."""

import heapq
from collections.abc import Iterable
from typing import TypeVar

import polars as pl

Worker = TypeVar("Worker")


def within_limit(cases: pl.DataFrame, case_limit: int) -> pl.DataFrame:
    """The rows of the first whole households that fit into `case_limit` cases, in the order given.

    A household that does not fit is passed over; a smaller one after it may still fit. `cases` has `borrower_id`.
    """
    taken, room = [], case_limit
    for borrower_id, size in cases.group_by("borrower_id", maintain_order=True).len().iter_rows():
        if size <= room:
            taken.append(borrower_id)
            room -= size
    return cases.filter(pl.col("borrower_id").is_in(pl.Series(taken, dtype=pl.String).implode()))


def deal(sizes: Iterable[int], workers: list[Worker]) -> list[Worker]:
    """Who takes each household of `sizes` cases: the largest first, each to whoever has the fewest cases so far.

    Loads differ by no more than the largest household. Equal loads go by the order of `workers`.
    """
    sizes = list(sizes)
    loads = [(0, place) for place in range(len(workers))]
    dealt = [workers[0]] * len(sizes)
    for at in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        load, place = heapq.heappop(loads)
        dealt[at] = workers[place]
        heapq.heappush(loads, (load + sizes[at], place))
    return dealt
