"""Offers: what a lender shows an agency, and what the agency answers. Neither page shows a case."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from models.errors import Refusal
from models.offer import ACCEPTED, DECLINE_REASONS, OFFERED, TRANSITIONS
from models.services import agreements, offers, placements, portfolios
from models.work import LENDER, Work
from portal import sheets
from portal.access import open_work, permit
from portal.schemas.base import page
from portal.schemas.exchange_forms import DeclineForm, StateQuery
from portal.schemas.forms import require
from portal.sheets import Line, Sheet, whole
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("offers", __name__)

LIST_ROWS = 50
STATES = (OFFERED, *TRANSITIONS.values())


@blueprint.get("/offers")
@permit("offers.read")
def index() -> str:
    query = require(StateQuery(), request.args)
    with open_work() as work:
        found = offers.list_own(work, query["cursor"], LIST_ROWS, query["state"])
        waiting = offers.list_own(work, state=OFFERED)
        parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
    return render_template(
        "offers/index.html",
        list=page(found, LIST_ROWS),
        waiting=waiting,
        parties=parties,
        state=query["state"],
        states=STATES,
    )


@blueprint.get("/offers.csv")
@permit("offers.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
    for o in whole(lambda after: offers.list_own(work, after)):
        party = parties[o.agreement_id]
        names = (party.number, party.lender_name, party.agency_name, o.state)
        yield o.lender_id, (*names, o.case_count, o.borrower_count, o.currency, o.balance, o.created_at, o.expires_at)


SHEET = Sheet(
    "offers",
    "offers.read",
    ("agreement", "lender", "agency", "state", "cases", "borrowers", "currency", "balance", "made", "ends"),
    _lines,
)


@blueprint.get("/offers/<uuid:offer_id>")
@permit("offers.read")
def show_one(offer_id: UUID) -> Page:
    return _offer(offer_id, {})


@blueprint.post("/offers/<uuid:offer_id>/accept")
@permit("offers.decide")
def accept(offer_id: UUID) -> Answer:
    try:
        with open_work() as work:
            placed = offers.accept(work, offer_id)
    except MENDABLE as refusal:
        return _offer(offer_id, {}, refusal)
    count = placed.case_count
    flash(
        ngettext(
            "%(num)d case is placed with you. Confirm count and balance to begin.",
            "%(num)d cases are placed with you. Confirm count and balance to begin.",
            count,
        ),
        "good",
    )
    return redirect(url_for("placements.show_one", placement_id=placed.id))


@blueprint.post("/offers/<uuid:offer_id>/decline")
@permit("offers.decide")
def decline(offer_id: UUID) -> Answer:
    try:
        given = require(DeclineForm(), request.form)
        with open_work() as work:
            offers.decline(work, offer_id, given["reason"])
    except MENDABLE as refusal:
        return _offer(offer_id, request.form, refusal)
    flash(_("Declined. The lender has been told the reason."), "good")
    return redirect(url_for("offers.index"))


@blueprint.post("/offers/<uuid:offer_id>/withdraw")
@permit("offers.create")
def withdraw(offer_id: UUID) -> Answer:
    try:
        with open_work() as work:
            offers.withdraw(work, offer_id)
    except MENDABLE as refusal:
        return _offer(offer_id, {}, refusal)
    flash(_("Withdrawn. Its cases may be offered again."), "good")
    return redirect(url_for("offers.show_one", offer_id=offer_id))


def _offer(offer_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        offer = offers.get(work, offer_id)
        agreement = agreements.get(work, offer.agreement_id)
        portfolio = portfolios.get(work, offer.portfolio_id) if work.actor.side == LENDER else None
        placement = placements.find_of_offer(work, offer_id) if offer.state == ACCEPTED else None
        overdue = offer.state == OFFERED and offer.expires_at <= work.at
    return show(
        "offers/show.html",
        form,
        refusal,
        offer=offer,
        agreement=agreement,
        portfolio=portfolio,
        placement=placement,
        overdue=overdue,
        open=offer.state == OFFERED and not overdue,
        reasons=DECLINE_REASONS,
    )
