"""Cases: the agency's worklist, the lender's list, one case, and what has happened to it.

What an agency can never see: a case that is not placed with it now (a recalled one is as unknown as one that
never was); another agency's contacts, promises, claims or releases on a case it holds, or whether there was
another, unless the lender's setting tells of its contacts; the lender's ledger; and anything personal, of which
there are masks alone. A collector sees, of all that, the cases assigned to them.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy import case as case_when
from sqlalchemy.orm import aliased

from models.business_day import day_of
from models.case import OPEN, Case
from models.case_actions import Standing, actions
from models.errors import Invalid, NotFound, RowError
from models.member import Member
from models.placement import Assignment, PlacedCase, Placement, ends_at
from models.services import pages, tenancy
from models.services.collection import timelines
from models.services.collection.timelines import TimelineItem
from models.services.exchange import placed_cases
from models.tender import TenderedCase
from models.work import AGENCY, LENDER, Work
from models.work_item import PROMISE_DUE, PROMISE_OVERDUE, REASONS, WorkItem


class WorklistFilter(NamedTuple):
    """`text` is an exact case number; `status` None is every status; `reason` one of those in REASONS."""

    bucket: str | None = None
    status: str | None = OPEN
    product: str | None = None
    text: str | None = None
    unassigned: bool = False
    collector_id: UUID | None = None
    reason: str | None = None


class CaseFilter(NamedTuple):
    """`text` is an exact case number; `placed` None is both."""

    portfolio_id: UUID | None = None
    bucket: str | None = None
    status: str | None = None
    product: str | None = None
    text: str | None = None
    agency_id: UUID | None = None
    placed: bool | None = None


ANY_OPEN = WorklistFilter()
ANY_CASE = CaseFilter()


class WorklistItem(NamedTuple):
    """A line of the worklist: why it stands where it stands (`reasons`, codes), and what was done last."""

    case: Case
    placement_id: UUID
    lender_name: str
    priority: int
    reasons: tuple[str, ...]
    last_contact_at: dt.datetime | None
    last_outcome: str | None
    promise_due_on: dt.date | None
    collector_id: UUID | None
    collector_name: str | None


class Page(NamedTuple):
    """`after`: where the next page begins; None on the last."""

    items: list[WorklistItem]
    after: str | None


class DuePromises(NamedTuple):
    """How many cases of the worklist wait for a promise that is overdue, and for one due today."""

    overdue: int
    today: int


class CaseLine(NamedTuple):
    """A line of the lender's list; the last two are None where the case is not placed."""

    case: Case
    placement_id: UUID | None
    agency_name: str | None


class CaseView(NamedTuple):
    """A case, its live placement if it has one, and action -> None, or why it may not be done now.

    `placement_seq` (手数) is None for an agency: it would tell whether others had the case before.
    """

    case: Case
    placement: Placement | None
    placed: PlacedCase | None
    placement_seq: int | None
    collector_id: UUID | None
    collector_name: str | None
    actions: Mapping[str, str | None]


def worklist(work: Work, filters: WorklistFilter = ANY_OPEN, after: str | None = None, limit: int = 50) -> Page:
    """The agency's cases that may be worked, most urgent first; a collector's own only.

    Promises overdue and due today come first, then cases never contacted, then the others; high balances
    before the rest. Raises Invalid for an `after` that no page gave.
    """
    limit = pages.clamped(limit)
    today = day_of(work.at)
    due = WorkItem.promise_due_on <= today
    due_rank = case_when((WorkItem.promise_due_on < today, PROMISE_OVERDUE), else_=PROMISE_DUE)
    # Two walks along an index each, cut off early, instead of one sort of everything the agency holds.
    workable = _workable(work)
    branches = [
        _ranked(work, filters, due_rank, after, limit).where(workable, due),
        _ranked(work, filters, WorkItem.priority, after, limit).where(
            workable, or_(WorkItem.promise_due_on.is_(None), ~due)
        ),
    ]
    ranked = union_all(*branches).subquery("ranked")
    query = (
        select(
            Case,
            Placement.id,
            Placement.lender_name,
            ranked.c.priority,
            WorkItem.last_contact_at,
            WorkItem.last_outcome,
            WorkItem.promise_due_on,
            Assignment.collector_id,
            _name_of(work, Assignment.collector_id),
        )
        .select_from(ranked)
        .join(WorkItem, _same(WorkItem, ranked.c))
        .join(Case, and_(Case.lender_id == ranked.c.lender_id, Case.id == ranked.c.case_id))
        .join(Placement, and_(Placement.lender_id == ranked.c.lender_id, Placement.id == ranked.c.placement_id))
        .outerjoin(Assignment, and_(_same(Assignment, ranked.c), tenancy.own(work, Assignment)))
        .where(tenancy.own(work, WorkItem), tenancy.own(work, Case), tenancy.own(work, Placement))
        .order_by(ranked.c.priority, ranked.c.case_id)
        .limit(limit + 1)
    )
    rows = work.session.execute(query).all()
    items = [
        WorklistItem(case, placement_id, lender_name, rank, REASONS[rank], at, outcome, due_on, collector_id, name)
        for case, placement_id, lender_name, rank, at, outcome, due_on, collector_id, name in rows[:limit]
    ]
    return Page(items, f"{items[-1].priority}.{items[-1].case.id}" if len(rows) > limit else None)


def export_worklist(work: Work, filters: WorklistFilter = ANY_OPEN) -> Iterator[WorklistItem]:
    """All that `worklist` would page through, of placements that nobody ends before the file is logged, and of lenders
    that have not frozen the agency: a freeze may not have reached all of them yet."""
    held, after = placed_cases.hold_all(work), None
    freezing = set(placed_cases.find_freezing(work))
    while True:
        page = worklist(work, filters, after, pages.LIMIT_MAX)
        yield from (item for item in page.items if item.placement_id in held and item.case.lender_id not in freezing)
        if page.after is None:
            return
        after = page.after


def due_promises(work: Work) -> DuePromises:
    """Of the agency's open cases; for a collector, of their own."""
    today = day_of(work.at)
    query = (
        select(
            func.count().filter(WorkItem.promise_due_on < today),
            func.count().filter(WorkItem.promise_due_on == today),
        )
        .join(Case, and_(Case.lender_id == WorkItem.lender_id, Case.id == WorkItem.case_id))
        .join(Placement, and_(Placement.lender_id == WorkItem.lender_id, Placement.id == WorkItem.placement_id))
        .where(
            tenancy.own(work, WorkItem),
            tenancy.own(work, Case),
            tenancy.own(work, Placement),
            WorkItem.promise_due_on <= today,
            Case.status == OPEN,
            _workable(work),
        )
    )
    if own_only(work):
        query = query.where(_assigned(work, work.actor.member_id))
    return DuePromises(*work.session.execute(query).one())


def list_own(work: Work, filters: CaseFilter = ANY_CASE, after: UUID | None = None, limit: int = 50) -> list[CaseLine]:
    """A lender's cases (for its auditor too), newest first, with the agency that has them."""
    query = (
        select(Case, Placement.id, Placement.agency_name)
        .outerjoin(PlacedCase, _live_placing(work))
        .outerjoin(Placement, _placement_of_placing(work))
        .where(*_seen(work))
    )
    wanted = {
        Case.portfolio_id: filters.portfolio_id,
        Case.bucket: filters.bucket,
        Case.status: filters.status,
        Case.product: filters.product,
        Case.reference: filters.text,
        Case.agency_id: filters.agency_id,
    }
    query = query.where(*(column == value for column, value in wanted.items() if value is not None))
    if filters.placed is not None:
        query = query.where(Case.agency_id.is_not(None) if filters.placed else Case.agency_id.is_(None))
    return [CaseLine(*row) for row in work.session.execute(pages.newest(query, Case.id, after, limit))]


def get(work: Work, case_id: UUID) -> CaseView:
    """A case as its side may see it. A collector is told NotFound of a case that is not assigned to them."""
    found = work.session.execute(
        select(Case, Placement, PlacedCase, Assignment.collector_id, _name_of(work, Assignment.collector_id))
        .outerjoin(PlacedCase, _live_placing(work))
        .outerjoin(Placement, _placement_of_placing(work))
        .outerjoin(Assignment, and_(_same(Assignment, PlacedCase), tenancy.own(work, Assignment)))
        .where(*_seen(work), Case.id == case_id)
    ).one_or_none()
    if found is None:
        raise NotFound
    case, placement, placed, collector_id, collector_name = found
    standing = Standing(
        side=work.actor.side,
        roles=work.actor.roles,
        status=case.status,
        placement_state=placement.state if placement else None,
        expires_at=ends_at(placement, placed) if placement else None,
        assigned_to_me=collector_id is not None and collector_id == work.actor.member_id,
        offered=work.actor.side == LENDER and _is_offered(work, case),
        frozen=placement is not None and placement.frozen_at is not None,
        erased=case.erased_at is not None,
    )
    seq = placed.placement_seq if placed and work.actor.side != AGENCY else None
    return CaseView(case, placement, placed, seq, collector_id, collector_name, actions(standing, work.at))


def list_numbered(work: Work, number: str) -> list[Case]:
    """The cases of this number that the actor may see: one of each lender that uses it."""
    query = select(Case).where(*_seen(work), Case.reference == number).order_by(Case.id)
    return list(work.session.scalars(query.limit(pages.LIMIT_MAX)))


def references(work: Work, case_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The case numbers of those cases that may be seen now; the others are left out."""
    named = select(Case.id, Case.reference).where(*_seen(work), Case.id.in_(set(case_ids)))
    return dict(work.session.execute(named).all())


def timeline(work: Work, case_id: UUID) -> list[TimelineItem]:
    """What has happened to the case, newest first, as far as this side may know."""
    return timelines.of_case(work, get(work, case_id).case)


def _ranked(
    work: Work, filters: WorklistFilter, rank: Any, after: str | None, limit: int
) -> Select[UUID, UUID, UUID, int]:
    """Keys and rank of one branch of the worklist, in its order, one row more than a page."""
    query = (
        select(WorkItem.lender_id, WorkItem.placement_id, WorkItem.case_id, rank.label("priority"))
        .join(Case, and_(Case.lender_id == WorkItem.lender_id, Case.id == WorkItem.case_id))
        .join(Placement, and_(Placement.lender_id == WorkItem.lender_id, Placement.id == WorkItem.placement_id))
        .where(
            tenancy.own(work, WorkItem),
            tenancy.own(work, Case),
            tenancy.own(work, Placement),
        )
        .order_by(rank, WorkItem.case_id)
        .limit(limit + 1)
    )
    wanted = {
        Case.bucket: filters.bucket,
        Case.status: filters.status,
        Case.product: filters.product,
        Case.reference: filters.text,
    }
    query = query.where(*(column == value for column, value in wanted.items() if value is not None))
    if filters.reason is not None:
        query = query.where(rank.in_([rank_ for rank_, reasons in REASONS.items() if filters.reason in reasons]))
    if filters.unassigned:
        query = query.where(~_assigned(work))
    for collector_id in {filters.collector_id, work.actor.member_id if own_only(work) else None} - {None}:
        query = query.where(_assigned(work, collector_id))
    if after is not None:
        query = query.where(tuple_(rank, WorkItem.case_id) > tuple_(*_cursor(after)))
    return query


def _workable(work: Work) -> ColumnElement[bool]:
    """The `WorkItem`'s placement runs and is not frozen."""
    return and_(_still_runs(work), Placement.frozen_at.is_(None))


def _still_runs(work: Work) -> ColumnElement[bool]:
    """The `WorkItem`'s placement is not over, or its case is retained beyond it."""
    retained = exists().where(
        tenancy.own(work, PlacedCase),
        _same(PlacedCase, WorkItem),
        PlacedCase.ended_at.is_(None),
        PlacedCase.retained_until > work.at,
    )
    return or_(Placement.expires_at > work.at, retained)


def _cursor(after: str) -> tuple[ColumnElement[int], ColumnElement[UUID]]:
    rank, _, case_id = after.partition(".")
    try:
        return literal(int(rank), Integer), literal(UUID(case_id))
    except ValueError:
        raise Invalid(errors=[RowError(0, "after", "malformed_cursor")]) from None


def _assigned(work: Work, collector_id: UUID | None = None) -> ColumnElement[bool]:
    """This work item is assigned: to anyone, or to this collector."""
    to_whom = [] if collector_id is None else [Assignment.collector_id == collector_id]
    return exists().where(tenancy.own(work, Assignment), _same(Assignment, WorkItem), *to_whom)


def own_only(work: Work) -> bool:
    """A collector sees their own cases; who manages sees the agency's."""
    return work.actor.side == AGENCY and "manager" not in work.actor.roles


def of_item(work: Work, statuses: Sequence[str]) -> ColumnElement[bool]:
    """The case of an agency's `WorkItem` has one of these statuses, none of them open: there is an index of those.

    The planner has to see the statuses for it, so they stand in the statement.
    """
    among: BindParameter[Any] = bindparam("statuses", statuses, expanding=True, literal_execute=True)
    return exists().where(
        tenancy.own(work, Case),
        Case.lender_id == WorkItem.lender_id,
        Case.id == WorkItem.case_id,
        Case.status.in_(among),
    )


def _seen(work: Work) -> list[ColumnElement[bool]]:
    """Which cases the actor may see at all."""
    conditions = [tenancy.own(work, Case)]
    if own_only(work):
        mine, placing = aliased(Assignment), aliased(PlacedCase)
        conditions.append(
            exists().where(
                tenancy.own(work, mine),
                tenancy.own(work, placing),
                _same(mine, placing),
                placing.lender_id == Case.lender_id,
                placing.case_id == Case.id,
                placing.ended_at.is_(None),
                mine.collector_id == work.actor.member_id,
            )
        )
    return conditions


def _live_placing(work: Work) -> ColumnElement[bool]:
    return and_(
        PlacedCase.lender_id == Case.lender_id,
        PlacedCase.case_id == Case.id,
        PlacedCase.ended_at.is_(None),
        tenancy.own(work, PlacedCase),
    )


def _placement_of_placing(work: Work) -> ColumnElement[bool]:
    return and_(
        Placement.lender_id == PlacedCase.lender_id,
        Placement.id == PlacedCase.placement_id,
        tenancy.own(work, Placement),
    )


def _same(table: Any, other: Any) -> ColumnElement[bool]:
    """Both rows are about one case in one placement."""
    return and_(
        table.lender_id == other.lender_id,
        table.placement_id == other.placement_id,
        table.case_id == other.case_id,
    )


def _name_of(work: Work, member_id: Any) -> ColumnElement[str | None]:
    """The name of a person of the actor's own organisation; of anyone else it is null."""
    return select(Member.name).where(tenancy.mine(work, Member), Member.id == member_id).scalar_subquery()


def _is_offered(work: Work, case: Case) -> bool:
    offered = select(TenderedCase.case_id).where(
        tenancy.own(work, TenderedCase), TenderedCase.case_id == case.id, TenderedCase.open
    )
    return work.session.scalar(offered) is not None
