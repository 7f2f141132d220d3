"""Recall (撤案): asked for, perhaps objected to, and carried out. It waits for no money; that work stops is in `stops`.

`recall` takes cases back at once; `request` gives the agency the lender's `objection_hours` to object, except for
reasons where waiting would do harm. Every step locks the placement first, then the request: commit order decides
between a recall, its objections and any other end of the cases.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, and_, exists, func, insert, literal, select, true, update

from models.case import Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import RECALL_REASONS, PlacedCase, Placement
from models.placement import TRANSITIONS as PLACEMENT_TRANSITIONS
from models.recall_request import (
    ASKED,
    CASE_TRANSITIONS,
    EXECUTED,
    GONE,
    KEPT,
    OBJECTED,
    OBJECTIONS,
    RECALLED,
    REQUESTED,
    TRANSITIONS,
    WITHDRAWN,
    RecallCase,
    RecallRequest,
)
from models.services import bulk, pages, tenancy
from models.services.exchange import ends, placements
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.work import LENDER, Work

# Whoever complains, disputes or suffers is left alone now, whatever the agency would have to say.
AT_ONCE: Final = frozenset({"complaint", "dispute", "hardship", "legal_action", "conduct"})

ENTRY_CASES_MAX = 1000  # an audit entry names no more cases than this


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


ANY = RecallFilter()


def recall(work: Work, placement_id: UUID, reason: str, case_ids: list[UUID] | None = None) -> RecallRequest:
    """End the placement at once, or only the cases named; `case_count` of the answer is how many came back.

    NotFound unless every case named is placed under this placement now. With its last case a placement ends.
    """
    _require_recalling(work, reason, case_ids)
    placement = placements.get(work, placement_id)
    placements.lock(work, placement)
    step(PLACEMENT_TRANSITIONS, placement.state, "recall")
    if case_ids is not None:
        ends.require_live(work, placement, case_ids)
    # Every release that came before this lock was granted is older than the recall, by the clock too.
    now = work.now()
    made = _add(work, placement, reason, now, now)
    held = _carry_out(work, placement, made, now, case_ids)
    _add_cases(work, made, held, RECALLED, decided_at=now)
    return made


def request(
    work: Work, placement_id: UUID, reason: str, case_ids: list[UUID] | None = None, *, immediate: bool = False
) -> RecallRequest:
    """Ask for the cases named, or for all of the placement; carried out as it is made where it is `immediate`.

    NotFound unless every case named is placed under this placement now. Conflict `recall_stands` where one of them,
    or with none named every one, is asked for already.
    """
    _require_recalling(work, reason, case_ids)
    placement = placements.get(work, placement_id)
    hours = lender_settings.get(work).objection_hours
    if immediate or reason in AT_ONCE or not hours:
        return recall(work, placement_id, reason, case_ids)
    placements.lock(work, placement)
    step(PLACEMENT_TRANSITIONS, placement.state, "recall")
    now = work.now()
    wanted = _free_cases(work, placement, case_ids)
    made = _add(work, placement, reason, now, now + dt.timedelta(hours=hours))
    made.case_count = len(wanted)
    _add_cases(work, made, wanted, ASKED)
    audit.record(work, audit.Action.RECALL_REQUEST, subject_of(made) | {"reason": reason, "count": len(wanted)})
    until = made.object_until.isoformat()
    placements.tell(
        work, placement, TO_AGENCY, "recall.requested", key=made.id, reason=reason, cases=len(wanted), until=until
    )
    return made


def request_cases(work: Work, reason: str, case_ids: list[UUID], *, immediate: bool = False) -> list[RecallRequest]:
    """The same for cases of any placements: a recall for each. NotFound where one is not placed now."""
    _require_recalling(work, reason, case_ids)
    wanted = set(case_ids)
    placed = lock_placed(work, wanted)
    if placed.keys() != wanted:
        raise NotFound
    by_placement: dict[UUID, list[UUID]] = {}
    for case_id, placement_id in sorted(placed.items()):
        by_placement.setdefault(placement_id, []).append(case_id)
    return [request(work, id_, reason, ids, immediate=immediate) for id_, ids in sorted(by_placement.items())]


def object_to(work: Work, request_id: UUID, case_ids: list[UUID], code: str) -> RecallRequest:
    """The agency asks to keep these cases of a recall, with one of OBJECTIONS, before its window closes.

    NotFound unless each is asked for and not objected to yet; Conflict `objection_window_over`, or while frozen.
    """
    if code not in OBJECTIONS:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    found = get(work, request_id)
    with work.as_lender(found):
        placement = lock(work, found)
        placements.refuse_frozen(placement)
        if found.state != REQUESTED:
            raise Conflict("wrong_state", state=found.state, act="object")
        if work.now() >= found.object_until:
            raise Conflict("objection_window_over", until=found.object_until.isoformat())
        _move(work, found, case_ids, "object", ASKED, objection=code, objected_at=work.at)
        subject = subject_of(found) | {"code": code, "count": len(set(case_ids))}
        audit.record(work, audit.Action.RECALL_OBJECT, subject)
        key = f"{found.id}/{min(case_ids)}"
        placements.tell(work, placement, TO_LENDER, "recall.objected", key=key, code=code, cases=len(set(case_ids)))
    return found


def keep(work: Work, request_id: UUID, case_ids: list[UUID]) -> RecallRequest:
    """The lender agrees with the objections to these cases: they stay. With the last case a recall is over."""
    assert work.actor.side == LENDER
    found = get(work, request_id)
    placement = lock(work, found)
    if found.state != REQUESTED:
        raise Conflict("wrong_state", state=found.state, act="keep")
    _move(work, found, case_ids, "keep", OBJECTED, decided_at=work.at)
    if not cases_in(work, found, ASKED, OBJECTED):
        found.state = step(TRANSITIONS, found.state, "withdraw")
    audit.record(work, audit.Action.RECALL_KEEP, subject_of(found) | {"count": len(set(case_ids))})
    placements.tell(
        work, placement, TO_AGENCY, "recall.kept", key=f"{found.id}/{min(case_ids)}", cases=len(set(case_ids))
    )
    return found


def execute(work: Work, request_id: UUID, *, at_once: bool = False) -> int:
    """The lender carries out a recall, whatever was objected and not agreed with; answers how many cases came back.

    Conflict `objection_window_open` while the agency may still object to any of its cases, unless `at_once`: as with
    `recall`, it is the lender that decides whether to wait.
    """
    assert work.actor.side == LENDER
    found = get(work, request_id)
    placement = lock(work, found)
    if found.state != REQUESTED:
        raise Conflict("wrong_state", state=found.state, act="execute")
    if not at_once and work.now() < found.object_until and cases_in(work, found, ASKED):
        raise Conflict("objection_window_open", until=found.object_until.isoformat())
    return _execute(work, placement, found)


def execute_due(work: Work) -> int:
    """Carry out the recalls whose window is over and to which nothing is objected; answers how many."""
    undecided = exists().where(
        RecallCase.lender_id == RecallRequest.lender_id,
        RecallCase.request_id == RecallRequest.id,
        RecallCase.state == OBJECTED,
    )
    due = work.session.scalars(
        select(RecallRequest)
        .where(
            tenancy.own(work, RecallRequest),
            RecallRequest.state == REQUESTED,
            RecallRequest.object_until <= work.at,
            ~undecided,
        )
        .order_by(RecallRequest.placement_id, RecallRequest.id)
    ).all()
    asked = select(RecallCase.case_id).where(
        tenancy.own(work, RecallCase),
        bulk.among(RecallCase.request_id, [found.id for found in due]),
        RecallCase.state == ASKED,
    )
    case_ids = work.session.scalars(asked).all()
    ends.lock(work, work.tenant_id, sorted({found.placement_id for found in due}), case_ids)
    return sum(_execute_if_due(work, found) for found in due)


def withdraw(work: Work, request_id: UUID) -> RecallRequest:
    """The lender takes back a recall that is not carried out: the cases stay."""
    assert work.actor.side == LENDER
    found = get(work, request_id)
    placement = lock(work, found)
    found.state = step(TRANSITIONS, found.state, "withdraw")
    for state in (ASKED, OBJECTED):
        if case_ids := cases_in(work, found, state):
            _move(work, found, case_ids, "keep", state, decided_at=work.at)
    audit.record(work, audit.Action.RECALL_WITHDRAW, subject_of(found))
    placements.tell(work, placement, TO_AGENCY, "recall.withdrawn", key=found.id)
    return found


def get(work: Work, request_id: UUID) -> RecallRequest:
    found = work.session.scalar(
        select(RecallRequest).where(tenancy.own(work, RecallRequest), RecallRequest.id == request_id)
    )
    if found is None:
        raise NotFound
    return found


def get_line(work: Work, request_id: UUID) -> RecallLine:
    """The recall with its counts."""
    get(work, request_id)
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
    if filters.unconfirmed:
        conditions += [RecallRequest.state == EXECUTED, RecallRequest.stop_confirmed_at.is_(None)]
    ids = select(RecallRequest.id).where(tenancy.own(work, RecallRequest), *conditions)
    page = work.session.scalars(pages.newest(ids, RecallRequest.id, after, limit)).all()
    return _lines(work, page)


def list_cases(
    work: Work, request_id: UUID, after: UUID | None = None, limit: int = 50, state: str | None = None
) -> list[RecallCaseLine]:
    """The cases of a recall, newest first."""
    found = get(work, request_id)
    query = select(RecallCase).where(
        tenancy.own(work, RecallCase),
        RecallCase.lender_id == found.lender_id,
        RecallCase.request_id == found.id,
        true() if state is None else RecallCase.state == state,
    )
    return [RecallCaseLine(row) for row in work.session.scalars(pages.newest(query, RecallCase.case_id, after, limit))]


def _require_recalling(work: Work, reason: str, case_ids: list[UUID] | None) -> None:
    assert work.actor.side == LENDER
    if reason not in RECALL_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    if case_ids is not None and not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])


def _add(work: Work, placement: Placement, reason: str, at: dt.datetime, object_until: dt.datetime) -> RecallRequest:
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


def _add_cases(
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


def _carry_out(
    work: Work, placement: Placement, found: RecallRequest, now: dt.datetime, case_ids: list[UUID] | None
) -> Sequence[UUID]:
    """Carry out a recall of the locked placement, as of `now`; answers which cases came back.

    None of them may be opened, reported on or taken away any more; that all work has stopped the agency confirms
    within the lender's `stop_work_hours`.
    """
    recalled = step(PLACEMENT_TRANSITIONS, placement.state, "recall")
    found.state = step(TRANSITIONS, found.state, "execute")
    hours = lender_settings.of_lender(work, placement.lender_id).stop_work_hours
    found.executed_at, found.stop_due_at = now, now + dt.timedelta(hours=hours)
    held = ends.take_back(work, placement, now, found.reason, case_ids)
    assert case_ids is None or len(held) == len(set(case_ids))  # required, or asked for, under the lock
    found.case_count = found.case_count or len(held)
    ends.end_if_empty(work, placement, recalled, now, found.reason)
    subject = subject_of(found) | {"reason": found.reason, "count": len(held)}
    if case_ids is None:
        audit.record(work, audit.Action.PLACEMENT_RECALL, subject)
    else:
        named = sorted(set(case_ids)) if len(case_ids) <= ENTRY_CASES_MAX else None  # the recall itself names all
        audit.record(work, audit.Action.CASE_RECALL, {**subject, "cases": named})
    placements.tell(
        work, placement, TO_AGENCY, "placement.recalled", key=found.id, reason=found.reason, cases=len(held)
    )
    return held


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


def lock(work: Work, found: RecallRequest) -> Placement:
    """The placement before its recalls, each as whoever acted last has left it. Stands in the lender's tenant."""
    placement = work.session.scalars(
        select(Placement)
        .where(tenancy.of_lender(found.lender_id, Placement), Placement.id == found.placement_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    work.session.refresh(found, with_for_update=True)
    return placement


def _execute_if_due(work: Work, found: RecallRequest) -> bool:
    """It may have been decided, or objected to, before its placement could be locked."""
    placement = lock(work, found)
    if found.state != REQUESTED or cases_in(work, found, OBJECTED):
        return False
    _execute(work, placement, found)
    return True


def _execute(work: Work, placement: Placement, found: RecallRequest) -> int:
    case_ids = []
    # What was asked of them is answered: they do not leave by another way.
    for state in (ASKED, OBJECTED):
        if of_state := cases_in(work, found, state):
            _move(work, found, of_state, "recall", state, decided_at=work.at)
            case_ids += of_state
    return len(_carry_out(work, placement, found, work.now(), case_ids))


def _free_cases(work: Work, placement: Placement, case_ids: list[UUID] | None) -> Sequence[UUID]:
    """Those that are not asked for in another recall; with names, exactly these."""
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
    free = live - asked
    if not free or (case_ids is not None and free != live):
        raise Conflict("recall_stands", count=len(live & asked))
    return sorted(free)


def cases_in(work: Work, found: RecallRequest, *states: str) -> list[UUID]:
    query = select(RecallCase.case_id).where(*_of(found), RecallCase.state.in_(states))
    return list(work.session.scalars(query.order_by(RecallCase.case_id)))


def _move(work: Work, found: RecallRequest, case_ids: Iterable[UUID], act: str, since: str, **values: object) -> None:
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


def _placed(work: Work, case_ids: set[UUID]) -> dict[UUID, UUID]:
    query = select(PlacedCase.case_id, PlacedCase.placement_id).where(
        tenancy.own(work, PlacedCase), PlacedCase.ended_at.is_(None), bulk.among(PlacedCase.case_id, sorted(case_ids))
    )
    return dict(work.session.execute(query).all())


def asked_of(work: Work, case_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the cases for which a recall asks already."""
    query = select(RecallCase.case_id).where(
        tenancy.own(work, RecallCase),
        bulk.among(RecallCase.case_id, case_ids),
        RecallCase.state.in_((ASKED, OBJECTED)),
    )
    return set(work.session.scalars(query))


def subject_of(found: RecallRequest) -> dict[str, object]:
    return {"recall": found.id, "placement": found.placement_id, "agency": found.agency_id}
