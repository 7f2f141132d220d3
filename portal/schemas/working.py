"""Cases, releases, contacts, promises, claims and activity files as the API reads and writes them."""

from typing import Any

from marshmallow import Schema, fields, validate

from models import activity_file
from models.buckets import BUCKETS
from models.case import STATUSES
from models.portfolio import FIELD_CLASSES
from models.release import REASONS
from portal.messages import message
from portal.schemas.base import Money, PageQuery

Reference = validate.Length(1, 40)
NOTE_CHARS_MAX = 2000


class CaseQuery(PageQuery):
    """Filters of both lists; those of the other side are ignored. `after` is what the page before answered."""

    after = fields.String(load_default=None, validate=validate.Length(1, 60))
    bucket = fields.String(load_default=None, validate=validate.OneOf(BUCKETS))
    status = fields.String(load_default=None, validate=validate.OneOf(STATUSES))
    product = fields.String(load_default=None, validate=Reference)
    unassigned = fields.Boolean(load_default=False)
    collector_id = fields.UUID(load_default=None)
    portfolio_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)
    placed = fields.Boolean(load_default=None, allow_none=True)


class FindRequest(Schema):
    """A case number goes in a body, never in an address: addresses are written to logs."""

    case_number = fields.String(required=True, validate=Reference)


class FiguresView(Schema):
    """A case as lists show it: figures and masks."""

    id = fields.UUID()
    portfolio_id = fields.UUID()
    reference = fields.String()
    product = fields.String()
    region = fields.String(allow_none=True)
    currency = fields.String()
    balance = Money()
    balance_on = fields.Date()
    dpd = fields.Integer()
    bucket = fields.String()
    status = fields.String()
    masks = fields.Dict(keys=fields.String(), values=fields.String())


class WorklistItemView(Schema):
    case = fields.Nested(FiguresView)
    placement_id = fields.UUID()
    lender_name = fields.String()
    reasons = fields.List(fields.String())
    last_contact_at = fields.AwareDateTime(allow_none=True)
    last_outcome = fields.String(allow_none=True)
    promise_due_on = fields.Date(allow_none=True)
    collector_id = fields.UUID(allow_none=True)
    collector_name = fields.String(allow_none=True)


class CaseLineView(Schema):
    case = fields.Nested(FiguresView)
    placement_id = fields.UUID(allow_none=True)
    agency_name = fields.String(allow_none=True)


class CaseDetailView(FiguresView):
    principal = Money(allow_none=True)
    interest = Money(allow_none=True)
    fees = Money(allow_none=True)
    overdue_since_on = fields.Date(allow_none=True)
    opened_on = fields.Date(allow_none=True)


class CasePageView(Schema):
    """One case, its live placement, and what may be done: action -> null, or the code of why not."""

    case = fields.Nested(CaseDetailView)
    placement_id = fields.UUID(attribute="placement.id")
    placement_seq = fields.Integer(attribute="placed.placement_seq")
    agency_name = fields.String(attribute="placement.agency_name")
    expires_at = fields.AwareDateTime(attribute="placement.expires_at")
    collector_id = fields.UUID(allow_none=True)
    collector_name = fields.String(allow_none=True)
    actions = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True))


class TimelineItemView(Schema):
    at = fields.AwareDateTime()
    kind = fields.String()
    id = fields.UUID()
    agency_name = fields.String(allow_none=True)
    member_name = fields.String(allow_none=True)
    facts = fields.Dict()


class ReleaseRequest(Schema):
    field_class = fields.String(required=True, validate=validate.OneOf(FIELD_CLASSES))
    reason = fields.String(required=True, validate=validate.OneOf(REASONS))


class OpenedView(Schema):
    """What was opened, and the leaf hash of the entry that was logged before it was."""

    release_id = fields.UUID()
    entry = fields.String()
    fields_ = fields.Dict(keys=fields.String(), values=fields.String(), data_key="fields")


class ReleaseView(Schema):
    """Who opened what, when and why; never the value."""

    id = fields.UUID()
    case_id = fields.UUID()
    agency_id = fields.UUID(allow_none=True)
    member_name = fields.String()
    field_class = fields.String()
    reason = fields.String()
    released_at = fields.AwareDateTime()
    entry = fields.Function(lambda row: row.entry_leaf.hex(), metadata={"type": "string"})


class ContactRequest(Schema):
    """`external_ref` is the agency's own number of the event: reporting it twice changes nothing."""

    channel = fields.String(required=True, validate=validate.OneOf(activity_file.CHANNELS))
    direction = fields.String(required=True, validate=validate.OneOf(activity_file.DIRECTIONS))
    party = fields.String(required=True, validate=validate.OneOf(activity_file.PARTIES))
    outcome = fields.String(required=True, validate=validate.OneOf(activity_file.OUTCOMES))
    occurred_at = fields.AwareDateTime(required=True)
    duration_seconds = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 86400))
    external_ref = fields.String(load_default=None, allow_none=True, validate=Reference)
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(1, NOTE_CHARS_MAX))


class ContactView(Schema):
    """A reported contact; its note is sealed and not repeated."""

    id = fields.UUID()
    case_id = fields.UUID()
    member_name = fields.String()
    channel = fields.String()
    direction = fields.String()
    party = fields.String()
    outcome = fields.String()
    occurred_at = fields.AwareDateTime()
    duration_seconds = fields.Integer(allow_none=True)
    external_ref = fields.String(allow_none=True)
    recorded_at = fields.AwareDateTime()


class PromiseRequest(Schema):
    amount = Money(required=True)
    due_on = fields.Date(required=True)


class PromiseView(Schema):
    id = fields.UUID()
    case_id = fields.UUID()
    amount = Money()
    currency = fields.String()
    due_on = fields.Date()
    recorded_at = fields.AwareDateTime()


class ClaimRequest(Schema):
    amount = Money(required=True)
    currency = fields.String(required=True, validate=validate.Regexp(r"^[A-Z]{3}$"))
    paid_on = fields.Date(required=True)
    reference = fields.String(required=True, validate=Reference)
    paid_to = fields.String(required=True, validate=validate.OneOf(activity_file.PAID_TO))


class ClaimView(Schema):
    id = fields.UUID()
    case_id = fields.UUID()
    amount = Money()
    currency = fields.String()
    paid_on = fields.Date()
    reference = fields.String()
    paid_to = fields.String()
    recorded_at = fields.AwareDateTime()


class ActivityFileQuery(Schema):
    file_name = fields.String(load_default=None, validate=validate.Length(1, 200))


class FileErrorView(Schema):
    """Row 1 is the first data row; the value is never repeated."""

    row = fields.Integer()
    field = fields.String()
    code = fields.String()
    title = fields.Function(lambda error: message(error.code), metadata={"type": "string"})


class FileOutcomeView(Schema):
    """What became of the rows: taken, known already, refused; and why, row by row."""

    accepted = fields.Integer()
    repeated = fields.Integer()
    refused = fields.Integer()
    errors = fields.List(fields.Nested(FileErrorView))


def cases_page(view: type[Schema], items: list[Any], after: Any) -> dict[str, Any]:
    """A page of either list; the cursor is opaque, for one list is ordered by urgency and the other by age."""
    return {"items": view(many=True).dump(items), "next_after": str(after) if after else None}
