"""Public keys and what is done about them: published, read, confirmed; and orders for a lender's own tool."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from flask_smorest import Blueprint

from crypto.strict import DOCUMENT_BYTES_MAX
from models.services.sealing import (
    custodies,
    index_keys,
    key_directory,
    key_orders,
    key_progress,
    keys,
    portfolio_keys,
)
from portal.access import open_work, permit
from portal.description import BYTES
from portal.requests import uploaded_whole
from portal.schemas import keys as s
from portal.schemas.base import page, page_of

blueprint = Blueprint("keys-api", __name__, description="Public keys, confirmations and orders to a lender's tool")

PUBLIC_FILE_BYTES_MAX = 1 << 14
RAW_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": BYTES}}}}


@blueprint.get("/keys")
@permit("keys.read")
@blueprint.response(200, s.PublicKeyView(many=True))
def list_keys() -> Any:
    """Every public key of one's own organisation, the newest first."""
    with open_work() as work:
        return key_directory.list_own(work)


@blueprint.post("/keys")
@permit("keys.publish")
@blueprint.response(201, s.PublicKeyView(many=True))
@blueprint.doc(**RAW_BODY)
def publish_keys() -> Any:
    """One's own public file (`consign-public/1`) as the raw body, for an organisation that holds its own keys."""
    data = uploaded_whole(PUBLIC_FILE_BYTES_MAX)
    with open_work() as work:
        return list(custodies.publish(work, data))


@blueprint.get("/keys/progress")
@permit("keys.read")
@blueprint.response(200, s.KeyProgressView)
def read_progress() -> Any:
    """How far replacements of keys are that were begun."""
    with open_work() as work:
        return key_progress.find(work)._asdict()


@blueprint.post("/keys/rotation")
@permit("keys.rotate")
@blueprint.response(202, s.PublicKeyView)
def rotate_key() -> Any:
    """A new encryption key for an organisation whose keys the platform keeps; everything is wrapped to it online."""
    with open_work() as work:
        return keys.rotate(work)


@blueprint.post("/keys/index-rotation")
@permit("keys.rotate_index")
@blueprint.response(202, s.KeyProgressView)
def rotate_index_key() -> Any:
    """A lender's new index key. To index anew, the platform opens every case once, which the log tells."""
    with open_work() as work:
        index_keys.rotate(work)
        return key_progress.find(work)._asdict()


@blueprint.post("/portfolios/<uuid:portfolio_id>/rekey")
@permit("keys.rekey")
@blueprint.response(202, s.KeyProgressView)
def rekey_portfolio(portfolio_id: UUID) -> Any:
    """Seal a portfolio anew under new class keys, online; its old keys are deleted at the end."""
    with open_work() as work:
        portfolio_keys.rekey(work, portfolio_id)
        return key_progress.find(work)._asdict()


@blueprint.get("/keys/parties")
@permit("keys.read")
@blueprint.response(200, s.PartyKeysView(many=True))
def list_party_keys() -> Any:
    """The newest keys of everybody one has an agreement with. That they are theirs, the platform cannot show."""
    with open_work() as work:
        return key_directory.list_parties(work)


@blueprint.post("/keys/parties/<uuid:agency_id>/confirm")
@permit("keys.confirm")
@blueprint.arguments(s.ConfirmRequest)
@blueprint.response(200, s.PartyKeysView)
def confirm_key(given: dict[str, Any], agency_id: UUID) -> Any:
    """The agency's kem key has the fingerprint that the agency told by another way."""
    with open_work() as work:
        return custodies.confirm_key(work, agency_id, **given)


@blueprint.get("/key-orders")
@permit("keys.order")
@blueprint.arguments(s.OrderQuery, location="query")
@blueprint.response(200, page_of(s.OrderView))
def list_orders(query: dict[str, Any]) -> Any:
    """What the lender's tool was and is asked for, the newest first."""
    with open_work() as work:
        return page(key_orders.list_own(work, **query), query["limit"])


@blueprint.post("/key-orders")
@permit("keys.order")
@blueprint.arguments(s.OrderRequest)
@blueprint.response(201, s.OrderView)
def create_order(given: dict[str, Any]) -> Any:
    """Ask for leases once more, for new keys, or for the record of an erasure; an open order of the same ends."""
    with open_work() as work:
        return custodies.order(work, **given)


@blueprint.get("/key-orders/<uuid:order_id>")
@permit("keys.order")
@blueprint.response(200, s.OrderView)
def read_order(order_id: UUID) -> Any:
    """One order and how it stands."""
    with open_work() as work:
        return key_orders.get(work, order_id)


@blueprint.get("/key-orders/<uuid:order_id>/document")
@permit("keys.order")
@blueprint.response(200, {"type": "object"})
def download_order(order_id: UUID) -> Response:
    """The order as the tool reads it (`consign-order/1`). That it was taken is logged."""
    with open_work() as work:
        document = custodies.document(work, order_id)
    response = jsonify(document)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/key-orders/<uuid:order_id>/answer")
@permit("keys.order")
@blueprint.response(200, s.OrderView)
@blueprint.doc(**RAW_BODY)
def answer_order(order_id: UUID) -> Any:
    """The tool's answer (`consign-answer/1`) as the raw body: carried out whole, or refused whole."""
    data = uploaded_whole(DOCUMENT_BYTES_MAX)
    with open_work() as work:
        return custodies.answer(work, order_id, data)


@blueprint.post("/key-orders/<uuid:order_id>/cancel")
@permit("keys.order")
@blueprint.response(200, s.OrderView)
def cancel_order(order_id: UUID) -> Any:
    """Take an open order back: its answer is refused from then on."""
    with open_work() as work:
        return key_orders.cancel(work, order_id)
