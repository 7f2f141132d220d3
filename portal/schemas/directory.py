"""Organisations, people, tokens and mandates as the API reads and writes them."""

from marshmallow import Schema, fields, validate

from models.organisation import KINDS
from models.services.parties.members import SCOPES
from portal.schemas.base import Line

Text = validate.And(validate.Length(1, 200), Line)
Scope = fields.String(validate=validate.OneOf(SCOPES))


class OrganisationRequest(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = fields.String(required=True, validate=Text)
    self_custody = fields.Boolean(
        load_default=False, metadata={"description": "It holds its private keys itself and publishes the public ones."}
    )


class OrganisationView(Schema):
    id = fields.UUID()
    kind = fields.String()
    code = fields.String(metadata={"description": "Random; whoever knows it was told it. Needed to sign in."})
    name = fields.String()
    custody = fields.String()
    state = fields.String()
    created_at = fields.AwareDateTime()


class MemberRequest(Schema):
    email = fields.Email(required=True)
    name = fields.String(required=True, validate=Text)
    roles = fields.List(fields.String(), required=True, validate=validate.Length(1, 4))
    password = fields.String(required=True, load_only=True, validate=validate.Length(1, 200))
    locale = fields.String(
        load_default="",
        validate=validate.OneOf(("zh", "en")),
        metadata={"description": "Of the pages; left out, they come as each browser asks."},
    )


class MemberView(Schema):
    id = fields.UUID()
    email = fields.String()
    name = fields.String()
    roles = fields.List(fields.String())
    state = fields.String()
    created_at = fields.AwareDateTime()


class SelfView(Schema):
    organisation = fields.Nested(OrganisationView)
    member = fields.Nested(MemberView)
    lender_id = fields.UUID(allow_none=True, metadata={"description": "In whose mandate an auditor works."})


class TokenRequest(Schema):
    name = fields.String(required=True, validate=Text)
    scopes = fields.List(Scope, required=True)
    days = fields.Integer(required=True)
    lender_id = fields.UUID(load_default=None, metadata={"description": "For an auditor: whose mandate."})


class SignInRequest(Schema):
    """Exchanges a person's password for a token, for programs that set themselves up."""

    organisation = fields.String(required=True, validate=validate.Length(1, 40))
    email = fields.String(required=True, validate=Text)
    password = fields.String(required=True, validate=Text)
    name = fields.String(required=True, validate=Text)
    scopes = fields.List(Scope, required=True)
    days = fields.Integer(load_default=1)
    lender_id = fields.UUID(load_default=None)


class TokenView(Schema):
    id = fields.UUID()
    name = fields.String()
    scopes = fields.List(fields.String())
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()
    revoked_at = fields.AwareDateTime(allow_none=True)


class NewTokenView(TokenView):
    token = fields.String(metadata={"description": "Shown once."})


class MandateRequest(Schema):
    auditor_code = fields.String(required=True)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True)


class MandateView(Schema):
    id = fields.UUID()
    lender_id = fields.UUID()
    lender_name = fields.String()
    auditor_name = fields.String()
    starts_on = fields.Date()
    ends_on = fields.Date()
    revoked_at = fields.AwareDateTime(allow_none=True)
