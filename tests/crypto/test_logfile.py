"""An exported log proves itself, and no altered byte of it does."""

import base64
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import LogRefused
from crypto.lines import LINE_BYTES_MAX
from crypto.logfile import entry_leaf_hash, verify_log, write_log
from crypto.merkle import Frontier
from crypto.notes import Checkpoint, sign_note, verifier_key

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "consign.example/log/1"
KEY = verifier_key(ORIGIN, PRIVATE.public_key().public_bytes_raw())

Entries = list[tuple[bytes, bytes]]


def entries_of(count: int) -> Entries:
    return [
        (bytes([number]) * 32, json.dumps({"at": f"2026-01-0{number % 9 + 1}", "n": number}).encode())
        for number in range(count)
    ]


def checkpoint_of(entries: Entries, origin: str = ORIGIN) -> Checkpoint:
    frontier = Frontier()
    for salt, entry in entries:
        frontier.append(entry_leaf_hash(salt, entry))
    return Checkpoint(origin, frontier.size, frontier.root())


def log_of(entries: Entries, origin: str = ORIGIN) -> list[bytes]:
    note = sign_note(checkpoint_of(entries, origin).text(), origin, PRIVATE)
    return list(write_log(note, entries))


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_a_log_verifies_against_its_pinned_key(count: int) -> None:
    entries = entries_of(count)
    report = verify_log(log_of(entries), KEY)
    assert report.checkpoint == checkpoint_of(entries)
    assert report.signed
    assert report.last_entry_at == (f"2026-01-0{count}" if count else None)


def test_without_a_key_nothing_is_called_signed() -> None:
    assert not verify_log(log_of(entries_of(3)), None).signed


def test_no_bit_of_a_log_can_change() -> None:
    raw = b"".join(log_of(entries_of(2)))
    for place in range(len(raw)):
        for bit in range(8):
            altered = bytearray(raw)
            altered[place] ^= 1 << bit
            with pytest.raises(LogRefused):
                verify_log(bytes(altered).splitlines(keepends=True), KEY)


def test_no_line_can_go_come_twice_or_change_places() -> None:
    lines = log_of(entries_of(4))
    for place in range(len(lines)):
        for altered in (
            lines[:place] + lines[place + 1 :],
            [*lines[: place + 1], *lines[place:]],
            [*lines[:place], *lines[place : place + 2][::-1], *lines[place + 2 :], b""][:-1],
            [*lines[:place], b"\n", *lines[place:]],
            lines[:place],
        ):
            if altered != lines:
                with pytest.raises(LogRefused):
                    verify_log(altered, KEY)


def test_a_refusal_names_the_first_bad_line() -> None:
    lines = log_of(entries_of(4))
    lines[2] = lines[2].replace(b'"salt"', b'"sult"')
    with pytest.raises(LogRefused) as caught:
        verify_log(lines, KEY)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (0, b'"size":2', b'"size": 2'),
        (0, b'"size":2', b'"size":+2'),
        (0, b'"size":2', b'"size":02'),
        (0, b'"size":2', b'"size":2.0'),
        (0, b'"size":2', b'"size":-2'),
        (0, b'"size":2', b'"size":true'),
        (0, b'"size":2', b'"size":2,"size":2'),
        (0, b"consign-log/1", b"consign-log/2"),
        (0, b"{", b"\xef\xbb\xbf{"),
        (1, b'"index":0', b'"index":1'),
        (1, b'"index":0', b'"index":-0'),
        (1, b'"index":0', b'"index":0,"more":1'),
        (1, b"2026", b"\\u0032026"),
        (1, b"2026", b"\\ud800"),
        (1, b"}\n", b"} \n"),
        (1, b"}\n", b"}\r\n"),
        (1, b'A="', b'B="'),
        (1, b'A="', b'A"'),
        (3, b"}\n", b"}"),
        (3, b"\\n2", b"\\n02"),
    ],
)
def test_each_line_has_one_spelling(line: int, old: bytes, new: bytes) -> None:
    lines = log_of(entries_of(2))
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    with pytest.raises(LogRefused):
        verify_log(lines, KEY)


def test_another_logs_key_does_not_verify() -> None:
    with pytest.raises(LogRefused, match="another log"):
        verify_log(log_of(entries_of(2), "consign.example/log/2"), KEY)


def test_another_private_key_does_not_verify() -> None:
    other = Ed25519PrivateKey.generate()
    entries = entries_of(2)
    note = sign_note(checkpoint_of(entries).text(), ORIGIN, other)
    with pytest.raises(LogRefused):
        verify_log(write_log(note, entries), KEY)


def test_a_signature_nobody_checked_is_refused() -> None:
    entries = entries_of(2)
    note = sign_note(checkpoint_of(entries).text(), ORIGIN, PRIVATE)
    stray = sign_note(checkpoint_of(entries).text(), "stray", PRIVATE).splitlines()[-1]
    with pytest.raises(LogRefused):
        verify_log(write_log(note + stray + "\n", entries), KEY)


def test_a_log_that_grew_satisfies_its_witness() -> None:
    seen = {ORIGIN: checkpoint_of(entries_of(3))}
    assert verify_log(log_of(entries_of(7)), KEY, seen).checkpoint.size == 7
    assert verify_log(log_of(entries_of(3)), KEY, seen).checkpoint.size == 3


def test_a_log_rolled_back_is_refused_by_its_witness() -> None:
    with pytest.raises(LogRefused, match="rolled back"):
        verify_log(log_of(entries_of(2)), KEY, {ORIGIN: checkpoint_of(entries_of(3))})


@pytest.mark.parametrize("place", range(3))
def test_a_forked_log_is_refused_by_its_witness(place: int) -> None:
    forked = entries_of(7)
    forked[place] = (bytes(32), b"rewritten")
    with pytest.raises(LogRefused, match="forked"):
        verify_log(log_of(forked), KEY, {ORIGIN: checkpoint_of(entries_of(3))})


def test_a_witness_of_another_log_has_nothing_to_say() -> None:
    assert verify_log(log_of(entries_of(2)), KEY, {"other": checkpoint_of(entries_of(3))})


def test_entries_that_are_not_the_checkpoints_are_not_written() -> None:
    note = sign_note(checkpoint_of(entries_of(3)).text(), ORIGIN, PRIVATE)
    for entries in (entries_of(2), entries_of(4), [*entries_of(2), (bytes(32), b"other")]):
        with pytest.raises(LogRefused):
            list(write_log(note, entries))


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.text(st.characters(exclude_categories=["Cs"])))))
def test_any_text_survives_the_file(pairs: list[tuple[bytes, str]]) -> None:
    entries = [(salt, text.encode()) for salt, text in pairs]
    raw = b"".join(log_of(entries))
    assert verify_log([line + b"\n" for line in raw.split(b"\n")[:-1]], KEY).checkpoint.size == len(entries)


@given(st.lists(st.binary(max_size=50) | st.just(b"{}\n") | st.just(b"[]\n") | st.just(b"1\n"), max_size=4))
def test_noise_is_no_log(lines: list[bytes]) -> None:
    with pytest.raises(LogRefused):
        verify_log(lines, None)


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(LogRefused):
        verify_log([b'"' + b"x" * LINE_BYTES_MAX + b'"\n'], KEY)


def test_a_long_log_is_verified_in_constant_memory() -> None:
    entry = b'{"at":"2026-01-05"}'
    frontier, count = Frontier(), 20_000
    for _ in range(count):
        frontier.append(entry_leaf_hash(bytes(32), entry))
    note = sign_note(Checkpoint(ORIGIN, count, frontier.root()).text(), ORIGIN, PRIVATE)

    def entries() -> Iterator[tuple[bytes, bytes]]:
        for _ in range(count):
            yield bytes(32), entry

    tracemalloc.start()
    assert verify_log(write_log(note, entries()), KEY).checkpoint.size == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_salt_is_in_the_file_as_base64() -> None:
    assert base64.b64encode(bytes(32)) in log_of([(bytes(32), b"entry")])[1]
