"""The truth about the jobs: one row per job, organisation and business date, whoever runs it."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key


class JobRun(Base):
    """A failure is kept as the exception's class only: its text could hold a value."""

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("org_id", "job", "business_date"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    job: Mapped[str]
    business_date: Mapped[dt.date]
    state: Mapped[str]  # queued, running, done, failed
    attempts: Mapped[int]
    progress: Mapped[int]  # per cent
    counts: Mapped[dict[str, Any]]
    error_class: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
