"""Allocations over a panel, and undoing what a tender has placed."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services.exchange import allocations, undoing
from models.tender import COMMITTING, DRAWING
from portal.access import open_work, permit
from portal.description import ONCE
from portal.requests import once
from portal.schemas import allocations as s
from portal.schemas.base import PageQuery, page, page_of

blueprint = Blueprint("allocations-api", __name__, description="Dividing a portfolio over a panel of agencies")


@blueprint.post("/allocations")
@permit("allocations.plan")
@blueprint.arguments(s.AllocationRequest)
@blueprint.response(201, s.AllocationView)
@blueprint.alt_response(202, schema=s.AllocationView, description="Large: a worker draws it. Read it again.")
@blueprint.doc(**ONCE)
def preview_allocation(given: dict[str, Any]) -> Any:
    """Preview a plan: who would get which households, cases and amount, and what stands in the way. Places nothing."""
    with open_work() as work:
        made = once(work, lambda: allocations.preview(work, **given), lambda made: allocations.get(work, made))
    return made, HTTPStatus.ACCEPTED if made.state == DRAWING else HTTPStatus.CREATED


@blueprint.get("/allocations")
@permit("allocations.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.AllocationView))
def list_allocations(query: dict[str, Any]) -> Any:
    """The lender's allocations, the newest first."""
    with open_work() as work:
        return page(allocations.list_own(work, **query), query["limit"])


@blueprint.get("/allocations/<uuid:tender_id>")
@permit("allocations.read")
@blueprint.response(200, s.AllocationView)
def read_allocation(tender_id: UUID) -> Any:
    """One allocation: its plan with the seed, its preview, and what became of it."""
    with open_work() as work:
        return allocations.get(work, tender_id)


@blueprint.post("/allocations/<uuid:tender_id>/commit")
@permit("allocations.commit")
@blueprint.response(200, s.AllocationView)
@blueprint.alt_response(202, schema=s.AllocationView, description="Large: a worker places it. Read it again.")
def commit_allocation(tender_id: UUID) -> Any:
    """Place exactly what the preview says, or refuse; above the lender's limit a second person's call commits."""
    with open_work() as work:
        tender = allocations.commit(work, tender_id)
    return tender, HTTPStatus.ACCEPTED if tender.state == COMMITTING else HTTPStatus.OK


@blueprint.post("/allocations/<uuid:tender_id>/withdraw")
@permit("allocations.plan")
@blueprint.response(200, s.AllocationView)
def withdraw_allocation(tender_id: UUID) -> Any:
    """Drop what has not been placed."""
    with open_work() as work:
        return allocations.withdraw(work, tender_id)


@blueprint.post("/tenders/<uuid:tender_id>/undo")
@permit("tenders.undo")
@blueprint.arguments(s.UndoRequest)
@blueprint.response(200, s.UndoneView)
def undo_tender(given: dict[str, Any], tender_id: UUID) -> Any:
    """Bring back everything a tender placed, before the first contact; many cases need a second person's call."""
    with open_work() as work:
        return undoing.undo(work, tender_id, given["reason"])


@blueprint.post("/tenders/<uuid:tender_id>/keep")
@permit("tenders.undo")
@blueprint.response(200, s.UndoneView)
def keep_tender(tender_id: UUID) -> Any:
    """What was asked to be undone stays placed."""
    with open_work() as work:
        return undoing.keep(work, tender_id)
