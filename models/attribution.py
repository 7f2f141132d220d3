"""Which placement earns a payment: by value date, within the entrusted term or its tail, and by who was paid."""

from typing import Final, NamedTuple

import polars as pl

from models.money import MONEY, Schema, money_frame

PAYMENTS: Final[Schema] = {
    "id": pl.String,
    "case_id": pl.String,
    "amount": MONEY,
    "currency": pl.String,
    "effective_on": pl.Date,
    "posted_on": pl.Date,
    "reference": pl.String,
    "paid_to": pl.String,
    "reversal_of": pl.String,  # the reference of the payment it takes back
}
SPANS: Final[Schema] = {
    "placement_id": pl.String,
    "agency_id": pl.String,
    "case_id": pl.String,
    "started_on": pl.Date,
    "ended_on": pl.Date,  # the last day of the term; null while it runs
    "tail_days": pl.Int32,
    "agency_may_receive": pl.Boolean,
}


class Decision(NamedTuple):
    attribution: str  # term, tail or none
    commissionable: bool
    reason: str | None


# Where the value date stands to the placement, and whether the agreement lets this party be paid.
DECISIONS: Final[dict[tuple[str, bool], Decision]] = {
    ("term", True): Decision("term", True, None),
    ("term", False): Decision("term", False, "agency_may_not_receive"),
    ("tail", True): Decision("tail", True, None),
    ("tail", False): Decision("tail", False, "agency_may_not_receive"),
    ("after", True): Decision("none", False, "after_tail"),
    ("after", False): Decision("none", False, "after_tail"),
    ("before", True): Decision("none", False, "before_placement"),
    ("before", False): Decision("none", False, "before_placement"),
    ("never", True): Decision("none", False, "never_placed"),
    ("never", False): Decision("none", False, "never_placed"),
    ("unlinked", True): Decision("none", False, "original_unknown"),
    ("unlinked", False): Decision("none", False, "original_unknown"),
}
STANDINGS: Final = ("term", "tail", "after", "before", "never", "unlinked")  # the first that holds decides

ATTRIBUTED: Final[Schema] = {
    **PAYMENTS,
    "original": pl.String,  # for a reversal, the id of the payment that was first made
    "placement_id": pl.String,
    "agency_id": pl.String,
    "attribution": pl.String,
    "commissionable": pl.Boolean,
    "reason": pl.String,
}

_TABLE: Final = pl.DataFrame(
    [(standing, allowed, *decision) for (standing, allowed), decision in DECISIONS.items()],
    schema=["standing", "allowed", "attribution", "commissionable", "reason"],
    orient="row",
).cast({"standing": pl.Enum(STANDINGS)})
_CHAIN_DOUBLINGS_MAX: Final = 6  # A reversal of a reversal …: chains of up to 2^6 links are followed.


def attribute(payments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """PAYMENTS of one lender and the SPANS of their cases → ATTRIBUTED, one row for each payment, by id.

    Both ends of a term count; the tail is the `tail_days` after it. A live term wins over a tail; on a hand-over day
    the later placement wins; of two tails the one that ended last. A payment that names `reversal_of` goes where its
    original went, whatever its own dates say, so the originals of reversals must be among the payments.
    """
    payments = _with_originals(money_frame(payments, PAYMENTS))
    decided = _decide(payments, money_frame(spans, SPANS))
    return (
        payments.join(decided, left_on="root", right_on="id", how="left", validate="m:1")
        .select(pl.col(name).cast(dtype) for name, dtype in ATTRIBUTED.items())
        .sort("id")
    )


def _with_originals(payments: pl.DataFrame) -> pl.DataFrame:
    """Adds `original` (null for a first payment or an unknown original) and `root`, the payment whose dates decide."""
    originals = payments.select("case_id", "currency", "reference", origin="id").drop_nulls("reference")
    linked = payments.join(
        originals,
        left_on=["case_id", "currency", "reversal_of"],
        right_on=["case_id", "currency", "reference"],
        how="left",
        validate="m:1",
    )
    step = linked.select("id", origin=pl.coalesce("origin", "id"))
    for _ in range(_CHAIN_DOUBLINGS_MAX):  # Each round doubles how far a link reaches.
        further = step.select(pl.col("id").alias("origin"), pl.col("origin").alias("further"))
        step = step.join(further, on="origin", how="left").select("id", origin=pl.coalesce("further", "origin"))
    return (
        linked.drop("origin")
        .join(step.rename({"origin": "root"}), on="id")
        .with_columns(original=pl.when(pl.col("root") != pl.col("id")).then("root"))
    )


def _decide(payments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """For each payment by its own dates: id, placement_id, agency_id, attribution, commissionable, reason."""
    day, start, end = pl.col("effective_on"), pl.col("started_on"), pl.col("ended_on")
    # A first payment is positive and reverses nothing. What else stands here takes back something not in this ledger.
    unlinked = pl.col("reversal_of").is_not_null() | (pl.col("amount") < 0)
    standing = (
        pl.when(unlinked)
        .then(pl.lit("unlinked"))
        .when(start.is_null())
        .then(pl.lit("never"))
        .when(day < start)
        .then(pl.lit("before"))
        .when(end.is_null() | (day <= end))
        .then(pl.lit("term"))
        .when(day <= end + pl.duration(days="tail_days"))
        .then(pl.lit("tail"))
        .otherwise(pl.lit("after"))
    )
    earns = pl.col("attribution") != "none"
    return (
        payments.join(spans, on="case_id", how="left")
        .with_columns(
            standing=standing.cast(pl.Enum(STANDINGS)),
            allowed=(pl.col("paid_to") != "agency") | pl.col("agency_may_receive").fill_null(value=False),
        )
        .with_columns(preference=pl.when(pl.col("standing") == "term").then(start).otherwise(end))
        .sort(
            ["id", "standing", "preference", "started_on", "placement_id"],
            descending=[False, False, True, True, True],
            nulls_last=True,
        )
        .unique("id", keep="first", maintain_order=True)
        .join(_TABLE, on=["standing", "allowed"], how="left")
        .select(
            "id",
            pl.when(earns).then("placement_id"),
            pl.when(earns).then("agency_id"),
            "attribution",
            "commissionable",
            "reason",
        )
    )
