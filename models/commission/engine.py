"""Commission as a function of the facts: derive what should stand, post only its difference to what is booked.

A line is earned by one cause: a ledger payment, or a placement that its agency acknowledged, which earns a fee for each
case. Its derivation is the whole way to the amount, in steps: payment → attribution → rate → amount, or fee → amount;
`replay` walks it again from the stored text.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import polars as pl

from models.attribution import ATTRIBUTED
from models.errors import Conflict
from models.money import MONEY, RATE, Schema, money_frame, money_product, round_money, round_money_expr

TERMS: Final[Schema] = {
    "placement_id": pl.String,
    "case_id": pl.String,
    "agreement_id": pl.String,
    "terms_version": pl.Int32,  # of the rate card
    "rate": RATE,  # a fraction: 0.25 earns a quarter
}
FEES: Final[Schema] = {
    "agency_id": pl.String,
    "agreement_id": pl.String,
    "placement_id": pl.String,
    "case_id": pl.String,
    "terms_version": pl.Int32,
    "case_fee": MONEY,
    "currency": pl.String,
    "acknowledged_on": pl.Date,
}
CONTINGENCY, CLAWBACK, CASE_FEE = "contingency", "clawback", "case_fee"
# Every fact is text, so that a derivation survives JSON unchanged. A line has the steps of its cause; others are null.
STEPS: Final = {
    "payment": ("id", "amount", "currency", "effective_on", "posted_on", "paid_to", "original"),
    "attribution": ("placement_id", "attribution", "reason"),
    "rate": ("version", "rate"),
    "fee": ("placement_id", "version", "case_fee", "acknowledged_on", "reason"),
    "amount": ("base", "entitled", "booked", "amount"),
}
_STEP_TYPES: Final = {step: pl.Struct(dict.fromkeys(facts, pl.String)) for step, facts in STEPS.items()}
DERIVATION: Final = pl.Struct(_STEP_TYPES)
LINES: Final[Schema] = {
    "agency_id": pl.String,
    "agreement_id": pl.String,
    "placement_id": pl.String,
    "case_id": pl.String,
    "component": pl.String,  # contingency, or clawback for a reversal; case_fee
    "cause_id": pl.String,  # the payment; of a fee the placement
    "sequence": pl.Int32,  # 1 for the first line of a cause, then one for each adjustment
    "adjusts_id": pl.String,  # the line an adjustment corrects
    "period": pl.String,  # YYYY-MM
    "base_amount": MONEY,
    "rate": RATE,
    "amount": MONEY,
    "currency": pl.String,
    "effective_on": pl.Date,
    "posted_on": pl.Date,
    "derivation": DERIVATION,
}
BOOKED: Final[Schema] = {"id": pl.String, **LINES}
KEY: Final = ("agreement_id", "component", "cause_id", "case_id", "currency")

Derivation: TypeAlias = Mapping[str, Mapping[str, str | None] | None]

_NOTHING: Final = Decimal("0.00")
_ZERO: Final = pl.lit(_NOTHING, dtype=MONEY)


def derive(attributed: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """ATTRIBUTED payments and the TERMS frozen on the placed cases → LINES, one for each payment a placement earns.

    A payment that is attributed but not commissionable gets a line of 0.00 whose derivation says why. Conflict
    `terms_missing` where a case that earns has no terms.
    """
    payments = money_frame(attributed, ATTRIBUTED).drop_nulls("placement_id")
    priced = _price(payments, money_frame(terms, TERMS))
    amount = round_money_expr(pl.col("exact")).alias("amount")
    lines = priced.with_columns(money_product(priced["base_amount"], priced["rate"]).alias("exact")).select(
        "agency_id",
        "agreement_id",
        "placement_id",
        "case_id",
        "component",
        pl.col("id").alias("cause_id"),
        pl.lit(1).alias("sequence"),
        pl.lit(None).alias("adjusts_id"),
        pl.col("posted_on").dt.strftime("%Y-%m").alias("period"),
        "base_amount",
        "rate",
        amount,
        "currency",
        "effective_on",
        "posted_on",
        _derivation(
            payment=["id", "amount", "currency", "effective_on", "posted_on", "paid_to", "original"],
            attribution=["placement_id", "attribution", "reason"],
            rate=[pl.col("terms_version").alias("version"), "rate"],
            amount=_first_amount(pl.col("base_amount"), amount),
        ),
    )
    return _in_order(lines)


def derive_fees(earned: pl.DataFrame) -> pl.DataFrame:
    """FEES, one row for each case that a placement held when it was acknowledged → LINES that book the fee that day."""
    lines = money_frame(earned, FEES).with_columns(
        component=pl.lit(CASE_FEE),
        cause_id="placement_id",
        sequence=1,
        adjusts_id=None,
        period=pl.col("acknowledged_on").dt.strftime("%Y-%m"),
        base_amount=_ZERO,
        rate=0,
        amount="case_fee",
        effective_on="acknowledged_on",
        posted_on="acknowledged_on",
        derivation=_derivation(
            fee=[
                "placement_id",
                pl.col("terms_version").alias("version"),
                "case_fee",
                "acknowledged_on",
                pl.lit(None).alias("reason"),
            ],
            amount=_first_amount(_ZERO, pl.col("case_fee")),
        ),
    )
    return _in_order(lines)


def _price(payments: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Adds component, agreement_id, base_amount, rate and terms_version: the one place that looks a rate up."""
    priced = payments.join(terms, on=["placement_id", "case_id"], how="left", validate="m:1")
    without = priced.filter(pl.col("rate").is_null())["placement_id"].unique().sort()
    if without.len():
        raise Conflict("terms_missing", placements=without.to_list())
    return priced.with_columns(
        component=pl.when(pl.col("original").is_null()).then(pl.lit(CONTINGENCY)).otherwise(pl.lit(CLAWBACK)),
        base_amount=pl.when("commissionable").then("amount").otherwise(_ZERO),
    )


def _derivation(**facts: Sequence[str | pl.Expr]) -> pl.Expr:
    """The steps given, each with its facts in the order of STEPS."""
    steps = (
        (pl.struct(facts[step]) if step in facts else pl.lit(None, dtype)).alias(step)
        for step, dtype in _STEP_TYPES.items()
    )
    return pl.struct(steps).cast(DERIVATION).alias("derivation")


def _first_amount(base: pl.Expr, entitled: pl.Expr) -> list[pl.Expr]:
    return [base.alias("base"), entitled.alias("entitled"), _ZERO.alias("booked"), entitled.alias("amount")]


def difference(derived: pl.DataFrame, booked: pl.DataFrame, open_period: str) -> pl.DataFrame:
    """LINES derived and all lines BOOKED for the same causes → the LINES to post; posting them twice posts nothing.

    A cause booked for the first time posts its line, even of 0.00. Where the booked sum differs, the difference is
    posted as an adjustment that names the first line; what is booked but no longer derived is taken back. Nothing is
    posted to a period before `open_period` (YYYY-MM).
    """
    derived, booked = money_frame(derived, LINES), money_frame(booked, BOOKED).sort("sequence")
    standing = booked.group_by(KEY).agg(
        booked=pl.col("amount").sum(),
        first_id=pl.col("id").first(),
        last=pl.col("sequence").max(),
        last_period=pl.col("period").max(),
    )
    firsts = booked.unique(KEY, keep="first", maintain_order=True)
    wanted = pl.concat([derived, _taken_back(firsts.join(derived, on=KEY, how="anti"))])
    facts = wanted.join(standing, on=KEY, how="left").with_columns(pl.col("booked").fill_null(_ZERO))
    to_post = (
        facts.with_columns(entitled="amount", amount=pl.col("amount") - pl.col("booked"))
        .filter(pl.col("first_id").is_null() | (pl.col("amount") != 0))
        .with_columns(
            sequence=pl.col("last").fill_null(0) + 1,
            adjusts_id="first_id",
            period=pl.max_horizontal("period", "last_period", pl.lit(open_period)),
            derivation=_with_amount("base_amount", "entitled", "booked", "amount"),
        )
    )
    return _in_order(to_post)


def _taken_back(lines: pl.DataFrame) -> pl.DataFrame:
    """Booked lines whose cause earns nothing under their agreement any more, as lines of 0.00 that say so."""
    steps = pl.col("derivation").struct
    attribution = steps.field("attribution").struct.with_fields(
        pl.lit("none").alias("attribution"), pl.lit("not_attributed").alias("reason")
    )
    fee = steps.field("fee").struct.with_fields(pl.lit("undone").alias("reason"))
    is_fee = pl.col("component") == CASE_FEE
    return lines.with_columns(
        base_amount=_ZERO,
        amount=_ZERO,
        derivation=steps.with_fields(
            pl.when(~is_fee).then(attribution).alias("attribution"), pl.when(is_fee).then(fee).alias("fee")
        ),
    ).select(*LINES)


def _with_amount(base: str, entitled: str, booked: str, amount: str) -> pl.Expr:
    """The derivation with its last step told anew."""
    last = pl.struct(
        pl.col(column).cast(pl.String).alias(fact)
        for fact, column in zip(STEPS["amount"], (base, entitled, booked, amount), strict=True)
    )
    return pl.col("derivation").struct.with_fields(last.alias("amount"))


def _in_order(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(pl.col(name).cast(dtype) for name, dtype in LINES.items()).sort("posted_on", *KEY)


def replay(derivation: Derivation) -> Decimal:
    """The amount of a line, computed again from its derivation alone; ValueError where the steps do not lead to it."""
    amount = _step(derivation, "amount")
    base, entitled = _fee(derivation) if derivation.get("fee") else _share(derivation)
    posted = entitled - _number(amount, "booked")
    if (base, entitled, posted) != tuple(_number(amount, fact) for fact in ("base", "entitled", "amount")):
        raise ValueError("the derivation does not lead to its amount")
    return posted


def _share(derivation: Derivation) -> tuple[Decimal, Decimal]:
    """Base and entitlement of a payment."""
    base = _NOTHING if _step(derivation, "attribution")["reason"] else _number(_step(derivation, "payment"), "amount")
    return base, round_money(base * _number(_step(derivation, "rate"), "rate"))


def _fee(derivation: Derivation) -> tuple[Decimal, Decimal]:
    """Of a case: there is no base, and a fee is not rounded."""
    fee = _step(derivation, "fee")
    return _NOTHING, _NOTHING if fee["reason"] else _number(fee, "case_fee")


def _step(derivation: Derivation, name: str) -> Mapping[str, str | None]:
    step = derivation.get(name)
    if step is None:
        raise ValueError(f"the derivation has no {name}")
    return step


def _number(step: Mapping[str, str | None], fact: str) -> Decimal:
    text = step[fact]
    if text is None:
        raise ValueError(f"the derivation has no {fact}")
    return Decimal(text)


def told(derivation: Derivation) -> list[str]:
    """One printed line for each step, in order."""
    steps = ((step, _step(derivation, step), facts) for step, facts in STEPS.items() if derivation.get(step))
    return [
        f"{step}: " + ", ".join(f"{fact} {told[fact]}" for fact in facts if told[fact]) for step, told, facts in steps
    ]
