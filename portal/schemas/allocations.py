"""Allocations as the API and the page's form read and write them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate
from werkzeug.datastructures import MultiDict

from models.allocation_plan import BASES, CASES, DIMENSIONS, HUNDRED, KINDS, RULES_MAX, Plan, Rule, Where
from models.buckets import BUCKETS
from models.tender import UNDO_REASONS
from portal.schemas.base import Money
from portal.schemas.forms import Form, TypedInteger, ungrouped

UNTYPED = ("", "0")  # no share: the agency is left out of the rule
DIGITS_MAX = 9  # of a number of rules: int() itself refuses thousands of them
SEED = validate.Regexp(r"^([0-9a-f]{64})?\Z", error="Not a valid string.")


class Percent(fields.String):
    """A share of a hundred as a string: `33.34`."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = validate.Regexp(r"^[0-9]{1,3}(\.[0-9]{1,6})?\Z", error="share_bounds")
        super().__init__(validate=pattern, metadata={"example": "33.34"}, **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        return Decimal(text) if isinstance(text, str) else text


class WhereRequest(Schema):
    """Which households a rule is for; what is left out leaves its dimension open."""

    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)))
    products = fields.List(fields.String(validate=validate.Length(1, 60)))
    provinces = fields.List(fields.String(validate=validate.Length(6, 6)), metadata={"description": "GB/T 2260."})
    amount_from = Money(metadata={"description": "Of the household's whole balance."})
    amount_below = Money()

    @post_load
    def make(self, given: dict[str, Any], **_: Any) -> Where:
        return Where(**given)


class RuleRequest(Schema):
    shares = fields.Dict(
        keys=fields.UUID(),
        values=Percent(),
        required=True,
        metadata={"description": "Agreement → per cent; together exactly 100, each with at most two decimals."},
    )
    basis = fields.String(load_default=CASES, validate=validate.OneOf(BASES))
    where = fields.Nested(WhereRequest, load_default=Where())

    @post_load
    def make(self, given: dict[str, Any], **_: Any) -> Rule:
        return Rule(**given)


class AllocationRequest(Schema):
    """Rules are asked in order and the first that fits decides; a random split is one rule without a condition."""

    portfolio_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    rules = fields.List(fields.Nested(RuleRequest), required=True, validate=validate.Length(1, RULES_MAX))
    dimensions = fields.List(
        fields.String(validate=validate.OneOf(DIMENSIONS)),
        load_default=(),
        metadata={"description": "Of a random split: it is balanced within each stratum of these."},
    )
    seed = fields.String(
        load_default="", validate=SEED, metadata={"description": "64 hex digits; made and told if left out."}
    )
    exclude_earlier = fields.Boolean(load_default=False)

    @post_load
    def make(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        seed = bytes.fromhex(given.pop("seed"))
        return {"portfolio_id": given.pop("portfolio_id"), "plan": Plan(seed=seed, **given)}


class TotalsView(Schema):
    households = fields.Integer()
    cases = fields.Integer()
    amount = fields.String()


class AgencyPartView(TotalsView):
    """What one agency would get, and why it may not."""

    agreement_id = fields.UUID()
    agreement_number = fields.String()
    agency_id = fields.UUID()
    agency_name = fields.String()
    tier = fields.Integer()
    follows = fields.Nested(TotalsView, metadata={"description": "Of it: whose borrower the agency has already."})
    capacity_left = fields.Integer(allow_none=True, metadata={"description": "Null: no limit was agreed."})
    reasons = fields.List(fields.String())
    rate_card_version = fields.Integer(allow_none=True)
    lowest_rate = fields.String(allow_none=True)
    highest_rate = fields.String(allow_none=True)


class SharePartView(Schema):
    agreement_id = fields.UUID()
    asked = fields.String()
    got = fields.String(allow_none=True)


class RulePartView(TotalsView):
    rule = fields.Integer()
    parts = fields.List(fields.Nested(SharePartView))


class LeftOutView(TotalsView):
    reason = fields.String()


class AllocationPreviewView(Schema):
    agencies = fields.List(fields.Nested(AgencyPartView))
    rules = fields.List(fields.Nested(RulePartView))
    left_out = fields.List(fields.Nested(LeftOutView))


class PlanErrorView(Schema):
    row = fields.Integer(metadata={"description": "Row n is the n-th rule, row 0 the plan."})
    field = fields.String()
    code = fields.String()


class RefusalView(Schema):
    code = fields.String(metadata={"description": "As of a refused request."})
    agreement = fields.String(metadata={"description": "The number of the agreement that stands in the way."})
    reasons = fields.List(fields.String())
    errors = fields.List(fields.Nested(PlanErrorView), metadata={"description": "Of `invalid`: what is wrong."})


class AllocationView(Schema):
    """`drawing` or `committing`: a worker is at it; ask again until it is not."""

    id = fields.UUID()
    portfolio_id = fields.UUID()
    state = fields.String()
    currency = fields.String()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = Money()
    scrubbed = fields.Dict(keys=fields.String(), values=fields.Integer())
    plan = fields.Dict(attribute="rules", metadata={"description": "As asked, with the seed that was used."})
    preview = fields.Nested(AllocationPreviewView, allow_none=True, metadata={"description": "Null: being drawn."})
    preview_digest = fields.Function(
        lambda tender: tender.preview_digest and tender.preview_digest.hex(),
        metadata={"description": "Of which case goes where: SHA-256. Null: being drawn."},
    )
    progress = fields.Integer(
        allow_none=True, metadata={"description": "Of what a worker did or does with it, in per cent."}
    )
    refusal = fields.Nested(
        RefusalView, allow_none=True, metadata={"description": "What the worker was refused by; nothing was placed."}
    )
    created_at = fields.AwareDateTime()
    approved_at = fields.AwareDateTime(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)
    undone_at = fields.AwareDateTime(
        allow_none=True,
        metadata={"description": "When all that was placed came back; `decided_at`: when it was placed."},
    )
    undo_reason = fields.String(allow_none=True)
    undo_asked_at = fields.AwareDateTime(allow_none=True)


class UndoRequest(Schema):
    reason = fields.String(required=True, validate=validate.OneOf(UNDO_REASONS))


class UndoneView(Schema):
    """`undo_asked_at` is set where a second person has to confirm."""

    id = fields.UUID()
    state = fields.String()
    undone_at = fields.AwareDateTime(allow_none=True)
    undo_reason = fields.String(allow_none=True)
    undo_asked_at = fields.AwareDateTime(allow_none=True)


class UndoForm(Form):
    reason = fields.String(required=True, validate=validate.OneOf(UNDO_REASONS))


class BuilderQuery(Form):
    """What the plan's page is for: the portfolio, the way, the panel and how many rules it shows."""

    portfolio_id = fields.UUID(load_default=None)
    kind = fields.String(load_default=KINDS[0], validate=validate.OneOf(KINDS))
    agreement = fields.List(fields.UUID(), load_default=list)
    rules = TypedInteger(load_default=1, validate=validate.Range(1, RULES_MAX))
    again = fields.UUID(load_default=None)


def read_query(args: MultiDict[str, str]) -> dict[str, Any]:
    return args.to_dict() | {"agreement": args.getlist("agreement")}


def read_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """The page's form, whose fields end in the number of their rule, as the API would have it."""
    asked = form.get("rules", "1")
    count = int(asked) if asked.isdecimal() and len(asked) <= DIGITS_MAX else 1
    numbers = range(1, min(count, RULES_MAX) + 1)
    return {
        "portfolio_id": form.get("portfolio_id", ""),
        "kind": form.get("kind", ""),
        "rules": [_rule(form, number) for number in numbers],
        "dimensions": form.getlist("dimensions"),
        "seed": form.get("seed", "").strip().lower(),
        "exclude_earlier": "exclude_earlier" in form,
    }


def wrong_shares(form: Mapping[str, str]) -> dict[str, str]:
    """The code of what is wrong with it, by the name of each input that holds no share."""
    typed = {name: value.strip() for name, value in form.items() if name.startswith("share-")}
    codes = {name: _fault_of_share(value) for name, value in typed.items() if value not in UNTYPED}
    return {name: code for name, code in codes.items() if code}


def _fault_of_share(text: str) -> str | None:
    try:
        share = Percent().deserialize(text)
    except ValidationError:
        return "share_bounds"
    if not 0 < share <= HUNDRED:
        return "share_bounds"
    return None if share == round(share, 2) else "too_precise"


def _rule(form: Mapping[str, Any], number: int) -> dict[str, Any]:
    named = f"share-{number}-"
    shares = {name.removeprefix(named): value.strip() for name, value in form.items() if name.startswith(named)}
    return {
        "shares": {agreement_id: share for agreement_id, share in shares.items() if share not in UNTYPED},
        "basis": form.get(f"basis-{number}", CASES),
        "where": _where(form, number),
    }


def _where(form: Any, number: int) -> dict[str, Any]:
    sets = {name: form.getlist(f"{name}-{number}") for name in ("buckets", "products", "provinces")}
    amounts = {name: ungrouped(form.get(f"{name}-{number}", "")) for name in ("amount_from", "amount_below")}
    return {name: value for name, value in {**sets, **amounts}.items() if value}
