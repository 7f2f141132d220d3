"""Webhooks: where one's own programs are told, by the Standard Webhooks scheme, and what became of each delivery."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services import webhook_deliveries, webhooks
from portal.access import open_work, permit
from portal.schemas import webhooks as s
from portal.schemas.base import page, page_of
from portal.web.webhooks import calls_this_machine

blueprint = Blueprint("webhooks-api", __name__, description="Notices sent to one's own programs")


@blueprint.get("/webhooks")
@permit("webhooks.read")
@blueprint.response(200, s.WebhookView(many=True))
def list_webhooks() -> Any:
    """Those of one's own organisation."""
    with open_work() as work:
        return webhooks.list_own(work)


@blueprint.post("/webhooks")
@permit("webhooks.manage")
@blueprint.arguments(s.WebhookRequest)
@blueprint.response(201, s.NewWebhookView)
def create_webhook(given: dict[str, Any]) -> Any:
    """From now on notices are posted there as `{type, timestamp, data}`. The secret is in this answer alone."""
    with open_work() as work:
        made = webhooks.create(work, given["url"], given["kinds"], calls_this_machine())
    return {"webhook": made.row, "secret": made.secret}


@blueprint.get("/webhooks/<uuid:webhook_id>")
@permit("webhooks.read")
@blueprint.response(200, s.WebhookView)
def read_webhook(webhook_id: UUID) -> Any:
    """One webhook."""
    with open_work() as work:
        return webhooks.get(work, webhook_id)


@blueprint.delete("/webhooks/<uuid:webhook_id>")
@permit("webhooks.manage")
@blueprint.response(204)
def delete_webhook(webhook_id: UUID) -> None:
    """Nothing is sent there any more, what waits neither."""
    with open_work() as work:
        webhooks.delete(work, webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/rotation")
@permit("webhooks.manage")
@blueprint.response(201, s.NewWebhookView)
def rotate_secret(webhook_id: UUID) -> Any:
    """A new secret; for a day the one before signs beside it."""
    with open_work() as work:
        made = webhooks.rotate(work, webhook_id)
    return {"webhook": made.row, "secret": made.secret}


@blueprint.post("/webhooks/<uuid:webhook_id>/pause")
@permit("webhooks.manage")
@blueprint.response(200, s.WebhookView)
def pause_webhook(webhook_id: UUID) -> Any:
    """What happens from now on waits."""
    with open_work() as work:
        return webhooks.pause(work, webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/resumption")
@permit("webhooks.manage")
@blueprint.response(200, s.WebhookView)
def resume_webhook(webhook_id: UUID) -> Any:
    """What has waited is sent, in the order in which it happened."""
    with open_work() as work:
        return webhooks.resume(work, webhook_id)


@blueprint.post("/webhooks/<uuid:webhook_id>/test")
@permit("webhooks.manage")
@blueprint.response(202, s.DeliveryView)
def send_test(webhook_id: UUID) -> Any:
    """An event of the type `webhook.test`, delivered like any other."""
    with open_work() as work:
        return webhook_deliveries.send_test(work, webhook_id)


@blueprint.get("/webhooks/<uuid:webhook_id>/deliveries")
@permit("webhooks.read")
@blueprint.arguments(s.DeliveryQuery, location="query")
@blueprint.response(200, page_of(s.DeliveryView))
def list_deliveries(query: dict[str, Any], webhook_id: UUID) -> Any:
    """The newest first."""
    with open_work() as work:
        return page(webhook_deliveries.list_own(work, webhook_id, **query), query["limit"])


@blueprint.post("/webhook-deliveries/<uuid:delivery_id>/redelivery")
@permit("webhooks.manage")
@blueprint.response(202, s.DeliveryView)
def redeliver(delivery_id: UUID) -> Any:
    """Send again what was delivered or has failed, under the same `webhook-id`."""
    with open_work() as work:
        return webhook_deliveries.redeliver(work, delivery_id)
