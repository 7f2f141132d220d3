"""The shape of what pages send."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate, validates_schema

from models.errors import Invalid
from portal.errors import field_errors
from portal.schemas.base import Money


def _reversed(is_reversed: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Only of two that are given."""
    return lambda first, last: first is not None and last is not None and is_reversed(last, first)


# A range ends before its second bound, a time with its last day.
REVERSED: Final = {"range_reversed": _reversed(operator.le), "dates_reversed": _reversed(operator.lt)}


class Form(Schema):
    """A page's form: the CSRF token is the door's business, not the form's. An empty input was not filled in."""

    class Meta:
        unknown = EXCLUDE

    # Which input must come after which, and what is wrong where it does not: told with the rest, in one round.
    ordered: ClassVar[Mapping[tuple[str, str], str]] = {}

    @validates_schema(skip_on_field_errors=False)
    def in_order(self, given: Mapping[str, Any], **_: Any) -> None:
        wrong = {
            last: [code]
            for (first, last), code in self.ordered.items()
            if REVERSED[code](given.get(first), given.get(last))
        }
        if wrong:
            raise ValidationError(wrong)

    @pre_load
    def drop_blank(self, given: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}


GROUPED = re.compile(r"-?\d{1,3}([,，]\d{3})+(\.\d*)?")


def ungrouped(given: Any) -> Any:
    """`1,284,600.00` without its thousands separators; `1,5`, which could be meant otherwise, stays as it is."""
    text = given.strip() if isinstance(given, str) else given
    return re.sub("[,，]", "", text) if isinstance(text, str) and GROUPED.fullmatch(text) else text


class TypedMoney(Money):
    """An amount as people type it."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize(ungrouped(value), *args, **kwargs)


class TypedInteger(fields.Integer):
    """A count as people type it."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize(ungrouped(value), *args, **kwargs)


def require(form: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was filled in; Invalid, field by field, where its shape is wrong."""
    try:
        loaded: dict[str, Any] = form.load(given)
    except ValidationError as error:
        raise Invalid(errors=field_errors(error.messages)) from None
    return loaded


class ListQuery(Form):
    """Which page of a list: `cursor` is the last id of the page before."""

    cursor = fields.UUID(load_default=None)


class SignInForm(Form):
    organisation = fields.String(required=True, validate=validate.Length(1, 40))
    email = fields.String(required=True, validate=validate.Length(1, 200))
    password = fields.String(required=True, validate=validate.Length(1, 200))
    next = fields.String(load_default="")


class LanguageForm(Form):
    language = fields.String(required=True, validate=validate.OneOf(("zh", "en")))
    next = fields.String(load_default="")
