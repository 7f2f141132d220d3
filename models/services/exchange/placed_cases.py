"""The ground an agency stands on: the case placed with it, loaded in its own context, then held under a lock.

Releases and everything an agency reports on a case begin with `get_placed` and, within `work.as_lender`, `hold`.
"""

import datetime as dt
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, select

from models.agency_standing import FROZEN, AgencyStanding
from models.case import Case
from models.case_actions import Standing, actions
from models.errors import CaseClosedToWork, Forbidden, NotFound
from models.placement import RETURN_CODES, TERM_OVER, Assignment, PlacedCase, Placement, ends_at, reason_of_return
from models.services import tenancy
from models.services.exchange import placements
from models.work import AGENCY, Work

RETURNED: Final = frozenset(map(reason_of_return, RETURN_CODES))


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
        raise CaseClosedToWork(code_of_end(placed_case.end_reason))
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
    held = Held(case, work.now(), standing)
    held.require("record_claim")  # the least that a live placement allows
    return held


def code_of_end(end_reason: str | None) -> str:
    """What an agency is told of a case that it no longer has."""
    if end_reason == TERM_OVER:
        return "placement_expired"
    return "case_returned" if end_reason in RETURNED else "case_recalled"
