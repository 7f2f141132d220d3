"""Book what the ledger's payments earn."""

import datetime as dt

from models.services.job_runs import Report
from models.services.settlement import commissions
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    return commissions.book(work, business_date, report)
