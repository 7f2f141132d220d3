"""A lender's own class keys as the grants that its tool opens: which of them there are, and for which of its keys."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from crypto.errors import SignatureRefused
from crypto.grants import Grant, WrapContext
from models.errors import Conflict
from models.organisation import OrganisationKey
from models.portfolio import ClassKey
from models.services import tenancy
from models.services.sealing import key_directory
from models.work import Work


def newest(work: Work, lender_id: UUID, portfolio_id: UUID) -> dict[str, Grant]:
    """Of each field class of the portfolio the key in use, in the tenant of its lender."""
    rows = work.session.scalars(
        select(ClassKey)
        .where(tenancy.of_lender(lender_id, ClassKey), ClassKey.portfolio_id == portfolio_id)
        .order_by(ClassKey.epoch)
    )
    by_class = {row.field_class: row for row in rows}
    keys = key_directory.of_lender(work, lender_id)
    return {name: of_row(keys, row) for name, row in by_class.items()}


def documents(grants: dict[str, Grant]) -> dict[str, Any]:
    return {name: grant.to_json() for name, grant in grants.items()}


def epoch_of(grants: dict[str, Grant]) -> int:
    """The one epoch in which all classes of a portfolio are."""
    return max(grant.context.epoch for grant in grants.values())


def context_of(row: ClassKey, epoch: int | None = None, serial: int | None = None) -> WrapContext:
    """Of a stored wrap; or of the one that is to replace it."""
    return WrapContext.of_class(
        row.lender_id.bytes, row.portfolio_id.bytes, row.field_class, epoch or row.epoch, serial or row.serial
    )


def of_row(keys: list[OrganisationKey], row: ClassKey) -> Grant:
    """Conflict `class_key_unsigned` where no key that the lender ever published vouches for the wrap."""
    try:
        return key_directory.grant_of(keys, context_of(row), row.wrapped, row.signature or b"")
    except SignatureRefused:
        raise Conflict("class_key_unsigned") from None
