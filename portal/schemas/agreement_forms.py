"""The forms of agreements, rate cards and standard terms: the API's shapes, as people type them."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from marshmallow import fields, validate
from werkzeug.datastructures import MultiDict

from models.contact_policy import FLAGS, HOURS
from models.contact_policy import RANGES as POLICY_RANGES
from models.errors import RowError
from models.rates import CELLS_MAX, PLACEMENT_SEQ_MAX
from models.services.exchange.agreements import AMOUNTS, RANGES, STANDINGS
from models.services.exchange.rate_cards import TAIL_DAYS_MAX, TAX_RATE_MAX
from portal.schemas.agreements import (
    AgreementRequest,
    ContactPolicy,
    MoneyTerms,
    OperatingTerms,
    RateCardRequest,
    RateCellRequest,
    RateQuery,
    Search,
    StandardTermsRequest,
)
from portal.schemas.exchange_forms import Percent
from portal.schemas.forms import Form, ListQuery, TypedInteger, TypedMoney

CELL_COLUMNS: Final = tuple(RateCellRequest().fields)
POLICY_NAMES: Final = (*POLICY_RANGES, *FLAGS)
SEPARATORS: Final = re.compile(r"[,，、;；\n]")


class CellForm(Form, RateCellRequest):
    ordered: ClassVar = {("amount_from", "amount_below"): "range_reversed"}

    rate = Percent(required=True)
    placement_seq = TypedInteger(load_default=None, validate=validate.Range(1, PLACEMENT_SEQ_MAX))
    amount_from = TypedMoney(load_default=Decimal("0.00"), least=Decimal(0))
    amount_below = TypedMoney(load_default=None)


class PolicyForm(Form, ContactPolicy):
    ordered: ClassVar = {HOURS: "range_reversed"}

    earliest_hour = fields.Integer()
    latest_hour = fields.Integer()
    attempts_per_day = fields.Integer()


class MoneyForm(Form, MoneyTerms):
    """The terms of money that an agreement and each of its rate cards ask for."""

    tail_days = TypedInteger(required=True, validate=validate.Range(0, TAIL_DAYS_MAX))
    settlement_floor = Percent(load_default=None)
    tax_rate = Percent(load_default=Decimal(0), most=TAX_RATE_MAX)


class RateCardForm(MoneyForm, RateCardRequest):
    ordered: ClassVar = {("valid_from", "valid_to"): "dates_reversed"}

    cells = fields.List(fields.Nested(CellForm), required=True, validate=validate.Length(1, CELLS_MAX))


class OperatingForm(Form, OperatingTerms):
    ordered: ClassVar = {AMOUNTS: "range_reversed"}

    tier = TypedInteger(required=True, validate=validate.Range(*RANGES["tier"]))
    term_days = TypedInteger(required=True, validate=validate.Range(*RANGES["term_days"]))
    balance_from = TypedMoney(load_default=None, least=Decimal(0))
    balance_below = TypedMoney(load_default=None)
    open_cases_max = TypedInteger(load_default=None, validate=validate.Range(*RANGES["open_cases_max"]))
    collectors = TypedInteger(load_default=None, validate=validate.Range(*RANGES["collectors"]))
    cases_per_collector = TypedInteger(load_default=None, validate=validate.Range(*RANGES["cases_per_collector"]))
    contact_policy = fields.Nested(PolicyForm, load_default=dict)


class AgreementForm(OperatingForm, MoneyForm, AgreementRequest):
    ordered: ClassVar = OperatingForm.ordered | {("starts_on", "ends_on"): "dates_reversed"}

    contingency_rate = Percent(load_default=None)
    cells = fields.List(fields.Nested(CellForm), load_default=list, validate=validate.Length(max=CELLS_MAX))


class StandardTermsForm(Form, StandardTermsRequest):
    contact_policy = fields.Nested(PolicyForm, load_default=dict)
    settlement_floor = Percent(load_default=None)


class AgreementListQuery(ListQuery):
    standing = fields.String(load_default=None, validate=validate.OneOf(STANDINGS))
    search = fields.String(load_default=None, validate=Search)


class RateForm(Form, RateQuery):
    amount = TypedMoney(required=True)


def nested(form: MultiDict[str, str]) -> dict[str, Any]:
    """The flat inputs of a page as the schemas nest them: lists, the contact policy, the rows of rates filled in."""
    given: dict[str, Any] = form.to_dict()
    policy = {name: given.pop(name) for name in POLICY_NAMES if given.get(name)}
    products = [word.strip() for word in SEPARATORS.split(given.get("products", ""))]
    return given | {
        "provinces": form.getlist("provinces"),
        "buckets": form.getlist("buckets"),
        "products": [word for word in products if word],
        "contact_policy": policy,
        "cells": cell_rows(form),
    }


def cell_rows(form: MultiDict[str, str]) -> list[dict[str, str]]:
    """The rows of rates in which anything was filled in, as typed."""
    columns = [form.getlist(f"cell_{name}") for name in CELL_COLUMNS]
    rows = [dict(zip(CELL_COLUMNS, typed, strict=True)) for typed in zip(*columns, strict=False)]
    return [row for row in rows if any(text.strip() for text in row.values())]


def by_row(errors: Sequence[RowError]) -> list[RowError]:
    """What is wrong with rows of rates, each fault under its row's number; `cells` as a whole under row 0."""
    told = []
    for error in errors:
        list_name, _, rest = error.field.partition(".")
        place, _, field = rest.partition(".")
        if list_name == "cells" and place.isdigit():
            told.append(error.at(int(place) + 1, field or "*"))
        elif error.row or list_name == "cells":
            told.append(error)
    return told


def typed(values: Mapping[str, Any], percents: Sequence[str] = ()) -> dict[str, Any]:
    """Values as a form shows them: fractions of the `percents` as per cent, nothing as an empty input."""
    shown = {
        name: percent_text(value) if value is not None and name in percents else value for name, value in values.items()
    }
    return {name: "" if value is None else value for name, value in shown.items()}


def percent_text(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f}"
