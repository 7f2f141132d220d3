"""Sealed bids and awards as the API and the pages read and write them."""

import json
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate, validates_schema

from models.award import KINDS, NONCE_BYTES, Terms
from models.buckets import BUCKETS
from models.provinces import PROVINCES
from models.services.exchange.bids import COMMITMENT_BYTES, HOURS_MAX
from portal.schemas.base import Hex, Money, Rate
from portal.schemas.exchange import TermsRequest
from portal.schemas.exchange_forms import Percent
from portal.schemas.forms import Form, TypedInteger, TypedMoney

HOURS = validate.Range(1, HOURS_MAX)
# What was committed to are these very texts: another spelling of the same number is another bid.
RATE_SPELLED = validate.Regexp(r"^(0\.[0-9]{6}|1\.000000)\Z", error="rate_spelling")
FEE_SPELLED = validate.Regexp(r"^(0|[1-9][0-9]{0,5})\.[0-9]{2}\Z", error="fee_spelling")


class LotRequest(Schema):
    """A lot is made of buckets or of provinces; all lots of a tender of the same of the two, each value in one lot."""

    buckets = fields.List(fields.String(), metadata={"enum": list(BUCKETS)})
    provinces = fields.List(fields.String(), metadata={"description": "GB/T 2260."})


class InviteRequest(Schema):
    """A tender of sealed bids. The scoring is published to every bidder before anyone commits."""

    portfolio_id = fields.UUID(required=True)
    agreement_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 500))
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None, allow_none=True)
    provinces = fields.List(fields.String(validate=validate.OneOf(PROVINCES)), load_default=None, allow_none=True)
    case_limit = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 10_000_000))
    commit_hours = fields.Integer(required=True, validate=HOURS)
    reveal_hours = fields.Integer(required=True, validate=HOURS)
    expected_recovery = Rate(required=True, metadata={"description": "Of the balance: what the scoring counts on."})
    kinds = fields.List(fields.String(validate=validate.OneOf(KINDS)), load_default=KINDS)
    rate_max = Rate(load_default=None, allow_none=True, metadata={"description": "Published; a bid above it is void."})
    case_fee_max = Money(load_default=None, allow_none=True)
    lots = fields.List(
        fields.Nested(LotRequest),
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Up to 8, which together hold every case: bids are then on packages of them. The cases of a "
            "borrower go together, where it owes the most. Null: one winner takes all."
        },
    )


class InviteForm(Form):
    agreement_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 500))
    buckets = fields.List(fields.String(validate=validate.OneOf(BUCKETS)), load_default=None)
    provinces = fields.List(fields.String(validate=validate.OneOf(PROVINCES)), load_default=None)
    case_limit = TypedInteger(load_default=None, validate=validate.Range(1, 10_000_000))
    commit_hours = TypedInteger(required=True, validate=HOURS)
    reveal_hours = TypedInteger(required=True, validate=HOURS)
    expected_recovery = Percent(required=True)
    kinds = fields.List(fields.String(validate=validate.OneOf(KINDS)), required=True, validate=validate.Length(1))
    rate_max = Percent(load_default=None)
    case_fee_max = TypedMoney(load_default=None)


class BidTenderView(Schema):
    id = fields.UUID()
    portfolio_id = fields.UUID()
    kind = fields.String()
    state = fields.String()
    currency = fields.String()
    case_count = fields.Integer()
    borrower_count = fields.Integer()
    balance = Money()
    commit_until = fields.AwareDateTime(allow_none=True)
    reveal_until = fields.AwareDateTime(allow_none=True)
    passed_over = fields.Function(
        lambda tender: tender.rules.get("passed_over", {}),
        metadata={"description": "Agreement id → the gate's reasons why it was not invited."},
    )
    scoring = fields.Function(
        lambda tender: tender.rules.get("scoring"),
        metadata={
            "type": ["object", "null"],
            "description": "As it is published to every bidder: with the figures of each lot, where there are lots.",
        },
    )


class CommitRequest(TermsRequest):
    commitment = Hex(
        COMMITMENT_BYTES,
        required=True,
        metadata={
            "description": "SHA-256 over `consign/bid/1`, a zero byte, and tender id, agency id (16 raw bytes each), "
            "the terms as RFC 8785 JSON and the nonce, each behind its length in 4 big-endian bytes. On lots it begins "
            'with `consign/bid/2`, and the terms are `{"packages":[…]}`, lots and packages in ascending order.'
        },
    )


def _read_packages(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationError("wrong_shape") from None


class PackageRequest(Schema):
    """All of these lots or none, at these terms. What is wrong is said by package: row 1 is the first."""

    class Meta:
        unknown = INCLUDE

    lots = fields.Raw(metadata={"type": "array", "items": {"type": "integer"}, "example": [1, 2]})
    kind = fields.Raw(metadata={"type": "string", "enum": list(KINDS)})
    rate = fields.Raw(metadata={"type": "string", "example": "0.180000"})
    case_fee = fields.Raw(metadata={"type": "string", "example": "0.00"})


class _Revealed(Schema):
    """What a program and a page reveal in the same way."""

    kind = fields.String(validate=validate.OneOf(KINDS))
    rate = fields.String(validate=RATE_SPELLED, metadata={"example": "0.180000"})
    case_fee = fields.String(validate=FEE_SPELLED, metadata={"example": "0.00"})
    nonce = Hex(NONCE_BYTES, required=True)

    @validates_schema
    def require_bid(self, given: dict[str, Any], **_: Any) -> None:
        missing = [name for name in Terms._fields if name not in given]
        if "packages" not in given and missing:
            raise ValidationError({name: ["Missing data for required field."] for name in missing})


class RevealRequest(_Revealed):
    """The bid exactly as it was committed, and the nonce: three texts in their one spelling, or on lots packages."""

    packages = fields.List(
        fields.Nested(PackageRequest), metadata={"description": "1 to 8, of which at most one wins."}
    )


class CommitForm(Form, CommitRequest):
    pass


class RevealForm(Form, _Revealed):
    """On lots the page's script sends the packages as JSON."""

    packages = fields.Function(deserialize=_read_packages)


class PackageView(Schema):
    """What a package came to."""

    lots = fields.List(fields.Integer())
    kind = fields.String()
    rate = fields.String()
    case_fee = fields.String()
    state = fields.String()
    score = fields.String(allow_none=True)
    value = fields.String(allow_none=True, metadata={"description": "Score times the published balance of its lots."})
    reason = fields.String(allow_none=True)


class BidView(Schema):
    """One's own bid. Kind, rate, fee and score, on lots of the package that won, are null until the award."""

    id = fields.UUID()
    offer_id = fields.UUID()
    tender_id = fields.UUID()
    state = fields.String()
    commitment = Hex(COMMITMENT_BYTES)
    entry_leaf = Hex(32, metadata={"description": "Of the commitment's entry: what /audit-log/receipts takes."})
    committed_at = fields.AwareDateTime()
    revealed_at = fields.AwareDateTime(allow_none=True)
    kind = fields.String(allow_none=True)
    rate = Rate(allow_none=True)
    case_fee = Money(allow_none=True)
    score = fields.Function(lambda bid: None if bid.score is None else f"{bid.score:.8f}")
    reason = fields.String(allow_none=True)
    packages = fields.List(
        fields.Nested(PackageView), allow_none=True, metadata={"description": "On lots, once the award is made."}
    )
    decided_at = fields.AwareDateTime(allow_none=True)


class AwardView(Schema):
    """What came of a tender; the record itself is a file that `python -m models.award verify` computes again."""

    tender_id = fields.UUID()
    outcome = fields.String(attribute="record.outcome")
    winner = fields.Function(
        lambda award: award.record.get("winner"),
        metadata={"type": ["string", "null"], "description": "The bid that won, of a tender without lots."},
    )
    winners = fields.Function(
        lambda award: award.record.get("winners"),
        metadata={"type": ["array", "null"], "description": "Of each lot the bid that won it, or null."},
    )
    value = fields.Function(
        lambda award: award.record.get("value"),
        metadata={"type": ["string", "null"], "description": "What all packages that won are worth together."},
    )
    digest = Hex(32, metadata={"description": "SHA-256 of the record file, as the audit log has it."})
    awarded_at = fields.AwareDateTime()
