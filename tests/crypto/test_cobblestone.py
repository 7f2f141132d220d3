"""Cobblestone-256: the published vectors, then everything that must not open."""

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.cobblestone import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, open_, open_stream, seal, seal_stream
from crypto.errors import SealBroken

KEY = bytes(range(32))
CONTEXT = b"consign/test"
SALT = bytes(range(24))

# Made by this package and frozen: what was sealed once must open for ever.
FROZEN = [
    (
        b"",
        "000102030405060708090a0b0c0d0e0f1011121314151617c38bf7f390e2f7a5ae527ec8b50a86eb2d9aa1ec09162008e88a87ddcf713d35553ab337220a3bcc56e6a6b877c8734a",
    ),
    (
        b"attack at dawn",
        "000102030405060708090a0b0c0d0e0f1011121314151617c38bf7f390e2f7a5ae527ec8b50a86eb2d9aa1ec09162008e88a87ddcf713d3556e140c5bc67c8e6e8913da56e33c0623d4ac5ebd16b226f2e72ec41ce26",
    ),
]


def ciphertext(text: str) -> bytes:
    raw = bytes.fromhex(text)
    return zlib.decompress(raw) if raw.startswith(b"\x78\xda") else raw


def test_every_published_vector_comes_out_as_published(published) -> None:
    for test in published("chunked_encryption_aes_256_gcm.json")["tests"]:
        key, context, sealed = bytes.fromhex(test["key"]), bytes.fromhex(test["ctx"]), ciphertext(test["ct"])
        if test["result"] != "valid":
            with pytest.raises(SealBroken):
                open_(key, context, sealed)
            continue
        plaintext = open_(key, context, sealed)
        assert hashlib.sha512(plaintext).hexdigest() == test["msgSha512"], test["tcId"]
        assert seal(key, context, plaintext, salt=sealed[:24]) == sealed, test["tcId"]


@pytest.mark.parametrize(("plaintext", "sealed"), FROZEN)
def test_what_was_sealed_once_is_sealed_and_opened_the_same(plaintext: bytes, sealed: str) -> None:
    assert seal(KEY, CONTEXT, plaintext, salt=SALT).hex() == sealed
    assert open_(KEY, CONTEXT, bytes.fromhex(sealed)) == plaintext


def test_no_single_bit_can_change() -> None:
    sealed = seal(KEY, CONTEXT, b"a sample of some length")
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_(KEY, CONTEXT, bytes(altered))


def test_no_truncation_opens() -> None:
    sealed = seal(KEY, CONTEXT, b"a sample of some length")
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_(KEY, CONTEXT, sealed[:size])


def test_a_whole_last_chunk_cut_off_does_not_open() -> None:
    sealed = seal(KEY, CONTEXT, bytes(2 * CHUNK_BYTES + 5))
    with pytest.raises(SealBroken):
        open_(KEY, CONTEXT, sealed[: HEADER_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES)])


@pytest.mark.parametrize("appended", [b"\x00", bytes(16), bytes(CHUNK_BYTES + TAG_BYTES)])
def test_nothing_may_follow(appended: bytes) -> None:
    with pytest.raises(SealBroken):
        open_(KEY, CONTEXT, seal(KEY, CONTEXT, b"sample") + appended)


def test_another_key_or_context_does_not_open() -> None:
    sealed = seal(KEY, CONTEXT, b"sample")
    for key, context in ((bytes(32), CONTEXT), (KEY, b"other"), (KEY, CONTEXT + b"\x00"), (KEY, b"")):
        with pytest.raises(SealBroken):
            open_(key, context, sealed)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(SealBroken):
        seal(bytes(size), CONTEXT, b"sample")
    with pytest.raises(SealBroken):
        open_(bytes(size), CONTEXT, seal(KEY, CONTEXT, b"sample"))


def test_a_failure_says_nothing_but_that() -> None:
    with pytest.raises(SealBroken) as caught:
        open_(KEY, b"other", seal(KEY, CONTEXT, b"sample"))
    assert caught.value.__cause__ is None
    assert str(caught.value) == "sealed bytes do not open"


def test_every_seal_has_a_salt_of_its_own() -> None:
    assert len({seal(KEY, CONTEXT, b"same")[:24] for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_sizes_around_a_chunk_come_back(size: int) -> None:
    plaintext = hashlib.shake_256(b"sample").digest(size)
    assert open_(KEY, CONTEXT, seal(KEY, CONTEXT, plaintext)) == plaintext


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 3), st.integers(1, 20_000))
def test_streams_and_whole_bytes_agree(pieces: list[bytes], full_chunks: int, cut: int) -> None:
    pieces = [*pieces, bytes(full_chunks * CHUNK_BYTES)]
    sealed = b"".join(seal_stream(KEY, CONTEXT, pieces))
    assert open_(KEY, CONTEXT, sealed) == b"".join(pieces)
    parts = [sealed[start : start + cut] for start in range(0, len(sealed), cut)]
    assert b"".join(open_stream(KEY, CONTEXT, parts)) == b"".join(pieces)


def test_a_cut_stream_fails_before_its_end() -> None:
    sealed = seal(KEY, CONTEXT, bytes(CHUNK_BYTES))
    pieces = open_stream(KEY, CONTEXT, [sealed[: HEADER_BYTES + CHUNK_BYTES + TAG_BYTES]])
    assert next(pieces) == bytes(CHUNK_BYTES)
    with pytest.raises(SealBroken):
        next(pieces)


@given(st.binary(max_size=200))
def test_noise_never_opens(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        open_(KEY, CONTEXT, noise)
