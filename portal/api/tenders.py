"""Tenders: cases put to one agency after another, or to a panel of whom the first takes all."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services import approvals
from models.services.exchange import offers, tender_offers, tender_previews, tenders
from models.tender import Tender
from models.tender_plan import Plan
from models.work import Work
from portal.access import open_work, permit
from portal.description import ONCE
from portal.requests import once
from portal.schemas import tenders as s
from portal.schemas.base import page, page_of, with_facts

blueprint = Blueprint("tenders-api", __name__, description="Tenders: ways of placing cases")


@blueprint.post("/tenders/preview")
@permit("offers.create")
@blueprint.arguments(s.PlanRequest)
@blueprint.response(200, s.PreviewView)
def preview_tender(given: dict[str, Any]) -> Any:
    """What a tender would hold, what stays out and why, and which agencies may be asked; nothing is changed."""
    with open_work() as work:
        return tender_previews.make(work, Plan(**given))


@blueprint.post("/tenders")
@permit("offers.create")
@blueprint.arguments(s.PlanRequest)
@blueprint.response(201, s.TenderDetailView)
@blueprint.doc(**ONCE)
def create_tender(given: dict[str, Any]) -> Any:
    """Tender a portfolio's free cases. Above the lender's limit it awaits a second person before anybody is asked."""
    with open_work() as work:
        made = once(work, lambda: tenders.create(work, Plan(**given)), lambda made: tenders.get(work, made))
        return _detail(work, made)


@blueprint.get("/tenders")
@permit("tenders.read")
@blueprint.arguments(s.TenderQuery, location="query")
@blueprint.response(200, page_of(s.TenderView))
def list_tenders(query: dict[str, Any]) -> Any:
    """The lender's tenders, the newest first."""
    with open_work() as work:
        return page(tenders.list_own(work, **query), query["limit"])


@blueprint.get("/tenders/<uuid:tender_id>")
@permit("tenders.read")
@blueprint.response(200, s.TenderDetailView)
def read_tender(tender_id: UUID) -> Any:
    """One tender with the offers made of it and their answers."""
    with open_work() as work:
        return _detail(work, tenders.get(work, tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/approve")
@permit("tenders.approve")
@blueprint.response(200, s.TenderDetailView)
def approve_tender(tender_id: UUID) -> Any:
    """A second person opens a tender above the limit; whoever is asked first has the offer now."""
    with open_work() as work:
        return _detail(work, approvals.approve(work, tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/refuse")
@permit("tenders.approve")
@blueprint.response(200, s.TenderDetailView)
def refuse_tender(tender_id: UUID) -> Any:
    """A tender that awaits approval is not opened; its cases are free again."""
    with open_work() as work:
        return _detail(work, tenders.refuse(work, tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/withdraw")
@permit("offers.create")
@blueprint.response(200, s.TenderDetailView)
def withdraw_tender(tender_id: UUID) -> Any:
    """Take a tender back with every offer of it that is not answered yet."""
    with open_work() as work:
        return _detail(work, tenders.withdraw(work, tender_id))


def _detail(work: Work, tender: Tender) -> dict[str, Any]:
    made = tender_offers.list_all(work, tender.id)
    known = offers.figures(work, made)
    answers = [
        with_facts(s.AnswerView, o, offer_id=o.id, state=known[o.id].state_of(o), undone_at=known[o.id].undone_at)
        for o in made
    ]
    return with_facts(s.TenderView, tender, rules=tender.rules, tape=tender.tape, offers=answers)
