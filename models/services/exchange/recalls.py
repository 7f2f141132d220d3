"""Recall (撤案): asked for, perhaps objected to, and carried out. It waits for no money; that work stops is in `stops`.

`recall` takes cases back at once; `request` gives the agency the lender's `objection_hours` to object, except for
reasons where waiting would do harm. Every step locks the placement first, then the request: commit order decides
between a recall, its objections and any other end of the cases.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update

from models.errors import CaseClosedToWork, Conflict, Invalid, NotFound, RowError
from models.exclusion import Exclusion
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import RECALL_REASONS, Placement
from models.placement import TRANSITIONS as PLACEMENT_TRANSITIONS
from models.recall_request import (
    ASKED,
    GONE,
    OBJECTED,
    OBJECTIONS,
    RECALLED,
    REQUESTED,
    TRANSITIONS,
    RecallCase,
    RecallRequest,
)
from models.services import bulk, tenancy
from models.services.exchange import ends, placements, recall_cases, treatments, turns
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.work import LENDER, Work

# Whoever complains, disputes or suffers is left alone now, whatever the agency would have to say.
AT_ONCE: Final = frozenset({"complaint", "dispute", "hardship", "legal_action", "conduct"})

SOURCE = "lender"  # of the exclusions that a recall brings about


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
    recall_cases.add(work, made, held, RECALLED, decided_at=now)
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
    wanted = recall_cases.free(work, placement, case_ids)
    made = _add(work, placement, reason, now, now + dt.timedelta(hours=hours))
    made.case_count = len(wanted)
    recall_cases.add(work, made, wanted, ASKED)
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
    placed = recall_cases.lock_placed(work, wanted)
    if placed.keys() != wanted:
        raise NotFound
    by_placement: dict[UUID, list[UUID]] = {}
    for case_id, placement_id in sorted(placed.items()):
        by_placement.setdefault(placement_id, []).append(case_id)
    return [request(work, id_, reason, ids, immediate=immediate) for id_, ids in sorted(by_placement.items())]


def object_to(work: Work, request_id: UUID, case_ids: list[UUID], code: str) -> RecallRequest:
    """The agency asks to keep these cases of a recall, with one of OBJECTIONS, before its window closes.

    NotFound unless each is asked for and not objected to yet; CaseClosedToWork `objection_window_over`, once the
    recall is decided, or while frozen.
    """
    if code not in OBJECTIONS:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    found = get(work, request_id)
    with work.as_lender(found):
        placement = lock(work, found)
        ends.refuse_ended(placement, "object")
        placements.refuse_frozen(work, placement)
        if found.state != REQUESTED:
            raise CaseClosedToWork("wrong_state", placement.id, state=found.state, act="object")
        if work.now() >= found.object_until:
            raise CaseClosedToWork("objection_window_over", placement.id, until=found.object_until.isoformat())
        if set(case_ids) & set(recall_cases.ids_in(work, found, RECALLED, GONE)):
            raise CaseClosedToWork("wrong_state", placement.id, state=GONE, act="object")
        recall_cases.move(work, found, case_ids, "object", ASKED, objection=code, objected_at=work.at)
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
    recall_cases.move(work, found, case_ids, "keep", OBJECTED, decided_at=work.at)
    if not recall_cases.ids_in(work, found, ASKED, OBJECTED):
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
    if not at_once and work.now() < found.object_until and recall_cases.ids_in(work, found, ASKED):
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
        if case_ids := recall_cases.ids_in(work, found, state):
            recall_cases.move(work, found, case_ids, "keep", state, decided_at=work.at)
    audit.record(work, audit.Action.RECALL_WITHDRAW, subject_of(found))
    placements.tell(work, placement, TO_AGENCY, "recall.withdrawn", key=found.id)
    return found


def lift_exclusions(work: Work, request_id: UUID) -> int:
    """Lift those that the recall itself brought about, of all its cases at once; answers how many still stood.

    Conflict `exclusion_lifted` where none does. What keeps a case back for another cause stays.
    """
    assert work.actor.side == LENDER
    found = get(work, request_id)
    lifted = update(Exclusion).where(*brought_about(work, found)).returning(Exclusion.id)
    said = {"lifted_by": work.actor.member_id, "lifted_at": work.at}
    count = len(work.session.scalars(lifted.values(said).execution_options(synchronize_session=False)).all())
    if not count:
        raise Conflict("exclusion_lifted")
    audit.record(work, audit.Action.EXCLUSION_LIFT, subject_of(found) | {"count": count})
    return count


def brought_about(work: Work, found: RecallRequest) -> tuple[ColumnElement[bool], ...]:
    """The standing exclusions that the recall recorded: those of its cases that bear its own time and reason."""
    recalled = select(RecallCase.case_id).where(
        tenancy.own(work, RecallCase), RecallCase.request_id == found.id, RecallCase.state == RECALLED
    )
    return (
        tenancy.own(work, Exclusion),
        Exclusion.case_id.in_(recalled),
        Exclusion.reason == treatments.RECALLS[found.reason].reason,
        Exclusion.recorded_at == found.executed_at,
        Exclusion.lifted_at.is_(None),
    )


def get(work: Work, request_id: UUID) -> RecallRequest:
    found = work.session.scalar(
        select(RecallRequest).where(tenancy.own(work, RecallRequest), RecallRequest.id == request_id)
    )
    if found is None:
        raise NotFound
    return found


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


def _carry_out(
    work: Work, placement: Placement, found: RecallRequest, now: dt.datetime, case_ids: list[UUID] | None
) -> Sequence[UUID]:
    """Carry out a recall of the locked placement, as of `now`; answers which cases came back.

    None of them may be opened, reported on or taken away any more; that all work has stopped the agency confirms
    within the lender's `stop_work_hours`. Where the reason says so they are not placed again before an exclusion is
    lifted: see `treatments`.
    """
    recalled = step(PLACEMENT_TRANSITIONS, placement.state, "recall")
    found.state = step(TRANSITIONS, found.state, "execute")
    hours = lender_settings.of_lender(work, placement.lender_id).stop_work_hours
    found.executed_at, found.stop_due_at = now, now + dt.timedelta(hours=hours)
    held = ends.take_back(work, placement, now, found.reason, case_ids)
    assert case_ids is None or len(held) == len(set(case_ids))  # required, or asked for, under the lock
    found.case_count = found.case_count or len(held)
    treatment, by = treatments.RECALLS[found.reason], work.actor.member_id
    excluded = treatments.exclude(work, placement, held, treatment, SOURCE, by, now)
    ends.end_if_empty(work, placement, recalled, now, found.reason)
    subject = subject_of(found) | {"reason": found.reason, "count": len(held), "excluded": excluded}
    if case_ids is None:
        audit.record(work, audit.Action.PLACEMENT_RECALL, subject)
    else:
        audit.record(work, audit.Action.CASE_RECALL, {**subject, "cases": audit.named(case_ids)})
    placements.tell(
        work, placement, TO_AGENCY, "placement.recalled", key=found.id, reason=found.reason, cases=len(held)
    )
    return held


def lock(work: Work, found: RecallRequest) -> Placement:
    """The placement before its recalls, each as whoever acted last has left it. Stands in the lender's tenant."""
    of_recall = select(Placement).where(
        tenancy.of_lender(found.lender_id, Placement), Placement.id == found.placement_id
    )
    placement = work.session.scalars(turns.on_placements(work, of_recall)).one()
    work.session.refresh(found, with_for_update=True)
    return placement


def _execute_if_due(work: Work, found: RecallRequest) -> bool:
    """It may have been decided, or objected to, before its placement could be locked."""
    placement = lock(work, found)
    if found.state != REQUESTED or recall_cases.ids_in(work, found, OBJECTED):
        return False
    _execute(work, placement, found)
    return True


def _execute(work: Work, placement: Placement, found: RecallRequest) -> int:
    case_ids = []
    # What was asked of them is answered: they do not leave by another way.
    for state in (ASKED, OBJECTED):
        if of_state := recall_cases.ids_in(work, found, state):
            recall_cases.move(work, found, of_state, "recall", state, decided_at=work.at)
            case_ids += of_state
    return len(_carry_out(work, placement, found, work.now(), case_ids))


def subject_of(found: RecallRequest) -> dict[str, object]:
    return {"recall": found.id, "placement": found.placement_id, "agency": found.agency_id}
