"""Ends: what happens to a placed case, and to its placement, however it ends.

Recall, return, undoing and expiry all come here, with the placement locked. Stands in the lender's tenant.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Update, and_, delete, exists, func, literal, select, true, update

from models.acknowledgement_break import AcknowledgementBreak
from models.case import Case
from models.errors import CaseClosedToWork, NotFound
from models.placement import LIVE, UNDONE, PlacedCase, Placement
from models.recall_request import ASKED, GONE, OBJECTED, WITHDRAWN, RecallCase, RecallRequest
from models.recall_request import REQUESTED as RECALL_REQUESTED
from models.retention import LAPSED, Retention
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.sealing import leases
from models.work import Work
from models.work_item import WorkItem


class Figures(NamedTuple):
    """What a placement holds now: cases still placed, and their balance when they were referred."""

    case_count: int
    balance: Decimal


def live_in(placement: Placement) -> ColumnElement[bool]:
    """The `PlacedCase`s still placed under it."""
    return and_(
        tenancy.of_lender(placement.lender_id, PlacedCase),
        PlacedCase.placement_id == placement.id,
        PlacedCase.ended_at.is_(None),
    )


def figures(work: Work, placement: Placement) -> Figures:
    row = work.session.execute(select(func.count(), func.sum(PlacedCase.referred_amount)).where(live_in(placement)))
    count, balance = row.one()
    return Figures(count, balance or Decimal("0.00"))


def lock(work: Work, lender_id: UUID, placement_ids: Sequence[UUID], case_ids: Sequence[UUID]) -> Sequence[Placement]:
    """Lock these placements, then these cases, each in order of id; answers the placements as they stand now.

    For whoever acts under several placements in one transaction. Case by case under each would lock the cases in an
    order of its own, and an exclusion of them, which knows of no placement, would end in a deadlock with it.
    """
    named = select(Placement).where(tenancy.of_lender(lender_id, Placement), bulk.among(Placement.id, placement_ids))
    locked = work.session.scalars(turns.on_placements(work, named)).all()
    cases = select(Case.id).where(tenancy.of_lender(lender_id, Case), bulk.among(Case.id, case_ids))
    work.session.execute(cases.order_by(Case.id).with_for_update()).all()
    return locked


def ends_of(work: Work, placement: Placement, case_ids: Sequence[UUID]) -> dict[UUID, dt.datetime]:
    """Of these cases those still placed under the locked placement, each with the end of its time."""
    live = select(PlacedCase.case_id, _time_over(placement)).where(
        live_in(placement), bulk.among(PlacedCase.case_id, case_ids)
    )
    return dict(work.session.execute(live).all())


def require_live(work: Work, placement: Placement, case_ids: Sequence[UUID]) -> None:
    """NotFound unless each is placed under the placement now. To be called before anything is changed."""
    named = set(case_ids)
    live = select(func.count()).where(live_in(placement), bulk.among(PlacedCase.case_id, sorted(named)))
    if work.session.scalar(live) != len(named):
        raise NotFound


def refuse_ended(placement: Placement, act: str, code: str = "wrong_state") -> None:
    """CaseClosedToWork where the placement has ended: an agency's act comes too late, and the lender's log has it."""
    if placement.state not in LIVE:
        raise CaseClosedToWork(code, placement.id, state=placement.state, act=act)


def take_back(
    work: Work, placement: Placement, at: dt.datetime, reason: str, case_ids: Sequence[UUID] | None = None
) -> Sequence[UUID]:
    """Take the cases from the agency; answers which of them it held. They are locked in order of id, as everywhere.

    A case whose time was over by then has ended with it, whatever brings it back: its tail began there. What was asked
    about them, to keep them or to have them back, is asked no longer.
    """
    named = true() if case_ids is None else bulk.among(Case.id, case_ids)
    held = work.session.scalars(
        select(Case.id)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.of_lender(placement.lender_id, Case), live_in(placement), named)
        .order_by(Case.id)
        .with_for_update(of=Case)
    ).all()
    # By their ids and not by a join: right after a bulk change the planner expects one row and joins in a square.
    for change in (
        update(Case)
        .where(tenancy.of_lender(placement.lender_id, Case), bulk.among(Case.id, held))
        .values(agency_id=None),
        update(PlacedCase)
        .where(live_in(placement), bulk.among(PlacedCase.case_id, held))
        .values(ended_at=_end(placement, at, reason), end_reason=reason, end_balance=_balance()),
        delete(WorkItem).where(_of(placement, WorkItem, held)),
        update(Retention)
        .where(_of(placement, Retention, held), Retention.state == RETENTION_REQUESTED)
        .values(state=LAPSED, decided_at=at),
        update(RecallCase)
        .where(_of(placement, RecallCase, held), RecallCase.state.in_((ASKED, OBJECTED)))
        .values(state=GONE, decided_at=at),
        _without_cases(placement),
    ):
        work.session.execute(change.execution_options(synchronize_session=False))
    placement.held_count -= len(held)
    leases.take_back(work, placement, held)
    return held


def end_if_empty(work: Work, placement: Placement, state: str, at: dt.datetime, reason: str) -> bool:
    """With its last case a placement ends, and with it the breaks before its work; answers whether it did."""
    if placement.held_count:
        return False
    last_end = select(func.max(PlacedCase.ended_at)).where(
        tenancy.of_lender(placement.lender_id, PlacedCase), PlacedCase.placement_id == placement.id
    )
    placement.state, placement.ended_at, placement.end_reason = state, work.session.scalars(last_end).one(), reason
    leases.end(work, placement)
    close_breaks(work, placement, at, reason)
    return True


def close_breaks(work: Work, placement: Placement, at: dt.datetime, cause: str) -> None:
    """No count of the placement is awaited any more."""
    work.session.execute(
        update(AcknowledgementBreak)
        .where(
            tenancy.of_lender(placement.lender_id, AcknowledgementBreak),
            AcknowledgementBreak.placement_id == placement.id,
            AcknowledgementBreak.closed_at.is_(None),
        )
        .values(closed_at=at, cause=cause)
        .execution_options(synchronize_session=False)
    )


def _time_over(placement: Placement) -> ColumnElement[dt.datetime]:
    """The end of the time of a `PlacedCase` under it."""
    return func.coalesce(PlacedCase.retained_until, placement.expires_at)


def _end(placement: Placement, at: dt.datetime, reason: str) -> ColumnElement[dt.datetime]:
    """What is undone had no time of its own, and commission finds by when it was undone what is to be taken back."""
    return literal(at) if reason == UNDONE else func.least(at, _time_over(placement))


def _balance() -> ScalarSelect[Decimal]:
    """What is owed on the case of a `PlacedCase`."""
    owed = select(Case.balance).where(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id)
    return owed.correlate(PlacedCase).scalar_subquery()


def _of(
    placement: Placement, table: type[WorkItem] | type[Retention] | type[RecallCase], case_ids: Sequence[UUID]
) -> ColumnElement[bool]:
    return and_(
        tenancy.of_lender(placement.lender_id, table),
        table.placement_id == placement.id,
        bulk.among(table.case_id, case_ids),
    )


def _without_cases(placement: Placement) -> Update:
    """A recall that was asked for, of which no case is left, is over."""
    waiting = exists().where(
        RecallCase.lender_id == RecallRequest.lender_id,
        RecallCase.request_id == RecallRequest.id,
        RecallCase.state.in_((ASKED, OBJECTED)),
    )
    return (
        update(RecallRequest)
        .where(
            tenancy.of_lender(placement.lender_id, RecallRequest),
            RecallRequest.placement_id == placement.id,
            RecallRequest.state == RECALL_REQUESTED,
            ~waiting,
        )
        .values(state=WITHDRAWN)
    )
