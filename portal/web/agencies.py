"""A lender's agencies and how they stand; the papers of each; and, for an agency, what each lender asks it for."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.agency_document import DOCUMENT_KINDS, LICENCE, AgencyDocument, Paper
from models.agency_standing import STANDING_REASONS, TRANSITIONS
from models.business_day import day_of
from models.errors import Refusal
from models.placement_freeze import FREEZE_REASONS
from models.provinces import PROVINCES
from models.services.exchange import agreements
from models.services.parties import agencies, agency_documents, members, own_papers, standings
from models.services.parties.agencies import ELIGIBILITIES, AgencyFilter
from models.standing import CASES_ASSUMED, WEIGHTS, WINDOW_DAYS
from models.work import Work
from portal import freezing, sheets
from portal.access import open_work, permit, tenant_work
from portal.requests import once
from portal.schemas.agencies import STANDING_ACTS, STANDINGS, AgencyListForm, ComplaintsForm, PaperForm, StandingForm
from portal.schemas.erasure import FreezeForm
from portal.schemas.forms import require
from portal.sheets import Line, Sheet
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.words.exchange import GATE_REASONS

blueprint = Blueprint("agencies", __name__)

LIST_ROWS = 50
COLUMNS = (
    "agency tiers eligible reasons standing open_cases capacity capacity_left cases_placed conduct_score"
    " upheld_complaints complaint_ratio next_ending ends_on"
)


@blueprint.get("/agencies")
@permit("agencies.read")
def index() -> Page:
    query = require(AgencyListForm(), request.args)
    filters = filter_of(query)
    with tenant_work() as work:
        everybody = agencies.list_all(work)
    chosen = agencies.choose(everybody, filters)
    found = agencies.cut(chosen, query["cursor"], LIST_ROWS)
    return show(
        "agencies/index.html",
        {},
        lines=found,
        total=len(chosen),
        everybody=everybody,
        query=query,
        chosen=sheets.asked(SHEET, request.args),
        filtered=any(filters._replace(sort=None)),
        eligibilities=ELIGIBILITIES,
        standings=STANDINGS,
        reasons=GATE_REASONS,
        next_cursor=found[-1].agency_id if len(found) == LIST_ROWS and found[-1] != chosen[-1] else None,
    )


@blueprint.get("/agencies.csv")
@permit("agencies.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def filter_of(query: Mapping[str, Any]) -> AgencyFilter:
    return AgencyFilter(**{name: query[name] for name in AgencyFilter._fields})


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for line in agencies.choose(agencies.list_all(work), filter_of(require(AgencyListForm(), subject))):
        record, leading = line.record, line.leading
        gate = (" ".join(map(str, line.tiers)), not line.reasons, " ".join(line.reasons), record.state)
        load = (record.open_cases, leading.capacity, leading.capacity_left, record.cases_placed)
        conduct = (record.score, record.upheld_complaints, record.complaint_ratio)
        ending = (line.next_ending.kind, line.next_ending.ends_on) if line.next_ending else (None, None)
        yield leading.agreement.lender_id, (line.agency_name, *gate, *load, *conduct, *ending)


SHEET = Sheet("agencies", "agencies.read", tuple(COLUMNS.split()), _lines, AgencyFilter._fields)


@blueprint.get("/agencies/<uuid:agency_id>")
@permit("agencies.read")
def show_one(agency_id: UUID) -> Page:
    return _agency(agency_id, {})


@blueprint.post("/agencies/<uuid:agency_id>/freeze")
@permit("placements.freeze")
def freeze(agency_id: UUID) -> Answer:
    """The emergency: one button."""
    try:
        given = require(FreezeForm(), request.form)
        freezing.freeze(agency_id, given["reason"])
    except MENDABLE as refusal:
        return _agency(agency_id, {}, refusal)
    flash(_("Frozen: nothing is opened, reported or placed with this agency until it is reinstated."), "good")
    return redirect(url_for("agencies.show_one", agency_id=agency_id))


@blueprint.post("/agencies/<uuid:agency_id>/standing")
@permit("agencies.judge")
def change_standing(agency_id: UUID) -> Answer:
    try:
        given = require(StandingForm(), request.form)
        with open_work() as work:
            standings.change(work, agency_id, given["act"], None if given["act"] == "clear" else given["reason"])
    except MENDABLE as refusal:
        return _agency(agency_id, {}, refusal)
    flash(_("The agency stands so from now on."), "good")
    return redirect(url_for("agencies.show_one", agency_id=agency_id))


@blueprint.post("/agencies/<uuid:agency_id>/complaints")
@permit("agencies.judge")
def record_complaints(agency_id: UUID) -> Answer:
    try:
        given = require(ComplaintsForm(), request.form)
        with open_work() as work:
            standings.record_complaints(work, agency_id, given["upheld_complaints"])
    except MENDABLE as refusal:
        return _agency(agency_id, request.form, refusal)
    flash(_("The count stands."), "good")
    return redirect(url_for("agencies.show_one", agency_id=agency_id))


@blueprint.post("/agencies/<uuid:agency_id>/papers")
@permit("agencies.record")
def record(agency_id: UUID) -> Answer:
    try:
        _record(agency_id)
    except MENDABLE as refusal:
        return _agency(agency_id, request.form, refusal)
    flash(_("Recorded. It counts once the agency has attested it and you have accepted it."), "good")
    return redirect(url_for("agencies.show_one", agency_id=agency_id))


@blueprint.get("/papers")
@permit("papers.attest")
def list_papers() -> Page:
    """For an agency: each lender, what it asks for and how that stands."""
    with open_work() as work:
        lenders = own_papers.list_own(work)
    return show("agencies/papers.html", {}, lenders=lenders)


@blueprint.get("/papers/<uuid:lender_id>")
@permit("papers.attest")
def show_papers(lender_id: UUID) -> Page:
    return _papers(lender_id, {})


@blueprint.post("/papers/<uuid:lender_id>")
@permit("papers.attest")
def record_own(lender_id: UUID) -> Answer:
    """Recorded by the agency's manager, who attests it with the same act."""
    try:
        _record(lender_id, attest=True)
    except MENDABLE as refusal:
        return _papers(lender_id, request.form, refusal)
    flash(_("Recorded and attested. It counts once the lender has accepted it."), "good")
    return redirect(url_for("agencies.show_papers", lender_id=lender_id))


@blueprint.post("/agency-papers/<uuid:paper_id>/attest")
@permit("papers.attest")
def attest(paper_id: UUID) -> Answer:
    with open_work() as work:
        paper = agency_documents.attest(work, paper_id)
    flash(_("Attested. It counts once the lender has accepted it."), "good")
    return redirect(url_for("agencies.show_papers", lender_id=paper.lender_id))


@blueprint.post("/agency-papers/<uuid:paper_id>/accept")
@permit("papers.accept")
def accept(paper_id: UUID) -> Answer:
    with open_work() as work:
        paper = agency_documents.accept(work, paper_id)
        found = agency_documents.find_counting(work, paper.lender_id, [paper.agency_id], day_of(work.at))
    if found[paper.agency_id][paper.kind][0] is paper:
        flash(_("Accepted. It counts from now on."), "good")
    else:
        flash(_("Accepted. An older version ends later and counts on; withdraw it if it no longer holds."), "watch")
    return redirect(url_for("agencies.show_one", agency_id=paper.agency_id))


@blueprint.post("/agency-papers/<uuid:paper_id>/withdraw")
@permit("papers.record")
def withdraw(paper_id: UUID) -> Answer:
    with open_work() as work:
        paper, side = agency_documents.withdraw(work, paper_id), work.actor.side
    flash(_("Withdrawn. It counts no more."), "good")
    if side == "agency":
        return redirect(url_for("agencies.show_papers", lender_id=paper.lender_id))
    return redirect(url_for("agencies.show_one", agency_id=paper.agency_id))


def _record(counterparty_id: UUID, attest: bool = False) -> None:
    given = require(PaperForm(), request.form.to_dict() | {"provinces": request.form.getlist("provinces")})

    def act() -> AgencyDocument:
        made = agency_documents.record(work, counterparty_id, Paper(**given))
        return agency_documents.attest(work, made.id) if attest else made

    with open_work() as work:
        once(work, act, lambda made: agency_documents.get(work, made))


def _kinds(work: Work, lender_id: UUID) -> list[agencies.KindState]:
    documents = agency_documents.list_own(work, lender_id)
    return agencies.kind_states(agency_documents.list_required(work, lender_id), documents, day_of(work.at))


def _agency(agency_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with tenant_work() as work:
        view = agencies.get(work, agency_id)
        people = {member.id: member.name for member in members.list_own(work)}
        today = day_of(work.at)
    state = view.line.record.state
    return show(
        "agencies/show.html",
        form,
        refusal,
        view=view,
        line=view.line,
        record=view.line.record,
        people=people,
        today=today,
        acts=[act for act in STANDING_ACTS if (state, act) in TRANSITIONS],
        may_freeze=(state, "freeze") in TRANSITIONS,
        standing_reasons=STANDING_REASONS,
        freeze_reasons=FREEZE_REASONS,
        formula={"weights": WEIGHTS, "assumed": CASES_ASSUMED, "days": WINDOW_DAYS},
        **_choices(),
    )


def _papers(lender_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        kinds = _kinds(work, lender_id)
        documents = agency_documents.list_own(work, lender_id)
        name = next(made.lender_name for made in agreements.list_own(work) if made.lender_id == lender_id)
        today = day_of(work.at)
    return show(
        "agencies/own_papers.html",
        form,
        refusal,
        lender_id=lender_id,
        lender_name=name,
        kinds=kinds,
        documents=documents,
        today=today,
        **_choices(),
    )


def _choices() -> dict[str, Any]:
    return {"document_kinds": DOCUMENT_KINDS, "licence": LICENCE, "provinces": PROVINCES, "once": uuid4().hex}
