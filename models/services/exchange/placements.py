"""Placements: acknowledged by the agency, recalled by the lender, ended by their term.

An agency sees its own placements and, of their cases, those still placed with it: a recalled case leaves
its lists with the recall's commit. It never sees where a case was before or goes afterwards, nor why
another agency lost it, nor the number of the placement. While a placement is frozen its cases may be
looked at and nothing more. Recall, freeze and expiry lock the placement for themselves, every act of the agency on
one of its cases locks it shared: so commit order decides which of two came first. A case that is retained goes on
to its own day; recalls that wait for objections are in `recalls`.
"""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    func,
    insert,
    null,
    select,
    true,
    tuple_,
)

from models.agency_standing import FROZEN, AgencyStanding
from models.case import CLOSED, Case
from models.errors import CaseClosedToWork, Conflict, NotFound
from models.notice import LENDER as TO_LENDER
from models.placement import (
    AWAITING_ACK,
    EXPIRED,
    LIVE,
    RETURNED,
    TRANSITIONS,
    Assignment,
    PlacedCase,
    Placement,
)
from models.release import ReleaseRecord
from models.services import notices, pages, tenancy
from models.services.exchange import ends, turns
from models.services.exchange.ends import Figures
from models.services.oversight import audit
from models.states import step
from models.work import AGENCY, Work
from models.work_item import HIGH_SHARE, NEW, NEW_HIGH, WorkItem

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


def count_unacknowledged(work: Work) -> int:
    """How many wait for an acknowledgement that may be given now: a frozen one takes none."""
    waiting = select(func.count()).where(
        tenancy.own(work, Placement), Placement.state == AWAITING_ACK, Placement.frozen_at.is_(None)
    )
    return work.session.scalar(waiting) or 0


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
    """Asked for once in a Work: who may see a placement never changes, and what does change is read under its lock."""
    known: dict[UUID, Placement] = work.session.info.setdefault(Placement, {})
    if placement_id not in known:
        found = work.session.scalar(select(Placement).where(tenancy.own(work, Placement), Placement.id == placement_id))
        if found is None:
            raise NotFound
        known[placement_id] = found
    return known[placement_id]


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
        ends.refuse_ended(placement, "acknowledge")
        refuse_frozen(work, placement)
        state = step(TRANSITIONS, placement.state, "acknowledge")
        now = work.now()
        if now >= placement.expires_at:
            raise CaseClosedToWork("placement_expired", placement.id)
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
    placement = _hold_for_file(work, placement_id)
    if work.actor.side == AGENCY and placement.state not in LIVE:
        raise CaseClosedToWork(CODES_OF_END.get(placement.state, "case_recalled"), placement.id)
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
    """All that `opened` would page through; an agency has none while it is frozen, and again after its end."""
    _hold_for_file(work, placement_id)
    found: list[Opened] = []
    while part := opened(work, placement_id, found[-1].release.id if found else None, pages.LIMIT_MAX):
        found += part
    return found


def _hold_for_file(work: Work, placement_id: UUID) -> Placement:
    """The placement, before an agency's file of it is read: who ends or freezes it waits for the file, or came first.

    CaseClosedToWork while it is frozen. A lender's own files wait for nobody.
    """
    placement = get(work, placement_id)
    if work.actor.side == AGENCY:
        with work.as_lender(placement):
            lock(work, placement, shared=True)
            if placement.state in LIVE:
                refuse_frozen(work, placement)
    return placement


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


def refuse_frozen(work: Work, placement: Placement) -> None:
    """CaseClosedToWork while the placement stands still, or its agency does. Stands in the lender's tenant."""
    if is_frozen(work, placement):
        raise CaseClosedToWork("placement_frozen", placement.id)


def is_frozen(work: Work, placement: Placement) -> bool:
    """A freeze of the agency waits for nobody: until it reaches the placements, how the agency stands says it."""
    return placement.frozen_at is not None or agency_is_frozen(work, placement)


def agency_is_frozen(work: Work, placement: Placement) -> bool:
    """The placement's agency, by its lender. Stands in the lender's tenant."""
    standing = select(AgencyStanding.state).where(
        tenancy.of_lender(placement.lender_id, AgencyStanding), AgencyStanding.agency_id == placement.agency_id
    )
    return work.session.scalar(standing) == FROZEN


def lock(work: Work, placement: Placement, *, shared: bool = False) -> None:
    """Wait for whoever acts under this placement now, then read it as they left it; `shared`, for whoever ends it."""
    one = select(Placement).where(tenancy.of_lender(placement.lender_id, Placement), Placement.id == placement.id)
    work.session.scalars(turns.on_placements(work, one, shared=shared)).one()


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
