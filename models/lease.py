"""Leases: how a lender that holds its own keys lets one agency open the cases placed with it, and no others."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers
from models.placement import PLACED

_PLACEMENT = ("lender_id", "agency_id", "placement_id")


class Lease(Base):
    """The lease key of one placement and field class, wrapped to the agency and signed by the lender."""

    __tablename__ = "lease"
    __table_args__ = (refers(*_PLACEMENT, to="placement", target=("lender_id", "agency_id", "id")),)
    lender_id: Mapped[Key]
    placement_id: Mapped[Key]
    field_class: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    serial: Mapped[int]
    grant: Mapped[dict[str, Any]]  # `consign-grant/1`, as crypto.grants writes it
    created_at: Mapped[dt.datetime]


class LeasedCase(Base):
    """One placed case's key of one field class, sealed under its lease key. The case's recall deletes it."""

    __tablename__ = "leased_case"
    __table_args__ = (refers(*PLACED, to="placed_case", target=PLACED),)
    lender_id: Mapped[Key]
    placement_id: Mapped[Key]
    case_id: Mapped[Key]
    field_class: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    sealed: Mapped[bytes]
