"""The first page after signing in: for each persona, what needs them now and how things stand."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from models.business_day import day_of
from models.services import job_runs
from models.services.exchange import agreements
from models.services.exchange.stops import STOP_RULE
from models.services.oversight import breaches, conduct, logs, needs
from models.services.oversight import overviews as figures_of
from models.services.oversight.needs import Need
from models.services.oversight.overviews import Vintage
from models.services.parties import freezes, mandates, members, organisations
from models.work import AGENCY, AUDITOR, LENDER, OPERATOR, Work
from portal import sheets
from portal.access import open_work, own_work, permit, require_known, tenant_work
from portal.charts import lines
from portal.formats import count, percent
from portal.schemas.conduct_forms import MandateChoiceForm
from portal.sheets import Line, Sheet
from portal.tasks import TASKS, Counted
from portal.web.breaches import summary
from portal.web.frame import may

blueprint = Blueprint("overview", __name__)

CURVE_DAYS = (0, 7, 14, 30, 60, 90)  # of the table beside the curves
RUN_ROWS = 8
PARTIES_SHOWN = 24  # of a lender's agencies: a list of all has its own page


class Waiting(NamedTuple):
    """One line of "needs you now"."""

    text: str
    icon: str
    href: str
    since: dt.datetime


@blueprint.get("/")
@permit("self.read")
def show() -> str:
    actor = require_known().actor
    if actor.side == AUDITOR and actor.mandate_lender_id is None:
        return _choose_mandate()
    return PAGES[actor.side]()


@blueprint.post("/mandate")
@permit("mandates.choose")
def choose_mandate() -> Any:
    """In whose mandate this session works from now on; the mandate must stand today."""
    lender_id: UUID = MandateChoiceForm().load(request.form)["lender_id"]
    with own_work() as work:
        mandates.get_active(work, lender_id, day_of(work.at))
        members.work_for(work, require_known().row.id, lender_id)
    return redirect(url_for("overview.show"))


@blueprint.get("/overview/mandates")
@permit("mandates.choose")
def list_mandates() -> str:
    return _choose_mandate()


@blueprint.get("/overview/liquidation.csv")
@permit("portfolios.read")
def download_liquidation() -> AnyResponse:
    """The curves as figures: vintage, day, share of the referred amount that had come back by its end."""
    return sheets.download(LIQUIDATION)


def _curves(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for currency in figures_of.currencies(work):
        for vintage in figures_of.vintages(work, currency):
            for day, rate in vintage.curve():
                yield work.tenant_id, (vintage.name, vintage.referred_amount, day, f"{rate:.6f}")


LIQUIDATION = Sheet("liquidation", "portfolios.read", ("vintage", "referred_amount", "day", "liquidation"), _curves)


def _lender() -> str:
    with open_work() as work:
        currencies = figures_of.currencies(work)
        currency = _chosen(currencies)
        found, parties = figures_of.vintages(work, currency), figures_of.parties(work, currency)
        page = {
            "currencies": currencies,
            "figures": figures_of.figures(work, currency, parties),
            "vintages": found,
            "parties": figures_of.largest(parties, PARTIES_SHOWN),
            "party_count": len(parties),
            "waiting": _waiting(needs.list_own(work)),
        }
    return render_template("overview/lender.html", **page, chart=_liquidation(found), curve_days=CURVE_DAYS)


def _agency() -> str:
    with open_work() as work:
        waiting, team = _waiting(needs.list_own(work)), figures_of.team(work)
        frozen = freezes.list_standing(work)
        if not may("cases.assign"):
            me = team[0] if team else None
            return render_template("overview/collector.html", waiting=waiting, me=me, frozen=frozen)
        currencies = figures_of.currencies(work)
        currency = _chosen(currencies)
        parties = figures_of.parties(work, currency)
        page = {
            "currencies": currencies,
            "figures": figures_of.figures(work, currency, parties),
            "parties": parties,
        }
    return render_template("overview/agency.html", **page, waiting=waiting, team=team, frozen=frozen)


def _auditor() -> str:
    host = current_app.config["LOG_HOST"]
    with tenant_work() as work:
        agencies = {agreement.agency_id: agreement.agency_name for agreement in agreements.list_own(work)}
        counts = {(row.agency_id, row.rule_id): row.breach_count for row in breaches.count_by_agency_and_rule(work)}
        trend = figures_of.breach_trend(work)
        head, key = logs.head(work), logs.verifier_key(work, host)
    rules = [(pack, rule) for pack in conduct.packs() for rule in pack.rules]
    of_packs = [rule.id for _pack, rule in rules]
    # What no pack judges, and what those of today no longer hold.
    others = dict.fromkeys(
        rule_id for rule_id in (STOP_RULE, *sorted(rule for _, rule in counts)) if rule_id not in of_packs
    )
    rule_ids = [*of_packs, *others]
    return render_template(
        "overview/auditor.html",
        lender_name=_mandating_lender(),
        agencies=agencies,
        rules=rules,
        others={rule_id: summary(rule_id) for rule_id in others},
        rule_ids=rule_ids,
        cells=[[counts.get((agency_id, rule_id), 0) for rule_id in rule_ids] for agency_id in agencies],
        breach_count=sum(counts.values()),
        trend=trend,
        chart=_trend(trend, agencies),
        stop_rule=STOP_RULE,
        head=head,
        key=key,
    )


def _operator() -> str:
    with open_work() as work:
        health = figures_of.health(work)
        runs = job_runs.list_own(work, limit=RUN_ROWS)
        names = {organisation.id: organisation.name for organisation in organisations.list_all(work)}
        waiting = _waiting(needs.list_own(work))
        lag_seconds = _lag_seconds(work, health.oldest_entry_at)
    return render_template(
        "overview/operator.html", health=health, runs=runs, names=names, waiting=waiting, lag_seconds=lag_seconds
    )


PAGES: dict[str, Callable[[], str]] = {LENDER: _lender, AGENCY: _agency, AUDITOR: _auditor, OPERATOR: _operator}


def _choose_mandate() -> str:
    with own_work() as work:
        found, today = mandates.list_own(work), day_of(work.at)
    return render_template("overview/choose_mandate.html", mandates=found, today=today)


def _mandating_lender() -> str:
    """As the mandate names it: the lender's own row is the lender's to read."""
    lender_id = require_known().actor.mandate_lender_id
    with own_work() as work:
        return next(mandate.lender_name for mandate in mandates.list_own(work) if mandate.lender_id == lender_id)


def _chosen(currencies: list[str]) -> str:
    """The currency asked for, else the one in which most was placed."""
    asked = request.args.get("currency", "")
    return asked if asked in currencies else (currencies or ["CNY"])[0]


def _waiting(found: list[Need]) -> list[Waiting]:
    """What this person may do something about, the longest waiting first."""
    shown = []
    for need in found:
        task = TASKS[need.kind]
        if may(task.permission):
            href = url_for(task.endpoint, **task.query)
            shown.append(Waiting(task.sentence(Counted(need.waiting_count)), task.icon, href, need.oldest_at))
    return shown


def _lag_seconds(work: Work, oldest_at: dt.datetime | None) -> int:
    return int((work.at - oldest_at).total_seconds()) if oldest_at else 0


def _liquidation(found: list[Vintage]) -> Markup | None:
    """A curve for each vintage, as long as it is old; none before anything was placed."""
    points = [(v.name, day, float(rate)) for v in found for day, rate in v.curve()]
    if not points:
        return None
    return lines(
        pl.DataFrame(points, schema={"series": pl.String, "x": pl.Int64, "y": pl.Float64}, orient="row"),
        title=_("Liquidation by vintage"),
        description=_("The share of the referred amount that had come back, by day of the placement."),
        write=percent,
        x_title=_("Day of the placement"),
    )


def _trend(trend: dict[UUID, dict[dt.date, int]], agencies: dict[UUID, str]) -> Markup | None:
    points = [
        (agencies.get(agency_id, ""), monday, float(number))
        for agency_id, weeks in trend.items()
        for monday, number in weeks.items()
    ]
    if not points:
        return None
    return lines(
        pl.DataFrame(points, schema={"series": pl.String, "x": pl.Date, "y": pl.Float64}, orient="row"),
        title=_("Breaches by week"),
        description=_("Breaches that stand, by agency and week."),
        write=lambda number: count(int(number)) if number == int(number) else "",
    )
