"""Agreements on their pages: what was agreed, what it earns, what waits for a second person; and the standard terms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _

from models.agreement import ACTIVE, PROPOSED, Agreement
from models.buckets import BUCKETS
from models.business_day import day_of
from models.contact_policy import FLAGS
from models.contact_policy import RANGES as POLICY_RANGES
from models.errors import Invalid, Refusal
from models.provinces import PROVINCES
from models.rate_card import TAX_TREATMENTS
from models.rates import PAYMENT, PAYMENT_TYPES, Subject
from models.services import second_person
from models.services.exchange import agreements, answering, card_withdrawals, rate_cards, standard_terms, waiting_cards
from models.services.exchange.standard_terms import TIER_MAX
from models.services.parties import members
from models.work import LENDER, Work
from portal.access import open_work, permit
from portal.schemas.agreement_forms import (
    CELL_COLUMNS,
    POLICY_NAMES,
    AgreementForm,
    OperatingForm,
    RateCardForm,
    RateForm,
    StandardTermsForm,
    by_row,
    cell_rows,
    nested,
    typed,
)
from portal.schemas.forms import require
from portal.web.forms import MENDABLE, NAMING, Answer, Page, show

blueprint = Blueprint("agreements", __name__)

SPARE_ROWS = 4  # empty rows of rates below those filled in
# What the gate says that the page tells of itself; and what is mended on this page, not among the agency's papers.
SAID_ABOVE = {"agreement_not_in_force"}
OWN_TERMS = {"processing_agreement_missing", "impact_assessment_missing", "no_rate_card_in_force", "capacity_exceeded"}
CHOICES = {
    "buckets": BUCKETS,
    "provinces": PROVINCES,
    "payment_types": PAYMENT_TYPES,
    "tax_treatments": TAX_TREATMENTS,
    "policy_ranges": POLICY_RANGES,
    "policy_flags": FLAGS,
}


@blueprint.get("/agreements/new")
@permit("agreements.create")
def new() -> Page:
    with open_work() as work:
        today = day_of(work.at)
    usual = {
        "currency": "CNY",
        "tier": "1",
        "term_days": "90",
        "tail_days": "15",
        "starts_on": today.isoformat(),
        "ends_on": today.replace(year=today.year + 1, day=min(today.day, 28)).isoformat(),
    }
    return _new(usual, [])


@blueprint.post("/agreements")
@permit("agreements.create")
def create() -> Answer:
    try:
        given = require(AgreementForm(), nested(request.form))
        with open_work() as work:
            made = agreements.create(work, given.pop("agency_code"), agreements.Terms(**given))
    except NAMING as refusal:
        return _new(_entered(), cell_rows(request.form), refusal)
    flash(
        _("Agreement %(number)s is proposed. It stands once a second person approves it.", number=made.number), "good"
    )
    return redirect(url_for("agreements.show_one", agreement_id=made.id))


@blueprint.get("/agreements/<uuid:agreement_id>")
@permit("agreements.read")
def show_one(agreement_id: UUID) -> Page:
    names = ("product", "bucket", "placement_seq", "amount")
    asked = {name: request.args[name] for name in names if name in request.args}
    with open_work() as work:
        agreement = agreements.get(work, agreement_id)
        shown = _shown(work, agreement)
        try:
            found = rate_cards.look_up(work, agreement, day_of(work.at), _subject(asked)) if asked else None
        except MENDABLE as refusal:
            return show("agreements/show.html", asked, refusal, found=None, **shown)
    return show("agreements/show.html", asked, found=found, **shown)


@blueprint.post("/agreements/<uuid:agreement_id>/approve")
@permit("agreements.approve")
def approve(agreement_id: UUID) -> Answer:
    return _decide(agreements.approve, agreement_id, _("The agreement stands, with its first rate card."))


@blueprint.post("/agreements/<uuid:agreement_id>/refuse")
@permit("agreements.approve")
def refuse(agreement_id: UUID) -> Answer:
    return _decide(agreements.refuse, agreement_id, _("The agreement is refused. Nothing is placed under it."))


@blueprint.post("/agreements/<uuid:agreement_id>/end")
@permit("agreements.create")
def end(agreement_id: UUID) -> Answer:
    return _decide(agreements.end, agreement_id, _("Ended. Nothing new is placed; what is placed runs on."))


@blueprint.get("/agreements/<uuid:agreement_id>/change")
@permit("agreements.create")
def change_form(agreement_id: UUID) -> Page:
    with open_work() as work:
        agreement = agreements.get(work, agreement_id)
    stands = {name: getattr(agreement, name) for name in agreements.OPERATING}
    policy = _flat(stands.pop("contact_policy"))
    return _change(agreement_id, typed(stands) | policy | {"products": "、".join(agreement.products)})


@blueprint.post("/agreements/<uuid:agreement_id>/change")
@permit("agreements.create")
def change(agreement_id: UUID) -> Answer:
    try:
        given = require(OperatingForm(), nested(request.form))
        with open_work() as work:
            agreements.change(work, agreement_id, given)
    except MENDABLE as refusal:
        return _change(agreement_id, _entered(), refusal)
    flash(_("Changed for what is placed from now on. The log has each term as it was and as it is."), "good")
    return redirect(url_for("agreements.show_one", agreement_id=agreement_id))


@blueprint.get("/agreements/<uuid:agreement_id>/rate-cards/new")
@permit("agreements.create")
def new_rate_card(agreement_id: UUID) -> Page:
    """Filled in with the newest card, of which most changes are small ones."""
    with open_work() as work:
        (newest, *_rest) = rate_cards.list_of_agreement(work, agreements.get(work, agreement_id).id)
        today = day_of(work.at)
    names = ("tail_days", "agency_may_receive", "settlement_floor", "tax_treatment", "tax_rate")
    terms = typed({name: getattr(newest.card, name) for name in names}, ("settlement_floor", "tax_rate"))
    rows = [typed(cell._asdict(), ("rate",)) for cell in rate_cards.cells_of(newest)]
    return _rate_card(agreement_id, terms | {"valid_from": today.isoformat()}, rows)


@blueprint.post("/agreements/<uuid:agreement_id>/rate-cards")
@permit("agreements.create")
def propose_rate_card(agreement_id: UUID) -> Answer:
    try:
        given = require(RateCardForm(), nested(request.form))
        with open_work() as work:
            made = rate_cards.propose(work, agreement_id, rate_cards.Terms(**given))
            has_rival = rate_cards.has_rival(work, made.card)
    except MENDABLE as refusal:
        return _rate_card(agreement_id, request.form, cell_rows(request.form), refusal)
    flash(_("Version %(version)s is proposed. A second person approves it.", version=made.card.version), "good")
    if has_rival:
        flash(_("Another proposal has days in common with it: once one is approved, the other may not be."), "watch")
    return redirect(url_for("agreements.show_one", agreement_id=agreement_id))


@blueprint.post("/rate-cards/<uuid:rate_card_id>/approve")
@permit("agreements.approve")
def approve_rate_card(rate_card_id: UUID) -> Answer:
    return _decide_card(rate_cards.approve, rate_card_id, _("The rate card is approved."))


@blueprint.post("/rate-cards/<uuid:rate_card_id>/refuse")
@permit("agreements.approve")
def refuse_rate_card(rate_card_id: UUID) -> Answer:
    return _decide_card(rate_cards.refuse, rate_card_id, _("The rate card is refused."))


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal")
@permit("agreements.create")
def ask_card_withdrawal(rate_card_id: UUID) -> Answer:
    return _decide_card(card_withdrawals.ask, rate_card_id, _("Asked for. A second person withdraws the card."))


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal/approve")
@permit("agreements.approve")
def approve_card_withdrawal(rate_card_id: UUID) -> Answer:
    return _decide_card(card_withdrawals.approve, rate_card_id, _("The rate card is withdrawn."))


@blueprint.post("/rate-cards/<uuid:rate_card_id>/withdrawal/refuse")
@permit("agreements.approve")
def refuse_card_withdrawal(rate_card_id: UUID) -> Answer:
    return _decide_card(card_withdrawals.refuse, rate_card_id, _("The rate card begins on its day."))


@blueprint.get("/standard-terms")
@permit("standard_terms.read")
def standards() -> Page:
    return _standards({"tier": request.args.get("tier", "0")})


@blueprint.post("/standard-terms")
@permit("agreements.create")
def propose_standards() -> Answer:
    try:
        given = require(StandardTermsForm(), nested(request.form))
        with open_work() as work:
            standard_terms.propose(work, given["tier"], given["contact_policy"], given["settlement_floor"])
    except MENDABLE as refusal:
        return _standards(request.form, refusal)
    flash(_("Proposed. A second person approves it."), "good")
    return redirect(url_for("agreements.standards"))


@blueprint.post("/standard-terms/<uuid:standard_terms_id>/approve")
@permit("agreements.approve")
def approve_standards(standard_terms_id: UUID) -> Answer:
    return _decide_standards(standard_terms.approve, standard_terms_id, _("Approved for what is placed from now on."))


@blueprint.post("/standard-terms/<uuid:standard_terms_id>/refuse")
@permit("agreements.approve")
def refuse_standards(standard_terms_id: UUID) -> Answer:
    return _decide_standards(standard_terms.refuse, standard_terms_id, _("Refused. What stood before holds."))


def _decide(verb: Callable[[Work, UUID], object], agreement_id: UUID, told: str) -> Answer:
    try:
        with open_work() as work:
            verb(work, agreement_id)
    except MENDABLE as refusal:
        return _refused(agreement_id, refusal)
    flash(told, "good")
    return redirect(url_for("agreements.show_one", agreement_id=agreement_id))


def _decide_card(verb: Callable[[Work, UUID], rate_cards.Card], card_id: UUID, told: str) -> Answer:
    with open_work() as work:
        agreement_id = rate_cards.get(work, card_id).card.agreement_id
    return _decide(lambda work, _agreement_id: verb(work, card_id), agreement_id, told)


def _refused(agreement_id: UUID, refusal: Refusal) -> Page:
    with open_work() as work:
        shown = _shown(work, agreements.get(work, agreement_id))
    return show("agreements/show.html", {}, refusal, found=None, **shown)


def _decide_standards(verb: Callable[[Work, UUID], object], terms_id: UUID, told: str) -> Answer:
    try:
        with open_work() as work:
            verb(work, terms_id)
    except MENDABLE as refusal:
        return _standards({"tier": "0"}, refusal)
    flash(told, "good")
    return redirect(url_for("agreements.standards"))


def _shown(work: Work, agreement: Agreement) -> dict[str, Any]:
    today = day_of(work.at)
    standing = agreements.standing_on(agreement, today)
    in_force = rate_cards.find_in_force(work, agreement.lender_id, agreement.id, today)
    cards = rate_cards.list_of_agreement(work, agreement.id)
    return CHOICES | {
        "agreement": agreement,
        "standing": standing,
        "gate": _gate(work, agreement) if standing in (agreements.IN_FORCE, agreements.LATER, PROPOSED) else [],
        "own_terms": OWN_TERMS,
        "today": today,
        "cards": cards,
        "in_force_id": in_force.id if in_force else None,
        "effective": standard_terms.explain(work, agreement, in_force.card if in_force else None),
        "people": _people(work),
        "own": second_person.may_not(work, agreement.created_by),
        "obstacles": waiting_cards.find_obstacles(work, agreement.id),
        "own_cards": {card.id for card in cards if second_person.may_not(work, card.card.proposed_by)},
        "ends": {card.card.followed_by: card.card.version for card in cards},
        "own_withdrawals": {card.id for card in cards if second_person.may_not(work, card.card.withdrawal_by)},
    }


def _gate(work: Work, agreement: Agreement) -> list[str]:
    """What stands in the way of placing, besides that the agreement, with its first card, waits or begins later."""
    said = SAID_ABOVE if agreement.state == ACTIVE else SAID_ABOVE | {"no_rate_card_in_force"}
    return [code for code in answering.closed_by(work, agreement) if code not in said]


def _people(work: Work) -> dict[UUID, str]:
    """Who proposed and approved: the lender's own knowledge."""
    return {member.id: member.name for member in members.list_own(work)} if work.actor.side == LENDER else {}


def _subject(asked: Mapping[str, str]) -> Subject:
    return Subject(**require(RateForm(), asked), payment_type=PAYMENT)


def _entered() -> dict[str, Any]:
    """A refused form as it was filled in, its lists whole."""
    return request.form.to_dict() | {name: request.form.getlist(name) for name in ("provinces", "buckets")}


def _flat(policy: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(policy[name]).lower() for name in POLICY_NAMES if name in policy}


def _new(form: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], refusal: Refusal | None = None) -> Page:
    return show("agreements/new.html", form, refusal, **CHOICES, **_grid(rows, refusal))


def _change(agreement_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        agreement = agreements.get(work, agreement_id)
    return show("agreements/change.html", form, refusal, agreement=agreement, **CHOICES)


def _rate_card(
    agreement_id: UUID, form: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], refusal: Refusal | None = None
) -> Page:
    with open_work() as work:
        agreement, today = agreements.get(work, agreement_id), day_of(work.at)
    return show(
        "agreements/new_rate_card.html",
        form,
        refusal,
        agreement=agreement,
        today=today,
        **CHOICES,
        **_grid(rows, refusal),
    )


def _grid(rows: Sequence[Mapping[str, Any]], refusal: Refusal | None) -> dict[str, Any]:
    """Rows of rates with some empty ones below, and what is wrong with which."""
    faults = by_row(refusal.errors) if isinstance(refusal, Invalid) else []
    return {"rows": [*rows, *[dict.fromkeys(CELL_COLUMNS, "")] * SPARE_ROWS], "cell_faults": faults}


def _standards(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        waiting = standard_terms.list_proposed(work)
        shown = {
            "in_force": standard_terms.list_in_force(work),
            "waiting": waiting,
            "own": {terms.id for terms in waiting if second_person.may_not(work, terms.proposed_by)},
            "people": _people(work),
        }
    return show("agreements/standards.html", form, refusal, tiers=range(TIER_MAX + 1), **CHOICES, **shown)
