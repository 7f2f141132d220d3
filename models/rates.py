"""Looking a rate up: the most specific cell of a card that fits a case.

A cell fits where each of its dimensions is open or equal, and the amount lies in its band. Of those that fit, the
one that names the product comes first; then the one that names the bucket, the placement number, the payment type.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from models.buckets import BUCKETS
from models.errors import RowError, outside

PAYMENT: Final = "payment"  # the type whose rate is frozen on a case; no case earns that of another
PAYMENT_TYPES: Final = (PAYMENT, "settlement", "instalment")
# The dimensions in the order in which naming one makes a cell more specific.
DIMENSIONS: Final = ("product", "bucket", "placement_seq", "payment_type")
OTHER_PRODUCT: Final = ""  # stands for every product that no cell names
OTHER_SEQ: Final = 0  # and for every placement number
PLACEMENT_SEQ_MAX: Final = 20
CELLS_MAX: Final = 200


class Cell(NamedTuple):
    """`rate` is a fraction: 0.25 earns a quarter. The band is `amount_from` <= amount < `amount_below`."""

    rate: Decimal
    product: str | None = None
    bucket: str | None = None
    placement_seq: int | None = None
    payment_type: str | None = None
    amount_from: Decimal = Decimal("0.00")
    amount_below: Decimal | None = None


class Subject(NamedTuple):
    """What a rate is looked up for; `amount` is the referred balance."""

    product: str
    bucket: str
    placement_seq: int
    payment_type: str
    amount: Decimal


def find_cell(cells: Iterable[Cell], subject: Subject) -> Cell | None:
    fitting = [cell for cell in cells if _names(cell, subject) and _holds(cell, subject.amount)]
    return max(fitting, key=_specificity, default=None)


def faults(cells: Sequence[Cell], products: Sequence[str], buckets: Sequence[str]) -> list[RowError]:
    """What keeps a card from activation: bands that overlap, and combinations of dimensions without a rate.

    Row n is the n-th cell, row 0 the card. `products` may be empty (every product), `buckets` may not.
    """
    if len(cells) > CELLS_MAX:
        return [RowError(0, "cells", "too_many_cells")]
    if wrong := [error for row, cell in enumerate(cells, start=1) for error in _wrong(row, cell)]:
        return wrong
    missing = [] if is_complete(cells, products, buckets) else [RowError(0, "cells", "rate_missing")]
    return [*_overlaps(cells), *missing]


def is_complete(cells: Sequence[Cell], products: Sequence[str], buckets: Sequence[str]) -> bool:
    """Whether every case of these products and buckets has a rate, whatever its placement number and balance."""
    named = products or [*sorted({cell.product for cell in cells if cell.product}), OTHER_PRODUCT]
    seqs = sorted({cell.placement_seq for cell in cells if cell.placement_seq is not None})
    return _has_rates(cells, (named, buckets, [*seqs, OTHER_SEQ], PAYMENT_TYPES))


def _has_rates(cells: Sequence[Cell], values: Sequence[Sequence[str | int]], place: int = 0) -> bool:
    """Dimension by dimension: among the cells that are left, whatever is named next."""
    if place == len(DIMENSIONS):
        return _covers_every_amount(cells)
    name = DIMENSIONS[place]
    return all(
        _has_rates([cell for cell in cells if getattr(cell, name) in (None, value)], values, place + 1)
        for value in values[place]
    )


def _covers_every_amount(cells: Sequence[Cell]) -> bool:
    covered = Decimal(0)
    for cell in sorted(cells, key=lambda cell: cell.amount_from):
        if cell.amount_from > covered:
            return False
        if cell.amount_below is None:
            return True
        covered = max(covered, cell.amount_below)
    return False


def _wrong(row: int, cell: Cell) -> list[RowError]:
    below = cell.amount_below
    wrong = {
        ("bucket", "unknown_value"): cell.bucket not in (None, *BUCKETS),
        ("payment_type", "unknown_value"): cell.payment_type not in (None, *PAYMENT_TYPES),
        ("amount_below", "range_reversed"): below is not None and below <= cell.amount_from,
    }
    return [
        *outside("rate", cell.rate, Decimal(0), Decimal(1), row),
        *outside("placement_seq", cell.placement_seq, 1, PLACEMENT_SEQ_MAX, row),
        *outside("amount_from", cell.amount_from, 0, row=row),
        *(RowError(row, field, code) for (field, code), told in wrong.items() if told),
    ]


def _overlaps(cells: Sequence[Cell]) -> list[RowError]:
    """Two cells of the same dimensions whose bands meet: the later row is told."""
    alike: dict[tuple[object, ...], list[tuple[int, Cell]]] = {}
    for row, cell in enumerate(cells, start=1):
        alike.setdefault(_key(cell), []).append((row, cell))
    ordered = (sorted(group, key=lambda entry: entry[1].amount_from) for group in alike.values())
    return [
        RowError(max(row, next_row), "amount_from", "rate_cells_overlap")
        for group in ordered
        for (row, cell), (next_row, following) in pairwise(group)
        if cell.amount_below is None or cell.amount_below > following.amount_from
    ]


def _key(cell: Cell) -> tuple[object, ...]:
    return tuple(getattr(cell, name) for name in DIMENSIONS)


def _specificity(cell: Cell) -> tuple[bool, ...]:
    return tuple(value is not None for value in _key(cell))


def _names(cell: Cell, subject: Subject) -> bool:
    return all(getattr(cell, name) in (None, getattr(subject, name)) for name in DIMENSIONS)


def _holds(cell: Cell, amount: Decimal) -> bool:
    return cell.amount_from <= amount and (cell.amount_below is None or amount < cell.amount_below)
