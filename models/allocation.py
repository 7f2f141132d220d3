"""Allocation (分案): which household goes to which agency of a panel. Pure: the same cases, plan and seed, in any
order, give the same split.

The unit is the household. It is judged by its leading case, the one with the largest balance, and by its whole
balance. Where an agency has the borrower already, it keeps it, outside every share. What is left is laid out in the
seed's order along a circle, as long as its weight; each agency takes an arc as long as its share, and a household
goes where its middle lies: so each gets its share to within one household.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from itertools import accumulate, pairwise
from typing import Any, Final
from uuid import UUID

import polars as pl

from models.allocation_plan import AMOUNT, Plan, Rule, Where
from models.money import MONEY, Schema
from models.strata import BALANCE_BAND_ABOVE, BALANCE_BANDS, UNKNOWN

WORD_BITS: Final = 62
CASES: Final[Schema] = {
    "case_id": pl.String,
    "borrower_id": pl.String,
    "balance": MONEY,
    "bucket": pl.String,
    "product": pl.String,
    "province": pl.String,  # null: the case does not say
    "placement_seq": pl.Int64,  # which placement of the case's life the next one is (手数)
}
# Sets of the panel's agreements, each in as many columns as it needs words: bit b of word w stands for the agreement
# at 62·w + b. `may`: whose agreement covers the case; `earlier`: of the borrower, whose agency had it before and shall
# not have it again; `holder`: of the borrower, whose agency has it now; 0: none of the panel; null: nobody.
SETS: Final = ("may", "earlier", "holder")
SPLIT: Final[Schema] = {
    "case_id": pl.String,
    "borrower_id": pl.String,
    "balance": MONEY,
    "bucket": pl.String,
    "product": pl.String,
    "placement_seq": pl.Int64,
    "rule": pl.Int32,  # the first is 1; FOLLOWED: the agency has the borrower already; null: none fits
    "seat": pl.Int32,  # which of the panel, from 0; null: left out
    "left_out": pl.String,  # one of LEFT_OUT
}
FOLLOWED: Final = 0  # in place of a rule: outside all of them
NO_RULE, FOLLOWS_ELSEWHERE, OUTSIDE_TERMS, EARLIER_AGENCY = (
    "no_rule",
    "follows_elsewhere",
    "outside_terms",
    "earlier_agency",
)
LEFT_OUT: Final = (NO_RULE, FOLLOWS_ELSEWHERE, OUTSIDE_TERMS, EARLIER_AGENCY)
STARTS: Final = 16
WHOLE: Final = 10_000  # shares are counted in hundredths of a per cent
ROWS_PER_PIECE: Final = 50_000


def words_of(name: str, panel: Sequence[Any]) -> list[str]:
    """The columns of one of the SETS for such a panel."""
    return [f"{name}_{word}" for word in range(-(-len(panel) // WORD_BITS))]


def word_of(bits: int, word: int) -> int:
    return bits >> WORD_BITS * word & (1 << WORD_BITS) - 1


def split(cases: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """CASES and the SETS in, SPLIT out, in order of case id."""
    households = _judged(_households(cases, plan), plan)
    free = households.filter(pl.col("left_out").is_null() & ~pl.col("follows"))
    dealt = pl.concat([_held(households, plan), _dealt(free, plan)])
    rule = pl.when("follows").then(FOLLOWED).otherwise("rule")
    whole = households.select("borrower_id", "left_out", rule=rule).join(dealt, on="borrower_id", how="left")
    return (
        cases.join(whole, on="borrower_id", how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in SPLIT.items())
        .sort("case_id")
    )


def digest(cases: pl.DataFrame, seats: pl.Series, panel: Sequence[UUID], terms: Mapping[UUID, Any]) -> bytes:
    """Of all that a split was drawn from, what it came to, and on which terms of each agreement: SHA-256.

    `cases` as `split` takes them, in order of case id, with the seat of each; `terms` as JSON takes them.
    """
    seen = sha256(json.dumps([(str(one), terms[one]) for one in panel], sort_keys=True).encode())
    columns = [*CASES, *(word for name in SETS for word in words_of(name, panel))]
    for piece in cases.select(columns).with_columns(seat=seats).iter_slices(ROWS_PER_PIECE):
        seen.update(piece.write_csv(include_header=False).encode())
    return seen.digest()


def pack(parts: pl.DataFrame) -> bytes:
    """The seats of a split and the rules that gave them, as a preview keeps them: a byte for each case, or less."""
    packed = BytesIO()
    parts.select(pl.col("seat", "rule").cast(pl.Int16)).write_ipc(packed, compression="zstd")
    return packed.getvalue()


def unpack(packed: bytes) -> pl.DataFrame:
    """What `pack` made: `seat` and `rule`. Null are the rules of what was packed before they were."""
    nothing = pl.DataFrame(schema={"seat": pl.Int16, "rule": pl.Int16})
    kept = pl.concat([nothing, pl.read_ipc(BytesIO(packed))], how="diagonal")
    return kept.select(pl.col(name).cast(SPLIT[name]) for name in kept.columns)


def figures(parts: pl.DataFrame, plan: Plan) -> dict[str, Any]:
    """What a split comes to, as JSON takes it: by agreement, by rule and by reason left out."""
    placed = parts.drop_nulls("seat")
    followed = placed.filter(pl.col("rule") == FOLLOWED)
    return {
        "seats": _by(placed, "seat", lambda row: {"agreement_id": str(plan.panel[row["seat"]])}),
        "follows": _by(followed, "seat", lambda row: {"agreement_id": str(plan.panel[row["seat"]])}),
        "rules": [_of_rule(placed, number, rule, plan.panel) for number, rule in enumerate(plan.rules, 1)],
        "left_out": _by(parts.drop_nulls("left_out"), "left_out", lambda row: {"reason": row["left_out"]}),
    }


def _of_rule(placed: pl.DataFrame, number: int, rule: Rule, panel: Sequence[UUID]) -> dict[str, Any]:
    """The shares asked and got of what the rule divided: what follows an agency stands outside."""
    divided = placed.filter(pl.col("rule") == number)
    weight = pl.col("balance").sum() if rule.basis == AMOUNT else pl.len()
    whole = divided.select(weight).item()
    got = dict(divided.group_by("seat").agg(weight.alias("weight")).iter_rows())
    return {
        "rule": number,
        **_totals(divided),
        "parts": [
            {
                "agreement_id": str(agreement_id),
                "asked": f"{share:.2f}",
                "got": f"{100 * got.get(panel.index(agreement_id), 0) / whole:.2f}" if whole else None,
            }
            for agreement_id, share in sorted(rule.shares.items())
        ],
    }


def _by(rows: pl.DataFrame, key: str, named: Any) -> list[dict[str, Any]]:
    groups = rows.partition_by(key, maintain_order=True)
    return [named(group.row(0, named=True)) | _totals(group) for group in sorted(groups, key=lambda g: g[key][0])]


def _totals(rows: pl.DataFrame) -> dict[str, Any]:
    amount = rows["balance"].sum() or 0
    return {"households": rows["borrower_id"].n_unique(), "cases": rows.height, "amount": f"{amount:.2f}"}


def _households(cases: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """One row for each borrower: its size, its whole balance, its leading case, and who may have all of it."""
    return (
        cases.sort(["balance", "case_id"], descending=[True, False])
        .group_by("borrower_id", maintain_order=True)
        .agg(
            pl.col("bucket", "product", *words_of("holder", plan.panel)).first(),
            pl.col("province").first().fill_null(UNKNOWN),
            pl.col(words_of("may", plan.panel)).bitwise_and(),
            pl.col(words_of("earlier", plan.panel)).bitwise_or(),
            cases=pl.len().cast(pl.Int64),
            amount=pl.col("balance").sum(),
        )
    )


def _judged(households: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """With `rule`, `follows`, `left_out` and the set `choice`: those who may take it."""
    rule = pl.lit(None, pl.Int32)
    for number, one in reversed([*enumerate(plan.rules, 1)]):
        rule = pl.when(_fits(one.where)).then(pl.lit(number, pl.Int32)).otherwise(rule)
    held = pl.col("holder_0").is_not_null()
    sets = [_chosen(word, plan, held) for word in range(len(words_of("choice", plan.panel)))]
    return (
        households.with_columns(rule=rule)
        .with_columns(column for columns in sets for column in columns)
        .with_columns(
            left_out=pl.when(_any("choice", plan))
            .then(None)
            .when(held & ~_any("holder", plan))
            .then(pl.lit(FOLLOWS_ELSEWHERE))
            .when(~held & pl.col("rule").is_null())
            .then(pl.lit(NO_RULE))
            .when(held | ~_any("covered", plan))
            .then(pl.lit(OUTSIDE_TERMS))
            .otherwise(pl.lit(EARLIER_AGENCY)),
            follows=held & _any("choice", plan),
        )
    )


def _chosen(word: int, plan: Plan, held: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """One word of the sets `covered` and `choice`."""
    may, earlier, holder = (pl.col(f"{name}_{word}") for name in SETS)
    named = {number: word_of(_bits(one, plan.panel), word) for number, one in enumerate(plan.rules, 1)}
    covered = may & pl.col("rule").replace_strict(named, default=0, return_dtype=pl.Int64)
    choice = pl.when(held).then(holder & may).otherwise(covered & ~earlier)
    return covered.alias(f"covered_{word}"), choice.alias(f"choice_{word}")


def _any(name: str, plan: Plan) -> pl.Expr:
    """Whether the set has any member."""
    return pl.any_horizontal(pl.col(words_of(name, plan.panel)) != 0)


def _fits(where: Where) -> pl.Expr:
    sets = {"bucket": where.buckets, "product": where.products, "province": where.provinces}
    return pl.all_horizontal(
        pl.lit(True),
        *(pl.col(name).is_in(list(values)) for name, values in sets.items() if values),
        *([pl.col("amount") >= where.amount_from] if where.amount_from is not None else []),
        *([pl.col("amount") < where.amount_below] if where.amount_below is not None else []),
    )


def _bits(rule: Rule, panel: Sequence[UUID]) -> int:
    return sum(1 << seat for seat, agreement_id in enumerate(panel) if agreement_id in rule.shares)


def _held(households: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Who has the borrower already keeps it; of two that have, the first of the panel."""
    first = pl.coalesce(
        pl.when(pl.col(name) != 0).then(pl.col(name).bitwise_trailing_zeros().cast(pl.Int64) + WORD_BITS * word)
        for word, name in enumerate(words_of("choice", plan.panel))
    )
    return households.filter("follows").select("borrower_id", seat=first)


def _dealt(free: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    nobody = pl.DataFrame(schema={"borrower_id": pl.String, "seat": pl.Int64})
    order = [sha256(plan.seed + borrower_id.encode()).digest() for borrower_id in free["borrower_id"]]
    ordered = _stratified(free, plan).with_columns(order=pl.Series(order, dtype=pl.Binary)).sort("order")
    strata = ordered.partition_by(["rule", "stratum"], as_dict=True, maintain_order=True)
    over = [[0] * len(plan.panel) for _ in plan.rules]
    return pl.concat(
        [
            nobody,
            *(_deal(part, plan, number, name, over[number - 1]) for (number, name), part in sorted(strata.items())),
        ]
    )


def _stratified(households: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    band = pl.lit(BALANCE_BAND_ABOVE)
    for below, name in reversed(BALANCE_BANDS.items()):
        band = pl.when(pl.col("amount") < below).then(pl.lit(name)).otherwise(band)
    names = [pl.lit(""), *(pl.col(name) for name in plan.dimensions)]
    return households.with_columns(balance_band=band).with_columns(stratum=pl.concat_str(names, separator="\x1f"))


def _deal(part: pl.DataFrame, plan: Plan, number: int, stratum: str, over: list[int]) -> pl.DataFrame:
    """One rule's households of one stratum. Those with the fewest to choose from come first, and the others make up
    for them, so that each agency comes as near to its share as it can.

    `over`: by how much each agency is over its share in the strata before; of several starts the one is taken that
    brings all of them nearest, so that small strata do not add up.
    """
    rule, panel = plan.rules[number - 1], plan.panel
    shares = [int(rule.shares.get(agreement_id, 0) * 100) for agreement_id in panel]
    part = part.with_columns(weight=_weights(part, rule.basis))
    total, got = int(part["weight"].sum()), [0] * len(panel)
    borrowers: list[str] = []
    dealt: list[int] = []
    for choice, names, weights in _by_choice(part, panel):
        allowed = [share if choice >> seat & 1 else 0 for seat, share in enumerate(shares)]
        needs = [max(0, share * total - WHOLE * got[seat]) if share else 0 for seat, share in enumerate(allowed)]
        off = [before + WHOLE * have - share * total for before, have, share in zip(over, got, shares, strict=True)]
        circle = Circle(weights, needs if any(needs) else allowed)
        seats = circle.deal(_fairest(circle, off, f"{number}/{stratum}/{choice}", plan))
        for seat, weight in zip(seats, weights, strict=True):
            got[seat] += weight
        borrowers += names
        dealt += seats
    over[:] = [have + WHOLE * got[seat] - shares[seat] * total for seat, have in enumerate(over)]
    return pl.DataFrame({"borrower_id": borrowers, "seat": dealt}, schema={"borrower_id": pl.String, "seat": pl.Int64})


def _by_choice(part: pl.DataFrame, panel: Sequence[UUID]) -> list[tuple[int, list[str], list[int]]]:
    """Each set of choices with its households and their weights: the smaller sets first."""
    words = words_of("choice", panel)
    groups = part.group_by(words, maintain_order=True).agg("borrower_id", "weight")
    found = (
        (sum(bits << WORD_BITS * word for word, bits in enumerate(row[: len(words)])), *row[len(words) :])
        for row in groups.iter_rows()
    )
    return sorted(found, key=lambda one: (one[0].bit_count(), one[0]))


def _fairest(circle: "Circle", off: Sequence[int], name: str, plan: Plan) -> int:
    """That one of STARTS places on the circle which leaves nobody far from its share; `off`: how far each is now."""
    furthest = sorted(range(len(off)), key=lambda seat: -abs(off[seat]))

    def worst(start: int) -> int:
        sums = circle.sums(start)
        untouched = next((abs(off[seat]) for seat in furthest if seat not in sums), 0)
        return max(untouched, *(abs(off[seat] + WHOLE * more) for seat, more in sums.items()))

    salts = (plan.seed + f"{name}/{attempt}".encode() for attempt in range(STARTS))
    return min((int.from_bytes(sha256(salt).digest()) for salt in salts), key=worst)


class Circle:
    """Households in their order around a circle, cut into arcs whose lengths are as `needs` to one another.

    A household goes where its middle lies, so no arc's sum differs from its length by more than the heaviest. Counted
    in half units, so that middles are whole. Plain numbers: most sets of choices are of a few households.
    """

    def __init__(self, weights: Sequence[int], needs: Sequence[int]) -> None:
        lengths = weights if any(weights) else [1] * len(weights)
        self._weights = weights
        self._around = 2 * sum(lengths)
        self._middles = [2 * end - length for end, length in zip(accumulate(lengths), lengths, strict=True)]
        whole = sum(needs)
        self._ends = [-(-self._around * end // whole) for end in accumulate(needs)]

    def deal(self, start: int) -> list[int]:
        """For each household the index of its arc, where the circle is turned by `start`."""
        cuts, around, turn = self._ends[:-1], self._around, start % self._around
        return [bisect_right(cuts, (middle + turn) % around) for middle in self._middles]

    def sums(self, start: int) -> dict[int, int]:
        """Arc → what lies in it, of those in which anything may lie: the fewer are looked up among the more."""
        sums: dict[int, int] = {}
        if len(self._middles) <= len(self._ends):
            for seat, weight in zip(self.deal(start), self._weights, strict=True):
                sums[seat] = sums.get(seat, 0) + weight
            return sums
        turn = start % self._around
        before = [self._until(end - turn) + self._until(end - turn + self._around) for end in (0, *self._ends)]
        return {seat: after - first for seat, (first, after) in enumerate(pairwise(before))}

    def _until(self, place: int) -> int:
        """What the households before a place weigh, where the circle is not turned."""
        return self._sums_before[bisect_left(self._middles, place)]

    @cached_property
    def _sums_before(self) -> list[int]:
        return [0, *accumulate(self._weights)]


def _weights(part: pl.DataFrame, basis: str) -> pl.Series:
    cents = (part["amount"].cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64)
    return cents if basis == AMOUNT and cents.sum() else part["cases"]
