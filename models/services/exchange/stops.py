"""Stops: that all work on recalled cases has stopped, which the agency confirms in time or has as a breach."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from models.breach import Breach
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.recall_request import EXECUTED, RECALLED, RecallCase, RecallRequest
from models.services import bulk, tenancy
from models.services.exchange import ends, placements, recall_cases, recalls
from models.services.oversight import audit
from models.services.oversight.conduct import FLAGGED
from models.work import Work

# The rule behind the breach of an agency that does not confirm its stop of work.
STOP_RULE, STOP_PACK, STOP_PACK_VERSION, STOP_SEVERITY = "stop_work_not_confirmed", "house", "1", "high"
SUBJECT = "recall"


def confirm(work: Work, request_id: UUID, case_count: int) -> RecallRequest:
    """The agency confirms that it has stopped all work on the cases recalled, by their number.

    It may do so late: that it was late stands. Conflict `stop_work_mismatch` for another number.
    """
    found = recalls.get(work, request_id)
    with work.as_lender(found):
        placement = recalls.lock(work, found)
        if found.state != EXECUTED:
            raise Conflict("wrong_state", state=found.state, act="confirm")
        if found.stop_confirmed_at is not None:
            raise Conflict("stop_work_confirmed")
        recalled = len(recall_cases.ids_in(work, found, RECALLED))
        if case_count != recalled:
            raise Conflict("stop_work_mismatch", case_count=case_count, case_count_expected=recalled)
        found.stop_confirmed_by, found.stop_confirmed_at = work.actor.member_id, work.at
        late = found.stop_missed_at is not None
        audit.record(work, audit.Action.STOP_CONFIRM, recalls.subject_of(found) | {"count": case_count, "late": late})
        placements.tell(work, placement, TO_LENDER, "recall.stop_confirmed", key=found.id, cases=case_count, late=late)
    return found


def flag_missing(work: Work) -> int:
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
    request_ids, placement_ids = [found.id for found in late], sorted({found.placement_id for found in late})
    cases = _first_cases(work, request_ids)
    ends.lock(work, work.tenant_id, placement_ids, sorted(cases.values()))
    return sum(_flag_if_missing(work, found, cases[found.id]) for found in late)


def count_unconfirmed(work: Work) -> int:
    """Recalls carried out whose stop of work nobody has confirmed yet."""
    waiting = select(func.count()).where(
        tenancy.own(work, RecallRequest), RecallRequest.state == EXECUTED, RecallRequest.stop_confirmed_at.is_(None)
    )
    return work.session.scalar(waiting) or 0


def _first_cases(work: Work, request_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Of each recall that is carried out a case, which stands in the breach for all."""
    recalled = select(RecallCase.request_id, RecallCase.case_id).where(
        tenancy.own(work, RecallCase), bulk.among(RecallCase.request_id, request_ids), RecallCase.state == RECALLED
    )
    first = recalled.ext(distinct_on(RecallCase.request_id)).order_by(RecallCase.request_id, RecallCase.case_id)
    return dict(work.session.execute(first).all())


def _flag_if_missing(work: Work, found: RecallRequest, case_id: UUID) -> bool:
    """It may have been confirmed before its placement could be locked."""
    placement = recalls.lock(work, found)
    if found.stop_confirmed_at is not None or found.stop_missed_at is not None:
        return False
    found.stop_missed_at = work.at
    assert found.stop_due_at is not None
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
    audit.record(work, audit.Action.STOP_MISS, recalls.subject_of(found))
    for told in (TO_LENDER, TO_AGENCY):
        placements.tell(work, placement, told, "recall.stop_missed", key=found.id)
    return True
