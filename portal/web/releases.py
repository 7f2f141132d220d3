"""Releases over all cases: what was opened by whom, who opens more than usual, and who was stopped."""

import polars as pl
from flask import Blueprint, render_template, request
from flask_babel import gettext as _
from markupsafe import Markup

from models.services.collection import release_activity, releases
from models.services.collection.release_activity import Activity
from models.services.portfolio import cases
from portal import charts
from portal.access import permit, tenant_work
from portal.formats import count
from portal.schemas.base import page
from portal.schemas.forms import ListQuery, require
from portal.web.breaches import parties_of

blueprint = Blueprint("releases", __name__)

LIST_ROWS = 50
CHART_PEOPLE = 10


@blueprint.get("/releases")
@permit("releases.read")
def index() -> str:
    query = require(ListQuery(), request.args)
    with tenant_work() as work:
        found = releases.list_own(work, query["cursor"], LIST_ROWS)
        people = release_activity.list_people(work)
        flags = release_activity.list_pace_flags(work)
        numbers = cases.references(work, (record.case_id for record in found))
        parties, side = parties_of(work), work.actor.side
    return render_template(
        "releases/index.html",
        list=page(found, LIST_ROWS),
        people=people,
        outliers=[person for person in people if person.stands_out],
        flags=flags,
        chart=today_by_person(people),
        numbers=numbers,
        parties=parties,
        side=side,
    )


def today_by_person(people: list[Activity]) -> Markup | None:
    """The busiest of today; None where nobody has opened anything."""
    busy = [(person.member_name, person.today) for person in people if person.today][:CHART_PEOPLE]
    if not busy:
        return None
    return charts.bars(
        pl.DataFrame(busy, schema={"label": pl.String, "value": pl.Int64}, orient="row"),
        title=_("Opened today, by person"),
        description=_("How many field classes each person has opened today; the busiest come first."),
        write=lambda value: count(int(value)),
    )
