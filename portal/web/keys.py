"""Keys: one's own and whom one works with, compared by people; and what a lender's own tool is asked to do."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, json, redirect, request, url_for
from flask_babel import gettext as _

from crypto.grants import fingerprint
from crypto.orders import grouped
from crypto.strict import to_base64
from models.errors import Forbidden, Refusal
from models.key_order import LEASE, REKEY
from models.organisation import OrganisationKey
from models.placement import LIVE
from models.portfolio import LENDER
from models.services.exchange import placements
from models.services.parties import members
from models.services.portfolio import portfolios
from models.services.sealing import (
    custodies,
    index_keys,
    key_directory,
    key_orders,
    key_progress,
    keys,
    portfolio_keys,
)
from models.work import Work
from portal.access import open_work, permit
from portal.downloads import text_download
from portal.schemas.base import page
from portal.schemas.forms import require
from portal.schemas.keys import ConfirmForm, OrderForm, OrderListForm, RekeyForm
from portal.schemas.proof import ProofForm
from portal.signing_in import prove
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.frame import may

blueprint = Blueprint("keys", __name__)

LIST_ROWS = 50
STATES = ("open", "done", "cancelled")


@blueprint.get("/keys")
@permit("keys.read")
def index() -> Page:
    return _keys({})


@blueprint.post("/keys/parties/<uuid:agency_id>/confirm")
@permit("keys.confirm")
def confirm(agency_id: UUID) -> Answer:
    try:
        given = require(ConfirmForm(), request.form)
        with open_work() as work:
            party = custodies.confirm_key(work, agency_id, **given)
    except MENDABLE as refusal:
        return _keys(request.form, refusal, agency_id)
    if party.confirmed:
        flash(_("The key of %(agency)s counts from now on.", agency=party.name), "good")
    else:
        flash(_("Noted. A second person has to compare it too before it counts."), "watch")
    return redirect(url_for("keys.index"))


@blueprint.post("/keys/rotation")
@permit("keys.rotate")
def rotate() -> Answer:
    return _begin(keys.rotate, _("The new key is published. Your data follow it within minutes; nothing stops."))


@blueprint.post("/keys/index-rotation")
@permit("keys.rotate_index")
def rotate_index() -> Answer:
    return _begin(index_keys.rotate, _("The new index key is made. It is in use when every case is indexed anew."))


@blueprint.post("/keys/rekey")
@permit("keys.rekey")
def rekey() -> Answer:
    portfolio_id = require(RekeyForm(), request.form)["portfolio_id"]
    return _begin(
        lambda work: portfolio_keys.rekey(work, portfolio_id),
        _("The portfolio has new keys. Its old ones are deleted when everything is sealed anew."),
    )


@blueprint.get("/keys/orders")
@permit("keys.order")
def orders() -> Page:
    return _orders({})


@blueprint.post("/keys/orders")
@permit("keys.order")
def order() -> Answer:
    try:
        given = require(OrderForm(), request.form)
        with open_work() as work:
            made = custodies.order(work, **given)
    except MENDABLE as refusal:
        return _orders(request.form, refusal)
    return redirect(url_for("keys.show_order", order_id=made.id))


@blueprint.get("/keys/orders/<uuid:order_id>")
@permit("keys.order")
def show_order(order_id: UUID) -> Page:
    return _order(order_id)


@blueprint.get("/keys/orders/<uuid:order_id>/document")
@permit("keys.order")
def download(order_id: UUID) -> Answer:
    try:
        with open_work() as work:
            document = custodies.document(work, order_id)
    except (*MENDABLE, Forbidden) as refusal:
        return _order(order_id, refusal)
    name = f"order-{document['kind']}-{str(order_id)[-12:]}.json"
    return text_download(name, [json.dumps(document)], "application/json")


@blueprint.post("/keys/orders/<uuid:order_id>/proof")
@permit("keys.order")
@permit("self.prove")
def prove_for_order(order_id: UUID) -> Answer:
    """Prove who one is, then take the order."""
    try:
        prove(**require(ProofForm(), request.form))
    except (*MENDABLE, Forbidden) as refusal:
        return _order(order_id, refusal)
    return redirect(url_for("keys.show_order", order_id=order_id))


@blueprint.post("/keys/orders/<uuid:order_id>/cancel")
@permit("keys.order")
def cancel(order_id: UUID) -> Answer:
    try:
        with open_work() as work:
            key_orders.cancel(work, order_id)
    except MENDABLE as refusal:
        return _order(order_id, refusal)
    flash(_("The order is cancelled; an answer to it is refused."), "good")
    return redirect(url_for("keys.orders"))


def _begin(verb: Callable[[Work], object], begun: str) -> Answer:
    try:
        with open_work() as work:
            verb(work)
    except MENDABLE as refusal:
        return _keys({}, refusal)
    flash(begun, "good")
    return redirect(url_for("keys.index", _anchor="replace-title"))


def _keys(form: Mapping[str, Any], refusal: Refusal | None = None, about: UUID | None = None) -> Page:
    with open_work() as work:
        own = key_directory.find_own(work)
        history = key_directory.list_own(work)
        parties = key_directory.list_parties(work)
        people = key_directory.names_of(work, [approval for party in parties for approval in party.approvals])
        waiting = key_orders.count_open(work) if may("keys.order") else 0
        progress = key_progress.find(work)
        sealed = portfolios.list_own(work, limit=200) if may("keys.rekey") else []
    return show(
        "keys/index.html",
        form,
        refusal,
        own=own,
        history=history,
        parties=parties,
        people=people,
        waiting=waiting,
        progress=progress,
        sealed=[portfolio for portfolio in sealed if portfolio.sealed_by != LENDER and portfolio.case_count],
        about=about,
        published=fingerprint(own.kem.public_key).hex() if own else "",
        fingerprint=_fingerprint,
        base64=to_base64,
    )


def _orders(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(OrderListForm(), request.args)
    with open_work() as work:
        found = key_orders.list_own(work, query["cursor"], LIST_ROWS, query["state"])
        waiting = key_orders.count_open(work)
        sealed = [p for p in portfolios.list_own(work, limit=200) if p.sealed_by == LENDER]
        ids = {portfolio.id for portfolio in sealed}
        live = [p for p in placements.list_own(work, limit=200) if p.state in LIVE and p.portfolio_id in ids]
    names = {portfolio.id: portfolio.name for portfolio in sealed} | {p.id: p.agency_name for p in live}
    return show(
        "keys/orders.html",
        form,
        refusal,
        list=page(found, LIST_ROWS),
        waiting=waiting,
        names=names,
        portfolios=sealed,
        placements=live,
        state=query["state"],
        states=STATES,
        kinds={"lease": LEASE, "rekey": REKEY},
    )


def _order(order_id: UUID, refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        found = key_orders.get(work, order_id)
        placement = placements.get(work, found.subject_id) if found.kind == LEASE else None
        portfolio = portfolios.get(work, found.subject_id) if found.kind == REKEY else None
        party = key_directory.get_party(work, placement.agency_id) if placement else None
        proofs = [] if custodies.may_take(work, found) else members.proofs(work)
    return show(
        "keys/order.html",
        {},
        refusal,
        order=found,
        placement=placement,
        portfolio=portfolio,
        party=party,
        proofs=proofs,
        fingerprint=_fingerprint,
    )


def _fingerprint(key: OrganisationKey) -> str:
    """In groups, as two people read it to each other."""
    return grouped(fingerprint(key.public_key).hex())
