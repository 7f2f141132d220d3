"""Pass on to the next tier what came back because its term was over, where the lender lets it."""

import datetime as dt

from models.services.exchange import rotations
from models.services.job_runs import Report
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    return rotations.run(work, business_date)
