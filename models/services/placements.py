"""Placements: acknowledged by the agency, recalled by the lender, ended by their term.

An agency sees its own placements and, of their cases, those still placed with it: a recalled case leaves
its lists with the recall's commit. It never sees where a case was before or goes afterwards, nor why
another agency lost it, nor the number of the placement. While a placement is frozen its cases may be
looked at and nothing more. Recall, freeze and expiry lock the placement FOR UPDATE, every act of the agency on
one of its cases locks it FOR SHARE: so commit order decides which of two came first. A case that is retained goes on
to its own day; recalls that wait for objections are in `recalls`.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    true,
    tuple_,
)

from models.case import CLOSED, Case
from models.errors import CaseClosedToWork, Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import (
    ACTIVE,
    EXPIRED,
    LIVE,
    RECALL_REASONS,
    RETURNED,
    TRANSITIONS,
    Assignment,
    PlacedCase,
    Placement,
    case_ends_at,
)
from models.placement_freeze import FREEZE_REASONS, PlacementFreeze
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import Portfolio
from models.recall_request import RECALLED as CASE_RECALLED
from models.recall_request import REQUESTED, RecallCase, RecallRequest
from models.recall_request import TRANSITIONS as RECALL_TRANSITIONS
from models.release import ReleaseRecord
from models.services import agreements, audit, bulk, ends, leases, lender_settings, notices, pages, paying, tenancy
from models.services.ends import Figures
from models.states import step
from models.work import AGENCY, LENDER, Work
from models.work_item import HIGH_SHARE, NEW, NEW_HIGH, WorkItem

EXPIRY = "term_over"
ENTRY_CASES_MAX = 1000  # an audit entry names no more cases than this
CODES_OF_END = {EXPIRED: "placement_expired", RETURNED: "case_returned"}  # what an agency is told; else a recall


class PlacementFilter(NamedTuple):
    """What to list; None leaves it open. `other_id` is the party on the other side."""

    state: str | None = None
    other_id: UUID | None = None
    portfolio_id: UUID | None = None
    ends_before: dt.datetime | None = None


ANY = PlacementFilter()


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


def list_own(
    work: Work,
    after: UUID | None = None,
    limit: int = 50,
    state: str | None = None,
    filters: PlacementFilter = ANY,
) -> list[Placement]:
    """A lender's placements, or those with an agency. `ends_before` is of the live ones."""
    other = Placement.lender_id if work.actor.side == AGENCY else Placement.agency_id
    query = select(Placement).where(tenancy.own(work, Placement))
    for column, value in (
        (Placement.state, state or filters.state),
        (other, filters.other_id),
        (Placement.portfolio_id, filters.portfolio_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.ends_before is not None:
        ends_at = func.coalesce(Placement.extended_until, Placement.expires_at)
        query = query.where(Placement.state.in_(LIVE), ends_at < filters.ends_before)
    return list(work.session.scalars(pages.newest(query, Placement.id, after, limit)))


def count_by_state(work: Work) -> dict[str, int]:
    """How many placements stand in each state."""
    counted = select(Placement.state, func.count()).where(tenancy.own(work, Placement)).group_by(Placement.state)
    return dict(work.session.execute(counted).all())


def list_parties(work: Work) -> dict[UUID, str]:
    """Who is on the other side of any placement, by name."""
    other = (
        (Placement.lender_id, Placement.lender_name)
        if work.actor.side == AGENCY
        else (Placement.agency_id, Placement.agency_name)
    )
    found = select(other[0], func.max(other[1])).where(tenancy.own(work, Placement)).group_by(other[0])
    return dict(work.session.execute(found.order_by(func.max(other[1]))).all())


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
    return ends.figures(work, get(work, placement_id))


def figures_owed(work: Work, placement_id: UUID) -> Figures:
    """The same of those cases on which something is still owed."""
    placement = get(work, placement_id)
    query = (
        select(func.count(), func.coalesce(func.sum(PlacedCase.referred_amount), Decimal("0.00")))
        .select_from(PlacedCase)
        .join(Case, and_(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id))
        .where(
            tenancy.own(work, PlacedCase), tenancy.own(work, Case), ends.live_in(placement), Case.status.not_in(CLOSED)
        )
    )
    return Figures(*work.session.execute(query).one())


def acknowledge(work: Work, placement_id: UUID, case_count: int, balance: Decimal) -> Placement:
    """The agency confirms how many cases it received and their total; from then on they may be worked.

    Other figures than ours are a Conflict that names both, and the placement goes on waiting.
    """
    placement = get(work, placement_id)
    with work.as_lender(placement):
        lock(work, placement)
        refuse_frozen(placement)
        state = step(TRANSITIONS, placement.state, "acknowledge")
        now = work.now()
        if now >= placement.expires_at:
            raise Conflict("placement_expired")
        ours = ends.figures(work, placement)
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
        ends.close_breaks(work, placement, now, "acknowledged")
        _open_worklist(work, placement)
        audit.record(
            work,
            audit.Action.PLACEMENT_ACKNOWLEDGE,
            {"placement": placement.id, "agency": placement.agency_id, "cases": case_count, "balance": balance},
        )
        tell(work, placement, TO_LENDER, "placement.acknowledged", cases=case_count)
    return placement


def recall(work: Work, placement_id: UUID, reason: str, case_ids: list[UUID] | None = None) -> int:
    """End the placement at once, or only the cases named; answers how many cases came back.

    NotFound unless every case named is placed under this placement now. With its last case a placement ends.
    """
    require_recalling(work, reason, case_ids)
    placement = get(work, placement_id)
    lock(work, placement)
    step(TRANSITIONS, placement.state, "recall")
    if case_ids is not None:
        ends.require_live(work, placement, case_ids)
    # Every release that came before this lock was granted is older than the recall, by the clock too.
    now = work.now()
    request = add_recall(work, placement, reason, now, now)
    held = execute(work, placement, request, now, case_ids)
    add_cases(work, placement, request, held, CASE_RECALLED, decided_at=now)
    return len(held)


def require_recalling(work: Work, reason: str, case_ids: list[UUID] | None) -> None:
    assert work.actor.side == LENDER
    if reason not in RECALL_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    if case_ids is not None and not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])


def add_recall(
    work: Work, placement: Placement, reason: str, at: dt.datetime, object_until: dt.datetime
) -> RecallRequest:
    """A recall of the locked placement that is asked for as of `at`."""
    request = RecallRequest(
        lender_id=placement.lender_id,
        id=new_id(),
        agency_id=placement.agency_id,
        placement_id=placement.id,
        reason=reason,
        state=REQUESTED,
        case_count=0,
        requested_by=work.actor.member_id,
        requested_at=at,
        object_until=object_until,
    )
    work.session.add(request)
    work.session.flush()
    return request


def add_cases(
    work: Work,
    placement: Placement,
    request: RecallRequest,
    case_ids: Sequence[UUID],
    state: str,
    decided_at: dt.datetime | None = None,
) -> None:
    """Name the cases that a recall is about."""
    columns = ["lender_id", "request_id", "case_id", "agency_id", "placement_id", "state", "decided_at"]
    cases = select(
        PlacedCase.lender_id,
        literal(request.id),
        PlacedCase.case_id,
        PlacedCase.agency_id,
        PlacedCase.placement_id,
        literal(state),
        literal(decided_at, DateTime(timezone=True)),
    ).where(
        tenancy.of_lender(placement.lender_id, PlacedCase),
        PlacedCase.placement_id == placement.id,
        bulk.among(PlacedCase.case_id, case_ids),
    )
    work.session.execute(insert(RecallCase).from_select(columns, cases))


def execute(
    work: Work, placement: Placement, request: RecallRequest, now: dt.datetime, case_ids: list[UUID] | None
) -> Sequence[UUID]:
    """Carry out a recall of the locked placement, as of `now`; answers which cases came back.

    None of them may be opened, reported on or taken away any more; that all work has stopped the agency confirms
    within the lender's `stop_work_hours`.
    """
    recalled = step(TRANSITIONS, placement.state, "recall")
    request.state = step(RECALL_TRANSITIONS, request.state, "execute")
    hours = lender_settings.of_lender(work, placement.lender_id).stop_work_hours
    request.executed_at, request.stop_due_at = now, now + dt.timedelta(hours=hours)
    held = ends.take_back(work, placement, now, request.reason, case_ids)
    assert case_ids is None or len(held) == len(set(case_ids))  # required, or asked for, under the lock
    request.case_count = request.case_count or len(held)
    ends.end_if_empty(work, placement, recalled, now, request.reason)
    subject = {
        "placement": placement.id,
        "agency": placement.agency_id,
        "reason": request.reason,
        "count": len(held),
        "recall": request.id,
    }
    if case_ids is None:
        audit.record(work, audit.Action.PLACEMENT_RECALL, subject)
    else:
        named = sorted(set(case_ids)) if len(case_ids) <= ENTRY_CASES_MAX else None  # the recall itself names all
        audit.record(work, audit.Action.CASE_RECALL, {**subject, "cases": named})
    tell(work, placement, TO_AGENCY, "placement.recalled", key=request.id, reason=request.reason, cases=len(held))
    return held


def freeze(work: Work, placement_id: UUID, reason: str) -> Placement:
    """Stop the agency's work under the placement until `unfreeze`: nothing is opened, reported or exported.

    The term runs on. Conflict `already_frozen`, or `wrong_state` where the placement has ended.
    """
    _require_freezing(work, reason)
    placement = get(work, placement_id)
    lock(work, placement)
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
    lock(work, placement)
    if placement.frozen_at is None:
        raise Conflict("not_frozen")
    placement.frozen_at = None
    standing = work.session.scalars(_standing_freeze(work, placement)).one()
    standing.lifted_by, standing.lifted_at = work.actor.member_id, work.now()
    audit.record(work, audit.Action.PLACEMENT_UNFREEZE, {"placement": placement.id, "agency": placement.agency_id})
    tell(work, placement, TO_AGENCY, "placement.unfrozen", key=standing.id)
    return placement


def find_freeze(work: Work, placement: Placement) -> PlacementFreeze | None:
    """The freeze that stands on the placement."""
    return work.session.scalar(_standing_freeze(work, placement))


def expire_due(work: Work) -> int:
    """End the cases whose time is over, as of its end; answers how many placements ended with them.

    Where a term is over, cases that pay are retained by the lender's rule, and those retained go on to their own day.
    """
    case_due = exists().where(
        PlacedCase.lender_id == Placement.lender_id,
        PlacedCase.placement_id == Placement.id,
        PlacedCase.ended_at.is_(None),
        case_ends_at() <= work.at,
    )
    due = work.session.scalars(
        select(Placement)
        .where(tenancy.own(work, Placement), Placement.state.in_(LIVE), Placement.expires_at <= work.at, case_due)
        .order_by(Placement.id)
        .with_for_update()
        .execution_options(populate_existing=True)
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
        count += len(ends.take_back(work, placement, end, EXPIRY, case_ids))
        last = max(last, end)
    subject = {"placement": placement.id, "agency": placement.agency_id, "count": count}
    audit.record(work, audit.Action.PLACEMENT_EXPIRE, subject)
    ended = ends.end_if_empty(work, placement, step(TRANSITIONS, placement.state, "expire"), last, EXPIRY)
    for told in (TO_LENDER, TO_AGENCY):
        tell(work, placement, told, "placement.expired", key=last.isoformat(), cases=count, ended=ended)
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
            still_held(work, placement) if work.actor.side == AGENCY else true(),
        )
    )
    return [PlacementCase(*row) for row in work.session.execute(pages.newest(query, Case.id, after, limit))]


def export_cases(work: Work, placement_id: UUID) -> list[PlacementCase]:
    """All that `list_cases` would page through; an agency has none of a frozen placement or one that has ended."""
    if work.actor.side == AGENCY:
        placement = get(work, placement_id)
        refuse_frozen(placement)
        if placement.state not in LIVE:
            raise CaseClosedToWork(CODES_OF_END.get(placement.state, "case_recalled"))
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


def still_held(work: Work, placement: Placement) -> ColumnElement[bool]:
    """The placed case has not ended, neither by an act nor by its day, whether a job has swept it or not."""
    return and_(PlacedCase.ended_at.is_(None), func.coalesce(PlacedCase.retained_until, placement.expires_at) > work.at)


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
    tell(work, placement, TO_AGENCY, "placement.frozen", key=placement.frozen_at.isoformat(), reason=reason)


def _standing_freeze(work: Work, placement: Placement) -> Select[PlacementFreeze]:
    return select(PlacementFreeze).where(
        tenancy.own(work, PlacementFreeze),
        PlacementFreeze.lender_id == placement.lender_id,
        PlacementFreeze.placement_id == placement.id,
        PlacementFreeze.lifted_at.is_(None),
    )


def refuse_frozen(placement: Placement) -> None:
    if placement.frozen_at is not None:
        raise Conflict("placement_frozen")


def lock(work: Work, placement: Placement) -> None:
    """Wait for whoever acts under this placement now, then read it as they left it."""
    work.session.refresh(placement, with_for_update=True)


def tell(work: Work, placement: Placement, told: str, kind: str, key: object = "", **facts: object) -> None:
    """A notice about the placement; `key` tells occasions of one kind apart. Stands in the lender's tenant."""
    notices.tell(
        work,
        placement.lender_id,
        placement.agency_id,
        told,
        kind,
        "placement",
        placement.id,
        f"{kind}/{placement.id}/{key}",
        **facts,
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
            ).where(ends.live_in(placement)),
        )
    )


def end_cases(
    work: Work, placement: Placement, at: dt.datetime, reason: str, case_ids: list[UUID] | None = None
) -> int:
    """Take the cases from the agency; answers how many it held."""
    return len(ends.take_back(work, placement, at, reason, case_ids))
