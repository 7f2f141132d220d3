"""Public keys, their confirmation, and orders to a lender's tool, as the API and the pages read and write them."""

from marshmallow import Schema, fields, validate

from crypto.grants import fingerprint
from crypto.strict import to_base64
from models.erasure import SUBJECTS
from models.key_order import ERASE, KINDS, LEASE, REKEY
from models.organisation import OrganisationKey
from models.services.sealing.key_directory import PartyKeys
from portal.schemas.forms import Form, ListQuery


class PublicKeyView(Schema):
    """A public key of an organisation; the newest serial of each purpose is the one in use."""

    purpose = fields.String()
    serial = fields.Integer()
    suite = fields.String()
    custody = fields.String(metadata={"description": "Who holds the private half; self: the organisation."})
    public_key = fields.Function(
        lambda key: to_base64(key.public_key),
        metadata={"type": "string", "description": "Base64; a kem key begins with its suite byte."},
    )
    fingerprint = fields.Function(lambda key: fingerprint(key.public_key).hex(), metadata={"type": "string"})
    created_at = fields.AwareDateTime()


class PartyKeysView(Schema):
    """The newest keys of somebody one has an agreement with."""

    id = fields.UUID()
    name = fields.String()
    keys = fields.Function(
        lambda party: PublicKeyView(many=True).dump(keys_of(party)),
        metadata={"type": "array", "items": {"type": "object"}},
    )
    confirmations = fields.Function(
        lambda party: len(party.approvals),
        metadata={"type": "integer", "description": "How many of one's own people have compared the kem key."},
    )
    confirmations_needed = fields.Integer(attribute="needs")
    confirmed = fields.Boolean()


class ConfirmRequest(Schema):
    fingerprint = fields.String(
        required=True,
        validate=validate.Length(64, 200),
        metadata={"description": "As its owner told it by another way; groups and case do not matter."},
    )


class OrderRequest(Schema):
    """What to ask the lender's tool for: leases of a placement, new keys of a portfolio, the record of an erasure."""

    kind = fields.String(required=True, validate=validate.OneOf((LEASE, REKEY, ERASE)))
    subject_id = fields.UUID(required=True)
    subject_kind = fields.String(
        load_default=None,
        validate=validate.OneOf(SUBJECTS),
        metadata={"description": "Of an erasure: what its subject is."},
    )


class OrderQuery(Schema):
    state = fields.String(load_default=None, validate=validate.OneOf(("open", "done", "cancelled")))
    after = fields.UUID(load_default=None)
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class OrderView(Schema):
    id = fields.UUID()
    kind = fields.String(validate=validate.OneOf(KINDS))
    subject_kind = fields.String()
    subject_id = fields.UUID()
    state = fields.String()
    created_at = fields.AwareDateTime()
    done_at = fields.AwareDateTime(allow_none=True)


class RotationView(Schema):
    """A replacement of the encryption key that is under way."""

    left = fields.Integer(metadata={"description": "Wraps not known yet to be to the new key."})
    total = fields.Integer()
    since = fields.AwareDateTime()


class ReindexingView(Schema):
    """A replacement of the index key that is under way."""

    left = fields.Integer(metadata={"description": "Cases whose tokens are still to be made."})
    total = fields.Integer()


class RekeyView(Schema):
    """A portfolio that is being sealed anew."""

    portfolio_id = fields.UUID()
    epoch = fields.Integer()
    left = fields.Integer(metadata={"description": "Cases still to be sealed under the new keys."})
    total = fields.Integer()


class KeyProgressView(Schema):
    """What is under way about one's own keys; null and empty where nothing is."""

    rotation = fields.Nested(RotationView, allow_none=True)
    reindexing = fields.Nested(ReindexingView, allow_none=True)
    rekeys = fields.List(fields.Nested(RekeyView))


class ConfirmForm(Form, ConfirmRequest):
    pass


class OrderForm(Form, OrderRequest):
    pass


class RekeyForm(Form):
    portfolio_id = fields.UUID(required=True)


class OrderListForm(ListQuery):
    state = fields.String(load_default=None, validate=validate.OneOf(("open", "done", "cancelled")))


def keys_of(party: PartyKeys) -> list[OrganisationKey]:
    return list(party.keys) if party.keys else []
