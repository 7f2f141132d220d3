"""What a lender decides about its own data: how long it is kept, and how much of it may be opened or taken away."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

# What an agency learns of the agencies that worked a case before it.
NOTHING, OUTCOMES, HISTORY = "nothing", "outcomes", "history"
EARLIER_AGENCIES = (NOTHING, OUTCOMES, HISTORY)


class LenderSetting(Base):
    """One row for each lender that has changed anything; without it the defaults of `models.services.settings` hold."""

    __tablename__ = "lender_setting"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    retention_days: Mapped[int]  # kept at least this long after the last contact, payment or placement
    releases_per_day: Mapped[int]  # of one person
    export_rows: Mapped[int]  # a larger export needs a second person
    earlier_agencies: Mapped[str]
    changed_by: Mapped[UUID]
    changed_at: Mapped[dt.datetime]
