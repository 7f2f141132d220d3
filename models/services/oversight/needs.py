"""What waits for somebody of this organisation, and since when: the list a working day starts with."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import DateTime, Select, and_, cast, exists, func, select

from models.acknowledgement_break import AcknowledgementBreak
from models.agreement import ACTIVE as AGREED
from models.agreement import PROPOSED as AGREEMENT_PROPOSED
from models.agreement import Agreement
from models.breach import Breach
from models.break_item import Break
from models.business_day import ZONE, day_of
from models.case import OPEN as OPEN_CASE
from models.case import Case
from models.job_run import JobRun
from models.key_order import OPEN as OPEN_ORDER
from models.key_order import KeyOrder
from models.ledger import LedgerPayment
from models.offer import Offer
from models.placement import AWAITING_ACK, Assignment, PlacedCase, Placement, case_ends_at
from models.portfolio import UPLOADED, Portfolio
from models.rate_card import PROPOSED as CARD_PROPOSED
from models.rate_card import RateCard
from models.recall_request import EXECUTED, OBJECTED, RecallCase, RecallRequest
from models.recall_request import REQUESTED as RECALL_REQUESTED
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.retention import Retention
from models.services import tenancy
from models.services.exchange import offers
from models.services.job_runs import FAILED
from models.services.oversight.conduct import FLAGGED
from models.services.portfolio import cases
from models.services.settlement.reconciliations import OPEN as OPEN_BREAK
from models.tender import AWAITING_APPROVAL, Tender
from models.work import AGENCY, LENDER, OPERATOR, Work
from models.work_item import NEW, NEW_HIGH, WorkItem

STALLED_DAYS = 5  # a break that an agency has not cleared for so long is the lender's to press

Waiting: TypeAlias = Callable[[Work], Select[Any]]  # one column: since when each of them waits


class Need(NamedTuple):
    """So many things of a kind wait, the oldest since then."""

    kind: str
    waiting_count: int
    oldest_at: dt.datetime


def list_own(work: Work) -> list[Need]:
    """The longest waiting first; a kind of which nothing waits is left out."""
    found = [_counted(work, kind, waiting(work)) for kind, waiting in _kinds(work).items()]
    return sorted((need for need in found if need), key=lambda need: need.oldest_at)


def _kinds(work: Work) -> Mapping[str, Waiting]:
    if work.actor.side == AGENCY and cases.own_only(work):
        return OF_A_COLLECTOR
    return OF_A_SIDE.get(work.actor.side, {})


def _counted(work: Work, kind: str, waiting: Select[Any]) -> Need | None:
    rows = waiting.subquery()
    (since,) = rows.c
    count, oldest_at = work.session.execute(select(func.count(), func.min(since)).select_from(rows)).one()
    return Need(kind, count, oldest_at) if count else None


def _breaches_flagged(work: Work) -> Select[Any]:
    return select(Breach.flagged_at).where(tenancy.own(work, Breach), Breach.state == FLAGGED)


def _breaks_ours(work: Work) -> Select[Any]:
    return _open_breaks(work).where(Break.owner == work.actor.side)


def _breaks_stalled(work: Work) -> Select[Any]:
    long_ago = work.at - dt.timedelta(days=STALLED_DAYS)
    return _open_breaks(work).where(Break.owner == AGENCY, Break.opened_at < long_ago)


def _open_breaks(work: Work) -> Select[Any]:
    return select(Break.opened_at).where(tenancy.own(work, Break), Break.state == OPEN_BREAK)


def _payments_in_suspense(work: Work) -> Select[Any]:
    return select(LedgerPayment.received_at).where(tenancy.own(work, LedgerPayment), LedgerPayment.case_id.is_(None))


def _portfolios_unoffered(work: Work) -> Select[Any]:
    offered = exists().where(tenancy.own(work, Offer), Offer.portfolio_id == Portfolio.id)
    return select(Portfolio.created_at).where(tenancy.own(work, Portfolio), Portfolio.state == UPLOADED, ~offered)


def _orders_waiting(work: Work) -> Select[Any]:
    return select(KeyOrder.created_at).where(tenancy.own(work, KeyOrder), KeyOrder.state == OPEN_ORDER)


def _agreements_proposed(work: Work) -> Select[Any]:
    return select(Agreement.created_at).where(
        tenancy.own(work, Agreement),
        Agreement.state == AGREEMENT_PROPOSED,
        Agreement.created_by.is_distinct_from(work.actor.member_id),
    )


def _rate_cards_proposed(work: Work) -> Select[Any]:
    """Those that come with a new agreement are decided with it."""
    return (
        select(RateCard.proposed_at)
        .join(Agreement, and_(Agreement.lender_id == RateCard.lender_id, Agreement.id == RateCard.agreement_id))
        .where(
            tenancy.own(work, RateCard),
            tenancy.own(work, Agreement),
            RateCard.state == CARD_PROPOSED,
            Agreement.state == AGREED,
            RateCard.proposed_by.is_distinct_from(work.actor.member_id),
        )
    )


def _tenders_unapproved(work: Work) -> Select[Any]:
    return select(Tender.created_at).where(
        tenancy.own(work, Tender),
        Tender.state == AWAITING_APPROVAL,
        Tender.created_by.is_distinct_from(work.actor.member_id),
    )


def _retentions_requested(work: Work) -> Select[Any]:
    return select(Retention.requested_at).where(tenancy.own(work, Retention), Retention.state == RETENTION_REQUESTED)


def _recalls_objected(work: Work) -> Select[Any]:
    """Recalls with an objection that nobody has answered, since the first."""
    return (
        select(func.min(RecallCase.objected_at))
        .join(
            RecallRequest,
            and_(RecallRequest.lender_id == RecallCase.lender_id, RecallRequest.id == RecallCase.request_id),
        )
        .where(
            tenancy.own(work, RecallCase),
            tenancy.own(work, RecallRequest),
            RecallRequest.state == RECALL_REQUESTED,
            RecallCase.state == OBJECTED,
        )
        .group_by(RecallCase.request_id)
    )


def _stops_unconfirmed(work: Work) -> Select[Any]:
    return select(RecallRequest.executed_at).where(
        tenancy.own(work, RecallRequest),
        RecallRequest.state == EXECUTED,
        RecallRequest.stop_confirmed_at.is_(None),
    )


def _acknowledgements_broken(work: Work) -> Select[Any]:
    return select(AcknowledgementBreak.noted_at).where(
        tenancy.own(work, AcknowledgementBreak), AcknowledgementBreak.closed_at.is_(None)
    )


def _runs_failed(work: Work) -> Select[Any]:
    return select(JobRun.finished_at).where(tenancy.mine(work, JobRun), JobRun.state == FAILED)


def _runs_failed_anywhere(work: Work) -> Select[Any]:
    return select(JobRun.finished_at).where(JobRun.state == FAILED)


def _offers_unanswered(work: Work) -> Select[Any]:
    return select(Offer.created_at).where(offers.open_to_answer(work), Offer.expires_at > work.at)


def _placements_unacknowledged(work: Work) -> Select[Any]:
    return select(Placement.started_at).where(
        tenancy.own(work, Placement),
        Placement.state == AWAITING_ACK,
        Placement.expires_at > work.at,
        Placement.frozen_at.is_(None),
    )


def _cases_unassigned(work: Work) -> Select[Any]:
    assigned = exists().where(tenancy.own(work, Assignment), _of_item(Assignment))
    return _work_items(work, PlacedCase.started_at).where(~assigned)


def _promises_due(work: Work) -> Select[Any]:
    since = func.timezone(str(ZONE), cast(WorkItem.promise_due_on, DateTime))
    return _work_items(work, since).where(WorkItem.promise_due_on <= day_of(work.at))


def _own_promises_due(work: Work) -> Select[Any]:
    return _promises_due(work).where(_assigned_to_me(work))


def _own_never_contacted(work: Work) -> Select[Any]:
    never = WorkItem.priority.in_((NEW_HIGH, NEW))
    return _work_items(work, PlacedCase.started_at).where(never, _assigned_to_me(work))


def _work_items(work: Work, since: Any) -> Select[Any]:
    """Of the cases that may be worked today."""
    return (
        select(since)
        .select_from(WorkItem)
        .join(PlacedCase, _of_item(PlacedCase))
        .join(Placement, and_(Placement.lender_id == WorkItem.lender_id, Placement.id == WorkItem.placement_id))
        .join(Case, and_(Case.lender_id == WorkItem.lender_id, Case.id == WorkItem.case_id))
        .where(
            *(tenancy.own(work, table) for table in (WorkItem, PlacedCase, Placement, Case)),
            case_ends_at() > work.at,
            Placement.frozen_at.is_(None),
            Case.status == OPEN_CASE,
        )
    )


def _assigned_to_me(work: Work) -> Any:
    mine = Assignment.collector_id == work.actor.member_id
    return exists().where(tenancy.own(work, Assignment), _of_item(Assignment), mine)


def _of_item(table: Any) -> Any:
    """The row of `table` about the same placed case as the work item."""
    return and_(
        table.lender_id == WorkItem.lender_id,
        table.placement_id == WorkItem.placement_id,
        table.case_id == WorkItem.case_id,
    )


OF_A_SIDE: Final[Mapping[str, Mapping[str, Waiting]]] = {
    LENDER: {
        "breaches_flagged": _breaches_flagged,
        "breaks_ours": _breaks_ours,
        "breaks_stalled": _breaks_stalled,
        "payments_in_suspense": _payments_in_suspense,
        "agreements_proposed": _agreements_proposed,
        "rate_cards_proposed": _rate_cards_proposed,
        "tenders_unapproved": _tenders_unapproved,
        "retentions_requested": _retentions_requested,
        "recalls_objected": _recalls_objected,
        "acknowledgements_broken": _acknowledgements_broken,
        "orders_waiting": _orders_waiting,
        "portfolios_unoffered": _portfolios_unoffered,
        "runs_failed": _runs_failed,
    },
    AGENCY: {
        "offers_unanswered": _offers_unanswered,
        "placements_unacknowledged": _placements_unacknowledged,
        "stops_unconfirmed": _stops_unconfirmed,
        "cases_unassigned": _cases_unassigned,
        "promises_due": _promises_due,
        "breaks_ours": _breaks_ours,
        "breaches_flagged": _breaches_flagged,
    },
    OPERATOR: {"runs_failed": _runs_failed_anywhere},
}
OF_A_COLLECTOR: Final[Mapping[str, Waiting]] = {
    "promises_due": _own_promises_due,
    "never_contacted": _own_never_contacted,
}
