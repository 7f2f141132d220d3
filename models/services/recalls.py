"""Recall (撤案): asked for, perhaps objected to, carried out, and its stop of work confirmed. It waits for no money.

`placements.recall` takes cases back at once; `request` gives the agency the lender's `objection_hours` to object,
except for reasons where waiting would do harm. Every step locks the placement first, then the request: commit order
decides between a recall, its objections and any other end of the cases.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, any_, exists, func, literal, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY

from models.breach import Breach
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.identifiers import looks_personal
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import TRANSITIONS as PLACEMENT_TRANSITIONS
from models.placement import PlacedCase, Placement
from models.recall_file import RECALL_COLUMNS, read
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
    RecallCase,
    RecallRequest,
)
from models.services import audit, bulk, ends, lender_settings, pages, placements, tenancy
from models.services.activity_files import FileOutcome
from models.services.conduct import FLAGGED
from models.states import step
from models.tabular import Source, Upload
from models.work import LENDER, Work

# Whoever complains, disputes or suffers is left alone now, whatever the agency would have to say.
AT_ONCE: Final = frozenset({"complaint", "dispute", "hardship", "legal_action", "conduct"})

# The rule behind the breach of an agency that does not confirm its stop of work.
STOP_RULE, STOP_PACK, STOP_PACK_VERSION, STOP_SEVERITY = "stop_work_not_confirmed", "house", "1", "high"
SUBJECT = "recall"


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

    @property
    def stop_due(self) -> bool:
        """Carried out, and nobody has confirmed that work has stopped."""
        return self.request.state == EXECUTED and self.request.stop_confirmed_at is None


class RecallCaseLine(NamedTuple):
    """`reference` is None for an agency that no longer has the case."""

    case: RecallCase
    reference: str | None

    @property
    def id(self) -> UUID:
        return self.case.case_id


class RecallFilter(NamedTuple):
    """What to list; None leaves it open. `unconfirmed`: carried out, and the stop of work not confirmed."""

    state: str | None = None
    placement_id: UUID | None = None
    agency_id: UUID | None = None
    unconfirmed: bool = False


ANY = RecallFilter()


def request(
    work: Work, placement_id: UUID, reason: str, case_ids: list[UUID] | None = None, *, immediate: bool = False
) -> RecallRequest:
    """Ask for the cases named, or for all of the placement; carried out as it is made where it is `immediate`.

    NotFound unless every case named is placed under this placement now. Conflict `recall_stands` where one of them,
    or with none named every one, is asked for already.
    """
    placements.require_recalling(work, reason, case_ids)
    placement = placements.get(work, placement_id)
    hours = lender_settings.get(work).objection_hours
    if immediate or reason in AT_ONCE or not hours:
        placements.recall(work, placement_id, reason, case_ids)
        return _newest(work, placement)
    placements.lock(work, placement)
    step(PLACEMENT_TRANSITIONS, placement.state, "recall")
    now = work.now()
    wanted = _free_cases(work, placement, case_ids)
    made = placements.add_recall(work, placement, reason, now, now + dt.timedelta(hours=hours))
    made.case_count = len(wanted)
    placements.add_cases(work, placement, made, wanted, ASKED)
    audit.record(work, audit.Action.RECALL_REQUEST, _subject(made) | {"reason": reason, "count": len(wanted)})
    until = made.object_until.isoformat()
    placements.tell(
        work, placement, TO_AGENCY, "recall.requested", key=made.id, reason=reason, cases=len(wanted), until=until
    )
    return made


def request_cases(work: Work, reason: str, case_ids: list[UUID], *, immediate: bool = False) -> list[RecallRequest]:
    """The same for cases of any placements: a recall for each. NotFound where one is not placed now."""
    placements.require_recalling(work, reason, case_ids)
    wanted = set(case_ids)
    placed = _lock_placed(work, wanted)
    if placed.keys() != wanted:
        raise NotFound
    by_placement: dict[UUID, list[UUID]] = {}
    for case_id, placement_id in sorted(placed.items()):
        by_placement.setdefault(placement_id, []).append(case_id)
    return [request(work, id_, reason, ids, immediate=immediate) for id_, ids in sorted(by_placement.items())]


def request_file(work: Work, stream: Source, file_name: str, *, immediate: bool = False) -> FileOutcome:
    """The same for a file of case numbers and reasons: rows at fault are named, the others carried out.

    `unknown_case` for a number that is unknown or another lender's, `not_placed` for a case that no agency has. A case
    that is asked for already counts as repeated. Raises Invalid where the file as a whole is refused.
    """
    assert work.actor.side == LENDER
    if looks_personal(file_name):
        raise Invalid(errors=[RowError(0, "file_name", "name_personal")])
    rows: list[tuple[int, str, str]] = []
    errors: list[RowError] = []
    for batch in read(Upload(stream), RECALL_COLUMNS):
        rows += batch.rows.select("row", "case_number", "reason").iter_rows()
        errors += [RowError(*error) for error in batch.errors.iter_rows()]
    found = _find_numbered(work, {number for _, number, _ in rows})
    placed = _lock_placed(work, set(found.values()))
    asked = _asked(work, list(placed))
    groups: dict[tuple[UUID, str], list[UUID]] = {}
    repeated = 0
    for row, number, reason in rows:
        case_id = found.get(number)
        if case_id is None or case_id not in placed:
            errors.append(RowError(row, "case_number", "unknown_case" if case_id is None else "not_placed"))
        elif case_id in asked and reason not in AT_ONCE and not immediate:
            repeated += 1
        else:
            groups.setdefault((placed[case_id], reason), []).append(case_id)
    for (placement_id, reason), case_ids in sorted(groups.items()):
        request(work, placement_id, reason, case_ids, immediate=immediate)
    accepted = sum(map(len, groups.values()))
    return FileOutcome(accepted, repeated, len({error.row for error in errors}), sorted(errors))


def object_to(work: Work, request_id: UUID, case_ids: list[UUID], code: str) -> RecallRequest:
    """The agency asks to keep these cases of a recall, with one of OBJECTIONS, before its window closes.

    NotFound unless each is asked for and not objected to yet; Conflict `objection_window_over`, or while frozen.
    """
    if code not in OBJECTIONS:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    found = get(work, request_id)
    with work.as_lender(found):
        placement = _lock(work, found)
        placements.refuse_frozen(placement)
        if found.state != REQUESTED:
            raise Conflict("wrong_state", state=found.state, act="object")
        if work.now() >= found.object_until:
            raise Conflict("objection_window_over", until=found.object_until.isoformat())
        _move(work, found, case_ids, "object", ASKED, objection=code, objected_at=work.at)
        subject = _subject(found) | {"code": code, "count": len(set(case_ids))}
        audit.record(work, audit.Action.RECALL_OBJECT, subject)
        key = f"{found.id}/{min(case_ids)}"
        placements.tell(work, placement, TO_LENDER, "recall.objected", key=key, code=code, cases=len(set(case_ids)))
    return found


def keep(work: Work, request_id: UUID, case_ids: list[UUID]) -> RecallRequest:
    """The lender agrees with the objections to these cases: they stay. With the last case a recall is over."""
    assert work.actor.side == LENDER
    found = get(work, request_id)
    placement = _lock(work, found)
    if found.state != REQUESTED:
        raise Conflict("wrong_state", state=found.state, act="keep")
    _move(work, found, case_ids, "keep", OBJECTED, decided_at=work.at)
    if not _cases_in(work, found, ASKED, OBJECTED):
        found.state = step(TRANSITIONS, found.state, "withdraw")
    audit.record(work, audit.Action.RECALL_KEEP, _subject(found) | {"count": len(set(case_ids))})
    placements.tell(
        work, placement, TO_AGENCY, "recall.kept", key=f"{found.id}/{min(case_ids)}", cases=len(set(case_ids))
    )
    return found


def execute(work: Work, request_id: UUID) -> int:
    """The lender carries out a recall, whatever was objected and not agreed with; answers how many cases came back.

    Conflict `objection_window_open` while the agency may still object to any of its cases.
    """
    assert work.actor.side == LENDER
    found = get(work, request_id)
    placement = _lock(work, found)
    if found.state != REQUESTED:
        raise Conflict("wrong_state", state=found.state, act="execute")
    if work.now() < found.object_until and _cases_in(work, found, ASKED):
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
    placement = _lock(work, found)
    found.state = step(TRANSITIONS, found.state, "withdraw")
    for state in (ASKED, OBJECTED):
        if case_ids := _cases_in(work, found, state):
            _move(work, found, case_ids, "keep", state, decided_at=work.at)
    audit.record(work, audit.Action.RECALL_WITHDRAW, _subject(found))
    placements.tell(work, placement, TO_AGENCY, "recall.withdrawn", key=found.id)
    return found


def confirm_stop(work: Work, request_id: UUID, case_count: int) -> RecallRequest:
    """The agency confirms that it has stopped all work on the cases recalled, by their number.

    It may do so late: that it was late stands. Conflict `stop_work_mismatch` for another number.
    """
    found = get(work, request_id)
    with work.as_lender(found):
        placement = _lock(work, found)
        if found.state != EXECUTED:
            raise Conflict("wrong_state", state=found.state, act="confirm")
        if found.stop_confirmed_at is not None:
            raise Conflict("stop_work_confirmed")
        recalled = len(_cases_in(work, found, RECALLED))
        if case_count != recalled:
            raise Conflict("stop_work_mismatch", case_count=case_count, case_count_expected=recalled)
        found.stop_confirmed_by, found.stop_confirmed_at = work.actor.member_id, work.at
        late = found.stop_missed_at is not None
        audit.record(work, audit.Action.STOP_CONFIRM, _subject(found) | {"count": case_count, "late": late})
        placements.tell(work, placement, TO_LENDER, "recall.stop_confirmed", key=found.id, cases=case_count, late=late)
    return found


def flag_missing_stops(work: Work) -> int:
    """Mark the stops that nobody confirmed in time, as breaches too; answers how many. Without cases nothing stops."""
    recalled = exists().where(
        RecallCase.lender_id == RecallRequest.lender_id,
        RecallCase.request_id == RecallRequest.id,
        RecallCase.state == RECALLED,
    )
    late = work.session.scalars(
        select(RecallRequest)
        .where(
            tenancy.own(work, RecallRequest),
            RecallRequest.state == EXECUTED,
            RecallRequest.stop_confirmed_at.is_(None),
            RecallRequest.stop_missed_at.is_(None),
            RecallRequest.stop_due_at <= work.at,
            recalled,
        )
        .order_by(RecallRequest.placement_id, RecallRequest.id)
    ).all()
    return sum(_flag_if_missing(work, found) for found in late)


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
    """The cases of a recall, newest first, with their numbers as far as this side still has them."""
    found = get(work, request_id)
    query = (
        select(RecallCase, Case.reference)
        .outerjoin(
            Case, and_(tenancy.own(work, Case), Case.lender_id == RecallCase.lender_id, Case.id == RecallCase.case_id)
        )
        .where(
            tenancy.own(work, RecallCase),
            RecallCase.lender_id == found.lender_id,
            RecallCase.request_id == found.id,
            true() if state is None else RecallCase.state == state,
        )
    )
    rows = work.session.execute(pages.newest(query, RecallCase.case_id, after, limit))
    return [RecallCaseLine(*row) for row in rows]


def count_unconfirmed(work: Work) -> int:
    """Recalls carried out whose stop of work nobody has confirmed yet."""
    waiting = select(func.count()).where(
        tenancy.own(work, RecallRequest), RecallRequest.state == EXECUTED, RecallRequest.stop_confirmed_at.is_(None)
    )
    return work.session.scalar(waiting) or 0


def _lines(work: Work, ids: Sequence[UUID]) -> list[RecallLine]:
    counts = [
        func.count().filter(RecallCase.state == state).label(state) for state in (ASKED, OBJECTED, KEPT, RECALLED, GONE)
    ]
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


def _lock(work: Work, found: RecallRequest) -> Placement:
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
    placement = _lock(work, found)
    if found.state != REQUESTED or _cases_in(work, found, OBJECTED):
        return False
    _execute(work, placement, found)
    return True


def _execute(work: Work, placement: Placement, found: RecallRequest) -> int:
    case_ids = [*_cases_in(work, found, ASKED), *_cases_in(work, found, OBJECTED)]
    # What was asked of them is answered: they do not leave by another way.
    for state in (ASKED, OBJECTED):
        if of_state := _cases_in(work, found, state):
            _move(work, found, of_state, "recall", state, decided_at=work.at)
    return len(placements.execute(work, placement, found, work.now(), case_ids))


def _flag_if_missing(work: Work, found: RecallRequest) -> bool:
    placement = _lock(work, found)
    if found.stop_confirmed_at is not None or found.stop_missed_at is not None:
        return False
    found.stop_missed_at = work.at
    assert found.stop_due_at is not None
    case_id = min(_cases_in(work, found, RECALLED))
    borrower_id = work.session.scalars(
        select(Case.borrower_id).where(tenancy.own(work, Case), Case.id == case_id)
    ).one()
    work.session.add(
        Breach(
            lender_id=found.lender_id,
            id=new_id(),
            agency_id=found.agency_id,
            placement_id=found.placement_id,
            case_id=case_id,
            borrower_id=borrower_id,
            member_id=None,
            subject_id=found.id,
            subject_kind=SUBJECT,
            rule_id=STOP_RULE,
            pack=STOP_PACK,
            pack_version=STOP_PACK_VERSION,
            severity=STOP_SEVERITY,
            business_date=day_of(found.stop_due_at),
            occurred_at=found.stop_due_at,
            state=FLAGGED,
            flagged_at=work.at,
        )
    )
    work.session.flush()
    audit.record(work, audit.Action.STOP_MISS, _subject(found))
    for told in (TO_LENDER, TO_AGENCY):
        placements.tell(work, placement, told, "recall.stop_missed", key=found.id)
    return True


def _newest(work: Work, placement: Placement) -> RecallRequest:
    query = select(RecallRequest).where(
        tenancy.own(work, RecallRequest), RecallRequest.placement_id == placement.id, RecallRequest.state == EXECUTED
    )
    return work.session.scalars(pages.newest(query, RecallRequest.id, None, 1)).one()


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


def _cases_in(work: Work, found: RecallRequest, *states: str) -> list[UUID]:
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


def _lock_placed(work: Work, case_ids: set[UUID]) -> dict[UUID, UUID]:
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


def _asked(work: Work, case_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the cases for which a recall asks already."""
    query = select(RecallCase.case_id).where(
        tenancy.own(work, RecallCase),
        bulk.among(RecallCase.case_id, case_ids),
        RecallCase.state.in_((ASKED, OBJECTED)),
    )
    return set(work.session.scalars(query))


def _find_numbered(work: Work, numbers: set[str]) -> dict[str, UUID]:
    """case number → the lender's case."""
    named = Case.reference == any_(literal(sorted(numbers), ARRAY(Text)))
    return dict(work.session.execute(select(Case.reference, Case.id).where(tenancy.own(work, Case), named)).all())


def _subject(found: RecallRequest) -> dict[str, object]:
    return {"recall": found.id, "placement": found.placement_id, "agency": found.agency_id}
