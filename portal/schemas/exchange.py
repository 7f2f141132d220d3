"""Portfolios, offers, placements and assignments as the API reads and writes them."""

from decimal import Decimal
from uuid import UUID

from marshmallow import Schema, fields, validate
from marshmallow.utils import get_value

from models.buckets import BUCKETS
from models.errors import Invalid, RowError
from models.offer import OFFERED
from models.offer import TRANSITIONS as OFFER_TRANSITIONS
from models.services.exchange.standard_terms import LEVELS
from models.tender import KINDS, SEALED_BID
from models.tender_plan import RESPOND_HOURS_MAX
from portal.schemas.agreements import RateCellView
from portal.schemas.base import Line, Money, PageQuery, Rate

COUNTED_MAX = 10_000_000  # cases of a placement: a wrong count below it is kept as a break
OFFER_STATE = (
    "`undone`: it was accepted or won, by which it is still asked for, and all that was placed of it came back."
)
OFFER_STATES = tuple(dict.fromkeys((OFFERED, *OFFER_TRANSITIONS.values())))


class UploadQuery(Schema):
    name = fields.String(required=True, validate=validate.And(validate.Length(1, 120), Line))


class PortfolioView(Schema):
    id = fields.UUID()
    name = fields.String()
    state = fields.String()
    sealed_by = fields.String(metadata={"description": "platform, or lender: then nothing of it opens here."})
    row_count = fields.Integer()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    refused_count = fields.Integer()
    balances = fields.Dict(keys=fields.String(), values=fields.String())
    created_at = fields.AwareDateTime()


class PortfolioDetailView(PortfolioView):
    sealed_cells = fields.Integer(metadata={"description": "Sealed cells of its cases, over all field classes."})


class RowErrorView(Schema):
    """Row 1 is the first data row; the value is never repeated."""

    row = fields.Integer()
    field = fields.String()
    code = fields.String()


class StratumView(Schema):
    values = fields.List(fields.String(), metadata={"description": "None for the rest of an unordered dimension."})
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = fields.String()


class CurrencyStrataView(Schema):
    currency = fields.String()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = fields.String()
    dimensions = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Nested(StratumView)),
        metadata={"description": "bucket, balance_band, age_band, product, province (GB/T 2260)."},
    )


class StrataView(Schema):
    k = fields.Integer(metadata={"description": "No stratum holds fewer borrowers."})
    currencies = fields.List(fields.Nested(CurrencyStrataView))


class OfferRequest(Schema):
    portfolio_id = fields.UUID(required=True)
    agreement_id = fields.UUID(required=True)
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None, allow_none=True)
    case_limit = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 10_000_000))
    respond_hours = fields.Integer(load_default=72, validate=validate.Range(1, RESPOND_HOURS_MAX))


class OfferQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(OFFER_STATES))
    other_id = fields.UUID(load_default=None, metadata={"description": "The agency; for an agency, the lender."})
    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))
    tender_id = fields.UUID(load_default=None)


class OfferView(Schema):
    """What both sides see of it, and no case. Its agency is shown blurred totals, its lender what they are of.

    The lender's are of the whole tender, and once it is placed of the placement. `strata` are blurred for both.
    """

    id = fields.UUID()
    agreement_id = fields.UUID()
    tender_id = fields.Function(
        lambda offer: str(get_value(offer, "tender_id")) if get_value(offer, "kind") == SEALED_BID else None,
        metadata={
            "type": ["string", "null"],
            "format": "uuid",
            "description": "Of sealed bids: a commitment names it.",
        },
    )
    kind = fields.String()
    state = fields.String(metadata={"description": OFFER_STATE})
    currency = fields.String()
    case_count = fields.Integer(
        allow_none=True, metadata={"description": "Null for its agency below strata.k borrowers."}
    )
    borrower_count = fields.Integer(
        allow_none=True, metadata={"description": "Null also where a part was placed: of that it is not kept."}
    )
    balance = Money(allow_none=True)
    exact = fields.Boolean(metadata={"description": "False: the three figures are blurred."})
    strata = fields.Nested(StrataView)
    terms = fields.Dict(
        metadata={
            "description": "Of sealed bids: windows, published scoring, own conduct factor, and for its agency from "
            "the commitment on `terms_digest`, of the `frozen_terms` that it stands on; else empty."
        }
    )
    withheld = fields.List(
        fields.String(),
        metadata={"description": "Why its agency may not see it now: no figures, strata or sample of it then."},
    )
    decline_reason = fields.String(allow_none=True)
    outcome_reason = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime(
        metadata={
            "description": "Until when an answer is awaited. Of sealed bids the end of the reveal: a commitment is due "
            "before, by `terms.commit_until`."
        }
    )
    decided_at = fields.AwareDateTime(allow_none=True)
    undone_at = fields.AwareDateTime(allow_none=True)


class FrozenTermsView(Schema):
    """What a placement would freeze: one made now, of a sealed bid one made when its windows have closed. `digest`
    names exactly this."""

    digest = fields.String(metadata={"description": "To be sent back by whoever accepts, or commits to a bid."})
    agreement_number = fields.String(attribute="agreement.number")
    tier = fields.Integer(attribute="agreement.tier")
    term_days = fields.Integer(attribute="agreement.term_days")
    rate_card_version = fields.Integer(attribute="card.card.version")
    cells = fields.List(fields.Nested(RateCellView), attribute="card.cells")
    tail_days = fields.Integer(attribute="card.card.tail_days")
    agency_may_receive = fields.Boolean(attribute="card.card.agency_may_receive")
    tax_treatment = fields.String(attribute="card.card.tax_treatment")
    tax_rate = Rate(attribute="card.card.tax_rate")
    settlement_floor = Rate(attribute="effective.settlement_floor.value")
    contact_policy = fields.Dict(attribute="effective.policy")
    term_levels = fields.Dict(
        keys=fields.String(), values=fields.String(validate=validate.OneOf(LEVELS)), attribute="levels"
    )


class OfferDetailView(OfferView):
    frozen_terms = fields.Nested(
        FrozenTermsView,
        allow_none=True,
        metadata={
            "description": "While it waits for an answer: what acceptance or an award would freeze. Null without one."
        },
    )


class TermsRequest(Schema):
    """What an acceptance and a bid stand on."""

    terms_digest = fields.String(
        required=True,
        validate=validate.Length(1, 64),
        metadata={"description": "`frozen_terms.digest` of the offer as it was read: nothing else is accepted."},
    )


class SampleRowView(Schema):
    product = fields.String(metadata={"description": "`other`: one of those that the offer does not name."})
    bucket = fields.String()
    dpd = fields.Integer()
    province = fields.String(metadata={"description": "GB/T 2260, `unknown`, or `other` as in product."})
    age_band = fields.String()
    balance = Money()
    borrower_cases = fields.Integer(metadata={"description": "Cases of its borrower, itself included."})


class TapeSampleView(Schema):
    """Made up from the figures of an offer; what they do not tell is dealt out by chance. Nobody is in it."""

    synthetic = fields.Constant(True, metadata={"type": "boolean"})
    currency = fields.String()
    stands_for = fields.Decimal(as_string=True, metadata={"description": "Cases of the offer to each row."})
    rows = fields.List(fields.Nested(SampleRowView), metadata={"description": "At most 10,000."})


class DeclineRequest(Schema):
    reason = fields.String(required=True, validate=validate.Length(1, 200))


class PlacementView(Schema):
    id = fields.UUID()
    offer_id = fields.UUID()
    agreement_id = fields.UUID()
    lender_name = fields.String()
    agency_name = fields.String()
    state = fields.String()
    agreement_number = fields.String()
    tier = fields.Integer()
    rate_card_version = fields.Integer(allow_none=True, metadata={"description": "Null where the rate was bid."})
    lowest_rate = Rate(metadata={"description": "Of its cases; each has the rate that was frozen for it."})
    highest_rate = Rate()
    case_fee = Money(metadata={"description": "For each case, beside the rate: of a hybrid bid."})
    settlement_floor = Rate()
    tax_treatment = fields.String()
    tax_rate = Rate()
    contact_policy = fields.Dict()
    term_levels = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf(LEVELS)),
        allow_none=True,
        metadata={
            "description": "Which level said settlement_floor and each term of contact_policy; null: not kept then."
        },
    )
    tail_days = fields.Integer()
    agency_may_receive = fields.Boolean()
    currency = fields.String()
    case_count = fields.Integer()
    referred_amount = Money()
    started_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()
    extended_until = fields.AwareDateTime(
        allow_none=True, metadata={"description": "The term is over, and retained cases go on until then."}
    )
    acknowledged_at = fields.AwareDateTime(allow_none=True)
    ended_at = fields.AwareDateTime(allow_none=True)
    end_reason = fields.String(allow_none=True)
    frozen_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "While set, nothing is opened, reported or exported under it."}
    )


class OpenedUnderView(Schema):
    """What an agency opened under a placement, and so may still know after its end."""

    id = fields.UUID(attribute="release.id")
    case_id = fields.UUID(attribute="release.case_id")
    reference = fields.String(allow_none=True, metadata={"description": "Null where one no longer has the case."})
    field_class = fields.String(attribute="release.field_class")
    reason = fields.String(attribute="release.reason")
    member_name = fields.String(attribute="release.member_name")
    released_at = fields.AwareDateTime(attribute="release.released_at")


class AcknowledgeRequest(Schema):
    case_count = fields.Integer(required=True, validate=validate.Range(0, COUNTED_MAX))
    balance = Money(required=True, least=Decimal(0))


class RecallRequest(Schema):
    reason = fields.String(required=True, validate=validate.Length(1, 60))
    case_ids = fields.List(fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, 10_000))


class AssignRequest(Schema):
    """One collector with cases, or several among whom the unassigned cases are dealt out by household."""

    collector_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 500))
    case_ids = fields.List(fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, 10_000))


class CollectorView(Schema):
    id = fields.UUID()
    name = fields.String()
    case_count = fields.Integer()


class CountView(Schema):
    count = fields.Integer()


class PlacedCaseView(Schema):
    id = fields.UUID(attribute="case.id")
    reference = fields.String(attribute="case.reference")
    status = fields.String(attribute="case.status")
    balance = Money(attribute="case.balance")
    referred_amount = Money(attribute="placed.referred_amount")
    contingency_rate = Rate(attribute="placed.contingency_rate")
    placement_seq = fields.Integer(allow_none=True, metadata={"description": "Null for an agency."})
    retained_until = fields.AwareDateTime(attribute="placed.retained_until", allow_none=True)
    ended_at = fields.AwareDateTime(attribute="placed.ended_at", allow_none=True)
    end_reason = fields.String(attribute="placed.end_reason", allow_none=True)
    collector_id = fields.UUID(allow_none=True)


def only(ids: list[UUID]) -> UUID:
    """The one collector that named cases are given to."""
    if len(ids) != 1:
        raise Invalid(errors=[RowError(0, "collector_ids", "one_expected")])
    return ids[0]
