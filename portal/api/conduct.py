"""Breaches of conduct: what was flagged, on what evidence, and how often by whom."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services.oversight import breaches
from portal.access import permit, tenant_work
from portal.schemas import conduct as s
from portal.schemas.base import page, page_of, with_facts

blueprint = Blueprint("conduct-api", __name__, description="Breaches of conduct")


@blueprint.get("/breaches")
@permit("breaches.read")
@blueprint.arguments(s.BreachQuery, location="query")
@blueprint.response(200, page_of(s.BreachView))
def list_breaches(query: dict[str, Any]) -> Any:
    """Newest first: of all the lender's agencies, or the agency's own."""
    after, limit = query.pop("after"), query.pop("limit")
    with tenant_work() as work:
        return page(breaches.list_own(work, breaches.BreachFilter(**query), after, limit), limit)


@blueprint.get("/breaches/counts")
@permit("breaches.read")
@blueprint.response(200, s.BreachCountView(many=True))
def count_breaches() -> Any:
    """How many breaches stand, by agency and rule."""
    with tenant_work() as work:
        return breaches.count_by_agency_and_rule(work)


@blueprint.get("/breaches/<uuid:breach_id>")
@permit("breaches.read")
@blueprint.response(200, s.BreachPageView)
def read_breach(breach_id: UUID) -> Any:
    """One breach with its evidence. That an auditor looked is logged."""
    with tenant_work() as work:
        found = breaches.get(work, breach_id)
    return with_facts(
        s.BreachView,
        found.breach,
        rule=found.rule,
        window=found.window,
        contacts=found.contacts,
        releases=found.releases,
    )
