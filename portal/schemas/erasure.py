"""Erasures, legal holds and a lender's settings as the API and the pages read and write them."""

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, fields, validate

from models.agency_document import DOCUMENT_KINDS
from models.erasure import HOLD_REASONS, SUBJECTS
from models.lender_setting import EARLIER_AGENCIES, ROTATIONS
from models.placement_freeze import FREEZE_REASONS
from models.services.parties.lender_settings import RANGES
from portal.schemas.forms import Form, TypedInteger


class SubjectRequest(Schema):
    """What is to be erased or held: one case, a portfolio, or a borrower across portfolios."""

    subject_kind = fields.String(required=True, validate=validate.OneOf(SUBJECTS))
    subject_id = fields.UUID(required=True)


class ProspectView(Schema):
    """What an erasure would meet now."""

    cases = fields.Integer(metadata={"description": "Cases that are not erased yet."})
    erased = fields.Integer()
    obstacles = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Why not, and how many cases each reason stops; empty: it may be erased."},
    )
    until = fields.Date(allow_none=True, metadata={"description": "When the last of the retained cases may go."})


class ErasureView(Schema):
    id = fields.UUID()
    subject_kind = fields.String()
    subject_id = fields.UUID()
    case_count = fields.Integer()
    erased_by = fields.UUID(metadata={"description": "The person of the lender who asked for it."})
    erased_at = fields.AwareDateTime()
    published_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "Since when the record is kept outside the database too."}
    )


class ErasureDetailView(ErasureView):
    """With the record (`consign-erasure/1`) and the lender's Ed25519 signature over its canonical JSON."""

    record = fields.Function(lambda erasure: json.loads(erasure.record), metadata={"type": "object"})
    signature = fields.Function(lambda erasure: b64encode(erasure.signature).decode(), metadata={"type": "string"})


class HoldRequest(SubjectRequest):
    reason = fields.String(required=True, validate=validate.OneOf(HOLD_REASONS))


class HoldView(Schema):
    id = fields.UUID()
    subject_kind = fields.String()
    subject_id = fields.UUID()
    reason = fields.String()
    placed_by = fields.UUID()
    placed_at = fields.AwareDateTime()
    lifted_by = fields.UUID(allow_none=True)
    lifted_at = fields.AwareDateTime(allow_none=True)


def counts(names: Iterable[str], kind: type[fields.Integer] = fields.Integer, **how: Any) -> dict[str, fields.Field]:
    """A field for each setting that is a count, within its range."""
    return {name: kind(validate=validate.Range(*RANGES[name]), **how) for name in names}


KEEPING_COUNTS = ("retention_days", "releases_per_day", "export_rows")
PLACING_COUNTS = tuple(name for name in RANGES if name not in KEEPING_COUNTS)
DocumentKind = fields.String(validate=validate.OneOf(DOCUMENT_KINDS))


class LenderSettingsRequest(Schema.from_dict(counts(RANGES), name="LenderSettingsCounts")):  # type: ignore[misc]
    """Those that are named change; the others stay as they are."""

    earlier_agencies = fields.String(validate=validate.OneOf(EARLIER_AGENCIES))
    rotation = fields.String(validate=validate.OneOf(ROTATIONS))
    new_case_follows = fields.Boolean()
    required_documents = fields.List(DocumentKind)


class LenderSettingsView(Schema):
    retention_days = fields.Integer(
        metadata={"description": "Kept at least so long after a case's last contact, payment or end of placement."}
    )
    releases_per_day = fields.Integer(metadata={"description": "Of one person."})
    export_rows = fields.Integer(
        metadata={"description": "More in one export, or in those of cases within 24 hours, needs a second person."}
    )
    earlier_agencies = fields.String(metadata={"description": "What an agency learns of those before it."})
    tape_borrowers_min = fields.Integer(
        metadata={"description": "No group of cases that an agency is shown before an award has fewer borrowers."}
    )
    new_case_follows = fields.Boolean(
        metadata={"description": "A new case goes to the agency that has the borrower's others."}
    )
    approval_cases = fields.Integer(metadata={"description": "A distribution of more cases needs a second person."})
    required_documents = fields.List(
        fields.String(), metadata={"description": "The papers without which an agency receives nothing."}
    )
    conduct_score_min = fields.Integer(metadata={"description": "Of 100; below it an agency receives nothing."})
    complaints_per_5000_max = fields.Integer(metadata={"description": "Above it an agency receives nothing."})
    limitation_days = fields.Integer(metadata={"description": "Overdue for so long, a debt is time-barred; 0: never."})
    rotation = fields.String(metadata={"description": "What happens to the cases of a term that is over."})
    paying_days = fields.Integer(
        metadata={"description": "Who has paid within so many days stays at the end of a term; 0: nobody."}
    )
    retention_window_days = fields.Integer(
        metadata={"description": "So long before the end of a term agencies may ask to keep cases."}
    )
    retention_days_max = fields.Integer()
    retention_percent_max = fields.Integer(metadata={"description": "Of a placement's cases."})
    objection_hours = fields.Integer(metadata={"description": "To object to a recall."})
    stop_work_hours = fields.Integer(metadata={"description": "To confirm that work on recalled cases has stopped."})
    changed_at = fields.AwareDateTime(allow_none=True)


class FreezeRequest(Schema):
    reason = fields.String(required=True, validate=validate.OneOf(FREEZE_REASONS))


class SubjectForm(Form, SubjectRequest):
    pass


class HoldForm(Form, HoldRequest):
    pass


class FreezeForm(Form, FreezeRequest):
    pass


class LenderSettingsForm(Form, Schema.from_dict(counts(KEEPING_COUNTS, TypedInteger, required=True))):  # type: ignore[misc]
    earlier_agencies = fields.String(required=True, validate=validate.OneOf(EARLIER_AGENCIES))


class PlacingSettingsForm(Form, Schema.from_dict(counts(PLACING_COUNTS, TypedInteger, required=True))):  # type: ignore[misc]
    """An empty box is a no, and no box ticked is none."""

    rotation = fields.String(required=True, validate=validate.OneOf(ROTATIONS))
    new_case_follows = fields.Boolean(load_default=False)
    required_documents = fields.List(DocumentKind, load_default=[])
