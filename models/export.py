"""Exports: files that leave the portal, each traceable to one person and time; large ones need a second person."""

import datetime as dt
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

# Lists whose rows are people's cases: what somebody takes of them is counted over a day, however it is filtered.
PERSONAL: Final = frozenset(
    {
        "worklist",
        "cases",
        "case_history",
        "exclusions",
        "placement_cases",
        "placement_opened",
        "retentions",
        "suspense",
        "breaks",
        "breaches",
    }
)
AWAITING, APPROVED, REFUSED, TAKEN = "awaiting_approval", "approved", "refused", "taken"


class Export(Base):
    """`subject` holds the filters: ids, codes, products, and words looked for in organisations' names and agreements'
    numbers; nothing that looks like a person's number. An approval is for one download, until `expires_at`."""

    __tablename__ = "export"
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    id: Mapped[Key]
    tenant_id: Mapped[UUID]  # in whose tenant it was made: the organisation's own, or that of an auditor's lender
    kind: Mapped[str]
    subject: Mapped[dict[str, Any]]
    row_count: Mapped[int]
    state: Mapped[str]
    requested_by: Mapped[UUID]
    requester_name: Mapped[str]
    requested_at: Mapped[dt.datetime]
    decided_by: Mapped[UUID | None]
    decider_name: Mapped[str | None]
    decided_at: Mapped[dt.datetime | None]
    expires_at: Mapped[dt.datetime]
    taken_at: Mapped[dt.datetime | None]
    file_digest: Mapped[bytes | None]
