"""Allocations: the plan, the page on which somebody decides, and what became of it."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from models.allocation_plan import BASES, DIMENSIONS, KINDS, RANDOM, equal_shares
from models.buckets import BUCKETS
from models.errors import Invalid, Refusal
from models.provinces import PROVINCES
from models.services import second_person
from models.services.exchange import allocation_draws, allocations, eligibility, undoing
from models.services.parties import lender_settings, members
from models.services.portfolio import portfolios
from models.tender import AWAITING_APPROVAL, COMMITTING, DRAWING, PLACED, PREVIEWED, UNDO_REASONS, Tender
from models.work import Work
from portal import sheets
from portal.access import open_work, permit
from portal.formats import count
from portal.schemas.allocations import AllocationRequest, BuilderQuery, UndoForm, read_form, read_query, wrong_shares
from portal.schemas.base import page
from portal.schemas.forms import ListQuery, require
from portal.sheets import Line, Sheet, id_of
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.web.tenders import say_undone

blueprint = Blueprint("allocations", __name__)

LIST_ROWS = 50
MOVING = (DRAWING, COMMITTING)
PORTFOLIOS_SHOWN = 200
COLUMNS = "agreement agency tier households cases amount currency following_cases room_for reasons rate_from rate_to"


@blueprint.get("/allocations")
@permit("allocations.read")
def index() -> str:
    query = require(ListQuery(), request.args)
    with open_work() as work:
        found = allocations.list_own(work, query["cursor"], LIST_ROWS)
        waiting = allocations.list_own(work, state=AWAITING_APPROVAL)
        names = {one.portfolio_id: portfolios.get(work, one.portfolio_id).name for one in found}
    return render_template("allocations/index.html", list=page(found, LIST_ROWS), waiting=waiting, names=names)


@blueprint.get("/allocations/new")
@permit("allocations.plan")
def new() -> Page:
    """Of a portfolio, or `again`: as an allocation was planned, without whom its checks stopped."""
    query = require(BuilderQuery(), read_query(request.args))
    if query["again"]:
        with open_work() as work:
            query |= _planned(allocations.get(work, query["again"]))
    return _builder(query, MultiDict())


@blueprint.post("/allocations/new")
@permit("allocations.plan")
def choose() -> Page:
    """The plan for the agencies that were chosen: not in an address, which is too short for hundreds."""
    return _builder(require(BuilderQuery(), read_query(request.form)), MultiDict())


@blueprint.post("/allocations")
@permit("allocations.plan")
def create() -> Answer:
    try:
        given = require(AllocationRequest(), read_form(request.form))
        with open_work() as work:
            tender = allocations.preview(work, **given)
    except MENDABLE as refusal:
        return _builder(require(BuilderQuery(), read_query(request.form)), request.form, refusal)
    return redirect(url_for("allocations.show_one", tender_id=tender.id))


@blueprint.get("/allocations/<uuid:tender_id>")
@permit("allocations.read")
def show_one(tender_id: UUID) -> Page:
    return _allocation(tender_id)


@blueprint.get("/allocations/<uuid:tender_id>/progress")
@permit("allocations.read")
def progress(tender_id: UUID) -> str:
    """How far a worker is: a fragment that the page fetches again until it is done."""
    with open_work() as work:
        tender = allocations.get(work, tender_id)
    return render_template("allocations/_progress.html", t=tender, moving=tender.state in MOVING)


@blueprint.get("/allocations/<uuid:tender_id>/agencies.csv")
@permit("allocations.read")
def download(tender_id: UUID) -> AnyResponse:
    return sheets.download(SHEET, tender_id=tender_id)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    """What each agency gets by the preview, and what the checks said of it then."""
    tender = allocations.get(work, id_of(subject, "tender_id"))
    for one in tender.preview["agencies"] if tender.preview else []:
        who = (one["agreement_number"], one["agency_name"], one["tier"])
        figures = (one["households"], one["cases"], Decimal(one["amount"]), tender.currency, one["follows"]["cases"])
        checks = (one["capacity_left"], " ".join(one["reasons"]), one["lowest_rate"], one["highest_rate"])
        yield tender.lender_id, (*who, *figures, *checks)


SHEET = Sheet("allocation", "allocations.read", tuple(COLUMNS.split()), _lines, ("tender_id",))


@blueprint.post("/allocations/<uuid:tender_id>/commit")
@permit("allocations.commit")
def commit(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            tender = allocations.commit(work, tender_id)
    except MENDABLE as refusal:
        return _allocation(tender_id, refusal)
    if tender.state == AWAITING_APPROVAL:
        flash(_("That many cases need a second person. Nothing is placed until somebody else commits."), "watch")
    elif tender.state == PLACED:
        placed = ngettext(
            "%(count)s case is placed, exactly as previewed.",
            "%(count)s cases are placed, exactly as previewed.",
            tender.case_count,
            count=count(tender.case_count),
        )
        flash(placed, "good")
    return redirect(url_for("allocations.show_one", tender_id=tender_id))


@blueprint.post("/allocations/<uuid:tender_id>/withdraw")
@permit("allocations.plan")
def withdraw(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            allocations.withdraw(work, tender_id)
    except MENDABLE as refusal:
        return _allocation(tender_id, refusal)
    flash(_("Dropped. Nothing was placed."), "good")
    return redirect(url_for("allocations.index"))


@blueprint.post("/allocations/<uuid:tender_id>/undo")
@permit("tenders.undo")
def undo(tender_id: UUID) -> Answer:
    try:
        given = require(UndoForm(), request.form)
        with open_work() as work:
            tender = undoing.undo(work, allocations.get(work, tender_id).id, given["reason"])
    except MENDABLE as refusal:
        return _allocation(tender_id, refusal)
    say_undone(tender)
    return redirect(url_for("allocations.show_one", tender_id=tender_id))


@blueprint.post("/allocations/<uuid:tender_id>/keep")
@permit("tenders.undo")
def keep(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            undoing.keep(work, allocations.get(work, tender_id).id)
    except MENDABLE as refusal:
        return _allocation(tender_id, refusal)
    flash(_("The cases stay where they are."), "good")
    return redirect(url_for("allocations.show_one", tender_id=tender_id))


def _builder(query: dict[str, Any], form: MultiDict[str, str], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        portfolio_id = query["portfolio_id"]
        chosen = set(query["agreement"])
        candidates = eligibility.panel(work)
        shown: dict[str, Any] = {
            "portfolio": portfolios.get(work, portfolio_id) if portfolio_id else None,
            "portfolios": portfolios.list_own(work, limit=PORTFOLIOS_SHOWN),
            "free": portfolios.progress(work, [portfolio_id])[portfolio_id] if portfolio_id else None,
            "products": allocation_draws.list_products(work, portfolio_id) if portfolio_id else [],
        }
    panel = [one for one in candidates if one.agreement.id in chosen]
    wrong = wrong_shares(form)
    errors = refusal.errors if isinstance(refusal, Invalid) else []
    return show(
        "allocations/new.html",
        form,
        refusal,
        query=query | {"rules": 1 if query["kind"] == RANDOM else query["rules"]},
        panel=panel,
        # Who is chosen comes first, then who may receive.
        candidates=sorted(candidates, key=lambda one: (one not in panel, bool(one.reasons))),
        equal=equal_shares([one.agreement.id for one in panel]) if panel else {},
        wrong_shares=wrong,
        # What is wrong with one share stands beside its input.
        errors=[one for one in errors if "shares" not in one.field or one.code not in wrong.values()],
        kinds=KINDS,
        bases=BASES,
        buckets=BUCKETS,
        provinces=PROVINCES,
        dimensions=DIMENSIONS,
        **shown,
    )


def _planned(tender: Tender) -> dict[str, Any]:
    agencies = tender.preview["agencies"] if tender.preview else []
    return {
        "portfolio_id": tender.portfolio_id,
        "kind": tender.rules["kind"],
        "rules": len(tender.rules["rules"]),
        "agreement": [UUID(one["agreement_id"]) for one in agencies if not one["reasons"]],
    }


def _allocation(tender_id: UUID, refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        tender = allocations.get(work, tender_id)
        portfolio = portfolios.get(work, tender.portfolio_id)
        placements = undoing.list_placements(work, tender)
        obstacle = undoing.find_obstacle(work, tender) if tender.state == PLACED else None
        stands_alone = _stands_alone(work, tender)
        people = {member.id: member.name for member in members.list_own(work)}
        alone_max = lender_settings.get(work).approval_cases
    preview: dict[str, Any] = tender.preview or {"agencies": [], "rules": [], "left_out": []}
    return show(
        "allocations/show.html",
        request.form,
        refusal,
        tender=tender,
        portfolio=portfolio,
        preview=preview,
        names={one["agreement_id"]: one["agency_name"] for one in preview["agencies"]},
        blocked=[one for one in preview["agencies"] if one["reasons"]],
        open=tender.state in (PREVIEWED, AWAITING_APPROVAL),
        moving=tender.state in MOVING,
        placements={str(placement.agreement_id): placement for placement in placements},
        obstacle=obstacle,
        stands_alone=stands_alone,
        people=people,
        alone_max=alone_max,
        undo_reasons=UNDO_REASONS,
    )


def _stands_alone(work: Work, tender: Tender) -> bool:
    """Whether the next step needs somebody else than whoever looks."""
    first = tender.created_by if tender.state == AWAITING_APPROVAL else tender.undo_asked_by
    return first is not None and second_person.may_not(work, first)
