"""Exports: who took which file, and the large ones that wait for a second person."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _

from models.errors import Forbidden, NotFound, Refusal
from models.export import PERSONAL
from models.services.oversight import exports
from portal import sheets
from portal.access import permit, tenant_work
from portal.schemas.base import page
from portal.schemas.exports import SheetForm
from portal.schemas.forms import ListQuery, require
from portal.sheets import Sheet
from portal.web import (
    agencies,
    allocations,
    breaches,
    breaks,
    cases,
    exclusions,
    histories,
    ledger,
    notices,
    offers,
    overview,
    parties,
    placements,
    portfolios,
    recalls,
    retentions,
    tenders,
)
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.frame import may

blueprint = Blueprint("exports", __name__)

LIST_ROWS = 50

SHEETS = {
    sheet.kind: sheet
    for sheet in (
        cases.WORKLIST,
        cases.SHEET,
        histories.SHEET,
        exclusions.SHEET,
        tenders.SHEET,
        allocations.SHEET,
        offers.SHEET,
        placements.SHEET,
        placements.CASES,
        placements.OPENED,
        recalls.SHEET,
        retentions.SHEET,
        portfolios.SHEET,
        parties.AGREEMENTS,
        agencies.SHEET,
        parties.AGENCY_LIST,
        ledger.SUSPENSE,
        breaks.SHEET,
        breaches.SHEET,
        overview.LIQUIDATION,
        notices.SHEET,
    )
}


@blueprint.get("/exports")
@permit("exports.read")
def index() -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        found = exports.list_own(work, query["cursor"], LIST_ROWS)
        decides = exports.may_decide(work)
    waiting = [e for e in found if e.state == "awaiting_approval" and e.expires_at > work.at]
    return show(
        "exports/index.html",
        {},
        list=page(found, LIST_ROWS),
        waiting=[e for e in waiting if decides and e.requested_by != work.actor.member_id],
        me=work.actor.member_id,
        decides=decides,
        now=work.at,
        lasts=exports.REQUEST_LASTS,
    )


@blueprint.get("/exports/new")
@permit("exports.request")
def new() -> Page:
    """Why this file needs a second person, and the button that asks for one."""
    return _new(request.args)


@blueprint.post("/exports")
@permit("exports.request")
def ask() -> Answer:
    try:
        ask_for(require(SheetForm(), request.form)["kind"], request.form)
    except MENDABLE as refusal:
        return _new(request.form, refusal)
    flash(_("Asked for. A colleague with the role approves or refuses it here."), "good")
    return redirect(url_for("exports.index"))


@blueprint.post("/exports/<uuid:export_id>/approve")
@permit("exports.decide")
def approve(export_id: UUID) -> Answer:
    with tenant_work() as work:
        exports.decide(work, export_id, approve=True)
    flash(_("Approved: it may be taken once, within 24 hours."), "good")
    return redirect(url_for("exports.index"))


@blueprint.post("/exports/<uuid:export_id>/refuse")
@permit("exports.decide")
def refuse(export_id: UUID) -> Answer:
    with tenant_work() as work:
        exports.decide(work, export_id, approve=False)
    flash(_("Refused. Nothing leaves."), "good")
    return redirect(url_for("exports.index"))


@blueprint.post("/exports/<uuid:export_id>/file")
@permit("exports.request")
def take(export_id: UUID) -> Answer:
    return take_approved(export_id)


def take_approved(export_id: UUID) -> Any:
    """The file of an approved export, as its list is now."""
    with tenant_work() as work:
        export = exports.get(work, export_id)
    return sheets.send(sheet_of(export.kind), export.subject, export_id)


def ask_for(kind: str, given: Any) -> Any:
    """The export that waits for a second person, for the sheet as `given` filters it."""
    sheet = sheet_of(kind)
    subject = sheets.asked(sheet, given)
    with tenant_work() as work:
        return exports.request(work, kind, subject, sheets.count(sheets.read(work, sheet, subject)))


def sheet_of(kind: str) -> Sheet:
    """NotFound for no such sheet; Forbidden for one that the role may not take."""
    if kind not in SHEETS:
        raise NotFound
    if not may(SHEETS[kind].permission):
        raise Forbidden
    return SHEETS[kind]


def _new(given: Any, refusal: Refusal | None = None) -> Page:
    kind = require(SheetForm(), given)["kind"]
    sheet = sheet_of(kind)
    subject = sheets.asked(sheet, given)
    with tenant_work() as work:
        rows_of = sheets.count(sheets.read(work, sheet, subject))
        allowance = exports.allowance(work, kind, rows_of)
    return show(
        "exports/new.html",
        {},
        refusal,
        kind=kind,
        subject=subject,
        rows=rows_of.total(),
        allowance=allowance,
        counted=kind in PERSONAL,
        rows_max=exports.ROWS_MAX,
    )
