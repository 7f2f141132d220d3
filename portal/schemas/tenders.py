"""Tenders and exclusions, as the API and the pages read and write them."""

from marshmallow import Schema, fields, validate

from models.buckets import BUCKETS
from models.exclusion import RECORDED_REASONS, SOURCES
from models.provinces import PROVINCES
from models.tender import FIRST_CLAIM, KINDS, TRANSITIONS
from models.tender_plan import AGREEMENTS_MAX, PLANNED_KINDS, RESPOND_HOURS_MAX
from portal.schemas.base import BusinessDay, Money, PageQuery
from portal.schemas.exchange import OFFER_STATE, StrataView
from portal.schemas.forms import Form, ListQuery, TypedInteger

STATES = tuple(dict.fromkeys((*(state for state, _ in TRANSITIONS), *TRANSITIONS.values())))


class PlanRequest(Schema):
    """`agreement_ids`: the choices one after the other (assigned), or the panel of whom the first takes all."""

    portfolio_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(PLANNED_KINDS))
    agreement_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, AGREEMENTS_MAX))
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None, allow_none=True)
    provinces = fields.List(
        fields.String(validate=validate.OneOf(PROVINCES)),
        load_default=None,
        allow_none=True,
        metadata={"description": "GB/T 2260; a case that does not say where it is belongs to none."},
    )
    case_limit = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 10_000_000))
    respond_hours = fields.Integer(load_default=72, validate=validate.Range(1, RESPOND_HOURS_MAX))


class SeatView(Schema):
    """An agency at the gate, for these cases: empty `reasons` let it through."""

    agreement_id = fields.UUID(attribute="agreement.id")
    agency_id = fields.UUID(attribute="agreement.agency_id")
    agency_name = fields.String(attribute="agreement.agency_name")
    reasons = fields.List(fields.String())
    capacity_left = fields.Integer(allow_none=True, metadata={"description": "Null where no limit was agreed."})


class FollowView(Schema):
    agency_id = fields.UUID()
    agency_name = fields.String()
    case_count = fields.Integer()


class PreviewView(Schema):
    """What the tender would hold and whom it would ask; nothing is changed."""

    currency = fields.String()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = Money()
    scrubbed = fields.Dict(keys=fields.String(), values=fields.Integer())
    left_out = fields.Dict(keys=fields.String(), values=fields.Integer())
    follows = fields.List(
        fields.Nested(FollowView), metadata={"description": "Left out: they may go only where the household is."}
    )
    seats = fields.List(fields.Nested(SeatView))
    needs_approval = fields.Boolean()
    shown = fields.Boolean(metadata={"description": "False: too few borrowers for agencies to see figures."})
    k = fields.Integer()


class TenderView(Schema):
    """The lender's own, with exact figures; an agency sees its offer."""

    id = fields.UUID()
    portfolio_id = fields.UUID()
    kind = fields.String()
    state = fields.String()
    currency = fields.String()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = Money()
    scrubbed = fields.Dict(keys=fields.String(), values=fields.Integer())
    commit_until = fields.AwareDateTime(allow_none=True)
    reveal_until = fields.AwareDateTime(allow_none=True)
    created_by = fields.UUID(allow_none=True)
    created_at = fields.AwareDateTime()
    approved_by = fields.UUID(allow_none=True)
    approved_at = fields.AwareDateTime(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)
    undone_at = fields.AwareDateTime(
        allow_none=True,
        metadata={"description": "When all that was placed came back; `decided_at`: when it was placed."},
    )


class AnswerView(Schema):
    """One offer of a tender, as its lender sees it."""

    offer_id = fields.UUID()
    agreement_id = fields.UUID()
    agency_id = fields.UUID()
    state = fields.String(metadata={"description": OFFER_STATE})
    decline_reason = fields.String(allow_none=True)
    outcome_reason = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()
    decided_at = fields.AwareDateTime(allow_none=True)
    undone_at = fields.AwareDateTime(allow_none=True)


class TenderDetailView(TenderView):
    rules = fields.Dict()
    tape = fields.Nested(StrataView, allow_none=True, metadata={"description": "What agencies are shown of it."})
    offers = fields.List(fields.Nested(AnswerView))


class TenderQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))
    portfolio_id = fields.UUID(load_default=None)


class TenderListForm(ListQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))
    portfolio_id = fields.UUID(load_default=None)


class StartForm(Form):
    portfolio_id = fields.UUID(load_default=None)


class WizardForm(Form):
    """How far the wizard is filled in: a portfolio, a kind, and whatever was chosen so far."""

    portfolio_id = fields.UUID(load_default=None)
    kind = fields.String(load_default=FIRST_CLAIM, validate=validate.OneOf(PLANNED_KINDS))


class PlanForm(Form):
    portfolio_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(PLANNED_KINDS))
    agreement_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, AGREEMENTS_MAX))
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None)
    provinces = fields.List(fields.String(validate=validate.OneOf(PROVINCES)), load_default=None)
    case_limit = TypedInteger(load_default=None, validate=validate.Range(1, 10_000_000))
    respond_hours = TypedInteger(load_default=72, validate=validate.Range(1, RESPOND_HOURS_MAX))


class ExclusionRequest(Schema):
    case_id = fields.UUID(required=True)
    reason = fields.String(required=True, validate=validate.OneOf(RECORDED_REASONS))
    source = fields.String(required=True, validate=validate.OneOf(SOURCES))
    noted_on = fields.Date(required=True, validate=BusinessDay)
    whole_borrower = fields.Boolean(
        load_default=False, metadata={"description": "All cases of the borrower, also later ones."}
    )


class ExclusionForm(Form, ExclusionRequest):
    pass


class ExclusionView(Schema):
    id = fields.UUID(attribute="exclusion.id")
    borrower_id = fields.UUID(attribute="exclusion.borrower_id")
    case_id = fields.UUID(attribute="exclusion.case_id", allow_none=True)
    reference = fields.String(allow_none=True, metadata={"description": "Null where it is of the whole borrower."})
    references = fields.Function(
        lambda line: [*line.references.values()],
        metadata={
            "type": "array",
            "items": {"type": "string"},
            "description": "The numbers of all cases that it keeps back now.",
        },
    )
    reason = fields.String(attribute="exclusion.reason")
    source = fields.String(attribute="exclusion.source")
    noted_on = fields.Date(attribute="exclusion.noted_on")
    recorded_at = fields.AwareDateTime(attribute="exclusion.recorded_at")
    lifted_at = fields.AwareDateTime(attribute="exclusion.lifted_at", allow_none=True)


class MadeExclusionView(Schema):
    id = fields.UUID()
    borrower_id = fields.UUID()
    case_id = fields.UUID(allow_none=True)
    reason = fields.String()
    source = fields.String()
    noted_on = fields.Date()
    recorded_at = fields.AwareDateTime()
    lifted_at = fields.AwareDateTime(allow_none=True)


class ExclusionQuery(PageQuery):
    reason = fields.String(load_default=None, validate=validate.OneOf(RECORDED_REASONS))
    standing = fields.Boolean(load_default=True)


class ExclusionListForm(ListQuery):
    reason = fields.String(load_default=None, validate=validate.OneOf(RECORDED_REASONS))
    standing = fields.Boolean(load_default=True)
