"""The shape of what pages send."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from portal.errors import field_errors


class Form(Schema):
    """A page's form: the CSRF token is the door's business, not the form's. An empty input was not filled in."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def drop_blank(self, given: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}


class Reading(NamedTuple):
    """What was sent, and what is wrong with it: field -> code. One of the two is empty, or there was nothing."""

    values: dict[str, Any]
    errors: dict[str, str]


def read(form: Schema, given: Mapping[str, Any]) -> Reading:
    """For pages that show what is wrong beside the input it is wrong in."""
    try:
        return Reading(form.load(given), {})
    except ValidationError as error:
        return Reading({}, {found.field: found.code for found in field_errors(error.messages)})


class SignInForm(Form):
    organisation = fields.String(required=True, validate=validate.Length(1, 40))
    email = fields.String(required=True, validate=validate.Length(1, 200))
    password = fields.String(required=True, validate=validate.Length(1, 200))
    next = fields.String(load_default="")


class LanguageForm(Form):
    language = fields.String(required=True, validate=validate.OneOf(("zh", "en")))
    next = fields.String(load_default="")
