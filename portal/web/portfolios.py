"""Portfolios as the lender sees them: uploaded, what stands and what was refused, and where the cases are."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.buckets import BUCKETS
from models.business_day import day_of
from models.errors import Refusal
from models.portfolio import REFUSED, Portfolio
from models.services.exchange import agreements, offers, rate_cards, tenders
from models.services.parties import lender_settings
from models.services.portfolio import portfolios
from models.services.portfolio.portfolios import GridCell, Progress
from models.strata import BALANCE_BAND_ABOVE, BALANCE_BANDS
from models.work import Work
from portal import sheets
from portal.access import open_work, permit
from portal.schemas.base import page
from portal.schemas.exchange_forms import OfferForm
from portal.schemas.forms import ListQuery, require
from portal.sheets import Line, Sheet, whole
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("portfolios", __name__)

LIST_ROWS = 50
ERRORS_SHOWN = 10
BANDS = (*BALANCE_BANDS.values(), BALANCE_BAND_ABOVE)


@blueprint.get("/portfolios")
@permit("portfolios.read")
def index() -> str:
    query = require(ListQuery(), request.args)
    with open_work() as work:
        found = portfolios.list_own(work, query["cursor"], LIST_ROWS)
        ids = [portfolio.id for portfolio in found]
        progress, once_placed = portfolios.progress(work, ids), portfolios.once_placed(work, ids)
    return render_template(
        "portfolios/index.html", list=page(found, LIST_ROWS), progress=progress, once_placed=once_placed
    )


@blueprint.get("/portfolios.csv")
@permit("portfolios.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for p in whole(lambda after: portfolios.list_own(work, after)):
        counts = (p.row_count, p.case_count, p.borrower_count, p.refused_count)
        for currency, total in p.balances.items():
            yield p.lender_id, (p.name, p.state, *counts, currency, total, p.created_at)


SHEET = Sheet(
    "portfolios",
    "portfolios.read",
    ("name", "state", "rows", "cases", "borrowers", "refused", "currency", "balance", "created_at"),
    _lines,
)


@blueprint.get("/portfolios/new")
@permit("portfolios.upload")
def new() -> str:
    return render_template("portfolios/new.html")


@blueprint.get("/portfolios/<uuid:portfolio_id>")
@permit("portfolios.read")
def show_one(portfolio_id: UUID) -> Page:
    return _portfolio(portfolio_id, {"respond_hours": "72"})


@blueprint.post("/portfolios/<uuid:portfolio_id>/offers")
@permit("offers.create")
def offer(portfolio_id: UUID) -> Answer:
    try:
        given = require(OfferForm(), request.form.to_dict() | {"buckets": request.form.getlist("buckets") or None})
        with open_work() as work:
            made = tenders.assign(work, portfolio_id, **given)
    except MENDABLE as refusal:
        return _portfolio(portfolio_id, request.form, refusal)
    flash(_("Offered. The agency sees totals and strata, and no case until it accepts."), "good")
    return redirect(url_for("offers.show_one", offer_id=made.id))


def _portfolio(portfolio_id: UUID, form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        portfolio = portfolios.get(work, portfolio_id)
        progress = portfolios.progress(work, [portfolio_id])[portfolio_id]
        parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
        made = offers.list_own(work, portfolio_id=portfolio_id)
        today = day_of(work.at)
        shown = {
            "cards": rate_cards.list_newest(work),
            "strata": portfolios.strata(work, portfolio_id),
            "grids": grids(portfolios.grid(work, portfolio_id)),
            "keys": portfolios.list_keys(work, portfolio_id),
            "fault_counts": portfolios.count_errors(work, portfolio_id),
            "errors": portfolios.list_errors(work, portfolio_id, ERRORS_SHOWN),
            "offers": made,
            "figures": offers.figures(work, made),
            "smallest_group": lender_settings.get(work).tape_borrowers_min,
        }
    return show(
        "portfolios/show.html",
        form,
        refusal,
        portfolio=portfolio,
        progress=progress,
        stage=stage_of(portfolio, progress),
        parties=parties,
        in_force=[a for a in parties.values() if a.state == "active" and a.starts_on <= today <= a.ends_on],
        buckets=BUCKETS,
        bands=BANDS,
        chosen=form.getlist("buckets") if form is request.form else [],
        **shown,
    )


def stage_of(portfolio: Portfolio, progress: Progress) -> str | None:
    """The step of the strip at which it is; None: all are done. Once nothing is left to place, the rest is to close."""
    if portfolio.state == REFUSED:
        return "validated"
    if progress.closed and progress.closed == portfolio.case_count:
        return None
    if progress.placed and not (progress.free or progress.offered):
        return "closed"
    return "placed" if progress.placed else "offered" if progress.offered else "sealed"


def grids(cells: Iterable[GridCell]) -> list[dict[str, Any]]:
    """For each currency the buckets that occur, and for each of them a value per band: counts and balances."""
    found: dict[str, dict[str, dict[str, GridCell]]] = {}
    for cell in cells:
        found.setdefault(cell.currency, {}).setdefault(cell.bucket, {})[cell.balance_band] = cell
    return [
        {
            "currency": currency,
            "buckets": list(rows),
            "counts": [[row[band].case_count if band in row else None for band in BANDS] for row in rows.values()],
            "balances": [[row[band].balance if band in row else None for band in BANDS] for row in rows.values()],
        }
        for currency, rows in found.items()
    ]
