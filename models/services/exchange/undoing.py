"""Undoing a distribution: everything that a tender placed comes back at once, as long as nobody has worked it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, select

from models.case_document import CaseDocument
from models.claim import Claim
from models.contact import Contact
from models.errors import Conflict, Invalid, RowError
from models.notice import AGENCY as TO_AGENCY
from models.offer import Offer
from models.placement import LIVE, UNDONE, PlacedCase, Placement
from models.placement import TRANSITIONS as PLACEMENT_TRANSITIONS
from models.promise import Promise
from models.release import ReleaseRecord
from models.services import notices, second_person, tenancy
from models.services.exchange import ends, tenders, turns, undone
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.tender import TRANSITIONS, UNDO_REASONS, Tender
from models.work import LENDER, Work

# What makes it too late, and the code that says so: the first that has happened.
WORKED: Final[Mapping[str, Any]] = {
    "undo_after_contact": Contact,
    "undo_after_release": ReleaseRecord,
    "undo_after_claim": Claim,
    "undo_after_promise": Promise,
    "undo_after_document": CaseDocument,
}


def undo(work: Work, tender_id: UUID, reason: str) -> Tender:
    """Bring back everything that the tender placed, before the first contact; above the lender's limit this asks for
    it, and another person's undoing confirms it.

    Conflict `undo_after_…` says what has happened under them, `wrong_state` that nothing of it is placed any more.
    """
    assert work.actor.side == LENDER
    if reason not in UNDO_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    tender = tenders.lock(work, work.tenant_id, tenders.get(work, tender_id).id)
    state = step(TRANSITIONS, tender.state, "undo")
    live = _lock_live(work, tender)
    if found := _worked(work, live):
        raise Conflict(found)
    if tender.case_count > lender_settings.get(work).approval_cases:
        if tender.undo_asked_by is None and work.actor.member_id is not None:
            return _ask(work, tender, reason)
        second_person.require(work, tender.undo_asked_by)
    _take_back(work, live)
    tender.state, tender.undo_reason = state, tender.undo_reason or reason
    undone.date(work, [tender])
    subject = {"tender": tender.id, "reason": tender.undo_reason, "placements": [placement.id for placement in live]}
    audit.record(work, audit.Action.TENDER_UNDO, subject)
    return tender


def keep(work: Work, tender_id: UUID) -> Tender:
    """What was asked to be undone stays; anyone entitled may say so. Conflict `undo_not_asked`."""
    assert work.actor.side == LENDER
    tender = tenders.lock(work, work.tenant_id, tenders.get(work, tender_id).id)
    step(TRANSITIONS, tender.state, "undo")
    if tender.undo_asked_by is None:
        raise Conflict("undo_not_asked")
    tender.undo_reason = tender.undo_asked_by = tender.undo_asked_at = None
    audit.record(work, audit.Action.TENDER_UNDO, {"tender": tender.id, "kept": True})
    return tender


def list_placements(work: Work, tender: Tender) -> Sequence[Placement]:
    """What the tender became, by agency name."""
    return work.session.scalars(_of_tender(work, tender).order_by(Placement.agency_name, Placement.id)).all()


def find_obstacle(work: Work, tender: Tender) -> str | None:
    """The code of why a placed tender cannot be undone now."""
    live = [placement for placement in list_placements(work, tender) if placement.state in LIVE]
    return _worked(work, live) if live else "wrong_state"


def _ask(work: Work, tender: Tender, reason: str) -> Tender:
    tender.undo_reason, tender.undo_asked_by, tender.undo_asked_at = reason, work.actor.member_id, work.at
    audit.record(work, audit.Action.TENDER_UNDO, {"tender": tender.id, "reason": reason, "asked": True})
    return tender


def _of_tender(work: Work, tender: Tender) -> Any:
    offers = select(Offer.id).where(tenancy.own(work, Offer), Offer.tender_id == tender.id)
    return select(Placement).where(tenancy.own(work, Placement), Placement.offer_id.in_(offers))


def _lock_live(work: Work, tender: Tender) -> Sequence[Placement]:
    """Every act of an agency locks its placement too: so what it did before this is seen, and nothing comes after."""
    query = _of_tender(work, tender).where(Placement.state.in_(LIVE))
    live: Sequence[Placement] = work.session.scalars(turns.on_placements(work, query)).all()
    if not live:
        raise Conflict("wrong_state", state=tender.state, act="undo")
    return live


def _worked(work: Work, live: Sequence[Placement]) -> str | None:
    ids = [placement.id for placement in live]
    for code, fact in WORKED.items():
        happened = exists().where(tenancy.own(work, fact), fact.placement_id.in_(ids))
        if work.session.scalar(select(happened)):
            return code
    return None


def _take_back(work: Work, live: Sequence[Placement]) -> None:
    """The placements are locked, so nothing more comes under them; the cases of all of them are locked in one order."""
    ids = [placement.id for placement in live]
    held = select(PlacedCase.case_id).where(
        tenancy.own(work, PlacedCase), PlacedCase.placement_id.in_(ids), PlacedCase.ended_at.is_(None)
    )
    ends.lock(work, work.tenant_id, ids, work.session.scalars(held).all())
    now = work.now()
    for placement in live:
        state = step(PLACEMENT_TRANSITIONS, placement.state, "undo")
        count = len(ends.take_back(work, placement, now, UNDONE))
        ends.end_if_empty(work, placement, state, now, UNDONE)
        of = (placement.lender_id, placement.agency_id, TO_AGENCY, "placement.undone", "placement", placement.id)
        notices.tell(work, *of, cases=count)
