"""The lender's ledger, breaks and statements as the API reads and writes them."""

from marshmallow import Schema, fields, validate

from portal.schemas.base import Money, PageQuery


class FeedQuery(Schema):
    business_date = fields.Date(required=True)
    sequence = fields.Integer(load_default=1, validate=validate.Range(1, 999))


class FeedView(Schema):
    id = fields.UUID()
    kind = fields.String()
    business_date = fields.Date()
    sequence = fields.Integer()
    row_count = fields.Integer()
    refused_count = fields.Integer()
    suspense_count = fields.Integer()
    received_at = fields.AwareDateTime()


class SuspenseView(Schema):
    """A payment that waits for its case; a reference that might be personal is sealed and not shown."""

    id = fields.UUID()
    suspense_reference = fields.String(allow_none=True)
    amount = Money()
    currency = fields.String()
    effective_on = fields.Date()
    posted_on = fields.Date()
    reference = fields.String()
    paid_to = fields.String()


class BreakQuery(PageQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(("open", "closed")))


class BreakView(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    placement_id = fields.UUID()
    case_id = fields.UUID()
    kind = fields.String()
    claim_id = fields.UUID(allow_none=True)
    payment_id = fields.UUID(allow_none=True)
    amount_claimed = Money(allow_none=True)
    amount_booked = Money(allow_none=True)
    currency = fields.String()
    owner = fields.String()
    state = fields.String()
    cause = fields.String(allow_none=True)
    opened_at = fields.AwareDateTime()
    closed_at = fields.AwareDateTime(allow_none=True)


class MatchView(Schema):
    id = fields.UUID()
    case_id = fields.UUID()
    claim_id = fields.UUID()
    payment_id = fields.UUID()
    rule = fields.String()
    amount_difference = Money()
    days_difference = fields.Integer()
    matched_at = fields.AwareDateTime()
