"""The lender's ledger, breaks and statements as the API reads and writes them."""

from typing import Any

from marshmallow import Schema, fields, validate

from models.services.settlement.statements import StatementHead, Total
from portal.schemas.base import BusinessDay, Money, PageQuery, Rate


class FeedQuery(Schema):
    business_date = fields.Date(required=True, validate=BusinessDay)
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


class StatementHeadView(Schema):
    agreement_id = fields.UUID()
    agreement_number = fields.String()
    lender_name = fields.String()
    agency_name = fields.String()
    period = fields.String(metadata={"example": "2026-03"})
    currency = fields.String()
    recovered = Money()
    commission = Money(metadata={"description": "What all lines come to, fees for cases among them."})
    line_count = fields.Integer()


class StatementLineView(Schema):
    """An adjustment names the line it corrects."""

    id = fields.UUID()
    case_id = fields.UUID()
    placement_id = fields.UUID()
    component = fields.String(metadata={"description": "contingency, clawback or case_fee"})
    cause_id = fields.UUID(metadata={"description": "The payment in the lender's ledger; of a case_fee the placement."})
    sequence = fields.Integer()
    adjusts_id = fields.UUID(allow_none=True)
    base_amount = Money()
    rate = Rate(metadata={"description": "0 of a case_fee."})
    amount = Money()
    currency = fields.String()
    effective_on = fields.Date()
    posted_on = fields.Date()
    derivation = fields.Dict()
    booked_at = fields.AwareDateTime()


class StatementView(Schema):
    heads = fields.List(fields.Nested(StatementHeadView), metadata={"description": "One for each currency."})
    lines = fields.List(fields.Nested(StatementLineView))
    next_after = fields.UUID(allow_none=True)


def head_of(head: StatementHead, total: Total) -> dict[str, Any]:
    """A statement's head in one of its currencies."""
    return head._asdict() | {
        "currency": total.currency,
        "recovered": total.base_amount,
        "commission": total.amount,
        "line_count": total.line_count,
    }
