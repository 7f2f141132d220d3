"""A portfolio: one uploaded file of overdue cases, and the keys and faults that came with it."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers

UPLOADED, REFUSED = "uploaded", "refused"  # refused: not one row of the file stands
PLATFORM, LENDER = "platform", "lender"  # who sealed the cases


class Portfolio(Base):
    """The file itself is not kept, only its digest: the same file twice is refused by the constraint."""

    __tablename__ = "portfolio"
    __table_args__ = (UniqueConstraint("lender_id", "file_digest"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    name: Mapped[str]
    file_digest: Mapped[bytes]
    state: Mapped[str]
    sealed_by: Mapped[str] = mapped_column(default=PLATFORM, server_default=PLATFORM)
    row_count: Mapped[int]
    case_count: Mapped[int]
    borrower_count: Mapped[int]
    refused_count: Mapped[int]  # rows refused; their faults are PortfolioError rows
    balances: Mapped[dict[str, Any]]  # currency -> total, as strings
    products: Mapped[list[str]]  # those that its cases have
    created_by: Mapped[UUID]
    created_at: Mapped[dt.datetime]

    @property
    def totals(self) -> dict[str, Decimal]:
        return {currency: Decimal(total) for currency, total in self.balances.items()}


class PortfolioError(Base):
    """One fault of one row: which row, which field, which code; never the value."""

    __tablename__ = "portfolio_error"
    __table_args__ = (refers("lender_id", "portfolio_id", to="portfolio"),)
    lender_id: Mapped[Key]
    portfolio_id: Mapped[Key]
    row: Mapped[int] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)


class ClassKey(Base):
    """The key of one field class of one portfolio, wrapped to the lender and to nobody else.

    A new epoch is another key; a new serial is the same key, wrapped anew. `signature` is the lender's over the wrap.
    """

    __tablename__ = "class_key"
    __table_args__ = (refers("lender_id", "portfolio_id", to="portfolio"),)
    lender_id: Mapped[Key]
    portfolio_id: Mapped[Key]
    field_class: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(default=1, server_default="1")
    wrapped: Mapped[bytes]
    # Fingerprint of the key it is wrapped to, once a rotation has looked; the signature is what proves it.
    recipient: Mapped[bytes | None]
    signature: Mapped[bytes | None]  # None: made before wraps were signed; `set-up --adopt-unsigned` signs it
    created_at: Mapped[dt.datetime]


class LenderKey(Base):
    """A lender's own wrapped keys: `index` for blind tokens, `ledger` for personal data without a case.

    A new epoch is another key, in use from `active_at` on; a new serial is the same key, wrapped anew.
    """

    __tablename__ = "lender_key"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(default=1, server_default="1")
    wrapped: Mapped[bytes]
    signature: Mapped[bytes | None]  # as in ClassKey
    created_at: Mapped[dt.datetime]
    active_at: Mapped[dt.datetime | None]  # None while the index is being rebuilt under this key
