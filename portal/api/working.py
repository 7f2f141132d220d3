"""Working cases: the worklist, one case, what is opened of it and what is reported about it."""

from typing import Any
from uuid import UUID

from flask import request
from flask_smorest import Blueprint

from models.activity_file import CLAIM_COLUMNS, contact_columns
from models.services.collection import activity_files, claims, contacts, promises, releases, worklists
from models.services.portfolio import cases, corrections
from models.work import AGENCY
from portal.access import open_work, permit, tenant_work
from portal.description import CSV, ONCE, XLSX, either, file_body
from portal.releasing import release
from portal.requests import once, uploaded
from portal.schemas import working as s
from portal.schemas.base import PageQuery, page, page_of

blueprint = Blueprint("working-api", __name__, description="Cases, releases, contacts, promises, claims")

FILE_NAMES = {CSV: "activity.csv", XLSX: "activity.xlsx"}


@blueprint.get("/cases")
@permit("cases.read")
@blueprint.arguments(s.CaseQuery, location="query")
@blueprint.response(200)
@blueprint.doc(**either(s.WorklistPage, s.CaseLinePage))
def list_cases(query: dict[str, Any]) -> Any:
    """An agency's worklist, most urgent first; a lender's cases (for its auditor too), newest first."""
    with tenant_work() as work:
        if work.actor.side == AGENCY:
            found = worklists.read(work, s.worklist_filter(query), query["after"], query["limit"])
            return s.WorklistPage().dump({"items": found.items, "next_after": found.after})
        lines = cases.list_own(work, s.case_filter(query), s.case_cursor(query["after"]), query["limit"])
        last = lines[-1].case.id if len(lines) == query["limit"] else None
        return s.CaseLinePage().dump({"items": lines, "next_after": last})


@blueprint.post("/cases/find")
@permit("cases.read")
@blueprint.arguments(s.FindRequest)
@blueprint.response(200, s.FoundView(many=True))
def find_cases(given: dict[str, Any]) -> Any:
    """The cases with this number that one may see: none, one, or one for each lender that uses the number."""
    with tenant_work() as work:
        return cases.list_numbered(work, given["case_number"])


@blueprint.get("/cases/<uuid:case_id>")
@permit("cases.read")
@blueprint.response(200, s.CaseDetailView)
def read_case(case_id: UUID) -> Any:
    """One case: figures, masks, placement, and what may be done now."""
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


@blueprint.post("/cases/<uuid:case_id>/corrections")
@permit("cases.correct")
@blueprint.arguments(s.CorrectionRequest)
@blueprint.response(201, s.CorrectionView)
def correct_case(given: dict[str, Any], case_id: UUID) -> Any:
    """Replace personal fields of a case; an empty text takes an optional one away. The same again changes nothing."""
    with open_work() as work:
        return corrections.correct(work, case_id, **given)


@blueprint.get("/cases/<uuid:case_id>/corrections")
@permit("cases.corrections")
@blueprint.response(200, s.CorrectionView(many=True))
def list_corrections(case_id: UUID) -> Any:
    """Which fields were corrected when, newest first; never a value."""
    with tenant_work() as work:
        return corrections.list_of_case(work, case_id)


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
    """What was opened in one's organisation's reach, the newest first."""
    with tenant_work() as work:
        return page(releases.list_own(work, **query), query["limit"])


@blueprint.post("/cases/<uuid:case_id>/contacts")
@permit("contacts.record")
@blueprint.arguments(s.ContactRequest)
@blueprint.response(201, s.ContactView)
@blueprint.doc(**ONCE)
def record_contact(given: dict[str, Any], case_id: UUID) -> Any:
    """Report one contact; its note is sealed."""
    report = contacts.ContactReport(**given)
    with open_work() as work:
        return once(work, lambda: contacts.record(work, case_id, report), lambda made: contacts.get(work, made))


@blueprint.post("/cases/<uuid:case_id>/promises")
@permit("promises.record")
@blueprint.arguments(s.PromiseRequest)
@blueprint.response(201, s.PromiseView)
@blueprint.doc(**ONCE)
def record_promise(given: dict[str, Any], case_id: UUID) -> Any:
    """Report a promise to pay; whether it was kept is for the lender's ledger to say."""
    report = promises.PromiseReport(**given)
    with open_work() as work:
        return once(work, lambda: promises.record(work, case_id, report), lambda made: promises.get(work, made))


@blueprint.post("/cases/<uuid:case_id>/claims")
@permit("claims.record")
@blueprint.arguments(s.ClaimRequest)
@blueprint.response(201, s.ClaimView)
@blueprint.doc(**ONCE)
def record_claim(given: dict[str, Any], case_id: UUID) -> Any:
    """Report a payment; it is a claim until the lender's ledger says so too."""
    report = claims.ClaimReport(**given)
    with open_work() as work:
        return once(work, lambda: claims.record(work, case_id, report), lambda made: claims.get(work, made))


@blueprint.post("/activity/contacts")
@permit("activity.upload")
@blueprint.arguments(s.ActivityFileQuery, location="query")
@blueprint.response(200, s.FileOutcomeView)
@blueprint.doc(**file_body(contact_columns()))
def record_contacts(query: dict[str, Any]) -> Any:
    """A file of contacts as the raw body, CSV or XLSX. Good rows are taken, bad ones named; again, all are repeats.
    At most 100,000 rows."""
    with open_work() as work:
        return activity_files.record_contacts(work, uploaded(), file_name(query))


@blueprint.post("/activity/claims")
@permit("activity.upload")
@blueprint.arguments(s.ActivityFileQuery, location="query")
@blueprint.response(200, s.FileOutcomeView)
@blueprint.doc(**file_body(CLAIM_COLUMNS))
def record_claims(query: dict[str, Any]) -> Any:
    """A file of payment claims as the raw body, CSV or XLSX, taken in the same way."""
    with open_work() as work:
        return activity_files.record_claims(work, uploaded(), file_name(query))


def file_name(query: dict[str, Any]) -> str:
    """As given, or a name that says which of the two kinds the content type names."""
    return query["file_name"] or FILE_NAMES.get(request.mimetype, "activity.csv")
