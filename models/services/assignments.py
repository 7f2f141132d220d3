"""Assignments: which collector works which of the agency's cases.

They are the agency's own knowledge, written in its own context. An assignment gives a collector sight of
the case; that the case is still placed is asked of the placement each time.
"""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, and_, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from models.case import Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.household import deal
from models.member import Member
from models.placement import ACTIVE, Assignment, PlacedCase, Placement
from models.services import audit, placements, tenancy
from models.work import Work
from models.work_item import WorkItem

COLLECTOR = "collector"


class Collector(NamedTuple):
    """A person who may be assigned cases, and how many they have in the worklist now."""

    id: UUID
    name: str
    case_count: int


def collectors(work: Work) -> list[Collector]:
    """The agency's active collectors, by name."""
    rows = work.session.execute(
        select(Member.id, Member.name, func.count(WorkItem.case_id))
        .outerjoin(Assignment, and_(tenancy.own(work, Assignment), Assignment.collector_id == Member.id))
        .outerjoin(
            WorkItem,
            and_(
                tenancy.own(work, WorkItem),
                WorkItem.lender_id == Assignment.lender_id,
                WorkItem.placement_id == Assignment.placement_id,
                WorkItem.case_id == Assignment.case_id,
            ),
        )
        .where(tenancy.mine(work, Member), Member.state == "active", Member.roles.any(COLLECTOR))  # type: ignore[arg-type]
        .group_by(Member.id, Member.name)
        .order_by(Member.name, Member.id)
    )
    return [Collector(*row) for row in rows]


def assign(work: Work, placement_id: UUID, collector_id: UUID, case_ids: list[UUID]) -> int:
    """Give the cases to one collector, whoever had them before; answers how many.

    NotFound unless each is placed under this placement now, and the collector is one of ours.
    """
    if not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = _workable(work, placement_id)
    _require_collectors(work, [collector_id])
    wanted = set(case_ids)
    if set(work.session.scalars(_live_cases(work, placement).where(Case.id.in_(wanted)))) != wanted:
        raise NotFound
    _put(work, placement, dict.fromkeys(sorted(wanted), collector_id))
    return len(wanted)


def assign_evenly(work: Work, placement_id: UUID, collector_ids: list[UUID]) -> int:
    """Deal the placement's unassigned cases to the collectors, a household to one of them; answers how many.

    Collectors get the same number of cases, give or take a household. Cases of a borrower who already has
    a collector follow to that collector, so that one person calls one borrower.
    """
    if not collector_ids:
        raise Invalid(errors=[RowError(0, "collector_ids", "required_missing")])
    placement = _workable(work, placement_id)
    _require_collectors(work, collector_ids)
    households: dict[UUID, list[UUID]] = {}
    for case_id, borrower_id in work.session.execute(_unassigned(work, placement)):
        households.setdefault(borrower_id, []).append(case_id)
    known = _collectors_of_borrowers(work, placement, list(households))
    fresh = [borrower_id for borrower_id in households if borrower_id not in known]
    dealt = deal((len(households[borrower_id]) for borrower_id in fresh), list(dict.fromkeys(collector_ids)))
    known.update(zip(fresh, dealt, strict=True))
    chosen = {case_id: known[borrower_id] for borrower_id, cases in households.items() for case_id in cases}
    if chosen:
        _put(work, placement, chosen)
    return len(chosen)


def _workable(work: Work, placement_id: UUID) -> Placement:
    placement = placements.get(work, placement_id)
    if placement.state != ACTIVE:
        raise Conflict("placement_not_active", state=placement.state)
    if placement.expires_at <= work.at:
        raise Conflict("placement_expired")
    return placement


def _require_collectors(work: Work, collector_ids: list[UUID]) -> None:
    wanted = set(collector_ids)
    found = work.session.scalars(
        select(Member.id).where(
            tenancy.mine(work, Member),
            Member.id.in_(wanted),
            Member.state == "active",
            Member.roles.any(COLLECTOR),  # type: ignore[arg-type]
        )
    )
    if set(found) != wanted:
        raise NotFound
