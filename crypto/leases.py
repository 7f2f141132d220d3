"""Leases: one placed case's key, sealed under the key of its placement's leases.

The lease key goes to the agency in a `Grant`; each case's lease stands alone, so that recalling a case deletes it.
"""

from typing import NamedTuple

from crypto import cobblestone
from crypto.cells import lp
from crypto.errors import SealBroken
from crypto.secret import Secret

_LABEL = b"consign/lease/1\x00"
_KEY_BYTES = 32
_VERSION_BYTES = 4


class LeaseName(NamedTuple):
    """Where a lease belongs: ids as raw bytes, the field class, and the epoch of the class key behind it."""

    placement_id: bytes
    case_id: bytes
    field_class: str
    epoch: int

    def context(self) -> bytes:
        return b"".join((
            _LABEL, lp(self.placement_id), lp(self.case_id), lp(self.field_class.encode()), lp(b"%d" % self.epoch),
        ))  # fmt: skip


class LeasedKey(NamedTuple):
    """A case key, and the version its cell had when it was leased (0 for notes): an older cell is refused."""

    key: Secret
    version: int


def seal_lease(lease_key: Secret, name: LeaseName, case_key: Secret, version: int) -> bytes:
    """The case key in 108 bytes."""
    plaintext = case_key.reveal() + version.to_bytes(_VERSION_BYTES)
    return cobblestone.seal(lease_key.reveal(), name.context(), plaintext)


def open_lease(lease_key: Secret, name: LeaseName, sealed: bytes) -> LeasedKey:
    """The leased key, or `SealBroken`."""
    plaintext = cobblestone.open_(lease_key.reveal(), name.context(), sealed)
    if len(plaintext) != _KEY_BYTES + _VERSION_BYTES:
        raise SealBroken
    return LeasedKey(Secret(plaintext[:_KEY_BYTES]), int.from_bytes(plaintext[_KEY_BYTES:]))
