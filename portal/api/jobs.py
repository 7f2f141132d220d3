"""The nightly jobs: what ran for whom, and asking for a run now."""

from typing import Any

from flask_smorest import Blueprint

from models.services import job_runs
from portal.access import open_work, permit
from portal.schemas import conduct as s
from portal.schemas.base import page, page_of

blueprint = Blueprint("jobs-api", __name__, description="Job runs")


@blueprint.get("/job-runs")
@permit("jobs.read")
@blueprint.arguments(s.JobRunQuery, location="query")
@blueprint.response(200, page_of(s.JobRunView))
def list_job_runs(query: dict[str, Any]) -> Any:
    """Newest first; the operator sees those of every organisation."""
    with open_work() as work:
        return page(job_runs.list_own(work, **query), query["limit"])


@blueprint.post("/job-runs")
@permit("jobs.request")
@blueprint.arguments(s.JobRunRequest)
@blueprint.response(201, s.JobRunView)
def request_job_run(given: dict[str, Any]) -> Any:
    """Ask for a run. One that waits or runs already is answered; one that has ended runs again."""
    with open_work() as work:
        return job_runs.request(work, **given)
