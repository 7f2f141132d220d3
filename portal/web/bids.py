"""Sealed bids: the lender invites and awards, an agency commits, reveals and sees what came of its own bid alone."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from models.award import KINDS, LOST, LOTS_MAX, PLACED, VOID, WON, canonical
from models.bid import COMMITTED, REVEALED, Award
from models.buckets import BUCKETS
from models.errors import Conflict, Invalid, NotFound, Refusal, RowError
from models.lots import DIVISIONS
from models.offer import OFFERED
from models.placement import Placement
from models.provinces import PROVINCES
from models.services.exchange import (
    agreements,
    answering,
    awards,
    bids,
    eligibility,
    offers,
    opened_bids,
    placements,
    tender_offers,
    tenders,
)
from models.services.portfolio import portfolios
from models.tender import AWAITING_APPROVAL, OPEN, SEALED_BID
from models.tender_plan import PLANNED_KINDS
from models.work import Work
from portal import charts
from portal.access import open_work, permit, tenant_work
from portal.downloads import file_download
from portal.schemas.bids import CommitForm, InviteForm, RevealForm
from portal.schemas.forms import require
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("bids", __name__)

LISTS = ("agreement_ids", "buckets", "provinces", "kinds")


@blueprint.get("/portfolios/<uuid:portfolio_id>/bids/new")
@permit("offers.create")
def new(portfolio_id: UUID) -> Page:
    return _invitation(portfolio_id, {"commit_hours": 48, "reveal_hours": 24, "kinds": KINDS})


@blueprint.post("/portfolios/<uuid:portfolio_id>/bids/new")
@permit("offers.create")
def invite(portfolio_id: UUID) -> Answer:
    chosen = {name: request.form.getlist(name) for name in LISTS}
    form = request.form.to_dict() | {name: values for name, values in chosen.items() if values}
    try:
        given = require(InviteForm(), form) | _lots_in(form)
        with open_work() as work:
            tender = bids.invite(work, portfolio_id, **given)
    except MENDABLE as refusal:
        return _invitation(portfolio_id, form, refusal)
    flash(_("A second person opens it.") if tender.state == AWAITING_APPROVAL else _("The agencies are asked."), "good")
    return redirect(url_for("bids.show_award", tender_id=tender.id))


@blueprint.get("/tenders/<uuid:tender_id>/award")
@permit("awards.read")
def show_award(tender_id: UUID) -> Page:
    return _award(tender_id)


@blueprint.post("/tenders/<uuid:tender_id>/award")
@permit("offers.create")
def make_award(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            made = awards.award(work, tender_id)
    except MENDABLE as refusal:
        return _award(tender_id, refusal)
    won = made.record["outcome"] == PLACED
    flash(_("Awarded. Every bidder has been told.") if won else _("Nobody has won."), "good" if won else "watch")
    return redirect(url_for("bids.show_award", tender_id=tender_id))


@blueprint.get("/tenders/<uuid:tender_id>/award.json")
@permit("awards.read")
def download_record(tender_id: UUID) -> AnyResponse:
    with tenant_work() as work:
        found = awards.find(work, tender_id)
    if found is None:
        raise NotFound
    return file_download(f"award-{tender_id}.json", canonical(found.record), "application/json")


@blueprint.get("/offers/<uuid:offer_id>/bid")
@permit("bids.read")
def show_bid(offer_id: UUID) -> Page:
    return _bid(offer_id)


@blueprint.post("/offers/<uuid:offer_id>/bid/commit")
@permit("offers.decide")
def commit(offer_id: UUID) -> Answer:
    try:
        given = require(CommitForm(), request.form)
        with open_work() as work:
            bids.commit(work, offer_id, given["commitment"], given["terms_digest"])
    except MENDABLE as refusal:
        return _bid(offer_id, refusal)
    flash(_("Committed. Keep the slip: without it the bid cannot be revealed."), "good")
    return redirect(url_for("bids.show_bid", offer_id=offer_id))


@blueprint.post("/offers/<uuid:offer_id>/bid/withdraw")
@permit("offers.decide")
def withdraw(offer_id: UUID) -> Answer:
    try:
        with open_work() as work:
            bids.withdraw(work, offer_id)
    except MENDABLE as refusal:
        return _bid(offer_id, refusal)
    flash(_("Withdrawn. You may commit to another bid until the window closes."), "good")
    return redirect(url_for("bids.show_bid", offer_id=offer_id))


@blueprint.post("/offers/<uuid:offer_id>/bid/reveal")
@permit("offers.decide")
def reveal(offer_id: UUID) -> Answer:
    try:
        given = require(RevealForm(), request.form)
        nonce = given.pop("nonce")
        with open_work() as work:
            bids.reveal(work, offer_id, given, nonce)
    except MENDABLE as refusal:
        return _bid(offer_id, refusal)
    flash(_("Revealed. It stays under seal until the award."), "good")
    return redirect(url_for("bids.show_bid", offer_id=offer_id))


@blueprint.get("/offers/<uuid:offer_id>/bid.json")
@permit("bids.read")
def download_part(offer_id: UUID) -> AnyResponse:
    with open_work() as work:
        own = awards.part(work, offers.get(work, offer_id))
    return file_download(f"bid-{offer_id}.json", canonical(own), "application/json")


def _invitation(portfolio_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        portfolio = portfolios.get(work, portfolio_id)
        seats = eligibility.panel(work)
        unrevealed = bids.count_unrevealed(work)
        free = portfolios.progress(work, [portfolio_id])[portfolio_id]
    numbers = _numbers_in(form)
    faults = refusal.errors if isinstance(refusal, Invalid) else []
    return show(
        "bids/new.html",
        form,
        refusal,
        lot_faults=[
            (numbers[one.row - 1] if one.row else None, one) for one in faults if one.row or one.field == "lots"
        ],
        divisions=DIVISIONS,
        lots_max=LOTS_MAX,
        portfolio=portfolio,
        free=free,
        planned_kinds=PLANNED_KINDS,
        seats=sorted(seats, key=lambda seat: bool(seat.reasons)),
        unrevealed=unrevealed,
        buckets=BUCKETS,
        provinces=PROVINCES,
        kinds=KINDS,
    )


def _lots_in(form: Mapping[str, Any]) -> dict[str, Any]:
    """The lots that were chosen, as the verb takes them; what is in none of them stays out of the tender.

    Invalid where lots are filled in that would be passed over.
    """
    division = form.get("lots_by", "")
    others = (value for name, values in DIVISIONS.items() if name != division for value in values)
    if any(form.get(f"lot_{value}") for value in others):
        raise Invalid(errors=[RowError(0, "lots", "lots_of_other_division")])
    if division not in DIVISIONS:
        return {}
    lots = [
        [value for value in DIVISIONS[division] if form.get(f"lot_{value}") == number] for number in _numbers_in(form)
    ]
    chosen = [value for values in lots for value in values]
    return {"lots": [{division: values} for values in lots], division: chosen or None}


def _numbers_in(form: Mapping[str, Any]) -> list[str]:
    """The numbers of lots that were given, in their order; there may be gaps."""
    values = DIVISIONS.get(form.get("lots_by", ""), ())
    return sorted({str(form.get(f"lot_{value}") or "") for value in values} - {""})


def _award(tender_id: UUID, refusal: Refusal | None = None) -> Page:
    with tenant_work() as work:
        tender = tenders.get(work, tender_id)
        if tender.kind != SEALED_BID:
            raise NotFound
        award = awards.find(work, tender_id)
        portfolio = portfolios.get(work, tender.portfolio_id)
        asked = tender_offers.list_all(work, tender_id)
        parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
        unrevealed = bids.count_unrevealed(work)
        ripe = tender.state == OPEN and tender.reveal_until is not None and work.at >= tender.reveal_until
        now = work.at
        placed = _placed(work, award)
    return show(
        "bids/award.html",
        {},
        refusal,
        tender=tender,
        award=award,
        ranking=_ranked(award),
        chart_svg=_ranking_chart(award),
        portfolio=portfolio,
        asked=asked,
        parties=parties,
        unrevealed=unrevealed,
        ripe=ripe,
        now=now,
        placed=placed,
    )


def _placed(work: Work, award: Award | None) -> dict[str, Placement]:
    """What each bid that won became."""
    won = [bid for bid in award.record["bids"] if bid["state"] == WON] if award else []
    found = ((bid["bid"], placements.find_of_offer(work, UUID(bid["offer"]))) for bid in won)
    return {bid: placement for bid, placement in found if placement}


def _ranked(award: Award | None) -> list[dict[str, Any]]:
    """The bids as the record has them, the best first; on lots by name. What is void comes last."""
    record = award.record["bids"] if award else []
    entries = [bid | {"committed": dt.datetime.fromisoformat(bid["committed_at"])} for bid in record]
    order = (WON, LOST, VOID)
    return sorted(
        entries,
        key=lambda bid: (
            bid["state"] == VOID,
            -Decimal(bid.get("score") or 0),
            order.index(bid["state"]),
            bid["agency_name"],
        ),
    )


def _ranking_chart(award: Award | None) -> Markup | None:
    scored = [bid for bid in _ranked(award) if bid.get("score") is not None]
    if len(scored) < 2:
        return None
    # A bar has no length below nought; the figure beside it is the score as it is.
    lengths = [max(float(bid["score"]), 0.0) for bid in scored]
    frame = pl.DataFrame({"label": [bid["agency_name"] for bid in scored], "value": lengths})
    title = _("Scores")
    described = _("The score of each bid, the best first.")
    return charts.bars(frame, title=title, description=described, write=lambda score: f"{score:.4f}")


def _bid(offer_id: UUID, refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        offer = offers.get(work, offer_id)
        if offer.kind != SEALED_BID:
            raise Conflict("no_bids_taken")
        bid = bids.find_own(work, offer)
        agreement = agreements.get(work, offer.agreement_id)
        placement = placements.find_of_offer(work, offer_id) if offer.state == "won" else None
        terms = offers.find_terms(work, offer)
        gate = answering.reasons_told(work, offer) if offer.state == OFFERED else []
        windows, now = bids.windows(offer, work.at), work.at
    standing = bid is not None and bid.state in (COMMITTED, REVEALED)
    return show(
        "bids/show.html",
        {},
        refusal,
        offer=offer,
        bid=bid,
        agreement=agreement,
        placement=placement,
        terms=terms,
        changed=standing and not opened_bids.stands_on(offer, terms),
        gate=gate or ([] if terms or standing else ["no_rate_card_in_force"]),
        windows=windows,
        now=now,
        standing=standing,
    )
