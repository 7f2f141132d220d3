"""Breaches of conduct: which rules were broken by whom, and what one verdict rests on."""

import datetime as dt
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from flask import Blueprint, render_template, request
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.breach import Breach
from models.compliance.rule import Rule
from models.contact import Contact
from models.release import ReleaseRecord
from models.services.exchange import agreements
from models.services.exchange.stops import STOP_RULE
from models.services.oversight import breaches, conduct
from models.services.oversight.breaches import BreachFilter, BreachView
from models.services.oversight.conduct import FLAGGED, WITHDRAWN
from models.services.portfolio import cases
from models.work import AGENCY, Work
from portal import sheets
from portal.access import permit, tenant_work
from portal.schemas.base import page
from portal.schemas.conduct_forms import BreachListForm
from portal.schemas.forms import require
from portal.sheets import Line, Sheet, bounded
from portal.timelines import CHANNEL_ICONS
from portal.words import label

blueprint = Blueprint("breaches", __name__)

LIST_ROWS, NEIGHBOUR_ROWS = 50, 4
STATES = (FLAGGED, WITHDRAWN)  # nobody answers or decides a breach yet
COLUMNS = "occurred_at rule article pack version party case_number subject severity state business_date flagged_at"


class Event(NamedTuple):
    """One line of the evidence, as the timeline macro shows it; `within` lies in the rule's window."""

    at: dt.datetime
    icon: str
    meaning: str
    title: str
    text: str
    actor: str
    within: bool
    kind: str = ""
    href: str = ""


@blueprint.get("/breaches")
@permit("breaches.read")
def index() -> str:
    query = require(BreachListForm(), request.args)
    with tenant_work() as work:
        found = breaches.list_own(work, filter_of(query), query["cursor"], LIST_ROWS)
        parties, side = parties_of(work), work.actor.side
        numbers = cases.references(work, (breach.case_id for breach in found))
        counts = breaches.count_by_agency_and_rule(work)
    return render_template(
        "breaches/index.html",
        list=page(found, LIST_ROWS),
        parties=parties,
        side=side,
        numbers=numbers,
        counts=counts,
        rule_ids=[*rules(), STOP_RULE],
        article=article,
        states=STATES,
        query=query,
        chosen=sheets.asked(SHEET, request.args),
        filtered=any(query[name] is not None for name in BreachFilter._fields),
        summary=summary,
    )


@blueprint.get("/breaches.csv")
@permit("breaches.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    chosen = filter_of(require(BreachListForm(), subject))
    known, parties, side = rules(), parties_of(work), work.actor.side
    found = bounded(lambda after: breaches.list_own(work, chosen, after))
    numbers = cases.references(work, (breach.case_id for breach in found))
    for b in found:
        rule = (b.rule_id, known[b.rule_id].article if b.rule_id in known else "", b.pack, b.pack_version)
        about = (parties.get(b.lender_id if side == AGENCY else b.agency_id), numbers.get(b.case_id), b.subject_kind)
        yield b.lender_id, (b.occurred_at, *rule, *about, b.severity, b.state, b.business_date, b.flagged_at)


SHEET = Sheet("breaches", "breaches.read", tuple(COLUMNS.split()), _lines, BreachFilter._fields, placed=True)


@blueprint.get("/breaches/<uuid:breach_id>")
@permit("breaches.read")
def show(breach_id: UUID) -> str:
    """What happened, which article, and its neighbours. That an auditor looked is logged."""
    with tenant_work() as work:
        view = breaches.get(work, breach_id)
        breach = view.breach
        parties, side = parties_of(work), work.actor.side
        same_person = BreachFilter(member_id=breach.member_id)
        same_rule = BreachFilter(rule_id=breach.rule_id, agency_id=breach.agency_id)
        near = [(_("Same rule, same agency"), neighbours(work, view, same_rule), same_rule)]
        if breach.member_id is not None:
            near.insert(0, (_("Same person"), neighbours(work, view, same_person), same_person))
        shown = [breach, *chain.from_iterable(found for _heading, found, _filters in near)]
        numbers = cases.references(work, (one.case_id for one in shown))
    return render_template(
        "breaches/show.html",
        breach=breach,
        summary=summary(breach.rule_id),
        article=article(breach),
        window=view.window,
        events=events_of(view, parties),
        parties=parties,
        side=side,
        numbers=numbers,
        neighbours=near,
    )


def filter_of(query: Mapping[str, Any]) -> BreachFilter:
    return BreachFilter(**{name: query[name] for name in BreachFilter._fields})


def parties_of(work: Work) -> dict[UUID, str]:
    """The names of those one has an agreement with: an agency's lenders, else the lender's agencies."""
    found = agreements.list_own(work)
    if work.actor.side == AGENCY:
        return {agreement.lender_id: agreement.lender_name for agreement in found}
    return {agreement.agency_id: agreement.agency_name for agreement in found}


def rules() -> dict[str, Rule]:
    return {rule.id: rule for pack in conduct.packs() for rule in pack.rules}


def article(breach: Breach) -> str:
    """Where the rule stands; of the stop of work, which no pack judges, whose rule it is."""
    rule = rules().get(breach.rule_id)
    return rule.article if rule else label(breach.pack, "force")


def summary(rule_id: str) -> str:
    """The rule in our own words, in the reader's language."""
    if rule_id == STOP_RULE:
        return _("The agency confirms in time that all work on recalled cases has stopped.")
    rule = rules().get(rule_id)
    if rule is None:
        return _("The packs no longer hold this rule.")
    return rule.summary.zh if str(get_locale()).startswith("zh") else rule.summary.en


def neighbours(work: Work, view: BreachView, near: BreachFilter) -> list[Breach]:
    found = breaches.list_own(work, near, limit=NEIGHBOUR_ROWS + 1)
    return [breach for breach in found if breach.id != view.breach.id][:NEIGHBOUR_ROWS]


def events_of(view: BreachView, parties: Mapping[UUID, str]) -> list[Event]:
    """The contacts and releases of the evidence, in the order in which they happened."""
    found = [
        *(_contact_event(view, contact, parties) for contact in view.contacts),
        *(_release_event(view, release, parties) for release in view.releases),
    ]
    return sorted(found, key=lambda event: event.at)


def _contact_event(view: BreachView, contact: Contact, parties: Mapping[UUID, str]) -> Event:
    return Event(
        contact.occurred_at,
        CHANNEL_ICONS[contact.channel],
        "bad" if contact.id == view.breach.subject_id else "neutral",
        f"{label(contact.channel, 'channel')} · {label(contact.outcome, 'outcome')}",
        f"{label(contact.direction, 'direction')} · {label(contact.party, 'party')}",
        _actor(contact, parties),
        _is_within(view, contact.occurred_at),
    )


def _release_event(view: BreachView, release: ReleaseRecord, parties: Mapping[UUID, str]) -> Event:
    return Event(
        release.released_at,
        "key",
        "bad" if release.id == view.breach.subject_id else "sealed",
        _("Opened: %(fields)s", fields=label(release.field_class, "field_class")),
        label(release.reason, "release_reason"),
        _actor(release, parties),
        _is_within(view, release.released_at),
    )


def _is_within(view: BreachView, at: dt.datetime) -> bool:
    return view.window is not None and view.window.start <= at < view.window.end


def _actor(event: Contact | ReleaseRecord, parties: Mapping[UUID, str]) -> str:
    agency = parties.get(event.agency_id, "") if event.agency_id else ""
    return " · ".join(name for name in (agency, event.member_name) if name)
