"""Exclusions: why a case, or everything of a borrower, may not be placed; with source and date, and kept when lifted.

What follows from the case itself (paid off, on hold, time-barred, placed already) is derived and never recorded:
see models/services/portfolio/scrub.py.
"""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from models.base import Base, Key, refers

RECORDED_REASONS = ("deceased", "bankrupt", "protected", "hardship", "complaint", "in_court", "on_hold", "debt_sold")
SOURCES = ("lender", "court", "registry", "borrower", "agency", "regulator")


class Exclusion(Base):
    """Of one case, or with no `case_id` of all cases of the borrower, also of later ones."""

    __tablename__ = "exclusion"
    __table_args__ = (
        refers("lender_id", "borrower_id", to="borrower"),
        refers("lender_id", "case_id", to="collection_case"),
        Index("ix_exclusion_standing", "lender_id", "borrower_id", postgresql_where="lifted_at is null"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    borrower_id: Mapped[UUID]
    case_id: Mapped[UUID | None]
    reason: Mapped[str]
    source: Mapped[str]
    noted_on: Mapped[dt.date]  # when the source learned it
    recorded_by: Mapped[UUID | None]  # None: by the return of an agency, or a job
    recorded_at: Mapped[dt.datetime]
    lifted_by: Mapped[UUID | None]
    lifted_at: Mapped[dt.datetime | None]
