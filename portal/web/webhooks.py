"""Webhooks: where our own programs are told, whether they hear it, and what to do where they do not."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from models.errors import Refusal
from models.notice import KINDS
from models.services import webhook_deliveries, webhooks
from models.services.webhooks import OLD_SECRET_LASTS, WEBHOOKS_MAX, NewWebhook
from models.settings import Settings
from models.webhook import DELIVERED, FAILED, WAITING
from portal.access import open_work, permit, require_known
from portal.notices import kinds_of, name_of
from portal.schemas.base import page
from portal.schemas.forms import require
from portal.schemas.webhooks import DeliveryListForm, WebhookForm
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("webhooks", __name__)

LIST_ROWS = 50


@blueprint.get("/webhooks")
@permit("webhooks.read")
def index() -> Page:
    return _page({})


@blueprint.post("/webhooks")
@permit("webhooks.manage")
def create() -> Answer:
    """The secret is shown on this answer and never again."""
    try:
        given = require(WebhookForm(), request.form.to_dict() | {"kinds": request.form.getlist("kinds")})
        with open_work() as work:
            made = webhooks.create(work, given["url"], given["kinds"], calls_this_machine())
    except MENDABLE as refusal:
        return _page(request.form, refusal)
    return _secret(made), 201


@blueprint.get("/webhooks/<uuid:webhook_id>")
@permit("webhooks.read")
def show_one(webhook_id: UUID) -> str:
    query = require(DeliveryListForm(), request.args)
    with open_work() as work:
        hook, counts = webhooks.get(work, webhook_id), webhooks.count_deliveries(work, webhook_id)
        found = webhook_deliveries.list_own(work, webhook_id, query["cursor"], LIST_ROWS, query["state"])
    return render_template(
        "webhooks/show.html",
        hook=hook,
        counts=counts,
        list=page(found, LIST_ROWS),
        query=query,
        states=(WAITING, DELIVERED, FAILED),
        name_of=name_of,
        old_until=hook.rotated_at and hook.rotated_at + OLD_SECRET_LASTS,
        now=work.at,
    )


@blueprint.post("/webhooks/<uuid:webhook_id>/test")
@permit("webhooks.manage")
def test(webhook_id: UUID) -> Answer:
    with open_work() as work:
        webhook_deliveries.send_test(work, webhook_id)
    flash(_("A test event is on its way. Reload to see what became of it."), "good")
    return _back(webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/pause")
@permit("webhooks.manage")
def pause(webhook_id: UUID) -> Answer:
    with open_work() as work:
        webhooks.pause(work, webhook_id)
    flash(_("Paused. What happens now waits, and is sent when you resume."), "good")
    return _back(webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/resume")
@permit("webhooks.manage")
def resume(webhook_id: UUID) -> Answer:
    with open_work() as work:
        webhooks.resume(work, webhook_id)
    flash(_("Resumed. What has waited is sent in its order."), "good")
    return _back(webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/rotate")
@permit("webhooks.manage")
def rotate(webhook_id: UUID) -> Answer:
    """The new secret is shown on this answer and never again."""
    with open_work() as work:
        made = webhooks.rotate(work, webhook_id)
    return _secret(made), 201


@blueprint.post("/webhooks/<uuid:webhook_id>/delete")
@permit("webhooks.manage")
def delete(webhook_id: UUID) -> Answer:
    with open_work() as work:
        webhooks.delete(work, webhook_id)
    flash(_("Deleted. Nothing is sent there any more."), "good")
    return redirect(url_for("webhooks.index"))


@blueprint.post("/webhook-deliveries/<uuid:delivery_id>/redeliver")
@permit("webhooks.manage")
def redeliver(delivery_id: UUID) -> Answer:
    with open_work() as work:
        row = webhook_deliveries.redeliver(work, delivery_id)
    flash(_("It is sent again, under the same id."), "good")
    return _back(row.webhook_id)


def calls_this_machine() -> bool:
    """Whether the installation is one for development."""
    settings: Settings = current_app.extensions["consign.settings"]
    return settings.webhooks_local


def _page(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        hooks = webhooks.list_own(work)
        counts = {hook.id: webhooks.count_deliveries(work, hook.id) for hook in hooks}
    return show(
        "webhooks/index.html",
        form,
        refusal,
        hooks=hooks,
        counts=counts,
        kinds=kinds_of(require_known().actor.side, KINDS),
        chosen=request.form.getlist("kinds"),
        name_of=name_of,
        webhooks_max=WEBHOOKS_MAX,
        local=calls_this_machine(),
    )


def _secret(made: NewWebhook) -> str:
    return render_template("webhooks/secret.html", hook=made.row, secret=made.secret, rotated=made.row.rotated_at)


def _back(webhook_id: UUID) -> Answer:
    return redirect(url_for("webhooks.show_one", webhook_id=webhook_id))
