"""The fields every schema shares: money as text, ids, codes and a page of a list."""

import datetime as dt
from decimal import Decimal
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from models.errors import Bound, outside

MONEY_PATTERN = r"^-?[0-9]{1,16}(\.[0-9]{1,2})?$"
# No ledger and no job looks further back; and days before the year 1 are beyond any calendar of ours.
BusinessDay = validate.Range(dt.date(2000, 1, 1), error="Not a valid date.")
# One line of text that others read: no control character, and no mark that turns the direction of writing.
Line = validate.Regexp(r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z", error="Not a valid string.")


def refuse_outside(value: Any, least: Bound, most: Bound = None) -> None:
    """The verb's own bounds, where a form knows them: what else is wrong with it is then told with this."""
    if faults := outside("*", value, least, most):
        raise ValidationError(list(faults))


class Hex(fields.String):
    """Bytes of a fixed length as lower-case hex."""

    def __init__(self, octets: int, **kwargs: Any) -> None:
        pattern = validate.Regexp(rf"^[0-9a-f]{{{2 * octets}}}\Z", error="Not a valid string.")
        super().__init__(validate=pattern, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value.hex())

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        return bytes.fromhex(text) if isinstance(text, str) else text


class Money(fields.String):
    """An amount as a string with at most two decimals, so that no JSON number rounds it; `least`: none is less."""

    def __init__(self, least: Decimal | None = None, **kwargs: Any) -> None:
        metadata = {"pattern": MONEY_PATTERN, "example": "1234.56", **kwargs.pop("metadata", {})}
        super().__init__(
            validate=validate.Regexp(MONEY_PATTERN, error="Not a valid number."), metadata=metadata, **kwargs
        )
        self.least = least

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value:.2f}"

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        if not isinstance(text, str):
            return text
        refuse_outside(Decimal(text), self.least)
        return Decimal(text)


class Rate(fields.String):
    """A fraction as a string: `0.180000` is 18 %."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = validate.Regexp(r"^[0-9](\.[0-9]{1,6})?$", error="Not a valid number.")
        metadata = {"example": "0.180000", **kwargs.pop("metadata", {})}
        super().__init__(validate=pattern, metadata=metadata, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value:.6f}"

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        return Decimal(text) if isinstance(text, str) else text


class ProblemError(Schema):
    """One fault: row 1 is the first data row, 0 the request or file as a whole; never the value."""

    row = fields.Integer(required=True)
    field = fields.String(required=True)
    code = fields.String(required=True)
    title = fields.String(required=True)


class Problem(Schema):
    """RFC 9457 problem details, as portal/errors.py writes them; facts of one code stand beside these members."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(required=True, metadata={"example": "urn:consign:problem:not_found"})
    title = fields.String(required=True, metadata={"description": "For people, in the language asked for."})
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; what a program decides by."})
    errors = fields.List(fields.Nested(ProblemError))


class PageQuery(Schema):
    """A page of a list: `after` is the last id of the page before."""

    after = fields.UUID(load_default=None)
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


def page_of(view: type[Schema]) -> type[Schema]:
    """The schema of one page: the items and the cursor of the next, null on the last."""
    return Schema.from_dict(
        {"items": fields.List(fields.Nested(view)), "next_after": fields.UUID(allow_none=True)},
        name=view.__name__.removesuffix("View") + "Page",
    )


def page(items: list[Any], limit: int) -> dict[str, Any]:
    """The items, and the last one's id where there may be more."""
    return {"items": items, "next_after": items[-1].id if len(items) == limit else None}


def cut(asked: list[Any], rows: int) -> tuple[list[Any], Any]:
    """Of one row more than the page holds: the page, and its last row where another page follows."""
    shown = asked[:rows]
    return shown, shown[-1] if len(asked) > rows else None


def with_facts(view: type[Schema], row: Any, **facts: Any) -> dict[str, Any]:
    """What `view` shows of `row`, and facts beside it, for a schema that extends `view`."""
    return {name: getattr(row, name) for name in view().fields if name not in facts} | facts
