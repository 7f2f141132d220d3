"""What a lender decides: how long data is kept, how much of it may be opened or taken away, how cases are placed."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

# What an agency learns of the agencies that worked a case before it.
NOTHING, OUTCOMES, HISTORY = "nothing", "outcomes", "history"
EARLIER_AGENCIES = (NOTHING, OUTCOMES, HISTORY)
# What happens to the cases of a term that is over.
OFF, AUTOMATIC = "off", "automatic"
ROTATIONS = (OFF, AUTOMATIC)


class LenderSetting(Base):
    """One row for each lender that has changed anything; without it the defaults of `models.services.settings` hold."""

    __tablename__ = "lender_setting"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    retention_days: Mapped[int]  # kept at least this long after the last contact, payment or placement
    releases_per_day: Mapped[int]  # of one person
    export_rows: Mapped[int]  # a larger export needs a second person
    earlier_agencies: Mapped[str]
    tape_borrowers_min: Mapped[int]  # k: no stratum that an agency is shown has fewer borrowers
    new_case_follows: Mapped[bool]  # a new case goes to the agency that has the borrower's others
    approval_cases: Mapped[int]  # a distribution of more cases needs a second person
    required_documents: Mapped[list[str]]
    conduct_score_min: Mapped[int]  # of 100
    complaints_per_5000_max: Mapped[int]
    limitation_days: Mapped[int]  # after so many days overdue a debt counts as time-barred; 0: never
    rotation: Mapped[str]
    paying_days: Mapped[int]  # who has paid within so many days stays at the end of a term; 0: nobody
    retention_window_days: Mapped[int]  # before the end of a term: when agencies may ask to keep cases
    retention_days_max: Mapped[int]
    retention_percent_max: Mapped[int]  # of a placement's cases
    objection_hours: Mapped[int]
    stop_work_hours: Mapped[int]
    changed_by: Mapped[UUID]
    changed_at: Mapped[dt.datetime]
