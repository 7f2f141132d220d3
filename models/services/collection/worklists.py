"""The agency's worklist: which of its cases to work next, and why.

Cases whose placement runs and is not frozen; a collector's own only. `cases` says what an agency may see at all.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
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

from models.business_day import day_of
from models.case import OPEN, Case
from models.errors import Invalid, RowError
from models.placement import Assignment, PlacedCase, Placement
from models.services import pages, tenancy
from models.services.exchange import placed_cases
from models.services.portfolio.cases import name_of, own_only, same_placing
from models.work import Work
from models.work_item import PROMISE_DUE, PROMISE_OVERDUE, REASONS, WorkItem


class Filter(NamedTuple):
    """`text` is an exact case number; `status` None is every status; `reason` one of those in REASONS."""

    bucket: str | None = None
    status: str | None = OPEN
    product: str | None = None
    text: str | None = None
    unassigned: bool = False
    collector_id: UUID | None = None
    reason: str | None = None


ANY_OPEN = Filter()


class Item(NamedTuple):
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

    items: list[Item]
    after: str | None


class DuePromises(NamedTuple):
    """How many cases of the worklist wait for a promise that is overdue, and for one due today."""

    overdue: int
    today: int


def read(work: Work, filters: Filter = ANY_OPEN, after: str | None = None, limit: int = 50) -> Page:
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
            name_of(work, Assignment.collector_id),
        )
        .select_from(ranked)
        .join(WorkItem, same_placing(WorkItem, ranked.c))
        .join(Case, and_(Case.lender_id == ranked.c.lender_id, Case.id == ranked.c.case_id))
        .join(Placement, and_(Placement.lender_id == ranked.c.lender_id, Placement.id == ranked.c.placement_id))
        .outerjoin(Assignment, and_(same_placing(Assignment, ranked.c), tenancy.own(work, Assignment)))
        .where(tenancy.own(work, WorkItem), tenancy.own(work, Case), tenancy.own(work, Placement))
        .order_by(ranked.c.priority, ranked.c.case_id)
        .limit(limit + 1)
    )
    rows = work.session.execute(query).all()
    items = [
        Item(case, placement_id, lender_name, rank, REASONS[rank], at, outcome, due_on, collector_id, name)
        for case, placement_id, lender_name, rank, at, outcome, due_on, collector_id, name in rows[:limit]
    ]
    return Page(items, f"{items[-1].priority}.{items[-1].case.id}" if len(rows) > limit else None)


def export(work: Work, filters: Filter = ANY_OPEN) -> Iterator[Item]:
    """All that `read` would page through, of placements that nobody ends before the file is logged, and of lenders
    that have not frozen the agency: a freeze may not have reached all of them yet."""
    held, after = placed_cases.hold_all(work), None
    frozen_by = placed_cases.find_frozen_by(work)
    while True:
        page = read(work, filters, after, pages.LIMIT_MAX)
        yield from (item for item in page.items if item.placement_id in held and item.case.lender_id not in frozen_by)
        if page.after is None:
            return
        after = page.after


def due_promises(work: Work) -> DuePromises:
    """Of the agency's open cases; for a collector, of their own."""
    today = day_of(work.at)
    counts = (
        func.count().filter(WorkItem.promise_due_on < today),
        func.count().filter(WorkItem.promise_due_on == today),
    )
    query = _of_items(work, *counts).where(WorkItem.promise_due_on <= today, Case.status == OPEN, _workable(work))
    if own_only(work):
        query = query.where(_assigned(work, work.actor.member_id))
    return DuePromises(*work.session.execute(query).one())


def _ranked(work: Work, filters: Filter, rank: Any, after: str | None, limit: int) -> Select[*tuple[Any, ...]]:
    """Keys and rank of one branch of the worklist, in its order, one row more than a page."""
    keys = (WorkItem.lender_id, WorkItem.placement_id, WorkItem.case_id)
    query = _of_items(work, *keys, rank.label("priority")).order_by(rank, WorkItem.case_id).limit(limit + 1)
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


def _of_items(work: Work, *columns: Any) -> Select[*tuple[Any, ...]]:
    """The columns of the agency's `WorkItem`s, each with its `Case` and `Placement`."""
    return (
        select(*columns)
        .join_from(WorkItem, Case, and_(Case.lender_id == WorkItem.lender_id, Case.id == WorkItem.case_id))
        .join(Placement, and_(Placement.lender_id == WorkItem.lender_id, Placement.id == WorkItem.placement_id))
        .where(*(tenancy.own(work, table) for table in (WorkItem, Case, Placement)))
    )


def _workable(work: Work) -> ColumnElement[bool]:
    """The `WorkItem`'s placement runs and is not frozen."""
    return and_(_still_runs(work), Placement.frozen_at.is_(None))


def _still_runs(work: Work) -> ColumnElement[bool]:
    """The `WorkItem`'s placement is not over, or its case is retained beyond it."""
    retained = exists().where(
        tenancy.own(work, PlacedCase),
        same_placing(PlacedCase, WorkItem),
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
    return exists().where(tenancy.own(work, Assignment), same_placing(Assignment, WorkItem), *to_whom)


def has_status(work: Work, statuses: Sequence[str]) -> ColumnElement[bool]:
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
