"""The lender's ledger comes in: payments, balances, and what waits in suspense."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from models.ledger_file import BALANCE_COLUMNS, PAYMENT_COLUMNS
from models.services.settlement import ledgers
from portal.access import open_work, permit
from portal.description import TEXT, file_body
from portal.downloads import csv_download
from portal.requests import uploaded
from portal.schemas import ledger as s
from portal.schemas.base import PageQuery, page, page_of
from portal.schemas.exchange import RowErrorView

blueprint = Blueprint("ledger-api", __name__, description="The lender's ledger")


@blueprint.post("/ledger/payments")
@permit("ledger.upload")
@blueprint.arguments(s.FeedQuery, location="query")
@blueprint.response(201, s.FeedView)
@blueprint.doc(**file_body(PAYMENT_COLUMNS))
def receive_payments(query: dict[str, Any]) -> Any:
    """The day's payments as the raw body, CSV or XLSX; a header alone is a day without movement."""
    with open_work() as work:
        return ledgers.receive_payments(work, uploaded(), **query)


@blueprint.post("/ledger/balances")
@permit("ledger.upload")
@blueprint.arguments(s.FeedQuery, location="query")
@blueprint.response(201, s.FeedView)
@blueprint.doc(**file_body(BALANCE_COLUMNS))
def receive_balances(query: dict[str, Any]) -> Any:
    """The day's balances and statuses as the raw body, CSV or XLSX; agencies see them at their next request."""
    with open_work() as work:
        return ledgers.receive_balances(work, uploaded(), **query)


@blueprint.get("/ledger/feeds")
@permit("ledger.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.FeedView))
def list_feeds(query: dict[str, Any]) -> Any:
    """The files of the ledger that were received, the newest first."""
    with open_work() as work:
        return page(ledgers.list_feeds(work, **query), query["limit"])


@blueprint.get("/ledger/feeds/<uuid:feed_id>/errors")
@permit("ledger.read")
@blueprint.response(200, RowErrorView(many=True))
def list_feed_errors(feed_id: UUID) -> Any:
    """The faults of one ledger file: row, field and code, never the value."""
    with open_work() as work:
        return ledgers.list_feed_errors(work, feed_id)


@blueprint.get("/ledger/feeds/<uuid:feed_id>/errors.csv")
@permit("ledger.read")
@blueprint.response(200, TEXT, content_type="text/csv")
def download_feed_errors(feed_id: UUID) -> Response:
    """The faults of one ledger file as a CSV file."""
    with open_work() as work:
        found = ledgers.list_feed_errors(work, feed_id)
    return csv_download("errors.csv", ("row", "field", "code"), [(e.row, e.field, e.code) for e in found])


@blueprint.get("/ledger/suspense")
@permit("ledger.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.SuspenseView))
def list_suspense(query: dict[str, Any]) -> Any:
    """Payments of unknown cases: kept, never guessed."""
    with open_work() as work:
        return page(ledgers.list_suspense(work, **query), query["limit"])
