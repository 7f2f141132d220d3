"""The history of a case (手数): every tender that held it, whom it was proposed to, and what it came to.

For the lender and its auditor: an agency never learns where a case was before it, or goes after it.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import defer

from models.agreement import Agreement
from models.case import Case
from models.errors import NotFound
from models.member import Member
from models.offer import Offer
from models.placement import UNDONE, PlacedCase, Placement, ends_at
from models.retention import APPROVED, Retention
from models.services import tenancy
from models.tender import ALLOCATION, Tender, TenderedCase
from models.work import AGENCY, Work

PASSED_OVER: Final = "passed_over"  # the gate stopped it: it never had an offer


class Proposal(NamedTuple):
    """An agency that a tender named, and how that ended: `state` is of its offer, or PASSED_OVER.

    `reasons`: why it declined, lost, was void or had the offer taken back; of one passed over, the gate's.
    """

    agency_id: UUID
    agency_name: str
    agreement_number: str
    state: str
    reasons: tuple[str, ...]
    asked_at: dt.datetime | None
    decided_at: dt.datetime | None


class Share(NamedTuple):
    """What a rule of an allocation gives the agency."""

    rule: int
    per_cent: Decimal


class Retained(NamedTuple):
    """`requested`: the agency asked for it; otherwise the rule for cases that pay kept it."""

    until: dt.datetime
    ground: str
    requested: bool


class Placed(NamedTuple):
    """What came of a tender. `balance_at_end`: what is owed now, where it has not ended.

    `rule`: of an allocation, which of its rules gave the agency this case, from 1; FOLLOWED: it went where its
    borrower's other cases were, outside every share; None also where it was placed before this was kept. `shares`:
    what that rule gives the agency; where it is not kept which rule it was, what each that names the agency gives.
    """

    placement_id: UUID
    agency_id: UUID
    agency_name: str
    agreement_number: str
    tier: int
    rule: int | None
    shares: tuple[Share, ...]
    balance_at_start: Decimal
    balance_at_end: Decimal | None
    contingency_rate: Decimal
    started_at: dt.datetime
    ends_at: dt.datetime
    ended_at: dt.datetime | None
    end_reason: str | None
    retained: Retained | None


class Stage(NamedTuple):
    """One tender that held the case, and its placement, if it came to one.

    `number`: R1 is the first placement; None where there is none, or it was undone. `made_by`, by name, is
    None for a job, `approved_by` where one person was enough. `seed`: of an allocation, in hex.
    """

    number: int | None
    tender_id: UUID
    kind: str
    state: str
    made_at: dt.datetime
    made_by: str | None
    approved_by: str | None
    seed: str | None
    proposals: tuple[Proposal, ...]
    currency: str
    placed: Placed | None


def of_case(work: Work, case_id: UUID) -> list[Stage]:
    """In order of time. NotFound for a case of another lender."""
    assert work.actor.side != AGENCY
    case = work.session.scalar(select(Case).where(tenancy.own(work, Case), Case.id == case_id))
    if case is None:
        raise NotFound
    placed = _placed(work, case)
    tenders = _tenders(work, case, list(placed))
    proposals, names = _proposals(work, tenders), _names(work, tenders)
    retained = _retained(work, case_id)
    stages = [
        Stage(
            number=None if one is None or one[0].end_reason == UNDONE else one[0].placement_seq,
            tender_id=tender.id,
            kind=tender.kind,
            state=tender.state,
            made_at=tender.created_at,
            made_by=names.get(tender.created_by),
            approved_by=names.get(tender.approved_by),
            seed=tender.rules["seed"] if tender.kind == ALLOCATION else None,
            proposals=proposals[tender.id],
            currency=tender.currency,
            placed=None if one is None else _as_placed(case, tender, *one, retained.get(one[1].id)),
        )
        for tender in tenders
        for one in [placed.get(tender.id)]
    ]
    return sorted(
        stages, key=lambda stage: (stage.placed.started_at if stage.placed else stage.made_at, stage.tender_id)
    )


def _placed(work: Work, case: Case) -> dict[UUID, tuple[PlacedCase, Placement]]:
    """By tender: none places a case twice."""
    rows = work.session.execute(
        select(Offer.tender_id, PlacedCase, Placement)
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .join(Offer, and_(Offer.lender_id == Placement.lender_id, Offer.id == Placement.offer_id))
        .where(*(tenancy.own(work, table) for table in (PlacedCase, Placement, Offer)), PlacedCase.case_id == case.id)
    )
    return {tender_id: (placed, placement) for tender_id, placed, placement in rows}


def _tenders(work: Work, case: Case, placed_by: Sequence[UUID]) -> Sequence[Tender]:
    """Those that held the case, and the allocations that placed it: these hold nothing."""
    held = exists().where(
        tenancy.own(work, TenderedCase), TenderedCase.tender_id == Tender.id, TenderedCase.case_id == case.id
    )
    # A portfolio has few tenders, and they are what is indexed: not which of all of them hold a case.
    query = select(Tender).where(tenancy.own(work, Tender), Tender.portfolio_id == case.portfolio_id)
    found = query.where(or_(held, Tender.id.in_(placed_by))).options(defer(Tender.preview), defer(Tender.tape))
    return work.session.scalars(found).all()


def _names(work: Work, tenders: Sequence[Tender]) -> dict[UUID | None, str]:
    ids = {member_id for tender in tenders for member_id in (tender.created_by, tender.approved_by) if member_id}
    query = select(Member.id, Member.name).where(tenancy.equals(Member.org_id, work.tenant_id), Member.id.in_(ids))
    return {row[0]: row[1] for row in work.session.execute(query)}


def _as_placed(
    case: Case, tender: Tender, placed: PlacedCase, placement: Placement, retention: Retention | None
) -> Placed:
    return Placed(
        placement_id=placement.id,
        agency_id=placement.agency_id,
        agency_name=placement.agency_name,
        agreement_number=placement.agreement_number,
        tier=placement.tier,
        rule=placed.rule,
        shares=_shares(tender, placement.agreement_id, placed.rule),
        balance_at_start=placed.referred_amount,
        balance_at_end=case.balance if placed.ended_at is None else placed.end_balance,
        contingency_rate=placed.contingency_rate,
        started_at=placed.started_at,
        ends_at=ends_at(placement, placed),
        ended_at=placed.ended_at,
        end_reason=placed.end_reason,
        retained=_as_retained(placed, retention),
    )


def _shares(tender: Tender, agreement_id: UUID, rule: int | None) -> tuple[Share, ...]:
    rules = tender.rules["rules"] if tender.kind == ALLOCATION else []
    given = ((number, one["shares"].get(str(agreement_id))) for number, one in enumerate(rules, 1))
    return tuple(
        Share(number, Decimal(share)) for number, share in given if share is not None and rule in (None, number)
    )


def _proposals(work: Work, tenders: Sequence[Tender]) -> dict[UUID, tuple[Proposal, ...]]:
    """By tender, whom it named, in its order, without those whose turn never came. An allocation asks nobody."""
    asking = {tender.id: tender for tender in tenders if tender.kind != ALLOCATION}
    offers = work.session.scalars(select(Offer).where(tenancy.own(work, Offer), Offer.tender_id.in_(asking))).all()
    made = {(offer.tender_id, offer.agreement_id): offer for offer in offers}
    named = {id_: [UUID(one) for one in t.rules.get("choices") or t.rules["panel"]] for id_, t in asking.items()}
    wanted = {agreement_id for ids in named.values() for agreement_id in ids}
    query = select(Agreement).where(tenancy.own(work, Agreement), Agreement.id.in_(wanted))
    agreements = {agreement.id: agreement for agreement in work.session.scalars(query)}
    found: dict[UUID, tuple[Proposal, ...]] = {tender.id: () for tender in tenders}
    for id_, tender in asking.items():
        passed = tender.rules.get("passed_over", {})
        each = (_proposal(agreements[one], made.get((id_, one)), passed.get(str(one))) for one in named[id_])
        found[id_] = tuple(one for one in each if one is not None)
    return found


def _proposal(agreement: Agreement, offer: Offer | None, passed_over: Sequence[str] | None) -> Proposal | None:
    who = (agreement.agency_id, agreement.agency_name, agreement.number)
    if offer is not None:
        reason = offer.decline_reason or offer.outcome_reason
        return Proposal(*who, offer.state, (reason,) if reason else (), offer.created_at, offer.decided_at)
    return None if passed_over is None else Proposal(*who, PASSED_OVER, tuple(passed_over), None, None)


def _retained(work: Work, case_id: UUID) -> dict[UUID, Retention]:
    query = select(Retention).where(
        tenancy.own(work, Retention), Retention.case_id == case_id, Retention.state == APPROVED
    )
    return {row.placement_id: row for row in work.session.scalars(query)}


def _as_retained(placed: PlacedCase, retention: Retention | None) -> Retained | None:
    if placed.retained_until is None or retention is None:
        return None
    return Retained(placed.retained_until, retention.ground, retention.requested_by is not None)
