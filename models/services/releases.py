"""Releases: one field class of one case, logged before it leaves, opened after the log has it.

`authorise` decides and writes, in the caller's transaction, the audit entry and the release's row; what it
returns cannot be opened before that transaction is known to be committed. An agency acts through its live
placement, whose row it locks FOR SHARE; recall and expiry lock it FOR UPDATE, so commit order decides.
`get_placed` and `hold` are that ground, and whatever an agency reports on a case stands on it too.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import and_, event, exists, func, select
from sqlalchemy.orm import Session

from crypto.cells import CellName, case_key, open_cell
from crypto.grants import WrapContext
from crypto.secret import Secret
from crypto.vault import Vault
from models.business_day import day_of, start_of
from models.case import Case, CaseSalt, CaseSealing
from models.case_actions import Standing, actions
from models.contact import Contact
from models.contact_hours import CONTACT_FROM, CONTACT_UNTIL, is_open
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound, RowError, TooMany, Unavailable
from models.ids import new_id
from models.notes import NoteName, epoch_of, open_note
from models.placement import Assignment, PlacedCase, Placement
from models.portfolio import FIELD_CLASSES, ClassKey
from models.release import REASONS, ReleaseRecord
from models.services import audit, pages, placements, tenancy, turns
from models.work import AGENCY, LENDER, Work

LENDER_ROLES = frozenset({"portfolio_manager", "compliance_officer"})
AGENCY_REASONS = tuple(reason for reason in REASONS if reason != "audit_sample")

RELEASES_PER_DAY_MAX = 200  # of one member, over all lenders
TIMED_CLASSES = ("contact", "related")

# A borrower counts as lost when nobody has spoken to them and this many attempts on so many days met no answer.
LOST_ATTEMPTS_MIN = 3
LOST_DAYS_MIN = 2
UNANSWERED = ("ring_no_answer", "voicemail_left", "voicemail_no_message", "busy", "not_in_service")


class Placed(NamedTuple):
    """A case in an agency's hands, now or, where `placed_case.ended_at` is set, before."""

    placement: Placement
    placed_case: PlacedCase
    assigned: bool  # to the actor


class Held(NamedTuple):
    """A case whose placement stands and is locked until the transaction ends; `at` is the time after the lock."""

    case: Case
    at: dt.datetime
    standing: Standing

    def require(self, action: str) -> None:
        """Raise CaseClosedToWork with the reason that `models.case_actions` gives, if any."""
        if code := actions(self.standing, self.at)[action]:
            raise CaseClosedToWork(code)


class Sealed(Protocol):
    """What a release opens. `version` and `digest` say which bytes exactly, without saying what is in them."""

    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    def open(self, vault: Vault) -> dict[str, str]: ...


@dataclass(frozen=True, repr=False)
class CaseKeyPath:
    """The way to a case's key of one field class: the wrapped class key and the case's salt. Nothing is open yet."""

    lender_id: UUID
    portfolio_id: UUID
    field_class: str
    epoch: int
    wrapped: bytes
    reference: bytes
    salt: bytes

    def derive(self, vault: Vault) -> Secret:
        context = WrapContext(
            "class-key", self.lender_id.bytes, self.portfolio_id.bytes, self.field_class, epoch=self.epoch
        )
        class_key = vault.open_key(str(self.lender_id), self.wrapped, context)
        return case_key(class_key, self.portfolio_id.bytes, self.reference, self.salt)


@dataclass(frozen=True, repr=False)
class SealedCell:
    path: CaseKeyPath
    version: int
    cell: bytes

    @property
    def digest(self) -> bytes:
        return sha256(self.cell).digest()

    def open(self, vault: Vault) -> dict[str, str]:
        path = self.path
        name = CellName(path.portfolio_id.bytes, path.reference, path.field_class, self.version)
        return {field: str(value) for field, value in open_cell(path.derive(vault), name, self.cell).items()}


@dataclass(frozen=True, repr=False)
class SealedNotes:
    """The notes of a case by contact; `paths` by epoch."""

    paths: dict[int, CaseKeyPath]
    notes: dict[UUID, bytes]

    @property
    def version(self) -> int:
        return len(self.notes)

    @property
    def digest(self) -> bytes:
        """Over the digest of each note, oldest first."""
        return sha256(b"".join(sha256(note).digest() for note in self.notes.values())).digest()

    def open(self, vault: Vault) -> dict[str, str]:
        keys = {epoch: path.derive(vault) for epoch, path in self.paths.items()}
        opened = {}
        for contact_id, sealed in self.notes.items():
            path = self.paths[epoch_of(sealed)]
            name = NoteName(path.portfolio_id.bytes, path.reference, contact_id.bytes)
            opened[str(contact_id)] = open_note(keys[path.epoch], name, sealed)
        return opened


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

    def open(self, vault: Vault) -> dict[str, str]:
        """Field → value; of class `notes`, contact id → text.

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


def authorise(work: Work, case_id: UUID, field_class: str, reason: str) -> Release:
    """Log the release of one field class, for an agency's member on a case placed with it, or for the lender's own.

    Raises NotFound for a case that is not theirs; Forbidden where role or assignment do not allow it;
    CaseClosedToWork where the case may not be worked; Conflict where class or hour do not allow it, or where
    there is nothing in the class; TooMany beyond the day's quota; Unavailable while the log does not run.
    """
    _refuse_impossible(work, field_class, reason)
    if work.actor.side == AGENCY:
        placed = get_placed(work, case_id)
        _take_from_quota(work)
        with work.as_lender(placed.placement):
            held = hold(work, placed)
            held.require("release")
            return _release(work, held.case, placed.placement, held.at, field_class, reason)
    if work.actor.side != LENDER or not LENDER_ROLES & work.actor.roles:
        raise Forbidden
    case = work.session.scalar(select(Case).where(tenancy.own(work, Case), Case.id == case_id))
    if case is None:
        raise NotFound
    _take_from_quota(work)
    return _release(work, case, None, work.now(), field_class, reason)


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


def get_placed(work: Work, case_id: UUID) -> Placed:
    """The agency's latest placing of the case, read in its own context: the live one, if any.

    NotFound where it never had the case; Forbidden for a collector to whom the case is not assigned.
    """
    assigned = exists().where(
        tenancy.own(work, Assignment),
        Assignment.lender_id == PlacedCase.lender_id,
        Assignment.placement_id == PlacedCase.placement_id,
        Assignment.case_id == PlacedCase.case_id,
        Assignment.collector_id == work.actor.member_id,
    )
    found = work.session.execute(
        select(Placement, PlacedCase, assigned)
        .join(
            PlacedCase,
            and_(PlacedCase.lender_id == Placement.lender_id, PlacedCase.placement_id == Placement.id),
        )
        .where(tenancy.own(work, Placement), tenancy.own(work, PlacedCase), PlacedCase.case_id == case_id)
        .order_by(PlacedCase.ended_at.is_not(None), PlacedCase.placement_seq.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound
    placed = Placed(*found)
    if "manager" not in work.actor.roles and not placed.assigned:
        raise Forbidden("not_assigned")
    return placed


def hold(work: Work, placed: Placed) -> Held:
    """Lock the placement FOR SHARE and read the case as it stands then. To be called within `as_lender`.

    Raises CaseClosedToWork where the case has been recalled, or its placement is over or not yet acknowledged.
    """
    placement = placed.placement
    work.session.refresh(placement, with_for_update={"read": True})
    case, ended_at, end_reason = work.session.execute(
        select(Case, PlacedCase.ended_at, PlacedCase.end_reason)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(
            tenancy.of_lender(placement.lender_id, Case),
            Case.id == placed.placed_case.case_id,
            PlacedCase.placement_id == placement.id,
        )
        .execution_options(populate_existing=True)
    ).one()
    if ended_at is not None:
        raise CaseClosedToWork(code_of_end(end_reason))
    standing = Standing(
        side=AGENCY,
        roles=work.actor.roles,
        status=case.status,
        placement_state=placement.state,
        expires_at=placement.expires_at,
        assigned_to_me=placed.assigned,
        offered=False,
    )
    held = Held(case, work.now(), standing)
    held.require("record_claim")  # the least that a live placement allows
    return held


def code_of_end(end_reason: str | None) -> str:
    """What an agency is told of a case that it no longer has."""
    return "placement_expired" if end_reason == placements.EXPIRY else "case_recalled"


def key_path(work: Work, case: Case, field_class: str, epoch: int | None = None) -> CaseKeyPath:
    """The way to the case's key, of this or of the newest epoch. Only the lender's tenant has it.

    Conflict `case_erased` where the salt is gone.
    """
    query = (
        select(ClassKey.epoch, ClassKey.wrapped, CaseSalt.salt)
        .join(CaseSalt, CaseSalt.lender_id == ClassKey.lender_id)
        .where(
            tenancy.of_lender(case.lender_id, ClassKey),
            tenancy.of_lender(case.lender_id, CaseSalt),
            ClassKey.portfolio_id == case.portfolio_id,
            ClassKey.field_class == field_class,
            CaseSalt.case_id == case.id,
        )
        .order_by(ClassKey.epoch.desc())
        .limit(1)
    )
    found = work.session.execute(query if epoch is None else query.where(ClassKey.epoch == epoch)).one_or_none()
    if found is None:
        raise Conflict("case_erased")
    return CaseKeyPath(
        lender_id=case.lender_id,
        portfolio_id=case.portfolio_id,
        field_class=field_class,
        epoch=found.epoch,
        wrapped=found.wrapped,
        reference=case.reference.encode(),
        salt=found.salt,
    )


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


def _take_from_quota(work: Work) -> None:
    """One release of a member at a time, so that two cannot both be the last one."""
    turns.take(work, f"releases/{work.actor.member_id}")
    used = work.session.scalar(
        select(func.count()).where(
            tenancy.own(work, ReleaseRecord),
            ReleaseRecord.org_id == work.actor.org_id,
            ReleaseRecord.member_id == work.actor.member_id,
            ReleaseRecord.released_at >= start_of(day_of(work.at)),
        )
    )
    if (used or 0) >= RELEASES_PER_DAY_MAX:
        raise TooMany("release_quota_used", per_day_max=RELEASES_PER_DAY_MAX)


def _release(
    work: Work, case: Case, placement: Placement | None, at: dt.datetime, field_class: str, reason: str
) -> Release:
    """Stands in the lender's tenant, whoever asks."""
    agency_id = placement.agency_id if placement else None
    if field_class in TIMED_CLASSES and reason == "contact_borrower" and not is_open(at):
        raise Conflict("outside_contact_hours", open_from=f"{CONTACT_FROM:%H:%M}", open_until=f"{CONTACT_UNTIL:%H:%M}")
    if field_class == "related" and not is_lost(_contacts_with(work, case, agency_id)):
        raise Conflict("borrower_not_lost")
    audit.require_running(work)
    sealed = _notes(work, case, agency_id) if field_class == "notes" else _cell(work, case, field_class)
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


def _contacts_with(work: Work, case: Case, agency_id: UUID | None) -> list[Contact]:
    """What is known of attempts to reach the borrower: to an agency by its own, to the lender by all."""
    query = select(Contact).where(tenancy.of_lender(case.lender_id, Contact), Contact.borrower_id == case.borrower_id)
    if agency_id is not None:
        query = query.where(Contact.agency_id == agency_id)
    contacts = work.session.scalars(query).all()
    corrected = {contact.corrects_id for contact in contacts}
    return [contact for contact in contacts if contact.id not in corrected]


def _cell(work: Work, case: Case, field_class: str) -> SealedCell:
    """The class's cell of its highest version."""
    column = getattr(CaseSealing, field_class)
    found = work.session.execute(
        select(CaseSealing.version, CaseSealing.epoch, column)
        .where(tenancy.of_lender(case.lender_id, CaseSealing), CaseSealing.case_id == case.id, column.is_not(None))
        .order_by(CaseSealing.version.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise Conflict("nothing_to_release")
    version, epoch, cell = found
    return SealedCell(key_path(work, case, field_class, epoch), version, cell)


def _notes(work: Work, case: Case, agency_id: UUID | None) -> SealedNotes:
    """The notes of the case: an agency's own, or all for the lender."""
    query = (
        select(Contact.id, Contact.note)
        .where(tenancy.of_lender(case.lender_id, Contact), Contact.case_id == case.id, Contact.note.is_not(None))
        .order_by(Contact.id)
    )
    rows = work.session.execute(query if agency_id is None else query.where(Contact.agency_id == agency_id))
    notes = {contact_id: note for contact_id, note in rows if note is not None}
    if not notes:
        raise Conflict("nothing_to_release")
    epochs = {epoch_of(note) for note in notes.values()}
    return SealedNotes({epoch: key_path(work, case, "notes", epoch) for epoch in epochs}, notes)
