"""Cases, releases, contacts, promises, claims and activity files as the API reads and writes them."""

import datetime as dt
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields, validate

from crypto.fields import FIELD_CLASSES, FIELDS
from models import activity_file
from models.buckets import BUCKETS
from models.business_day import ZONE
from models.case import OPEN, STATUSES
from models.errors import Invalid, RowError
from models.notes import NOTE_CHARS_MAX
from models.release import REASONS
from models.services.collection import worklists
from models.services.portfolio.cases import CaseFilter
from portal.refusals import fault
from portal.schemas.base import Money, page_of
from portal.schemas.forms import Form, TypedMoney
from portal.words.casework import URGENCIES

ANY = "any"
ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Currency = validate.Regexp(r"^[A-Z]{3}\Z")
Reference = validate.Length(1, 40)


class CaseQuery(Schema):
    """Filters of both lists; those of the other side are ignored. `after` is what the page before answered."""

    after = fields.String(load_default=None, validate=validate.Length(1, 60))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    bucket = fields.String(load_default=None, validate=validate.OneOf(BUCKETS))
    status = fields.String(
        load_default=None,
        validate=validate.OneOf((*STATUSES, ANY)),
        metadata={"description": "A worklist shows open cases unless told otherwise; `any` is every status."},
    )
    product = fields.String(load_default=None, validate=Reference)
    reason = fields.String(load_default=None, validate=validate.OneOf(URGENCIES))
    unassigned = fields.Boolean(load_default=False)
    collector_id = fields.UUID(load_default=None)
    portfolio_id = fields.UUID(load_default=None)
    agency_id = fields.UUID(load_default=None)
    placed = fields.Boolean(load_default=None, allow_none=True)


def worklist_filter(query: dict[str, Any]) -> worklists.Filter:
    status = {None: OPEN, ANY: None}.get(query["status"], query["status"])
    return worklists.Filter(**_of(worklists.Filter, query) | {"status": status})


def case_filter(query: dict[str, Any]) -> CaseFilter:
    status = None if query["status"] == ANY else query["status"]
    return CaseFilter(**_of(CaseFilter, query) | {"status": status})


def case_cursor(after: str | None) -> UUID | None:
    """The cursor of a lender's list: the worklist's has a shape of its own."""
    try:
        return UUID(after) if after else None
    except ValueError:
        raise Invalid(errors=[RowError(0, "after", "malformed_cursor")]) from None


def _of(filters: type[CaseFilter] | type[worklists.Filter], query: dict[str, Any]) -> dict[str, Any]:
    return {name: query[name] for name in filters._fields if name in query}


class FindRequest(Schema):
    """A case number goes in a body, never in an address: addresses are written to logs."""

    case_number = fields.String(required=True, validate=Reference)


class FoundView(Schema):
    id = fields.UUID()
    reference = fields.String()
    status = fields.String()


class FiguresView(Schema):
    """A case as lists show it: figures and masks."""

    id = fields.UUID(attribute="case.id")
    portfolio_id = fields.UUID(attribute="case.portfolio_id")
    reference = fields.String(attribute="case.reference")
    product = fields.String(attribute="case.product")
    region = fields.String(attribute="case.region", allow_none=True)
    currency = fields.String(attribute="case.currency")
    balance = Money(attribute="case.balance")
    balance_on = fields.Date(attribute="case.balance_on")
    dpd = fields.Integer(attribute="case.dpd", metadata={"description": "At upload, as the bucket is."})
    bucket = fields.String(attribute="case.bucket")
    status = fields.String(attribute="case.status")
    masks = fields.Dict(attribute="case.masks", keys=fields.String(), values=fields.String())


class WorklistItemView(FiguresView):
    placement_id = fields.UUID()
    lender_name = fields.String()
    reasons = fields.List(fields.String(), metadata={"description": "Why it stands where it stands."})
    last_contact_at = fields.AwareDateTime(allow_none=True)
    last_outcome = fields.String(allow_none=True)
    promise_due_on = fields.Date(allow_none=True)
    collector_id = fields.UUID(allow_none=True)
    collector_name = fields.String(allow_none=True)


class CaseLineView(FiguresView):
    placement_id = fields.UUID(allow_none=True)
    agency_name = fields.String(allow_none=True)


class WorklistPage(Schema):
    """A page of the worklist: its cursor has a shape of its own."""

    items = fields.List(fields.Nested(WorklistItemView))
    next_after = fields.String(allow_none=True)


CaseLinePage = page_of(CaseLineView)


class CaseDetailView(FiguresView):
    """One case, its live placement if it has one, and what may be done: action -> null, or the code of why not."""

    principal = Money(attribute="case.principal", allow_none=True)
    interest = Money(attribute="case.interest", allow_none=True)
    fees = Money(attribute="case.fees", allow_none=True)
    overdue_since_on = fields.Date(attribute="case.overdue_since_on")
    opened_on = fields.Date(attribute="case.opened_on", allow_none=True)
    placement_id = fields.UUID(attribute="placement.id", dump_default=None, allow_none=True)
    placement_seq = fields.Integer(allow_none=True, metadata={"description": "Null for an agency."})
    lender_name = fields.String(attribute="placement.lender_name", dump_default=None, allow_none=True)
    agency_name = fields.String(attribute="placement.agency_name", dump_default=None, allow_none=True)
    expires_at = fields.AwareDateTime(attribute="placement.expires_at", dump_default=None, allow_none=True)
    collector_id = fields.UUID(allow_none=True)
    collector_name = fields.String(allow_none=True)
    actions = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True))


class TimelineItemView(Schema):
    at = fields.AwareDateTime()
    kind = fields.String()
    id = fields.UUID()
    agency_name = fields.String(allow_none=True)
    member_name = fields.String(allow_none=True)
    facts = fields.Function(lambda item: {name: _plain(fact) for name, fact in item.facts.items()})


def _plain(fact: Any) -> Any:
    """A fact of the timeline as JSON: amounts, days and ids as text."""
    if fact is None or isinstance(fact, (bool, int)):
        return fact
    return fact.isoformat() if isinstance(fact, dt.date) else str(fact)


class ReleaseRequest(Schema):
    field_class = fields.String(required=True, validate=validate.OneOf(FIELD_CLASSES))
    reason = fields.String(required=True, validate=validate.OneOf(REASONS))


OpenedView = Schema.from_dict(
    {  # Not a class body: there `fields` would name the values and no longer the module.
        "release_id": fields.UUID(),
        "entry": fields.String(metadata={"description": "The leaf hash of what was logged before anything opened."}),
        "fields": fields.Dict(keys=fields.String(), values=fields.String()),
        "package": fields.Dict(
            metadata={"description": "Instead of fields, where only the asker's key opens them: consign-package/1."}
        ),
        "signing_keys": fields.Dict(
            keys=fields.UUID(),
            values=fields.String(),
            metadata={"description": "With a package: its lender's signing key (base64), for a client that pins it."},
        ),
    },
    name="OpenedView",
)


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


PERSONAL_FIELDS = tuple(name for names in FIELDS.values() for name in names)


class CorrectionRequest(Schema):
    changes = fields.Dict(
        keys=fields.String(validate=validate.OneOf(PERSONAL_FIELDS)),
        values=fields.String(validate=validate.Length(max=300)),
        required=True,
        metadata={"description": "Field -> its new text, as a case file would give it."},
    )


# As OpenedView, not a class body: there `fields` would name the member and no longer the module.
CorrectionView = Schema.from_dict(
    {
        "version": fields.Integer(metadata={"description": "In which the classes of the fields were sealed anew."}),
        "fields": fields.List(fields.String()),
        "corrected_at": fields.AwareDateTime(),
    },
    name="CorrectionView",
)


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
    corrects_id = fields.UUID(load_default=None, allow_none=True)


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
    corrects_id = fields.UUID(allow_none=True)
    recorded_at = fields.AwareDateTime()


class PromiseRequest(Schema):
    amount = Money(required=True)
    currency = fields.String(required=True, validate=Currency)
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
    currency = fields.String(required=True, validate=Currency)
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
    title = fields.Function(fault, metadata={"type": "string"})


class FileOutcomeView(Schema):
    """What became of the rows: taken, known already, refused; and why, row by row."""

    accepted = fields.Integer()
    repeated = fields.Integer()
    refused = fields.Integer()
    errors = fields.List(fields.Nested(FileErrorView))


class CaseListForm(Form, CaseQuery):
    after = fields.String(load_default=None, data_key="cursor", validate=validate.Length(1, 60))


class FindForm(Form, FindRequest):
    pass


class AssignForm(Form):
    """`cases`: placement and case of each line that was ticked."""

    collector_id = fields.UUID(required=True)
    cases = fields.List(
        fields.String(validate=validate.Regexp(rf"^{ID}\.{ID}\Z")),
        required=True,
        validate=validate.Length(1, 200),
    )
    next = fields.String(load_default="")


def by_placement(chosen: list[str]) -> dict[UUID, list[UUID]]:
    """placement -> its cases among those ticked."""
    placements: dict[UUID, list[UUID]] = {}
    for pair in chosen:
        placement_id, case_id = (UUID(part) for part in pair.split("."))
        placements.setdefault(placement_id, []).append(case_id)
    return placements


class CorrectionForm(Form):
    """One field; an empty value takes it away."""

    field = fields.String(required=True, validate=validate.OneOf(PERSONAL_FIELDS))
    value = fields.String(load_default="", validate=validate.Length(max=300))


class ReleaseForm(Form, ReleaseRequest):
    pass


class ContactForm(Form, ContactRequest):
    """A browser sends the time as the clock on the wall shows it."""

    occurred_at = fields.AwareDateTime(required=True, default_timezone=ZONE)


class PromiseForm(Form, PromiseRequest):
    amount = TypedMoney(required=True)


class ClaimForm(Form, ClaimRequest):
    amount = TypedMoney(required=True)
