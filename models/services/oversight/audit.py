"""Entries of the audit log: written in the act's own transaction, to the log of whose data it touches."""

import datetime as dt
import os
from collections.abc import Collection, Iterable
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, cast, func, insert, select

from crypto.canonical import canonical
from crypto.merkle import leaf_hash
from models.audit import LogHead, OutboxEntry
from models.errors import Unavailable
from models.work import Work

FORMAT = "consign/entry/1"
ENTRY_CASES_MAX = 1000  # an entry names no more cases than this
OUTBOX_AGE_SECONDS_MAX = 30  # older than this, the log counts as down and nothing is released
# The tenant the transaction stands in: the lender's while crossing, else the actor's own.
CURRENT_TENANT = cast(func.nullif(func.current_setting("app.org_id"), ""), Uuid)


# On the table, not the class, and made once: every act runs it.
_OUTBOX: Any = OutboxEntry.__table__
APPEND = insert(_OUTBOX).values(
    org_id=func.coalesce(bindparam("org_id", type_=Uuid), CURRENT_TENANT),
    **{name: bindparam(name) for name in ("entry", "salt", "recorded_at")},
)


class Action(StrEnum):
    """Everything that is logged, `noun.verb`."""

    ORGANISATION_CREATE = "organisation.create"
    KEY_PUBLISH = "key.publish"
    KEY_CONFIRM = "key.confirm"
    KEY_ROTATE = "key.rotate"
    KEY_REWRAP = "key.rewrap"
    KEY_RETIRE = "key.retire"
    PORTFOLIO_REKEY = "portfolio.rekey"
    PORTFOLIO_REKEYED = "portfolio.rekeyed"
    INDEX_ROTATE = "index.rotate"
    INDEX_ACTIVATE = "index.activate"
    KEY_ORDER_CREATE = "key_order.create"
    KEY_ORDER_DOWNLOAD = "key_order.download"
    KEY_ORDER_ANSWER = "key_order.answer"
    KEY_ORDER_CANCEL = "key_order.cancel"
    MEMBER_CREATE = "member.create"
    MEMBER_SIGN_IN = "member.sign_in"
    MEMBER_PASSWORD = "member.password"
    MEMBER_PROOF = "member.proof"
    MEMBER_TOTP_ADD = "member.totp_add"
    MEMBER_TOTP_REMOVE = "member.totp_remove"
    TOKEN_CREATE = "token.create"
    TOKEN_REVOKE = "token.revoke"
    MANDATE_GRANT = "mandate.grant"
    AGREEMENT_CREATE = "agreement.create"
    AGREEMENT_APPROVE = "agreement.approve"
    AGREEMENT_REFUSE = "agreement.refuse"
    AGREEMENT_CHANGE = "agreement.change"
    AGREEMENT_END = "agreement.end"
    RATE_CARD_PROPOSE = "rate_card.propose"
    RATE_CARD_APPROVE = "rate_card.approve"
    RATE_CARD_REFUSE = "rate_card.refuse"
    RATE_CARD_WITHDRAWAL_ASK = "rate_card.ask_withdrawal"
    RATE_CARD_WITHDRAWAL_REFUSE = "rate_card.refuse_withdrawal"
    RATE_CARD_WITHDRAW = "rate_card.withdraw"
    STANDARD_TERMS_PROPOSE = "standard_terms.propose"
    STANDARD_TERMS_APPROVE = "standard_terms.approve"
    STANDARD_TERMS_REFUSE = "standard_terms.refuse"
    AGENCY_DOCUMENT_RECORD = "agency_document.record"
    AGENCY_DOCUMENT_ATTEST = "agency_document.attest"
    AGENCY_DOCUMENT_ACCEPT = "agency_document.accept"
    AGENCY_DOCUMENT_WITHDRAW = "agency_document.withdraw"
    AGENCY_WATCH = "agency.watch"
    AGENCY_SUSPEND = "agency.suspend"
    AGENCY_FREEZE = "agency.freeze"
    AGENCY_CLEAR = "agency.clear"
    AGENCY_REMOVE = "agency.remove"
    AGENCY_COMPLAINTS = "agency.complaints"
    TENDER_CREATE = "tender.create"
    TENDER_APPROVE = "tender.approve"
    TENDER_REFUSE = "tender.refuse"
    TENDER_COMMIT = "tender.commit"
    TENDER_WITHDRAW = "tender.withdraw"
    TENDER_RUN_OUT = "tender.run_out"
    TENDER_UNDO = "tender.undo"
    TENDER_AWARD = "tender.award"
    BID_COMMIT = "bid.commit"
    BID_WITHDRAW = "bid.withdraw"
    BID_REVEAL = "bid.reveal"
    BID_OPEN = "bid.open"
    PORTFOLIO_UPLOAD = "portfolio.upload"
    OFFER_CREATE = "offer.create"
    OFFER_ACCEPT = "offer.accept"
    OFFER_DECLINE = "offer.decline"
    OFFER_WITHDRAW = "offer.withdraw"
    OFFER_EXPIRE = "offer.expire"
    PLACEMENT_ACKNOWLEDGE = "placement.acknowledge"
    PLACEMENT_RECALL = "placement.recall"
    PLACEMENT_EXPIRE = "placement.expire"
    PLACEMENT_FREEZE = "placement.freeze"
    PLACEMENT_UNFREEZE = "placement.unfreeze"
    CASE_RECALL = "case.recall"
    CASE_RETURN = "case.return"
    ACKNOWLEDGEMENT_BREAK = "acknowledgement.break"
    RECALL_REQUEST = "recall.request"
    RECALL_OBJECT = "recall.object"
    RECALL_KEEP = "recall.keep"
    RECALL_WITHDRAW = "recall.withdraw"
    STOP_CONFIRM = "stop.confirm"
    STOP_MISS = "stop.miss"
    RETENTION_REQUEST = "retention.request"
    RETENTION_APPROVE = "retention.approve"
    RETENTION_REFUSE = "retention.refuse"
    CASE_ASSIGN = "case.assign"
    CASE_CORRECT = "case.correct"
    FIELD_RELEASE = "field.release"
    RELEASE_PACE = "release.pace"
    CASE_SEARCH = "case.search"
    ACCESS_REFUSED = "access.refused"
    CONTACT_RECORD = "contact.record"
    PROMISE_RECORD = "promise.record"
    CLAIM_RECORD = "claim.record"
    FEED_RECEIVE = "feed.receive"
    RECONCILIATION_RUN = "reconciliation.run"
    COMMISSION_BOOK = "commission.book"
    BREACH_FLAG = "breach.flag"
    BREACH_VIEW = "breach.view"
    EXPORT_REQUEST = "export.request"
    EXPORT_APPROVE = "export.approve"
    EXPORT_REFUSE = "export.refuse"
    EXPORT_DOWNLOAD = "export.download"
    DOCUMENT_ADD = "document.add"
    DOCUMENT_RESEAL = "document.reseal"
    ERASURE_CARRY_OUT = "erasure.carry_out"
    ERASURE_REPEAT = "erasure.repeat"
    HOLD_PLACE = "hold.place"
    HOLD_LIFT = "hold.lift"
    EXCLUSION_RECORD = "exclusion.record"
    EXCLUSION_FILE = "exclusion.file"
    EXCLUSION_LIFT = "exclusion.lift"
    SETTING_CHANGE = "setting.change"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_ROTATE = "webhook.rotate"
    WEBHOOK_PAUSE = "webhook.pause"
    WEBHOOK_RESUME = "webhook.resume"
    WEBHOOK_DELETE = "webhook.delete"


def named(case_ids: Collection[UUID]) -> list[UUID] | None:
    """The cases as an entry names them; None where they are more than it holds: what was done stands in their rows."""
    return sorted(set(case_ids)) if len(case_ids) <= ENTRY_CASES_MAX else None


def record(
    work: Work, action: Action, subject: dict[str, Any], org_id: UUID | None = None, at: dt.datetime | None = None
) -> bytes:
    """Append one entry; answers its leaf hash, which is what a receipt names.

    `subject` holds ids, counts, codes and digests, never a personal value. The log is the one of the
    tenant in whose context the transaction stands now, unless the operator names another. `at` is the act's
    time where that is not the Work's: whoever names the time elsewhere too names the same.
    """
    row = _row(work, action, subject, org_id, at)
    work.session.execute(APPEND, row)
    return leaf_hash(sha256(row["salt"] + row["entry"]).digest())


def record_each(work: Work, action: Action, subjects: Iterable[dict[str, Any]]) -> None:
    """An entry for each subject, in their order and in one statement; as above, to the log of the tenant here."""
    if rows := [_row(work, action, subject) for subject in subjects]:
        work.session.execute(APPEND, rows)


def time_text(at: dt.datetime) -> str:
    """A time as entries and receipts tell it."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def require_running(work: Work) -> None:
    """Refuse where the log has forked or has not taken its oldest entry for too long: no log, no plaintext."""
    waiting = select(func.min(OutboxEntry.recorded_at)).where(OutboxEntry.org_id == CURRENT_TENANT)
    forked = select(LogHead.forked_at).where(LogHead.org_id == CURRENT_TENANT)
    oldest, forked_at = work.session.execute(select(waiting.scalar_subquery(), forked.scalar_subquery())).one()
    if forked_at or (oldest and (work.at - oldest).total_seconds() > OUTBOX_AGE_SECONDS_MAX):
        raise Unavailable("log_down", retry_seconds=30)


def _row(
    work: Work, action: Action, subject: dict[str, Any], org_id: UUID | None = None, at: dt.datetime | None = None
) -> dict[str, Any]:
    entry = canonical(
        {
            "format": FORMAT,
            "action": action.value,
            "actor": work.actor.label,
            "at": time_text(at or work.at),
            "subject": {key: _plain(value) for key, value in subject.items() if value is not None},
        }
    )
    # Not `work.at`: how long an entry waits is counted from here, however long the act took before.
    return {"org_id": org_id, "entry": entry, "salt": os.urandom(32), "recorded_at": work.now()}


def _plain(value: Any) -> Any:
    """Ids, days and digests as text; numbers and text as they are."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return str(value)
