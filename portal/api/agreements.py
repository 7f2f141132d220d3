"""Agreements, rate cards and standard terms: proposed by one person of the lender, approved by another."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.agreement import Agreement
from models.business_day import day_of
from models.rates import PAYMENT, Subject
from models.services.exchange import agreements, card_withdrawals, rate_cards, standard_terms
from models.work import Work
from portal.access import open_work, permit
from portal.description import ONCE
from portal.requests import once
from portal.schemas import agreements as s
from portal.schemas.base import PageQuery, page, page_of, with_facts

blueprint = Blueprint("agreements-api", __name__, description="Agreements, rate cards, standard terms")


@blueprint.post("/agreements")
@permit("agreements.create")
@blueprint.arguments(s.AgreementRequest)
@blueprint.response(201, s.AgreementView)
@blueprint.doc(**ONCE)
def create_agreement(given: dict[str, Any]) -> Any:
    """Propose an agreement with an agency, named by its organisation code. A second person approves it."""
    code = given.pop("agency_code")
    with open_work() as work:
        return once(
            work,
            lambda: agreements.create(work, code, agreements.Terms(**given)),
            lambda agreement_id: agreements.get(work, agreement_id),
        )


@blueprint.get("/agreements")
@permit("agreements.read")
@blueprint.arguments(s.AgreementQuery, location="query")
@blueprint.response(200, page_of(s.AgreementView))
def list_agreements(given: dict[str, Any]) -> Any:
    """The agreements one's organisation is a party to, the newest first."""
    with open_work() as work:
        return page(agreements.find(work, **given), given["limit"])


@blueprint.get("/agency-list")
@permit("agreements.publish")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.EntrustedView))
def list_entrusted(query: dict[str, Any]) -> Any:
    """The lender's agencies, for publication: agreements in force, without those of agencies that it has removed."""
    with open_work() as work:
        return page(agreements.list_entrusted(work, **query), query["limit"])


@blueprint.get("/agreements/<uuid:agreement_id>")
@permit("agreements.read")
@blueprint.response(200, s.AgreementDetailView)
def read_agreement(agreement_id: UUID) -> Any:
    """One agreement, every rate card of it, and what would bind a placement made now."""
    with open_work() as work:
        agreement = agreements.get(work, agreement_id)
        return with_facts(s.AgreementView, agreement, **_facts(work, agreement))


@blueprint.post("/agreements/<uuid:agreement_id>/approve")
@permit("agreements.approve")
@blueprint.response(200, s.AgreementView)
def approve_agreement(agreement_id: UUID) -> Any:
    """A second person: the agreement stands, with its first rate card."""
    with open_work() as work:
        return agreements.approve(work, agreement_id)


@blueprint.post("/agreements/<uuid:agreement_id>/refuse")
@permit("agreements.approve")
@blueprint.response(200, s.AgreementView)
def refuse_agreement(agreement_id: UUID) -> Any:
    """The agreement never stands: a second person says no, or its maker takes it back."""
    with open_work() as work:
        return agreements.refuse(work, agreement_id)


@blueprint.post("/agreements/<uuid:agreement_id>/change")
@permit("agreements.create")
@blueprint.arguments(s.OperatingTerms(partial=True))
@blueprint.response(200, s.AgreementView)
def change_agreement(given: dict[str, Any], agreement_id: UUID) -> Any:
    """Change operating terms for what is placed next; only what is given changes."""
    with open_work() as work:
        return agreements.change(work, agreement_id, given)


@blueprint.post("/agreements/<uuid:agreement_id>/end")
@permit("agreements.create")
@blueprint.response(200, s.AgreementView)
def end_agreement(agreement_id: UUID) -> Any:
    """Place nothing new under it; what is placed runs on."""
    with open_work() as work:
        return agreements.end(work, agreement_id)


@blueprint.get("/agreements/<uuid:agreement_id>/rate")
@permit("agreements.read")
@blueprint.arguments(s.RateQuery, location="query")
@blueprint.response(200, s.FoundRateView)
def look_rate_up(given: dict[str, Any], agreement_id: UUID) -> Any:
    """What such a case would earn if it were placed today."""
    with open_work() as work:
        agreement = agreements.get(work, agreement_id)
        return rate_cards.look_up(work, agreement, day_of(work.at), Subject(**given, payment_type=PAYMENT))


@blueprint.get("/agreements/<uuid:agreement_id>/rate-cards")
@permit("agreements.read")
@blueprint.response(200, s.RateCardView(many=True))
def list_rate_cards(agreement_id: UUID) -> Any:
    """Every version, the newest first; an agency sees those that are or were in force."""
    with open_work() as work:
        return rate_cards.list_of_agreement(work, agreements.get(work, agreement_id).id)


@blueprint.post("/agreements/<uuid:agreement_id>/rate-cards")
@permit("agreements.create")
@blueprint.arguments(s.RateCardRequest)
@blueprint.response(201, s.RateCardView)
@blueprint.doc(**ONCE)
def propose_rate_card(given: dict[str, Any], agreement_id: UUID) -> Any:
    """The next version of the money terms, from a day on. A second person approves it."""
    with open_work() as work:
        return once(
            work,
            lambda: rate_cards.propose(work, agreement_id, rate_cards.Terms(**given)),
            lambda card_id: rate_cards.get(work, card_id),
        )


@blueprint.post("/rate-cards/<uuid:rate_card_id>/approve")
@permit("agreements.approve")
@blueprint.response(200, s.RateCardView)
def approve_rate_card(rate_card_id: UUID) -> Any:
    """A second person puts it in force; the card without an end before it ends on the day before."""
    with open_work() as work:
        return rate_cards.approve(work, rate_card_id)


@blueprint.post("/rate-cards/<uuid:rate_card_id>/refuse")
@permit("agreements.approve")
@blueprint.response(200, s.RateCardView)
def refuse_rate_card(rate_card_id: UUID) -> Any:
    """A second person says no, or its proposer takes it back."""
    with open_work() as work:
        return rate_cards.refuse(work, rate_card_id)


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal")
@permit("agreements.create")
@blueprint.response(200, s.RateCardView)
def ask_card_withdrawal(rate_card_id: UUID) -> Any:
    """Ask that an approved card never begins. A second person approves it, before the card's first day."""
    with open_work() as work:
        return card_withdrawals.ask(work, rate_card_id)


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal/approve")
@permit("agreements.approve")
@blueprint.response(200, s.RateCardView)
def approve_card_withdrawal(rate_card_id: UUID) -> Any:
    """A second person: the card never begins, and the one before it goes on."""
    with open_work() as work:
        return card_withdrawals.approve(work, rate_card_id)


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal/refuse")
@permit("agreements.approve")
@blueprint.response(200, s.RateCardView)
def refuse_card_withdrawal(rate_card_id: UUID) -> Any:
    """A second person says no, or whoever asked takes it back: the card begins on its day."""
    with open_work() as work:
        return card_withdrawals.refuse(work, rate_card_id)


@blueprint.get("/standard-terms")
@permit("standard_terms.read")
@blueprint.response(200, s.StandardTermsView(many=True))
def list_standard_terms() -> Any:
    """What holds where an agreement says nothing else, and what waits for a second person."""
    with open_work() as work:
        return [*standard_terms.list_in_force(work), *standard_terms.list_proposed(work)]


@blueprint.post("/standard-terms")
@permit("agreements.create")
@blueprint.arguments(s.StandardTermsRequest)
@blueprint.response(201, s.StandardTermsView)
@blueprint.doc(**ONCE)
def propose_standard_terms(given: dict[str, Any]) -> Any:
    """The next version for one tier, or for every tier. A second person approves it."""
    with open_work() as work:
        return once(
            work,
            lambda: standard_terms.propose(work, given["tier"], given["contact_policy"], given["settlement_floor"]),
            lambda terms_id: standard_terms.get(work, terms_id),
        )


@blueprint.post("/standard-terms/<uuid:standard_terms_id>/approve")
@permit("agreements.approve")
@blueprint.response(200, s.StandardTermsView)
def approve_standard_terms(standard_terms_id: UUID) -> Any:
    """A second person: it holds for what is placed from now on."""
    with open_work() as work:
        return standard_terms.approve(work, standard_terms_id)


@blueprint.post("/standard-terms/<uuid:standard_terms_id>/refuse")
@permit("agreements.approve")
@blueprint.response(200, s.StandardTermsView)
def refuse_standard_terms(standard_terms_id: UUID) -> Any:
    """A second person says no, or its proposer takes it back."""
    with open_work() as work:
        return standard_terms.refuse(work, standard_terms_id)


def _facts(work: Work, agreement: Agreement) -> dict[str, Any]:
    card = rate_cards.find_in_force(work, agreement.lender_id, agreement.id, day_of(work.at))
    return {
        "rate_cards": rate_cards.list_of_agreement(work, agreement.id),
        "effective": standard_terms.explain(work, agreement, card.card if card else None),
    }
