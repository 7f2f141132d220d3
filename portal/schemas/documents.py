"""Documents of a case as the API and the pages read and write them."""

from marshmallow import Schema, fields, validate

from models.case_document import KINDS
from models.release import REASONS
from portal.schemas.forms import Form


class DocumentQuery(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))


class DocumentView(Schema):
    id = fields.UUID()
    case_id = fields.UUID()
    kind = fields.String()
    media_type = fields.String(metadata={"description": "Told by its first bytes."})
    byte_count = fields.Integer()
    member_name = fields.String(metadata={"description": "Who added it."})
    added_at = fields.AwareDateTime()


class OpenRequest(Schema):
    reason = fields.String(required=True, validate=validate.OneOf(REASONS))


class OpenedDocumentView(Schema):
    release_id = fields.UUID()
    entry = fields.String(metadata={"description": "Leaf hash of the entry in the lender's log, hexadecimal."})
    url = fields.String(metadata={"description": "The page's address for it, for a browser's session."})
    media_type = fields.String()
    byte_count = fields.Integer()


class ContentQuery(Schema):
    release = fields.UUID(required=True, metadata={"description": "The `release_id` of at most five minutes ago."})


class OpenForm(Form, OpenRequest):
    pass


class ContentForm(Form, ContentQuery):
    pass
