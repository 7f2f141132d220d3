"""Expiries: cases and placements whose time is over end as of that time, whenever the job comes by.

Where a term is over, cases that pay are retained by the lender's rule, and those retained go on to their own day.
"""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, exists, func, select

from models.case import Case
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import ACTIVE, LIVE, TERM_OVER, TRANSITIONS, PlacedCase, Placement, case_ends_at
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import Portfolio
from models.services import bulk, tenancy
from models.services.exchange import ends, paying, placements, turns
from models.services.oversight import audit
from models.services.sealing import leases
from models.states import step
from models.work import Work


def expire_due(work: Work) -> int:
    """End the cases whose time is over; answers how many placements ended with them."""
    case_due = exists().where(
        PlacedCase.lender_id == Placement.lender_id,
        PlacedCase.placement_id == Placement.id,
        PlacedCase.ended_at.is_(None),
        case_ends_at() <= work.at,
    )
    due = work.session.scalars(
        turns.on_placements(
            work,
            select(Placement).where(
                tenancy.own(work, Placement), Placement.state.in_(LIVE), Placement.expires_at <= work.at, case_due
            ),
        )
    ).all()
    _lock_due_cases(work, due)
    return sum(_expire(work, placement) for placement in due)


def _lock_due_cases(work: Work, due: Sequence[Placement]) -> None:
    """All at once, in order of id: see `ends.lock`."""
    query = (
        select(Case.id)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .where(
            *(tenancy.own(work, table) for table in (Case, PlacedCase, Placement)),
            bulk.among(Placement.id, [placement.id for placement in due]),
            PlacedCase.ended_at.is_(None),
            case_ends_at() <= work.at,
        )
    )
    work.session.execute(query.order_by(Case.id).with_for_update(of=Case)).all()


def _expire(work: Work, placement: Placement) -> bool:
    """Whether the placement, which is locked, ended with its cases."""
    if placement.extended_until is None and placement.state == ACTIVE:
        paying.keep(work, placement)
    last, count = placement.expires_at, 0
    for end, case_ids in _due_by_end(work, placement).items():
        count += len(ends.take_back(work, placement, end, TERM_OVER, case_ids))
        last = max(last, end)
    subject = {"placement": placement.id, "agency": placement.agency_id, "count": count}
    audit.record(work, audit.Action.PLACEMENT_EXPIRE, subject)
    ended = ends.end_if_empty(work, placement, step(TRANSITIONS, placement.state, "expire"), last, TERM_OVER)
    for told in (TO_LENDER, TO_AGENCY):
        placements.tell(work, placement, told, "placement.expired", key=last.isoformat(), cases=count, ended=ended)
    if not ended and placement.extended_until is None:
        _extend(work, placement)
    return ended


def _due_by_end(work: Work, placement: Placement) -> dict[dt.datetime, list[UUID]]:
    due: dict[dt.datetime, list[UUID]] = {}
    query = select(case_ends_at(), PlacedCase.case_id).join(
        Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id)
    )
    for end, case_id in work.session.execute(query.where(ends.live_in(placement), case_ends_at() <= work.at)):
        due.setdefault(end, []).append(case_id)
    return dict(sorted(due.items()))


def _extend(work: Work, placement: Placement) -> None:
    """The retained cases go on. In self-custody the leases ran out with the term: the lender's tool makes new ones."""
    last_end = select(func.max(PlacedCase.retained_until)).where(ends.live_in(placement))
    placement.extended_until = work.session.scalars(last_end).one()
    sealed_by = select(Portfolio.sealed_by).where(
        tenancy.of_lender(placement.lender_id, Portfolio), Portfolio.id == placement.portfolio_id
    )
    if work.session.scalars(sealed_by).one() == SEALED_BY_LENDER:
        leases.take_back(work, placement)
        leases.order(work, placement)
