"""Portfolios: the upload of a case file, and what became of its rows."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from models.case_file import COLUMNS
from models.services.portfolio import portfolios
from portal.access import open_work, permit
from portal.description import TEXT, file_body
from portal.downloads import csv_download
from portal.requests import uploaded
from portal.schemas import exchange as s
from portal.schemas.base import PageQuery, page, page_of, with_facts

blueprint = Blueprint("portfolios-api", __name__, description="Portfolios of overdue cases")


@blueprint.post("/portfolios")
@permit("portfolios.upload")
@blueprint.arguments(s.UploadQuery, location="query")
@blueprint.response(201, s.PortfolioView)
@blueprint.doc(**file_body(COLUMNS))
def upload_portfolio(query: dict[str, Any]) -> Any:
    """The file of cases as the raw body, CSV or XLSX. The same file twice is a 409 and changes nothing."""
    with open_work() as work:
        return portfolios.upload(work, uploaded(), query["name"])


@blueprint.get("/portfolios")
@permit("portfolios.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.PortfolioView))
def list_portfolios(query: dict[str, Any]) -> Any:
    """The lender's portfolios, the newest first."""
    with open_work() as work:
        return page(portfolios.list_own(work, **query), query["limit"])


@blueprint.get("/portfolios/<uuid:portfolio_id>")
@permit("portfolios.read")
@blueprint.response(200, s.PortfolioDetailView)
def read_portfolio(portfolio_id: UUID) -> Any:
    """One portfolio and how much of it is sealed."""
    with open_work() as work:
        found = portfolios.get(work, portfolio_id)
        cells = portfolios.count_cells(work, portfolio_id)
    return with_facts(s.PortfolioView, found, sealed_cells=cells)


@blueprint.get("/portfolios/<uuid:portfolio_id>/strata")
@permit("portfolios.read")
@blueprint.response(200, s.StrataView)
def read_portfolio_strata(portfolio_id: UUID) -> Any:
    """Counts and balances by bucket, amount, age, product and province: the lender's own view, nothing merged."""
    with open_work() as work:
        return portfolios.strata(work, portfolio_id)


@blueprint.get("/portfolios/<uuid:portfolio_id>/errors")
@permit("portfolios.read")
@blueprint.response(200, s.RowErrorView(many=True))
def list_portfolio_errors(portfolio_id: UUID) -> Any:
    """The faults of an uploaded case file: row, field and code, never the value."""
    with open_work() as work:
        return portfolios.list_errors(work, portfolio_id)


@blueprint.get("/portfolios/<uuid:portfolio_id>/errors.csv")
@permit("portfolios.read")
@blueprint.response(200, TEXT, content_type="text/csv")
def download_portfolio_errors(portfolio_id: UUID) -> Response:
    """The error file: row, field and code of every fault, never the value."""
    with open_work() as work:
        found = portfolios.list_errors(work, portfolio_id)
    return csv_download("errors.csv", ("row", "field", "code"), [(e.row, e.field, e.code) for e in found])
