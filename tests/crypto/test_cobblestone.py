"""Cobblestone-256: the published vectors, then everything that must not open."""

import hashlib
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.cobblestone import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    open_,
    open_range,
    open_stream,
    plain_size,
    seal,
    seal_stream,
    sealed_size,
)
from crypto.errors import SealBroken, ValueRefused

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

# … and longer ones, whose plaintext is SHAKE-256 of "sample", by the digest of what they are sealed to.
FROZEN_LONG = {
    CHUNK_BYTES - 1: "abe3d5ffebed947e370b9e5804e6291a1d73053e0f460bcb0f97372680ba47e0",
    CHUNK_BYTES: "a82cd9ad110b27da9cdc46446638d3f6389434062fd1dd9a5b1d25be00f6f12a",
    CHUNK_BYTES + 1: "2aeeec023b89c3f218054ef22a92ea994437b96edc45b0c5bf201f56ac0b122b",
    3 * CHUNK_BYTES + 5: "641ed786dab53c32634c01c587d458b277312f06b2b0d91da757210d43e56954",
}
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES


def sample(size: int) -> bytes:
    return hashlib.shake_256(b"sample").digest(size)


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


@pytest.mark.parametrize("size", FROZEN_LONG)
def test_what_was_sealed_once_in_several_chunks_is_sealed_the_same(size: int) -> None:
    assert hashlib.sha256(seal(KEY, CONTEXT, sample(size), salt=SALT)).hexdigest() == FROZEN_LONG[size]


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
    plaintext = sample(size)
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


def moved(sealed: bytes, order: list[int]) -> bytes:
    """The sealed bytes with their chunks in another order, some left out or twice."""
    chunks = [sealed[at : at + SEALED_CHUNK_BYTES] for at in range(HEADER_BYTES, len(sealed), SEALED_CHUNK_BYTES)]
    return sealed[:HEADER_BYTES] + b"".join(chunks[counter] for counter in order)


@pytest.mark.parametrize(
    "order",
    [
        [0, 0, 1, 2, 3],
        [0, 1, 1, 2, 3],
        [1, 0, 2, 3],
        [0, 2, 1, 3],
        [0, 1, 3],
        [1, 2, 3],
        [3],
        [0, 1, 2],
        [0, 1, 2, 3, 3],
    ],
)
def test_no_chunk_can_be_moved_dropped_or_doubled(order: list[int]) -> None:
    sealed = seal(KEY, CONTEXT, sample(3 * CHUNK_BYTES + 5))
    assert moved(sealed, [0, 1, 2, 3]) == sealed
    with pytest.raises(SealBroken):
        open_(KEY, CONTEXT, moved(sealed, order))


def reader(sealed: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: sealed[offset : offset + length]


@given(st.data(), st.integers(0, 3), st.sampled_from([-1, 0, 1, 700]))
def test_any_range_is_that_part_of_the_plaintext(data: st.DataObject, full_chunks: int, more: int) -> None:
    plaintext = sample(max(0, full_chunks * CHUNK_BYTES + more))
    sealed = seal(KEY, CONTEXT, plaintext)
    start = data.draw(st.integers(0, len(plaintext)))
    length = data.draw(st.integers(0, len(plaintext) - start))
    opened = open_range(KEY, CONTEXT, reader(sealed), len(sealed), start, length)
    assert opened == plaintext[start : start + length]


@given(st.integers(0, 5 * CHUNK_BYTES))
def test_sizes_are_known_before_and_after_sealing(size: int) -> None:
    assert sealed_size(size) == len(seal(KEY, CONTEXT, bytes(size)))
    assert plain_size(sealed_size(size)) == size


@pytest.mark.parametrize(
    "size",
    [
        0,
        HEADER_BYTES - 1,
        HEADER_BYTES,
        HEADER_BYTES + 15,
        HEADER_BYTES + SEALED_CHUNK_BYTES,
        HEADER_BYTES + SEALED_CHUNK_BYTES + 15,
    ],
)
def test_a_size_that_sealing_never_gives_is_refused(size: int) -> None:
    with pytest.raises(SealBroken):
        plain_size(size)


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 11), (10, 1), (11, 0), (5, -1)])
def test_a_range_outside_the_plaintext_is_refused(start: int, length: int) -> None:
    sealed = seal(KEY, CONTEXT, bytes(10))
    with pytest.raises(ValueRefused):
        open_range(KEY, CONTEXT, reader(sealed), len(sealed), start, length)


def test_a_range_reads_no_more_than_the_header_and_its_own_chunks() -> None:
    sealed, seen = seal(KEY, CONTEXT, sample(5 * CHUNK_BYTES)), []

    def read(offset: int, length: int) -> bytes:
        seen.append((offset, length))
        return sealed[offset : offset + length]

    open_range(KEY, CONTEXT, read, len(sealed), 2 * CHUNK_BYTES - 1, 2)
    assert seen == [(0, HEADER_BYTES), (HEADER_BYTES + SEALED_CHUNK_BYTES, 2 * SEALED_CHUNK_BYTES)]


def test_a_range_that_reaches_the_end_finds_out_a_file_cut_off() -> None:
    plaintext = sample(3 * CHUNK_BYTES + 700)
    cut = seal(KEY, CONTEXT, plaintext)[: sealed_size(2 * CHUNK_BYTES + 100)]
    assert open_range(KEY, CONTEXT, reader(cut), len(cut), 0, 2 * CHUNK_BYTES) == plaintext[: 2 * CHUNK_BYTES]
    for length in (0, 1, 100):
        with pytest.raises(SealBroken):
            open_range(KEY, CONTEXT, reader(cut), len(cut), 2 * CHUNK_BYTES + 100 - length, length)


def test_a_range_of_moved_chunks_does_not_open() -> None:
    altered = moved(seal(KEY, CONTEXT, sample(2 * CHUNK_BYTES + 5)), [1, 0, 2])
    for start in (0, CHUNK_BYTES):
        with pytest.raises(SealBroken):
            open_range(KEY, CONTEXT, reader(altered), len(altered), start, 10)


def test_a_range_under_another_key_or_context_does_not_open() -> None:
    sealed = seal(KEY, CONTEXT, b"sample")
    for key, context in ((bytes(32), CONTEXT), (KEY, b"other")):
        with pytest.raises(SealBroken):
            open_range(key, context, reader(sealed), len(sealed), 0, 1)


def test_a_store_that_gives_less_than_asked_is_refused() -> None:
    sealed = seal(KEY, CONTEXT, b"sample")
    with pytest.raises(SealBroken):
        open_range(KEY, CONTEXT, reader(sealed[:-1]), len(sealed), 0, 6)
