"""End the placements whose term is over."""

import datetime as dt

from models.services.exchange import expiries
from models.services.job_runs import Report
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    """Judged at the time of the run, whatever date it is for: a missed night is made good by the next."""
    return {"expired": expiries.expire_due(work)}
