"""Freezes: the agency's work under a placement stands still, until it is let go on. The term runs on.

While a placement is frozen nothing is opened, reported or exported under it; its cases may be looked at. A freeze of
the whole agency is lifted with that freeze, one of a single placement by itself.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Row, and_, func, select

from models.agency_standing import FROZEN, REMOVED, AgencyStanding
from models.errors import Conflict, Invalid, RowError
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.placement import LIVE, Placement
from models.placement_freeze import FREEZE_REASONS, PlacementFreeze
from models.services import tenancy
from models.services.exchange import placements, turns
from models.services.oversight import audit
from models.work import LENDER, Work

OF_PLACEMENT = and_(PlacementFreeze.lender_id == Placement.lender_id, PlacementFreeze.placement_id == Placement.id)


class Standstill(NamedTuple):
    """Live placements between the two parties that stand still for one reason, since the first of them does."""

    lender_name: str
    reason: str
    whole_agency: bool
    since: dt.datetime
    placement_count: int


def freeze(work: Work, placement_id: UUID, reason: str) -> Placement:
    """Stop the agency's work under one placement. Conflict `already_frozen`, or `wrong_state` where it has ended."""
    assert work.actor.side == LENDER
    if reason not in FREEZE_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    placement = placements.get(work, placement_id)
    placements.lock(work, placement)
    if placement.state not in LIVE:
        raise Conflict("wrong_state", state=placement.state, act="freeze")
    if placement.frozen_at is not None:
        raise Conflict("already_frozen")
    assert work.actor.member_id is not None
    made = _freeze(work, placement, reason, work.actor.member_id)
    placements.tell(work, placement, TO_AGENCY, "placement.frozen", key=made.id, reason=reason)
    return placement


def freeze_all(work: Work, agency_id: UUID, reason: str, by: UUID) -> int:
    """Freeze every live placement with the agency, in its freeze; answers how many were not frozen before.

    It tells nobody: the freeze of the agency has.
    """
    unfrozen = work.session.scalars(
        turns.on_placements(
            work,
            select(Placement).where(
                tenancy.own(work, Placement),
                Placement.agency_id == agency_id,
                Placement.state.in_(LIVE),
                Placement.frozen_at.is_(None),
            ),
        )
    ).all()
    for placement in unfrozen:
        _freeze(work, placement, reason, by, whole_agency=True)
    return len(unfrozen)


def count_live(work: Work, agency_id: UUID) -> int:
    """How many placements a freeze of the agency stops."""
    live = select(func.count()).where(
        tenancy.own(work, Placement), Placement.agency_id == agency_id, Placement.state.in_(LIVE)
    )
    return work.session.scalar(live) or 0


def unfreeze(work: Work, placement_id: UUID) -> Placement:
    """Let the agency go on under one placement.

    Conflict `not_frozen`; `agency_frozen` or `agency_removed` where the agency as a whole may not go on.
    """
    assert work.actor.side == LENDER
    placement = placements.get(work, placement_id)
    standing = work.session.scalar(
        select(AgencyStanding.state).where(
            tenancy.own(work, AgencyStanding), AgencyStanding.agency_id == placement.agency_id
        )
    )
    if standing in (FROZEN, REMOVED):
        raise Conflict(f"agency_{standing}")
    placements.lock(work, placement)
    made = find(work, placement)
    if made is None:
        raise Conflict("not_frozen")
    _lift(work, placement, made)
    placements.tell(work, placement, TO_AGENCY, "placement.unfrozen", key=made.id)
    return placement


def lift_all(work: Work, agency_id: UUID) -> int:
    """Let go on what `freeze_all` stopped; answers how many of these placements live. It tells nobody."""
    assert work.actor.side == LENDER
    standing = _standing_of(work, agency_id)
    for placement, made in standing:
        _lift(work, placement, made)
    return sum(placement.state in LIVE for placement, _ in standing)


def find(work: Work, placement: Placement) -> PlacementFreeze | None:
    """The freeze that stands on the placement."""
    return work.session.scalar(
        select(PlacementFreeze).where(
            tenancy.own(work, PlacementFreeze),
            PlacementFreeze.lender_id == placement.lender_id,
            PlacementFreeze.placement_id == placement.id,
            PlacementFreeze.lifted_at.is_(None),
        )
    )


def list_standing(work: Work) -> list[Standstill]:
    """What stands still at the agency now, oldest first."""
    since = func.min(PlacementFreeze.frozen_at)
    query = (
        select(Placement.lender_name, PlacementFreeze.reason, PlacementFreeze.whole_agency, since, func.count())
        .join(PlacementFreeze, OF_PLACEMENT)
        .where(
            tenancy.own(work, Placement),
            tenancy.own(work, PlacementFreeze),
            Placement.state.in_(LIVE),
            PlacementFreeze.lifted_at.is_(None),
        )
        .group_by(Placement.lender_id, Placement.lender_name, PlacementFreeze.reason, PlacementFreeze.whole_agency)
        .order_by(since)
    )
    return [Standstill(*row) for row in work.session.execute(query)]


def _freeze(work: Work, placement: Placement, reason: str, by: UUID, *, whole_agency: bool = False) -> PlacementFreeze:
    """As of now: the placement is locked, so every release before is older than the freeze, by the clock too."""
    placement.frozen_at = work.now()
    made = PlacementFreeze(
        lender_id=placement.lender_id,
        id=new_id(),
        placement_id=placement.id,
        agency_id=placement.agency_id,
        reason=reason,
        whole_agency=whole_agency,
        frozen_by=by,
        frozen_at=placement.frozen_at,
    )
    work.session.add(made)
    work.session.flush()
    subject = {"placement": placement.id, "agency": placement.agency_id, "reason": reason}
    audit.record(work, audit.Action.PLACEMENT_FREEZE, subject)
    return made


def _standing_of(work: Work, agency_id: UUID) -> Sequence[Row[Placement, PlacementFreeze]]:
    """The placements that stand still because the whole agency does, locked, each with its freeze."""
    standing = (
        select(Placement, PlacementFreeze)
        .join(PlacementFreeze, OF_PLACEMENT)
        .where(
            tenancy.own(work, Placement),
            tenancy.own(work, PlacementFreeze),
            PlacementFreeze.agency_id == agency_id,
            PlacementFreeze.whole_agency,
            PlacementFreeze.lifted_at.is_(None),
        )
    )
    return work.session.execute(turns.on_placements(work, standing)).columns(0, 1).all()


def _lift(work: Work, placement: Placement, made: PlacementFreeze) -> None:
    placement.frozen_at = None
    made.lifted_by, made.lifted_at = work.actor.member_id, work.now()
    audit.record(work, audit.Action.PLACEMENT_UNFREEZE, {"placement": placement.id, "agency": placement.agency_id})
