"""Exclusions: why a case, or everything of a borrower, may not be placed."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.exclusion_file import EXCLUSION_COLUMNS
from models.services.portfolio import exclusions
from portal.access import open_work, permit
from portal.description import ONCE, file_body
from portal.requests import once, uploaded
from portal.schemas import tenders as s
from portal.schemas.base import page_of
from portal.schemas.working import FileOutcomeView

blueprint = Blueprint("exclusions-api", __name__, description="What may not be placed, and why")


@blueprint.post("/exclusions")
@permit("exclusions.manage")
@blueprint.arguments(s.ExclusionRequest)
@blueprint.response(201, s.MadeExclusionView)
@blueprint.doc(**ONCE)
def record_exclusion(given: dict[str, Any]) -> Any:
    """Keep a case, or everything of its borrower, from being placed. It leaves the open tender that holds it."""
    with open_work() as work:
        return once(work, lambda: exclusions.record(work, **given), lambda made: exclusions.get(work, made))


@blueprint.post("/exclusions/file")
@permit("exclusions.manage")
@blueprint.response(200, FileOutcomeView)
@blueprint.doc(**file_body(EXCLUSION_COLUMNS))
def record_exclusions() -> Any:
    """A file of exclusions as the raw body, CSV or XLSX. Good rows stand, bad ones are named; again, all repeat."""
    with open_work() as work:
        return exclusions.record_file(work, uploaded())


@blueprint.get("/exclusions")
@permit("exclusions.read")
@blueprint.arguments(s.ExclusionQuery, location="query")
@blueprint.response(200, page_of(s.ExclusionView))
def list_exclusions(query: dict[str, Any]) -> Any:
    """The newest first; those that were lifted too, unless `standing`."""
    with open_work() as work:
        found = exclusions.list_own(work, **query)
    return {"items": found, "next_after": found[-1].exclusion.id if len(found) == query["limit"] else None}


@blueprint.get("/cases/<uuid:case_id>/exclusions")
@permit("exclusions.read")
@blueprint.response(200, s.ExclusionView(many=True))
def list_case_exclusions(case_id: UUID) -> Any:
    """Those of one case and of its borrower as a whole."""
    with open_work() as work:
        return exclusions.list_of_case(work, case_id)


@blueprint.post("/exclusions/<uuid:exclusion_id>/lift")
@permit("exclusions.manage")
@blueprint.response(200, s.MadeExclusionView)
def lift_exclusion(exclusion_id: UUID) -> Any:
    """It holds no longer; the record of it stays."""
    with open_work() as work:
        return exclusions.lift(work, exclusion_id)
