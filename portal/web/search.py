"""The search by a full phone or id number: what is typed goes in a body and into no answer."""

from flask import Blueprint, request

from models.errors import Refusal, TooMany
from models.search import KINDS
from models.services.portfolio import searches
from portal.access import open_work, permit
from portal.schemas.forms import require
from portal.schemas.search import SearchForm
from portal.web.forms import MENDABLE, Page, show
from portal.words import label

blueprint = Blueprint("search", __name__)


@blueprint.get("/search")
@permit("cases.search")
def index() -> Page:
    return _page()


@blueprint.post("/search")
@permit("cases.search")
def find() -> Page:
    """Found cases are shown on this answer; their addresses hold ids."""
    try:
        given = require(SearchForm(), request.form)
        with open_work() as work:
            found = searches.find(work, **given)
    except (*MENDABLE, TooMany) as refusal:
        return _page(refusal=refusal)
    return _page(found)


def _page(found: searches.Found | None = None, refusal: Refusal | None = None) -> Page:
    with open_work() as work:
        left, reasons = searches.count_left(work), searches.reasons(work)
    return show(
        "search/index.html",
        {name: request.form.get(name, "") for name in ("kind", "reason")},
        refusal,
        found=found,
        left=left,
        per_hour_max=searches.SEARCHES_PER_HOUR_MAX,
        kinds=[(kind, label(kind, "search_kind")) for kind in KINDS],
        reasons=[(code, label(code, "release_reason")) for code in reasons],
    )
