"""Exact searches: the cases of whoever has exactly this phone or id number."""

from typing import Any

from flask_smorest import Blueprint

from models.services.portfolio import searches
from portal.access import open_work, permit
from portal.schemas.search import SearchRequest, SearchView

blueprint = Blueprint("search-api", __name__, description="Exact searches, each logged as a release is")


@blueprint.post("/searches")
@permit("cases.search")
@blueprint.arguments(SearchRequest)
@blueprint.response(201, SearchView)
def find(given: dict[str, Any]) -> Any:
    """Search by one whole number, for a reason. A miss counts as a hit does; the number is not kept."""
    with open_work() as work:
        return searches.find(work, **given)
