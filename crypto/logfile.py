"""An exported log: one file that proves itself offline.

JSON lines, each in exactly one spelling: a header, each entry with its salt in order, the signed checkpoint.
Leaf data is SHA-256(salt ‖ entry); any altered byte breaks the line, the root or the signature.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from json.encoder import encode_basestring
from typing import NamedTuple

from crypto.errors import LogRefused
from crypto.lines import read_checkpoint, read_raw, read_record
from crypto.merkle import Frontier, leaf_hash
from crypto.notes import Checkpoint, VerifierKey, split_note

FORMAT = "consign-log/1"


class LogReport(NamedTuple):
    """What a log that stands says: its checkpoint, the last entry's own time, and whether a pinned key signed it."""

    checkpoint: Checkpoint
    last_entry_at: str | None
    signed: bool


def leaf_data(salt: bytes, entry: bytes) -> bytes:
    """The commitment that is the leaf: without the salt it says nothing about the entry."""
    return sha256(salt + entry).digest()


def entry_leaf_hash(salt: bytes, entry: bytes) -> bytes:
    """What an entry adds to the tree."""
    return leaf_hash(leaf_data(salt, entry))


def write_log(note: str, entries: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The file's lines for a signed checkpoint and its (salt, entry) pairs from index 0.

    Raises `LogRefused` before the last line where the entries are not the checkpoint's.
    """
    checkpoint = Checkpoint.parse(split_note(note)[0])
    yield _header(checkpoint.origin, checkpoint.size).encode()
    frontier = Frontier()
    for salt, entry in entries:
        yield _entry(frontier.size, base64.b64encode(salt).decode(), entry.decode()).encode()
        frontier.append(entry_leaf_hash(salt, entry))
    if (frontier.size, frontier.root()) != (checkpoint.size, checkpoint.root):
        raise LogRefused(frontier.size + 2, "the entries are not the checkpoint's")
    yield _trailer(note).encode()


def verify_log(
    lines: Iterable[bytes], verifier_key: str | None, witness: Mapping[str, Checkpoint] | None = None
) -> LogReport:
    """Check a file line by line in constant memory, or `LogRefused` naming the first bad line.

    Without a pinned key the report says no more than that the file agrees with itself. `witness` gives the
    last checkpoint seen of each origin: a log that is shorter, or differs within it, is refused.
    """
    key = VerifierKey.parse(verifier_key) if verifier_key is not None else None
    numbered = enumerate(lines, start=1)
    number, header = _next(numbered, 0)
    origin, size = _read_header(number, header)
    seen = (witness or {}).get(origin)
    if seen and seen.size > size:
        raise LogRefused(number, f"the log was already at {seen.size} entries: rolled back")
    frontier, entry = Frontier(), ""
    while True:
        if seen and frontier.size == seen.size and frontier.root() != seen.root:
            raise LogRefused(number, f"the first {seen.size} entries are not those seen before: forked")
        if frontier.size == size:
            break
        number, line = _next(numbered, number)
        salt, entry = _read_entry(number, line, frontier.size)
        frontier.append(entry_leaf_hash(salt, entry.encode()))
    number, line = _next(numbered, number)
    checkpoint = _read_trailer(number, line, key)
    if checkpoint != (origin, size, frontier.root()):
        raise LogRefused(number, "the checkpoint is not of this header and these entries")
    if next(numbered, None) is not None:
        raise LogRefused(number + 1, "something follows the checkpoint")
    return LogReport(checkpoint, time_of(entry), key is not None)


def _header(origin: str, size: int) -> str:
    return f'{{"format":"{FORMAT}","origin":{encode_basestring(origin)},"size":{size}}}\n'


def _entry(index: int, salt: str, entry: str) -> str:
    return f'{{"index":{index},"salt":"{salt}","entry":{encode_basestring(entry)}}}\n'


def _trailer(note: str) -> str:
    return f'{{"checkpoint":{encode_basestring(note)}}}\n'


def _next(numbered: Iterator[tuple[int, bytes]], number: int) -> tuple[int, bytes]:
    found = next(numbered, None)
    if found is None:
        raise LogRefused(number + 1, "the file ends before its checkpoint")
    return found


def _read_header(number: int, line: bytes) -> tuple[str, int]:
    text, record = read_record(number, line)
    origin, size = record.get("origin"), record.get("size")
    if not isinstance(origin, str) or type(size) is not int or size < 0 or text != _header(origin, size):
        raise LogRefused(number, f"not a header of {FORMAT}")
    return origin, size


def _read_entry(number: int, line: bytes, index: int) -> tuple[bytes, str]:
    text, record = read_record(number, line)
    salt, entry = record.get("salt"), record.get("entry")
    if not isinstance(salt, str) or not isinstance(entry, str) or text != _entry(index, salt, entry):
        raise LogRefused(number, f"not entry {index} in its canonical spelling")
    return read_raw(number, "a salt", salt), entry


def _read_trailer(number: int, line: bytes, key: VerifierKey | None) -> Checkpoint:
    text, record = read_record(number, line)
    note = record.get("checkpoint")
    if not isinstance(note, str) or text != _trailer(note):
        raise LogRefused(number, "not a checkpoint in its canonical spelling")
    return read_checkpoint(number, note, key)


def time_of(entry: str) -> str | None:
    """The `at` of an entry that is a JSON object and has one."""
    try:
        record = json.loads(entry)
    except (ValueError, RecursionError):
        return None
    at = record.get("at") if isinstance(record, dict) else None
    return at if isinstance(at, str) else None
