"""Notices as the API and the pages read them."""

from marshmallow import Schema, fields, validate

from models.notice import KINDS
from portal.schemas.base import PageQuery
from portal.schemas.forms import Form, ListQuery

Kind = validate.OneOf(sorted(KINDS))


class NoticeQuery(PageQuery):
    kind = fields.String(load_default=None, validate=Kind)
    read = fields.Boolean(load_default=None, metadata={"description": "Only those that were read, or were not."})


class NoticeView(Schema):
    """Ids, codes, counts and dates; who needs more asks for the subject."""

    id = fields.UUID()
    kind = fields.String(validate=Kind)
    lender_id = fields.UUID()
    agency_id = fields.UUID()
    subject_kind = fields.String()
    subject_id = fields.UUID()
    facts = fields.Dict(keys=fields.String())
    told_at = fields.AwareDateTime()
    read_at = fields.AwareDateTime(allow_none=True)
    read_by = fields.UUID(allow_none=True)


class ReadRequest(Schema):
    until = fields.UUID(required=True, metadata={"description": "The newest notice that was seen."})
    kind = fields.String(load_default=None, validate=Kind)


class ReadCountView(Schema):
    count = fields.Integer()


class NoticeListForm(ListQuery):
    """`show` is what the list is of: what waits first (unless said otherwise), what was not read, or all."""

    kind = fields.String(load_default=None, validate=Kind)
    show = fields.String(load_default="first", validate=validate.OneOf(("first", "unread", "all")))


class ReadForm(Form, ReadRequest):
    pass
