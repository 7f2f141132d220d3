"""Webhooks and their deliveries as the API and the pages read and write them."""

from marshmallow import Schema, fields, validate

from models.notice import KINDS
from models.outbound import URL_LENGTH_MAX
from models.webhook import DELIVERED, FAILED, WAITING
from portal.schemas.base import PageQuery
from portal.schemas.forms import Form, ListQuery

State = validate.OneOf((WAITING, DELIVERED, FAILED))


class WebhookRequest(Schema):
    url = fields.String(
        required=True,
        validate=validate.Length(1, URL_LENGTH_MAX),
        metadata={"description": "https, of a host of the open internet.", "example": "https://example.com/consign"},
    )
    kinds = fields.List(
        fields.String(validate=validate.OneOf(sorted(KINDS))),
        load_default=list,
        metadata={"description": "Of notices; none: all."},
    )


class WebhookView(Schema):
    id = fields.UUID()
    url = fields.String()
    kinds = fields.List(fields.String())
    state = fields.String(metadata={"description": "active or paused."})
    pause_reason = fields.String(allow_none=True, metadata={"description": "by_hand, gone (410) or failing (days)."})
    created_at = fields.AwareDateTime()
    rotated_at = fields.AwareDateTime(allow_none=True)


class NewWebhookView(Schema):
    webhook = fields.Nested(WebhookView)
    secret = fields.String(metadata={"description": "`whsec_…`, shown once: signs by the Standard Webhooks scheme."})


class DeliveryQuery(PageQuery):
    state = fields.String(load_default=None, validate=State)


class DeliveryView(Schema):
    id = fields.UUID(metadata={"description": "The `webhook-id` of every attempt."})
    webhook_id = fields.UUID()
    notice_id = fields.UUID(allow_none=True, metadata={"description": "Null: a test event."})
    kind = fields.String()
    state = fields.String()
    attempts = fields.Integer()
    status = fields.Integer(allow_none=True, metadata={"description": "Of the last answer."})
    failure = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    attempted_at = fields.AwareDateTime(allow_none=True)
    due_at = fields.AwareDateTime(allow_none=True, metadata={"description": "When the next attempt is made."})


class WebhookForm(Form, WebhookRequest):
    pass


class DeliveryListForm(ListQuery):
    state = fields.String(load_default=None, validate=State)
