"""Allocations (分案): a portfolio's free cases divided over a panel by a plan, first as a preview, then placed at once.

A preview holds nothing: it says what would be. The commit draws the split again, under the turn that every way of
placing takes, and refuses unless each case goes to the same agency, at the same rate and on the same terms.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import select

from models.agreement import Agreement
from models.allocation import digest, figures, split
from models.allocation_plan import SEED_BYTES, Plan, faults, from_json, to_json
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Invalid, NotFound
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.offer import ACCEPTED, Offer
from models.placement import Placement
from models.services import (
    allocation_cases,
    audit,
    eligibility,
    notices,
    pages,
    placing,
    portfolios,
    rate_cards,
    scrub,
    second_person,
    standard_terms,
    tenancy,
    tenders,
    turns,
)
from models.services.allocation_cases import CameBack
from models.services.rate_cards import Card
from models.states import step
from models.tender import ALLOCATION, AWAITING_APPROVAL, PREVIEWED, TRANSITIONS, Tender
from models.work import AGENCY, LENDER, Work


class Drawn(NamedTuple):
    """A split, with what was known when it was drawn; `parts` as models.allocation.SPLIT."""

    plan: Plan
    panel: list[Agreement]
    parts: pl.DataFrame
    preview: dict[str, Any]
    digest: bytes

    @property
    def obstacles(self) -> dict[UUID, str]:
        """Agreement → the first reason why its part may not be placed; without those that have none."""
        agencies = self.preview["agencies"]
        return {UUID(one["agreement_id"]): one["reasons"][0] for one in agencies if one["reasons"]}


def preview(work: Work, portfolio_id: UUID, plan: Plan) -> Tender:
    """What the plan would come to, kept to be committed: figures and limit checks by agency, and what is left out.

    An empty seed is made. Invalid names rule, field and code; Conflict `no_cases_to_offer` where nothing is free.
    """
    assert work.actor.side == LENDER
    plan = plan if plan.seed else plan._replace(seed=secrets.token_bytes(SEED_BYTES))
    return propose(work, portfolio_id, draw(work, portfolio_id, plan))


def draw(work: Work, portfolio_id: UUID, plan: Plan, came_back: CameBack | None = None) -> Drawn:
    """The split of the portfolio's free cases as they are now, with each agency's limits checked."""
    assert work.actor.side != AGENCY
    panel = _require_sound(work, portfolios.get(work, portfolio_id).id, plan)
    cases = allocation_cases.read(work, portfolio_id, panel, plan.exclude_earlier, came_back)
    if cases.is_empty():
        raise Conflict("no_cases_to_offer")
    parts = split(cases, plan)
    told = figures(parts, plan)
    cards = {one.id: rate_cards.find_in_force(work, one.lender_id, one.id, day_of(work.at)) for one in panel}
    terms = {one.id: _terms(work, one, cards[one.id]) for one in panel}
    shown = {"agencies": _checked(work, panel, cards, told), "rules": told["rules"], "left_out": told["left_out"]}
    return Drawn(plan, panel, parts, shown, digest(parts, plan.panel, terms))


def propose(work: Work, portfolio_id: UUID, drawn: Drawn, came_back: CameBack | None = None) -> Tender:
    """Keep a split as a preview."""
    placed = drawn.parts.drop_nulls("seat")
    tender = Tender(
        lender_id=work.tenant_id,
        id=new_id(),
        portfolio_id=portfolio_id,
        kind=ALLOCATION,
        state=PREVIEWED,
        currency=drawn.panel[0].currency,
        case_count=placed.height,
        borrower_count=placed["borrower_id"].n_unique(),
        balance=placed["balance"].sum() or Decimal("0.00"),
        scrubbed=scrub.count(work, portfolio_id),
        rules=to_json(drawn.plan) | _came_back_json(came_back),
        preview=drawn.preview,
        preview_digest=drawn.digest,
        created_by=work.actor.member_id,
        created_at=work.at,
    )
    work.session.add(tender)
    work.session.flush()
    subject = {"tender": tender.id, "kind": ALLOCATION, "cases": tender.case_count, "digest": drawn.digest.hex()}
    audit.record(work, audit.Action.TENDER_CREATE, subject)
    return tender


def commit(work: Work, tender_id: UUID) -> Tender:
    """Place every case as previewed, with all agencies at once, or none of them.

    Above the lender's limit whoever made the preview only asks, and a second person commits: `awaiting_approval`.
    Conflict `preview_outdated` where anything would come out otherwise now; else by an agency's first reason.
    """
    assert work.actor.side == LENDER
    tender = get(work, tender_id)
    turns.take(work, "offers")
    tender = tenders.lock(work, work.tenant_id, tender.id)
    step(TRANSITIONS, tender.state, "commit")
    drawn = draw(work, tender.portfolio_id, from_json(tender.rules), _came_back(tender.rules))
    if drawn.digest != tender.preview_digest:
        raise Conflict("preview_outdated")
    return settle(work, tender, drawn)


def settle(work: Work, tender: Tender, drawn: Drawn) -> Tender:
    """Place a locked tender's split, drawn under the turn at offers, or wait for a second person."""
    if not tender.case_count:
        raise Conflict("no_cases_to_place")
    many = tender.state == AWAITING_APPROVAL or tenders.needs_approval(work, tender.case_count, tender.created_by)
    if many and tender.state == PREVIEWED and second_person.may_not(work, tender.created_by):
        tender.state = step(TRANSITIONS, tender.state, "ask_approval")
        audit.record(work, audit.Action.TENDER_COMMIT, {"tender": tender.id, "state": AWAITING_APPROVAL})
        return tender
    if many:
        second_person.require(work, tender.created_by)
        tender.approved_by, tender.approved_at = work.actor.member_id, work.at
    _require_eligible(work, drawn)
    now = work.now()
    placements = _place(work, tender, drawn, now)
    tenders.close(work, tender, "commit", now)
    _tell(work, tender, placements)
    return tender


def withdraw(work: Work, tender_id: UUID) -> Tender:
    """Drop what has not been committed; Unavailable `busy` while somebody commits something large."""
    tender = get(work, tender_id)
    turns.take(work, "offers")
    return tenders.withdraw(work, tender.id)


def get(work: Work, tender_id: UUID) -> Tender:
    """NotFound for a tender that is no allocation."""
    tender = tenders.get(work, tender_id)
    if tender.kind != ALLOCATION:
        raise NotFound
    return tender


def list_own(work: Work, after: UUID | None = None, limit: int = 50, state: str | None = None) -> list[Tender]:
    """Newest first."""
    query = select(Tender).where(tenancy.own(work, Tender), Tender.kind == ALLOCATION)
    if state is not None:
        query = query.where(Tender.state == state)
    return list(work.session.scalars(pages.newest(query, Tender.id, after, limit)))


def list_products(work: Work, portfolio_id: UUID) -> list[str]:
    """Those that its cases have: what a rule may name."""
    products = select(Case.product).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
    return list(work.session.scalars(products.distinct().order_by(Case.product)))


def _require_sound(work: Work, portfolio_id: UUID, plan: Plan) -> list[Agreement]:
    """The plan's agreements in the order of its panel; Invalid with everything that is wrong with it."""
    named = select(Agreement).where(tenancy.own(work, Agreement), Agreement.id.in_(plan.panel))
    known = {agreement.id: agreement for agreement in work.session.scalars(named)}
    currencies = {agreement.id: agreement.currency for agreement in known.values()}
    if errors := faults(plan, currencies, list_products(work, portfolio_id)):
        raise Invalid(errors=errors)
    return [known[agreement_id] for agreement_id in plan.panel]


def _terms(work: Work, agreement: Agreement, card: Card | None) -> list[Any]:
    """What a placement would freeze beside each case's rate, for the digest; a version of a card never changes."""
    effective = standard_terms.effective(work, agreement, card.card if card else None)
    own = [agreement.number, agreement.tier, agreement.term_days, card.card.version if card else 0]
    return [*own, str(effective.settlement_floor.value), effective.policy]


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


def _require_eligible(work: Work, drawn: Drawn) -> None:
    """Under every agency's turn: what was drawn a moment ago is asked again. Conflict names the agreement."""
    eligibility.take_turns(work, work.tenant_id, [agreement.agency_id for agreement in drawn.panel])
    for agreement in drawn.panel:
        work.session.refresh(agreement, with_for_update={"read": True})
    counts = {one["agreement_id"]: one for one in drawn.preview["agencies"]}
    cards = {one.id: rate_cards.find_in_force(work, one.lender_id, one.id, day_of(work.now())) for one in drawn.panel}
    told = {"seats": list(counts.values()), "follows": []}
    for one in _checked(work, drawn.panel, cards, told):
        if one["reasons"]:
            raise Conflict(one["reasons"][0], reasons=one["reasons"], agreement=one["agreement_number"])


def _place(work: Work, tender: Tender, drawn: Drawn, now: dt.datetime) -> list[Placement]:
    """One accepted offer and one placement for each agency that gets anything."""
    placed = drawn.parts.drop_nulls("seat")
    offers = {
        seat: _accepted(tender, drawn.panel[seat], placed.filter(pl.col("seat") == seat), now)
        for seat in sorted(placed["seat"].unique())
    }
    work.session.add_all(offers.values())
    work.session.flush()
    seats = {seat: (offer, drawn.panel[seat]) for seat, offer in offers.items()}
    return placing.place_many(work, placed.select("case_id", "balance", "seat"), seats, now)


def _accepted(tender: Tender, agreement: Agreement, part: pl.DataFrame, now: dt.datetime) -> Offer:
    """Nobody is asked, so nothing is shown: the agency sees its placement."""
    return Offer(
        lender_id=tender.lender_id,
        id=new_id(),
        agency_id=agreement.agency_id,
        agreement_id=agreement.id,
        tender_id=tender.id,
        portfolio_id=tender.portfolio_id,
        kind=ALLOCATION,
        state=ACCEPTED,
        currency=tender.currency,
        case_count=part.height,
        borrower_count=part["borrower_id"].n_unique(),
        balance=part["balance"].sum(),
        strata={"k": 0, "currencies": []},
        terms={},
        created_at=now,
        expires_at=now,
        decided_at=now,
    )


def _tell(work: Work, tender: Tender, placements: Sequence[Placement]) -> None:
    placed = [{"placement": one.id, "agency": one.agency_id, "cases": one.case_count} for one in placements]
    digest_hex = (tender.preview_digest or b"").hex()
    audit.record(work, audit.Action.TENDER_COMMIT, {"tender": tender.id, "digest": digest_hex, "placements": placed})
    for one in placements:
        notices.tell(
            work,
            one.lender_id,
            one.agency_id,
            TO_AGENCY,
            "placement.allocated",
            "placement",
            one.id,
            cases=one.case_count,
            amount=one.referred_amount,
            currency=one.currency,
        )


def _came_back_json(came_back: CameBack | None) -> dict[str, Any]:
    if came_back is None:
        return {}
    return {"came_back": [came_back.tier, came_back.since.isoformat(), came_back.until.isoformat()]}


def _came_back(rules: Mapping[str, Any]) -> CameBack | None:
    if "came_back" not in rules:
        return None
    tier, since, until = rules["came_back"]
    return CameBack(tier, dt.datetime.fromisoformat(since), dt.datetime.fromisoformat(until))
