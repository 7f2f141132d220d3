"""The nightly jobs: what ran for which day, how far a run is, and asking for one now."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from models.business_day import day_of
from models.errors import Refusal
from models.job_run import JobRun
from models.services import job_runs
from models.services.job_runs import DONE, FAILED, QUEUED, REQUESTABLE, RUNNING
from models.services.parties import organisations
from models.work import OPERATOR, Work
from portal.access import open_work, permit
from portal.schemas.base import page
from portal.schemas.conduct_forms import JobRunForm, RunListForm
from portal.schemas.forms import require
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.words import label

blueprint = Blueprint("jobs", __name__)

LIST_ROWS = 50
STATES = (QUEUED, RUNNING, DONE, FAILED)


@blueprint.get("/jobs")
@permit("jobs.read")
def index() -> Page:
    return _page({})


@blueprint.post("/jobs")
@permit("jobs.request")
def run_now() -> Answer:
    try:
        given = require(JobRunForm(), request.form)
        with open_work() as work:
            run = job_runs.request(work, **given)
    except MENDABLE as refusal:
        return _page(request.form, refusal)
    flash(_("%(job)s of %(day)s is queued.", job=label(run.job, "job"), day=run.business_date), "good")
    return redirect(url_for("jobs.index"))


@blueprint.get("/jobs/rows")
@permit("jobs.read")
def rows() -> str:
    """The table alone, which the page fetches again while something runs."""
    query = require(RunListForm(), request.args)
    with open_work() as work:
        found, names = _runs(work, query), _names(work)
    return render_template("jobs/_rows.html", list=page(found, LIST_ROWS), names=names, moving=is_moving(found))


@blueprint.get("/jobs/now")
@permit("jobs.read")
def now() -> str:
    """What runs at this moment, for the corner of every page."""
    with open_work() as work:
        running = job_runs.list_own(work, state=RUNNING, limit=1)
    return render_template("jobs/_now.html", run=running[0] if running else None)


def _page(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    query = require(RunListForm(), request.args)
    with open_work() as work:
        found, names = _runs(work, query), _names(work)
        yesterday = day_of(work.at) - dt.timedelta(days=1)
    return show(
        "jobs/index.html",
        form or {"business_date": yesterday.isoformat()},
        refusal,
        list=page(found, LIST_ROWS),
        names=names,
        moving=is_moving(found),
        query=query,
        chosen={name: value for name, value in query.items() if value is not None},
        requestable=REQUESTABLE,
        states=STATES,
    )


def _runs(work: Work, query: Mapping[str, Any]) -> list[JobRun]:
    return job_runs.list_own(work, query["job"], query["cursor"], LIST_ROWS, query["state"])


def _names(work: Work) -> dict[UUID, str]:
    """For the operator, whose runs these are."""
    return {o.id: o.name for o in organisations.list_all(work)} if work.actor.side == OPERATOR else {}


def is_moving(found: list[JobRun]) -> bool:
    return any(run.state in (QUEUED, RUNNING) for run in found)
