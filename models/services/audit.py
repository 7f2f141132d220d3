"""Entries of the audit log: written in the act's own transaction, to the log of whose data it touches."""

import datetime as dt
import os
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, cast, func, insert, select

from crypto.canonical import canonical
from crypto.merkle import leaf_hash
from models.audit import OutboxEntry
from models.errors import Unavailable
from models.work import Work

FORMAT = "consign/entry/1"
OUTBOX_AGE_SECONDS_MAX = 30  # older than this, the log counts as down and nothing is released
# The tenant the transaction stands in: the lender's while crossing, else the actor's own.
CURRENT_TENANT = cast(func.nullif(func.current_setting("app.org_id"), ""), Uuid)


class Action(StrEnum):
    """Everything that is logged, `noun.verb`."""

    ORGANISATION_CREATE = "organisation.create"
    MEMBER_CREATE = "member.create"
    MEMBER_SIGN_IN = "member.sign_in"
    MEMBER_PASSWORD = "member.password"
    TOKEN_CREATE = "token.create"
    TOKEN_REVOKE = "token.revoke"
    MANDATE_GRANT = "mandate.grant"
    AGREEMENT_CREATE = "agreement.create"
    PORTFOLIO_UPLOAD = "portfolio.upload"
    OFFER_CREATE = "offer.create"
    OFFER_ACCEPT = "offer.accept"
    OFFER_DECLINE = "offer.decline"
    OFFER_WITHDRAW = "offer.withdraw"
    OFFER_EXPIRE = "offer.expire"
    PLACEMENT_ACKNOWLEDGE = "placement.acknowledge"
    PLACEMENT_RECALL = "placement.recall"
    PLACEMENT_EXPIRE = "placement.expire"
    CASE_RECALL = "case.recall"
    CASE_ASSIGN = "case.assign"
    FIELD_RELEASE = "field.release"
    CONTACT_RECORD = "contact.record"
    PROMISE_RECORD = "promise.record"
    CLAIM_RECORD = "claim.record"
    FEED_RECEIVE = "feed.receive"
    RECONCILIATION_RUN = "reconciliation.run"
    COMMISSION_BOOK = "commission.book"
    BREACH_FLAG = "breach.flag"
    BREACH_VIEW = "breach.view"
    EXPORT_DOWNLOAD = "export.download"


def record(work: Work, action: Action, subject: dict[str, Any], org_id: UUID | None = None) -> bytes:
    """Append one entry; answers its leaf hash, which is what a receipt names.

    `subject` holds ids, counts, codes and digests, never a personal value. The log is the one of the
    tenant in whose context the transaction stands now, unless the operator names another.
    """
    entry = canonical(
        {
            "format": FORMAT,
            "action": action.value,
            "actor": work.actor.label,
            "at": work.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
            "subject": {key: _plain(value) for key, value in subject.items() if value is not None},
        }
    )
    salt = os.urandom(32)
    work.session.execute(
        insert(OutboxEntry).values(
            org_id=org_id or CURRENT_TENANT,
            entry=entry,
            salt=salt,
            # Not `work.at`: how long an entry waits is counted from here, however long the act took before.
            recorded_at=work.now(),
        )
    )
    return leaf_hash(sha256(salt + entry).digest())


def require_running(work: Work) -> None:
    """Refuse where the log has not taken its oldest entry for too long: no log, no plaintext."""
    oldest = work.session.scalar(select(func.min(OutboxEntry.recorded_at)).where(OutboxEntry.org_id == CURRENT_TENANT))
    if oldest and (work.at - oldest).total_seconds() > OUTBOX_AGE_SECONDS_MAX:
        raise Unavailable("log_down", retry_seconds=30)


def _plain(value: Any) -> Any:
    """Ids, days and digests as text; numbers and text as they are."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return str(value)
