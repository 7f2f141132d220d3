"""The history of a case (手数): every placement it was in, who, when, how much, why, and who else was asked.

For the lender and its auditor: an agency never learns where a case was before it, or goes after it.
"""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, select

from models.agreement import Agreement
from models.case import Case
from models.errors import NotFound
from models.offer import Offer
from models.placement import UNDONE, PlacedCase, Placement, ends_at
from models.retention import APPROVED, Retention
from models.services import tenancy
from models.tender import Tender
from models.work import AGENCY, Work


class Proposal(NamedTuple):
    """An agency to which the tender was shown, and how that ended; `state` is of its offer."""

    agency_id: UUID
    agency_name: str
    state: str


class Retained(NamedTuple):
    """`requested`: the agency asked for it; otherwise the rule for cases that pay kept it."""

    until: dt.datetime
    ground: str
    requested: bool


class Stage(NamedTuple):
    """One placement of the case: R1 is its first; one that was undone has no number.

    `balance_at_end`: what is owed now, where it has not ended.
    """

    number: int | None
    placement_id: UUID
    agency_id: UUID
    agency_name: str
    agreement_number: str
    tier: int
    tender_id: UUID
    kind: str
    proposals: tuple[Proposal, ...]
    currency: str
    balance_at_start: Decimal
    balance_at_end: Decimal | None
    contingency_rate: Decimal
    started_at: dt.datetime
    ends_at: dt.datetime
    ended_at: dt.datetime | None
    end_reason: str | None
    retained: Retained | None


def of_case(work: Work, case_id: UUID) -> list[Stage]:
    """R1, R2, … in order. NotFound for a case of another lender."""
    assert work.actor.side != AGENCY
    case = work.session.scalar(select(Case).where(tenancy.own(work, Case), Case.id == case_id))
    if case is None:
        raise NotFound
    rows = work.session.execute(
        select(PlacedCase, Placement, Tender.id, Tender.kind)
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .join(Offer, and_(Offer.lender_id == Placement.lender_id, Offer.id == Placement.offer_id))
        .join(Tender, and_(Tender.lender_id == Offer.lender_id, Tender.id == Offer.tender_id))
        .where(
            *(tenancy.own(work, table) for table in (PlacedCase, Placement, Offer, Tender)),
            PlacedCase.case_id == case_id,
        )
        .order_by(PlacedCase.started_at, PlacedCase.placement_id)
    ).all()
    proposals = _proposals(work, {tender_id for _, _, tender_id, _ in rows})
    retained = _retained(work, case_id)
    return [
        Stage(
            number=None if placed.end_reason == UNDONE else placed.placement_seq,
            placement_id=placement.id,
            agency_id=placement.agency_id,
            agency_name=placement.agency_name,
            agreement_number=placement.agreement_number,
            tier=placement.tier,
            tender_id=tender_id,
            kind=kind,
            proposals=tuple(proposals.get(tender_id, ())),
            currency=placement.currency,
            balance_at_start=placed.referred_amount,
            balance_at_end=case.balance if placed.ended_at is None else placed.end_balance,
            contingency_rate=placed.contingency_rate,
            started_at=placed.started_at,
            ends_at=ends_at(placement, placed),
            ended_at=placed.ended_at,
            end_reason=placed.end_reason,
            retained=_as_retained(placed, retained.get(placement.id)),
        )
        for placed, placement, tender_id, kind in rows
    ]


def _proposals(work: Work, tender_ids: set[UUID]) -> dict[UUID, list[Proposal]]:
    """Every offer of these tenders, in the order in which they were made."""
    query = (
        select(Offer.tender_id, Offer.agency_id, Agreement.agency_name, Offer.state)
        .join(Agreement, and_(Agreement.lender_id == Offer.lender_id, Agreement.id == Offer.agreement_id))
        .where(tenancy.own(work, Offer), tenancy.own(work, Agreement), Offer.tender_id.in_(tender_ids))
        .order_by(Offer.created_at, Offer.id)
    )
    found: dict[UUID, list[Proposal]] = {}
    for tender_id, agency_id, name, state in work.session.execute(query):
        found.setdefault(tender_id, []).append(Proposal(agency_id, name, state))
    return found


def _retained(work: Work, case_id: UUID) -> dict[UUID, Retention]:
    query = select(Retention).where(
        tenancy.own(work, Retention), Retention.case_id == case_id, Retention.state == APPROVED
    )
    return {row.placement_id: row for row in work.session.scalars(query)}


def _as_retained(placed: PlacedCase, retention: Retention | None) -> Retained | None:
    if placed.retained_until is None or retention is None:
        return None
    return Retained(placed.retained_until, retention.ground, retention.requested_by is not None)
