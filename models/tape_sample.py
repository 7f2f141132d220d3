"""A synthetic sample of a tape: made-up cases whose figures are those of the tape, for models that price by the case.

It is a function of the tape as it is shown, its chance included, and of nothing else: it tells no more than the tape
does. What the tape does not say is dealt out by chance: which province goes with which product, how late a case of a
bucket is. So the sample is good for sums and for trying a model, and says nothing of how one thing goes with another.

- Counts: each group has its part of the rows, within one.
- Balances: each lies in its band, whose mean is that of the tape where the band's ends let it be. In every other
  dimension rows change places until each group owes its part, to NEAR of the whole where chance finds it.
- Groups of several values are dealt out over them evenly; the rest of a dimension is OTHER.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from itertools import cycle
from random import Random
from typing import Final, NamedTuple

from models.buckets import BUCKET_DAYS, BUCKETS
from models.csv_safe import csv_lines
from models.strata import BALANCE_BAND_ABOVE, BALANCE_BANDS, CurrencyStrata, Strata, Stratum

ROWS_MAX: Final = 10_000
OTHER: Final = "other"
NEAR: Final = Decimal("0.001")
MILLIONTH: Final = Decimal("0.000001")
ROUNDS_MAX: Final = 50  # in each of which every row may change places with one other
TOP_REACH: Final = 4  # the highest balance of a band without an end lies so many times as far up as its mean
LATEST_DAYS: Final = 540  # of the last bucket

BANDS: Final = (*BALANCE_BANDS.values(), BALANCE_BAND_ABOVE)
BAND_ENDS: Final = (
    0,
    *(100 * below for below in BALANCE_BANDS),
)  # in cents, the lower ones; the last band has no other


class Row(NamedTuple):
    """One made-up case. `borrower_cases`: how many its borrower has, itself included."""

    product: str
    bucket: str
    dpd: int
    province: str
    age_band: str
    balance: Decimal
    borrower_cases: int


class Sample(NamedTuple):
    """`stands_for`: how many cases of the tape each row stands for, 1 up to ROWS_MAX."""

    currency: str
    stands_for: Decimal
    rows: list[Row]


def draw(tape: Strata) -> Sample | None:
    """The sample of a tape, always the same; None where the tape is withheld, or tells totals alone."""
    if not tape["currencies"] or not all(tape["currencies"][0]["dimensions"].values()):
        return None
    (whole,) = tape["currencies"]
    count = min(whole["case_count"], ROWS_MAX)
    stands_for = Decimal(whole["case_count"]) / count
    chance = Random(_seed(tape))  # noqa: S311 (it guards nothing: whoever has the tape may draw the sample)
    owed = _balances(whole["dimensions"]["balance_band"], count, _cents(whole["balance"]) / stands_for)
    chance.shuffle(owed)
    product, bucket, province, age_band = (
        _deal(whole["dimensions"][name], owed, chance) for name in ("product", "bucket", "province", "age_band")
    )
    dpd = [_days(one, chance) for one in bucket]
    balances = [Decimal(cents) / 100 for cents in owed]
    borrower_cases = _households(whole, count)
    chance.shuffle(borrower_cases)
    columns = (product, bucket, dpd, province, age_band, balances, borrower_cases)
    return Sample(whole["currency"], stands_for.quantize(MILLIONTH), list(map(Row, *columns)))


def file_lines(sample: Sample, mark: str) -> list[str]:
    """As CSV, with the names of the API. Each row begins with `mark`, so that every cut-out tells what it is."""
    facts = (sample.currency, sample.stands_for)
    rows = ((mark, number, *row, *facts) for number, row in enumerate(sample.rows, 1))
    return list(csv_lines([("synthetic", "number", *Row._fields, "currency", "stands_for"), *rows], bom=True))


def _seed(tape: Strata) -> int:
    return int.from_bytes(sha256(json.dumps(tape, sort_keys=True).encode()).digest())


def _cents(money: str) -> int:
    return int(Decimal(money) * 100)


def _apportioned(whole: int, parts: Sequence[int]) -> list[int]:
    """`whole` in the proportion of the parts, each within one: the largest remainders are rounded up."""
    total = sum(parts)
    if not total:
        return _apportioned(whole, [1] * len(parts))
    shares = [divmod(whole * part, total) for part in parts]
    left = whole - sum(share for share, _ in shares)
    up = sorted(range(len(parts)), key=lambda at: -shares[at][1])[:left]
    return [share + (at in up) for at, (share, _) in enumerate(shares)]


def _balances(groups: Sequence[Stratum], count: int, owed: Decimal) -> list[int]:
    """In cents, rising. `owed` is what all of them should come to."""
    counts = _apportioned(count, [group["case_count"] for group in groups])
    shares = _apportioned(int(owed), [_cents(group["balance"]) for group in groups])
    found = []
    for group, rows, share in zip(groups, counts, shares, strict=True):
        first, last = (BANDS.index(group["values"][at]) for at in (0, -1))
        below = BAND_ENDS[last + 1] if last + 1 < len(BAND_ENDS) else None
        found += _in_band(rows, share, BAND_ENDS[first], below)
    return found


def _in_band(count: int, owed: int, low: int, below: int | None) -> list[int]:
    """So many amounts from `low` up, below `below`, that come to `owed` together, or as near as they can.

    Few high and many low, or the other way round: a power of the row's place, with the mean that is asked for.
    """
    above = max(0.0, owed / count - low) if count else 0.0  # the mean's height in the band
    reach = above * TOP_REACH if below is None else below - 1 - low
    above = min(above, reach)
    if not above:
        return [max(low, 1)] * count
    ends = [(place / count) ** (reach / above) for place in range(count + 1)]
    # Its mean over the row's part of the band: so all of them come to what they should.
    return [max(1, low + round(above * count * (ends[at + 1] - ends[at]))) for at in range(count)]


def _deal(groups: Sequence[Stratum], owed: Sequence[int], chance: Random) -> list[str]:
    """A value of one dimension for each row: the counts hold from the start, the balances by changing places."""
    counts = _apportioned(len(owed), [group["case_count"] for group in groups])
    dealt = [at for at, count in enumerate(counts) for _ in range(count)]
    chance.shuffle(dealt)
    over = [-share for share in _apportioned(sum(owed), [_cents(group["balance"]) for group in groups])]
    for at, cents in zip(dealt, owed, strict=True):
        over[at] += cents
    near, rows = NEAR * sum(owed), len(owed)
    for _ in range(ROUNDS_MAX):
        if max(map(abs, over)) <= near:
            break
        apart = chance.randrange(rows)
        for one in range(rows):
            other = one - apart  # also from the end, as lists count
            a, b, moved = dealt[one], dealt[other], owed[other] - owed[one]
            if a != b and abs(over[a] + moved) + abs(over[b] - moved) < abs(over[a]) + abs(over[b]):
                dealt[one], dealt[other] = b, a
                over[a], over[b] = over[a] + moved, over[b] - moved
    values = [cycle(group["values"] or [OTHER]) for group in groups]
    return [next(values[at]) for at in dealt]


def _days(bucket: str, chance: Random) -> int:
    months = BUCKETS.index(bucket)
    if not months:
        return 0
    last = months * BUCKET_DAYS if bucket != BUCKETS[-1] else LATEST_DAYS
    return chance.randint((months - 1) * BUCKET_DAYS + 1, last)


def _households(whole: CurrencyStrata, count: int) -> list[int]:
    """For each row how many cases its borrower has: as even as whole numbers let it be with the tape's mean."""
    borrowers = max(1, round(count * whole["borrower_count"] / whole["case_count"]))
    fewer, more = divmod(count, borrowers)
    rows = [fewer + 1] * (more * (fewer + 1))
    return rows + [fewer] * (count - len(rows))
