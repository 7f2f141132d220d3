"""A person who owes, once per lender: cases are joined to it by a keyed hash of the id number (归户)."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key


class Borrower(Base):
    """Holds nothing personal. Its row is the lock under which contacts are counted across agencies."""

    __tablename__ = "borrower"
    __table_args__ = (UniqueConstraint("lender_id", "id_token"),)
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    id_token: Mapped[bytes]
    next_id_token: Mapped[bytes | None]  # under the index key that is about to replace the present one
    created_at: Mapped[dt.datetime]
