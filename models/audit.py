"""The audit log's tables: an outbox that acts write, and the Merkle tree the integrator makes of it."""

import datetime as dt
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class OutboxEntry(Base):
    """The exact bytes of an entry and its salt, in the transaction of the act that they describe."""

    __tablename__ = "audit_outbox"
    __table_args__ = (Index(None, "org_id", "id"),)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    entry: Mapped[bytes]
    salt: Mapped[bytes]
    recorded_at: Mapped[dt.datetime]


class AccessRefusal(Base):
    """That a refusal has its entry already: one per actor, reason and minute."""

    __tablename__ = "access_refusal"
    org_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)  # whose log has the entry
    actor: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(primary_key=True)


class LogHead(Base):
    """One row per log. `frontier` is the right edge of the tree: enough to append in O(log n).

    `forked_at`: since when the object store is known to hold another history; until they agree the log stands still.
    """

    __tablename__ = "log_head"
    org_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes]
    frontier: Mapped[list[bytes]]
    forked_at: Mapped[dt.datetime | None]


class LogLeaf(Base):
    """A leaf of the tree with the entry it commits to: leaf data is SHA-256(salt ‖ entry)."""

    __tablename__ = "log_leaf"
    __table_args__ = (Index(None, "org_id", "leaf_hash"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("log_head.org_id"), primary_key=True)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    leaf_hash: Mapped[bytes]
    entry: Mapped[bytes]
    salt: Mapped[bytes]
    recorded_at: Mapped[dt.datetime]


class Checkpoint(Base):
    """A signed note over (origin, size, root), one per size."""

    __tablename__ = "log_checkpoint"
    __table_args__ = (Index(None, "org_id", "signed_at"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("log_head.org_id"), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    note: Mapped[str]
    signed_at: Mapped[dt.datetime]
