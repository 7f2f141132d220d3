"""Exact searches by a full phone or id number: who searched, when, and how many cases were found; never for what."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

KINDS = ("mobile", "id_cn")


class Search(Base):
    """One search, a hit or a miss: both count against the person's hourly quota."""

    __tablename__ = "search"
    __table_args__ = (Index(None, "org_id", "member_id", "searched_at"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    id: Mapped[Key]
    member_id: Mapped[UUID]
    kind: Mapped[str]
    reason: Mapped[str]
    found_count: Mapped[int]
    searched_at: Mapped[dt.datetime]
