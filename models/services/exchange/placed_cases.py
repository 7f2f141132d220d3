"""The ground an agency stands on: the case placed with it, loaded in its own context, then held under a lock.

Releases and everything an agency reports on a case begin with `get_placed` and, within `work.as_lender`, `hold`;
what it does over all its cases, with `crossings` or `hold_all`.
"""

import datetime as dt
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.dialects.postgresql import distinct_on

from models.agency_standing import FROZEN, AgencyStanding
from models.case import Case
from models.case_actions import Standing, actions
from models.errors import CaseClosedToWork, Forbidden, NotFound
from models.placement import (
    LIVE,
    RETURN_CODES,
    TERM_OVER,
    Assignment,
    PlacedCase,
    Placement,
    ends_at,
    reason_of_return,
)
from models.placement_freeze import PlacementFreeze
from models.services import tenancy
from models.services.exchange import placements, turns
from models.work import AGENCY, Work

RETURNED: Final = frozenset(map(reason_of_return, RETURN_CODES))
EXPIRED: Final = "placement_expired"
# What the rows of an agency's file are refused with that came too late: the lender's log counts them.
LATE: Final = frozenset({"case_recalled", "case_returned", EXPIRED, "placement_frozen"})


class Placed(NamedTuple):
    """A case in an agency's hands, now or, where `placed_case.ended_at` is set, before."""

    placement: Placement
    placed_case: PlacedCase
    assigned: bool  # to the actor


class Held(NamedTuple):
    """A case whose placement stands and is locked until the transaction ends; `at` is the time after the lock."""

    case: Case
    placement_id: UUID
    at: dt.datetime
    standing: Standing

    def require(self, action: str) -> None:
        """Raise CaseClosedToWork with the reason that `models.case_actions` gives, if any."""
        if code := actions(self.standing, self.at)[action]:
            raise CaseClosedToWork(code, self.placement_id)


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
        .order_by(PlacedCase.ended_at.is_not(None), PlacedCase.started_at.desc(), PlacedCase.placement_id.desc())
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

    Raises CaseClosedToWork where the case has been recalled, or its placement is over, frozen or not acknowledged yet.
    """
    placement = placed.placement
    placements.lock(work, placement, shared=True)
    # A statement of its own: what was committed while the lock was waited for is seen, a freeze of the agency too.
    case, placed_case, agency_state = work.session.execute(
        select(Case, PlacedCase, AgencyStanding.state)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .outerjoin(
            AgencyStanding,
            and_(
                tenancy.of_lender(placement.lender_id, AgencyStanding),
                AgencyStanding.agency_id == placement.agency_id,
            ),
        )
        .where(
            tenancy.of_lender(placement.lender_id, Case),
            Case.id == placed.placed_case.case_id,
            PlacedCase.placement_id == placement.id,
        )
        .execution_options(populate_existing=True)
    ).one()
    if placed_case.ended_at is not None:
        raise CaseClosedToWork(code_of_end(placed_case.end_reason), placement.id)
    standing = Standing(
        side=AGENCY,
        roles=work.actor.roles,
        status=case.status,
        placement_state=placement.state,
        expires_at=ends_at(placement, placed_case),
        assigned_to_me=placed.assigned,
        offered=False,
        frozen=placement.frozen_at is not None or agency_state == FROZEN,
        erased=case.erased_at is not None,
    )
    held = Held(case, placement.id, work.now(), standing)
    held.require("record_claim")  # the least that a live placement allows
    return held


def crossings(work: Work, *which: ColumnElement[bool]) -> dict[UUID, Placement]:
    """Of each lender, in order of id, a placement that the agency has or had: the ground to cross into its tenant."""
    placed = select(Placement).where(tenancy.own(work, Placement), *which).ext(distinct_on(Placement.lender_id))
    return {
        placement.lender_id: placement
        for placement in work.session.scalars(placed.order_by(Placement.lender_id, Placement.id))
    }


def hold_all(work: Work, *which: ColumnElement[bool]) -> set[UUID]:
    """Lock FOR SHARE the agency's live placements, in the order of everybody; answers their ids."""
    held: set[UUID] = set()
    live = Placement.state.in_(LIVE), *which
    for crossing in crossings(work, *live).values():
        with work.as_lender(crossing):
            of_lender = tenancy.of_lender(crossing.lender_id, Placement), Placement.agency_id == crossing.agency_id
            query = turns.on_placements(work, select(Placement.id).where(*of_lender, *live), shared=True)
            held |= set(work.session.scalars(query))
    return held


def find_frozen_by(work: Work) -> set[UUID]:
    """The lenders that froze the agency and have not let it go on: also where that has not reached their placements
    yet, or found none to stop."""
    frozen = select(PlacementFreeze.lender_id).where(
        tenancy.own(work, PlacementFreeze), PlacementFreeze.whole_agency, PlacementFreeze.lifted_at.is_(None)
    )
    found = set(work.session.scalars(frozen.distinct()))
    for lender_id, placement in crossings(work, Placement.lender_id.not_in(found)).items():
        with work.as_lender(placement):
            if placements.agency_is_frozen(work, placement):
                found.add(lender_id)
    return found


def code_of_end(end_reason: str | None) -> str:
    """What an agency is told of a case that it no longer has."""
    if end_reason == TERM_OVER:
        return EXPIRED
    return "case_returned" if end_reason in RETURNED else "case_recalled"
