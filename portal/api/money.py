"""What the nights find and book: matches, breaks and commission statements."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from models.services.settlement import reconciliations, statements
from portal.access import permit, tenant_work
from portal.description import TEXT
from portal.downloads import text_download
from portal.schemas import ledger as s
from portal.schemas.base import PageQuery, page, page_of

blueprint = Blueprint("money-api", __name__, description="Matches, breaks, commission statements")


@blueprint.get("/breaks")
@permit("breaks.read")
@blueprint.arguments(s.BreakQuery, location="query")
@blueprint.response(200, page_of(s.BreakView))
def list_breaks(query: dict[str, Any]) -> Any:
    """Where an agency's claims and the lender's ledger differ, and whose turn it is."""
    with tenant_work() as work:
        return page(reconciliations.list_breaks(work, **query), query["limit"])


@blueprint.get("/matches")
@permit("breaks.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.MatchView))
def list_matches(query: dict[str, Any]) -> Any:
    """Claims that found their payment in the ledger."""
    with tenant_work() as work:
        return page(reconciliations.list_matches(work, **query), query["limit"])


@blueprint.get("/statements")
@permit("statements.read")
@blueprint.response(200, s.StatementHeadView(many=True))
def list_statements() -> Any:
    """One head for each agreement, month and currency, the newest month first."""
    with tenant_work() as work:
        found = statements.list_own(work)
    return [s.head_of(head, total) for head in found for total in head.totals]


@blueprint.get("/statements/<uuid:agreement_id>/<period>")
@permit("statements.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, s.StatementView)
def read_statement(query: dict[str, Any], agreement_id: UUID, period: str) -> Any:
    """The totals of the month, and its lines page by page, each with the derivation that anyone can replay."""
    with tenant_work() as work:
        found = statements.get(work, agreement_id, period, **query)
    lines = page(found.lines, query["limit"])
    heads = [s.head_of(found.head, total) for total in found.head.totals]
    return {"heads": heads, "lines": lines["items"], "next_after": lines["next_after"]}


@blueprint.get("/statements/<uuid:agreement_id>/<period>.csv")
@permit("statements.read")
@blueprint.response(200, TEXT, content_type="text/csv")
def download_statement(agreement_id: UUID, period: str) -> Response:
    """The statement as the file that `python -m models.commission verify` recomputes to the cent."""
    with tenant_work() as work:
        lines = statements.csv_lines(work, agreement_id, period)
    return text_download(f"statement-{period}.csv", lines, "text/csv")
