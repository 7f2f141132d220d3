"""The people of an organisation, their sign-ins and the tokens of their programs."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key

# Roles by kind of organisation; what each may do stands in portal/access.py.
ROLES = {
    "lender": ("portfolio_manager", "settlement_officer", "compliance_officer", "administrator"),
    "agency": ("manager", "collector"),
    "auditor": ("auditor",),
    "operator": ("operator",),
}


class Member(Base):
    """A staff account. Its e-mail is unique within the organisation only."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("org_id", "email"),)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    id: Mapped[Key]
    email: Mapped[str]
    name: Mapped[str]
    roles: Mapped[list[str]]
    password_hash: Mapped[str]
    locale: Mapped[str]
    state: Mapped[str]  # active, disabled
    failed_sign_ins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[dt.datetime | None]
    totp_seed: Mapped[bytes | None]  # sealed under the platform's key
    totp_confirmed_at: Mapped[dt.datetime | None]
    totp_step: Mapped[int | None]  # the time step of the last code taken: none is taken twice
    created_at: Mapped[dt.datetime]


class SignIn(Base):
    """A server-side session: its cookie is known here by hash only, and revoking the row ends it."""

    __tablename__ = "sign_in"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "member_id"], ["member.org_id", "member.id"]),
        UniqueConstraint("org_id", "token_hash"),
    )
    org_id: Mapped[Key]
    id: Mapped[Key]
    member_id: Mapped[UUID]
    token_hash: Mapped[bytes]
    csrf_token: Mapped[str]
    tenant_id: Mapped[UUID | None]  # the lender in whose mandate an auditor works
    proved_at: Mapped[dt.datetime | None]  # when the person last gave their password or a code, beyond signing in
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


class ApiToken(Base):
    """A program's key: known by hash only, scoped, and it always expires."""

    __tablename__ = "api_token"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "member_id"], ["member.org_id", "member.id"]),
        UniqueConstraint("org_id", "token_hash"),
    )
    org_id: Mapped[Key]
    id: Mapped[Key]
    member_id: Mapped[UUID]
    name: Mapped[str]
    token_hash: Mapped[bytes]
    scopes: Mapped[list[str]]
    tenant_id: Mapped[UUID | None]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


class Idempotency(Base):
    """What a key was used for, and what it made: ids only, never a body."""

    __tablename__ = "idempotency"
    org_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    member_id: Mapped[Key]
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes]
    result_ids: Mapped[list[UUID] | None]  # None while the first request is still in flight
    created_at: Mapped[dt.datetime]
