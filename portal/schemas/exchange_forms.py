"""The forms of agreements, offers, placements and the ledger: the API's shapes, as people type them."""

import re
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from models.buckets import BUCKETS
from models.commission.engine import CASE_FEE
from models.offer import DECLINE_REASONS
from models.placement import RECALL_REASONS
from models.tender_plan import RESPOND_HOURS_MAX
from portal.schemas.base import Rate, refuse_outside
from portal.schemas.directory import MandateRequest, MemberRequest
from portal.schemas.exchange import COUNTED_MAX, AcknowledgeRequest
from portal.schemas.forms import Form, ListQuery, TypedInteger, TypedMoney


class Percent(Rate):
    """A rate as people say it: `18`, `18.5` or `18%` is read as the fraction 0.18 or 0.185, of `least` to `most`."""

    def __init__(self, least: Decimal = Decimal(0), most: Decimal = Decimal(1), **kwargs: Any) -> None:
        pattern = validate.Regexp(r"^-?[0-9]{1,9}(\.[0-9]{1,4})?\Z", error="Not a valid number.")
        fields.String.__init__(self, validate=pattern, **kwargs)
        self.least, self.most = least, most

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        typed = re.sub(r"\s*[%％]\s*\Z", "", value) if isinstance(value, str) else value
        text = fields.String.deserialize(self, typed, *args, **kwargs)
        if not isinstance(text, str):
            return text
        rate = Decimal(text) / 100
        refuse_outside(rate, self.least, self.most)
        return rate


class MandateForm(Form, MandateRequest):
    pass


class ColleagueForm(Form, MemberRequest):
    pass


class OfferForm(Form):
    agreement_id = fields.UUID(required=True)
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None)
    case_limit = TypedInteger(load_default=None, validate=validate.Range(1, 10_000_000))
    respond_hours = TypedInteger(load_default=72, validate=validate.Range(1, RESPOND_HOURS_MAX))


class DeclineForm(Form):
    reason = fields.String(required=True, validate=validate.OneOf(DECLINE_REASONS))


class AcknowledgeForm(Form, AcknowledgeRequest):
    case_count = TypedInteger(required=True, validate=validate.Range(0, COUNTED_MAX))
    balance = TypedMoney(required=True, least=Decimal(0))


class RecallForm(Form):
    """Without `case_id` the whole placement is meant: the page has a button of its own for that."""

    reason = fields.String(required=True, validate=validate.OneOf(RECALL_REASONS))
    case_ids = fields.List(fields.UUID(), load_default=None, validate=validate.Length(1, 10_000))


class AssignForm(Form):
    collector_id = fields.UUID(required=True)
    case_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 10_000))


class DealForm(Form):
    collector_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 500))


class StateQuery(ListQuery):
    state = fields.String(load_default=None)


class OfferListForm(StateQuery):
    other_id = fields.UUID(load_default=None)
    kind = fields.String(load_default=None)
    tender_id = fields.UUID(load_default=None)


class BreakQuery(StateQuery):
    state = fields.String(load_default="open", validate=validate.OneOf(("open", "closed", "all")))
    kind = fields.String(load_default=None)


class StatementQuery(ListQuery):
    rate = fields.Decimal(load_default=None, allow_nan=False)
    component = fields.String(load_default=None, validate=validate.OneOf((CASE_FEE,)))
