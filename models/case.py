"""A case: one overdue account of one borrower, its masks, and, in tables apart, its salt, cells and tokens."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, Money, refers

OPEN, PAID_OFF, CURED, HOLD, STOPPED = "open", "paid_off", "cured", "hold", "stopped"
STATUSES = (OPEN, PAID_OFF, CURED, HOLD, STOPPED)
NOT_OPEN = STATUSES[1:]
CLOSED = (PAID_OFF, CURED)  # nothing is owed any more: such a case counts as in nobody's hands


class Case(Base):
    """Readable columns hold masks and figures only. `agency_id` names who works it now, and lets it see the row.

    What only the lender may know of a case belongs in a table of its own with no agency policy.
    """

    __tablename__ = "collection_case"
    __table_args__ = (
        UniqueConstraint("reference", "lender_id"),  # in this order: an agency looks for a number at all its lenders
        refers("lender_id", "portfolio_id", to="portfolio"),
        refers("lender_id", "borrower_id", to="borrower"),
        Index(None, "lender_id", "portfolio_id"),
        Index(None, "lender_id", "borrower_id"),
        # The few that nobody may work: whether a case is among them is asked of thousands at once. No index names the
        # agency, which comes and goes.
        Index("ix_collection_case_not_open", "lender_id", "id", postgresql_where="status <> 'open'"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    portfolio_id: Mapped[UUID]
    borrower_id: Mapped[UUID]
    agency_id: Mapped[UUID | None]
    reference: Mapped[str]  # the lender's case number
    product: Mapped[str]
    region: Mapped[str | None]  # GB/T 2260, six digits
    currency: Mapped[str]
    principal: Mapped[Money | None]
    interest: Mapped[Money | None]
    fees: Mapped[Money | None]
    balance: Mapped[Money]
    balance_on: Mapped[dt.date]
    dpd: Mapped[int]
    bucket: Mapped[str]
    age_band: Mapped[str]
    overdue_since_on: Mapped[dt.date]  # counted back from `dpd` at the upload where the file does not say
    opened_on: Mapped[dt.date | None]
    status: Mapped[str]
    masks: Mapped[dict[str, Any]]  # field -> mask
    erased_at: Mapped[dt.datetime | None]


class CaseSalt(Base):
    """32 random bytes without which the case's key cannot be derived: deleting the row erases the case."""

    __tablename__ = "case_salt"
    __table_args__ = (refers("lender_id", "case_id", to="collection_case"),)
    lender_id: Mapped[Key]
    case_id: Mapped[Key]
    salt: Mapped[bytes]


class CaseSealing(Base):
    """The sealed cells of a case, one column per field class.

    A correction adds a row with a higher version that holds the classes sealed anew; a class's cell
    is the one of its highest version.
    """

    __tablename__ = "case_sealing"
    __table_args__ = (refers("lender_id", "case_id", to="collection_case"),)
    lender_id: Mapped[Key]
    case_id: Mapped[Key]
    version: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    epoch: Mapped[int] = mapped_column(SmallInteger)
    identity: Mapped[bytes | None]
    contact: Mapped[bytes | None]
    related: Mapped[bytes | None]
    account: Mapped[bytes | None]


class PhoneToken(Base):
    """Blind index: which cases hold this phone number, without holding the number."""

    __tablename__ = "phone_token"
    __table_args__ = (refers("lender_id", "case_id", to="collection_case"), Index(None, "lender_id", "case_id"))
    lender_id: Mapped[Key]
    token: Mapped[bytes] = mapped_column(primary_key=True)
    case_id: Mapped[Key]
    next_token: Mapped[bytes | None]  # under the index key that is about to replace the present one
