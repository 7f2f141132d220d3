"""Recalls and returns: asked for, objected to, carried out, confirmed; one case or many, by id or by file."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.recall_file import RECALL_COLUMNS, RETURN_COLUMNS
from models.services.exchange import histories, recall_files, recall_lists, recalls, returns, stops
from models.services.exchange.recall_lists import RecallFilter
from portal.access import open_work, permit, tenant_work
from portal.description import file_body
from portal.requests import uploaded
from portal.schemas import placements as s
from portal.schemas.base import PageQuery, page_of
from portal.schemas.exchange import CountView
from portal.schemas.working import FileOutcomeView

blueprint = Blueprint("recalls-api", __name__, description="Recalls, returns and the history of a case")


@blueprint.post("/recalls")
@permit("placements.recall")
@blueprint.arguments(s.RecallsRequest)
@blueprint.response(201, s.RecallView(many=True))
def request_recalls(given: dict[str, Any]) -> Any:
    """Ask for cases: a recall for each placement. Some reasons, and `immediate`, take them back at once."""
    reason, immediate = given["reason"], given["immediate"]
    with open_work() as work:
        if given["placement_id"] is None:
            made = recalls.request_cases(work, reason, given["case_ids"], immediate=immediate)
        else:
            made = [recalls.request(work, given["placement_id"], reason, given["case_ids"], immediate=immediate)]
        return [recall_lists.get_line(work, request.id) for request in made]


@blueprint.post("/recalls/file")
@permit("placements.recall")
@blueprint.arguments(s.RecallFileQuery, location="query")
@blueprint.response(200, FileOutcomeView)
@blueprint.doc(**file_body(RECALL_COLUMNS))
def request_recall_file(query: dict[str, Any]) -> Any:
    """A file of case numbers and reasons as the raw body. Good rows are recalled, at once or after the
    hours to object, bad ones named."""
    with open_work() as work:
        name = query["file_name"] or "recalls.csv"
        return recall_files.request(work, uploaded(), name, immediate=query["immediate"])


@blueprint.get("/recalls")
@permit("placements.read")
@blueprint.arguments(s.RecallQuery, location="query")
@blueprint.response(200, page_of(s.RecallView))
def list_recalls(query: dict[str, Any]) -> Any:
    """The recalls one's organisation made or received, the newest first."""
    after, limit = query.pop("after"), query.pop("limit")
    with tenant_work() as work:
        found = recall_lists.list_own(work, RecallFilter(**query), after, limit)
    return {"items": found, "next_after": found[-1].request.id if len(found) == limit else None}


@blueprint.get("/recalls/<uuid:recall_id>")
@permit("placements.read")
@blueprint.response(200, s.RecallView)
def read_recall(recall_id: UUID) -> Any:
    """One recall, and how many of its cases stand how."""
    with tenant_work() as work:
        return recall_lists.get_line(work, recall_id)


@blueprint.get("/recalls/<uuid:recall_id>/cases")
@permit("placements.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.RecallCaseView))
def list_recall_cases(query: dict[str, Any], recall_id: UUID) -> Any:
    """The cases of a recall, with what was objected and decided."""
    with tenant_work() as work:
        found = recall_lists.list_cases(work, recall_id, **query)
    return {"items": found, "next_after": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/recalls/<uuid:recall_id>/object")
@permit("placements.acknowledge")
@blueprint.arguments(s.ObjectionRequest)
@blueprint.response(200, s.RecallView)
def object_to_recall(given: dict[str, Any], recall_id: UUID) -> Any:
    """Ask to keep cases of a recall, before its window closes."""
    with open_work() as work:
        recalls.object_to(work, recall_id, given["case_ids"], given["code"])
        return recall_lists.get_line(work, recall_id)


@blueprint.post("/recalls/<uuid:recall_id>/keep")
@permit("placements.recall")
@blueprint.arguments(s.CasesRequest)
@blueprint.response(200, s.RecallView)
def keep_cases(given: dict[str, Any], recall_id: UUID) -> Any:
    """Agree with the objections to these cases: they stay with the agency."""
    with open_work() as work:
        recalls.keep(work, recall_id, given["case_ids"])
        return recall_lists.get_line(work, recall_id)


@blueprint.post("/recalls/<uuid:recall_id>/execute")
@permit("placements.recall")
@blueprint.response(200, CountView)
def execute_recall(recall_id: UUID) -> Any:
    """Carry a recall out, over the objections that were not agreed with."""
    with open_work() as work:
        return {"count": recalls.execute(work, recall_id)}


@blueprint.post("/recalls/<uuid:recall_id>/withdraw")
@permit("placements.recall")
@blueprint.response(200, s.RecallView)
def withdraw_recall(recall_id: UUID) -> Any:
    """Take back a recall that is not carried out."""
    with open_work() as work:
        recalls.withdraw(work, recall_id)
        return recall_lists.get_line(work, recall_id)


@blueprint.post("/recalls/<uuid:recall_id>/lift-exclusions")
@permit("exclusions.manage")
@blueprint.response(200, CountView)
def lift_recall_exclusions(recall_id: UUID) -> Any:
    """Lift every exclusion that a recall itself brought about and that still stands."""
    with open_work() as work:
        return {"count": recalls.lift_exclusions(work, recall_id)}


@blueprint.post("/recalls/<uuid:recall_id>/confirm")
@permit("placements.acknowledge")
@blueprint.arguments(s.StopRequest)
@blueprint.response(200, s.RecallView)
def confirm_stop(given: dict[str, Any], recall_id: UUID) -> Any:
    """Confirm that all work on the recalled cases has stopped, by their number."""
    with open_work() as work:
        stops.confirm(work, recall_id, given["case_count"])
        return recall_lists.get_line(work, recall_id)


@blueprint.post("/placements/<uuid:placement_id>/returns")
@permit("placements.return")
@blueprint.arguments(s.ReturnRequest)
@blueprint.response(200, CountView)
def return_cases(given: dict[str, Any], placement_id: UUID) -> Any:
    """Give cases back to the lender, with a code that drives what follows."""
    with open_work() as work:
        return {"count": returns.give_back(work, placement_id, **given)}


@blueprint.post("/returns/file")
@permit("placements.return")
@blueprint.arguments(s.FileQuery, location="query")
@blueprint.response(200, FileOutcomeView)
@blueprint.doc(**file_body(RETURN_COLUMNS))
def return_file(query: dict[str, Any]) -> Any:
    """A file of case numbers and return codes as the raw body. Good rows are given back, bad ones named."""
    with open_work() as work:
        return returns.give_back_file(work, uploaded(), query["file_name"] or "returns.csv")


@blueprint.get("/cases/<uuid:case_id>/history")
@permit("cases.list")
@blueprint.response(200, s.StageView(many=True))
def read_history(case_id: UUID) -> Any:
    """Every tender that held the case, in order: who made it and how, to whom it was proposed and what they said,
    and the placement it came to: who, when, how much, why it ended."""
    with tenant_work() as work:
        return histories.of_case(work, case_id)
