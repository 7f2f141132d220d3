"""Webhooks: where an organisation's own programs are told of its notices, and each attempt to do so."""

import datetime as dt
from typing import Final
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers

ACTIVE, PAUSED, DELETED = "active", "paused", "deleted"
TRANSITIONS = {
    (ACTIVE, "pause"): PAUSED,
    (PAUSED, "resume"): ACTIVE,
    (ACTIVE, "delete"): DELETED,
    (PAUSED, "delete"): DELETED,
}
# Why one is paused: by its own people; it answered 410 Gone; nothing got through for days.
BY_HAND, GONE, FAILING = "by_hand", "gone", "failing"

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
DELIVERY_TRANSITIONS = {
    (WAITING, "deliver"): DELIVERED,
    (WAITING, "fail"): FAILED,
    (DELIVERED, "redeliver"): WAITING,
    (FAILED, "redeliver"): WAITING,
}
# What became of an attempt that was not answered with success.
FAILURES = ("status", "timeout", "refused", "unknown_host", "tls", "broken_off", "address_refused", "webhook_deleted")

TEST: Final = "webhook.test"  # the event that only its sender asks for


class Webhook(Base):
    """Secrets are sealed by the platform's own principal; each is shown once, when it is made."""

    __tablename__ = "webhook"
    __table_args__ = (Index(None, "org_id", "state"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    id: Mapped[Key]
    url: Mapped[str]
    kinds: Mapped[list[str]]  # of notices; empty: all
    secret: Mapped[bytes]  # empty once it is deleted
    old_secret: Mapped[bytes | None]  # signs beside the new one until a day after
    rotated_at: Mapped[dt.datetime | None]
    state: Mapped[str]
    pause_reason: Mapped[str | None]
    created_by: Mapped[UUID]
    created_at: Mapped[dt.datetime]


class WebhookDelivery(Base):
    """One notice on its way to one webhook. Its id is the `webhook-id` of every attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        refers("org_id", "webhook_id", to="webhook", target=("org_id", "id")),
        UniqueConstraint("org_id", "webhook_id", "notice_id"),
        Index(None, "org_id", "webhook_id", "id"),
        Index("ix_webhook_delivery_waiting", "org_id", "webhook_id", "id", postgresql_where="state = 'waiting'"),
    )
    org_id: Mapped[Key]
    id: Mapped[Key]
    webhook_id: Mapped[UUID]
    notice_id: Mapped[UUID | None]  # None: a test event
    kind: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    status: Mapped[int | None]  # the last answer's
    failure: Mapped[str | None]  # of FAILURES
    created_at: Mapped[dt.datetime]
    attempted_at: Mapped[dt.datetime | None]
    due_at: Mapped[dt.datetime | None]  # when the next attempt is made; None: none will be
