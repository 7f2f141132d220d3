"""The way in for a portfolio that its lender has sealed itself: whose it is, under which keys, and then its cases."""

import datetime as dt
from typing import Final

from sqlalchemy import select

from crypto.errors import SignatureRefused, ValueRefused
from crypto.grants import Grant, WrapContext, check_grant, fingerprint
from models.business_day import day_of
from models.errors import AlreadyUploaded, Conflict, RowError
from models.portfolio import LENDER, Portfolio
from models.sealed_portfolio import Header, SealedFile
from models.services import tenancy
from models.services.portfolio.incoming_cases import Intake
from models.services.sealing import key_directory
from models.services.sealing.key_directory import Keys
from models.tabular import Upload, refused
from models.work import Work

SEALED_FROM: Final = dt.date(2020, 1, 1)  # no tool that seals is older


def read(work: Work, file: Upload) -> Intake:
    """The file up to its cases, which are read while they are stored and believed when its signature is reached.

    Raises Invalid where it is of another lender, sealed before SEALED_FROM or in the future, or its class keys are not
    wrapped to, and signed by, the lender's newest keys; AlreadyUploaded where a portfolio of this id stands; Conflict
    `key_not_published`.
    """
    keys = key_directory.find_own(work)
    if keys is None:
        raise Conflict("key_not_published")
    sealed = SealedFile(file)
    header = sealed.header
    today = day_of(work.at)
    if header.lender_id != work.tenant_id:
        raise refused([RowError(0, "*", "sealed_file_of_another")])
    if header.sealed_on > today:
        raise refused([RowError(0, "sealed_on", "in_future")])
    if header.sealed_on < SEALED_FROM:
        raise refused([RowError(0, "sealed_on", "impossible_date")])
    if not all(_is_own(header, name, grant, keys) for name, grant in header.grants.items()):
        raise refused([RowError(0, "*", "sealed_file_keys")])
    standing = select(Portfolio.id).where(tenancy.own(work, Portfolio), Portfolio.id == header.portfolio_id)
    if work.session.scalar(standing):
        raise AlreadyUploaded(portfolio=header.portfolio_id)
    return Intake(
        portfolio_id=header.portfolio_id,
        sealed_by=LENDER,
        wraps={name: (grant.wrapped, grant.signature, grant.context.serial) for name, grant in header.grants.items()},
        batches=sealed.batches(keys.signing.public_key, today),
        balance_on=header.sealed_on,
    )


def _is_own(header: Header, name: str, grant: Grant, keys: Keys) -> bool:
    """The class key of this class and portfolio, wrapped by the lender to its own newest key."""
    context = WrapContext.of_class(header.lender_id.bytes, header.portfolio_id.bytes, name, serial=grant.context.serial)
    if grant.context != context or grant.recipient != fingerprint(keys.kem.public_key):
        return False
    try:
        check_grant(grant.wrapped, grant.signature, keys.kem.public_key, context, keys.signing.public_key)
    except (SignatureRefused, ValueRefused):
        return False
    return True
