"""What waits for somebody of this organisation, and since when: the list a working day starts with."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import DateTime, Select, and_, cast, exists, func, literal, or_, select, union_all

from models.agency_document import AgencyDocument
from models.agreement import ACTIVE as AGREED
from models.agreement import PROPOSED as AGREEMENT_PROPOSED
from models.agreement import Agreement
from models.breach import Breach
from models.break_item import Break
from models.business_day import ZONE, day_of
from models.case import NOT_OPEN
from models.export import AWAITING as EXPORT_AWAITING
from models.export import Export
from models.job_run import JobRun
from models.key_order import OPEN as OPEN_ORDER
from models.key_order import KeyOrder
from models.ledger import LedgerPayment
from models.offer import Offer
from models.placement import Assignment, PlacedCase, Placement
from models.portfolio import UPLOADED, Portfolio
from models.rate_card import RateCard
from models.services import tenancy
from models.services.collection import worklists
from models.services.exchange import waiting_cards
from models.services.job_runs import FAILED
from models.services.oversight import exchange_needs
from models.services.oversight.conduct import FLAGGED
from models.services.parties import own_papers
from models.services.portfolio import cases
from models.services.settlement.reconciliations import OPEN as OPEN_BREAK
from models.standard_terms import PROPOSED as TERMS_PROPOSED
from models.standard_terms import StandardTerms
from models.work import AGENCY, LENDER, OPERATOR, Work
from models.work_item import NEW, NEW_HIGH, WorkItem

STALLED_DAYS = 5  # a break that an agency has not cleared for so long is the lender's to press
PAPERS_SHORT: Final = "papers_short"  # of an agency, and asked for in another tenant than its own

Waiting: TypeAlias = Callable[[Work], Select[Any]]  # one column: since when each of them waits


class Need(NamedTuple):
    """So many things of a kind wait, the oldest since then."""

    kind: str
    waiting_count: int
    oldest_at: dt.datetime


def list_own(work: Work) -> list[Need]:
    """The longest waiting first; a kind of which nothing waits is left out. Counted in one statement, but for what
    each lender asks an agency for: that stands in the lender's tenant."""
    counted = [_counted(kind, waiting(work)) for kind, waiting in _kinds(work).items()]
    if not counted:
        return []
    found = [Need(*row) for row in work.session.execute(union_all(*counted))]
    if work.actor.side == AGENCY and not cases.own_only(work):
        since = [moment for lender in own_papers.list_own(work) for moment in lender.open_since]
        found.append(Need(PAPERS_SHORT, len(since), min(since, default=work.at)))
    return sorted((need for need in found if need.waiting_count), key=lambda need: need.oldest_at)


def _kinds(work: Work) -> Mapping[str, Waiting]:
    if work.actor.side == AGENCY and cases.own_only(work):
        return OF_A_COLLECTOR
    return OF_A_SIDE.get(work.actor.side, {})


def _counted(kind: str, waiting: Select[Any]) -> Select[str, int, Any]:
    rows = waiting.subquery()
    (since,) = rows.c
    return select(literal(kind), func.count(), func.min(since)).select_from(rows)


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


def _standards_proposed(work: Work) -> Select[Any]:
    return select(StandardTerms.proposed_at).where(
        tenancy.own(work, StandardTerms),
        StandardTerms.state == TERMS_PROPOSED,
        StandardTerms.proposed_by.is_distinct_from(work.actor.member_id),
    )


def _papers_attested(work: Work) -> Select[Any]:
    return select(AgencyDocument.attested_at).where(
        tenancy.own(work, AgencyDocument),
        AgencyDocument.attested_at.is_not(None),
        AgencyDocument.accepted_at.is_(None),
        AgencyDocument.withdrawn_at.is_(None),
    )


def _exports_unapproved(work: Work) -> Select[Any]:
    return select(Export.requested_at).where(
        tenancy.mine(work, Export),
        Export.state == EXPORT_AWAITING,
        Export.expires_at > work.at,
        Export.requested_by.is_distinct_from(work.actor.member_id),
    )


def _agreements_proposed(work: Work) -> Select[Any]:
    return select(Agreement.created_at).where(
        tenancy.own(work, Agreement),
        Agreement.state == AGREEMENT_PROPOSED,
        Agreement.created_by.is_distinct_from(work.actor.member_id),
    )


def _rate_cards_proposed(work: Work) -> Select[Any]:
    """Those that come with a new agreement are decided with it; approved ones may wait to be withdrawn."""
    return (
        select(func.coalesce(RateCard.withdrawal_at, RateCard.proposed_at))
        .join(Agreement, and_(Agreement.lender_id == RateCard.lender_id, Agreement.id == RateCard.agreement_id))
        .where(
            tenancy.own(work, RateCard),
            tenancy.own(work, Agreement),
            waiting_cards.waits(work),
            Agreement.state == AGREED,
            func.coalesce(RateCard.withdrawal_by, RateCard.proposed_by).is_distinct_from(work.actor.member_id),
        )
    )


def _runs_failed(work: Work) -> Select[Any]:
    return select(JobRun.finished_at).where(tenancy.mine(work, JobRun), JobRun.state == FAILED)


def _runs_failed_anywhere(work: Work) -> Select[Any]:
    return select(JobRun.finished_at).where(JobRun.state == FAILED)


def _cases_unassigned(work: Work) -> Select[Any]:
    assigned = exists().where(tenancy.own(work, Assignment), _of_item(Assignment))
    return _work_items(work, Placement.started_at).where(~assigned)


def _promises_due(work: Work) -> Select[Any]:
    since = func.timezone(str(ZONE), cast(WorkItem.promise_due_on, DateTime))
    return _work_items(work, since).where(WorkItem.promise_due_on <= day_of(work.at))


def _own_promises_due(work: Work) -> Select[Any]:
    return _promises_due(work).where(_assigned_to_me(work))


def _own_never_contacted(work: Work) -> Select[Any]:
    never = WorkItem.priority.in_((NEW_HIGH, NEW))
    return _work_items(work, Placement.started_at).where(never, _assigned_to_me(work))


def _work_items(work: Work, since: Any) -> Select[Any]:
    """Of the cases that may be worked today. Asked the other way round, of the few that may not: an agency holds many,
    and to look at each in the tables of all would take long."""
    retained = exists().where(tenancy.own(work, PlacedCase), _of_item(PlacedCase), PlacedCase.retained_until > work.at)
    return (
        select(since)
        .select_from(WorkItem)
        .join(Placement, and_(Placement.lender_id == WorkItem.lender_id, Placement.id == WorkItem.placement_id))
        .where(
            tenancy.own(work, WorkItem),
            tenancy.own(work, Placement),
            or_(Placement.expires_at > work.at, retained),
            Placement.frozen_at.is_(None),
            ~worklists.has_status(work, NOT_OPEN),
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
        "standards_proposed": _standards_proposed,
        "papers_attested": _papers_attested,
        "exports_unapproved": _exports_unapproved,
        "tenders_unapproved": exchange_needs.tenders_unapproved,
        "own_tenders_unapproved": exchange_needs.own_tenders_unapproved,
        "undoings_unconfirmed": exchange_needs.undoings_unconfirmed,
        "tenders_unanswered": exchange_needs.tenders_unanswered,
        "placements_ended": exchange_needs.placements_ended,
        "retentions_requested": exchange_needs.retentions_requested,
        "recalls_objected": exchange_needs.recalls_objected,
        "acknowledgements_broken": exchange_needs.acknowledgements_broken,
        "stops_awaited": exchange_needs.stops_unconfirmed,
        "stops_overdue": exchange_needs.stops_overdue,
        "orders_waiting": _orders_waiting,
        "portfolios_unoffered": _portfolios_unoffered,
        "runs_failed": _runs_failed,
    },
    AGENCY: {
        "offers_unanswered": exchange_needs.offers_unanswered,
        "placements_unacknowledged": exchange_needs.placements_unacknowledged,
        "stops_unconfirmed": exchange_needs.stops_unconfirmed,
        "stops_overdue": exchange_needs.stops_overdue,
        "freezes_lifted": exchange_needs.freezes_lifted,
        "exports_unapproved": _exports_unapproved,
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
