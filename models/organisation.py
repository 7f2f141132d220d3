"""Organisations: the nameless list of tenants, the organisations themselves and their public keys."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

LENDER, AGENCY, AUDITOR, OPERATOR = "lender", "agency", "auditor", "operator"
KINDS = (LENDER, AGENCY, AUDITOR, OPERATOR)
KEM, SIGNING = "kem", "signing"  # what a public key is for
# Who holds an organisation's private keys: a keyring file, AWS KMS, or the organisation itself.
LOCAL, AWS_KMS, SELF = "local", "aws-kms", "self"
CUSTODIES = (LOCAL, AWS_KMS, SELF)


class Tenant(Base):
    """The only list without row security; it holds no name, so that it tells nothing."""

    __tablename__ = "tenant"
    id: Mapped[Key]
    kind: Mapped[str]


class Organisation(Base):
    """A lender, agency, auditor or the operator. Its `code` is random: who knows it was told it."""

    __tablename__ = "organisation"
    __table_args__ = (UniqueConstraint("code"),)
    id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    kind: Mapped[str]
    code: Mapped[str]
    name: Mapped[str]
    custody: Mapped[str]  # who holds its private keys: local, aws-kms, self
    state: Mapped[str]  # active, frozen
    created_at: Mapped[dt.datetime]


class OrganisationKey(Base):
    """A public key of an organisation. A new serial replaces the one before; none is ever changed.

    One whose private half custody has dropped, since nothing is wrapped to it any more, is retired.
    """

    __tablename__ = "organisation_key"
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)  # kem, signing
    serial: Mapped[int] = mapped_column(primary_key=True)
    suite: Mapped[str]  # x25519, xwing, ed25519
    public_key: Mapped[bytes]
    custody: Mapped[str] = mapped_column(default=LOCAL, server_default=LOCAL)  # who holds the private half
    created_at: Mapped[dt.datetime]
    retired_at: Mapped[dt.datetime | None]
    signature: Mapped[bytes | None]  # the platform's; None: made before keys were signed


class KeyApproval(Base):
    """One person of a lender has compared an agency's public key with what the agency told them by another way.

    The first key of a purpose needs one such person, each later one two: until then nothing is wrapped to it.
    """

    __tablename__ = "key_approval"
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)  # kem, signing
    serial: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[Key]
    fingerprint: Mapped[bytes]
    approved_at: Mapped[dt.datetime]
    signature: Mapped[bytes | None]  # the platform's, without which it does not count
