"""Erasures, legal holds and a lender's settings as the API and the pages read and write them."""

import json
from base64 import b64encode

from marshmallow import Schema, fields, validate

from models.erasure import HOLD_REASONS, SUBJECTS
from models.lender_setting import EARLIER_AGENCIES
from models.placement_freeze import FREEZE_REASONS
from models.services.lender_settings import RANGES
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


class LenderSettingsRequest(Schema):
    """Those that are named change; the others stay as they are."""

    retention_days = fields.Integer(validate=validate.Range(*RANGES["retention_days"]))
    releases_per_day = fields.Integer(validate=validate.Range(*RANGES["releases_per_day"]))
    export_rows = fields.Integer(validate=validate.Range(*RANGES["export_rows"]))
    earlier_agencies = fields.String(validate=validate.OneOf(EARLIER_AGENCIES))


class LenderSettingsView(Schema):
    retention_days = fields.Integer(
        metadata={"description": "Kept at least so long after a case's last contact, payment or end of placement."}
    )
    releases_per_day = fields.Integer(metadata={"description": "Of one person."})
    export_rows = fields.Integer(
        metadata={"description": "More in one export, or in those of cases within 24 hours, needs a second person."}
    )
    earlier_agencies = fields.String(metadata={"description": "What an agency learns of those before it."})
    changed_at = fields.AwareDateTime(allow_none=True)


class FreezeRequest(Schema):
    reason = fields.String(required=True, validate=validate.OneOf(FREEZE_REASONS))


class SubjectForm(Form, SubjectRequest):
    pass


class HoldForm(Form, HoldRequest):
    pass


class FreezeForm(Form, FreezeRequest):
    pass


class LenderSettingsForm(Form, LenderSettingsRequest):
    retention_days = TypedInteger(required=True, validate=validate.Range(*RANGES["retention_days"]))
    releases_per_day = TypedInteger(required=True, validate=validate.Range(*RANGES["releases_per_day"]))
    export_rows = TypedInteger(required=True, validate=validate.Range(*RANGES["export_rows"]))
    earlier_agencies = fields.String(required=True, validate=validate.OneOf(EARLIER_AGENCIES))
