"""Recalls from both sides: asked for, objected to, carried out, their stop confirmed; and returns by file."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from models.errors import Refusal
from models.placement import RECALL_REASONS, RETURN_CODES
from models.recall_file import RECALL_COLUMNS, RETURN_COLUMNS
from models.recall_request import OBJECTIONS, REQUESTED
from models.services.exchange import placements, recall_lists, recalls, stops, treatments
from models.services.exchange.recall_lists import RecallFilter
from models.work import AGENCY, Work
from portal import sheets
from portal.access import open_work, permit, tenant_work
from portal.schemas import placements as s
from portal.schemas.base import cut
from portal.schemas.forms import ListQuery, require
from portal.sheets import Line, Sheet
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.frame import may
from portal.words import label

blueprint = Blueprint("recalls", __name__)

LIST_ROWS = 50
CASE_ROWS = 100


@blueprint.get("/recalls")
@permit("placements.read")
def index() -> str:
    query = require(s.RecallListForm(), request.args)
    after, filters = query.pop("cursor"), RecallFilter(**query)
    with tenant_work() as work:
        found = recall_lists.list_own(work, filters, after, LIST_ROWS)
        unconfirmed = stops.count_unconfirmed(work)
        parties = placements.list_parties(work)
        agency_looks = work.actor.side == AGENCY
    return render_template(
        "recalls/index.html",
        recalls=found,
        next_after=found[-1].request.id if len(found) == LIST_ROWS else None,
        query=query,
        chosen=sheets.asked(SHEET, request.args),
        filtered=filters != recall_lists.ANY,
        states=s.RECALL_STATES,
        categories=s.CATEGORIES,
        unconfirmed=unconfirmed,
        parties=parties,
        agency_looks=agency_looks,
        now=work.at,
    )


@blueprint.get("/recalls.csv")
@permit("placements.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    query = s.RecallListForm().load(subject)
    after, filters = query.pop("cursor"), RecallFilter(**query)
    while found := recall_lists.list_own(work, filters, after, LIST_ROWS):
        for line in found:
            row = line.request
            parties = (line.lender_name, line.agency_name)
            counts = (row.case_count, line.objections, line.kept, line.recalled, line.gone)
            times = (row.requested_at, row.object_until, row.executed_at, row.stop_due_at, row.stop_confirmed_at)
            yield (
                row.lender_id,
                (row.id, row.placement_id, *parties, row.reason, line.category, row.state, *counts, *times),
            )
        after = found[-1].request.id


SHEET = Sheet(
    "recalls",
    "placements.read",
    (
        "id",
        "placement_id",
        "lender_name",
        "agency_name",
        "reason",
        "category",
        "state",
        "cases",
        "objections",
        "kept",
        "recalled",
        "gone",
        "requested_at",
        "object_until",
        "executed_at",
        "stop_due_at",
        "stop_confirmed_at",
    ),
    _lines,
    ("state", "placement_id", "agency_id", "unconfirmed", "category"),
    placed=True,
)


@blueprint.get("/recalls/new")
@permit("placements.recall")
def new() -> str:
    """A file of cases to recall; it goes to the API as a raw body."""
    choices = {"reason": [(code, label(code, "end_reason")) for code in RECALL_REASONS]}
    return render_template(
        "recalls/new.html",
        columns=RECALL_COLUMNS,
        choices=choices,
        at_once=sorted(recalls.AT_ONCE),
        excluding=[code for code, treatment in treatments.RECALLS.items() if treatment.reason],
    )


@blueprint.get("/returns/new")
@permit("placements.return")
def new_return() -> str:
    """A file of cases to give back."""
    choices = {"return_code": [(code, label(code, "return_code")) for code in RETURN_CODES]}
    return render_template("recalls/new_return.html", columns=RETURN_COLUMNS, choices=choices)


@blueprint.get("/recalls/<uuid:recall_id>")
@permit("placements.read")
def show_one(recall_id: UUID) -> Page:
    return _recall(recall_id, {})


@blueprint.post("/recalls/<uuid:recall_id>/object")
@permit("placements.acknowledge")
def object_to(recall_id: UUID) -> Answer:
    """The agency objects to the cases ticked."""
    try:
        given = require(s.ObjectionForm(), _ticked())
        with open_work() as work:
            recalls.object_to(work, recall_id, given["case_ids"], given["code"])
    except MENDABLE as refusal:
        return _recall(recall_id, request.form, refusal)
    flash(_("Objected. The lender decides; until then these cases stay."), "good")
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


@blueprint.post("/recalls/<uuid:recall_id>/keep")
@permit("placements.recall")
def keep(recall_id: UUID) -> Answer:
    """The lender agrees with the objections to the cases ticked."""
    try:
        given = require(s.CasesForm(), _ticked())
        with open_work() as work:
            recalls.keep(work, recall_id, given["case_ids"])
    except MENDABLE as refusal:
        return _recall(recall_id, request.form, refusal)
    flash(_("These cases stay with the agency."), "good")
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


@blueprint.post("/recalls/<uuid:recall_id>/execute")
@permit("placements.recall")
def execute(recall_id: UUID) -> Answer:
    """When the agency has had its time to object, or by the other button without waiting for it."""
    try:
        with open_work() as work:
            count = recalls.execute(work, recall_id, at_once="at_once" in request.form)
    except MENDABLE as refusal:
        return _recall(recall_id, {}, refusal)
    flash(
        ngettext(
            "%(num)d case is back with you. The agency can no longer open it.",
            "%(num)d cases are back with you. The agency can no longer open them.",
            count,
        ),
        "good",
    )
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


@blueprint.post("/recalls/<uuid:recall_id>/withdraw")
@permit("placements.recall")
def withdraw(recall_id: UUID) -> Answer:
    try:
        with open_work() as work:
            recalls.withdraw(work, recall_id)
    except MENDABLE as refusal:
        return _recall(recall_id, {}, refusal)
    flash(_("Withdrawn. The cases stay with the agency."), "good")
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


@blueprint.post("/recalls/<uuid:recall_id>/lift-exclusions")
@permit("exclusions.manage")
def lift_exclusions(recall_id: UUID) -> Answer:
    try:
        with open_work() as work:
            count = recalls.lift_exclusions(work, recall_id)
    except MENDABLE as refusal:
        return _recall(recall_id, {}, refusal)
    flash(ngettext("%(num)d exclusion lifted.", "%(num)d exclusions lifted.", count), "good")
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


@blueprint.post("/recalls/<uuid:recall_id>/confirm")
@permit("placements.acknowledge")
def confirm_stop(recall_id: UUID) -> Answer:
    try:
        given = require(s.StopForm(), request.form)
        with open_work() as work:
            stops.confirm(work, recall_id, given["case_count"])
    except MENDABLE as refusal:
        return _recall(recall_id, request.form, refusal)
    flash(_("Confirmed: all work on these cases has stopped."), "good")
    return redirect(url_for("recalls.show_one", recall_id=recall_id))


def _ticked() -> dict[str, Any]:
    return request.form.to_dict() | {"case_ids": request.form.getlist("case_ids")}


def _recall(recall_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        line = recall_lists.get_line(work, recall_id)
        found, last = cut(recall_lists.list_cases(work, recall_id, query["cursor"], CASE_ROWS + 1), CASE_ROWS)
        agency_looks = work.actor.side == AGENCY
        excluded = recall_lists.count_excluded(work, recall_id) if may("exclusions.read") else 0
        liftable = recall_lists.count_liftable(work, recall_id) if may("exclusions.manage") else 0
        at = work.at
    window_open = line.request.state == REQUESTED and at < line.request.object_until
    return show(
        "recalls/show.html",
        form,
        refusal,
        line=line,
        recall=line.request,
        cases=found,
        next_after=last.id if last else None,
        agency_looks=agency_looks,
        excluded=excluded,
        liftable=liftable,
        excludes=treatments.RECALLS[line.request.reason].reason,
        waits=line.request.state == REQUESTED,
        window_open=window_open,
        executable=line.request.state == REQUESTED and not (window_open and line.asked),
        unconfirmed=line.stop_due,
        objections=OBJECTIONS,
    )
