"""Placements from both sides: acknowledged, worked and given back by the agency, recalled by the lender."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from models.business_day import start_of
from models.errors import Refusal
from models.placement import ACTIVE, LIVE, RECALL_REASONS, RETURN_CODES
from models.placement_freeze import FREEZE_REASONS
from models.retention import GROUNDS
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services.collection import assignments
from models.services.exchange import (
    acknowledgements,
    placements,
    recall_lists,
    recalls,
    retentions,
    returns,
    tender_offers,
    treatments,
)
from models.services.exchange.placements import PlacementFilter
from models.services.exchange.recall_lists import RecallFilter
from models.services.exchange.retentions import RetentionFilter
from models.services.pages import LIMIT_MAX
from models.services.parties import freezes
from models.work import AGENCY, Work
from portal import sheets
from portal.access import open_work, permit, tenant_work
from portal.acknowledging import acknowledge as acknowledge_placement
from portal.placement_states import items_of
from portal.schemas.base import cut, page
from portal.schemas.erasure import FreezeForm
from portal.schemas.exchange_forms import AcknowledgeForm, AssignForm, DealForm, RecallForm
from portal.schemas.forms import ListQuery, require
from portal.schemas.placements import STATES, PlacementListForm, RetentionForm, ReturnForm
from portal.sheets import Line, Sheet, id_of, whole
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.frame import may

blueprint = Blueprint("placements", __name__)

LIST_ROWS = 50
CASE_ROWS = 100
OPENED_ROWS = 100
OPENED_SHOWN = 8
RECALLS_SHOWN = 20


@blueprint.get("/placements")
@permit("placements.read")
def index() -> str:
    query = require(PlacementListForm(), request.args)
    with tenant_work() as work:
        filters = _filter(query)
        found = placements.list_own(work, query["cursor"], LIST_ROWS, filters=filters)
        counts = placements.count_by_state(work)
        waiting = placements.count_unacknowledged(work)
        parties = placements.list_parties(work)
        broken = {(row.placement_id, row.kind) for row, _placement in acknowledgements.list_open(work)}
        frozen = freezes.list_standing(work) if work.actor.side == AGENCY else []
    return render_template(
        "placements/index.html",
        list=page(found, LIST_ROWS),
        waiting=waiting,
        counts=counts,
        parties=parties,
        broken=broken,
        frozen=frozen,
        query=query,
        chosen=sheets.asked(SHEET, request.args),
        filtered=filters != placements.ANY,
        state=query["state"],
        states=[state for state in STATES if state in counts],
    )


def _filter(query: Mapping[str, Any]) -> PlacementFilter:
    """The day named is inside."""
    day = query["ends_before"]
    ends_before = start_of(day + dt.timedelta(days=1)) if day else None
    return PlacementFilter(query["state"], query["other_id"], query["portfolio_id"], ends_before)


@blueprint.get("/placements.csv")
@permit("placements.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    filters = _filter(PlacementListForm().load(subject))
    for placement in whole(lambda after: placements.list_own(work, after, filters=filters)):
        if placement.frozen_at and work.actor.side == AGENCY:
            continue  # nothing is exported under it
        yield placement.lender_id, [getattr(placement, name) for name in SHEET.header]


SHEET = Sheet(
    "placements",
    "placements.read",
    (
        "id",
        "agreement_number",
        "lender_name",
        "agency_name",
        "state",
        "case_count",
        "currency",
        "referred_amount",
        "lowest_rate",
        "highest_rate",
        "started_at",
        "expires_at",
        "ended_at",
        "end_reason",
    ),
    _lines,
    ("state", "other_id", "portfolio_id", "ends_before"),
    placed=True,
)


@blueprint.get("/placements/<uuid:placement_id>")
@permit("placements.read")
def show_one(placement_id: UUID) -> Page:
    return _placement(placement_id, {})


@blueprint.get("/placements/<uuid:placement_id>/cases.csv")
@permit("placements.read")
def download_cases(placement_id: UUID) -> AnyResponse:
    return sheets.download(CASES, placement_id=placement_id)


def _cases(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for case, placed, *_rest in placements.export_cases(work, id_of(subject, "placement_id")):
        figures = (case.bucket, case.dpd, case.currency, case.balance, placed.referred_amount)
        yield case.lender_id, (case.reference, case.product, *figures, case.status, placed.ended_at)


CASES = Sheet(
    "placement_cases",
    "placements.read",
    ("case_number", "product", "bucket", "dpd", "currency", "balance", "referred_amount", "status", "ended_at"),
    _cases,
    ("placement_id",),
)


@blueprint.post("/placements/<uuid:placement_id>/acknowledge")
@permit("placements.acknowledge")
def acknowledge(placement_id: UUID) -> Answer:
    try:
        given = require(AcknowledgeForm(), request.form)
        acknowledge_placement(placement_id, **given)
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(_("Acknowledged. Assign the cases, and work may begin."), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/assign")
@permit("cases.assign")
def assign(placement_id: UUID) -> Answer:
    """The selected cases to one collector."""
    try:
        given = require(AssignForm(), request.form.to_dict() | {"case_ids": request.form.getlist("case_ids")})
        with open_work() as work:
            count = assignments.assign(work, placement_id, **given)
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(ngettext("%(num)d case assigned.", "%(num)d cases assigned.", count), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/deal")
@permit("cases.assign")
def deal(placement_id: UUID) -> Answer:
    """All unassigned cases, evenly among the collectors ticked."""
    try:
        given = require(DealForm(), {"collector_ids": request.form.getlist("collector_ids")})
        with open_work() as work:
            count = assignments.assign_evenly(work, placement_id, given["collector_ids"])
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(ngettext("%(num)d case assigned.", "%(num)d cases assigned.", count), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/recall")
@permit("placements.recall")
def recall(placement_id: UUID) -> Answer:
    """The selected cases, or the whole placement: at once, or when the agency has had its time to object."""
    try:
        chosen = request.form.getlist("case_ids") if "selected" in request.form else None
        given = require(RecallForm(), request.form.to_dict() | {"case_ids": chosen})
        if "ask" in request.form:
            with open_work() as work:
                made = recalls.request(work, placement_id, given["reason"], given["case_ids"])
            return redirect(url_for("recalls.show_one", recall_id=made.id))
        with open_work() as work:
            count = recalls.recall(work, placement_id, **given).case_count
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(
        ngettext(
            "%(num)d case is back with you. The agency can no longer open it.",
            "%(num)d cases are back with you. The agency can no longer open them.",
            count,
        ),
        "good",
    )
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/return")
@permit("placements.return")
def give_back(placement_id: UUID) -> Answer:
    """The agency gives the selected cases back."""
    try:
        given = require(ReturnForm(), request.form.to_dict() | {"case_ids": request.form.getlist("case_ids")})
        with open_work() as work:
            count = returns.give_back(work, placement_id, **given)
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(ngettext("%(num)d case given back.", "%(num)d cases given back.", count), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/retain")
@permit("retentions.request")
def retain(placement_id: UUID) -> Answer:
    """The agency asks to keep the selected cases beyond the term."""
    try:
        given = require(RetentionForm(), request.form.to_dict() | {"case_ids": request.form.getlist("case_ids")})
        with open_work() as work:
            count = retentions.request(work, placement_id, **given)
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(ngettext("Asked to keep %(num)d case.", "Asked to keep %(num)d cases.", count), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/freeze")
@permit("placements.freeze")
def freeze(placement_id: UUID) -> Answer:
    try:
        given = require(FreezeForm(), request.form)
        with open_work() as work:
            freezes.freeze(work, placement_id, given["reason"])
    except MENDABLE as refusal:
        return _placement(placement_id, request.form, refusal)
    flash(_("Frozen. The agency can open, report and take away nothing."), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.post("/placements/<uuid:placement_id>/unfreeze")
@permit("placements.freeze")
def unfreeze(placement_id: UUID) -> Answer:
    try:
        with open_work() as work:
            freezes.unfreeze(work, placement_id)
    except MENDABLE as refusal:
        return _placement(placement_id, {}, refusal)
    flash(_("The freeze is lifted. The agency may go on."), "good")
    return redirect(url_for("placements.show_one", placement_id=placement_id))


@blueprint.get("/placements/<uuid:placement_id>/opened")
@permit("placements.read")
def list_opened(placement_id: UUID) -> str:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        placement = placements.get(work, placement_id)
        counted = placements.count_opened(work, placement_id)
        found, last = cut(placements.opened(work, placement_id, query["cursor"], OPENED_ROWS + 1), OPENED_ROWS)
        agency_looks = work.actor.side == AGENCY
    return render_template(
        "placements/opened.html",
        placement=placement,
        counted=counted,
        opened=found,
        agency_looks=agency_looks,
        next_after=last.release.id if last else None,
    )


@blueprint.get("/placements/<uuid:placement_id>/opened.csv")
@permit("placements.read")
def download_opened(placement_id: UUID) -> AnyResponse:
    return sheets.download(OPENED, placement_id=placement_id)


def _opened(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for row, number in placements.export_opened(work, id_of(subject, "placement_id")):
        who = (row.field_class, row.reason, row.member_name)
        yield row.lender_id, (row.released_at, number or "", row.case_id, *who)


OPENED = Sheet(
    "placement_opened",
    "placements.read",
    ("released_at", "case_number", "case_id", "field_class", "reason", "member"),
    _opened,
    ("placement_id",),
    placed=True,
)


def _placement(placement_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        placement = placements.get(work, placement_id)
        figures = placements.figures(work, placement_id)
        owed = placements.figures_owed(work, placement_id)
        found, last = cut(placements.list_cases(work, placement_id, query["cursor"], CASE_ROWS + 1), CASE_ROWS)
        assigning = may("cases.assign") and placement.state == ACTIVE and placement.frozen_at is None
        collectors = assignments.collectors(work) if may("cases.assign") else []
        unassigned = assignments.count_unassigned(work, placement_id) if assigning else 0
        over = placement.state in LIVE and (placement.extended_until or placement.expires_at) <= work.at
        agency_looks = work.actor.side == AGENCY
        breaks = acknowledgements.list_of_placement(work, placement_id)
        recalled = recall_lists.list_own(work, RecallFilter(placement_id=placement_id), limit=RECALLS_SHOWN)
        window = retentions.window(work, placement_id)
        asked = retentions.list_own(work, RetentionFilter(RETENTION_REQUESTED, placement_id), limit=LIMIT_MAX)
        at = work.at
        frozen = freezes.find(work, placement)
        auction_id = tender_offers.find_auction(work, placement.offer_id) if may("awards.read") else None
        counted = placements.count_opened(work, placement_id)
        opened = placements.opened(work, placement_id, limit=OPENED_SHOWN)
    return show(
        "placements/show.html",
        form,
        refusal,
        placement=placement,
        figures=figures,
        owed=owed,
        cases=found,
        next_after=last.case.id if last else None,
        collectors=collectors,
        names={collector.id: collector.name for collector in collectors},
        unassigned=unassigned,
        live=placement.state in LIVE and not over,
        over=over,
        reasons=RECALL_REASONS,
        frozen=frozen if placement.state in LIVE else None,
        auction_id=auction_id,
        ticked=form.getlist("case_ids") if isinstance(form, MultiDict) else [],
        freeze_reasons=FREEZE_REASONS,
        counted=counted,
        opened=opened,
        agency_looks=agency_looks,
        breaks=[row for row in breaks if row.closed_at is None],
        recalls=recalled,
        stop_due=next((line for line in recalled if line.stop_due), None),
        objected=next((line for line in recalled if line.objected), None),
        window=window,
        window_open=placement.state == ACTIVE and window.opens_at <= at < window.closes_at,
        asked=asked,
        return_codes=RETURN_CODES,
        excluding=[code for code, one in treatments.RETURNS.items() if one.excludes == treatments.BORROWER],
        grounds=GROUNDS,
        states=items_of(placement, breaks, recalled),
    )
