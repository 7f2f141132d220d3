"""Offers: what a lender shows an agency, and what the agency answers. Neither page shows a case."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import polars as pl
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from models.agreement import Agreement
from models.errors import Refusal
from models.offer import DECLINE_REASONS, OFFERED, Offer
from models.placement import Placement
from models.services.exchange import agreements, answering, bids, offers, rate_cards, tape
from models.services.exchange.offers import OfferFilter
from models.services.portfolio import portfolios
from models.tender import KINDS, SEALED_BID
from models.work import AGENCY, LENDER, Work
from portal import charts, sheets
from portal.access import open_work, permit
from portal.downloads import text_download
from portal.formats import short_money
from portal.schemas.base import page
from portal.schemas.exchange import OFFER_STATES
from portal.schemas.exchange_forms import DeclineForm, OfferListForm
from portal.schemas.forms import require
from portal.sheets import Line, Sheet, bounded
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("offers", __name__)

LIST_ROWS = 50
FILTERS = ("state", "other_id", "kind", "tender_id")


@blueprint.get("/offers")
@permit("offers.read")
def index() -> str:
    query = require(OfferListForm(), request.args)
    with open_work() as work:
        found = offers.list_own(work, query["cursor"], LIST_ROWS, query["state"], filters=_filter(query))
        counts = offers.count_by_state(work, _filter(query))
        figures = offers.figures(work, found)
        is_agency = work.actor.side == AGENCY
        own_bids = bids.list_standing(work, found) if is_agency else {}
        waiting = offers.waiting(work)
        parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
        cards = rate_cards.list_newest(work)
        others = {_other(work, agreement) for agreement in parties.values()}
    return render_template(
        "offers/index.html",
        cards=cards,
        figures=figures,
        own_bids=own_bids,
        until={one.id: bids.answer_by(one, own_bids.get(one.id)) for one in found} if is_agency else {},
        list=page(found, LIST_ROWS),
        waiting=waiting,
        parties=parties,
        query=query,
        chosen={name: query[name] for name in FILTERS if query[name] is not None},
        others=sorted(others, key=lambda other: (other[1], other[0])),
        counts=counts,
        states=[state for state in OFFER_STATES if counts.get(state)],
        kinds=KINDS,
    )


def _filter(query: Mapping[str, Any]) -> OfferFilter:
    return OfferFilter(query["other_id"], query["kind"], query["tender_id"])


def _other(work: Work, agreement: Agreement) -> tuple[UUID, str]:
    if work.actor.side == AGENCY:
        return agreement.lender_id, agreement.lender_name
    return agreement.agency_id, agreement.agency_name


@blueprint.get("/offers.csv")
@permit("offers.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    query = require(OfferListForm(), subject)
    parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
    cards = rate_cards.list_newest(work)
    found = bounded(lambda after: offers.list_own(work, after, state=query["state"], filters=_filter(query)))
    figures = offers.figures(work, found)
    for o in found:
        party, f = parties[o.agreement_id], figures[o.id]
        names = (party.number, party.lender_name, party.agency_name, o.kind, f.state_of(o))
        card = None if o.kind == SEALED_BID else cards.get(o.agreement_id)
        held = (f.case_count, f.borrower_count, o.currency, f.balance, _rate(f.placement or card))
        yield o.lender_id, (*names, *held, o.created_at, o.expires_at, f.undone_at)


def _rate(terms: Placement | rate_cards.Card | None) -> str:
    """A rate, or the lowest and highest of several; nothing where it is yet to be bid."""
    return "" if terms is None else "-".join(dict.fromkeys((str(terms.lowest_rate), str(terms.highest_rate))))


COLUMNS = "agreement lender agency kind state cases borrowers currency balance rate made ends undone"
SHEET = Sheet("offers", "offers.read", tuple(COLUMNS.split()), _lines, FILTERS, placed=True)


@blueprint.get("/offers/<uuid:offer_id>")
@permit("offers.read")
def show_one(offer_id: UUID) -> Page:
    return _offer(offer_id, {})


@blueprint.get("/offers/<uuid:offer_id>/synthetic-sample.csv")
@permit("offers.read")
def download_sample(offer_id: UUID) -> AnyResponse:
    with open_work() as work:
        lines = tape.sample_file(work, offers.get(work, offer_id), _("synthetic"))
    return text_download(f"synthetic-sample-{offer_id}.csv", lines, "text/csv")


@blueprint.post("/offers/<uuid:offer_id>/accept")
@permit("offers.decide")
def accept(offer_id: UUID) -> Answer:
    try:
        with open_work() as work:
            placed = offers.accept(work, offer_id, request.form.get("terms_digest", ""))
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
        terms = offers.find_terms(work, offer)
        card = terms.card if terms else rate_cards.list_newest(work)[agreement.id]
        figures = offers.figures(work, [offer])[offer.id]
        portfolio = portfolios.get(work, offer.portfolio_id) if work.actor.side == LENDER else None
        overdue = offer.state == OFFERED and offer.expires_at <= work.at
        asked, now = offer.state == OFFERED and work.actor.side == AGENCY, work.at
        bid = bids.find_own(work, offer) if work.actor.side == AGENCY and offer.kind == SEALED_BID else None
        blocked = answering.reasons_told(work, offer) if asked else []
    return show(
        "offers/show.html",
        form,
        refusal,
        offer=offer,
        figures=figures,
        agreement=agreement,
        terms=terms,
        card=card,
        portfolio=portfolio,
        placement=figures.placement,
        overdue=overdue,
        bid=bid,
        until=bids.answer_by(offer, bid) if asked else offer.expires_at,
        now=now,
        blocked=blocked,
        bars=_bars(offer),
        open=offer.state == OFFERED and not overdue,
        reasons=DECLINE_REASONS,
    )


def _bars(offer: Offer) -> Markup | None:
    """The tape's balance by bucket as a picture; none where nothing is shown of so few."""
    if not offer.strata["currencies"]:
        return None
    (whole,) = offer.strata["currencies"]
    rows = [
        (" – ".join(dict.fromkeys((one["values"][0], one["values"][-1]))), float(one["balance"]))
        for one in whole["dimensions"]["bucket"]
    ]
    return charts.bars(
        pl.DataFrame(rows, schema={"label": pl.String, "value": pl.Float64}, orient="row"),
        title=_("Balance by bucket"),
        description=_("What the cases of each bucket owe, blurred as everywhere on this page."),
        write=lambda amount: short_money(amount, whole["currency"], str(get_locale())),
    )
