"""Releases: one field class of one case, logged before it leaves, opened after the log has it.

`authorise` decides and writes, in the caller's transaction, the audit entry and the release's row; what it
returns cannot be opened before that transaction is known to be committed. An agency acts through its live
placement, whose row it locks FOR SHARE; recall and expiry lock it FOR UPDATE, so commit order decides.
The ground is in `placed_cases`, the cells in `sealed_cells`, how much one person may open in `release_limits`.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import event, exists, select
from sqlalchemy.orm import Session

from crypto.fields import FIELD_CLASSES
from crypto.vault import Vault
from models.business_day import day_of
from models.case import Case
from models.contact import Contact
from models.contact_hours import CONTACT_FROM, CONTACT_UNTIL, is_open
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError, Unavailable
from models.ids import new_id
from models.placement import PlacedCase, Placement
from models.release import REASONS, ReleaseRecord
from models.services import pages, tenancy
from models.services.collection import release_limits
from models.services.exchange import placed_cases
from models.services.oversight import audit
from models.services.sealing.sealed_cells import Sealed, cell_of, notes_of
from models.work import AGENCY, LENDER, Work

LENDER_ROLES = frozenset({"portfolio_manager", "compliance_officer"})
AGENCY_REASONS = tuple(reason for reason in REASONS if reason != "audit_sample")

TIMED_CLASSES = ("contact", "related")

# A borrower counts as lost when nobody has spoken to them and this many attempts on so many days met no answer.
LOST_ATTEMPTS_MIN = 3
LOST_DAYS_MIN = 2
UNANSWERED = ("ring_no_answer", "voicemail_left", "voicemail_no_message", "busy", "not_in_service")


class Release:
    """Authorised and not yet open; `record` is what was written about it."""

    __slots__ = ("_committed", "_sealed", "_transaction", "record")

    def __init__(self, session: Session, record: ReleaseRecord, sealed: Sealed) -> None:
        # A savepoint could be rolled back and take the entry with it while the transaction commits.
        assert not session.in_nested_transaction()
        self.record = record
        self._sealed = sealed
        self._transaction = session.get_transaction()
        self._committed = False
        event.listen(session, "after_commit", self._after_commit)

    @property
    def id(self) -> UUID:
        return self.record.id

    @property
    def entry_leaf(self) -> bytes:
        """The leaf hash of its audit entry: what a receipt names."""
        return self.record.entry_leaf

    @property
    def packed(self) -> bool:
        """Whether `open` answers a package, for whoever asked holds the key."""
        return self._sealed.packed

    def open(self, vault: Vault) -> dict[str, Any]:
        """Field → value; of class `notes`, contact id → text. Where it is `packed`, a `consign-package/1`.

        Unavailable unless the transaction that logged the release is known to be committed: not while it runs,
        not after a rollback, and not when its outcome is unknown.
        """
        if not self._committed:
            raise Unavailable("release_not_committed")
        return self._sealed.open(vault)

    def _after_commit(self, session: Session) -> None:
        # SQLAlchemy calls this for savepoints too, and would for a later transaction of the session.
        if not session.in_nested_transaction() and session.get_transaction() is self._transaction:
            self._committed = True

    def __repr__(self) -> str:
        return f"<Release {self.record.id}>"


def authorise(
    work: Work, case_id: UUID, field_class: str, reason: str, find: Callable[..., Sealed] | None = None
) -> Release:
    """Log the release of one field class, for an agency's member on a case placed with it, or for the lender's own.

    `find(work, case, placement)` answers what is opened where that is not all of the class: one document.

    Raises NotFound for a case that is not theirs; Forbidden where role or assignment do not allow it, or a proof
    of who asks is missing; CaseClosedToWork where the case may not be worked; Conflict where class or hour do not
    allow it, or where there is nothing in the class; TooMany beyond quota or pace; Unavailable while the log does
    not run.
    """
    _refuse_impossible(work, field_class, reason)
    if work.actor.side == AGENCY:
        placed = placed_cases.get_placed(work, case_id)
        opened = release_limits.require_person(work, case_id, field_class)
        with work.as_lender(placed.placement):
            held = placed_cases.hold(work, placed)
            held.require("release")
            release_limits.require_of_lender(work, opened, held.case, placed.placement, held.at)
            return _release(work, held.case, placed.placement, held.at, field_class, reason, find)
    if work.actor.side != LENDER or not LENDER_ROLES & work.actor.roles:
        raise Forbidden
    own_case = select(Case).where(tenancy.own(work, Case), Case.id == case_id)
    case = work.session.scalar(own_case.with_for_update(read=True))  # an erasure locks it FOR UPDATE
    if case is None:
        raise NotFound
    opened, at = release_limits.require_person(work, case_id, field_class), work.now()
    release_limits.require_of_lender(work, opened, case, None, at)
    return _release(work, case, None, at, field_class, reason, find)


def list_of_case(work: Work, case_id: UUID) -> list[ReleaseRecord]:
    """Every release of a case, newest first: for an agency its own, of a case that is or was placed with it."""
    known = (
        exists().where(tenancy.own(work, PlacedCase), PlacedCase.case_id == case_id)
        if work.actor.side == AGENCY
        else exists().where(tenancy.own(work, Case), Case.id == case_id)
    )
    if not work.session.scalar(select(known)):
        raise NotFound
    return list(
        work.session.scalars(
            select(ReleaseRecord)
            .where(tenancy.own(work, ReleaseRecord), ReleaseRecord.case_id == case_id)
            .order_by(ReleaseRecord.id.desc())
        )
    )


def list_own(work: Work, after: UUID | None = None, limit: int = 50) -> list[ReleaseRecord]:
    """Newest first: for the lender and its auditor of all its cases, for an agency those its people made."""
    query = select(ReleaseRecord).where(tenancy.own(work, ReleaseRecord))
    return list(work.session.scalars(pages.newest(query, ReleaseRecord.id, after, limit)))


def is_lost(contacts: Iterable[Contact]) -> bool:
    """Whether these contacts show a borrower who cannot be reached."""
    days = []
    for contact in contacts:
        if contact.party == "debtor" and contact.outcome == "conversation":
            return False
        if contact.party in ("debtor", "unknown") and contact.direction == "outbound" and contact.outcome in UNANSWERED:
            days.append(day_of(contact.occurred_at))
    return len(days) >= LOST_ATTEMPTS_MIN and len(set(days)) >= LOST_DAYS_MIN


def _refuse_impossible(work: Work, field_class: str, reason: str) -> None:
    reasons = AGENCY_REASONS if work.actor.side == AGENCY else REASONS
    faults = {"field_class": field_class not in FIELD_CLASSES, "reason": reason not in reasons}
    errors = [RowError(0, field, "unknown_value") for field, faulty in faults.items() if faulty]
    if errors:
        raise Invalid(errors=errors)


def _release(
    work: Work,
    case: Case,
    placement: Placement | None,
    at: dt.datetime,
    field_class: str,
    reason: str,
    find: Callable[..., Sealed] | None,
) -> Release:
    """Stands in the lender's tenant, whoever asks."""
    if case.erased_at is not None:
        raise Conflict("case_erased")
    agency_id = placement.agency_id if placement else None
    # An agency opens contact data in order to use it, whatever the reason it gives; the lender may check at night.
    if field_class in TIMED_CLASSES and (placement or reason == "contact_borrower") and not is_open(at):
        raise Conflict("outside_contact_hours", open_from=f"{CONTACT_FROM:%H:%M}", open_until=f"{CONTACT_UNTIL:%H:%M}")
    if field_class == "related" and not is_lost(_contacts_with(work, case, agency_id)):
        raise Conflict("borrower_not_lost")
    audit.require_running(work)
    sealed = find(work, case, placement) if find else _of_class(work, case, placement, field_class)
    release_id = new_id()
    assert work.actor.member_id is not None
    entry_leaf = audit.record(
        work,
        audit.Action.FIELD_RELEASE,
        {
            "release": release_id,
            "case": case.id,
            "agency": agency_id,
            "placement": placement.id if placement else None,
            "field_class": field_class,
            "reason": reason,
            "cell_version": sealed.version,
            "cell_digest": sealed.digest,
        },
        at=at,  # as `released_at` below: the lender's entry and the agency's receipt tell one time
    )
    record = ReleaseRecord(
        lender_id=case.lender_id,
        id=release_id,
        org_id=work.actor.org_id,
        agency_id=agency_id,
        placement_id=placement.id if placement else None,
        case_id=case.id,
        borrower_id=case.borrower_id,
        member_id=work.actor.member_id,
        member_name=work.actor.name,
        field_class=field_class,
        reason=reason,
        cell_version=sealed.version,
        cell_digest=sealed.digest,
        entry_leaf=entry_leaf,
        released_at=at,
    )
    work.session.add(record)
    work.session.flush()
    return Release(work.session, record, sealed)


def _of_class(work: Work, case: Case, placement: Placement | None, field_class: str) -> Sealed:
    return notes_of(work, case, placement) if field_class == "notes" else cell_of(work, case, field_class, placement)


def _contacts_with(work: Work, case: Case, agency_id: UUID | None) -> list[Contact]:
    """What is known of attempts to reach the borrower: to an agency by its own, to the lender by all."""
    query = select(Contact).where(tenancy.of_lender(case.lender_id, Contact), Contact.borrower_id == case.borrower_id)
    if agency_id is not None:
        query = query.where(Contact.agency_id == agency_id)
    contacts = work.session.scalars(query).all()
    corrected = {contact.corrects_id for contact in contacts}
    return [contact for contact in contacts if contact.id not in corrected]
