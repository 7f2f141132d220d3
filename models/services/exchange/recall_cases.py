"""The cases of a recall: which it is about, and how each stands. What is done with them is in `recalls`."""

import datetime as dt
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, insert, literal, select, true, update

from models.case import Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.placement import PlacedCase, Placement
from models.recall_request import ASKED, CASE_TRANSITIONS, OBJECTED, RecallCase, RecallRequest
from models.services import bulk, tenancy
from models.services.exchange import ends
from models.states import step
from models.work import Work


def add(
    work: Work, made: RecallRequest, case_ids: Sequence[UUID], state: str, decided_at: dt.datetime | None = None
) -> None:
    """Name the cases that a recall is about."""
    columns = ["lender_id", "request_id", "case_id", "agency_id", "placement_id", "reference", "state", "decided_at"]
    cases = select(
        Case.lender_id,
        literal(made.id),
        Case.id,
        literal(made.agency_id),
        literal(made.placement_id),
        Case.reference,
        literal(state),
        literal(decided_at, DateTime(timezone=True)),
    ).where(tenancy.own(work, Case), bulk.among(Case.id, case_ids))
    work.session.execute(insert(RecallCase).from_select(columns, cases))


def free(work: Work, placement: Placement, case_ids: list[UUID] | None) -> Sequence[UUID]:
    """Those placed under it that no other recall asks for; with names, exactly these, else NotFound or Conflict."""
    named = true() if case_ids is None else bulk.among(PlacedCase.case_id, case_ids)
    live = set(work.session.scalars(select(PlacedCase.case_id).where(ends.live_in(placement), named)))
    if case_ids is not None and live != set(case_ids):
        raise NotFound
    asked = set(
        work.session.scalars(
            select(RecallCase.case_id).where(
                tenancy.own(work, RecallCase),
                RecallCase.placement_id == placement.id,
                RecallCase.state.in_((ASKED, OBJECTED)),
            )
        )
    )
    left = live - asked
    if not left or (case_ids is not None and left != live):
        raise Conflict("recall_stands", count=len(live & asked))
    return sorted(left)


def lock_placed(work: Work, case_ids: set[UUID]) -> dict[UUID, UUID]:
    """Those of the cases that are placed → their placement: all of them locked before anything is done.

    A case that changed hands in the meantime is not among them: the placement it is in now is not locked.
    """
    placement_ids = sorted(set(_placed(work, case_ids).values()))
    ends.lock(work, work.tenant_id, placement_ids, sorted(case_ids))
    locked = set(placement_ids)
    return {
        case_id: placement_id for case_id, placement_id in _placed(work, case_ids).items() if placement_id in locked
    }


def asked_of(work: Work, case_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the cases for which a recall asks already."""
    query = select(RecallCase.case_id).where(
        tenancy.own(work, RecallCase),
        bulk.among(RecallCase.case_id, case_ids),
        RecallCase.state.in_((ASKED, OBJECTED)),
    )
    return set(work.session.scalars(query))


def ids_in(work: Work, found: RecallRequest, *states: str) -> list[UUID]:
    """Those of the recall in these states, in order of id."""
    query = select(RecallCase.case_id).where(*_of(found), RecallCase.state.in_(states))
    return list(work.session.scalars(query.order_by(RecallCase.case_id)))


def move(work: Work, found: RecallRequest, case_ids: Iterable[UUID], act: str, since: str, **values: object) -> None:
    """Take cases of the locked recall from the state `since` by the act; NotFound unless all of them are in it."""
    wanted = set(case_ids)
    if not wanted:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    moved = work.session.execute(
        update(RecallCase)
        .where(*_of(found), RecallCase.state == since, bulk.among(RecallCase.case_id, sorted(wanted)))
        .values(state=literal(step(CASE_TRANSITIONS, since, act)), **values)
        .execution_options(synchronize_session=False)
    )
    if moved.rowcount != len(wanted):  # type: ignore[attr-defined]
        raise NotFound


def _of(found: RecallRequest) -> tuple[ColumnElement[bool], ...]:
    return tenancy.of_lender(found.lender_id, RecallCase), RecallCase.request_id == found.id


def _placed(work: Work, case_ids: set[UUID]) -> dict[UUID, UUID]:
    query = select(PlacedCase.case_id, PlacedCase.placement_id).where(
        tenancy.own(work, PlacedCase), PlacedCase.ended_at.is_(None), bulk.among(PlacedCase.case_id, sorted(case_ids))
    )
    return dict(work.session.execute(query).all())
