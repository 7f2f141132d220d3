"""The contact log: what an agency reports of an attempt to reach somebody on a case placed with it."""

import datetime as dt
import re
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.dialects.postgresql import insert

from crypto import free_text
from crypto.packages import NOTES_VERSION
from models import notes
from models.activity_file import CHANNELS, DIRECTIONS, OUTCOMES, PARTIES
from models.case import Case
from models.claim import Claim
from models.columns import CODE_SHAPE
from models.contact import Contact
from models.errors import Conflict, Invalid, NotFound, RowError, outside
from models.identifiers import looks_personal
from models.ids import new_id
from models.ledger import CaseBalance, Feed
from models.placement import Placement
from models.promise import Promise
from models.services import tenancy
from models.services.exchange import placed_cases
from models.services.exchange.placed_cases import Held, Placed
from models.services.oversight import audit
from models.services.sealing import key_paths
from models.work import AGENCY, Work

AHEAD_MAX = dt.timedelta(minutes=5)  # by which a reporter's clock may be fast
DURATION_SECONDS_MAX = 24 * 3600


class ContactReport(NamedTuple):
    """`external_ref` is the agency's own number of the event; `corrects_id` the contact this one replaces."""

    channel: str
    direction: str
    party: str
    outcome: str
    occurred_at: dt.datetime
    duration_seconds: int | None = None
    external_ref: str | None = None
    note: str | None = None
    corrects_id: UUID | None = None
    source: str = "api"


def record(work: Work, case_id: UUID, report: ContactReport) -> Contact:
    """Append a contact; reported again under the same `external_ref` it is answered as it stands.

    Raises as `placed_cases.get_placed` and `placed_cases.hold` do; CaseClosedToWork too for an outbound contact made
    after the case closed; Conflict `external_ref_taken` where the number stands for another event.
    """
    placed = placed_cases.get_placed(work, case_id)
    _refuse_impossible(work, placed, report)
    if standing := _find(work, placed, report.external_ref):
        return _same_event(standing, case_id, report)
    _require_corrected(work, case_id, report.corrects_id)
    contact_id = new_id()
    with work.as_lender(placed.placement):
        held = placed_cases.hold(work, placed)
        _require_open(work, held, report)
        note = _seal(work, held.case, placed.placement, contact_id, report.note) if report.note is not None else None
    contact = _append(work, placed, held.case.borrower_id, contact_id, report, note)
    if contact is None:  # The same report came in twice at once, and the other was first.
        standing = _find(work, placed, report.external_ref)
        assert standing is not None
        return _same_event(standing, case_id, report)
    with work.as_lender(placed.placement):
        audit.record(
            work,
            audit.Action.CONTACT_RECORD,
            {
                "contact": contact.id,
                "case": contact.case_id,
                "agency": contact.agency_id,
                "placement": contact.placement_id,
                "channel": contact.channel,
                "outcome": contact.outcome,
                "corrects": contact.corrects_id,
            },
        )
    return contact


def get(work: Work, contact_id: UUID) -> Contact:
    found = work.session.scalar(select(Contact).where(reported(work, Contact), Contact.id == contact_id))
    if found is None:
        raise NotFound
    return found


def reported(work: Work, table: type[Contact] | type[Claim] | type[Promise]) -> ColumnElement[bool]:
    """The reports that the actor may read one by one: a collector those they made themselves."""
    if work.actor.side == AGENCY and "manager" not in work.actor.roles:
        return and_(tenancy.own(work, table), table.member_id == work.actor.member_id)
    return tenancy.own(work, table)


def fault_of_reference(text: str) -> str | None:
    """Why a text cannot be a reference of the agency's: it stays in the clear, so nobody's number may hide in it."""
    if not re.fullmatch(CODE_SHAPE, text):
        return "reference_shape"
    return "reference_personal" if looks_personal(text) else None


def closed_since() -> ColumnElement[Any]:
    """When the ledger first gave the `Case` of the query the status it has now. Only the lender's tenant knows."""
    return (
        select(func.min(Feed.received_at))
        .join(CaseBalance, and_(CaseBalance.lender_id == Feed.lender_id, CaseBalance.feed_id == Feed.id))
        .where(
            CaseBalance.lender_id == Case.lender_id,
            CaseBalance.case_id == Case.id,
            CaseBalance.status == Case.status,
        )
        .correlate(Case)
        .scalar_subquery()
    )


def _refuse_impossible(work: Work, placed: Placed, report: ContactReport) -> None:
    faults = {
        "channel": None if report.channel in CHANNELS else "unknown_value",
        "direction": None if report.direction in DIRECTIONS else "unknown_value",
        "party": None if report.party in PARTIES else "unknown_value",
        "outcome": None if report.outcome in OUTCOMES else "unknown_value",
        "occurred_at": _fault_of_time(work, placed, report.occurred_at),
        "external_ref": None if report.external_ref is None else fault_of_reference(report.external_ref),
        "note": None if report.note is None else notes.fault_of(report.note),
    }
    errors = [RowError(0, field, code) for field, code in faults.items() if code]
    errors += outside("duration_seconds", report.duration_seconds, 0, DURATION_SECONDS_MAX)
    if errors:
        raise Invalid(errors=errors)


def _fault_of_time(work: Work, placed: Placed, occurred_at: dt.datetime) -> str | None:
    if occurred_at > work.at + AHEAD_MAX:
        return "in_future"
    return "before_placement" if occurred_at < placed.placed_case.started_at else None


def _find(work: Work, placed: Placed, external_ref: str | None) -> Contact | None:
    if external_ref is None:
        return None
    return work.session.scalar(
        select(Contact).where(
            tenancy.own(work, Contact),
            Contact.lender_id == placed.placement.lender_id,
            Contact.external_ref == external_ref,
        )
    )


def _same_event(standing: Contact, case_id: UUID, report: ContactReport) -> Contact:
    names = ("channel", "direction", "party", "outcome", "occurred_at", "duration_seconds", "corrects_id")
    if standing.case_id != case_id or any(getattr(standing, name) != getattr(report, name) for name in names):
        raise Conflict("external_ref_taken")
    return standing


def _require_corrected(work: Work, case_id: UUID, corrects_id: UUID | None) -> None:
    """What is corrected is a contact of this agency on this case."""
    if corrects_id is None:
        return
    corrected = select(Contact.id).where(
        tenancy.own(work, Contact), Contact.id == corrects_id, Contact.case_id == case_id
    )
    if work.session.scalar(corrected) is None:
        raise NotFound


def _require_open(work: Work, held: Held, report: ContactReport) -> None:
    """Nobody may call on a closed case; that somebody was called before it closed, or called in, may be reported."""
    if report.direction == "inbound":
        return
    closed_at = work.session.scalar(
        select(closed_since()).where(tenancy.of_lender(held.case.lender_id, Case), Case.id == held.case.id)
    )
    if closed_at is None or report.occurred_at > closed_at:
        held.require("record_contact")


def _seal(work: Work, case: Case, placement: Placement, contact_id: UUID, note: str) -> bytes:
    path, epoch = key_paths.find_to_write(work, case, placement)
    name = free_text.NoteName(case.portfolio_id.bytes, case.reference.encode(), contact_id.bytes)
    return free_text.seal_note(path.derive(work.vault, NOTES_VERSION), epoch, name, note)


def _append(
    work: Work, placed: Placed, borrower_id: UUID, contact_id: UUID, report: ContactReport, note: bytes | None
) -> Contact | None:
    """The new row; None where another transaction has used the same `external_ref` meanwhile."""
    return work.session.scalar(
        insert(Contact)
        .values(
            **report._asdict() | {"note": note},
            lender_id=placed.placement.lender_id,
            id=contact_id,
            agency_id=work.actor.org_id,
            placement_id=placed.placement.id,
            case_id=placed.placed_case.case_id,
            borrower_id=borrower_id,
            member_id=work.actor.member_id,
            member_name=work.actor.name,
            recorded_at=work.at,
        )
        .on_conflict_do_nothing(index_elements=["lender_id", "agency_id", "external_ref"])
        .returning(Contact)
    )
