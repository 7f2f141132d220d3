"""Lots (标段): a tender's cases parted by bucket or by province, each case in exactly one and no household split.

A borrower's cases go together into the lot of the one that owes the most (of equals: the one uploaded first).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from models.award import LOTS_MAX
from models.buckets import BUCKETS
from models.errors import Invalid, RowError, TooFew
from models.provinces import PROVINCE, PROVINCES
from models.strata import borrowers_in

# By what a lender parts a tender: the values there are, and the dimension of the tape that they are of.
BUCKETS_OF, PROVINCES_OF = "buckets", "provinces"
DIVISIONS: Final[Mapping[str, Sequence[str]]] = {BUCKETS_OF: BUCKETS, PROVINCES_OF: PROVINCES}
TAPE_DIMENSIONS: Final = {BUCKETS_OF: "bucket", PROVINCES_OF: "province"}
_COLUMNS: Final = {BUCKETS_OF: pl.col("bucket"), PROVINCES_OF: PROVINCE}


class Lots(NamedTuple):
    """`values` of each lot, in ascending order, so that equal lots are equal lists; lots are numbered from 1."""

    divided_by: str
    values: list[list[str]]

    @property
    def numbers(self) -> range:
        return range(1, len(self.values) + 1)

    @property
    def as_sets(self) -> tuple[str, frozenset[frozenset[str]]]:
        """The same of lots that part cases in the same way, in whatever order they were named."""
        return self.divided_by, frozenset(map(frozenset, self.values))


def read(given: Sequence[Mapping[str, Sequence[str] | None]]) -> Lots:
    """Each lot names buckets or provinces, all the same of the two, none twice. Invalid: by lot (row) and field."""
    if not given:
        raise Invalid(errors=[RowError(0, "lots", "required_missing")])
    if len(given) > LOTS_MAX:
        raise Invalid(errors=[RowError(0, "lots", "too_many_lots")])
    named = [[name for name, values in lot.items() if values is not None] for lot in given]
    faults = [RowError(row, "lots", "lot_shape") for row, names in enumerate(named, 1) if names not in _ALONE]
    if faults:
        raise Invalid(errors=faults)
    divided_by = named[0][0]
    taken: set[str] = set()
    for row, (lot, (name,)) in enumerate(zip(given, named, strict=True), start=1):
        values = list(lot[name] or ())
        if name != divided_by:
            faults.append(RowError(row, name, "lots_mixed"))
        elif fault := _fault(values, DIVISIONS[name], taken):
            faults.append(RowError(row, name, fault))
        taken.update(values)
    if len(given) == 1:
        faults.append(RowError(0, "lots", "one_lot_alone"))  # it parts nothing
    if faults:
        raise Invalid(errors=faults)
    return Lots(divided_by, [sorted(lot[divided_by] or ()) for lot in given])


def find(rules: Mapping[str, Any]) -> Lots | None:
    """The lots of a tender by its rules; None where it is placed as a whole."""
    lots = rules.get("lots")
    return Lots(lots["divided_by"], [sorted(values) for values in lots["values"]]) if lots else None


def part(cases: pl.DataFrame, lots: Lots, k: int) -> pl.DataFrame:
    """The cases with `lot`, in their order. Invalid where one is in no lot, or a lot has fewer than k borrowers.

    `cases`: case_id, borrower_id, balance, bucket, region.
    """
    number_of = {value: number for number, values in zip(lots.numbers, lots.values, strict=True) for value in values}
    deciding = (
        cases.sort("balance", "case_id", descending=[True, False])
        .group_by("borrower_id", maintain_order=True)
        .first()
        .select(
            "borrower_id",
            lot=_COLUMNS[lots.divided_by].replace_strict(number_of, default=None, return_dtype=pl.Int16),
        )
    )
    parted = cases.join(deciding, on="borrower_id", how="left", maintain_order="left")
    faults = [RowError(0, "lots", "cases_in_no_lot")] if parted["lot"].null_count() else []
    for number, borrowers in find_small(parted, lots, k).items():
        small = TooFew(number, lots.divided_by, "lot_too_small", borrowers, k)
        faults.append(small if borrowers else RowError(number, lots.divided_by, "lot_empty"))
    if faults:
        raise Invalid(errors=faults)
    return parted


def find_small(parted: pl.DataFrame, lots: Lots, k: int) -> dict[int, int]:
    """The lots of fewer than k borrowers, with how many they have."""
    borrowers = {number: borrowers_in(parted.filter(pl.col("lot") == number)) for number in lots.numbers}
    return {number: count for number, count in borrowers.items() if count < k}


_ALONE = [[name] for name in DIVISIONS]


def _fault(values: Sequence[str], known: Sequence[str], taken: set[str]) -> str | None:
    if not values:
        return "required_missing"
    if not set(values) <= set(known):
        return "unknown_value"
    return "lots_overlap" if set(values) & taken or len(set(values)) < len(values) else None
