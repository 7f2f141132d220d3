"""Legal holds: while one stands, nothing of its case, portfolio or borrower is erased."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ScalarSelect, select

from models.erasure import HOLD_REASONS, LegalHold
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.member import Member
from models.services import pages, tenancy
from models.services.oversight import audit
from models.services.portfolio import erasure_grounds
from models.work import LENDER, Work


class HoldLine(NamedTuple):
    """A hold, and who of one's own organisation placed and lifted it."""

    hold: LegalHold
    placed_by: str | None
    lifted_by: str | None


def place(work: Work, subject_kind: str, subject_id: UUID, reason: str) -> LegalHold:
    """Hold a subject that the lender has; several holds may stand on one, and each is lifted for itself.

    Conflict `already_erased` where nothing of it is left to be kept.
    """
    assert work.actor.side == LENDER
    assert work.actor.member_id is not None
    if reason not in HOLD_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    erasure_grounds.take_turn(work)  # an erasure that has begun ends first, or sees this hold
    erasure_grounds.require_readable(work, subject_kind, subject_id)
    hold = LegalHold(
        lender_id=work.tenant_id,
        id=new_id(),
        subject_kind=subject_kind,
        subject_id=subject_id,
        reason=reason,
        placed_by=work.actor.member_id,
        placed_at=work.at,
    )
    work.session.add(hold)
    work.session.flush()
    subject = {"hold": hold.id, "subject_kind": subject_kind, "subject": subject_id, "reason": reason}
    audit.record(work, audit.Action.HOLD_PLACE, subject)
    return hold


def lift(work: Work, hold_id: UUID) -> LegalHold:
    """End a hold; Conflict `hold_lifted` where it has ended already."""
    assert work.actor.side == LENDER
    hold = get(work, hold_id)
    work.session.refresh(hold, with_for_update=True)
    if hold.lifted_at is not None:
        raise Conflict("hold_lifted")
    hold.lifted_by, hold.lifted_at = work.actor.member_id, work.at
    subject = {"hold": hold.id, "subject_kind": hold.subject_kind, "subject": hold.subject_id}
    audit.record(work, audit.Action.HOLD_LIFT, subject)
    return hold


def get(work: Work, hold_id: UUID) -> LegalHold:
    found = work.session.scalar(select(LegalHold).where(tenancy.own(work, LegalHold), LegalHold.id == hold_id))
    if found is None:
        raise NotFound
    return found


def list_own(work: Work, after: UUID | None = None, limit: int = 50, standing: bool = False) -> list[HoldLine]:
    """The lender's holds, newest first; only those that stand if `standing`."""
    query = select(LegalHold, _name(work, LegalHold.placed_by), _name(work, LegalHold.lifted_by))
    query = query.where(tenancy.own(work, LegalHold))
    if standing:
        query = query.where(LegalHold.lifted_at.is_(None))
    return [HoldLine(*row) for row in work.session.execute(pages.newest(query, LegalHold.id, after, limit))]


def _name(work: Work, member_id: Any) -> ScalarSelect[str | None]:
    return (
        select(Member.name)
        .where(tenancy.equals(Member.org_id, work.tenant_id), Member.id == member_id)
        .scalar_subquery()
    )
