"""Lines of JSON in exactly one spelling: what the log's files are made of, and how strictly each part is read."""

import json
from json.encoder import encode_basestring
from typing import Any

from crypto.errors import LogRefused, NoteRefused
from crypto.notes import Checkpoint, VerifierKey, open_note, split_note
from crypto.strict import unbase64

LINE_BYTES_MAX = 1 << 20
RAW_BYTES = 32  # of a salt, and of a hash


def spell(members: dict[str, Any]) -> str:
    """The line of these members in this order: text, whole numbers and lists of text, no spaces, no needless escape."""
    return "{" + ",".join(f'"{name}":{_spelt(value)}' for name, value in members.items()) + "}\n"


def read_record(number: int, line: bytes) -> tuple[str, dict[str, Any]]:
    """The line's text and its members. Whoever takes them spells them again and compares, or duplicates slip in."""
    if len(line) <= LINE_BYTES_MAX:
        try:
            text = line.decode()
            record = json.loads(text)
            if isinstance(record, dict):
                return text, record
        except (ValueError, RecursionError):
            pass  # Raised below, outside: the parser's error carries the line.
    raise LogRefused(number, "not one JSON object in UTF-8")


def read_raw(number: int, name: str, text: object) -> bytes:
    """A salt or a hash: 32 bytes in canonical base64."""
    try:
        return unbase64(text, RAW_BYTES)
    except ValueError:
        pass  # Raised below, outside: what was no base64 goes into no trace.
    raise LogRefused(number, f"{name} is {RAW_BYTES} bytes in canonical base64")


def read_checkpoint(number: int, note: str, key: VerifierKey | None) -> Checkpoint:
    """What a note says that the pinned key signed, and nobody else; without a key, what it says."""
    try:
        signed, signatures = split_note(note)
        checkpoint = Checkpoint.parse(signed)
        if key is None:
            return checkpoint
        if key.name != checkpoint.origin:
            raise NoteRefused("the pinned key is of another log")
        open_note(note, [key])
        if len(signatures) != 1:
            raise NoteRefused("the checkpoint carries signatures nobody checked")
    except NoteRefused as refusal:
        raise LogRefused(number, str(refusal)) from None
    return checkpoint


def _spelt(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join([_spelt(item) for item in value]) + "]"
    return encode_basestring(value) if isinstance(value, str) else str(value)
