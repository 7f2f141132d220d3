"""What a plan of an allocation comes to now: who would get what, whether they may, and on which terms."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import select

from models.agreement import Agreement
from models.allocation import digest, figures, split, unpack
from models.allocation_plan import Plan, faults, from_json
from models.business_day import day_of
from models.errors import Conflict, Invalid
from models.rate_card import RateCard
from models.services import tenancy
from models.services.exchange import allocation_cases, eligibility, frozen_terms, rate_cards, standard_terms
from models.services.exchange.allocation_cases import CameBack
from models.services.exchange.rate_cards import Card
from models.services.exchange.standard_terms import Effective
from models.services.job_runs import Report, quietly
from models.services.portfolio import portfolios
from models.tender import Tender
from models.work import AGENCY, Work

READ, SPLIT, CHECKED, WRITTEN = 25, 40, 50, 95  # how far a commit is then, in per cent


class Drawn(NamedTuple):
    """A split, with what was known at the moment when it was drawn; `parts` are all cases that were free, in order of
    id, with the seat of each and the rule that gave it."""

    at: dt.datetime
    plan: Plan
    panel: list[Agreement]
    cards: Mapping[UUID, Card | None]  # by agreement, like the next
    effective: Mapping[UUID, Effective]
    parts: pl.DataFrame
    preview: dict[str, Any]
    digest: bytes

    @property
    def obstacles(self) -> dict[UUID, str]:
        """Agreement → the first reason why its part may not be placed; without those that have none."""
        agencies = self.preview["agencies"]
        return {UUID(one["agreement_id"]): one["reasons"][0] for one in agencies if one["reasons"]}


def draw(
    work: Work, portfolio_id: UUID, plan: Plan, came_back: CameBack | None = None, report: Report = quietly
) -> Drawn:
    """The split of the portfolio's free cases as they are now, with each agency's limits checked."""
    return _draw(work, require_sound(work, portfolio_id, plan), portfolio_id, plan, came_back, report)


def draw_to_place(
    work: Work, portfolio_id: UUID, plan: Plan, came_back: CameBack | None = None, report: Report = quietly
) -> Drawn:
    """`draw` for whoever holds the turn at offers and places it in this transaction."""
    panel, at = _hold(work, portfolio_id, plan)
    return _draw(replace(work, at=at), panel, portfolio_id, plan, came_back, report)


def draw_again(work: Work, tender: Tender, report: Report = quietly) -> Drawn:
    """What `draw_to_place` would draw by a tender's preview, without drawing: all that it was drawn from is as it was.

    Conflict `preview_outdated` otherwise, `no_cases_to_offer` where nothing is free any more.
    """
    plan, came_back = from_json(tender.rules), CameBack.from_json(tender.rules)
    panel, at = _hold(work, tender.portfolio_id, plan)
    now = replace(work, at=at)
    cases = _cases(now, tender.portfolio_id, panel, plan, came_back)
    report(READ)
    cards, effective, terms = _terms(now, panel)
    kept = unpack(tender.preview_seats) if tender.preview_seats else None
    if kept is None or cases.height != kept.height:
        raise Conflict("preview_outdated")
    parts = cases.hstack(kept)
    if digest(cases, parts["seat"], plan.panel, terms) != tender.preview_digest:
        raise Conflict("preview_outdated")
    assert tender.preview is not None
    shown = {"agencies": _checked(now, panel, cards, {"seats": tender.preview["agencies"], "follows": []})}
    return Drawn(at, plan, panel, cards, effective, parts, shown, tender.preview_digest)


def _hold(work: Work, portfolio_id: UUID, plan: Plan) -> tuple[list[Agreement], dt.datetime]:
    """The panel, and the moment that counts: the agencies' turns and the agreements are waited for first, and nobody
    else changes them until the end; the moment is the one after the wait."""
    panel = require_sound(work, portfolio_id, plan)
    eligibility.take_turns(work, work.tenant_id, [agreement.agency_id for agreement in panel])
    for agreement in panel:
        work.session.refresh(agreement, with_for_update={"read": True})
    return panel, work.now()


def _draw(
    work: Work,
    panel: list[Agreement],
    portfolio_id: UUID,
    plan: Plan,
    came_back: CameBack | None,
    report: Report,
) -> Drawn:
    cases = _cases(work, portfolio_id, panel, plan, came_back)
    report(READ)
    parts = split(cases, plan)
    report(SPLIT)
    told = figures(parts, plan)
    cards, effective, terms = _terms(work, panel)
    shown = {"agencies": _checked(work, panel, cards, told), "rules": told["rules"], "left_out": told["left_out"]}
    seen = digest(cases, parts["seat"], plan.panel, terms)
    return Drawn(work.at, plan, panel, cards, effective, parts, shown, seen)


def _cases(
    work: Work, portfolio_id: UUID, panel: list[Agreement], plan: Plan, came_back: CameBack | None
) -> pl.DataFrame:
    assert work.actor.side != AGENCY
    cases = allocation_cases.read(work, portfolio_id, panel, plan.exclude_earlier, came_back)
    if cases.is_empty():
        raise Conflict("no_cases_to_offer")
    return cases


def require_eligible(drawn: Drawn) -> None:
    """Conflict by the first agency's first reason; it names the agreement."""
    for one in drawn.preview["agencies"]:
        if one["reasons"]:
            raise Conflict(one["reasons"][0], reasons=one["reasons"], agreement=one["agreement_number"])


def list_products(work: Work, portfolio_id: UUID) -> list[str]:
    """Those that its cases have: what a rule may name."""
    return portfolios.get(work, portfolio_id).products


def require_sound(work: Work, portfolio_id: UUID, plan: Plan) -> list[Agreement]:
    """The plan's agreements in the order of its panel; Invalid with everything that is wrong with it.

    NotFound for a portfolio that is not ours.
    """
    portfolios.get(work, portfolio_id)
    named = select(Agreement).where(tenancy.own(work, Agreement), Agreement.id.in_(plan.panel))
    known = {agreement.id: agreement for agreement in work.session.scalars(named)}
    currencies = {agreement.id: agreement.currency for agreement in known.values()}
    if errors := faults(plan, currencies, list_products(work, portfolio_id)):
        raise Invalid(errors=errors)
    return [known[agreement_id] for agreement_id in plan.panel]


def _row(card: Card | None) -> RateCard | None:
    return card.card if card else None


def _terms(
    work: Work, panel: list[Agreement]
) -> tuple[dict[UUID, Card | None], dict[UUID, Effective], dict[UUID, list[Any]]]:
    """By agreement: the card in force, the terms in force, and both as the digest takes them."""
    cards = {one.id: rate_cards.find_in_force(work, one.lender_id, one.id, day_of(work.at)) for one in panel}
    effective = {one.id: standard_terms.effective(work, one, _row(cards[one.id])) for one in panel}
    return cards, effective, {one.id: frozen_terms.frozen(one, cards[one.id], effective[one.id]) for one in panel}


def _checked(
    work: Work, panel: Sequence[Agreement], cards: Mapping[UUID, Card | None], told: dict[str, Any]
) -> list[dict[str, Any]]:
    """What each agency would get, what it may get, and the gate's reasons; capacity is the agency's as a whole."""
    parts = {one["agreement_id"]: one for one in told["seats"]}
    follows = {one["agreement_id"]: one for one in told["follows"]}
    nothing = {"households": 0, "cases": 0, "amount": "0.00"}
    of_agency: dict[UUID, int] = {}
    for agreement in panel:
        cases = parts.get(str(agreement.id), nothing)["cases"]
        of_agency[agreement.agency_id] = of_agency.get(agreement.agency_id, 0) + cases
    checked = []
    for candidate in eligibility.assess(work, work.tenant_id, panel, work.at):
        agreement, left = candidate.agreement, candidate.capacity_left
        card = cards[agreement.id]
        full = left is not None and left < of_agency[agreement.agency_id]
        capacity = ["capacity_exceeded"] if full and "capacity_exceeded" not in candidate.reasons else []
        checked.append(
            nothing
            | parts.get(str(agreement.id), {})
            | {
                "agreement_id": str(agreement.id),
                "agreement_number": agreement.number,
                "agency_id": str(agreement.agency_id),
                "agency_name": agreement.agency_name,
                "tier": agreement.tier,
                "follows": {name: follows.get(str(agreement.id), nothing)[name] for name in nothing},
                "capacity_left": left,
                "reasons": [*candidate.reasons, *capacity] if of_agency[agreement.agency_id] else [],
                "rate_card_version": card.card.version if card else None,
                "lowest_rate": str(card.lowest_rate) if card else None,
                "highest_rate": str(card.highest_rate) if card else None,
            }
        )
    return checked
