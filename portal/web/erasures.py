"""Retention: what was erased, what is held, and the lender's settings of how long and how much."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from models.agency_document import DOCUMENT_KINDS, REQUIRED_ALWAYS
from models.erasure import CASE, HOLD_REASONS, PORTFOLIO
from models.errors import Refusal
from models.lender_setting import EARLIER_AGENCIES, ROTATIONS
from models.organisation import SELF
from models.services.parties import lender_settings
from models.services.portfolio import erasure_grounds, erasure_records, erasures, holds
from portal.access import open_work, permit, require_known, tenant_work
from portal.downloads import text_download
from portal.requests import once
from portal.schemas.erasure import HoldForm, LenderSettingsForm, PlacingSettingsForm, SubjectForm
from portal.schemas.forms import ListQuery, require
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("erasures", __name__)

LIST_ROWS = 50


@blueprint.get("/erasures")
@permit("erasures.read")
def index() -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        lines = erasures.list_own(work, query["cursor"], LIST_ROWS)
        standing = holds.list_own(work, standing=True)
        settings = lender_settings.get(work)
        names = erasure_grounds.names(work, (line.erasure.subject_id for line in lines))
    return show(
        "erasures/index.html",
        {},
        lines=lines,
        holds_standing=len(standing),
        settings=settings,
        names=names,
        next_cursor=lines[-1].erasure.id if len(lines) == LIST_ROWS else None,
    )


@blueprint.get("/erasures/new")
@permit("erasures.foresee")
def new() -> Page:
    """Before anything is done: what would be erased, what stands in its way, and what a hold would keep."""
    return _prospect(require(SubjectForm(), request.args), {})


@blueprint.post("/erasures")
@permit("erasures.carry_out")
def erase() -> Answer:
    given = require(SubjectForm(), request.form)
    try:
        with open_work() as work:
            made = once(work, lambda: erasures.erase(work, **given), lambda made: erasures.get(work, made))
    except MENDABLE as refusal:
        return _prospect(given, request.form, refusal)
    flash(
        ngettext(
            "%(num)d case is erased. Nothing of it opens any more.",
            "%(num)d cases are erased. Nothing of them opens any more.",
            made.case_count,
        ),
        "good",
    )
    return redirect(url_for("erasures.show_one", erasure_id=made.id))


@blueprint.get("/erasures/<uuid:erasure_id>")
@permit("erasures.read")
def show_one(erasure_id: UUID) -> Page:
    with tenant_work() as work:
        erasure = erasures.get(work, erasure_id)
        names = erasure_grounds.names(work, [erasure.subject_id])
    return show("erasures/show.html", {}, erasure=erasure, name=names.get(erasure.subject_id))


@blueprint.get("/erasures/<uuid:erasure_id>/record")
@permit("erasures.read")
def download_record(erasure_id: UUID) -> Response:
    with tenant_work() as work:
        record = erasure_records.to_stored(erasures.get(work, erasure_id)).decode()
    return text_download(f"erasure-{erasure_id}.json", [record], "application/json")


@blueprint.get("/holds")
@permit("erasures.read")
def list_holds() -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        lines = holds.list_own(work, query["cursor"], LIST_ROWS)
        names = erasure_grounds.names(work, (line.hold.subject_id for line in lines))
    next_cursor = lines[-1].hold.id if len(lines) == LIST_ROWS else None
    return show("erasures/holds.html", {}, lines=lines, names=names, next_cursor=next_cursor)


@blueprint.post("/holds")
@permit("holds.manage")
def place_hold() -> Answer:
    given = require(HoldForm(), request.form)
    try:
        with open_work() as work:
            once(work, lambda: holds.place(work, **given), lambda made: holds.get(work, made))
    except MENDABLE as refusal:
        return _prospect(given, request.form, refusal)
    flash(_("Held. Nothing of it is erased until the hold is lifted."), "good")
    return redirect(url_for("erasures.list_holds"))


@blueprint.post("/holds/<uuid:hold_id>/lift")
@permit("holds.manage")
def lift_hold(hold_id: UUID) -> Answer:
    with open_work() as work:
        holds.lift(work, hold_id)
    flash(_("The hold is lifted."), "good")
    return redirect(url_for("erasures.list_holds"))


@blueprint.get("/settings")
@permit("lender_settings.read")
def settings() -> Page:
    return _settings(None)


@blueprint.post("/settings")
@permit("lender_settings.change")
def change_settings() -> Answer:
    try:
        given = require(LenderSettingsForm(), request.form)
        with open_work() as work:
            lender_settings.change(work, given)
    except MENDABLE as refusal:
        return _settings(request.form, refusal)
    flash(_("The settings hold from now on."), "good")
    return redirect(url_for("erasures.settings"))


@blueprint.post("/settings/placing")
@permit("lender_settings.change")
def change_placing_settings() -> Answer:
    form = request.form.to_dict() | {"required_documents": request.form.getlist("required_documents")}
    try:
        given = require(PlacingSettingsForm(), form)
        with open_work() as work:
            lender_settings.change(work, given)
    except MENDABLE as refusal:
        return _settings(form, refusal)
    flash(_("The settings hold from now on."), "good")
    return redirect(url_for("erasures.settings"))


def _prospect(subject: Mapping[str, Any], form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    kind, subject_id = subject["subject_kind"], subject["subject_id"]
    with open_work() as work:
        prospect = erasure_grounds.prospect(work, kind, subject_id)
        names = erasure_grounds.names(work, [subject_id])
    return show(
        "erasures/new.html",
        form,
        refusal,
        kind=kind,
        subject_id=subject_id,
        name=names.get(subject_id),
        prospect=prospect,
        own_keys=require_known().organisation.custody == SELF,
        reasons=HOLD_REASONS,
        back=_page_of(kind, subject_id),
        once=uuid4().hex,
    )


def _page_of(kind: str, subject_id: UUID) -> str:
    """Where one came from: a borrower has no page of their own."""
    if kind == CASE:
        return url_for("cases.show", case_id=subject_id)
    if kind == PORTFOLIO:
        return url_for("portfolios.show_one", portfolio_id=subject_id)
    return url_for("cases.index")


def _settings(form: Mapping[str, Any] | None, refusal: Refusal | None = None) -> Page:
    with tenant_work() as work:
        stands = lender_settings.get(work)
    return show(
        "erasures/settings.html",
        stands._asdict() | dict(form or {}),
        refusal,
        stands=stands,
        ranges=lender_settings.RANGES,
        choices=EARLIER_AGENCIES,
        rotations=ROTATIONS,
        document_kinds=DOCUMENT_KINDS,
        required_always=REQUIRED_ALWAYS,
    )
