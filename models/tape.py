"""The safe tape: what agencies are shown of a tender before it is theirs. Figures of many, blurred, never exact.

Nobody may be found in it, also not by comparing one tape with another:

- Nothing is told of fewer than k borrowers, and of a tender of fewer nothing at all.
- Each borrower's balance enters with a secret factor of its own, which never changes. However many tapes are compared,
  what they say of one borrower's balance is at least FACTOR_MIN off.
- Each figure is off by as much as COUNT_NOISE times, or BALANCE_NOISE times, what one borrower can make out in it. The
  noise is a function of the lender's secret, the tender's cases with all that is told of them, and which of them the
  figure is of: equal cases always show equal figures, on one tape too, so asking again averages nothing out, and where
  one case differs every figure on the tape changes, so that which of them changed says nothing.
- Two tenders of one portfolio that are too alike show the same figures: see models/services/exchange/tape.py.

- Lots that a tender is parted into take the place of the dimension they are made of, so that nothing is told of what is
  in a lot and not in a stratum, or the other way about. Each holds at least k borrowers: see models/lots.py.

So the tapes of a set and of the set without x differ by noise of which x's share is a fraction: the count in x's bucket
moves by one where noise moves it by up to 2 × COUNT_NOISE, its balance by less than BALANCE_NOISE of what noise may.
"""

import hmac
from array import array
from decimal import Decimal
from hashlib import blake2b
from typing import Final, NamedTuple

import polars as pl

from models.lots import TAPE_DIMENSIONS, Lots
from models.strata import Strata, Stratum, borrowers_in, stratify

COUNT_NOISE: Final = 5  # borrowers; cases: so many times the cases of the borrower who has the most
BALANCE_NOISE: Final = 2  # times the balance of the borrower who owes the most
FACTOR_MIN, FACTOR_MAX = 50, 250  # per mille by which a borrower's balance enters too high or too low
DIGITS: Final = 3  # of a balance; the others are zeros


class Tape(NamedTuple):
    """Totals as they are shown, all None where there are too few borrowers, and the strata."""

    case_count: int | None
    borrower_count: int | None
    balance: Decimal | None
    strata: Strata


def withheld(k: int) -> Tape:
    return Tape(None, None, None, {"k": k, "currencies": []})


def read(strata: Strata) -> Tape:
    """The tape whose strata these are: its totals are those of its one currency."""
    if not strata["currencies"]:
        return withheld(strata["k"])
    (whole,) = strata["currencies"]
    return Tape(whole["case_count"], whole["borrower_count"], Decimal(whole["balance"]), strata)


def make(cases: pl.DataFrame, k: int, secret: bytes, lots: Lots | None = None) -> Tape:
    """The tape of cases of one currency: strata.CASE_SCHEMA and `case_id`, in any order; with `lots`, `lot` too."""
    if borrowers_in(cases) < k:
        return withheld(k)
    noise = _Noise(cases, k, secret)
    weighed = _weighed(cases, secret)
    strata = stratify(weighed, k, noise.tell)
    if lots is not None:
        strata["currencies"][0]["dimensions"][TAPE_DIMENSIONS[lots.divided_by]] = [
            noise.tell("lot", sorted(values), weighed.filter(pl.col("lot") == number))
            for number, values in zip(lots.numbers, lots.values, strict=True)
        ]
    return read(strata)


class _Noise:
    """The noise of one tape, by the cases that a figure is of."""

    def __init__(self, cases: pl.DataFrame, k: int, secret: bytes) -> None:
        # Without the lots: the same cases parted otherwise show what else they show as they did.
        told = cases.select(sorted({*cases.columns} - {"lot"})).sort("case_id").write_csv()
        self._key = hmac.digest(secret, told.encode(), "sha256")
        self._k = k

    def tell(self, dimension: str, values: list[str], cases: pl.DataFrame) -> Stratum:
        """As strata.Tell. Its own sums are exact; the smallest that it says of borrowers is k."""
        largest = cases.group_by("borrower_id").agg(pl.len(), pl.col("weighed").sum())
        most_cases, most_owed = largest.select(pl.col("len").max(), pl.col("weighed").max()).row(0)
        rows = array("I", cases["row"].sort().to_list()).tobytes()
        borrowers = max(self._k, largest.height + self._drawn(b"borrowers", rows, COUNT_NOISE))
        in_cases = cases.height + self._drawn(b"cases", rows, COUNT_NOISE * most_cases)
        cents = int(cases["weighed"].sum()) + self._drawn(b"balance", rows, BALANCE_NOISE * most_owed)
        return {
            "values": values,
            "case_count": max(borrowers, in_cases),
            "borrower_count": borrowers,
            "balance": f"{Decimal(_rounded(max(0, cents))) / 100:.2f}",
        }

    def _drawn(self, figure: bytes, rows: bytes, most: int) -> int:
        """A whole number from -most to most, each as likely."""
        digest = blake2b(rows, key=self._key, digest_size=16, person=figure).digest()
        return int.from_bytes(digest) % (2 * most + 1) - most


def _weighed(cases: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """The cases with `row`, their place in the order of their ids, and `weighed`: the balance in cents times its
    borrower's own factor. Borrowers become numbers."""
    borrowers = cases.select(pl.col("borrower_id").unique()).with_row_index("number")
    factors = [_factor(one, secret) for one in borrowers["borrower_id"].to_list()]
    known = borrowers.with_columns(factor=pl.Series(factors, dtype=pl.Int64))
    cents = (pl.col("balance") * 100).cast(pl.Int64)
    return (
        cases.sort("case_id")
        .with_row_index("row")
        .join(known, on="borrower_id")
        .with_columns(weighed=cents * pl.col("factor") // 1000, borrower_id=pl.col("number"))
        .drop("number", "factor", "case_id")
    )


def _factor(borrower_id: str, secret: bytes) -> int:
    """In per mille, of this borrower for good: as likely above 1 as below."""
    number = int.from_bytes(blake2b(borrower_id.encode(), key=secret, digest_size=8).digest())
    off = FACTOR_MIN + number // 2 % (FACTOR_MAX - FACTOR_MIN + 1)
    return 1000 + (off if number % 2 else -off)


def _rounded(cents: int) -> int:
    """To its first DIGITS digits."""
    unit: int = 10 ** max(0, len(str(cents)) - DIGITS)
    return (cents + unit // 2) // unit * unit
