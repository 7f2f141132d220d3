"""Webhooks: the addresses at which an organisation's own programs are told of its notices."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update

from crypto import webhooks as signatures
from crypto.secret import Secret
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.notice import KINDS
from models.outbound import AddressRefused, parse
from models.queue import enqueue_deliveries
from models.services import tenancy
from models.services.oversight import audit
from models.states import step
from models.webhook import ACTIVE, BY_HAND, DELETED, FAILED, TRANSITIONS, WAITING, Webhook, WebhookDelivery
from models.work import Work

WEBHOOKS_MAX = 10
OLD_SECRET_LASTS = dt.timedelta(days=1)


class NewWebhook(NamedTuple):
    """The row, and the secret as it is shown once."""

    row: Webhook
    secret: str

    def __repr__(self) -> str:
        return "NewWebhook(…)"


def create(work: Work, url: str, kinds: list[str], local: bool = False) -> NewWebhook:
    """From now on, notices of these kinds, or of all, are sent there. `local`: see models/outbound.py."""
    faults = []
    try:
        parse(url, local)
    except AddressRefused as refused:
        faults.append(RowError(0, "url", refused.code))
    if not set(kinds) <= set(KINDS):
        faults.append(RowError(0, "kinds", "unknown_value"))
    if faults:
        raise Invalid(errors=faults)
    if len(list_own(work)) >= WEBHOOKS_MAX:
        raise Conflict("too_many_webhooks", webhooks_max=WEBHOOKS_MAX)
    assert work.actor.member_id is not None
    row = Webhook(
        org_id=work.actor.org_id,
        id=new_id(),
        url=url,
        kinds=sorted(set(kinds)),
        state=ACTIVE,
        created_by=work.actor.member_id,
        created_at=work.at,
    )
    secret = _give_secret(work, row)
    work.session.add(row)
    work.session.flush()
    audit.record(work, audit.Action.WEBHOOK_CREATE, {"webhook": row.id, "kinds": row.kinds})
    return NewWebhook(row, signatures.told(secret))


def list_own(work: Work) -> list[Webhook]:
    """All that are not deleted, the newest first."""
    own = select(Webhook).where(tenancy.mine(work, Webhook), Webhook.state != DELETED)
    return list(work.session.scalars(own.order_by(Webhook.id.desc())))


def get(work: Work, webhook_id: UUID) -> Webhook:
    found = work.session.scalar(
        select(Webhook).where(tenancy.mine(work, Webhook), Webhook.id == webhook_id, Webhook.state != DELETED)
    )
    if found is None:
        raise NotFound
    return found


def lock(work: Work, webhook_id: UUID) -> Webhook:
    """The webhook, before any of its deliveries. NotFound for a deleted one."""
    row = get(work, webhook_id)
    work.session.refresh(row, with_for_update=True)
    if row.state == DELETED:
        raise NotFound
    return row


def rotate(work: Work, webhook_id: UUID) -> NewWebhook:
    """A new secret; the one before signs beside it for a day."""
    row = lock(work, webhook_id)
    old = open_secret(work, row.id, row.secret)
    row.old_secret, row.rotated_at = work.vault.seal_secret(_purpose(work, row.id, "old"), old.reveal()), work.at
    secret = _give_secret(work, row)
    audit.record(work, audit.Action.WEBHOOK_ROTATE, {"webhook": row.id})
    return NewWebhook(row, signatures.told(secret))


def list_secrets(work: Work, row: Webhook) -> list[Secret]:
    """Those that sign now, the newest first."""
    secrets = [open_secret(work, row.id, row.secret)]
    if row.old_secret and row.rotated_at and work.at < row.rotated_at + OLD_SECRET_LASTS:
        secrets.append(open_secret(work, row.id, row.old_secret, "old"))
    return secrets


def pause(work: Work, webhook_id: UUID) -> Webhook:
    """What happens from now on waits."""
    row = lock(work, webhook_id)
    stop(work, row, BY_HAND)
    return row


def stop(work: Work, row: Webhook, reason: str) -> None:
    """Pause a locked webhook: by hand, or because nobody answers there any more."""
    row.state, row.pause_reason = step(TRANSITIONS, row.state, "pause"), reason
    audit.record(work, audit.Action.WEBHOOK_PAUSE, {"webhook": row.id, "reason": reason})


def resume(work: Work, webhook_id: UUID) -> Webhook:
    """What has waited is sent, in the order in which it happened."""
    row = lock(work, webhook_id)
    row.state, row.pause_reason = step(TRANSITIONS, row.state, "resume"), None
    waiting = work.session.execute(
        update(WebhookDelivery)
        .where(
            tenancy.mine(work, WebhookDelivery),
            WebhookDelivery.webhook_id == row.id,
            WebhookDelivery.state == WAITING,
        )
        .values(due_at=work.at)
        .returning(WebhookDelivery.id, WebhookDelivery.attempts)
        .execution_options(synchronize_session=False)
    )
    enqueue_deliveries(work, sorted((id_, attempts) for id_, attempts in waiting), turn=row.id)
    audit.record(work, audit.Action.WEBHOOK_RESUME, {"webhook": row.id})
    return row


def delete(work: Work, webhook_id: UUID) -> None:
    """Nothing is sent any more, what waits neither; the secrets are gone."""
    row = lock(work, webhook_id)
    row.state = step(TRANSITIONS, row.state, "delete")
    row.secret, row.old_secret = b"", None
    work.session.execute(
        update(WebhookDelivery)
        .where(
            tenancy.mine(work, WebhookDelivery),
            WebhookDelivery.webhook_id == row.id,
            WebhookDelivery.state == WAITING,
        )
        .values(state=FAILED, failure="webhook_deleted", due_at=None)
        .execution_options(synchronize_session=False)
    )
    audit.record(work, audit.Action.WEBHOOK_DELETE, {"webhook": row.id})


def count_deliveries(work: Work, webhook_id: UUID) -> dict[str, int]:
    """How many there are of each state."""
    rows = work.session.execute(
        select(WebhookDelivery.state, func.count())
        .where(tenancy.mine(work, WebhookDelivery), WebhookDelivery.webhook_id == webhook_id)
        .group_by(WebhookDelivery.state)
    )
    return {row.state: row[1] for row in rows}


def open_secret(work: Work, webhook_id: UUID, sealed: bytes, which: str = "new") -> Secret:
    return Secret(work.vault.open_secret(_purpose(work, webhook_id, which), sealed))


def _give_secret(work: Work, row: Webhook) -> Secret:
    secret = signatures.new_secret()
    row.secret = work.vault.seal_secret(_purpose(work, row.id, "new"), secret.reveal())
    return secret


def _purpose(work: Work, webhook_id: UUID, which: str) -> str:
    return f"webhook/{work.actor.org_id}/{webhook_id}/{which}"
