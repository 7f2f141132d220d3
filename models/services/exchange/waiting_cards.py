"""Rate cards that wait for a second person: to be approved, or to be withdrawn. What nobody can do any more waits no
longer, and says why."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, not_, or_, select
from sqlalchemy.orm import aliased

from models.agreement import ACTIVE as AGREED
from models.agreement import Agreement
from models.business_day import day_of
from models.rate_card import ACTIVE, PROPOSED, RateCard
from models.services import tenancy
from models.work import LENDER, Work


def list_own(work: Work) -> list[RateCard]:
    """Those that a second person can approve or withdraw, beside an agreement that stands; oldest first."""
    assert work.actor.side == LENDER
    return list(
        work.session.scalars(
            select(RateCard)
            .join(Agreement, and_(Agreement.lender_id == RateCard.lender_id, Agreement.id == RateCard.agreement_id))
            .where(tenancy.own(work, RateCard), tenancy.own(work, Agreement), waits(work), Agreement.state == AGREED)
            .order_by(RateCard.id)
        )
    )


def find_obstacles(work: Work, agreement_id: UUID) -> dict[UUID, str]:
    """By proposal of a standing agreement: the code with which `rate_cards.approve` would refuse it now to anybody."""
    rows = work.session.execute(
        select(
            RateCard.id, case((_is_late(work), "rate_card_in_past"), else_="rate_card_overlaps").label("code")
        ).where(
            tenancy.own(work, RateCard),
            RateCard.agreement_id == agreement_id,
            RateCard.state == PROPOSED,
            or_(_is_late(work), _overlaps(work)),
        )
    )
    return {row.id: row.code for row in rows}


def waits(work: Work) -> ColumnElement[bool]:
    """Of cards beside an agreement that stands: that a second person still can approve or withdraw it."""
    proposed = and_(RateCard.state == PROPOSED, not_(_is_late(work)), not_(_overlaps(work)))
    to_come = and_(RateCard.state == ACTIVE, RateCard.valid_from > day_of(work.at))
    return or_(proposed, and_(to_come, RateCard.withdrawal_by.is_not(None)))


def _is_late(work: Work) -> ColumnElement[bool]:
    return RateCard.valid_from < day_of(work.at)


def _overlaps(work: Work) -> ColumnElement[bool]:
    """That a card in force has days in common with it and is not simply the one it follows."""
    other: Any = aliased(RateCard)
    return exists().where(
        tenancy.own(work, other),
        other.agreement_id == RateCard.agreement_id,
        other.state == ACTIVE,
        or_(
            other.valid_to >= RateCard.valid_from,
            and_(other.valid_to.is_(None), other.valid_from >= RateCard.valid_from),
        ),
        or_(RateCard.valid_to.is_(None), other.valid_from <= RateCard.valid_to),
    )
