"""Retained cases (留案): what agencies ask to keep beyond a term, and the lender's decisions, many at once."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from models.errors import Refusal
from models.recall_file import RETENTION_COLUMNS
from models.retention import GROUNDS, REQUESTED
from models.services.exchange import placements, retentions
from models.services.exchange.retentions import RetentionFilter
from models.work import AGENCY, Work
from portal import sheets
from portal.access import open_work, permit, tenant_work
from portal.schemas import placements as s
from portal.schemas.forms import require
from portal.sheets import Line, Sheet
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.words import label

blueprint = Blueprint("retentions", __name__)

LIST_ROWS = 100


@blueprint.get("/retentions")
@permit("placements.read")
def index() -> Page:
    return _list({})


@blueprint.get("/retentions.csv")
@permit("placements.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    query = s.RetentionListForm().load(subject)
    after, filters = query.pop("cursor"), RetentionFilter(**query)
    while found := retentions.list_own(work, filters, after, LIST_ROWS):
        for line in found:
            row = line.retention
            about = (line.reference, line.balance, line.currency, line.lender_name, line.agency_name)
            asked = (row.ground, row.days, row.state, line.expires_at, line.promised_on, line.claimed_on)
            yield row.lender_id, (row.id, row.placement_id, *about, *asked, row.requested_at, row.decided_at)
        after = found[-1].retention.id


SHEET = Sheet(
    "retentions",
    "placements.read",
    (
        "id",
        "placement_id",
        "case_number",
        "balance",
        "currency",
        "lender_name",
        "agency_name",
        "ground",
        "days",
        "state",
        "expires_at",
        "promised_on",
        "claimed_on",
        "requested_at",
        "decided_at",
    ),
    _lines,
    ("state", "placement_id", "agency_id"),
    placed=True,
)


@blueprint.post("/retentions/decide")
@permit("retentions.decide")
def decide() -> Answer:
    """Those ticked, approved or refused, all of them or none."""
    try:
        ticked = {"retention_ids": request.form.getlist("retention_ids")}
        given = require(s.RetentionDecisionForm(), request.form.to_dict() | ticked)
        with open_work() as work:
            count = retentions.decide(work, given["retention_ids"], approve=given["approve"])
    except MENDABLE as refusal:
        return _list(request.form, refusal)
    _tell(count, approve=given["approve"])
    return redirect(url_for("retentions.index", state=REQUESTED))


@blueprint.post("/retentions/decide-all")
@permit("retentions.decide")
def decide_all() -> Answer:
    """All that waited under the filters when the page was shown, on whichever of its pages."""
    try:
        given = require(s.RetentionsDecisionForm(), request.form)
        filters = RetentionFilter(placement_id=given["placement_id"], agency_id=given["agency_id"])
        with open_work() as work:
            cases, left = retentions.decide_all(
                work, filters, given["up_to"], given["digest"], approve=given["approve"]
            )
    except MENDABLE as refusal:
        return _list({}, refusal)
    _tell(cases, approve=given["approve"])
    if left:
        flash(
            ngettext(
                "%(num)d case is left as it was: the cap of its placement has no room for all, or its term is over.",
                "%(num)d cases are left as they were: the caps of their placements have no room, or a term is over.",
                left,
            ),
            "watch",
        )
    return redirect(url_for("retentions.index", state=REQUESTED))


@blueprint.get("/retentions/new")
@permit("retentions.request")
def new() -> str:
    """A file of cases to keep; it goes to the API as a raw body."""
    choices = {"ground": [(code, label(code, "retention_ground")) for code in GROUNDS]}
    return render_template("retentions/new.html", columns=RETENTION_COLUMNS, choices=choices)


def _tell(cases: int, *, approve: bool) -> None:
    flash(
        ngettext("%(num)d case stays beyond its term.", "%(num)d cases stay beyond their term.", cases)
        if approve
        else ngettext("%(num)d request refused.", "%(num)d requests refused.", cases),
        "good",
    )


def _list(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(s.RetentionListForm(), request.values)
    after, filters = query.pop("cursor"), RetentionFilter(**query)
    with tenant_work() as work:
        found = retentions.list_own(work, filters, after, LIST_ROWS)
        waiting = retentions.waiting(work).cases
        decidable = retentions.waiting(work, filters)
        windows = {line.retention.placement_id: None for line in found if line.retention.state == REQUESTED}
        rooms = {placement_id: retentions.window(work, placement_id) for placement_id in windows}
        parties = placements.list_parties(work)
        agency_looks = work.actor.side == AGENCY
    return show(
        "retentions/index.html",
        form,
        refusal,
        retentions=found,
        next_after=found[-1].retention.id if len(found) == LIST_ROWS else None,
        query=query,
        chosen=sheets.asked(SHEET, request.values),
        filtered=filters != retentions.ANY,
        states=s.RETENTION_STATES,
        waiting=waiting,
        decidable=decidable,
        rooms=rooms,
        parties=parties,
        agency_looks=agency_looks,
        now=work.at,
    )
