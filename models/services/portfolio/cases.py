"""Cases: the lender's list, one case, and what has happened to it.

What an agency can never see: a case that is not placed with it now (a recalled one is as unknown as one that
never was); another agency's contacts, promises, claims or releases on a case it holds, or whether there was
another, unless the lender's setting tells of its contacts; the lender's ledger; and anything personal, of which
there are masks alone. A collector sees, of all that, the cases assigned to them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import aliased

from models.case import Case
from models.case_actions import Standing, actions
from models.errors import NotFound
from models.member import Member
from models.placement import Assignment, PlacedCase, Placement, ends_at
from models.services import pages, tenancy
from models.services.collection import timelines
from models.services.collection.timelines import TimelineItem
from models.tender import TenderedCase
from models.work import AGENCY, LENDER, Work


class CaseFilter(NamedTuple):
    """`text` is an exact case number; `placed` None is both."""

    portfolio_id: UUID | None = None
    bucket: str | None = None
    status: str | None = None
    product: str | None = None
    text: str | None = None
    agency_id: UUID | None = None
    placed: bool | None = None


ANY_CASE = CaseFilter()


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
        select(Case, Placement, PlacedCase, Assignment.collector_id, name_of(work, Assignment.collector_id))
        .outerjoin(PlacedCase, _live_placing(work))
        .outerjoin(Placement, _placement_of_placing(work))
        .outerjoin(Assignment, and_(same_placing(Assignment, PlacedCase), tenancy.own(work, Assignment)))
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


def own_only(work: Work) -> bool:
    """A collector sees their own cases; who manages sees the agency's."""
    return work.actor.side == AGENCY and "manager" not in work.actor.roles


def _seen(work: Work) -> list[ColumnElement[bool]]:
    """Which cases the actor may see at all."""
    conditions = [tenancy.own(work, Case)]
    if own_only(work):
        mine, placing = aliased(Assignment), aliased(PlacedCase)
        conditions.append(
            exists().where(
                tenancy.own(work, mine),
                tenancy.own(work, placing),
                same_placing(mine, placing),
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


def same_placing(table: Any, other: Any) -> ColumnElement[bool]:
    """Both rows are about one case in one placement."""
    return and_(
        table.lender_id == other.lender_id,
        table.placement_id == other.placement_id,
        table.case_id == other.case_id,
    )


def name_of(work: Work, member_id: Any) -> ColumnElement[str | None]:
    """The name of a person of the actor's own organisation; of anyone else it is null."""
    return select(Member.name).where(tenancy.mine(work, Member), Member.id == member_id).scalar_subquery()


def _is_offered(work: Work, case: Case) -> bool:
    offered = select(TenderedCase.case_id).where(
        tenancy.own(work, TenderedCase), TenderedCase.case_id == case.id, TenderedCase.open
    )
    return work.session.scalar(offered) is not None
