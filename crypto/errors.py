"""What can be refused here, as one tree; no message ever carries a value, a key or a plaintext.

CryptoError
├── SealBroken         sealed bytes do not open: wrong key, context, length or content, never said which
├── WrapBroken         a wrapped key does not open for this recipient and context
├── SignatureRefused   a signature does not stand for this key, purpose and message
├── Distrusted         it may well open, but not for this client: `code` says what is wrong with it
├── ValueRefused       a value that cannot be sealed or indexed as it is
├── ProofRefused       a Merkle proof does not hold
├── NoteRefused        a note, verifier key or checkpoint is malformed or not signed by a known key
├── LogRefused         an exported log, or a proof of one, fails at a line
├── FileRefused        a client's own file cannot be used; the message says what to do
│   ├── KeyFileRefused     a key file or public file
│   └── MemoryRefused      a memory file
├── CaseFileRefused    a case file is refused as a whole, for the faults it names
├── OrderRefused       an order is not carried out; `code` says why
├── PageRefused        a page is not the one that the release publishes; the message says where
├── KeyringRefused     custody's keys cannot be used as they stand; the message says what to do
│   ├── PrincipalUnknown   custody holds no keys of that principal
│   └── KeyringReadOnly    keys may be used here, not made or changed
└── CustodyUnavailable custody does not answer now; `code` says why
"""

from collections.abc import Sequence
from typing import NamedTuple

DISTRUST = {
    "key_unpinned": "this key is not pinned: compare its fingerprint with its owner by another way, then pin it",
    "key_changed": "this is not the pinned key: ask its owner, by another way, whether it was changed",
    "suite_downgraded": "wrapped with another suite than the recipient's key has",
    "wrap_retargeted": "made for another organisation or another of its keys",
    "wrap_unsigned": "not signed by the granter",
    "wrap_replayed": "an older grant than one seen before",
    "wrap_expired": "the grant has expired",
    "terms_changed": "the terms of the grant are not those of what came with it",
    "epoch_rolled_back": "an older key than one seen before",
    "version_rolled_back": "an older version of the data than one seen or granted before",
    "clock_behind": "this machine's clock is behind what it has seen before: set it right",
}

OUTAGES = {
    "custody_throttled": "the key service takes no more requests at the moment: try again shortly",
    "custody_key_disabled": "the key service's key is disabled: enable it",
    "custody_key_pending_deletion": "the key service's key is about to be deleted: cancel the deletion and enable it",
    "custody_refused": "the key service does not let us use its key: check its id, its policy and our credentials",
    "custody_unavailable": "the key service does not answer: try again shortly",
}

ORDER_FAULTS = {
    "order_broken": "this is no order, or it was altered: download it again",
    "order_version": "the order is in another format than this release knows: use the tool of the platform's release",
    "order_kind": "the order is of another kind: use the command of that name",
    "order_of_another": "the order is for another lender than the key file",
    "case_not_expected": "the order names other cases than your list, or not all of it: ask the platform why",
    "order_repeats": "the order names a case, a note or a key twice",
}


class CryptoError(Exception):
    """Anything this package refuses."""


class SealBroken(CryptoError):
    """Sealed bytes did not open."""

    code = "seal_broken"

    def __init__(self) -> None:
        super().__init__("sealed bytes do not open")


class WrapBroken(CryptoError):
    """A wrapped key did not open."""

    code = "wrap_broken"

    def __init__(self) -> None:
        super().__init__("wrapped key does not open")


class SignatureRefused(CryptoError):
    """A signature did not verify."""

    def __init__(self) -> None:
        super().__init__("signature does not verify")


class Distrusted(CryptoError):
    """A grant or package that this client does not trust; `code` is one of `DISTRUST`."""

    def __init__(self, code: str) -> None:
        super().__init__(DISTRUST[code])
        self.code = code


class ValueRefused(CryptoError):
    """A value has no canonical or normal form."""


class ProofRefused(CryptoError):
    """A Merkle proof did not verify."""


class NoteRefused(CryptoError):
    """A note, verifier key or checkpoint was refused."""


class LogRefused(CryptoError):
    """An exported log, bundle or consistency proof failed; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class FileRefused(CryptoError):
    """A file of the client's own cannot be used as it stands."""


class KeyFileRefused(FileRefused):
    """A key file or public file cannot be used as it stands."""


class MemoryRefused(FileRefused):
    """A memory file cannot be used as it stands."""


class RowFault(NamedTuple):
    """What is wrong with one field of a case file; row 1 is the first below the header, 0 the file as a whole."""

    row: int
    field: str
    code: str


class CaseFileRefused(CryptoError):
    """A case file is refused as a whole."""

    def __init__(self, faults: Sequence[RowFault]) -> None:
        super().__init__("the file is refused: " + ", ".join(f"{field} {code}" for _, field, code in faults))
        self.faults = faults


class OrderRefused(CryptoError):
    """An order that is not carried out; `code` is one of `ORDER_FAULTS`."""

    def __init__(self, code: str) -> None:
        super().__init__(ORDER_FAULTS[code])
        self.code = code


class PageRefused(CryptoError):
    """A page, script or style is not what the release publishes; `code` says in which way."""

    def __init__(self, code: str, where: str) -> None:
        super().__init__(where)
        self.code = code


class KeyringRefused(CryptoError):
    """Custody's keys cannot be used as they stand."""


class PrincipalUnknown(KeyringRefused):
    """Custody holds no keys of that principal."""


class KeyringReadOnly(KeyringRefused):
    """Custody's keys may be used here, not made or changed."""


class CustodyUnavailable(CryptoError):
    """Custody does not answer now; `code` is one of `OUTAGES`."""

    def __init__(self, code: str) -> None:
        super().__init__(OUTAGES[code])
        self.code = code
