"""Deliveries: each notice on its way to each webhook that wants it, attempt by attempt.

A notice is passed on once, in the context of whom it tells; the row of its delivery is the truth, the queue only says
when. An attempt is named by how many there were before it, so a task that comes twice does nothing the second time,
and one that was killed after it sent sends again: delivered at least once, under the same id. Those of one webhook go
in the order of what happened, as far as each is taken at once: one that is to be tried again holds up none that happens
later. Where nobody answers the first, nobody is asked about the rest.
"""

import datetime as dt
import json
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, delete, func, select, true

from crypto import webhooks as signatures
from models.errors import NotFound
from models.ids import new_id, new_ids
from models.notice import Notice
from models.organisation import Tenant
from models.outbound import Answer
from models.queue import enqueue_deliveries
from models.services import notices, pages, tenancy, webhooks
from models.services.oversight.audit import time_text
from models.states import step
from models.webhook import (
    ACTIVE,
    DELETED,
    DELIVERED,
    DELIVERY_TRANSITIONS,
    FAILING,
    GONE,
    TEST,
    WAITING,
    Webhook,
    WebhookDelivery,
)
from models.work import OPERATOR, Work

# Seconds before each further attempt, as the specification suggests: over three days in all.
SCHEDULE: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS_MAX: Final = len(SCHEDULE) + 1
JITTER = 0.1  # of the wait, at most: whoever was down is not asked by everybody at once
NOTICES_MAX = 500  # of one transaction
OVERDUE = dt.timedelta(hours=1)  # after which nobody has the task any more

KEPT: Final = dt.timedelta(days=90)  # a delivery that has ended
PURGED_MAX = 5_000  # by one transaction

STATUS_GONE = 410


class Attempt(NamedTuple):
    """One request, complete."""

    url: str
    headers: dict[str, str]
    body: bytes


def list_organisations(work: Work, had: bool = False) -> list[tuple[UUID, str]]:
    """For the operator's side: who has webhooks, or only `had` some, and of which kind it is. Where they lead it cannot
    read."""
    assert work.actor.side == OPERATOR
    having = select(Webhook.org_id).where(true() if had else Webhook.state != DELETED)
    rows = work.session.execute(select(Tenant.id, Tenant.kind).where(Tenant.id.in_(having)).order_by(Tenant.id))
    return [(row.id, row.kind) for row in rows]


def pass_on(work: Work) -> int:
    """Make and queue the deliveries of the next NOTICES_MAX of what the organisation was told; answers of how many.

    A webhook hears nothing from before it was made; what happens while it is paused waits for it.
    """
    hooks = webhooks.list_own(work)
    told = work.session.scalars(
        select(Notice)
        .where(notices.told_here(work), Notice.passed_on_at.is_(None))
        .order_by(Notice.id)
        .limit(NOTICES_MAX)
        .with_for_update(skip_locked=True)
    ).all()
    wanted = [
        (hook, notice)
        for notice in told
        for hook in hooks
        if notice.told_at >= hook.created_at and (not hook.kinds or notice.kind in hook.kinds)
    ]
    # Ids in the order of the notices: it is by them that deliveries are listed and sent.
    ids = new_ids(len(wanted))
    made = [_delivery(work, id_, hook, notice) for id_, (hook, notice) in zip(ids, wanted, strict=True)]
    for notice in told:
        notice.passed_on_at = work.at
    work.session.add_all(made)
    work.session.flush()
    for hook in hooks:
        if hook.state == ACTIVE:
            enqueue_deliveries(work, [(row.id, 0) for row in made if row.webhook_id == hook.id], turn=hook.id)
    return len(told)


def requeue_overdue(work: Work) -> int:
    """What should have been tried long ago and was not: its task was lost. Answers how many."""
    overdue = work.session.scalars(
        select(WebhookDelivery)
        .join(Webhook, and_(Webhook.org_id == WebhookDelivery.org_id, Webhook.id == WebhookDelivery.webhook_id))
        .where(
            tenancy.mine(work, WebhookDelivery),
            WebhookDelivery.state == WAITING,
            WebhookDelivery.due_at < work.at - OVERDUE,
            Webhook.state == ACTIVE,
        )
        .order_by(WebhookDelivery.id)
        .limit(NOTICES_MAX)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    ).all()
    for row in overdue:
        row.due_at = work.at
    for webhook_id in {row.webhook_id for row in overdue}:
        theirs = [(row.id, row.attempts) for row in overdue if row.webhook_id == webhook_id]
        enqueue_deliveries(work, theirs, turn=webhook_id)
    return len(overdue)


def purge(work: Work) -> int:
    """Take away the next PURGED_MAX that were delivered or given up longer ago than KEPT; answers how many."""
    old = (
        select(WebhookDelivery.id)
        .where(
            tenancy.mine(work, WebhookDelivery),
            WebhookDelivery.state != WAITING,
            func.coalesce(WebhookDelivery.attempted_at, WebhookDelivery.created_at) < work.at - KEPT,
        )
        .limit(PURGED_MAX)
        .with_for_update(skip_locked=True)
    )
    gone = work.session.scalars(
        delete(WebhookDelivery)
        .where(tenancy.mine(work, WebhookDelivery), WebhookDelivery.id.in_(old))
        .returning(WebhookDelivery.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def begin(work: Work, delivery_id: UUID, attempt: int) -> Attempt | None:
    """The request of this attempt, signed as of now; None where it was made already or nobody wants it any more."""
    row = work.session.get(WebhookDelivery, (work.actor.org_id, delivery_id))
    if row is None or row.state != WAITING or row.attempts != attempt:
        return None
    hook = work.session.get_one(Webhook, (work.actor.org_id, row.webhook_id))
    if hook.state != ACTIVE:
        return None
    body, seconds = _body(work, row), int(work.at.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "Consign-Webhooks/1",
        "webhook-id": str(row.id),
        "webhook-timestamp": str(seconds),
        "webhook-signature": signatures.sign(webhooks.list_secrets(work, hook), str(row.id), seconds, body),
    }
    return Attempt(hook.url, headers, body)


def finish(
    work: Work, delivery_id: UUID, attempt: int, answer: Answer, unasked: Sequence[tuple[UUID, int]] = ()
) -> None:
    """Keep what became of the attempt, and queue the next one where there is to be one.

    `unasked` are those that were to follow it, where nobody answered: it was an attempt for them too.
    """
    found = work.session.get_one(WebhookDelivery, (work.actor.org_id, delivery_id))
    try:
        hook = webhooks.lock(work, found.webhook_id)
    except NotFound:
        return  # It was deleted meanwhile.
    rows = _lock_waiting(work, hook, [(delivery_id, attempt), *unasked])
    if not rows or rows[0].id != delivery_id:
        return  # Another worker has kept its answer to this attempt.
    for row in rows:
        row.attempts, row.attempted_at, row.status = row.attempts + 1, work.at, answer.status
        row.failure = None if answer.good else answer.failure or "status"
    if answer.good:
        _end(rows[0], "deliver")
    elif answer.status == STATUS_GONE:
        _end(rows[0], "fail")
        _give_up(work, hook, GONE)
    else:
        _try_again(work, hook, rows, answer)


def redeliver(work: Work, delivery_id: UUID) -> WebhookDelivery:
    """Send again what was delivered or has failed, under the same id; it has all its attempts again."""
    row = work.session.scalar(
        select(WebhookDelivery).where(tenancy.mine(work, WebhookDelivery), WebhookDelivery.id == delivery_id)
    )
    if row is None:
        raise NotFound
    hook = webhooks.lock(work, row.webhook_id)
    work.session.refresh(row, with_for_update=True)
    row.state = step(DELIVERY_TRANSITIONS, row.state, "redeliver")
    row.attempts, row.due_at, row.failure, row.status = 0, work.at, None, None
    if hook.state == ACTIVE:
        enqueue_deliveries(work, [(row.id, 0)])
    return row


def send_test(work: Work, webhook_id: UUID) -> WebhookDelivery:
    """An event of no meaning, delivered like any other."""
    hook = webhooks.lock(work, webhook_id)
    row = _delivery(work, new_id(), hook, None)
    work.session.add(row)
    work.session.flush()
    if hook.state == ACTIVE:
        enqueue_deliveries(work, [(row.id, 0)], turn=hook.id)
    return row


def list_own(
    work: Work, webhook_id: UUID, after: UUID | None = None, limit: int = 50, state: str | None = None
) -> list[WebhookDelivery]:
    """Those of one webhook, the newest first."""
    hook = webhooks.get(work, webhook_id)
    query = select(WebhookDelivery).where(tenancy.mine(work, WebhookDelivery), WebhookDelivery.webhook_id == hook.id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    return list(work.session.scalars(pages.newest(query, WebhookDelivery.id, after, limit)))


def _delivery(work: Work, id_: UUID, hook: Webhook, notice: Notice | None) -> WebhookDelivery:
    return WebhookDelivery(
        org_id=hook.org_id,
        id=id_,
        webhook_id=hook.id,
        notice_id=notice and notice.id,
        kind=notice.kind if notice else TEST,
        state=WAITING,
        attempts=0,
        created_at=work.at,
        due_at=work.at,
    )


def _body(work: Work, row: WebhookDelivery) -> bytes:
    """`type`, `timestamp` of the event, `data`: ids, codes, counts and dates. The same bytes at every attempt."""
    if row.notice_id is None:
        kind, at, data = TEST, row.created_at, dict[str, Any](webhook_id=str(row.webhook_id))
    else:
        notice = notices.get(work, row.notice_id)
        kind, at = notice.kind, notice.told_at
        data = {
            "notice_id": str(notice.id),
            "lender_id": str(notice.lender_id),
            "agency_id": str(notice.agency_id),
            "subject": {"kind": notice.subject_kind, "id": str(notice.subject_id)},
            "facts": notice.facts,
        }
    event = {"type": kind, "timestamp": time_text(at), "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _lock_waiting(work: Work, hook: Webhook, deliveries: Sequence[tuple[UUID, int]]) -> Sequence[WebhookDelivery]:
    """Those of a locked webhook that still wait for just this attempt, in order."""
    rows = work.session.scalars(
        select(WebhookDelivery)
        .where(
            tenancy.mine(work, WebhookDelivery),
            WebhookDelivery.webhook_id == hook.id,
            WebhookDelivery.id.in_([id_ for id_, _ in deliveries]),
            WebhookDelivery.state == WAITING,
        )
        .order_by(WebhookDelivery.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    attempts = dict(deliveries)
    return [row for row in rows if row.attempts == attempts[row.id]]


def _end(row: WebhookDelivery, act: str) -> None:
    row.state, row.due_at = step(DELIVERY_TRANSITIONS, row.state, act), None


def _try_again(work: Work, hook: Webhook, rows: Sequence[WebhookDelivery], answer: Answer) -> None:
    """At the schedule's next time, or later where the receiver asked for that; after the last one it has failed."""
    spent = [row for row in rows if row.attempts >= ATTEMPTS_MAX]
    for row in spent:
        _end(row, "fail")
    if spent and not _got_through_since(work, spent[0]):
        _give_up(work, hook, FAILING)
    waiting = [row for row in rows if row.state == WAITING]
    if waiting:
        wait = max(SCHEDULE[waiting[0].attempts - 1], min(answer.retry_seconds or 0, SCHEDULE[-1]))
        seconds = wait * (1 + random.random() * JITTER)  # noqa: S311 (it spreads load, and guards nothing)
        for row in waiting:
            row.due_at = work.at + dt.timedelta(seconds=seconds)
        enqueue_deliveries(work, [(row.id, row.attempts) for row in waiting], delay_seconds=seconds)


def _got_through_since(work: Work, failed: WebhookDelivery) -> bool:
    """Whether the webhook took anything since this one was first tried: then it is this one that it does not take."""
    taken = select(WebhookDelivery.id).where(
        tenancy.mine(work, WebhookDelivery),
        WebhookDelivery.webhook_id == failed.webhook_id,
        WebhookDelivery.state == DELIVERED,
        WebhookDelivery.attempted_at >= failed.created_at,
    )
    return work.session.scalar(taken.limit(1)) is not None


def _give_up(work: Work, hook: Webhook, reason: str) -> None:
    """Pause it and say so, once for each time it is paused."""
    if hook.state == ACTIVE:
        webhooks.stop(work, hook, reason)
        key = f"webhook.paused/{hook.id}/{time_text(work.at)}"
        notices.tell_self(work, "webhook.paused", "webhook", hook.id, key, reason=reason)
