"""The life of a placement as the API and its pages read and write it: breaks, recalls, returns, retention, history."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from models.placement import LIVE, RECALL_CATEGORIES, RECALL_REASONS, RETURN_CODES, TRANSITIONS
from models.recall_request import EXECUTED, OBJECTIONS, REQUESTED, WITHDRAWN
from models.retention import APPROVED, GROUNDS, LAPSED, REFUSED
from models.retention import REQUESTED as RETENTION_REQUESTED
from portal.schemas.base import Hex, Money, PageQuery, Rate
from portal.schemas.forms import Form, ListQuery, TypedInteger

STATES = tuple(dict.fromkeys((*LIVE, *TRANSITIONS.values())))
RECALL_STATES = (REQUESTED, EXECUTED, WITHDRAWN)
CATEGORIES = tuple(dict.fromkeys(RECALL_CATEGORIES.values()))
RETENTION_STATES = (RETENTION_REQUESTED, APPROVED, REFUSED, LAPSED)
CASES_MAX = 10_000


def case_ids(**more: Any) -> fields.List:
    return fields.List(fields.UUID(), validate=validate.Length(1, CASES_MAX), **more)


class PlacementQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    other_id = fields.UUID(load_default=None, metadata={"description": "The agency; for an agency, the lender."})
    portfolio_id = fields.UUID(load_default=None)
    ends_before = fields.AwareDateTime(load_default=None, metadata={"description": "Of live placements."})


class PlacementListForm(ListQuery):
    state = fields.String(load_default=None)
    other_id = fields.UUID(load_default=None)
    portfolio_id = fields.UUID(load_default=None)
    ends_before = fields.Date(load_default=None)


class AcknowledgementBreakView(Schema):
    """A break before work starts. Without a count the agency did not answer in time."""

    id = fields.UUID()
    placement_id = fields.UUID()
    kind = fields.String(metadata={"description": "mismatch or missing"})
    case_count = fields.Integer(allow_none=True)
    balance = Money(allow_none=True)
    case_count_expected = fields.Integer()
    balance_expected = Money()
    member_name = fields.String(allow_none=True)
    noted_at = fields.AwareDateTime()
    closed_at = fields.AwareDateTime(allow_none=True)
    cause = fields.String(allow_none=True)


class ReturnRequest(Schema):
    code = fields.String(required=True, validate=validate.OneOf(RETURN_CODES))
    case_ids = case_ids(required=True)


class ReturnForm(Form, ReturnRequest):
    pass


class FileQuery(Schema):
    file_name = fields.String(load_default=None, validate=validate.Length(1, 200))


class RecallFileQuery(FileQuery):
    immediate = fields.Boolean(load_default=False)


class RecallsRequest(Schema):
    """Cases of any placements, or one placement's, all of them without `case_ids`."""

    reason = fields.String(required=True, validate=validate.OneOf(RECALL_REASONS))
    placement_id = fields.UUID(load_default=None, allow_none=True)
    case_ids = case_ids(load_default=None, allow_none=True)
    immediate = fields.Boolean(load_default=False)

    @validates_schema
    def require_something(self, given: dict[str, Any], **_: Any) -> None:
        if given.get("placement_id") is None and given.get("case_ids") is None:
            raise ValidationError("Missing data for required field.", "case_ids")


class RecallView(Schema):
    id = fields.UUID(attribute="request.id")
    placement_id = fields.UUID(attribute="request.placement_id")
    lender_name = fields.String()
    agency_name = fields.String()
    reason = fields.String(attribute="request.reason")
    category = fields.String(metadata={"description": "Of the reason: operational, borrower or compliance."})
    state = fields.String(attribute="request.state")
    asked = fields.Integer(
        attribute="request.case_count", metadata={"description": "All the cases that it asks for, however they stand."}
    )
    objected = fields.Integer(
        attribute="objections",
        metadata={"description": "Of these, those ever objected to, whatever was decided: also when all are recalled."},
    )
    kept = fields.Integer(metadata={"description": "Cases that stay with the agency."})
    recalled = fields.Integer(metadata={"description": "Cases taken back."})
    gone = fields.Integer(metadata={"description": "Cases that left the placement by another way meanwhile."})
    requested_at = fields.AwareDateTime(attribute="request.requested_at")
    object_until = fields.AwareDateTime(attribute="request.object_until")
    executed_at = fields.AwareDateTime(attribute="request.executed_at", allow_none=True)
    stop_due_at = fields.AwareDateTime(attribute="request.stop_due_at", allow_none=True)
    stop_confirmed_at = fields.AwareDateTime(attribute="request.stop_confirmed_at", allow_none=True)
    stop_missed_at = fields.AwareDateTime(attribute="request.stop_missed_at", allow_none=True)


class RecallCaseView(Schema):
    id = fields.UUID()
    reference = fields.String()
    state = fields.String(attribute="case.state")
    objection = fields.String(attribute="case.objection", allow_none=True)
    objected_at = fields.AwareDateTime(attribute="case.objected_at", allow_none=True)
    decided_at = fields.AwareDateTime(attribute="case.decided_at", allow_none=True)


class RecallQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(RECALL_STATES))
    placement_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)
    unconfirmed = fields.Boolean(load_default=False)
    category = fields.String(load_default=None, validate=validate.OneOf(CATEGORIES))


class RecallListForm(ListQuery):
    state = fields.String(load_default=None)
    placement_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)
    unconfirmed = fields.Boolean(load_default=False)
    category = fields.String(load_default=None)


class ObjectionRequest(Schema):
    code = fields.String(required=True, validate=validate.OneOf(OBJECTIONS))
    case_ids = case_ids(required=True)


class ObjectionForm(Form, ObjectionRequest):
    pass


class CasesRequest(Schema):
    case_ids = case_ids(required=True)


class CasesForm(Form, CasesRequest):
    pass


class StopRequest(Schema):
    case_count = fields.Integer(required=True, validate=validate.Range(0, CASES_MAX * 1000))


class StopForm(Form):
    case_count = TypedInteger(required=True)


class RetentionRequest(Schema):
    case_ids = case_ids(required=True)
    ground = fields.String(required=True, validate=validate.OneOf(GROUNDS))
    days = fields.Integer(required=True, validate=validate.Range(1, 180))


class RetentionForm(Form, RetentionRequest):
    days = TypedInteger(required=True, validate=validate.Range(1, 180))


class RetentionDecision(Schema):
    retention_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, CASES_MAX))
    approve = fields.Boolean(required=True)


class RetentionDecisionForm(Form, RetentionDecision):
    pass


class RetentionsDecision(Schema):
    """All that waits under the filters, as it was when one looked: what was asked for after `up_to` goes on waiting.

    `digest`: SHA-256, as hexadecimal digits, of the ids that were seen up to there, ascending, each as its 16 bytes.
    Nothing is decided where it is of others by now: 409 `list_changed`.
    """

    placement_id = fields.UUID(load_default=None, allow_none=True)
    agency_id = fields.UUID(load_default=None, allow_none=True)
    up_to = fields.UUID(load_default=None, allow_none=True)
    digest = Hex(32, load_default=None, allow_none=True)
    approve = fields.Boolean(required=True)

    @validates_schema
    def refuse_unnamed(self, given: dict[str, Any], **_: object) -> None:
        if given["up_to"] is not None and given["digest"] is None:
            raise ValidationError("Missing data for required field.", "digest")


class RetentionsDecisionForm(Form, RetentionsDecision):
    digest = Hex(32, required=True)


class DecidedView(Schema):
    """What was decided, and what is left: of placements whose cap has no room for all, or whose term is over."""

    cases = fields.Integer()
    left = fields.Integer()


class RetentionQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(RETENTION_STATES))
    placement_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)


class RetentionListForm(ListQuery):
    state = fields.String(load_default=None)
    placement_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)


class RetentionView(Schema):
    id = fields.UUID(attribute="retention.id")
    placement_id = fields.UUID(attribute="retention.placement_id")
    case_id = fields.UUID(attribute="retention.case_id")
    reference = fields.String(allow_none=True)
    balance = Money(allow_none=True)
    currency = fields.String()
    lender_name = fields.String()
    agency_name = fields.String()
    ground = fields.String(attribute="retention.ground")
    days = fields.Integer(attribute="retention.days")
    state = fields.String(attribute="retention.state")
    expires_at = fields.AwareDateTime(metadata={"description": "The term's end: from then the days count."})
    promised_on = fields.Date(allow_none=True)
    claimed_on = fields.Date(allow_none=True)
    requested_at = fields.AwareDateTime(attribute="retention.requested_at")
    decided_at = fields.AwareDateTime(attribute="retention.decided_at", allow_none=True)


class RetentionWindowView(Schema):
    """When cases of a placement may be asked for, for how long, and how many the lender may still approve."""

    opens_at = fields.AwareDateTime()
    closes_at = fields.AwareDateTime()
    days_max = fields.Integer()
    cases_max = fields.Integer()
    left = fields.Integer()


class ProposalView(Schema):
    agency_id = fields.UUID()
    agency_name = fields.String()
    agreement_number = fields.String()
    state = fields.String(metadata={"description": "Of its offer; passed_over: the gate stopped it before."})
    reasons = fields.List(
        fields.String(), metadata={"description": "Why it declined, lost or may not receive cases; may be empty."}
    )
    asked_at = fields.AwareDateTime(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)


class ShareView(Schema):
    rule = fields.Integer()
    per_cent = Money()


class RetainedView(Schema):
    until = fields.AwareDateTime()
    ground = fields.String()
    requested = fields.Boolean(metadata={"description": "False: kept by the rule for cases that pay."})


class StagePlacementView(Schema):
    id = fields.UUID(attribute="placement_id")
    agency_id = fields.UUID()
    agency_name = fields.String()
    agreement_number = fields.String()
    tier = fields.Integer()
    rule = fields.Integer(
        allow_none=True,
        metadata={
            "description": "Which rule of the allocation gave it, from 1; 0: it followed its borrower's other cases. "
            "Null: it was placed otherwise, or before this was kept."
        },
    )
    shares = fields.List(
        fields.Nested(ShareView),
        metadata={
            "description": "Of an allocation: what that rule gives the agency; where it is not kept which rule it was, "
            "what each that names the agency gives."
        },
    )
    balance_at_start = Money()
    balance_at_end = Money(allow_none=True)
    contingency_rate = Rate()
    started_at = fields.AwareDateTime()
    ends_at = fields.AwareDateTime()
    ended_at = fields.AwareDateTime(allow_none=True)
    end_reason = fields.String(allow_none=True)
    retained = fields.Nested(RetainedView, allow_none=True)


class StageView(Schema):
    """One tender that held a case, and the placement it came to, if it did."""

    number = fields.Integer(
        allow_none=True, metadata={"description": "1 is the first placement; null: none, or it was undone."}
    )
    tender_id = fields.UUID()
    kind = fields.String(metadata={"description": "assigned, first_claim, sealed_bid, allocation."})
    state = fields.String(metadata={"description": "Of the tender."})
    made_at = fields.AwareDateTime()
    made_by = fields.String(allow_none=True, metadata={"description": "By name. Null: a job."})
    approved_by = fields.String(allow_none=True, metadata={"description": "The second person, if one was asked."})
    seed = fields.String(allow_none=True, metadata={"description": "Of an allocation, in hex."})
    proposals = fields.List(
        fields.Nested(ProposalView),
        metadata={"description": "To whom it was proposed, in order; an allocation is proposed to nobody."},
    )
    currency = fields.String()
    placement = fields.Nested(StagePlacementView, attribute="placed", allow_none=True)
