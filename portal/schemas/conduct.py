"""Breaches, the audit log and the jobs as the API reads and writes them."""

from marshmallow import Schema, fields, validate

from crypto.notes import SIZE_MAX
from models.errors import NotFound
from models.services.job_runs import REQUESTABLE
from models.services.oversight.logs import DAYS_PER_PAGE_MAX
from portal.schemas.base import BusinessDay, PageQuery

STATES = ("flagged", "answered", "upheld", "dismissed", "withdrawn", "closed")


class BreachQuery(PageQuery):
    agency_id = fields.UUID(load_default=None)
    rule_id = fields.String(load_default=None, validate=validate.Length(1, 60))
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    case_id = fields.UUID(load_default=None)
    member_id = fields.UUID(load_default=None)
    since_on = fields.Date(load_default=None)
    until_on = fields.Date(load_default=None)


class BreachView(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    placement_id = fields.UUID()
    case_id = fields.UUID()
    member_id = fields.UUID(allow_none=True, metadata={"description": "Null: what the agency as a whole left undone."})
    subject_id = fields.UUID(metadata={"description": "The contact or release that breached."})
    subject_kind = fields.String()
    rule_id = fields.String()
    pack = fields.String()
    pack_version = fields.String()
    severity = fields.String()
    state = fields.String()
    business_date = fields.Date()
    occurred_at = fields.AwareDateTime()
    flagged_at = fields.AwareDateTime()


class EvidenceContactView(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    case_id = fields.UUID()
    member_id = fields.UUID()
    channel = fields.String()
    direction = fields.String()
    party = fields.String()
    outcome = fields.String()
    occurred_at = fields.AwareDateTime()
    duration_seconds = fields.Integer(allow_none=True)


class EvidenceReleaseView(Schema):
    id = fields.UUID()
    agency_id = fields.UUID(allow_none=True)
    case_id = fields.UUID()
    member_id = fields.UUID()
    field_class = fields.String()
    reason = fields.String()
    released_at = fields.AwareDateTime()


class RuleView(Schema):
    id = fields.String()
    article = fields.String()
    summary = fields.Function(lambda rule: rule.summary._asdict())
    standard = fields.Function(lambda rule: rule.standard.value)
    prevents = fields.Boolean()


class WindowView(Schema):
    """The span that the rule looked at."""

    start = fields.AwareDateTime()
    end = fields.AwareDateTime()


class BreachPageView(BreachView):
    """With what the verdict rests on: of all agencies for the lender and its auditor, else the agency's own act."""

    rule = fields.Nested(RuleView, allow_none=True)
    window = fields.Nested(WindowView, allow_none=True)
    contacts = fields.List(fields.Nested(EvidenceContactView))
    releases = fields.List(fields.Nested(EvidenceReleaseView))


class BreachCountView(Schema):
    agency_id = fields.UUID()
    agency_name = fields.String()
    rule_id = fields.String()
    breach_count = fields.Integer()


class LogKeyView(Schema):
    verifier_key = fields.String(metadata={"description": "NAME+HASH+KEY, for `python -m crypto verify-log --key`."})
    origin = fields.String()

    receipt_key = fields.String(metadata={"description": "What signs receipts: raw Ed25519 public key, hex."})


class ConsistencyQuery(Schema):
    """Sizes of two checkpoints; without `new_size`, the last one."""

    old_size = fields.Integer(required=True, validate=validate.Range(1, SIZE_MAX))
    new_size = fields.Integer(load_default=None, validate=validate.Range(1, SIZE_MAX))


class DailyRootQuery(Schema):
    """`before` is the last day of the page before."""

    before = fields.Date(load_default=None, validate=BusinessDay)
    limit = fields.Integer(load_default=DAYS_PER_PAGE_MAX, validate=validate.Range(1, DAYS_PER_PAGE_MAX))


class DailyRootView(Schema):
    """The last checkpoint signed on a business day; today's may still be followed by another."""

    business_date = fields.Date()
    size = fields.Integer()
    root = fields.Function(lambda found: found.root.hex(), metadata={"type": "string"})
    signed_at = fields.AwareDateTime(attribute="checkpoint.signed_at")
    checkpoint = fields.String(attribute="checkpoint.note", metadata={"description": "A C2SP signed note."})


class DailyRootPage(Schema):
    items = fields.List(fields.Nested(DailyRootView))
    next_before = fields.Date(allow_none=True)


class ReceiptView(Schema):
    statement = fields.String(metadata={"description": "Canonical JSON: format, leaf hash, time."})
    signature = fields.String(metadata={"description": "Base64 of Ed25519 over the statement."})


def leaf_hash(given: str) -> bytes:
    """What is no hash is the hash of nothing we know."""
    try:
        return bytes.fromhex(given)
    except ValueError:
        raise NotFound from None


class JobRunQuery(PageQuery):
    job = fields.String(load_default=None, validate=validate.Length(1, 40))


class JobRunRequest(Schema):
    job = fields.String(required=True, validate=validate.OneOf(REQUESTABLE))
    business_date = fields.Date(required=True, validate=BusinessDay)


class JobRunView(Schema):
    id = fields.UUID()
    org_id = fields.UUID()
    job = fields.String()
    business_date = fields.Date()
    state = fields.String()
    attempts = fields.Integer()
    progress = fields.Integer(metadata={"description": "Per cent."})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    error_class = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    started_at = fields.AwareDateTime(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)
