"""Claims against the lender's ledger: what matches, by which rule, and what is left as a break.

The rules run one after the other; each takes the claims and payments it matches away from those that follow.
`c` and `p` number claims and payments by day, then id. They end every order, so that no tie is left to chance and the
order of the input never matters.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import polars as pl

from models.money import MONEY, Schema, money_frame

CLAIMS: Final[Schema] = {
    "id": pl.String,
    "agency_id": pl.String,
    "placement_id": pl.String,
    "case_id": pl.String,
    "amount": MONEY,
    "currency": pl.String,
    "paid_on": pl.Date,
    "reference": pl.String,
}
PAYMENTS: Final[Schema] = {  # what models.attribution.attribute returns
    "id": pl.String,
    "agency_id": pl.String,
    "placement_id": pl.String,
    "attribution": pl.String,
    "case_id": pl.String,
    "amount": MONEY,
    "currency": pl.String,
    "effective_on": pl.Date,
    "reference": pl.String,
}
STANDING: Final[Schema] = {"claim_id": pl.String, "payment_id": pl.String}
MATCHES: Final[Schema] = {
    "match": pl.UInt32,  # the links of one match share its number
    "claim_id": pl.String,
    "payment_id": pl.String,
    "agency_id": pl.String,
    "case_id": pl.String,
    "rule": pl.String,
    "currency": pl.String,
    "amount": MONEY,  # what this link settles, as the ledger has it
    "amount_difference": MONEY,  # claimed − booked, over the whole match
    "days_difference": pl.Int32,  # value date − claimed date
}
BREAKS: Final[Schema] = {
    "kind": pl.String,
    "claim_id": pl.String,
    "payment_id": pl.String,
    "agency_id": pl.String,
    "placement_id": pl.String,
    "case_id": pl.String,
    "currency": pl.String,
    "amount_claimed": MONEY,
    "amount_booked": MONEY,
    "days_difference": pl.Int32,
}
RULES: Final = ("reference", "amount_and_day", "tolerance", "split_payment", "split_claim")
KINDS: Final = ("duplicate", "currency", "date", "amount", "missing_here", "missing_there")

MONEY_KEY: Final = ("case_id", "currency", "amount")
# Of two pairs the better has the same reference, the placement that earns, the closer amount, the closer day.
PREFERENCE: Final = ("other_reference", "other_placement", "gap", "distance", "c", "p")

PARTS_MAX: Final = 4  # the most payments one claim, or claims one payment, may be split into
PARTS_NEAREST: Final = 8  # only so many, the nearest by day, are tried as parts
COMPARED_MAX: Final = 64  # only so many unmatched rows of a case, the earliest, are compared pair by pair
DATE_DAYS_MAX: Final = 31  # equal amounts further apart than this are two breaks, not one about its date

_LINK: Final[Schema] = {"c": pl.UInt32, "p": pl.UInt32, "rule": pl.String}


class Matched(NamedTuple):
    matches: pl.DataFrame
    breaks: pl.DataFrame


class _Open(NamedTuple):
    """The claims and payments no rule has taken yet."""

    claims: pl.DataFrame
    payments: pl.DataFrame

    def without(self, links: pl.DataFrame) -> "_Open":
        return _Open(self.claims.join(links, on="c", how="anti"), self.payments.join(links, on="p", how="anti"))


def match(
    claims: pl.DataFrame,
    payments: pl.DataFrame,
    tolerance: Decimal,
    day_window: int,
    standing: pl.DataFrame | None = None,
) -> Matched:
    """CLAIMS and PAYMENTS (each id once) → MATCHES and BREAKS; every claim is in exactly one of them.

    `tolerance` is the largest difference of amounts that still matches, `day_window` the largest distance in days of
    value date and claimed date. A payment outside every term that nobody claims, and a reversal, make no break.
    `standing` (STANDING) are links of an earlier run: they hold, whatever came later, and are not found again.
    """
    all_ = _Open(
        _numbered(money_frame(claims, CLAIMS), "c", "paid_on"),
        _numbered(money_frame(payments, PAYMENTS), "p", "effective_on"),
    )
    stand = _standing(all_, standing)
    links = _links(all_.without(stand), tolerance, day_window)
    return Matched(_matches(all_, links), _breaks(all_, pl.concat([stand, links]), tolerance, day_window))


def _standing(all_: _Open, standing: pl.DataFrame | None) -> pl.DataFrame:
    links = pl.DataFrame(schema=STANDING) if standing is None else money_frame(standing, STANDING)
    return (
        links.join(all_.claims.select("c", claim_id="id"), on="claim_id")
        .join(all_.payments.select("p", payment_id="id"), on="payment_id")
        .select("c", "p", rule=pl.lit("standing"))
    )


def _numbered(rows: pl.DataFrame, index: str, day: str) -> pl.DataFrame:
    reference = pl.col("reference").str.strip_chars()
    return (
        rows.rename({day: "day"})
        .with_columns(pl.when(reference != "").then(reference).alias("reference"))
        .sort("day", "id")
        .with_row_index(index)
    )


def _links(open_: _Open, tolerance: Decimal, day_window: int) -> pl.DataFrame:
    found = [pl.DataFrame(schema=_LINK)]

    def take(links: pl.DataFrame, rule: str) -> None:
        nonlocal open_
        found.append(links.select("c", "p", rule=pl.lit(rule)))
        open_ = open_.without(links)

    for key in ((*MONEY_KEY, "reference", "placement_id"), (*MONEY_KEY, "reference")):
        take(_in_turn(open_, key), "reference")
    for key in ((*MONEY_KEY, "day", "placement_id"), (*MONEY_KEY, "day")):
        for days in sorted(range(-day_window, day_window + 1), key=lambda d: (abs(d), d < 0)):
            take(_in_turn(open_, key, days), "amount_and_day")
    if tolerance > 0:
        take(_within_tolerance(open_, tolerance, day_window), "tolerance")
    take(_splits(open_.claims, open_.payments, "c", "p", day_window), "split_payment")
    take(_splits(open_.payments, open_.claims, "p", "c", day_window), "split_claim")
    return pl.concat(found)


def _in_turn(open_: _Open, key: tuple[str, ...], days: int = 0) -> pl.DataFrame:
    """Links c, p of rows with equal keys, the payment `days` after the claim: the first to the first, and so on."""
    claims = open_.claims.select("c", *key)
    if "day" in key:
        claims = claims.with_columns(pl.col("day") + timedelta(days=days))
    payments = open_.payments.select("p", *key).join(claims, on=key, how="semi")
    claims = claims.join(payments, on=key, how="semi")
    turn = pl.int_range(pl.len()).over(key).alias("turn")
    return claims.sort("c").with_columns(turn).join(payments.sort("p").with_columns(turn), on=[*key, "turn"])


def _pairs(open_: _Open, *on: str) -> pl.DataFrame:
    """Pairs of claims and payments that agree `on`, with how they compare; bounded for each case."""
    claims, payments = _early(open_.claims, "c"), _early(open_.payments, "p", "amount", "reference")
    pairs = claims.join(payments, on=on, suffix="_p")
    same_reference = (pl.col("reference") == pl.col("reference_p")).fill_null(value=False)
    same_placement = (pl.col("placement_id") == pl.col("placement_id_p")).fill_null(value=False)
    return pairs.filter((pl.col("amount") > 0) == (pl.col("amount_p") > 0)).with_columns(
        other_reference=~same_reference,
        other_placement=~same_placement,
        gap=(pl.col("amount") - pl.col("amount_p")).abs(),
        distance=(pl.col("day_p") - pl.col("day")).dt.total_days().abs(),
    )


def _early(rows: pl.DataFrame, *order: str) -> pl.DataFrame:
    return rows.sort(order).filter(pl.int_range(pl.len()).over("case_id") < COMPARED_MAX)


def _near(day_window: int) -> pl.Expr:
    return (pl.col("distance") <= day_window) | ~pl.col("other_reference")


def _within_tolerance(open_: _Open, tolerance: Decimal, day_window: int) -> pl.DataFrame:
    pairs = _pairs(open_, "case_id", "currency").filter((pl.col("gap") <= tolerance) & _near(day_window))
    return _best_pairs(pairs.sort(PREFERENCE))


def _best_pairs(pairs: pl.DataFrame) -> pl.DataFrame:
    """Of sorted pairs those that stand when no claim and no payment is used twice and earlier pairs win."""
    edges = pairs.with_row_index("edge")
    nodes = edges.select("edge", node=pl.concat_list(_node("c"), _node("p"))).explode("node")
    return edges.join(choose(nodes), on="edge", how="semi")


def _node(index: str) -> pl.Expr:
    """One number space for both sides: claims even, payments odd."""
    return pl.col(index).cast(pl.Int64) * 2 + (index == "p")


def choose(nodes: pl.DataFrame) -> pl.DataFrame:
    """(edge, node) rows → the edges that taking one after the other, lowest first, each node once, would choose.

    An edge that is the lowest at all of its nodes is surely chosen, so whole rounds of them are taken at once.
    """
    chosen = [nodes.select("edge").clear()]
    while nodes.height:
        # Two steps, because a window inside a window would see the rows of the outer one alone.
        lowest = nodes.with_columns(lowest=pl.col("edge") == pl.col("edge").min().over("node"))
        won = lowest.filter(pl.col("lowest").all().over("edge"))
        lost = nodes.join(won, on="node", how="semi").select("edge")
        chosen.append(won.select("edge").unique())
        nodes = nodes.join(lost, on="edge", how="anti")
    return pl.concat(chosen)


def _splits(wholes: pl.DataFrame, parts: pl.DataFrame, whole: str, part: str, day_window: int) -> pl.DataFrame:
    """Links of each whole with 2 to PARTS_MAX parts of its case that add up to it exactly, all within the window."""
    near = (
        _early(wholes, whole)
        .select(whole, "case_id", "currency", "day", total="amount")
        .join(_early(parts, part).rename({"day": "day_part"}), on=["case_id", "currency"])
        .with_columns(distance=(pl.col("day_part") - pl.col("day")).dt.total_days().abs())
        .filter(
            (pl.col("distance") <= day_window)
            & (pl.col("amount").sign() == pl.col("total").sign())
            & (pl.col("amount").abs() < pl.col("total").abs())
        )
        .sort(whole, "distance", part)
        .with_columns(turn=pl.int_range(pl.len()).over(whole))
        .filter(pl.col("turn") < PARTS_NEAREST)
        .select(whole, "total", "amount", "distance", "turn", part)
    )
    edges = _sums(near, whole, part).with_row_index("edge")
    members = edges.select("edge", whole, "members").explode("members").rename({"members": part})
    nodes = pl.concat(
        [edges.select("edge", node=_node(whole)), members.select("edge", node=_node(part))], how="vertical"
    )
    return members.join(choose(nodes), on="edge", how="semi")


def _sums(near: pl.DataFrame, whole: str, part: str) -> pl.DataFrame:
    """Sets of parts that add up: whole, members; fewest parts first, then nearest days, then by number."""
    one = near.select(whole, "total", "distance", sum="amount", last="turn", code="turn", members=pl.concat_list(part))
    more = near.select(whole, "turn", part, amount="amount", further="distance")
    grown, complete = one, [one.clear()]
    for _ in range(PARTS_MAX - 1):
        grown = (
            grown.join(more, on=whole)
            .filter(pl.col("turn") > pl.col("last"))
            .select(
                whole,
                "total",
                pl.col("distance") + pl.col("further"),
                sum=pl.col("sum") + pl.col("amount"),
                last="turn",
                code=pl.col("code") * PARTS_NEAREST + pl.col("turn"),
                members=pl.concat_list("members", part),
            )
            .filter(pl.col("sum").abs() <= pl.col("total").abs())
        )
        complete.append(grown.filter(pl.col("sum") == pl.col("total")))
        grown = grown.filter(pl.col("sum") != pl.col("total"))
    return pl.concat(complete).sort(pl.col("members").list.len(), "distance", whole, "code").select(whole, "members")


def _matches(all_: _Open, links: pl.DataFrame) -> pl.DataFrame:
    several = pl.col("rule") == "split_claim"
    claimed = all_.claims.select("c", "agency_id", "case_id", "currency", "day", claim_id="id", claimed="amount")
    booked = all_.payments.select("p", payment_id="id", booked="amount", day_p="day")
    first = pl.when(several).then(pl.col("c").min().over("p")).otherwise("c")
    difference = (
        pl.when(several)
        .then(pl.col("claimed").sum().over("first") - pl.col("booked"))
        .otherwise(pl.col("claimed") - pl.col("booked").sum().over("first"))
    )
    return (
        links.join(claimed, on="c")
        .join(booked, on="p")
        .with_columns(first=first)
        .with_columns(
            match=pl.col("first").rank("dense"),
            amount=pl.when(several).then("claimed").otherwise("booked"),
            amount_difference=difference,
            days_difference=(pl.col("day_p") - pl.col("day")).dt.total_days(),
        )
        .sort("c", "p")
        .select(pl.col(name).cast(dtype) for name, dtype in MATCHES.items())
    )


def _breaks(all_: _Open, links: pl.DataFrame, tolerance: Decimal, day_window: int) -> pl.DataFrame:
    open_ = all_.without(links)
    duplicates = _duplicates(all_, open_, links, tolerance, day_window)
    open_ = _Open(open_.claims.join(duplicates, on="c", how="anti"), open_.payments)
    disagreements = _disagreements(open_, tolerance, day_window)
    rest = open_.without(disagreements)
    unclaimed = rest.payments.filter((pl.col("attribution") == "term") & (pl.col("amount") > 0))
    found = pl.concat(
        [
            duplicates.select("c", "p", "kind"),
            disagreements.select("c", "p", "kind"),
            rest.claims.select("c", p=pl.lit(None, pl.UInt32), kind=pl.lit("missing_here")),
            unclaimed.select("p", c=pl.lit(None, pl.UInt32), kind=pl.lit("missing_there")).select("c", "p", "kind"),
        ]
    )
    claimed = all_.claims.rename({"id": "claim_id", "amount": "amount_claimed"})
    booked = all_.payments.rename({"id": "payment_id", "amount": "amount_booked"})
    either = ("agency_id", "placement_id", "case_id", "currency")
    return (
        found.join(claimed, on="c", how="left")
        .join(booked, on="p", how="left", suffix="_p")
        .with_columns(pl.coalesce(name, f"{name}_p").alias(name) for name in either)
        .with_columns(days_difference=(pl.col("day_p") - pl.col("day")).dt.total_days())
        .sort("c", "p", nulls_last=True)
        .select(pl.col(name).cast(dtype) for name, dtype in BREAKS.items())
    )


def _duplicates(all_: _Open, open_: _Open, links: pl.DataFrame, tolerance: Decimal, day_window: int) -> pl.DataFrame:
    """c, p, kind: open claims for money another claim was already matched to, as it was claimed or as it was booked."""
    compare = ("case_id", "currency", "amount", "reference", "placement_id")
    used = links.join(all_.payments.select("p", "day", *compare), on="p")
    as_claimed = links.join(used.select("p", "day").unique(), on="p").join(all_.claims.select("c", *compare), on="c")
    settled = pl.concat([used.select("p", "day", *compare), as_claimed.select("p", "day", *compare)]).unique()
    settled = settled.join(open_.claims, on=["case_id", "currency"], how="semi")
    pairs = _pairs(_Open(open_.claims, settled), "case_id", "currency")
    return (
        pairs.filter((pl.col("gap") <= tolerance) & _near(day_window))
        .sort(PREFERENCE)
        .unique("c", keep="first", maintain_order=True)
        .with_columns(kind=pl.lit("duplicate"))
    )


def _disagreements(open_: _Open, tolerance: Decimal, day_window: int) -> pl.DataFrame:
    """c, p, kind: a claim and a payment that look like the same money but for its currency, date or amount."""
    same_amount, same_currency = pl.col("gap") <= tolerance, pl.col("currency") == pl.col("currency_p")
    kind = (
        pl.when(same_amount & ~same_currency & _near(day_window))
        .then(pl.lit("currency"))
        .when(same_amount & same_currency & (pl.col("distance") <= DATE_DAYS_MAX))
        .then(pl.lit("date"))
        .when(same_currency & _near(day_window))
        .then(pl.lit("amount"))
    )
    pairs = _pairs(open_, "case_id").with_columns(kind=kind.cast(pl.Enum(KINDS))).drop_nulls("kind")
    return _best_pairs(pairs.sort("kind", *PREFERENCE)).with_columns(pl.col("kind").cast(pl.String))
