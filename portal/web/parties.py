"""With whom one works: agreements with agencies, mandates of auditors, and one's own colleagues."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.agreement import PROPOSED
from models.business_day import day_of
from models.errors import Refusal
from models.member import ROLES
from models.services import second_person
from models.services.exchange import agreements, rate_cards, waiting_cards
from models.services.exchange.agreements import STANDINGS
from models.services.pages import LIMIT_MAX
from models.services.parties import mandates, members
from models.work import LENDER, Work
from portal import sheets
from portal.access import open_work, own_work, permit, require_known
from portal.schemas.agreement_forms import AgreementListQuery
from portal.schemas.base import page
from portal.schemas.exchange_forms import ColleagueForm, MandateForm
from portal.schemas.forms import require
from portal.sheets import Line, Sheet, whole
from portal.web.forms import NAMING, Answer, Page, show
from portal.words import label

blueprint = Blueprint("parties", __name__)

LIST_ROWS = 50


@blueprint.get("/agreements")
@permit("agreements.read")
def index() -> str:
    query = require(AgreementListQuery(), request.args)
    with open_work() as work:
        found = agreements.find(work, query["standing"], query["search"], query["cursor"], LIST_ROWS)
        today, first_page = day_of(work.at), not any(query.values())
        shown = {
            "cards": rate_cards.list_newest(work),
            "standings": {a.id: agreements.standing_on(a, today) for a in found},
            "waiting": _waiting(work) if first_page and work.actor.side == LENDER else [],
        }
    return render_template(
        "parties/agreements.html",
        list=page(found, LIST_ROWS),
        query=query,
        chosen=sheets.asked(AGREEMENTS, request.args),
        choices=STANDINGS,
        **shown,
    )


def _waiting(work: Work) -> list[dict[str, Any]]:
    """What waits for a second person, oldest first, and whether this person is the first."""
    proposed = [
        *((a, None, a.created_by, a.created_at) for a in agreements.find(work, PROPOSED, limit=LIMIT_MAX)),
        *(
            (
                agreements.get(work, c.agreement_id),
                c,
                c.withdrawal_by or c.proposed_by,
                c.withdrawal_at or c.proposed_at,
            )
            for c in waiting_cards.list_own(work)
        ),
    ]
    return [
        {"agreement": agreement, "card": card, "at": at, "own": second_person.may_not(work, by)}
        for agreement, card, by, at in sorted(proposed, key=lambda each: each[-1])
    ]


@blueprint.get("/agreements.csv")
@permit("agreements.read")
def download_agreements() -> AnyResponse:
    return sheets.download(AGREEMENTS)


def _agreements(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    cards, today = rate_cards.list_newest(work), day_of(work.at)
    query = require(AgreementListQuery(), subject)
    for a in whole(lambda after: agreements.find(work, query["standing"], query["search"], after)):
        card = cards[a.id]
        names, rates = (a.number, a.lender_name, a.agency_name), (card.lowest_rate, card.highest_rate)
        terms = (a.currency, a.tier, *rates, a.term_days, card.card.tail_days)
        yield a.lender_id, (*names, *terms, a.starts_on, a.ends_on, agreements.standing_on(a, today))


AGREEMENTS = Sheet(
    "agreements",
    "agreements.read",
    (
        *("number", "lender", "agency", "currency", "tier", "lowest_rate", "highest_rate", "term_days", "tail_days"),
        *("from", "to", "standing"),
    ),
    _agreements,
    filters=("standing", "search"),
)


@blueprint.get("/agency-list.csv")
@permit("agreements.publish")
def download_agency_list() -> AnyResponse:
    return sheets.download(AGENCY_LIST)


def _agency_list(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    """Whom the lender has entrusted today, in words: this is what it publishes."""
    for a in whole(lambda after: agreements.list_entrusted(work, after)):
        scope = [[label(code, table) for code in getattr(a, f"{table}s")] for table in ("province", "product")]
        everything = gettext("all")
        yield (
            a.lender_id,
            (
                *(a.agency_name, a.number, a.starts_on, a.ends_on),
                *("、".join(words) or everything for words in (*scope, a.buckets)),
            ),
        )


AGENCY_LIST = Sheet(
    "agency_list",
    "agreements.publish",
    ("agency", "agreement_number", "from", "to", "provinces", "products", "buckets"),
    _agency_list,
)


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


def _mandates(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with own_work() as work:
        found, today = mandates.list_own(work), day_of(work.at)
    return show("parties/mandates.html", form, refusal, mandates=found, today=today)


def _colleagues(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        found = members.list_own(work)
    return show("parties/colleagues.html", form, refusal, colleagues=found, roles=ROLES[require_known().actor.side])
