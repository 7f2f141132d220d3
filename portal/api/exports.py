"""Exports: the files that left, and those that wait for a second person."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services.oversight import exports
from portal.access import permit, tenant_work
from portal.description import CSV, TEXT
from portal.schemas import exports as s
from portal.schemas.base import PageQuery, page, page_of
from portal.web.exports import ask_for, take_approved

blueprint = Blueprint("exports-api", __name__, description="Files that leave, each with its export id")


@blueprint.get("/exports")
@permit("exports.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.ExportView))
def list_exports(query: dict[str, Any]) -> Any:
    """One's own files, the newest first; for who may approve, those of the whole organisation."""
    with tenant_work() as work:
        return page(exports.list_own(work, **query), query["limit"])


@blueprint.post("/exports")
@permit("exports.request")
@blueprint.arguments(s.ExportRequest)
@blueprint.response(201, s.ExportView)
def request_export(given: dict[str, Any]) -> Any:
    """Ask for a file of more rows than the lenders in it allow one person. A person approves it at the portal."""
    return ask_for(given["kind"], given["filters"])


@blueprint.get("/exports/<uuid:export_id>")
@permit("exports.read")
@blueprint.response(200, s.ExportView)
def read_export(export_id: UUID) -> Any:
    """One export."""
    with tenant_work() as work:
        return exports.get(work, export_id)


@blueprint.post("/exports/<uuid:export_id>/file")
@permit("exports.request")
@blueprint.response(200, TEXT, content_type=CSV)
def take_export(export_id: UUID) -> Any:
    """The approved file, once. Its rows are those of now; the last column, `export`, names the export on each."""
    return take_approved(export_id)
