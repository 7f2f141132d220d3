"""With whom one works: agreements with agencies, mandates of auditors, and one's own colleagues."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.business_day import day_of
from models.errors import Refusal
from models.member import ROLES
from models.services import agreements, mandates, members
from models.work import Work
from portal import sheets
from portal.access import open_work, own_work, permit, require_known
from portal.schemas.exchange_forms import AgreementForm, ColleagueForm, MandateForm
from portal.schemas.forms import require
from portal.sheets import Line, Sheet
from portal.web.forms import NAMING, Answer, Page, show

blueprint = Blueprint("parties", __name__)


@blueprint.get("/agreements")
@permit("agreements.read")
def index() -> str:
    with open_work() as work:
        found, today = agreements.list_own(work), day_of(work.at)
    return render_template("parties/agreements.html", agreements=found, today=today)


@blueprint.get("/agreements.csv")
@permit("agreements.read")
def download_agreements() -> AnyResponse:
    return sheets.download(AGREEMENTS)


def _agreements(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for a in agreements.list_own(work):
        names, terms = (a.number, a.lender_name, a.agency_name), (a.currency, a.contingency_rate)
        yield a.lender_id, (*names, *terms, a.term_days, a.tail_days, a.starts_on, a.ends_on)


AGREEMENTS = Sheet(
    "agreements",
    "agreements.read",
    ("number", "lender", "agency", "currency", "contingency_rate", "term_days", "tail_days", "from", "to"),
    _agreements,
)


@blueprint.get("/agreements/new")
@permit("agreements.create")
def new_agreement() -> Page:
    with open_work() as work:
        today = day_of(work.at)
    usual = {
        "currency": "CNY",
        "term_days": "90",
        "tail_days": "15",
        "starts_on": today.isoformat(),
        "ends_on": today.replace(year=today.year + 1, day=min(today.day, 28)).isoformat(),
    }
    return _agreement_form(usual)


@blueprint.post("/agreements")
@permit("agreements.create")
def create_agreement() -> Answer:
    try:
        given = require(AgreementForm(), request.form)
        with open_work() as work:
            made = agreements.create(work, given.pop("agency_code"), agreements.Terms(**given))
    except NAMING as refusal:
        return _agreement_form(request.form, refusal)
    flash(_("Agreement %(number)s with %(agency)s stands.", number=made.number, agency=made.agency_name), "good")
    return redirect(url_for("parties.index"))


@blueprint.get("/mandates")
@permit("mandates.read")
def list_mandates() -> Page:
    return _mandates({})


@blueprint.post("/mandates")
@permit("mandates.grant")
def grant_mandate() -> Answer:
    try:
        given = require(MandateForm(), request.form)
        with open_work() as work:
            made = mandates.grant(work, **given)
    except NAMING as refusal:
        return _mandates(request.form, refusal)
    flash(_("%(auditor)s may audit until %(day)s.", auditor=made.auditor_name, day=made.ends_on), "good")
    return redirect(url_for("parties.list_mandates"))


@blueprint.get("/colleagues")
@permit("members.manage")
def list_colleagues() -> Page:
    return _colleagues({})


@blueprint.post("/colleagues")
@permit("members.manage")
def add_colleague() -> Answer:
    try:
        given = require(ColleagueForm(), request.form.to_dict() | {"roles": request.form.getlist("roles")})
        with open_work() as work:
            made = members.create(work, work.actor.side, work.actor.org_id, **given)
    except NAMING as refusal:
        return _colleagues(request.form, refusal)
    flash(_("%(name)s may sign in now.", name=made.name), "good")
    return redirect(url_for("parties.list_colleagues"))


def _agreement_form(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    return show("parties/new_agreement.html", form, refusal)


def _mandates(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with own_work() as work:
        found, today = mandates.list_own(work), day_of(work.at)
    return show("parties/mandates.html", form, refusal, mandates=found, today=today)


def _colleagues(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        found = members.list_own(work)
    return show("parties/colleagues.html", form, refusal, colleagues=found, roles=ROLES[require_known().actor.side])
