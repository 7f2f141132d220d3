"""Corrections: which personal fields of a case its lender has put right, in which version; never a value."""

import datetime as dt
from uuid import UUID

from sqlalchemy import SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers


class CaseCorrection(Base):
    """The classes of `fields` were sealed anew as `version`; the cells of that version stand in CaseSealing."""

    __tablename__ = "case_correction"
    __table_args__ = (refers("lender_id", "case_id", to="collection_case"),)
    lender_id: Mapped[Key]
    case_id: Mapped[Key]
    version: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    fields: Mapped[list[str]]
    corrected_by: Mapped[UUID]
    corrected_at: Mapped[dt.datetime]
