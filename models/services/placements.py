"""Placements: acknowledged by the agency, recalled by the lender, ended by their term.

An agency sees its own placements and, of their cases, those still placed with it: a recalled case leaves
its lists with the recall's commit. It never sees where a case was before or goes afterwards, nor why
another agency lost it, nor the number of the placement. While a placement is frozen its cases may be
looked at and nothing more. Recall, freeze and expiry lock the placement FOR UPDATE, every act of the agency on
one of its cases locks it FOR SHARE: so commit order decides which of two came first.
"""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, null, select, true, tuple_, update

from models.case import CLOSED, Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.placement import LIVE, RECALL_REASONS, TRANSITIONS, Assignment, PlacedCase, Placement
from models.placement_freeze import FREEZE_REASONS, PlacementFreeze
from models.release import ReleaseRecord
from models.services import agreements, audit, bulk, leases, pages, tenancy
from models.states import step
from models.work import AGENCY, LENDER, Work
from models.work_item import HIGH_SHARE, NEW, NEW_HIGH, WorkItem

EXPIRY = "term_over"


class Figures(NamedTuple):
    """What a placement holds now: cases still placed, and their balance when they were referred."""

    case_count: int
    balance: Decimal


class PlacementCase(NamedTuple):
    """One case of a placement. An agency sees live cases alone, and not that a case was placed before: for it
    `placed.ended_at` is never set, and `placement_seq` (手数) is None."""

    case: Case
    placed: PlacedCase
    collector_id: UUID | None
    placement_seq: int | None


class Opened(NamedTuple):
    """A release under a placement; `reference` is None for an agency that no longer has the case."""

    release: ReleaseRecord
    reference: str | None


class OpenedCount(NamedTuple):
    """Of how many cases anything was opened under a placement, how many field classes of them, and how often."""

    cases: int
    classes: int
    releases: int


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
        _refuse_frozen(placement)
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
        leases.end(work, placement)
    subject = {"placement": placement.id, "agency": placement.agency_id, "reason": reason, "count": ended}
    if case_ids is None:
        audit.record(work, audit.Action.PLACEMENT_RECALL, subject)
    else:
        audit.record(work, audit.Action.CASE_RECALL, {**subject, "cases": sorted(set(case_ids))})
    return ended


def freeze(work: Work, placement_id: UUID, reason: str) -> Placement:
    """Stop the agency's work under the placement until `unfreeze`: nothing is opened, reported or exported.

    The term runs on. Conflict `already_frozen`, or `wrong_state` where the placement has ended.
    """
    _require_freezing(work, reason)
    placement = get(work, placement_id)
    _lock(work, placement)
    if placement.state not in LIVE:
        raise Conflict("wrong_state", state=placement.state, act="freeze")
    if placement.frozen_at is not None:
        raise Conflict("already_frozen")
    _freeze(work, placement, reason)
    return placement


def freeze_agency(work: Work, agency_id: UUID, reason: str) -> int:
    """Freeze every live placement with the agency in one act; answers how many were not frozen before.

    NotFound for an agency with which the lender has no agreement.
    """
    _require_freezing(work, reason)
    agreements.require_with(work, agency_id)
    unfrozen = work.session.scalars(
        select(Placement)
        .where(
            tenancy.own(work, Placement),
            Placement.agency_id == agency_id,
            Placement.state.in_(LIVE),
            Placement.frozen_at.is_(None),
        )
        .order_by(Placement.id)
        .with_for_update()
    ).all()
    for placement in unfrozen:
        _freeze(work, placement, reason)
    return len(unfrozen)


def unfreeze(work: Work, placement_id: UUID) -> Placement:
    """Let the agency go on. Conflict `not_frozen`."""
    assert work.actor.side == LENDER
    placement = get(work, placement_id)
    _lock(work, placement)
    if placement.frozen_at is None:
        raise Conflict("not_frozen")
    placement.frozen_at = None
    standing = work.session.scalars(_standing_freeze(work, placement)).one()
    standing.lifted_by, standing.lifted_at = work.actor.member_id, work.now()
    audit.record(work, audit.Action.PLACEMENT_UNFREEZE, {"placement": placement.id, "agency": placement.agency_id})
    return placement


def find_freeze(work: Work, placement: Placement) -> PlacementFreeze | None:
    """The freeze that stands on the placement."""
    return work.session.scalar(_standing_freeze(work, placement))


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
        leases.end(work, placement)
        audit.record(
            work,
            audit.Action.PLACEMENT_EXPIRE,
            {"placement": placement.id, "agency": placement.agency_id, "count": ended},
        )
    return len(due)


def list_cases(work: Work, placement_id: UUID, after: UUID | None = None, limit: int = 50) -> list[PlacementCase]:
    """The cases of a placement, newest first: for the lender all it ever held, for the agency those it holds."""
    placement = get(work, placement_id)
    seq = null() if work.actor.side == AGENCY else PlacedCase.placement_seq
    query = (
        select(Case, PlacedCase, Assignment.collector_id, seq)
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
    """All that `list_cases` would page through; an agency has none of a frozen placement."""
    if work.actor.side == AGENCY:
        _refuse_frozen(get(work, placement_id))
    found: list[PlacementCase] = []
    while part := list_cases(work, placement_id, found[-1].case.id if found else None, pages.LIMIT_MAX):
        found += part
    return found


def opened(work: Work, placement_id: UUID, after: UUID | None = None, limit: int = 50) -> list[Opened]:
    """What the agency has opened under the placement, newest first: what it may still know after the end."""
    query = (
        select(ReleaseRecord, Case.reference)
        .outerjoin(Case, and_(tenancy.own(work, Case), *_of_release()))
        .where(_opened_under(work, get(work, placement_id)))
    )
    return [Opened(*row) for row in work.session.execute(pages.newest(query, ReleaseRecord.id, after, limit))]


def count_opened(work: Work, placement_id: UUID) -> OpenedCount:
    """The same, counted."""
    cell = tuple_(ReleaseRecord.case_id, ReleaseRecord.field_class)
    counts = select(func.count(ReleaseRecord.case_id.distinct()), func.count(cell.distinct()), func.count())
    row = work.session.execute(counts.where(_opened_under(work, get(work, placement_id)))).one()
    return OpenedCount(*row)


def export_opened(work: Work, placement_id: UUID) -> list[Opened]:
    """All that `opened` would page through."""
    found: list[Opened] = []
    while part := opened(work, placement_id, found[-1].release.id if found else None, pages.LIMIT_MAX):
        found += part
    return found


def _opened_under(work: Work, placement: Placement) -> ColumnElement[bool]:
    return and_(
        tenancy.own(work, ReleaseRecord),
        ReleaseRecord.lender_id == placement.lender_id,
        ReleaseRecord.placement_id == placement.id,
    )


def _of_release() -> tuple[ColumnElement[bool], ...]:
    return Case.lender_id == ReleaseRecord.lender_id, Case.id == ReleaseRecord.case_id


def _require_freezing(work: Work, reason: str) -> None:
    assert work.actor.side == LENDER
    if reason not in FREEZE_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])


def _freeze(work: Work, placement: Placement, reason: str) -> None:
    """As of now: the placement is locked, so every release before is older than the freeze, by the clock too."""
    assert work.actor.member_id is not None
    placement.frozen_at = work.now()
    work.session.add(
        PlacementFreeze(
            lender_id=placement.lender_id,
            id=new_id(),
            placement_id=placement.id,
            agency_id=placement.agency_id,
            reason=reason,
            frozen_by=work.actor.member_id,
            frozen_at=placement.frozen_at,
        )
    )
    work.session.flush()
    subject = {"placement": placement.id, "agency": placement.agency_id, "reason": reason}
    audit.record(work, audit.Action.PLACEMENT_FREEZE, subject)


def _standing_freeze(work: Work, placement: Placement) -> Select[PlacementFreeze]:
    return select(PlacementFreeze).where(
        tenancy.own(work, PlacementFreeze),
        PlacementFreeze.lender_id == placement.lender_id,
        PlacementFreeze.placement_id == placement.id,
        PlacementFreeze.lifted_at.is_(None),
    )


def _refuse_frozen(placement: Placement) -> None:
    if placement.frozen_at is not None:
        raise Conflict("placement_frozen")


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
    named = true() if case_ids is None else bulk.among(Case.id, case_ids)
    held = work.session.scalars(
        select(Case.id)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.of_lender(placement.lender_id, Case), _live_in(placement), named)
        .order_by(Case.id)
        .with_for_update(of=Case)
    ).all()
    # By their ids and not by a join: right after a bulk change the planner expects one row and joins in a square.
    for change in (
        update(Case)
        .where(tenancy.of_lender(placement.lender_id, Case), bulk.among(Case.id, held))
        .values(agency_id=None),
        update(PlacedCase)
        .where(_live_in(placement), bulk.among(PlacedCase.case_id, held))
        .values(ended_at=at, end_reason=reason),
        delete(WorkItem).where(
            tenancy.of_lender(placement.lender_id, WorkItem),
            WorkItem.placement_id == placement.id,
            bulk.among(WorkItem.case_id, held),
        ),
    ):
        work.session.execute(change.execution_options(synchronize_session=False))
    leases.take_back(work, placement, held)
    return len(held)
