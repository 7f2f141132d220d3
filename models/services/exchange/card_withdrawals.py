"""Withdrawing a rate card before its first day: asked by one person of the lender, approved by another.

Until then it is an approved card like any other. Once it has begun it stays: it says what placements earn.
"""

import datetime as dt
from uuid import UUID

from sqlalchemy import select

from models.business_day import day_of
from models.errors import Conflict
from models.rate_card import ACTIVE, TRANSITIONS, RateCard
from models.services import second_person, tenancy
from models.services.exchange import rate_cards
from models.services.exchange.rate_cards import Card
from models.services.oversight import audit
from models.states import step
from models.work import Work


def ask(work: Work, card_id: UUID) -> Card:
    """Conflict `rate_card_begun`; `rate_card_first` for the card that came with the agreement, which is ended instead;
    `withdrawal_stands` where somebody has asked already."""
    found = rate_cards.get(work, card_id)
    _, card = rate_cards.hold(work, found.card)
    step(TRANSITIONS, card.state, "withdraw")
    _require_to_come(work, card)
    if card.version == 1:
        raise Conflict("rate_card_first")
    if card.withdrawal_by is not None:
        raise Conflict("withdrawal_stands")
    card.withdrawal_by, card.withdrawal_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.RATE_CARD_WITHDRAWAL_ASK, rate_cards.subject_of(card))
    return found


def approve(work: Work, card_id: UUID) -> Card:
    """A second person: the card never begins, and the one that it would have ended goes on, to the next if any.

    Forbidden `second_person_needed`; Conflict `withdrawal_not_asked`, `rate_card_begun`.
    """
    found = rate_cards.get(work, card_id)
    agreement, card = rate_cards.hold(work, found.card)
    state = step(TRANSITIONS, card.state, "withdraw")
    _require_asked(card)
    second_person.require(work, card.withdrawal_by)
    _require_to_come(work, card)
    card.state = state
    work.session.flush()  # before the other goes on: the two must not overlap for a moment
    _let_go_on(work, card)
    audit.record(work, audit.Action.RATE_CARD_WITHDRAW, rate_cards.subject_of(card))
    rate_cards.tell(work, agreement, card, "rate_card.withdrawn")
    return found


def refuse(work: Work, card_id: UUID) -> Card:
    """A second person says no, or who asked takes it back: the card begins on its day."""
    found = rate_cards.get(work, card_id)
    _, card = rate_cards.hold(work, found.card)
    step(TRANSITIONS, card.state, "withdraw")
    _require_asked(card)
    card.withdrawal_by = card.withdrawal_at = None
    audit.record(work, audit.Action.RATE_CARD_WITHDRAWAL_REFUSE, rate_cards.subject_of(card))
    return found


def _let_go_on(work: Work, withdrawn: RateCard) -> None:
    """The card that the withdrawn one would have ended, to the day before the next."""
    of_agreement = select(RateCard).where(
        tenancy.own(work, RateCard), RateCard.agreement_id == withdrawn.agreement_id, RateCard.state == ACTIVE
    )
    before = work.session.scalar(of_agreement.where(RateCard.followed_by == withdrawn.id))
    if before is None:
        return
    later = of_agreement.where(RateCard.valid_from > withdrawn.valid_from).order_by(RateCard.valid_from)
    after = work.session.scalars(later.limit(1)).first()
    before.valid_to = after.valid_from - dt.timedelta(days=1) if after else None
    before.followed_by = after.id if after else None
    work.session.flush()


def _require_asked(card: RateCard) -> None:
    if card.withdrawal_by is None:
        raise Conflict("withdrawal_not_asked")


def _require_to_come(work: Work, card: RateCard) -> None:
    if card.valid_from <= day_of(work.now()):  # whoever holds the agreement may have held it over midnight
        raise Conflict("rate_card_begun")
