"""Agreements, their rate cards and the lender's standard terms as the API reads and writes them."""

from decimal import Decimal
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from models.buckets import BUCKETS
from models.money import CURRENCIES
from models.provinces import PROVINCES
from models.rate_card import INCLUSIVE, TAX_TREATMENTS
from models.rates import CELLS_MAX, PAYMENT_TYPES, Cell
from models.services.exchange.agreements import STANDINGS
from models.services.exchange.standard_terms import LEVELS
from portal.schemas.base import Line, Money, PageQuery, Rate

Number = validate.And(validate.Length(1, 60), Line)
Search = validate.And(validate.Length(1, 100), Line)
Product = validate.And(validate.Length(1, 40), Line)


def codes(values: Any) -> fields.List:
    """A list of codes; an empty one leaves its dimension open."""
    return fields.List(fields.String(validate=values), load_default=list, validate=validate.Length(max=200))


EARNED = "A case earns the rate for `payment`, frozen when it is placed; rates for other types are kept and not earned."


class RateCellRequest(Schema):
    """A rate and for what it is; what is left out or null is open. The band is from <= balance < below."""

    rate = Rate(required=True)
    product = fields.String(load_default=None, allow_none=True, validate=Product)
    bucket = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(BUCKETS))
    placement_seq = fields.Integer(load_default=None, allow_none=True)
    payment_type = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(PAYMENT_TYPES), metadata={"description": EARNED}
    )
    amount_from = Money(load_default=Decimal("0.00"))
    amount_below = Money(load_default=None, allow_none=True)

    @post_load
    def as_cell(self, given: dict[str, Any], **_: Any) -> Cell:
        return Cell(**given)


class RateCellView(Schema):
    product = fields.String(allow_none=True)
    bucket = fields.String(allow_none=True)
    placement_seq = fields.Integer(allow_none=True)
    payment_type = fields.String(allow_none=True, metadata={"description": EARNED})
    amount_from = Money()
    amount_below = Money(allow_none=True)
    rate = Rate()


class MoneyTerms(Schema):
    tail_days = fields.Integer(load_default=15)
    agency_may_receive = fields.Boolean(load_default=False)
    settlement_floor = Rate(
        load_default=None,
        allow_none=True,
        metadata={"description": "The least share of a balance the agency settles for by itself; null: see standards."},
    )
    tax_treatment = fields.String(load_default=INCLUSIVE, validate=validate.OneOf(TAX_TREATMENTS))
    tax_rate = Rate(load_default=Decimal(0))


class RateCardRequest(MoneyTerms):
    cells = fields.List(fields.Nested(RateCellRequest), required=True, validate=validate.Length(1, CELLS_MAX))
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(load_default=None, allow_none=True)


class RateCardView(Schema):
    id = fields.UUID(attribute="card.id")
    agreement_id = fields.UUID(attribute="card.agreement_id")
    version = fields.Integer(attribute="card.version")
    state = fields.String(attribute="card.state")
    valid_from = fields.Date(attribute="card.valid_from")
    valid_to = fields.Date(attribute="card.valid_to", allow_none=True)
    tail_days = fields.Integer(attribute="card.tail_days")
    agency_may_receive = fields.Boolean(attribute="card.agency_may_receive")
    settlement_floor = Rate(attribute="card.settlement_floor", allow_none=True)
    tax_treatment = fields.String(attribute="card.tax_treatment")
    tax_rate = Rate(attribute="card.tax_rate")
    proposed_at = fields.AwareDateTime(attribute="card.proposed_at")
    decided_at = fields.AwareDateTime(attribute="card.decided_at", allow_none=True)
    withdrawal_at = fields.AwareDateTime(
        attribute="card.withdrawal_at",
        allow_none=True,
        metadata={"description": "When its withdrawal was asked for, and not refused since."},
    )
    cells = fields.List(fields.Nested(RateCellView))


class ContactPolicy(Schema):
    """Beyond the law; what is left out is left to the levels above, and at last to the law."""

    earliest_hour = fields.Integer(strict=True)
    latest_hour = fields.Integer(strict=True)
    attempts_per_day = fields.Integer(strict=True)
    third_parties = fields.Boolean()
    visits = fields.Boolean()


class OperatingTerms(Schema):
    """What decides what is placed next; changed without a second person, never for what is placed."""

    tier = fields.Integer(load_default=1)
    term_days = fields.Integer(load_default=90)
    provinces = codes(validate.OneOf(PROVINCES))
    products = codes(Product)
    buckets = codes(validate.OneOf(BUCKETS))
    balance_from = Money(
        load_default=None,
        allow_none=True,
        metadata={"description": "What a case owes at least, in the agreement's currency; null: no bound."},
    )
    balance_below = Money(
        load_default=None, allow_none=True, metadata={"description": "And less than this; null: no bound."}
    )
    open_cases_max = fields.Integer(load_default=None, allow_none=True)
    collectors = fields.Integer(load_default=None, allow_none=True)
    cases_per_collector = fields.Integer(load_default=None, allow_none=True)
    contact_policy = fields.Nested(ContactPolicy, load_default=dict)


class AgreementRequest(OperatingTerms, MoneyTerms):
    """`contingency_rate` for one rate, or `cells` for several: never both."""

    agency_code = fields.String(required=True)
    number = fields.String(required=True, validate=Number)
    currency = fields.String(load_default="CNY", validate=validate.OneOf(sorted(CURRENCIES)))
    contingency_rate = Rate(load_default=None, allow_none=True)
    cells = fields.List(fields.Nested(RateCellRequest), load_default=list, validate=validate.Length(max=CELLS_MAX))
    processing_agreement = fields.String(required=True, validate=Number)
    impact_assessment = fields.String(required=True, validate=Number)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True)


class AgreementView(Schema):
    id = fields.UUID()
    lender_id = fields.UUID()
    agency_id = fields.UUID()
    lender_name = fields.String()
    agency_name = fields.String()
    number = fields.String()
    currency = fields.String()
    tier = fields.Integer()
    term_days = fields.Integer()
    provinces = fields.List(fields.String())
    products = fields.List(fields.String())
    buckets = fields.List(fields.String())
    balance_from = Money(allow_none=True)
    balance_below = Money(allow_none=True)
    open_cases_max = fields.Integer(allow_none=True)
    collectors = fields.Integer(allow_none=True)
    cases_per_collector = fields.Integer(allow_none=True)
    contact_policy = fields.Dict()
    processing_agreement = fields.String()
    impact_assessment = fields.String()
    starts_on = fields.Date()
    ends_on = fields.Date()
    state = fields.String()


class EntrustedView(Schema):
    """An agreement on the lender's public list of its agencies; an empty list says all."""

    id = fields.UUID()
    agency_name = fields.String()
    number = fields.String()
    starts_on = fields.Date()
    ends_on = fields.Date()
    provinces = fields.List(fields.String())
    products = fields.List(fields.String())
    buckets = fields.List(fields.String())


class SaidView(Schema):
    value = fields.Raw()
    level = fields.String(validate=validate.OneOf(LEVELS))


class EffectiveView(Schema):
    """What a placement made now would be bound by, and the level that says so."""

    contact_policy = fields.Dict(keys=fields.String(), values=fields.Nested(SaidView))
    settlement_floor = fields.Nested(SaidView)


class AgreementDetailView(AgreementView):
    rate_cards = fields.List(fields.Nested(RateCardView), metadata={"description": "Every version, newest first."})
    effective = fields.Nested(EffectiveView)


class AgreementQuery(PageQuery):
    standing = fields.String(load_default=None, validate=validate.OneOf(STANDINGS))
    search = fields.String(
        load_default=None, validate=Search, metadata={"description": "Part of the number or of the party's name."}
    )


class RateQuery(Schema):
    """A case as it might be placed."""

    product = fields.String(required=True, validate=Product)
    bucket = fields.String(required=True, validate=validate.OneOf(BUCKETS))
    placement_seq = fields.Integer(load_default=1, validate=validate.Range(1, 1000))
    amount = Money(required=True)


class FoundRateView(Schema):
    version = fields.Integer(attribute="card.version")
    rate = Rate(attribute="cell.rate")
    cell = fields.Nested(RateCellView)


class StandardTermsRequest(Schema):
    tier = fields.Integer(load_default=0, metadata={"description": "0: every tier."})
    contact_policy = fields.Nested(ContactPolicy, load_default=dict)
    settlement_floor = Rate(load_default=None, allow_none=True)


class StandardTermsView(Schema):
    id = fields.UUID()
    tier = fields.Integer()
    contact_policy = fields.Dict()
    settlement_floor = Rate(allow_none=True)
    state = fields.String()
    proposed_at = fields.AwareDateTime()
    decided_at = fields.AwareDateTime(allow_none=True)
