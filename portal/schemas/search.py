"""Exact searches and what they find, as pages and API read and write them."""

from marshmallow import Schema, fields, validate

from models.release import REASONS
from models.search import KINDS
from portal.schemas.forms import Form
from portal.schemas.working import FoundView


class SearchRequest(Schema):
    """One whole number in a body, never in an address: addresses are written to logs."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    value = fields.String(required=True, validate=validate.Length(1, 40), load_only=True)
    reason = fields.String(required=True, validate=validate.OneOf(REASONS))


class SearchView(Schema):
    """The cases found, by id. `closed`: lenders who hold their own keys, whose cases cannot be searched here."""

    id = fields.UUID()
    cases = fields.List(fields.Nested(FoundView))
    closed = fields.List(fields.String())
    left = fields.Integer(metadata={"description": "Searches that remain to this person within the hour."})


class SearchForm(Form, SearchRequest):
    pass
