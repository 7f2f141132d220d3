"""Sealing bytes: Cobblestone-256 (C2SP chunked encryption v1, AES-256-GCM).

`salt(24) ‖ commitment(32) ‖ chunks`; chunks of 16 KiB, the last always shorter and possibly empty.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.errors import SealBroken, ValueRefused

KEY_BYTES = 32
SALT_BYTES = 24
CHUNK_BYTES = 16 * 1024
TAG_BYTES = 16
HEADER_BYTES = SALT_BYTES + 32

_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
_SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
_SHA512 = SHA512()


def seal(key: bytes, context: bytes, plaintext: bytes, salt: bytes | None = None) -> bytes:
    """Seal `plaintext` under a 32-byte key and a context; only tests choose the salt."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    aead, nonce, commitment = _derive(key, context, salt)
    if len(plaintext) < CHUNK_BYTES:
        return salt + commitment + aead.encrypt(nonce, plaintext, None)
    return b"".join((salt, commitment, *_sealed_chunks(aead, nonce, [plaintext])))


def open_(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """The plaintext, whole, or `SealBroken`."""
    return b"".join(open_stream(key, context, [sealed]))


def seal_stream(key: bytes, context: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Seal pieces of any size as they come, holding one chunk at a time."""
    salt = os.urandom(SALT_BYTES)
    aead, nonce, commitment = _derive(key, context, salt)
    yield salt + commitment
    yield from _sealed_chunks(aead, nonce, chunks)


def open_stream(key: bytes, context: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Open sealed pieces of any size as they come.

    What is yielded is authentic, but only the whole iteration shows that nothing was cut off: act on the
    plaintext after the last piece, not before.
    """
    blocks = _blocks(chunks, _SEALED_CHUNK_BYTES, first=HEADER_BYTES)
    aead, nonce = _opened_header(key, context, next(blocks))
    for counter, block in enumerate(blocks):
        yield _open_block(aead, nonce, counter, block)


def open_range(
    key: bytes, context: bytes, read: Callable[[int, int], bytes], size: int, start: int, length: int
) -> bytes:
    """`length` bytes of plaintext from `start`, or `SealBroken`; `read(offset, length)` fetches sealed bytes.

    `size`, of the sealed whole, must be one that sealing can give. What comes back was sealed at that very place.
    That `size` is true is shown only by a range that reaches the end of the plaintext (also an empty one there),
    for it opens the last chunk: a range before it succeeds on a file cut off behind it.
    """
    end, whole = start + length, plain_size(size)
    if not 0 <= start <= end <= whole:
        raise ValueRefused("a range lies within the plaintext")
    header = _read(read, 0, HEADER_BYTES)
    aead, nonce = _opened_header(key, context, header)
    first = start // CHUNK_BYTES
    last = whole // CHUNK_BYTES if end == whole else max(first, (end - 1) // CHUNK_BYTES)
    offset, until = (HEADER_BYTES + counter * _SEALED_CHUNK_BYTES for counter in (first, last + 1))
    sealed = memoryview(_read(read, offset, min(until, size) - offset))
    blocks = [sealed[at : at + _SEALED_CHUNK_BYTES] for at in range(0, len(sealed), _SEALED_CHUNK_BYTES)]
    opened = b"".join(_open_block(aead, nonce, counter, block) for counter, block in enumerate(blocks, first))
    return opened[start - first * CHUNK_BYTES :][:length]


def sealed_size(size: int) -> int:
    """What a plaintext of `size` bytes comes to, sealed."""
    return HEADER_BYTES + size + TAG_BYTES * (size // CHUNK_BYTES + 1)


def plain_size(size: int) -> int:
    """The plaintext's size behind `size` sealed bytes, or `SealBroken` where sealing never gives so many."""
    full, rest = divmod(size - HEADER_BYTES, _SEALED_CHUNK_BYTES)
    if full < 0 or rest < TAG_BYTES:
        raise SealBroken
    return full * CHUNK_BYTES + rest - TAG_BYTES


def _read(read: Callable[[int, int], bytes], offset: int, length: int) -> bytes:
    found = read(offset, length)
    if len(found) != length:
        raise SealBroken
    return found


def _opened_header(key: bytes, context: bytes, header: bytes) -> tuple[AESGCM, bytes]:
    """The cipher and base nonce, where the commitment is of this key and context."""
    if len(header) != HEADER_BYTES:
        raise SealBroken
    aead, nonce, commitment = _derive(key, context, header[:SALT_BYTES])
    if not hmac.compare_digest(commitment, header[SALT_BYTES:]):
        raise SealBroken
    return aead, nonce


def _open_block(aead: AESGCM, nonce: bytes, counter: int, block: bytes | memoryview) -> bytes:
    try:
        return aead.decrypt(_nonce(nonce, counter), block, None)
    except InvalidTag:
        raise SealBroken from None


def _derive(key: bytes, context: bytes, salt: bytes) -> tuple[AESGCM, bytes, bytes]:
    if len(key) != KEY_BYTES or len(salt) != SALT_BYTES:
        raise SealBroken
    okm = HKDFExpand(_SHA512, 76, _LABEL + salt + context).derive(key)
    return AESGCM(okm[:32]), okm[32:44], okm[44:]


def _sealed_chunks(aead: AESGCM, nonce: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for counter, block in enumerate(_blocks(pieces, CHUNK_BYTES, first=CHUNK_BYTES)):
        yield aead.encrypt(_nonce(nonce, counter), block, None)


def _nonce(base: bytes, counter: int) -> bytes:
    return (int.from_bytes(base) ^ counter).to_bytes(12)


def _blocks(pieces: Iterable[bytes], size: int, first: int) -> Iterator[bytes]:
    """Cut a stream into a `first` block, blocks of `size`, and always one last block shorter than that."""
    buffer, wanted = bytearray(), first
    for piece in pieces:
        buffer += piece
        while len(buffer) >= wanted:
            yield bytes(buffer[:wanted])
            del buffer[:wanted]
            wanted = size
    yield bytes(buffer)
