"""Assignments: which collector works which of the agency's cases.

They are the agency's own knowledge, written in its own context, while the placement is held in the lender's. An
assignment gives a collector sight of the case; that the case is still placed is asked of the placement each time.
"""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, String, Uuid, and_, any_, cast, exists, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from models.case import Case
from models.errors import CaseClosedToWork, Conflict, Invalid, NotFound, RowError
from models.household import deal
from models.member import Member
from models.placement import ACTIVE, Assignment, PlacedCase, Placement
from models.services import tenancy
from models.services.exchange import ends, placed_cases, placements
from models.services.oversight import audit
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
        .where(tenancy.mine(work, Member), Member.state == "active", literal(COLLECTOR) == any_(Member.roles))
        .group_by(Member.id, Member.name)
        .order_by(Member.name, Member.id)
    )
    return [Collector(*row) for row in rows]


def count_unassigned(work: Work, placement_id: UUID) -> int:
    """Cases the agency holds under the placement that nobody works yet."""
    cases = _unassigned(work, placements.get(work, placement_id)).subquery()
    return work.session.scalar(select(func.count()).select_from(cases)) or 0


def assign(work: Work, placement_id: UUID, collector_id: UUID, case_ids: list[UUID]) -> int:
    """Give the cases to one collector, whoever had them before; answers how many.

    NotFound unless each is placed under this placement now, and the collector is one of ours.
    """
    if not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = _workable(work, placement_id)
    _require_collectors(work, [collector_id])
    wanted = set(case_ids)
    if set(work.session.scalars(_live_cases(work, placement).where(PlacedCase.case_id.in_(wanted)))) != wanted:
        raise NotFound(placement_id=placement.id)
    _put(work, placement, dict.fromkeys(sorted(wanted), collector_id))
    return len(wanted)


def assign_several(work: Work, collector_id: UUID, by_placement: Mapping[UUID, list[UUID]]) -> int:
    """The same under several placements, all of which are locked first, in the order of whoever ends several."""
    placed_cases.hold_all(work, Placement.id.in_(by_placement))
    return sum(assign(work, placement_id, collector_id, case_ids) for placement_id, case_ids in by_placement.items())


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
    """The placement, locked FOR SHARE: whoever freezes or recalls it waits, or has been here before."""
    placement = placements.get(work, placement_id)
    with work.as_lender(placement):
        placements.lock(work, placement, shared=True)
        ends.refuse_ended(placement, "assign", "placement_not_active")
        placements.refuse_frozen(work, placement)
    if placement.state != ACTIVE:
        raise Conflict("placement_not_active", state=placement.state)
    if placement.expires_at <= work.at and work.session.scalar(_live_cases(work, placement).limit(1)) is None:
        raise CaseClosedToWork("placement_expired", placement.id)
    return placement


def _require_collectors(work: Work, collector_ids: list[UUID]) -> None:
    wanted = set(collector_ids)
    found = work.session.scalars(
        select(Member.id).where(
            tenancy.mine(work, Member),
            Member.id.in_(wanted),
            Member.state == "active",
            literal(COLLECTOR) == any_(Member.roles),
        )
    )
    if set(found) != wanted:
        raise NotFound


def _unassigned(work: Work, placement: Placement) -> Select[UUID, UUID]:
    assigned = exists().where(
        tenancy.own(work, Assignment),
        Assignment.lender_id == Case.lender_id,
        Assignment.placement_id == placement.id,
        Assignment.case_id == Case.id,
    )
    return (
        select(Case.id, Case.borrower_id)
        .where(tenancy.own(work, Case), Case.id.in_(_live_cases(work, placement)), ~assigned)
        .order_by(Case.id)
    )


def _live_cases(work: Work, placement: Placement) -> Select[UUID]:
    return select(PlacedCase.case_id).where(
        tenancy.own(work, PlacedCase), PlacedCase.placement_id == placement.id, placements.still_held(work, placement)
    )


def _collectors_of_borrowers(work: Work, placement: Placement, borrower_ids: list[UUID]) -> dict[UUID, UUID]:
    """borrower -> the active collector who has a case of theirs in the worklist now."""
    rows = work.session.execute(
        select(Case.borrower_id, func.min(cast(Assignment.collector_id, String)))
        .join(Assignment, and_(Assignment.lender_id == Case.lender_id, Assignment.case_id == Case.id))
        .join(
            WorkItem,
            and_(
                WorkItem.lender_id == Assignment.lender_id,
                WorkItem.placement_id == Assignment.placement_id,
                WorkItem.case_id == Assignment.case_id,
            ),
        )
        .join(Member, and_(tenancy.mine(work, Member), Member.id == Assignment.collector_id))
        .where(
            tenancy.own(work, Case),
            tenancy.own(work, Assignment),
            tenancy.own(work, WorkItem),
            Case.lender_id == placement.lender_id,
            Case.borrower_id == any_(literal(borrower_ids, ARRAY(Uuid))),
            Member.state == "active",
        )
        .group_by(Case.borrower_id)
    )
    return {borrower_id: UUID(collector_id) for borrower_id, collector_id in rows}


def _put(work: Work, placement: Placement, chosen: dict[UUID, UUID]) -> None:
    """case -> collector: write the assignments, and log for each collector which cases they got."""
    pairs = select(
        literal(placement.lender_id),
        literal(placement.id),
        func.unnest(literal(list(chosen), ARRAY(Uuid))),
        literal(placement.agency_id),
        func.unnest(literal(list(chosen.values()), ARRAY(Uuid))),
        literal(work.at),
    )
    columns = ["lender_id", "placement_id", "case_id", "agency_id", "collector_id", "assigned_at"]
    written = insert(Assignment).from_select(columns, pairs)
    work.session.execute(
        written.on_conflict_do_update(
            index_elements=["lender_id", "placement_id", "case_id"],
            set_={"collector_id": written.excluded.collector_id, "assigned_at": written.excluded.assigned_at},
        )
    )
    for collector_id in sorted(set(chosen.values())):
        cases = [case_id for case_id, chosen_id in chosen.items() if chosen_id == collector_id]
        for first in range(0, len(cases), audit.ENTRY_CASES_MAX):
            some = cases[first : first + audit.ENTRY_CASES_MAX]
            audit.record(
                work,
                audit.Action.CASE_ASSIGN,
                {"placement": placement.id, "collector": collector_id, "count": len(some), "cases": some},
            )
