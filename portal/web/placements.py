"""Placements from both sides: acknowledged and assigned by the agency, recalled by the lender."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from models.errors import Refusal
from models.placement import ACTIVE, AWAITING_ACK, EXPIRED, LIVE, RECALL_REASONS, RECALLED
from models.services import assignments, placements
from models.work import AGENCY
from portal.access import open_work, permit, tenant_work
from portal.downloads import csv_download, whole
from portal.schemas.base import page
from portal.schemas.exchange_forms import AcknowledgeForm, AssignForm, DealForm, RecallForm, StateQuery
from portal.schemas.forms import ListQuery, require
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.frame import may

blueprint = Blueprint("placements", __name__)

LIST_ROWS = 50
CASE_ROWS = 100
STATES = (AWAITING_ACK, ACTIVE, RECALLED, EXPIRED)


@blueprint.get("/placements")
@permit("placements.read")
def index() -> str:
    query = require(StateQuery(), request.args)
    with tenant_work() as work:
        found = placements.list_own(work, query["cursor"], LIST_ROWS, query["state"])
        waiting = placements.list_own(work, state=AWAITING_ACK)
    return render_template(
        "placements/index.html", list=page(found, LIST_ROWS), waiting=waiting, state=query["state"], states=STATES
    )


@blueprint.get("/placements.csv")
@permit("placements.read")
def download() -> Response:
    with tenant_work() as work:
        found = whole(lambda after: placements.list_own(work, after))
    columns = (
        "id",
        "agreement_number",
        "lender_name",
        "agency_name",
        "state",
        "case_count",
        "currency",
        "referred_amount",
        "contingency_rate",
        "started_at",
        "expires_at",
        "ended_at",
        "end_reason",
    )
    return csv_download("placements.csv", columns, [[getattr(p, name) for name in columns] for p in found])


@blueprint.get("/placements/<uuid:placement_id>")
@permit("placements.read")
def show_one(placement_id: UUID) -> Page:
    return _placement(placement_id, {})


@blueprint.get("/placements/<uuid:placement_id>/cases.csv")
@permit("placements.read")
def download_cases(placement_id: UUID) -> Response:
    with tenant_work() as work:
        found = placements.export_cases(work, placement_id)
    header = ("case_number", "product", "bucket", "dpd", "currency", "balance", "referred_amount", "status", "ended_at")
    rows = [
        (
            case.reference,
            case.product,
            case.bucket,
            case.dpd,
            case.currency,
            case.balance,
            placed.referred_amount,
            case.status,
            placed.ended_at,
        )
        for case, placed, _collector_id in found
    ]
    return csv_download("cases.csv", header, rows)


@blueprint.post("/placements/<uuid:placement_id>/acknowledge")
@permit("placements.acknowledge")
def acknowledge(placement_id: UUID) -> Answer:
    try:
        given = require(AcknowledgeForm(), request.form)
        with open_work() as work:
            placements.acknowledge(work, placement_id, **given)
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
    """The selected cases, or the whole placement."""
    try:
        chosen = request.form.getlist("case_ids") if "selected" in request.form else None
        given = require(RecallForm(), request.form.to_dict() | {"case_ids": chosen})
        with open_work() as work:
            count = placements.recall(work, placement_id, **given)
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


def _placement(placement_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        placement = placements.get(work, placement_id)
        figures = placements.figures(work, placement_id)
        owed = placements.figures_owed(work, placement_id)
        found = placements.list_cases(work, placement_id, query["cursor"], CASE_ROWS)
        assigning = may("cases.assign") and placement.state == ACTIVE
        collectors = assignments.collectors(work) if may("cases.assign") else []
        unassigned = assignments.count_unassigned(work, placement_id) if assigning else 0
        over = placement.state in LIVE and placement.expires_at <= work.at
        agency_looks = work.actor.side == AGENCY
    return show(
        "placements/show.html",
        form,
        refusal,
        placement=placement,
        figures=figures,
        owed=owed,
        cases=found,
        next_after=found[-1].case.id if len(found) == CASE_ROWS else None,
        collectors=collectors,
        names={collector.id: collector.name for collector in collectors},
        unassigned=unassigned,
        live=placement.state in LIVE and not over,
        over=over,
        reasons=RECALL_REASONS,
        agency_looks=agency_looks,
    )
