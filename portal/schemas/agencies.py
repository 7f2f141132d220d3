"""Agencies, their papers and how they stand, as the API and the pages read and write them."""

from binascii import unhexlify
from typing import Any

from marshmallow import Schema, fields, validate

from models.agency_document import DOCUMENT_KINDS
from models.agency_standing import GOOD, STANDING_REASONS, TRANSITIONS
from models.provinces import PROVINCES
from models.services.parties.agencies import ELIGIBILITIES, SORTS
from models.services.parties.standings import COMPLAINTS_MAX
from portal.schemas.base import BusinessDay, Line, PageQuery
from portal.schemas.forms import Form, ListQuery, TypedInteger

STANDINGS = tuple(dict.fromkeys([GOOD, *TRANSITIONS.values()]))
# Freezing has a door of its own: more people may do it.
STANDING_ACTS = ("watch", "suspend", "clear", "remove")
Text = validate.And(validate.Length(1, 200), Line)
Code = validate.And(validate.Length(1, 60), Line)


class Digest(fields.String):
    """SHA-256 as 64 hexadecimal digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Regexp(r"^[0-9a-fA-F]{64}\Z", error="Not a valid string."), **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.hex()

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        return unhexlify(text) if isinstance(text, str) else text


class AgencyFilterFields(Schema):
    name = fields.String(load_default=None, validate=Text, metadata={"description": "Part of the agency's name."})
    eligibility = fields.String(load_default=None, validate=validate.OneOf(ELIGIBILITIES))
    reason = fields.String(load_default=None, validate=Code, metadata={"description": "A code of the gate."})
    standing = fields.String(load_default=None, validate=validate.OneOf(STANDINGS))
    tier = fields.Integer(load_default=None, validate=validate.Range(1, 9))
    sort = fields.String(load_default=None, validate=validate.OneOf(sorted(SORTS)))


class AgencyQuery(PageQuery, AgencyFilterFields):
    """Which agencies, in which order."""


class AgencyListForm(ListQuery, AgencyFilterFields):
    pass


class EndingView(Schema):
    ends_on = fields.Date()
    kind = fields.String(metadata={"description": "A kind of paper, or `agreement`."})


class CandidateView(Schema):
    """One agreement as the gate sees it now."""

    agreement_id = fields.UUID(attribute="agreement.id")
    agreement_number = fields.String(attribute="agreement.number")
    tier = fields.Integer(attribute="agreement.tier")
    currency = fields.String(attribute="agreement.currency")
    reasons = fields.List(fields.String(), metadata={"description": "Why nothing may be placed; empty: it may."})
    capacity = fields.Integer(allow_none=True, metadata={"description": "Null: no limit was agreed."})
    capacity_left = fields.Integer(allow_none=True)
    provinces = fields.List(fields.String(), metadata={"description": "Where agreement and licence hold; empty: all."})


class AgencyView(Schema):
    """An agency as one lender knows it; cases placed and breaches are those of the last 365 days."""

    agency_id = fields.UUID()
    agency_name = fields.String()
    tiers = fields.List(fields.Integer())
    reasons = fields.List(fields.String(), metadata={"description": "Empty: one agreement at least lets it receive."})
    standing = fields.String(attribute="record.state")
    open_cases = fields.Integer(attribute="record.open_cases")
    tendered_cases = fields.Integer(attribute="record.tendered_cases")
    cases_placed = fields.Integer(attribute="record.cases_placed")
    breaches = fields.Dict(keys=fields.String(), values=fields.Integer(), attribute="record.breaches")
    conduct_score = fields.Decimal(as_string=True, attribute="record.score")
    upheld_complaints = fields.Integer(attribute="record.upheld_complaints")
    complaint_ratio = fields.Decimal(as_string=True, attribute="record.complaint_ratio")
    next_ending = fields.Nested(EndingView, allow_none=True)
    candidates = fields.List(fields.Nested(CandidateView))


class PaperRequest(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(DOCUMENT_KINDS))
    number = fields.String(required=True, validate=Code)
    issuer = fields.String(required=True, validate=Text)
    issued_on = fields.Date(required=True, validate=BusinessDay)
    expires_on = fields.Date(
        required=True,
        validate=BusinessDay,
        metadata={"description": "Of due diligence, no more than 366 days after it was issued."},
    )
    provinces = fields.List(
        fields.String(validate=Code),
        load_default=[],
        validate=validate.Length(max=len(PROVINCES)),
        metadata={"description": "Of a licence, as GB/T 2260 codes of provinces; empty: everywhere."},
    )
    file_digest = Digest(load_default=None, metadata={"description": "SHA-256 of the paper; the paper stays with you."})


class CounterpartyPaperRequest(PaperRequest):
    counterparty_id = fields.UUID(required=True, metadata={"description": "The agency, or the lender."})


class PaperQuery(Schema):
    counterparty_id = fields.UUID(load_default=None, metadata={"description": "Of one agency, or with one lender."})


class PaperView(Schema):
    id = fields.UUID()
    lender_id = fields.UUID()
    agency_id = fields.UUID()
    kind = fields.String()
    number = fields.String()
    issuer = fields.String()
    provinces = fields.List(fields.String())
    issued_on = fields.Date()
    expires_on = fields.Date()
    file_digest = Digest(allow_none=True)
    state = fields.String()
    recorded_at = fields.AwareDateTime()
    attested_at = fields.AwareDateTime(allow_none=True)
    accepted_at = fields.AwareDateTime(allow_none=True)
    withdrawn_at = fields.AwareDateTime(allow_none=True)


class ChangeView(Schema):
    act = fields.String()
    state = fields.String()
    reason = fields.String(allow_none=True)
    upheld_complaints = fields.Integer()
    changed_by = fields.UUID()
    changed_at = fields.AwareDateTime()


class ObservedView(Schema):
    """What was seen in the last 30 days, beside what was declared.

    `collectors` are all who contacted or unsealed, whatever their role.
    """

    collectors = fields.Integer()
    cases_per_collector = fields.Integer(allow_none=True)


class KindView(Schema):
    kind = fields.String()
    required = fields.Boolean()
    state = fields.String(metadata={"description": "`current`, `expiring`, `expired`, `waiting` or `missing`."})
    counting = fields.Pluck(
        PaperView, "id", many=True, metadata={"description": "The versions that count, the last to end first."}
    )


class AgencyPageView(Schema):
    agency = fields.Nested(AgencyView, attribute="line")
    kinds = fields.List(fields.Nested(KindView))
    papers = fields.List(fields.Nested(PaperView), attribute="documents")
    changes = fields.List(fields.Nested(ChangeView))
    observed = fields.Nested(ObservedView)


class StandingRequest(Schema):
    act = fields.String(required=True, validate=validate.OneOf(STANDING_ACTS))
    reason = fields.String(
        load_default=None,
        validate=validate.OneOf(STANDING_REASONS),
        metadata={"description": "Of every act but `clear`."},
    )


class StandingView(Schema):
    agency_id = fields.UUID()
    state = fields.String()
    reason = fields.String(allow_none=True)
    upheld_complaints = fields.Integer()
    changed_at = fields.AwareDateTime()


class ComplaintsRequest(Schema):
    upheld_complaints = fields.Integer(required=True, validate=validate.Range(0, COMPLAINTS_MAX))


class RequiredView(Schema):
    kinds = fields.List(fields.String())


class PaperForm(Form, PaperRequest):
    pass


class StandingForm(Form, StandingRequest):
    pass


class ComplaintsForm(Form, ComplaintsRequest):
    upheld_complaints = TypedInteger(required=True, validate=validate.Range(0, COMPLAINTS_MAX))
