"""Tell lenders and agencies which papers and agreements end soon."""

import datetime as dt

from models.services.job_runs import Report
from models.services.parties import agency_documents
from models.work import Work


def run(work: Work, business_date: dt.date, report: Report) -> dict[str, int]:
    """Judged at the time of the run, whatever date it is for: a missed night is made good by the next."""
    return {"told": agency_documents.notify_expiring(work)}
