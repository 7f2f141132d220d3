"""Match the agencies' claims to the lender's ledger."""

import datetime as dt

from models.services.job_runs import Report
from models.services.settlement import reconciliations
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    return reconciliations.run(work, business_date, report)
