"""A lender's mandate to an auditor: whose conduct data the auditor may read, and until when."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key


class Mandate(Base):
    __tablename__ = "mandate"
    __table_args__ = (UniqueConstraint("lender_id", "auditor_id", "starts_on"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    auditor_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), index=True)
    lender_name: Mapped[str]
    auditor_name: Mapped[str]
    starts_on: Mapped[dt.date]
    ends_on: Mapped[dt.date]
    created_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]
