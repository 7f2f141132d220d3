"""Erasure, legal holds and a lender's settings."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services.parties import lender_settings
from models.services.portfolio import erasure_grounds, erasures, holds
from portal.access import open_work, permit, tenant_work
from portal.description import ONCE
from portal.requests import once
from portal.schemas import erasure as s
from portal.schemas.base import PageQuery, page, page_of

blueprint = Blueprint("erasures-api", __name__, description="Erasure, legal holds, a lender's settings")


@blueprint.get("/erasures/prospect")
@permit("erasures.foresee")
@blueprint.arguments(s.SubjectRequest, location="query")
@blueprint.response(200, s.ProspectView)
def foresee(query: dict[str, Any]) -> Any:
    """What stands in the way of an erasure now, counted; nothing is changed."""
    with open_work() as work:
        return erasure_grounds.prospect(work, **query)


@blueprint.post("/erasures")
@permit("erasures.carry_out")
@blueprint.arguments(s.SubjectRequest)
@blueprint.response(201, s.ErasureDetailView)
@blueprint.doc(**ONCE)
def erase(given: dict[str, Any]) -> Any:
    """Erase every case of the subject, or none. It cannot be undone; where one may not go, the answer counts why."""
    with open_work() as work:
        return once(work, lambda: erasures.erase(work, **given), lambda made: erasures.get(work, made))


@blueprint.get("/erasures")
@permit("erasures.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.ErasureView))
def list_erasures(query: dict[str, Any]) -> Any:
    """What was erased, the newest first."""
    with tenant_work() as work:
        return page([line.erasure for line in erasures.list_own(work, **query)], query["limit"])


@blueprint.get("/erasures/<uuid:erasure_id>")
@permit("erasures.read")
@blueprint.response(200, s.ErasureDetailView)
def read_erasure(erasure_id: UUID) -> Any:
    """One erasure with its signed record."""
    with tenant_work() as work:
        return erasures.get(work, erasure_id)


@blueprint.post("/holds")
@permit("holds.manage")
@blueprint.arguments(s.HoldRequest)
@blueprint.response(201, s.HoldView)
@blueprint.doc(**ONCE)
def place_hold(given: dict[str, Any]) -> Any:
    """Keep a case, a portfolio or a borrower from being erased until the hold is lifted."""
    with open_work() as work:
        return once(work, lambda: holds.place(work, **given), lambda made: holds.get(work, made))


@blueprint.get("/holds")
@permit("erasures.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.HoldView))
def list_holds(query: dict[str, Any]) -> Any:
    """Every hold, standing or lifted, the newest first."""
    with tenant_work() as work:
        return page([line.hold for line in holds.list_own(work, **query)], query["limit"])


@blueprint.post("/holds/<uuid:hold_id>/lift")
@permit("holds.manage")
@blueprint.response(200, s.HoldView)
def lift_hold(hold_id: UUID) -> Any:
    """End a hold."""
    with open_work() as work:
        return holds.lift(work, hold_id)


@blueprint.get("/lender-settings")
@permit("lender_settings.read")
@blueprint.response(200, s.LenderSettingsView)
def read_settings() -> Any:
    """What the lender has decided about its own data, or the defaults."""
    with tenant_work() as work:
        return lender_settings.get(work)


@blueprint.patch("/lender-settings")
@permit("lender_settings.change")
@blueprint.arguments(s.LenderSettingsRequest)
@blueprint.response(200, s.LenderSettingsView)
def change_settings(given: dict[str, Any]) -> Any:
    """Change the settings named; the log keeps each as it was and as it is."""
    with open_work() as work:
        return lender_settings.change(work, given)
