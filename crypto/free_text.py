"""Notes of contacts: free text sealed in class `notes`, each so that it opens as its own contact's alone.

A sealed note is `epoch(2 bytes) ‖ Cobblestone-256`: the epoch tells which of the portfolio's class keys it needs.
"""

from typing import NamedTuple

from crypto import cobblestone
from crypto.cells import lp
from crypto.errors import SealBroken, ValueRefused
from crypto.secret import Secret

PAD_BYTES = 64

_LABEL = b"consign/note/1\x00"
_EPOCH_BYTES = 2


class NoteName(NamedTuple):
    """Where a note belongs: ids as raw bytes."""

    portfolio_id: bytes
    case_reference: bytes
    contact_id: bytes

    def context(self) -> bytes:
        return _LABEL + lp(self.portfolio_id) + lp(self.case_reference) + lp(self.contact_id)


def seal_note(key: Secret, epoch: int, name: NoteName, text: str) -> bytes:
    """Seal under the case key that belongs to the epoch's class key; `ValueRefused` for a zero or lone surrogate."""
    plain = _encoded(text)
    # No note holds a zero byte, so zeros hide its length and fall off again.
    padded = plain.ljust(-(-len(plain) // PAD_BYTES) * PAD_BYTES, b"\x00")
    return epoch.to_bytes(_EPOCH_BYTES) + cobblestone.seal(key.reveal(), name.context(), padded)


def epoch_of(sealed: bytes) -> int:
    """Of the class key under which the note was sealed."""
    return int.from_bytes(sealed[:_EPOCH_BYTES])


def open_note(key: Secret, name: NoteName, sealed: bytes) -> str:
    """The text, or `SealBroken`."""
    padded = cobblestone.open_(key.reveal(), name.context(), sealed[_EPOCH_BYTES:])
    try:
        return padded.rstrip(b"\x00").decode()
    except UnicodeDecodeError:
        pass  # Raised below, outside: the decoder's error carries the plaintext.
    raise SealBroken


def _encoded(text: str) -> bytes:
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        plain = b"\x00"  # Refused below, outside: the codec's error carries the text.
    if b"\x00" in plain:
        raise ValueRefused("a note holds what is no character")
    return plain
