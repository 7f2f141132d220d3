"""The contract between a lender and an agency, under which offers are made."""

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Rate


class Agreement(Base):
    """Names both parties, because neither may look the other up anywhere else."""

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("lender_id", "number"),
        UniqueConstraint("lender_id", "agency_id", "id"),
        CheckConstraint("contingency_rate >= 0 and contingency_rate <= 1", name="contingency_rate"),
        CheckConstraint("ends_on >= starts_on", name="term"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    lender_name: Mapped[str]
    agency_name: Mapped[str]
    number: Mapped[str]
    currency: Mapped[str]
    contingency_rate: Mapped[Rate]
    term_days: Mapped[int]
    tail_days: Mapped[int]
    agency_may_receive: Mapped[bool]
    processing_agreement: Mapped[str]  # PIPL 21: the entrusted-processing agreement's number
    impact_assessment: Mapped[str]  # PIPL 55: the impact assessment's number
    starts_on: Mapped[dt.date]
    ends_on: Mapped[dt.date]
    state: Mapped[str]  # active, ended
    created_at: Mapped[dt.datetime]
