"""Recalls as both sides read them: listed, counted, and one with its cases."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, func, select, true

from models.exclusion import Exclusion
from models.placement import RECALL_CATEGORIES, Placement
from models.recall_request import ASKED, EXECUTED, GONE, KEPT, OBJECTED, RECALLED, WITHDRAWN, RecallCase, RecallRequest
from models.services import bulk, pages, tenancy
from models.services.exchange import recalls, treatments
from models.work import Work


class RecallLine(NamedTuple):
    """A recall with its parties, and how many of its cases stand how."""

    request: RecallRequest
    lender_name: str
    agency_name: str
    asked: int
    objected: int
    kept: int
    recalled: int
    gone: int
    objections: int  # ever made, whatever became of them

    @property
    def category(self) -> str:
        """Of its reason."""
        return RECALL_CATEGORIES[self.request.reason]

    @property
    def stop_due(self) -> bool:
        """Carried out, and nobody has confirmed that work has stopped."""
        return self.request.state == EXECUTED and self.request.stop_confirmed_at is None

    @property
    def left_otherwise(self) -> bool:
        """Ended without anybody's decision: all its cases left the agency another way."""
        return self.request.state == WITHDRAWN and self.gone > 0 and not self.kept


class RecallCaseLine(NamedTuple):
    """A case of a recall, in a page."""

    case: RecallCase

    @property
    def id(self) -> UUID:
        return self.case.case_id

    @property
    def reference(self) -> str:
        return self.case.reference


class RecallFilter(NamedTuple):
    """What to list; None leaves it open. `unconfirmed`: carried out, and the stop of work not confirmed."""

    state: str | None = None
    placement_id: UUID | None = None
    agency_id: UUID | None = None
    unconfirmed: bool = False
    category: str | None = None


ANY = RecallFilter()


def get_line(work: Work, request_id: UUID) -> RecallLine:
    """The recall with its counts."""
    recalls.get(work, request_id)
    (line,) = _lines(work, [request_id])
    return line


def list_own(work: Work, filters: RecallFilter = ANY, after: UUID | None = None, limit: int = 50) -> list[RecallLine]:
    """Newest first: of all the lender's agencies, or those made of the agency."""
    conditions = [
        column == value
        for column, value in (
            (RecallRequest.state, filters.state),
            (RecallRequest.placement_id, filters.placement_id),
            (RecallRequest.agency_id, filters.agency_id),
        )
        if value is not None
    ]
    if filters.category is not None:
        reasons = [reason for reason, category in RECALL_CATEGORIES.items() if category == filters.category]
        conditions.append(RecallRequest.reason.in_(reasons))
    if filters.unconfirmed:
        conditions += [RecallRequest.state == EXECUTED, RecallRequest.stop_confirmed_at.is_(None)]
    ids = select(RecallRequest.id).where(tenancy.own(work, RecallRequest), *conditions)
    page = work.session.scalars(pages.newest(ids, RecallRequest.id, after, limit)).all()
    return _lines(work, page)


def list_cases(
    work: Work, request_id: UUID, after: UUID | None = None, limit: int = 50, state: str | None = None
) -> list[RecallCaseLine]:
    """The cases of a recall, newest first."""
    found = recalls.get(work, request_id)
    query = select(RecallCase).where(
        tenancy.own(work, RecallCase),
        RecallCase.lender_id == found.lender_id,
        RecallCase.request_id == found.id,
        true() if state is None else RecallCase.state == state,
    )
    return [RecallCaseLine(row) for row in work.session.scalars(pages.newest(query, RecallCase.case_id, after, limit))]


def count_excluded(work: Work, request_id: UUID) -> int:
    """Of how many of the recall's cases the exclusion still stands that its reason brings about. For the lender."""
    found = recalls.get(work, request_id)
    standing = exists().where(
        tenancy.own(work, Exclusion),
        Exclusion.lender_id == RecallCase.lender_id,
        Exclusion.case_id == RecallCase.case_id,
        Exclusion.reason == treatments.RECALLS[found.reason].reason,
        Exclusion.lifted_at.is_(None),
    )
    counted = select(func.count()).where(
        tenancy.own(work, RecallCase),
        RecallCase.request_id == found.id,
        RecallCase.state == RECALLED,
        standing,
    )
    return work.session.scalar(counted) or 0


def count_liftable(work: Work, request_id: UUID) -> int:
    """How many exclusions that it brought about itself still stand: `recalls.lift_exclusions` lifts these."""
    standing = recalls.brought_about(work, recalls.get(work, request_id))
    return work.session.scalar(select(func.count(Exclusion.id)).where(*standing)) or 0


def _lines(work: Work, ids: Sequence[UUID]) -> list[RecallLine]:
    counts = [
        func.count().filter(RecallCase.state == state).label(state) for state in (ASKED, OBJECTED, KEPT, RECALLED, GONE)
    ]
    counts.append(func.count(RecallCase.objected_at).label("objections"))
    counted = (
        select(RecallCase.lender_id, RecallCase.request_id, *counts)
        .where(tenancy.own(work, RecallCase), bulk.among(RecallCase.request_id, ids))
        .group_by(RecallCase.lender_id, RecallCase.request_id)
        .subquery()
    )
    query = (
        select(RecallRequest, Placement.lender_name, Placement.agency_name, *list(counted.c)[2:])
        .join(
            Placement, and_(Placement.lender_id == RecallRequest.lender_id, Placement.id == RecallRequest.placement_id)
        )
        .join(counted, and_(counted.c.lender_id == RecallRequest.lender_id, counted.c.request_id == RecallRequest.id))
        .where(tenancy.own(work, RecallRequest), tenancy.own(work, Placement))
        .order_by(RecallRequest.id.desc())
    )
    return [RecallLine(*row) for row in work.session.execute(query)]
