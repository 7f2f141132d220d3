"""A lender's agencies: who may receive cases and who may not and why, their papers, and how they stand."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.agency_document import Paper
from models.services.parties import agencies, agency_documents, standings
from models.services.parties.agencies import AgencyFilter
from portal import freezing
from portal.access import open_work, permit, tenant_work
from portal.description import ONCE
from portal.requests import once
from portal.schemas import agencies as s
from portal.schemas.base import page_of
from portal.schemas.erasure import FreezeRequest

blueprint = Blueprint("agencies-api", __name__, description="Agencies, their papers and how they stand")


@blueprint.get("/agencies")
@permit("agencies.read")
@blueprint.arguments(s.AgencyQuery, location="query")
@blueprint.response(200, page_of(s.AgencyView))
def list_agencies(query: dict[str, Any]) -> Any:
    """Every agency under an agreement, whether it may receive cases now, and if not every reason why."""
    after, limit = query.pop("after"), query.pop("limit")
    with tenant_work() as work:
        found = agencies.list_own(work, AgencyFilter(**query), after, limit)
    return {"items": found, "next_after": found[-1].agency_id if len(found) == limit else None}


@blueprint.get("/agencies/<uuid:agency_id>")
@permit("agencies.read")
@blueprint.response(200, s.AgencyPageView)
def read_agency(agency_id: UUID) -> Any:
    """One agency with every version of its papers, how it came to stand as it does, and what it showed."""
    with tenant_work() as work:
        return agencies.get(work, agency_id)


@blueprint.post("/agencies/<uuid:agency_id>/freeze")
@permit("placements.freeze")
@blueprint.arguments(FreezeRequest)
@blueprint.response(200, s.StandingView)
def freeze_agency(given: dict[str, Any], agency_id: UUID) -> Any:
    """The emergency: in one act every live placement stands still and nothing new reaches the agency."""
    return freezing.freeze(agency_id, given["reason"])


@blueprint.post("/agencies/<uuid:agency_id>/standing")
@permit("agencies.judge")
@blueprint.arguments(s.StandingRequest)
@blueprint.response(200, s.StandingView)
def change_standing(given: dict[str, Any], agency_id: UUID) -> Any:
    """Watch, suspend, clear or remove an agency; after a freeze `clear` lets go on what the freeze had stopped."""
    with open_work() as work:
        return standings.change(work, agency_id, **given)


@blueprint.put("/agencies/<uuid:agency_id>/complaints")
@permit("agencies.judge")
@blueprint.arguments(s.ComplaintsRequest)
@blueprint.response(200, s.StandingView)
def record_complaints(given: dict[str, Any], agency_id: UUID) -> Any:
    """How many complaints against the agency were upheld in the last twelve months."""
    with open_work() as work:
        return standings.record_complaints(work, agency_id, given["upheld_complaints"])


@blueprint.get("/agency-documents")
@permit("papers.read")
@blueprint.arguments(s.PaperQuery, location="query")
@blueprint.response(200, s.PaperView(many=True))
def list_agency_documents(query: dict[str, Any]) -> Any:
    """Every version of every paper, the newest first."""
    with tenant_work() as work:
        return agency_documents.list_own(work, **query)


@blueprint.post("/agency-documents")
@permit("papers.record")
@blueprint.arguments(s.CounterpartyPaperRequest)
@blueprint.response(201, s.PaperView)
@blueprint.doc(**ONCE)
def record_paper(given: dict[str, Any]) -> Any:
    """A new version of a paper, by either side. It counts once the agency has attested and the lender accepted it."""
    counterparty_id = given.pop("counterparty_id")
    with open_work() as work:
        return once(
            work,
            lambda: agency_documents.record(work, counterparty_id, Paper(**given)),
            lambda made: agency_documents.get(work, made),
        )


@blueprint.get("/agency-documents/<uuid:paper_id>")
@permit("papers.read")
@blueprint.response(200, s.PaperView)
def read_paper(paper_id: UUID) -> Any:
    """One version of a paper."""
    with tenant_work() as work:
        return agency_documents.get(work, paper_id)


@blueprint.post("/agency-documents/<uuid:paper_id>/attest")
@permit("papers.attest")
@blueprint.response(200, s.PaperView)
def attest_paper(paper_id: UUID) -> Any:
    """The agency stands for it."""
    with open_work() as work:
        return agency_documents.attest(work, paper_id)


@blueprint.post("/agency-documents/<uuid:paper_id>/accept")
@permit("papers.accept")
@blueprint.response(200, s.PaperView)
def accept_paper(paper_id: UUID) -> Any:
    """The lender takes an attested paper: from now on it counts."""
    with open_work() as work:
        return agency_documents.accept(work, paper_id)


@blueprint.post("/agency-documents/<uuid:paper_id>/withdraw")
@permit("papers.record")
@blueprint.response(200, s.PaperView)
def withdraw_paper(paper_id: UUID) -> Any:
    """It counts no more: revoked, recorded in error, or not good enough."""
    with open_work() as work:
        return agency_documents.withdraw(work, paper_id)


@blueprint.get("/lenders/<uuid:lender_id>/required-documents")
@permit("papers.read")
@blueprint.response(200, s.RequiredView)
def read_required(lender_id: UUID) -> Any:
    """The kinds of paper that a lender asks its agencies for; a lender reads its own."""
    with tenant_work() as work:
        return {"kinds": agency_documents.list_required(work, lender_id)}
