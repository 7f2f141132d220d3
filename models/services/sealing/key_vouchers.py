"""The platform's signature under each public key and approval that a verb writes, asked for wherever one is used.

Whoever can write rows but has no keys could else put a key of theirs beside an organisation's, and approve it.
"""

from crypto.custody import PLATFORM
from crypto.errors import PrincipalUnknown, SignatureRefused
from crypto.grants import verify_signature
from models.key_voucher import PURPOSE, statement
from models.organisation import KEM, SELF, KeyApproval, OrganisationKey
from models.work import Work


def sign(work: Work, row: OrganisationKey | KeyApproval) -> None:
    """Of a row that is about to be written, with every member set."""
    row.signature = work.vault.custody.sign(PLATFORM, PURPOSE, statement(row))


def stands(work: Work, row: OrganisationKey | KeyApproval) -> bool:
    """Whether the platform signed the row; one without a signature is from before, where custody holds its key."""
    if row.signature is None:
        return isinstance(row, OrganisationKey) and row.custody != SELF and _is_held(work, row)
    public = work.vault.custody.public(PLATFORM)
    try:
        verify_signature(public.signing, PURPOSE, statement(row), row.signature)
    except SignatureRefused:
        return False
    return True


def _is_held(work: Work, row: OrganisationKey) -> bool:
    try:
        held = work.vault.custody.public(str(row.org_id))
    except PrincipalUnknown:
        return False
    return row.public_key in ((held.kem, *held.older) if row.purpose == KEM else (held.signing,))
