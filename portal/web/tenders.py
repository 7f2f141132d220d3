"""Tenders as the lender sees them: made on one page with a preview, followed, approved and withdrawn."""

import re
from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from models.buckets import BUCKETS
from models.errors import Invalid, Refusal, RowError
from models.offer import PLACED as TAKEN_UP
from models.provinces import PROVINCES
from models.services import approvals, second_person
from models.services.exchange import (
    agreements,
    eligibility,
    placements,
    tender_offers,
    tender_previews,
    tenders,
    undoing,
)
from models.services.parties import lender_settings
from models.services.portfolio import portfolios
from models.tender import AWAITING_APPROVAL, KINDS, OPEN, PLACED, UNDO_REASONS, Tender
from models.tender_plan import PLANNED_KINDS, Plan
from models.work import Work
from portal import sheets
from portal.access import open_work, permit
from portal.requests import once
from portal.schemas.allocations import UndoForm
from portal.schemas.base import page
from portal.schemas.forms import require
from portal.schemas.tenders import STATES, PlanForm, StartForm, TenderListForm, WizardForm
from portal.sheets import Line, Sheet, whole
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("tenders", __name__)

LIST_ROWS = 50
PORTFOLIOS_SHOWN = 200
PLACE, TURN = "place-", re.compile(r"[0-9]{1,4}")  # of an agreement, where the order counts
LISTS = ("agreement_ids", "buckets", "provinces")
FILTERS = ("state", "kind", "portfolio_id")
COLUMNS = "made kind state portfolio cases borrowers currency balance answered waiting decided undone"


@blueprint.get("/tenders")
@permit("tenders.read")
def index() -> str:
    query = require(TenderListForm(), request.args)
    chosen = {name: query[name] for name in FILTERS}
    with open_work() as work:
        found = tenders.list_own(work, query["cursor"], LIST_ROWS, **chosen)
        answers = tender_offers.count_by_state(work, [tender.id for tender in found])
        counts = tenders.count_by_state(work)
        names = {portfolio.id: portfolio.name for portfolio in portfolios.list_own(work, limit=PORTFOLIOS_SHOWN)}
    return render_template(
        "tenders/index.html",
        list=page(found, LIST_ROWS),
        answers=answers,
        counts=counts,
        names=names,
        query=query,
        chosen={name: value for name, value in chosen.items() if value is not None},
        states=[state for state in STATES if counts.get(state)],
        kinds=KINDS,
    )


@blueprint.get("/tenders.csv")
@permit("tenders.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    query = require(TenderListForm(), subject)
    chosen = {name: query[name] for name in FILTERS}
    names = {portfolio.id: portfolio.name for portfolio in whole(lambda after: portfolios.list_own(work, after))}
    for t in whole(lambda after: tenders.list_own(work, after, **chosen)):
        answers = tender_offers.count_by_state(work, [t.id])[t.id]
        waiting = answers.get("offered", 0)
        figures = (t.case_count, t.borrower_count, t.currency, t.balance, sum(answers.values()) - waiting, waiting)
        what = (t.created_at, t.kind, t.state, names.get(t.portfolio_id))
        yield t.lender_id, (*what, *figures, t.decided_at, t.undone_at)


SHEET = Sheet("tenders", "tenders.read", tuple(COLUMNS.split()), _lines, FILTERS)


@blueprint.get("/place-cases")
@permit("offers.create")
def start() -> str:
    """Every way to place cases, and which to choose."""
    portfolio_id = require(StartForm(), request.args)["portfolio_id"]
    with open_work() as work:
        portfolio = portfolios.get(work, portfolio_id) if portfolio_id else None
        found = [portfolio] if portfolio else portfolios.list_own(work, limit=PORTFOLIOS_SHOWN)
        free = portfolios.progress(work, [one.id for one in found])
    offerable = [one for one in found if free[one.id].free]
    return render_template("tenders/start.html", portfolio=portfolio, portfolios=offerable, free=free)


@blueprint.get("/tenders/new")
@permit("offers.create")
def new() -> Page:
    """Filled in step by step: nothing is changed before `create`."""
    return _wizard(request.args)


@blueprint.post("/tenders/new")
@permit("offers.create")
def preview() -> Page:
    """Not asked for in an address, which is too short for a panel of hundreds."""
    try:
        plan = _plan(request.form)
        with open_work() as work:
            made = tender_previews.make(work, plan)
    except MENDABLE as refusal:
        return _wizard(request.form, refusal=refusal)
    return _wizard(request.form, made)


@blueprint.post("/tenders")
@permit("offers.create")
def create() -> Answer:
    try:
        plan = _plan(request.form)
        with open_work() as work:
            made = once(work, lambda: tenders.create(work, plan), lambda made: tenders.get(work, made))
    except MENDABLE as refusal:
        return _wizard(request.form, refusal=refusal)
    if made.state == AWAITING_APPROVAL:
        flash(_("It waits for a second person: nobody is asked before."), "watch")
    else:
        flash(_("Open. Each agency asked sees totals and groups, and no case."), "good")
    return redirect(url_for("tenders.show_one", tender_id=made.id))


@blueprint.get("/tenders/<uuid:tender_id>")
@permit("tenders.read")
def show_one(tender_id: UUID) -> Page:
    return _tender(tender_id)


@blueprint.post("/tenders/<uuid:tender_id>/approve")
@permit("tenders.approve")
def approve(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            approvals.approve(work, tender_id)
    except MENDABLE as refusal:
        return _tender(tender_id, refusal)
    flash(_("Approved. Whoever is asked first has the offer now."), "good")
    return redirect(url_for("tenders.show_one", tender_id=tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/refuse")
@permit("tenders.approve")
def refuse(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            tenders.refuse(work, tender_id)
    except MENDABLE as refusal:
        return _tender(tender_id, refusal)
    flash(_("Refused. Its cases are free again."), "good")
    return redirect(url_for("tenders.show_one", tender_id=tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/withdraw")
@permit("offers.create")
def withdraw(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            tenders.withdraw(work, tender_id)
    except MENDABLE as refusal:
        return _tender(tender_id, refusal)
    flash(_("Withdrawn. Its cases may be offered again."), "good")
    return redirect(url_for("tenders.show_one", tender_id=tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/undo")
@permit("tenders.undo")
def undo(tender_id: UUID) -> Answer:
    try:
        given = require(UndoForm(), request.form)
        with open_work() as work:
            tender = undoing.undo(work, tender_id, given["reason"])
    except MENDABLE as refusal:
        return _tender(tender_id, refusal)
    say_undone(tender)
    return redirect(url_for("tenders.show_one", tender_id=tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/keep")
@permit("tenders.undo")
def keep(tender_id: UUID) -> Answer:
    try:
        with open_work() as work:
            undoing.keep(work, tender_id)
    except MENDABLE as refusal:
        return _tender(tender_id, refusal)
    flash(_("The cases stay where they are."), "good")
    return redirect(url_for("tenders.show_one", tender_id=tender_id))


def say_undone(tender: Tender) -> None:
    if tender.state == PLACED:
        flash(_("That many cases need a second person. They stay placed until somebody else confirms."), "watch")
    else:
        flash(_("Undone. Every case is free again, and the agencies have been told."), "good")


def _plan(given: MultiDict[str, str]) -> Plan:
    """Invalid where a turn is no number, and for whatever else is wrong with it."""
    if not all(TURN.fullmatch(turn) for turn in _turns(given).values()):
        raise Invalid(errors=[RowError(0, "agreement_ids", "not_a_number")])
    lists = {name: values or None for name, values in _chosen(given).items()}
    filled = {name: value for name, value in (given.to_dict() | lists).items() if value is not None}
    return Plan(**require(PlanForm(), filled))


def _chosen(given: MultiDict[str, str]) -> dict[str, list[str]]:
    """The agencies in order of their turns, if they have any; of equal ones as they are listed."""
    turns = _turns(given)
    in_turn = sorted(turns, key=lambda one: int(turns[one]) if TURN.fullmatch(turns[one]) else 0)
    return {name: given.getlist(name) for name in LISTS} | ({"agreement_ids": in_turn} if in_turn else {})


def _turns(given: MultiDict[str, str]) -> dict[str, str]:
    typed = {name.removeprefix(PLACE): turn.strip() for name, turn in given.items() if name.startswith(PLACE)}
    return {agreement_id: turn for agreement_id, turn in typed.items() if turn}


def _wizard(
    given: MultiDict[str, str], preview: tender_previews.Preview | None = None, refusal: Refusal | None = None
) -> Page:
    known = require(WizardForm(), {name: given[name] for name in ("portfolio_id", "kind") if given.get(name)})
    portfolio_id, chosen = known["portfolio_id"], _chosen(given)
    picked = chosen["agreement_ids"]
    turn = {agreement_id: place for place, agreement_id in enumerate(picked)}
    with open_work() as work:
        found = portfolios.list_own(work, limit=PORTFOLIOS_SHOWN)
        free = portfolios.progress(work, [portfolio.id for portfolio in found])
        portfolio = portfolios.get(work, portfolio_id) if portfolio_id else None
        currencies = set(portfolio.balances) if portfolio else set()
        seats = [seat for seat in eligibility.panel(work) if seat.agreement.currency in currencies]
        settings = lender_settings.get(work)
    return show(
        "tenders/new.html",
        {"respond_hours": "72"} | given.to_dict(),
        refusal,
        portfolios=[one for one in found if free[one.id].free],
        free=free,
        portfolio=portfolio,
        kind=known["kind"],
        kinds=PLANNED_KINDS,
        seats=sorted(seats, key=lambda seat: (turn.get(str(seat.agreement.id), len(turn)), bool(seat.reasons))),
        preview=preview,
        picked=picked,
        buckets=BUCKETS,
        provinces=PROVINCES,
        chosen=chosen,
        settings=settings,
        once=uuid4().hex,
    )


def _tender(tender_id: UUID, refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        tender = tenders.get(work, tender_id)
        parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
        made = tender_offers.list_all(work, tender_id)
        shown = {
            "portfolio": portfolios.get(work, tender.portfolio_id),
            "placed": {offer.id: placements.find_of_offer(work, offer.id) for offer in made if offer.state in TAKEN_UP},
            "k": lender_settings.get(work).tape_borrowers_min,
            "is_own": second_person.may_not(work, tender.created_by),
            "obstacle": undoing.find_obstacle(work, tender) if tender.state == PLACED else None,
            "stands_alone": tender.undo_asked_by is not None and second_person.may_not(work, tender.undo_asked_by),
        }
    return show(
        "tenders/show.html",
        request.form,
        refusal,
        tender=tender,
        offers=made,
        parties=parties,
        waiting=[parties[one].agency_name for one in _choices(tender) if one not in {o.agreement_id for o in made}],
        panel=[parties[UUID(one)] for one in tender.rules.get("choices") or tender.rules.get("panel") or []],
        open=tender.state == OPEN,
        undo_reasons=UNDO_REASONS,
        **shown,
    )


def _choices(tender: Tender) -> list[UUID]:
    """Who may still be asked, in their order."""
    passed = tender.rules.get("passed_over", {})
    named = tender.rules.get("choices", [])
    return [UUID(one) for one in named if one not in passed] if tender.state in (OPEN, AWAITING_APPROVAL) else []
