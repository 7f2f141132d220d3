"""Placements: acknowledged by the agency, recalled by the lender, ended by their term.

An agency sees its own placements and, of their cases, those still placed with it: a recalled case leaves
its lists with the recall's commit. It never sees where a case was before or goes afterwards, nor why
another agency lost it. Recall and expiry lock the placement FOR UPDATE, every act of the agency on one of
its cases locks it FOR SHARE: so commit order decides which of two came first.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, any_, case, delete, func, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY

from models.case import CLOSED, Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.placement import LIVE, RECALL_REASONS, TRANSITIONS, Assignment, PlacedCase, Placement
from models.services import audit, pages, tenancy
from models.states import step
from models.work import AGENCY, LENDER, Work
from models.work_item import HIGH_SHARE, NEW, NEW_HIGH, WorkItem

EXPIRY = "term_over"


class Figures(NamedTuple):
    """What a placement holds now: cases still placed, and their balance when they were referred."""

    case_count: int
    balance: Decimal


class PlacementCase(NamedTuple):
    """One case of a placement. `ended_at` is set only where the lender looks: an agency sees live cases alone."""

    case: Case
    placed: PlacedCase
    collector_id: UUID | None


def list_own(work: Work, after: UUID | None = None, limit: int = 50, state: str | None = None) -> list[Placement]:
    """A lender's placements, or those with an agency."""
    query = select(Placement).where(tenancy.own(work, Placement))
    if state is not None:
        query = query.where(Placement.state == state)
    return list(work.session.scalars(pages.newest(query, Placement.id, after, limit)))


def get(work: Work, placement_id: UUID) -> Placement:
    found = work.session.scalar(select(Placement).where(tenancy.own(work, Placement), Placement.id == placement_id))
    if found is None:
        raise NotFound
    return found


def find_of_offer(work: Work, offer_id: UUID) -> Placement | None:
    """What an accepted offer became."""
    return work.session.scalar(select(Placement).where(tenancy.own(work, Placement), Placement.offer_id == offer_id))


def figures(work: Work, placement_id: UUID) -> Figures:
    """What the agency is asked to confirm, as both sides see it."""
    return _figures(work, get(work, placement_id))


def figures_owed(work: Work, placement_id: UUID) -> Figures:
    """The same of those cases on which something is still owed."""
    placement = get(work, placement_id)
    query = (
        select(func.count(), func.coalesce(func.sum(PlacedCase.referred_amount), Decimal("0.00")))
        .select_from(PlacedCase)
        .join(Case, and_(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id))
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Case), _live_in(placement), Case.status.not_in(CLOSED))
    )
    return Figures(*work.session.execute(query).one())


def acknowledge(work: Work, placement_id: UUID, case_count: int, balance: Decimal) -> Placement:
    """The agency confirms how many cases it received and their total; from then on they may be worked.

    Other figures than ours are a Conflict that names both, and the placement goes on waiting.
    """
    placement = get(work, placement_id)
    with work.as_lender(placement):
        _lock(work, placement)
        state = step(TRANSITIONS, placement.state, "acknowledge")
        now = work.now()
        if now >= placement.expires_at:
            raise Conflict("placement_expired")
        ours = _figures(work, placement)
        if (case_count, balance) != ours:
            raise Conflict(
                "acknowledgement_mismatch",
                case_count=case_count,
                balance=str(balance),
                case_count_expected=ours.case_count,
                balance_expected=str(ours.balance),
            )
        placement.state = state
        placement.acknowledged_at = now
        _open_worklist(work, placement)
        audit.record(
            work,
            audit.Action.PLACEMENT_ACKNOWLEDGE,
            {"placement": placement.id, "agency": placement.agency_id, "cases": case_count, "balance": balance},
        )
    return placement


def recall(work: Work, placement_id: UUID, reason: str, case_ids: list[UUID] | None = None) -> int:
    """End the placement, or only the cases named; answers how many cases came back.

    NotFound unless every case named is placed under this placement now. With its last case a placement ends.
    """
    assert work.actor.side == LENDER
    if reason not in RECALL_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    if case_ids is not None and not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = get(work, placement_id)
    _lock(work, placement)
    recalled = step(TRANSITIONS, placement.state, "recall")
    # Every release that came before this lock was granted is older than the recall, by the clock too.
    now = work.now()
    ended = _end_cases(work, placement, now, reason, case_ids)
    if case_ids is not None and ended != len(set(case_ids)):
        raise NotFound
    if not _figures(work, placement).case_count:
        placement.state, placement.ended_at, placement.end_reason = recalled, now, reason
    subject = {"placement": placement.id, "agency": placement.agency_id, "reason": reason, "count": ended}
    if case_ids is None:
        audit.record(work, audit.Action.PLACEMENT_RECALL, subject)
    else:
        audit.record(work, audit.Action.CASE_RECALL, {**subject, "cases": sorted(set(case_ids))})
    return ended


def expire_due(work: Work) -> int:
    """End the lender's placements whose term is over, as of its end; answers how many."""
    due = work.session.scalars(
        select(Placement)
        .where(tenancy.own(work, Placement), Placement.state.in_(LIVE), Placement.expires_at <= work.at)
        .order_by(Placement.id)
        .with_for_update()
    ).all()
    for placement in due:
        ended = _end_cases(work, placement, placement.expires_at, EXPIRY)
        placement.state = step(TRANSITIONS, placement.state, "expire")
        placement.ended_at, placement.end_reason = placement.expires_at, EXPIRY
        audit.record(
            work,
            audit.Action.PLACEMENT_EXPIRE,
            {"placement": placement.id, "agency": placement.agency_id, "count": ended},
        )
    return len(due)


def list_cases(work: Work, placement_id: UUID, after: UUID | None = None, limit: int = 50) -> list[PlacementCase]:
    """The cases of a placement, newest first: for the lender all it ever held, for the agency those it holds."""
    placement = get(work, placement_id)
    query = (
        select(Case, PlacedCase, Assignment.collector_id)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .outerjoin(
            Assignment,
            and_(
                Assignment.lender_id == PlacedCase.lender_id,
                Assignment.placement_id == PlacedCase.placement_id,
                Assignment.case_id == PlacedCase.case_id,
            ),
        )
        .where(
            tenancy.own(work, Case),
            tenancy.own(work, PlacedCase),
            PlacedCase.placement_id == placement.id,
            PlacedCase.ended_at.is_(None) if work.actor.side == AGENCY else true(),
        )
    )
    return [PlacementCase(*row) for row in work.session.execute(pages.newest(query, Case.id, after, limit))]


def export_cases(work: Work, placement_id: UUID) -> list[PlacementCase]:
    """All that `list_cases` would page through. The download is logged."""
    found: list[PlacementCase] = []
    while part := list_cases(work, placement_id, found[-1].case.id if found else None, pages.LIMIT_MAX):
        found += part
    subject = {"export": "placement_cases", "placement": placement_id, "rows": len(found)}
    audit.record(work, audit.Action.EXPORT_DOWNLOAD, subject)
    return found


def _lock(work: Work, placement: Placement) -> None:
    """Wait for whoever acts under this placement now, then read it as they left it."""
    work.session.refresh(placement, with_for_update=True)


def _figures(work: Work, placement: Placement) -> Figures:
    row = work.session.execute(
        select(func.count(), func.sum(PlacedCase.referred_amount)).where(_live_in(placement))
    ).one()
    return Figures(row[0], row[1] or Decimal("0.00"))


def _live_in(placement: Placement) -> ColumnElement[bool]:
    return and_(
        tenancy.of_lender(placement.lender_id, PlacedCase),
        PlacedCase.placement_id == placement.id,
        PlacedCase.ended_at.is_(None),
    )


def _open_worklist(work: Work, placement: Placement) -> None:
    """One work item for each placed case; the highest fifth of balances comes before the others."""
    fifth = func.ntile(HIGH_SHARE).over(order_by=(PlacedCase.referred_amount.desc(), PlacedCase.case_id))
    work.session.execute(
        insert(WorkItem).from_select(
            ["lender_id", "placement_id", "case_id", "agency_id", "priority"],
            select(
                PlacedCase.lender_id,
                PlacedCase.placement_id,
                PlacedCase.case_id,
                PlacedCase.agency_id,
                case((fifth == 1, NEW_HIGH), else_=NEW),
            ).where(_live_in(placement)),
        )
    )


def _end_cases(
    work: Work, placement: Placement, at: dt.datetime, reason: str, case_ids: list[UUID] | None = None
) -> int:
    """Take the cases from the agency; answers how many it held. They are locked in order of id, as everywhere."""
    named = true() if case_ids is None else _among(Case.id, case_ids)
    held = work.session.scalars(
        select(Case.id)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.of_lender(placement.lender_id, Case), _live_in(placement), named)
        .order_by(Case.id)
        .with_for_update(of=Case)
    ).all()
    # By their ids and not by a join: right after a bulk change the planner expects one row and joins in a square.
    for change in (
        update(Case).where(tenancy.of_lender(placement.lender_id, Case), _among(Case.id, held)).values(agency_id=None),
        update(PlacedCase)
        .where(_live_in(placement), _among(PlacedCase.case_id, held))
        .values(ended_at=at, end_reason=reason),
        delete(WorkItem).where(
            tenancy.of_lender(placement.lender_id, WorkItem),
            WorkItem.placement_id == placement.id,
            _among(WorkItem.case_id, held),
        ),
    ):
        work.session.execute(change.execution_options(synchronize_session=False))
    return len(held)


def _among(column: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    return column == any_(literal(list(ids), ARRAY(Uuid)))  # type: ignore[no-any-return]
