"""Offers: a lender shows an agency what it might place with it, and the agency takes it or not.

What an agency can never see before it accepts: a case, a borrower, a mask, or a stratum of fewer than
twenty borrowers. The offer's row holds all that it may know; which cases it stands for is in
`offered_case`, which has no agency policy. Another agency cannot tell that the offer exists.
"""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
from psycopg.errors import UniqueViolation
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Text,
    Uuid,
    any_,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from models.agreement import Agreement
from models.buckets import BUCKETS
from models.business_day import day_of
from models.case import OPEN, Case
from models.errors import Conflict, Invalid, NotFound, RowError
from models.household import within_limit
from models.ids import new_id
from models.money import MONEY, Schema
from models.offer import DECLINE_REASONS, OFFERED, TRANSITIONS, Offer, OfferedCase
from models.placement import AWAITING_ACK, AWAITING_KEYS, PlacedCase, Placement
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import Portfolio
from models.services import agreements, audit, bulk, leases, pages, portfolios, tenancy, turns
from models.states import step
from models.strata import stratify
from models.work import LENDER, Work

RESPOND_HOURS_MAX = 30 * 24

CANDIDATE: Schema = {
    "case_id": pl.String,
    "borrower_id": pl.String,
    "currency": pl.String,
    "balance": MONEY,
    "bucket": pl.String,
    "product": pl.String,
    "region": pl.String,
    "age_band": pl.String,
}


def create(
    work: Work,
    portfolio_id: UUID,
    agreement_id: UUID,
    buckets: list[str] | None = None,
    case_limit: int | None = None,
    respond_hours: int = 72,
) -> Offer:
    """Offer the portfolio's open, unplaced cases in whole households; strata are frozen as they are now.

    Left out: cases in another open offer, cases in another currency than the agreement's, and every borrower
    of whom a case is placed with, or offered to, another agency. Conflict `no_cases_to_offer` where none is left.
    """
    assert work.actor.side == LENDER
    _refuse_impossible(buckets, case_limit, respond_hours)
    portfolio = portfolios.get(work, portfolio_id)
    agreement = agreements.get(work, agreement_id)
    _require_in_force(agreement, work.at)
    # Two offers made at once could each take one case of the same borrower: the second waits.
    turns.take(work, "offers")
    expire_due(work)
    cases = bulk.read(work, _candidates(work, portfolio.id, agreement, buckets), CANDIDATE)
    if case_limit is not None:
        cases = within_limit(cases, case_limit)
    if cases.is_empty():
        raise Conflict("no_cases_to_offer")
    offer = Offer(
        lender_id=work.tenant_id,
        id=new_id(),
        agency_id=agreement.agency_id,
        agreement_id=agreement.id,
        portfolio_id=portfolio.id,
        kind="assigned",
        state=OFFERED,
        currency=agreement.currency,
        case_count=cases.height,
        borrower_count=cases["borrower_id"].n_unique(),
        balance=_total(cases),
        strata=stratify(cases),
        created_at=work.at,
        expires_at=work.at + dt.timedelta(hours=respond_hours),
    )
    work.session.add(offer)
    work.session.flush()
    bulk.append(
        work,
        OfferedCase,
        cases.select(
            lender_id=pl.lit(str(offer.lender_id)), offer_id=pl.lit(str(offer.id)), case_id="case_id", open=True
        ),
    )
    subject = {"offer": offer.id, "agency": offer.agency_id, "portfolio": portfolio.id, "cases": offer.case_count}
    audit.record(work, audit.Action.OFFER_CREATE, subject)
    return offer


def list_own(
    work: Work, after: UUID | None = None, limit: int = 50, state: str | None = None, portfolio_id: UUID | None = None
) -> list[Offer]:
    """A lender's offers, or those made to an agency; `portfolio_id` is the lender's to ask for."""
    query = select(Offer).where(tenancy.own(work, Offer))
    if state is not None:
        query = query.where(Offer.state == state)
    if portfolio_id is not None:
        query = query.where(Offer.portfolio_id == portfolio_id)
    return list(work.session.scalars(pages.newest(query, Offer.id, after, limit)))


def get(work: Work, offer_id: UUID) -> Offer:
    found = work.session.scalar(select(Offer).where(tenancy.own(work, Offer), Offer.id == offer_id))
    if found is None:
        raise NotFound
    return found


def accept(work: Work, offer_id: UUID) -> Placement:
    """The agency takes the offer: its cases are placed with it, on the agreement's terms as they are now.

    Where the lender holds its own keys, the placement awaits the leases that its tool is asked for.

    Cases closed since the offer are left out. Whoever locks the offer first decides; then the state,
    the deadline and the agreement are looked at again.
    """
    offer = get(work, offer_id)
    with work.as_lender(offer):
        _lock(work, offer)
        offer.state = step(TRANSITIONS, offer.state, "accept")
        now = work.now()
        if now >= offer.expires_at:
            raise Conflict("offer_expired")
        agreement = work.session.scalars(
            select(Agreement).where(tenancy.of_lender(offer.lender_id, Agreement), Agreement.id == offer.agreement_id)
        ).one()
        _require_in_force(agreement, now)
        offer.decided_at = now
        free = _lock_free_cases(work, offer)
        if not free:
            raise Conflict("no_cases_to_place")
        # What the lender has sealed itself, only its own tool can lease to the agency.
        state = AWAITING_KEYS if _sealed_by(work, offer) == SEALED_BY_LENDER else AWAITING_ACK
        placement = _placement(offer, agreement, free, now, state)
        work.session.add(placement)
        work.session.flush()
        _place_cases(work, placement, list(free))
        if placement.state == AWAITING_KEYS:
            leases.order(work, placement)
        _let_go(work, offer.lender_id, OfferedCase.offer_id == offer.id)
        audit.record(
            work,
            audit.Action.OFFER_ACCEPT,
            {"offer": offer.id, "agency": offer.agency_id, "placement": placement.id, "cases": placement.case_count},
        )
    return placement


def decline(work: Work, offer_id: UUID, reason: str) -> Offer:
    """The agency says no, with one of DECLINE_REASONS; the cases may be offered again at once."""
    if reason not in DECLINE_REASONS:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value")])
    offer = get(work, offer_id)
    with work.as_lender(offer):
        _lock(work, offer)
        offer.decline_reason = reason
        _close(work, offer, "decline")
        audit.record(
            work,
            audit.Action.OFFER_DECLINE,
            {"offer": offer.id, "agency": offer.agency_id, "reason": reason},
        )
    return offer


def withdraw(work: Work, offer_id: UUID) -> Offer:
    """The lender takes an offer back before it is answered."""
    assert work.actor.side == LENDER
    offer = get(work, offer_id)
    _lock(work, offer)
    _close(work, offer, "withdraw")
    audit.record(work, audit.Action.OFFER_WITHDRAW, {"offer": offer.id, "agency": offer.agency_id})
    return offer


def expire_due(work: Work) -> int:
    """End the lender's offers whose time to answer is over; answers how many."""
    due = work.session.scalars(
        select(Offer)
        .where(tenancy.own(work, Offer), Offer.state == OFFERED, Offer.expires_at <= work.at)
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    for offer in due:
        offer.state = step(TRANSITIONS, offer.state, "expire")
        offer.decided_at = offer.expires_at
        audit.record(work, audit.Action.OFFER_EXPIRE, {"offer": offer.id, "agency": offer.agency_id})
    if due:
        _let_go(work, work.tenant_id, OfferedCase.offer_id.in_([offer.id for offer in due]))
    return len(due)


def _refuse_impossible(buckets: list[str] | None, case_limit: int | None, respond_hours: int) -> None:
    faults = [
        *(
            [RowError(0, "buckets", "unknown_value")]
            if buckets is not None and not set(buckets) <= set(BUCKETS)
            else []
        ),
        *([RowError(0, "buckets", "required_missing")] if buckets == [] else []),
        *([RowError(0, "case_limit", "out_of_range")] if case_limit is not None and case_limit < 1 else []),
        *([RowError(0, "respond_hours", "out_of_range")] if not 1 <= respond_hours <= RESPOND_HOURS_MAX else []),
    ]
    if faults:
        raise Invalid(errors=faults)


def _require_in_force(agreement: Agreement, at: dt.datetime) -> None:
    if agreement.state != "active" or not agreement.starts_on <= day_of(at) <= agreement.ends_on:
        raise Conflict("agreement_not_in_force")


def _candidates(
    work: Work, portfolio_id: UUID, agreement: Agreement, buckets: list[str] | None
) -> Select[*tuple[Any, ...]]:
    """The columns of CANDIDATE for the cases that may be offered to the agreement's agency, in order of upload."""
    household = aliased(Case)
    offered = exists().where(OfferedCase.lender_id == Case.lender_id, OfferedCase.case_id == Case.id, OfferedCase.open)
    placed_elsewhere = exists().where(
        household.lender_id == Case.lender_id,
        household.borrower_id == Case.borrower_id,
        household.agency_id != agreement.agency_id,
    )
    offered_elsewhere = exists().where(
        household.lender_id == Case.lender_id,
        household.borrower_id == Case.borrower_id,
        OfferedCase.lender_id == household.lender_id,
        OfferedCase.case_id == household.id,
        OfferedCase.open,
        Offer.lender_id == OfferedCase.lender_id,
        Offer.id == OfferedCase.offer_id,
        Offer.agency_id != agreement.agency_id,
    )
    query = select(
        cast(Case.id, String),
        cast(Case.borrower_id, String),
        Case.currency,
        Case.balance,
        Case.bucket,
        Case.product,
        Case.region,
        Case.age_band,
    ).where(
        tenancy.own(work, Case),
        Case.portfolio_id == portfolio_id,
        Case.status == OPEN,
        Case.erased_at.is_(None),
        Case.agency_id.is_(None),
        Case.currency == agreement.currency,
        ~offered,
        ~placed_elsewhere,
        ~offered_elsewhere,
    )
    if buckets is not None:
        query = query.where(Case.bucket == any_(literal(buckets, ARRAY(Text))))
    return query.order_by(Case.id)


def _total(cases: pl.DataFrame) -> Decimal:
    total = cases["balance"].sum()
    assert isinstance(total, Decimal)
    return total


def _lock(work: Work, offer: Offer) -> None:
    """Wait for whoever is deciding this offer now, then read it as they left it."""
    work.session.refresh(offer, with_for_update=True)


def _close(work: Work, offer: Offer, act: str) -> None:
    offer.state = step(TRANSITIONS, offer.state, act)
    offer.decided_at = work.at
    _let_go(work, offer.lender_id, OfferedCase.offer_id == offer.id)


def _let_go(work: Work, lender_id: UUID, offers: ColumnElement[bool]) -> None:
    """The cases of decided offers may be offered again."""
    work.session.execute(
        update(OfferedCase)
        .where(tenancy.of_lender(lender_id, OfferedCase), offers, OfferedCase.open)
        .values(open=False)
        .execution_options(synchronize_session=False)
    )


def _sealed_by(work: Work, offer: Offer) -> str:
    return work.session.scalars(
        select(Portfolio.sealed_by).where(
            tenancy.of_lender(offer.lender_id, Portfolio), Portfolio.id == offer.portfolio_id
        )
    ).one()


def _placement(
    offer: Offer, agreement: Agreement, balances: dict[UUID, Decimal], now: dt.datetime, state: str
) -> Placement:
    return Placement(
        lender_id=offer.lender_id,
        id=new_id(),
        agency_id=offer.agency_id,
        offer_id=offer.id,
        agreement_id=agreement.id,
        portfolio_id=offer.portfolio_id,
        lender_name=agreement.lender_name,
        agency_name=agreement.agency_name,
        state=state,
        agreement_number=agreement.number,
        contingency_rate=agreement.contingency_rate,
        tail_days=agreement.tail_days,
        agency_may_receive=agreement.agency_may_receive,
        currency=offer.currency,
        case_count=len(balances),
        referred_amount=sum(balances.values(), Decimal(0)),
        started_at=now,
        expires_at=now + dt.timedelta(days=agreement.term_days),
    )


def _lock_free_cases(work: Work, offer: Offer) -> dict[UUID, Decimal]:
    """The offer's cases that are still open and free, with their balances; they are locked in order of id."""
    rows = work.session.execute(
        select(Case.id, Case.balance)
        .join(OfferedCase, (OfferedCase.lender_id == Case.lender_id) & (OfferedCase.case_id == Case.id))
        .where(
            tenancy.of_lender(offer.lender_id, Case),
            OfferedCase.offer_id == offer.id,
            OfferedCase.open,
            Case.status == OPEN,
            Case.agency_id.is_(None),
        )
        .order_by(Case.id)
        .with_for_update(of=Case)
    )
    return {row.id: row.balance for row in rows}


def _place_cases(work: Work, placement: Placement, case_ids: list[UUID]) -> None:
    """Name the agency on the cases, and count which placement of its life this is for each."""
    these = tenancy.of_lender(placement.lender_id, Case) & (Case.id == any_(literal(case_ids, ARRAY(Uuid))))
    work.session.execute(
        update(Case).where(these).values(agency_id=placement.agency_id).execution_options(synchronize_session=False)
    )
    earlier = aliased(PlacedCase)
    placements_before = (
        select(func.count())
        .where(earlier.lender_id == Case.lender_id, earlier.case_id == Case.id)
        .correlate(Case)
        .scalar_subquery()
    )
    cases = select(
        Case.lender_id,
        literal(placement.id),
        Case.id,
        Case.agency_id,
        placements_before + 1,
        Case.balance,
        literal(placement.started_at),
    ).where(these)
    columns = ["lender_id", "placement_id", "case_id", "agency_id", "placement_seq", "referred_amount", "started_at"]
    try:
        work.session.execute(insert(PlacedCase).from_select(columns, cases))
    except IntegrityError as refused:
        if isinstance(refused.orig, UniqueViolation):
            raise Conflict("case_placed_elsewhere") from None
        raise
