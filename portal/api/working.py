"""Working cases: the worklist, one case, what is opened of it and what is reported about it."""

from typing import Any
from uuid import UUID

from flask import request
from flask_smorest import Blueprint

from models.errors import Invalid, RowError
from models.services import activity_files, cases, claims, contacts, promises, releases
from models.work import AGENCY, Work
from portal.access import open_work, permit, tenant_work
from portal.requests import once, uploaded
from portal.schemas import working as s
from portal.schemas.base import PageQuery, page, page_of

blueprint = Blueprint("working-api", __name__, description="Cases, releases, contacts, promises, claims")

FILE_NAMES = {
    "text/csv": "activity.csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "activity.xlsx",
}


@blueprint.get("/cases")
@permit("cases.read")
@blueprint.arguments(s.CaseQuery, location="query")
@blueprint.response(200)
def list_cases(query: dict[str, Any]) -> dict[str, Any]:
    """An agency's worklist, most urgent first; a lender's cases (for its auditor too), newest first."""
    with tenant_work() as work:
        if work.actor.side == AGENCY:
            found = cases.worklist(work, s.worklist_filter(query), query["after"], query["limit"])
            return {"items": s.WorklistItemView(many=True).dump(found.items), "next_after": found.after}
        lines = cases.list_own(work, s.case_filter(query), s.case_cursor(query["after"]), query["limit"])
        last = lines[-1].case.id if len(lines) == query["limit"] else None
        return {"items": s.CaseLineView(many=True).dump(lines), "next_after": last}


@blueprint.post("/cases/find")
@permit("cases.read")
@blueprint.arguments(s.FindRequest)
@blueprint.response(200, s.FoundView(many=True))
def find_cases(given: dict[str, Any]) -> Any:
    """The cases with this number that one may see: none, one, or one for each lender that uses the number."""
    with tenant_work() as work:
        return find(work, given["case_number"])


@blueprint.get("/cases/<uuid:case_id>")
@permit("cases.read")
@blueprint.response(200, s.CasePageView)
def read_case(case_id: UUID) -> Any:
    with tenant_work() as work:
        return cases.get(work, case_id)


@blueprint.get("/cases/<uuid:case_id>/timeline")
@permit("cases.read")
@blueprint.response(200, s.TimelineItemView(many=True))
def read_timeline(case_id: UUID) -> Any:
    """What has happened to a case, newest first; each side sees its own part, the lender and its auditor all."""
    with tenant_work() as work:
        return cases.timeline(work, case_id)


@blueprint.post("/cases/<uuid:case_id>/releases")
@permit("cases.release")
@blueprint.arguments(s.ReleaseRequest)
@blueprint.response(201, s.OpenedView)
def release_fields(given: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Open one field class of a case for a reason. A repeated request is checked again and logged again."""
    return release(case_id, **given)


@blueprint.get("/cases/<uuid:case_id>/releases")
@permit("releases.read")
@blueprint.response(200, s.ReleaseView(many=True))
def list_case_releases(case_id: UUID) -> Any:
    """Who opened what of a case, when and why."""
    with tenant_work() as work:
        return releases.list_of_case(work, case_id)


@blueprint.get("/releases")
@permit("releases.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.ReleaseView))
def list_releases(query: dict[str, Any]) -> Any:
    with tenant_work() as work:
        return page(releases.list_own(work, **query), query["limit"])


@blueprint.post("/cases/<uuid:case_id>/contacts")
@permit("contacts.record")
@blueprint.arguments(s.ContactRequest)
@blueprint.response(201, s.ContactView)
def record_contact(given: dict[str, Any], case_id: UUID) -> Any:
    """Report one contact; its note is sealed."""
    with open_work() as work:
        return once(work, lambda: contacts.record(work, case_id, contacts.Report(**given)), lambda made: contacts.get(work, made))
