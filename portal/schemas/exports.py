"""Exports as the API and the pages read and write them."""

from marshmallow import Schema, fields, validate

from portal.schemas.forms import Form

Kind = validate.Regexp(r"^[a-z_]{1,40}\Z")


class SheetForm(Form):
    kind = fields.String(required=True, validate=Kind)


class ExportRequest(Schema):
    """A list that is too large for one person, and the filters that its page takes."""

    kind = fields.String(required=True, validate=Kind, metadata={"example": "cases"})
    filters = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 40)),
        values=fields.String(validate=validate.Length(1, 60)),
        load_default=dict,
    )


class ExportView(Schema):
    id = fields.UUID(metadata={"description": "Also in the file's name, and on each of its rows as `export`."})
    kind = fields.String()
    filters = fields.Dict(attribute="subject", keys=fields.String(), values=fields.String())
    row_count = fields.Integer()
    state = fields.String(metadata={"description": "awaiting_approval, approved, refused or taken."})
    requested_by = fields.UUID()
    requested_at = fields.AwareDateTime()
    decided_by = fields.UUID(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)
    expires_at = fields.AwareDateTime()
    taken_at = fields.AwareDateTime(allow_none=True)
    file_digest = fields.Function(
        lambda export: export.file_digest and export.file_digest.hex(),
        metadata={"type": "string", "description": "SHA-256 of the file."},
    )
