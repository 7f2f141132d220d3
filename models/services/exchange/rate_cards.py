"""Rate cards: proposed by one person of the lender, approved by another, and in force from their day on.

Whoever proposes or decides a card holds the agreement's row, so that its cards are decided one after another.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from psycopg.errors import ExclusionViolation
from sqlalchemy import Select, and_, func, or_, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError

from models.agreement import ACTIVE as AGREED
from models.agreement import PROPOSED as AGREEMENT_PROPOSED
from models.agreement import Agreement
from models.buckets import BUCKETS
from models.business_day import day_of
from models.errors import Conflict, Invalid, NotFound, RowError, outside
from models.ids import new_id
from models.rate_card import ACTIVE, INCLUSIVE, PROPOSED, TAX_TREATMENTS, TRANSITIONS, RateCard, RateCell
from models.rates import PAYMENT, Cell, Subject, faults, find_cell, is_complete
from models.services import bulk, notices, second_person, tenancy
from models.services.oversight import audit
from models.states import step
from models.work import AGENCY, LENDER, Work

TAIL_DAYS_MAX: Final = 90
TAX_RATE_MAX: Final = Decimal("0.999999")


class Terms(NamedTuple):
    """The money terms of an agreement from a day on; rates and shares are fractions."""

    cells: Sequence[Cell]
    valid_from: dt.date
    valid_to: dt.date | None = None
    tail_days: int = 0
    agency_may_receive: bool = False
    settlement_floor: Decimal | None = None  # as the lender's standard terms say
    tax_treatment: str = INCLUSIVE
    tax_rate: Decimal = Decimal(0)


class Found(NamedTuple):
    """A rate that was looked up, and on which card."""

    card: RateCard
    cell: Cell


class Card(NamedTuple):
    """A rate card with its cells in their order."""

    card: RateCard
    cells: list[RateCell]

    @property
    def id(self) -> UUID:
        return self.card.id

    @property
    def lowest_rate(self) -> Decimal:
        """Of those that a case may earn."""
        return min(self._earned())

    @property
    def highest_rate(self) -> Decimal:
        return max(self._earned())

    def _earned(self) -> list[Decimal]:
        return [cell.rate for cell in self.cells if cell.payment_type in (None, PAYMENT)]


def propose(work: Work, agreement_id: UUID, terms: Terms) -> Card:
    """The next version of a standing agreement's card, waiting for a second person.

    Invalid tells what is wrong with it; Conflict `rate_card_overlaps` where a card in force has days in common with it
    and is not simply the one it follows.
    """
    assert work.actor.side == LENDER
    agreement = _hold_agreement(work, agreement_id)
    if agreement.state != AGREED:
        raise Conflict("wrong_state", state=agreement.state, act="propose")
    if terms.valid_from < day_of(work.at):
        raise Invalid(errors=[RowError(0, "valid_from", "in_past")])
    _refuse_faulty(agreement, terms)
    if work.session.scalar(_in_the_way(work, agreement.id, terms.valid_from, terms.valid_to)):
        raise Conflict("rate_card_overlaps")
    versions = select(func.max(RateCard.version)).where(
        tenancy.own(work, RateCard), RateCard.agreement_id == agreement.id
    )
    return _add(work, agreement, terms, 1 + (work.session.scalar(versions) or 0))


def propose_first(work: Work, agreement: Agreement, terms: Terms) -> Card:
    """The card that comes with a new agreement and is decided with it."""
    _refuse_faulty(agreement, terms)
    return _add(work, agreement, terms, 1)


def approve(work: Work, card_id: UUID) -> Card:
    """A second person puts the card in force; the one that stood open ends on the day before it begins.

    Forbidden `second_person_needed`; Conflict `rate_card_overlaps`, or `rate_card_in_past` where it waited too long,
    or `rate_missing` where the agreement covers more by now than the card has rates for.
    """
    found = get(work, card_id)
    agreement, card = hold(work, found.card)
    state = step(TRANSITIONS, card.state, "approve")
    second_person.require(work, card.proposed_by)
    if agreement.state != AGREED:
        raise Conflict("agreement_not_in_force")
    if card.version > 1 and card.valid_from < day_of(work.at):
        raise Conflict("rate_card_in_past")
    if not is_complete(cells_of(found), agreement.products, agreement.buckets or BUCKETS):
        raise Conflict("rate_missing")
    for standing in work.session.scalars(_followed(work, agreement.id, card.valid_from)):
        standing.valid_to, standing.followed_by = card.valid_from - dt.timedelta(days=1), card.id
    work.session.flush()  # before the state changes: the two must not overlap for a moment
    card.state = state
    card.decided_by, card.decided_at = work.actor.member_id, work.at
    try:
        work.session.flush()
    except IntegrityError as refused:
        if isinstance(refused.orig, ExclusionViolation):
            raise Conflict("rate_card_overlaps") from None
        raise
    audit.record(work, audit.Action.RATE_CARD_APPROVE, subject_of(card))
    if card.version > 1:
        tell(work, agreement, card, "rate_card.approved")
    return found


def refuse(work: Work, card_id: UUID) -> Card:
    """A second person says no, or the proposer takes it back. An agreement's first card is refused with it."""
    found = get(work, card_id)
    agreement, card = hold(work, found.card)
    if agreement.state == AGREEMENT_PROPOSED:
        raise Conflict("wrong_state", state=agreement.state, act="refuse")
    card.state = step(TRANSITIONS, card.state, "refuse")
    card.decided_by, card.decided_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.RATE_CARD_REFUSE, subject_of(card))
    return found


def get(work: Work, card_id: UUID) -> Card:
    """NotFound also for an agency where the card is not in force yet."""
    found = work.session.scalar(select(RateCard).where(tenancy.own(work, RateCard), RateCard.id == card_id))
    if found is None or (work.actor.side == AGENCY and found.state != ACTIVE):
        raise NotFound
    return Card(found, _cells(work, found))


def list_of_agreement(work: Work, agreement_id: UUID) -> list[Card]:
    """Every version, the newest first; for an agency those that are or were in force."""
    query = select(RateCard).where(tenancy.own(work, RateCard), RateCard.agreement_id == agreement_id)
    if work.actor.side == AGENCY:
        query = query.where(RateCard.state == ACTIVE)
    return _with_cells(work, work.session.scalars(query.order_by(RateCard.version.desc())).all())


def has_rival(work: Work, card: RateCard) -> bool:
    """Of a proposal: that another one waits which, once approved, would be in its way."""
    waiting = _in_the_way(work, card.agreement_id, card.valid_from, card.valid_to, PROPOSED)
    return work.session.scalar(waiting.where(RateCard.id != card.id)) is not None


def list_standing(work: Work, agreement_id: UUID, on: dt.date) -> list[Card]:
    """Those in force on the day or later: what a change of the agreement must leave with a rate for everything."""
    query = select(RateCard).where(
        tenancy.own(work, RateCard),
        RateCard.agreement_id == agreement_id,
        RateCard.state == ACTIVE,
        or_(RateCard.valid_to.is_(None), RateCard.valid_to >= on),
    )
    return _with_cells(work, work.session.scalars(query.order_by(RateCard.valid_from)).all())


def list_newest(work: Work) -> dict[UUID, Card]:
    """By agreement: the card in force, else the last that was, else the newest (not for an agency)."""
    cards = work.session.scalars(
        select(RateCard)
        .where(tenancy.own(work, RateCard))
        .ext(distinct_on(RateCard.lender_id, RateCard.agreement_id))
        .order_by(
            RateCard.lender_id,
            RateCard.agreement_id,
            RateCard.state != ACTIVE,
            RateCard.valid_from > day_of(work.at),
            RateCard.version.desc(),
        )
    ).all()
    shown = [card for card in cards if work.actor.side != AGENCY or card.state == ACTIVE]
    return {found.card.agreement_id: found for found in _with_cells(work, shown)}


def find_in_force(work: Work, lender_id: UUID, agreement_id: UUID, on: dt.date) -> Card | None:
    """The card that says what a placement of this day earns; also for verbs that crossed into the lender's tenant."""
    card = work.session.scalar(
        select(RateCard).where(
            tenancy.of_lender(lender_id, RateCard),
            RateCard.agreement_id == agreement_id,
            RateCard.state == ACTIVE,
            RateCard.valid_from <= on,
            or_(RateCard.valid_to.is_(None), RateCard.valid_to >= on),
        )
    )
    return Card(card, _cells(work, card)) if card else None


def look_up(work: Work, agreement: Agreement, on: dt.date, subject: Subject) -> Found:
    """The rate that a case placed on a day would earn. Invalid `not_covered`, Conflict `no_rate_card_in_force`."""
    errors = [
        RowError(0, name, "not_covered")
        for name, covered in (("product", agreement.products), ("bucket", agreement.buckets))
        if covered and getattr(subject, name) not in covered
    ]
    if errors:
        raise Invalid(errors=errors)
    found = find_in_force(work, agreement.lender_id, agreement.id, on)
    cell = find_cell(cells_of(found), subject) if found else None
    if not (found and cell):
        raise Conflict("no_rate_card_in_force")
    return Found(found.card, cell)


def cells_of(card: Card) -> list[Cell]:
    """Its cells as values."""
    return [Cell(**{name: getattr(row, name) for name in Cell._fields}) for row in card.cells]


def _hold_agreement(work: Work, agreement_id: UUID) -> Agreement:
    """Wait for whoever changes the agreement or a card of it now, then read it as they left it."""
    work.session.flush()
    agreement = work.session.scalar(
        select(Agreement)
        .where(tenancy.own(work, Agreement), Agreement.id == agreement_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if agreement is None:
        raise NotFound
    return agreement


def hold(work: Work, card: RateCard) -> tuple[Agreement, RateCard]:
    """Its agreement and itself, as whoever changed them last left them."""
    assert work.actor.side == LENDER
    agreement = _hold_agreement(work, card.agreement_id)
    work.session.refresh(card, with_for_update=True)
    return agreement, card


def _followed(work: Work, agreement_id: UUID, valid_from: dt.date) -> Select[RateCard]:
    """The card without an end that a card from this day on follows."""
    return select(RateCard).where(
        tenancy.own(work, RateCard),
        RateCard.agreement_id == agreement_id,
        RateCard.state == ACTIVE,
        RateCard.valid_to.is_(None),
        RateCard.valid_from < valid_from,
    )


def _in_the_way(
    work: Work, agreement_id: UUID, valid_from: dt.date, valid_to: dt.date | None, state: str = ACTIVE
) -> Select[UUID]:
    """Cards in force on a day of these that would not give way, or would not once they were."""
    return select(RateCard.id).where(
        tenancy.own(work, RateCard),
        RateCard.agreement_id == agreement_id,
        RateCard.state == state,
        or_(RateCard.valid_to >= valid_from, and_(RateCard.valid_to.is_(None), RateCard.valid_from >= valid_from)),
        RateCard.valid_from <= valid_to if valid_to else true(),
    )


def _add(work: Work, agreement: Agreement, terms: Terms, version: int) -> Card:
    assert work.actor.member_id is not None
    card = RateCard(
        lender_id=work.tenant_id,
        id=new_id(),
        agency_id=agreement.agency_id,
        agreement_id=agreement.id,
        version=version,
        state=PROPOSED,
        proposed_by=work.actor.member_id,
        proposed_at=work.at,
        **{name: value for name, value in terms._asdict().items() if name != "cells"},
    )
    work.session.add(card)
    work.session.flush()
    cells = [
        RateCell(lender_id=card.lender_id, card_id=card.id, position=place, agency_id=card.agency_id, **cell._asdict())
        for place, cell in enumerate(terms.cells, start=1)
    ]
    work.session.add_all(cells)
    work.session.flush()
    audit.record(work, audit.Action.RATE_CARD_PROPOSE, subject_of(card))
    return Card(card, cells)


def tell(work: Work, agreement: Agreement, card: RateCard, kind: str) -> None:
    """Tell the agency what became of the card."""
    notices.tell(
        work,
        card.lender_id,
        card.agency_id,
        AGENCY,
        kind,
        "agreement",
        agreement.id,
        key=f"{kind}/{card.id}",
        number=agreement.number,
        version=card.version,
        valid_from=card.valid_from,
    )


def _with_cells(work: Work, cards: Sequence[RateCard]) -> list[Card]:
    cells: dict[UUID, list[RateCell]] = {card.id: [] for card in cards}
    query = select(RateCell).where(tenancy.own(work, RateCell), bulk.among(RateCell.card_id, list(cells)))
    for cell in work.session.scalars(query.order_by(RateCell.position)):
        cells[cell.card_id].append(cell)
    return [Card(card, cells[card.id]) for card in cards]


def _cells(work: Work, card: RateCard) -> list[RateCell]:
    query = select(RateCell).where(tenancy.of_lender(card.lender_id, RateCell), RateCell.card_id == card.id)
    return list(work.session.scalars(query.order_by(RateCell.position)))


def _refuse_faulty(agreement: Agreement, terms: Terms) -> None:
    errors = [
        *_faults(agreement, terms),
        *(faults(terms.cells, agreement.products, agreement.buckets or BUCKETS) if terms.cells else []),
    ]
    if errors:
        raise Invalid(errors=errors)


def _faults(agreement: Agreement, terms: Terms) -> list[RowError]:
    ends = terms.valid_to
    wrong = {
        ("valid_to", "dates_reversed"): ends is not None and ends < terms.valid_from,
        ("valid_to", "outside_agreement"): ends is not None and ends > agreement.ends_on,
        ("valid_from", "outside_agreement"): not agreement.starts_on <= terms.valid_from <= agreement.ends_on,
        ("tax_treatment", "unknown_value"): terms.tax_treatment not in TAX_TREATMENTS,
        ("cells", "required_missing"): not terms.cells,
    }
    return [
        *outside("tail_days", terms.tail_days, 0, TAIL_DAYS_MAX),
        *outside("settlement_floor", terms.settlement_floor, Decimal(0), Decimal(1)),
        *outside("tax_rate", terms.tax_rate, Decimal(0), TAX_RATE_MAX),
        *(RowError(0, field, code) for (field, code), told in wrong.items() if told),
    ]


def subject_of(card: RateCard) -> dict[str, object]:
    """What the log says of it."""
    return {
        "rate_card": card.id,
        "agreement": card.agreement_id,
        "agency": card.agency_id,
        "version": card.version,
        "valid_from": card.valid_from,
    }
