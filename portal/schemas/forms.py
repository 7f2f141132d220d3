"""The shape of what pages send."""

from marshmallow import EXCLUDE, Schema, fields, validate


class Form(Schema):
    """A page's form: the CSRF token is the door's business, not the form's."""

    class Meta:
        unknown = EXCLUDE


class SignInForm(Form):
    organisation = fields.String(required=True, validate=validate.Length(1, 40))
    email = fields.String(required=True, validate=validate.Length(1, 200))
    password = fields.String(required=True, validate=validate.Length(1, 200))
    next = fields.String(load_default="")


class LanguageForm(Form):
    language = fields.String(required=True, validate=validate.OneOf(("zh", "en")))
    next = fields.String(load_default="")
