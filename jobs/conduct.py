"""Flag the breaches of conduct of all agencies."""

import datetime as dt

from models.services.job_runs import Report
from models.services.oversight import conduct
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    return conduct.sweep(work, business_date, report)
