"""What of the exchange waits for somebody: each a query of one column, since when each of them waits."""

import datetime as dt
from typing import Any

from sqlalchemy import Select, and_, func, select

from models.acknowledgement_break import AcknowledgementBreak
from models.offer import Offer
from models.placement import ACTIVE, AWAITING_ACK, EXPIRED, RECALLED, RETURNED, Placement
from models.placement_freeze import PlacementFreeze
from models.recall_request import EXECUTED, OBJECTED, REQUESTED, RecallCase, RecallRequest
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.retention import Retention
from models.services import tenancy
from models.services.exchange import offers
from models.tender import AWAITING_APPROVAL, PLACED, UNANSWERED, Tender
from models.work import Work

FREE_DAYS = 7  # so long a lender is told that cases came free
LIFTED_HOURS = 24  # and an agency that it may go on


def tenders_unapproved(work: Work) -> Select[Any]:
    return select(Tender.created_at).where(
        tenancy.own(work, Tender),
        Tender.state == AWAITING_APPROVAL,
        Tender.created_by.is_distinct_from(work.actor.member_id),
    )


def own_tenders_unapproved(work: Work) -> Select[Any]:
    """Those whose maker has to find a second person."""
    return select(Tender.created_at).where(
        tenancy.own(work, Tender),
        Tender.state == AWAITING_APPROVAL,
        Tender.created_by == work.actor.member_id,
    )


def undoings_unconfirmed(work: Work) -> Select[Any]:
    return select(Tender.undo_asked_at).where(
        tenancy.own(work, Tender),
        Tender.state == PLACED,
        Tender.undo_asked_at.is_not(None),
        Tender.undo_asked_by.is_distinct_from(work.actor.member_id),
    )


def tenders_unanswered(work: Work) -> Select[Any]:
    lately = work.at - dt.timedelta(days=FREE_DAYS)
    return select(Tender.decided_at).where(
        tenancy.own(work, Tender), Tender.state == UNANSWERED, Tender.decided_at > lately
    )


def offers_unanswered(work: Work) -> Select[Any]:
    return select(Offer.created_at).where(offers.open_to_answer(work), Offer.expires_at > work.at)


def placements_unacknowledged(work: Work) -> Select[Any]:
    return select(Placement.started_at).where(
        tenancy.own(work, Placement),
        Placement.state == AWAITING_ACK,
        Placement.expires_at > work.at,
        Placement.frozen_at.is_(None),
    )


def acknowledgements_broken(work: Work) -> Select[Any]:
    return select(AcknowledgementBreak.noted_at).where(
        tenancy.own(work, AcknowledgementBreak), AcknowledgementBreak.closed_at.is_(None)
    )


def placements_ended(work: Work) -> Select[Any]:
    lately = work.at - dt.timedelta(days=FREE_DAYS)
    return select(Placement.ended_at).where(
        tenancy.own(work, Placement), Placement.state.in_((RECALLED, RETURNED, EXPIRED)), Placement.ended_at > lately
    )


def freezes_lifted(work: Work) -> Select[Any]:
    """Placements that an agency may work again, for its first day."""
    lately = work.at - dt.timedelta(hours=LIFTED_HOURS)
    return (
        select(func.max(PlacementFreeze.lifted_at))
        .join(
            Placement,
            and_(
                Placement.lender_id == PlacementFreeze.lender_id,
                Placement.id == PlacementFreeze.placement_id,
            ),
        )
        .where(
            tenancy.own(work, PlacementFreeze),
            tenancy.own(work, Placement),
            PlacementFreeze.lifted_at > lately,
            Placement.state == ACTIVE,
            Placement.frozen_at.is_(None),
        )
        .group_by(PlacementFreeze.placement_id)
    )


def recalls_objected(work: Work) -> Select[Any]:
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
            RecallRequest.state == REQUESTED,
            RecallCase.state == OBJECTED,
        )
        .group_by(RecallCase.request_id)
    )


def stops_unconfirmed(work: Work) -> Select[Any]:
    return select(RecallRequest.executed_at).where(
        tenancy.own(work, RecallRequest),
        RecallRequest.state == EXECUTED,
        RecallRequest.stop_confirmed_at.is_(None),
        RecallRequest.stop_due_at > work.at,
    )


def stops_overdue(work: Work) -> Select[Any]:
    return select(RecallRequest.stop_due_at).where(
        tenancy.own(work, RecallRequest),
        RecallRequest.state == EXECUTED,
        RecallRequest.stop_confirmed_at.is_(None),
        RecallRequest.stop_due_at <= work.at,
    )


def retentions_requested(work: Work) -> Select[Any]:
    return select(Retention.requested_at).where(tenancy.own(work, Retention), Retention.state == RETENTION_REQUESTED)
