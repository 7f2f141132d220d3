"""How a person proves anew who they are, and sets up an authenticator for it."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from portal.schemas.forms import Form

Password = fields.String(required=True, load_only=True, validate=validate.Length(1, 200))
Code = validate.Regexp(r"^[0-9]{6}\Z", error="Not a valid string.")


class ProofRequest(Schema):
    """One of the two."""

    password = fields.String(load_default=None, load_only=True, validate=validate.Length(1, 200))
    code = fields.String(load_default=None, load_only=True, validate=Code)

    @validates_schema
    def refuse_both_or_none(self, given: dict[str, Any], **_: object) -> None:
        if (given["password"] is None) == (given["code"] is None):
            raise ValidationError("Missing data for required field.", "password")


class ProofView(Schema):
    proved_until = fields.AwareDateTime()


class ProofForm(Form, ProofRequest):
    pass


class PasswordProofForm(Form):
    password = Password


class CodeForm(Form):
    """Authenticators show a code in two groups."""

    code = fields.String(required=True, validate=Code)
