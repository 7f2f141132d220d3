"""Placing cases: what every way of placing ends in. Terms are frozen, the agency is named on the cases.

Called in the lender's tenant, by the lender itself or within `as_lender`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from psycopg.errors import UniqueViolation
from sqlalchemy import ColumnElement, Select, TableClause, and_, func, insert, literal, null, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from models.agreement import Agreement
from models.case import Case
from models.errors import Conflict
from models.ids import new_id
from models.offer import Offer
from models.placement import AWAITING_ACK, AWAITING_KEYS, UNDONE, PlacedCase, Placement
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import Portfolio
from models.rate_card import RateCell
from models.rates import PAYMENT
from models.services import bulk, tenancy
from models.services.exchange.ends import Figures
from models.services.exchange.frozen_terms import Terms
from models.services.exchange.rate_cards import Card
from models.services.portfolio import scrub
from models.services.sealing import leases
from models.tender import TenderedCase
from models.work import Work

PLACED_COLUMNS = [
    "lender_id",
    "placement_id",
    "case_id",
    "agency_id",
    "placement_seq",
    "referred_amount",
    "contingency_rate",
    "started_at",
    "rule",
]


class Seat(NamedTuple):
    """With whom cases are placed, and on which terms."""

    offer: Offer
    terms: Terms


class BidTerms(NamedTuple):
    """What a sealed bid won with, instead of the rate card's rates."""

    rate: Decimal
    case_fee: Decimal


def get_agreement(work: Work, offer: Offer) -> Agreement:
    return work.session.scalars(
        select(Agreement).where(tenancy.of_lender(offer.lender_id, Agreement), Agreement.id == offer.agreement_id)
    ).one()


def lock_free_cases(work: Work, offer: Offer, *which: ColumnElement[bool]) -> dict[UUID, Decimal]:
    """The tender's cases that are still open and free, with their balances; they are locked in order of id.

    `which`: only those of which that holds.
    """
    held = (
        select(Case.id, Case.balance)
        .join(TenderedCase, and_(TenderedCase.lender_id == Case.lender_id, TenderedCase.case_id == Case.id))
        .where(tenancy.of_lender(offer.lender_id, Case), TenderedCase.tender_id == offer.tender_id, TenderedCase.open)
        .order_by(Case.id)
    )
    work.session.execute(select(func.count()).select_from(held.with_for_update(of=Case).subquery()))
    # A second look: whoever excluded one of them while we waited for its lock has been quicker. It finds none that was
    # not locked, for no tender takes cases on after it was made.
    rows = work.session.execute(held.where(Case.agency_id.is_(None), scrub.clear(work, offer.lender_id), *which))
    return {row.id: row.balance for row in rows}


def place(
    work: Work,
    offer: Offer,
    terms: Terms,
    balances: dict[UUID, Decimal],
    now: dt.datetime,
    bid: BidTerms | None = None,
) -> Placement:
    """Place these cases, locked before, with the offer's agency, on these terms."""
    figures = Figures(len(balances), sum(balances.values(), Decimal("0.00")))
    placement = _begin(work, Seat(offer, terms), figures, now, bid)
    given = _number(work, placement.lender_id, list(balances))
    these = and_(tenancy.of_lender(placement.lender_id, Case), Case.id == given.c.case_id)
    seq = given.c.placement_seq
    rate = literal(bid.rate) if bid else _rate_of_card(placement.lender_id, terms.card, seq)
    _place_cases(work, _placed(placement, seq, rate, now).where(these))
    work.session.execute(
        update(Case).where(these).values(agency_id=placement.agency_id).execution_options(synchronize_session=False)
    )
    _finish(work, placement, terms.card, bid)
    return placement


def place_many(work: Work, parts: pl.DataFrame, seats: Mapping[int, Seat], now: dt.datetime) -> list[Placement]:
    """Place many cases with many agencies at once: of each its number in its life, `placement_seq`, its `seat` and the
    `rule` that gave it, and `case_id`, `balance`, `bucket` and `product` as they were read under the turn at offers.

    They are locked here, in order of id. Conflict `cases_changed` unless all are open, free and as they are given.
    """
    begun: dict[int, Placement] = {}
    for (seat,), part in parts.sort("seat").partition_by("seat", as_dict=True, maintain_order=True).items():
        balance = part["balance"].sum()
        assert isinstance(balance, Decimal)
        begun[seat] = _begin(work, seats[seat], Figures(part.height, balance), now, None)
    bulk.join_by_sets(work)
    given = _stage(work, parts)
    _lock(work, given, parts.height)
    goes = _stage_seats(work, begun, seats)
    rate = func.coalesce(goes.c.rate, _rate_in_card(work.tenant_id, goes.c.card_id, given.c, given.c.placement_seq))
    figures = (given.c.placement_seq, given.c.balance, rate, literal(now), given.c.rule)
    placed = select(literal(work.tenant_id), goes.c.placement_id, given.c.case_id, goes.c.agency_id, *figures)
    _place_cases(work, placed.where(given.c.seat == goes.c.seat))
    # After what refers to the cases, which so finds rows that nothing but a lock has touched. Where no index of theirs
    # names the agency, this leaves all of them alone.
    work.session.execute(
        update(Case)
        .where(tenancy.own(work, Case), Case.id == given.c.case_id, given.c.seat == goes.c.seat)
        .values(agency_id=goes.c.agency_id)
        .execution_options(synchronize_session=False)
    )
    for seat, placement in begun.items():
        _finish(work, placement, seats[seat].terms.card, None)
    return list(begun.values())


def _stage(work: Work, parts: pl.DataFrame) -> TableClause:
    read = {"case_id": "uuid", "balance": "numeric", "bucket": "text", "product": "text"}
    given = bulk.make(work, read | {"placement_seq": "int", "seat": "int", "rule": "smallint"})
    bulk.fill(work, given, parts.select(*read, "placement_seq", "seat", "rule"))
    work.session.execute(text(f"analyze {given.name}"))
    return given


def _stage_seats(work: Work, begun: Mapping[int, Placement], seats: Mapping[int, Seat]) -> TableClause:
    """Where each seat goes, with its rate where the card has but one."""
    goes = bulk.make(
        work, {"seat": "int", "placement_id": "uuid", "agency_id": "uuid", "card_id": "uuid", "rate": "numeric"}
    )
    rows = [
        (seat, placement.id, placement.agency_id, seats[seat].terms.card.id, _only_rate(seats[seat].terms.card))
        for seat, placement in begun.items()
    ]
    work.session.execute(insert(goes), [dict(zip(goes.c.keys(), row, strict=True)) for row in rows])
    return goes


def _lock(work: Work, given: TableClause, count: int) -> None:
    mine = select(Case.id).join(given, given.c.case_id == Case.id).where(tenancy.own(work, Case))
    locked = mine.order_by(Case.id).with_for_update(of=Case).subquery()
    work.session.execute(select(func.count()).select_from(locked))
    # A second look: whoever changed or excluded one of them while we waited for its lock has been quicker.
    same = (given.c[name] == getattr(Case, name) for name in ("balance", "bucket", "product"))
    free = mine.where(*same, Case.agency_id.is_(None), scrub.clear(work)).subquery()
    if work.session.scalar(select(func.count()).select_from(free)) != count:
        raise Conflict("cases_changed")


def _begin(work: Work, seat: Seat, figures: Figures, now: dt.datetime, bid: BidTerms | None) -> Placement:
    """The placement with its terms, as yet without cases."""
    # What the lender has sealed itself, only its own tool can lease to the agency.
    state = AWAITING_KEYS if _sealed_by(work, seat.offer) == SEALED_BY_LENDER else AWAITING_ACK
    placement = _placement(seat, bid, figures, now, state)
    work.session.add(placement)
    work.session.flush()
    return placement


def _finish(work: Work, placement: Placement, card: Card, bid: BidTerms | None) -> None:
    if bid is None and len(card.cells) > 1:
        _freeze_rates(work, placement)
    if placement.state == AWAITING_KEYS:
        leases.order(work, placement)


def _sealed_by(work: Work, offer: Offer) -> str:
    return work.session.scalars(
        select(Portfolio.sealed_by).where(
            tenancy.of_lender(offer.lender_id, Portfolio), Portfolio.id == offer.portfolio_id
        )
    ).one()


def _placement(seat: Seat, bid: BidTerms | None, figures: Figures, now: dt.datetime, state: str) -> Placement:
    offer, (agreement, card, effective) = seat
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
        tier=agreement.tier,
        rate_card_version=None if bid else card.card.version,
        lowest_rate=bid.rate if bid else card.lowest_rate,
        highest_rate=bid.rate if bid else card.highest_rate,
        case_fee=bid.case_fee if bid else Decimal("0.00"),
        settlement_floor=effective.settlement_floor.value,
        tax_treatment=card.card.tax_treatment,
        tax_rate=card.card.tax_rate,
        contact_policy=effective.policy,
        term_levels=seat.terms.levels,
        tail_days=card.card.tail_days,
        agency_may_receive=card.card.agency_may_receive,
        currency=offer.currency,
        case_count=figures.case_count,
        held_count=figures.case_count,
        referred_amount=figures.balance,
        started_at=now,
        expires_at=now + dt.timedelta(days=agreement.term_days),
    )


def _number(work: Work, lender_id: UUID, case_ids: Sequence[UUID]) -> TableClause:
    """Of each case which placement of its life the next one is; one that was undone is none.

    Told before the first is placed: counted while they are, each would read all that was written before it, as long as
    PostgreSQL takes the table of placed cases for empty.
    """
    earlier = select(func.count()).where(
        PlacedCase.lender_id == Case.lender_id,
        PlacedCase.case_id == Case.id,
        PlacedCase.end_reason.is_distinct_from(UNDONE),
    )
    seq = earlier.correlate(Case).scalar_subquery() + 1
    given = bulk.make(work, {"case_id": "uuid", "placement_seq": "int"})
    these = select(Case.id, seq).where(tenancy.of_lender(lender_id, Case), bulk.among(Case.id, case_ids))
    work.session.execute(insert(given).from_select(["case_id", "placement_seq"], these))
    bulk.analyze(work, given)
    return given


def _placed(placement: Placement, seq: Any, rate: Any, now: dt.datetime) -> Select[*tuple[Any, ...]]:
    """The columns of PLACED_COLUMNS for cases that go to one placement."""
    where = (literal(placement.id), Case.id, literal(placement.agency_id))
    return select(Case.lender_id, *where, seq, Case.balance, rate, literal(now), null()).select_from(Case)


def _place_cases(work: Work, cases: Select[*tuple[Any, ...]]) -> None:
    try:
        work.session.execute(insert(PlacedCase).from_select(PLACED_COLUMNS, cases))
    except IntegrityError as refused:
        if isinstance(refused.orig, UniqueViolation):
            raise Conflict("case_placed_elsewhere") from None
        raise


def _only_rate(card: Card) -> Decimal | None:
    return card.cells[0].rate if len(card.cells) == 1 else None


def _rate_of_card(lender_id: UUID, card: Card, seq: Any) -> Any:
    """The rate of a `Case`."""
    only = _only_rate(card)
    return _rate_in_card(lender_id, card.card.id, Case, seq) if only is None else literal(only)


def _rate_in_card(lender_id: UUID, card_id: Any, of: Any, seq: Any) -> Any:
    """As models.rates.find_cell, in SQL: the most specific cell that fits `product`, `bucket` and `balance` of a row
    of the query around it."""
    found = select(RateCell.rate).where(
        tenancy.of_lender(lender_id, RateCell),
        RateCell.card_id == card_id,
        or_(RateCell.product.is_(None), RateCell.product == of.product),
        or_(RateCell.bucket.is_(None), RateCell.bucket == of.bucket),
        or_(RateCell.placement_seq.is_(None), RateCell.placement_seq == seq),
        or_(RateCell.payment_type.is_(None), RateCell.payment_type == PAYMENT),
        RateCell.amount_from <= of.balance,
        or_(RateCell.amount_below.is_(None), RateCell.amount_below > of.balance),
    )
    specific = (RateCell.product, RateCell.bucket, RateCell.placement_seq, RateCell.payment_type)
    return found.order_by(*(name.is_(None) for name in specific)).limit(1).correlate_except(RateCell).scalar_subquery()


def _freeze_rates(work: Work, placement: Placement) -> None:
    """The lowest and highest rate that its cases did get."""
    rates = select(func.min(PlacedCase.contingency_rate), func.max(PlacedCase.contingency_rate)).where(
        tenancy.of_lender(placement.lender_id, PlacedCase), PlacedCase.placement_id == placement.id
    )
    placement.lowest_rate, placement.highest_rate = work.session.execute(rates).one()
