"""Standard terms of a lender: proposed, approved by a second person, and below them what an agreement says itself.

The most specific level that says something holds: every tier, then the agreement's tier, then the agreement.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from models import contact_policy
from models.agreement import Agreement
from models.errors import Invalid, NotFound, outside
from models.ids import new_id
from models.rate_card import RateCard
from models.services import second_person, tenancy
from models.services.oversight import audit
from models.standard_terms import ACTIVE, EVERY_TIER, PROPOSED, TRANSITIONS, StandardTerms
from models.states import step
from models.work import AGENCY, LENDER, Work

DEFAULT, LENDER_LEVEL, TIER_LEVEL, AGREEMENT_LEVEL = LEVELS = ("default", "lender", "tier", "agreement")
TIER_MAX: Final = 9
NOTHING_LESS: Final = Decimal(1)  # nobody settles for less than the balance unless somebody says so


class Said(NamedTuple):
    """A term and the level that says it."""

    value: Any
    level: str


class Effective(NamedTuple):
    """What a placement under an agreement would be bound by; names that are missing are left to the law."""

    contact_policy: dict[str, Said]
    settlement_floor: Said

    @property
    def policy(self) -> dict[str, Any]:
        return {name: said.value for name, said in self.contact_policy.items()}


def propose(work: Work, tier: int, policy: Mapping[str, Any], settlement_floor: Decimal | None) -> StandardTerms:
    """The next version for a tier, or for EVERY_TIER; it replaces the whole of the one before once it is approved."""
    assert work.actor.side == LENDER
    assert work.actor.member_id is not None
    floor = settlement_floor
    errors = [
        *outside("tier", tier, EVERY_TIER, TIER_MAX),
        *outside("settlement_floor", floor, Decimal(0), Decimal(1)),
        *contact_policy.faults(policy),
    ]
    if errors:
        raise Invalid(errors=errors)
    terms = StandardTerms(
        lender_id=work.tenant_id,
        id=new_id(),
        tier=tier,
        contact_policy=dict(policy),
        settlement_floor=settlement_floor,
        state=PROPOSED,
        proposed_by=work.actor.member_id,
        proposed_at=work.at,
    )
    work.session.add(terms)
    work.session.flush()
    audit.record(work, audit.Action.STANDARD_TERMS_PROPOSE, _subject(terms))
    return terms


def approve(work: Work, terms_id: UUID) -> StandardTerms:
    """A second person: from now on it holds for what is placed; what is placed keeps the terms frozen there."""
    terms = _lock(work, terms_id)
    state = step(TRANSITIONS, terms.state, "approve")
    second_person.require(work, terms.proposed_by)
    terms.state = state
    terms.decided_by, terms.decided_at = work.actor.member_id, work.now()
    audit.record(work, audit.Action.STANDARD_TERMS_APPROVE, _subject(terms))
    return terms


def refuse(work: Work, terms_id: UUID) -> StandardTerms:
    """A second person says no, or the proposer takes it back."""
    terms = _lock(work, terms_id)
    terms.state = step(TRANSITIONS, terms.state, "refuse")
    terms.decided_by, terms.decided_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.STANDARD_TERMS_REFUSE, _subject(terms))
    return terms


def get(work: Work, terms_id: UUID) -> StandardTerms:
    found = work.session.scalar(
        select(StandardTerms).where(tenancy.own(work, StandardTerms), StandardTerms.id == terms_id)
    )
    if found is None:
        raise NotFound
    return found


def list_proposed(work: Work) -> list[StandardTerms]:
    """Those that wait for a second person, oldest first."""
    query = select(StandardTerms).where(tenancy.own(work, StandardTerms), StandardTerms.state == PROPOSED)
    return list(work.session.scalars(query.order_by(StandardTerms.id)))


def list_in_force(work: Work) -> list[StandardTerms]:
    """The lender's, by tier."""
    return _in_force(work, work.tenant_id)


def effective(work: Work, agreement: Agreement, card: RateCard | None) -> Effective:
    """What a placement made now would freeze, and which level says it. Stands in the lender's tenant."""
    by_tier = {terms.tier: terms for terms in _in_force(work, agreement.lender_id)}
    levels = [
        (level, by_tier[tier])
        for level, tier in ((LENDER_LEVEL, EVERY_TIER), (TIER_LEVEL, agreement.tier))
        if tier in by_tier
    ]
    policies = [
        *((level, terms.contact_policy) for level, terms in levels),
        (AGREEMENT_LEVEL, agreement.contact_policy),
    ]
    floors = [
        (NOTHING_LESS, DEFAULT),
        *((terms.settlement_floor, level) for level, terms in levels),
        (card.settlement_floor if card else None, AGREEMENT_LEVEL),
    ]
    said = {name: Said(*found) for name, found in contact_policy.layered(policies).items()}
    return Effective(said, [Said(*floor) for floor in floors if floor[0] is not None][-1])


def explain(work: Work, agreement: Agreement, card: RateCard | None) -> Effective:
    """`effective` for either party: the agency, which it binds, learns what holds and from which level it comes."""
    if work.actor.side != AGENCY:
        return effective(work, agreement, card)
    with work.as_lender(agreement):
        return effective(work, agreement, card)


def _in_force(work: Work, lender_id: UUID) -> list[StandardTerms]:
    """Of each tier the one approved last."""
    return list(
        work.session.scalars(
            select(StandardTerms)
            .where(tenancy.of_lender(lender_id, StandardTerms), StandardTerms.state == ACTIVE)
            .ext(distinct_on(StandardTerms.tier))
            .order_by(StandardTerms.tier, StandardTerms.decided_at.desc(), StandardTerms.id.desc())
        )
    )


def _lock(work: Work, terms_id: UUID) -> StandardTerms:
    assert work.actor.side == LENDER
    terms = get(work, terms_id)
    work.session.refresh(terms, with_for_update=True)
    return terms


def _subject(terms: StandardTerms) -> dict[str, object]:
    return {
        "standard_terms": terms.id,
        "tier": terms.tier,
        "settlement_floor": terms.settlement_floor,
        **terms.contact_policy,
    }
