"""Retention: what agencies ask to keep beyond a term, and what the lender decides; breaks before work starts."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.recall_file import RETENTION_COLUMNS
from models.services.exchange import acknowledgements, retention_files, retentions
from models.services.exchange.retentions import RetentionFilter
from portal.access import open_work, permit, tenant_work
from portal.description import file_body
from portal.requests import uploaded
from portal.schemas import placements as s
from portal.schemas.base import page_of
from portal.schemas.exchange import CountView
from portal.schemas.working import FileOutcomeView

blueprint = Blueprint("retentions-api", __name__, description="Retention beyond a term, breaks before work starts")


@blueprint.get("/placements/<uuid:placement_id>/breaks")
@permit("placements.read")
@blueprint.response(200, s.AcknowledgementBreakView(many=True))
def list_acknowledgement_breaks(placement_id: UUID) -> Any:
    """What kept, or keeps, work on a placement from starting."""
    with tenant_work() as work:
        return acknowledgements.list_of_placement(work, placement_id)


@blueprint.get("/placements/<uuid:placement_id>/retention-window")
@permit("placements.read")
@blueprint.response(200, s.RetentionWindowView)
def read_retention_window(placement_id: UUID) -> Any:
    """When the agency may ask to keep cases of a placement, and how many the lender may still approve."""
    with tenant_work() as work:
        return retentions.window(work, placement_id)


@blueprint.post("/placements/<uuid:placement_id>/retentions")
@permit("retentions.request")
@blueprint.arguments(s.RetentionRequest)
@blueprint.response(200, CountView)
def request_retentions(given: dict[str, Any], placement_id: UUID) -> Any:
    """Ask to keep cases beyond the term, in the window before its end and on a ground."""
    with open_work() as work:
        return {"count": retentions.request(work, placement_id, **given)}


@blueprint.get("/retentions")
@permit("placements.read")
@blueprint.arguments(s.RetentionQuery, location="query")
@blueprint.response(200, page_of(s.RetentionView))
def list_retentions(query: dict[str, Any]) -> Any:
    """What was asked for, the newest first."""
    after, limit = query.pop("after"), query.pop("limit")
    with tenant_work() as work:
        found = retentions.list_own(work, RetentionFilter(**query), after, limit)
    return {"items": found, "next_after": found[-1].retention.id if len(found) == limit else None}


@blueprint.post("/retentions/decide")
@permit("retentions.decide")
@blueprint.arguments(s.RetentionDecision)
@blueprint.response(200, CountView)
def decide_retentions(given: dict[str, Any]) -> Any:
    """Approve or refuse several at once, all of them or none."""
    with open_work() as work:
        return {"count": retentions.decide(work, given["retention_ids"], approve=given["approve"])}


@blueprint.post("/retentions/decide-all")
@permit("retentions.decide")
@blueprint.arguments(s.RetentionsDecision)
@blueprint.response(200, s.DecidedView)
def decide_all_retentions(given: dict[str, Any]) -> Any:
    """Approve or refuse all that waits, placement by placement: all that was asked of one, or nothing of it."""
    filters = RetentionFilter(placement_id=given["placement_id"], agency_id=given["agency_id"])
    with open_work() as work:
        return retentions.decide_all(work, filters, given["up_to"], given["digest"], approve=given["approve"])


@blueprint.post("/retentions/file")
@permit("retentions.request")
@blueprint.arguments(s.FileQuery, location="query")
@blueprint.response(200, FileOutcomeView)
@blueprint.doc(**file_body(RETENTION_COLUMNS))
def request_retention_file(query: dict[str, Any]) -> Any:
    """A file of case numbers, grounds and days as the raw body. Good rows are asked for, bad ones named."""
    with open_work() as work:
        return retention_files.request(work, uploaded(), query["file_name"] or "retentions.csv")
