"""What the platform signs about a row of the key directory: exactly these bytes, and nothing else about it counts."""

import datetime as dt
from typing import Final
from uuid import UUID

from crypto.canonical import Json, canonical
from models.organisation import KeyApproval, OrganisationKey

FORMAT: Final = "consign-voucher/1"
PURPOSE: Final = "voucher"

# Every member but the signature itself, and when a key was retired, which is written later.
KEY_MEMBERS: Final = ("org_id", "purpose", "serial", "suite", "public_key", "custody", "created_at")
APPROVAL_MEMBERS: Final = ("lender_id", "agency_id", "purpose", "serial", "member_id", "fingerprint", "approved_at")


def statement(row: OrganisationKey | KeyApproval) -> bytes:
    """Canonical JSON of the row: bytes in hex, times in whole microseconds since 1970."""
    members = KEY_MEMBERS if isinstance(row, OrganisationKey) else APPROVAL_MEMBERS
    said: dict[str, Json] = {name: _plain(getattr(row, name)) for name in members}
    return canonical({"format": FORMAT, "of": row.__tablename__, **said})


def _plain(value: str | int | bytes | UUID | dt.datetime) -> str | int:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dt.datetime):
        return (value - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)
    return value
