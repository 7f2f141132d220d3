"""Two people for what is money: whoever proposes something never approves it."""

from uuid import UUID

from models.errors import Forbidden
from models.work import LENDER, Work


def require(work: Work, first: UUID | None) -> None:
    """Forbidden `second_person_needed` for whoever made what is to be approved, and for a program of nobody."""
    assert work.actor.side == LENDER
    if may_not(work, first):
        raise Forbidden("second_person_needed")


def may_not(work: Work, first: UUID | None) -> bool:
    """Whether this actor is the first person, or nobody."""
    return work.actor.member_id is None or work.actor.member_id == first
