"""Reading JSON that somebody else wrote: each member of one type in one spelling, or ValueError without the value."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from crypto.canonical import INTEGER_MAX

DOCUMENT_BYTES_MAX = 1 << 26


def parse(data: bytes | str) -> dict[str, Any]:
    """The one JSON object in a document, no member of it named twice."""
    if len(data) <= DOCUMENT_BYTES_MAX:
        try:
            document = json.loads(data, object_pairs_hook=_members)
            if isinstance(document, dict):
                return document
        except (ValueError, RecursionError):
            pass  # Raised below, outside: the parser's error carries the document.
    raise ValueError("not one JSON object")


def exactly(document: object, *names: str) -> dict[str, Any]:
    """The document, where it is an object of these members and no others."""
    if not isinstance(document, dict) or document.keys() != set(names):
        raise ValueError("not an object of the members expected")
    return document


def text(value: object) -> str:
    """A string, not empty, that UTF-8 can say: without lone surrogates."""
    try:
        if isinstance(value, str) and value.encode():
            return value
    except UnicodeEncodeError:
        pass  # Raised below, outside: the codec's error carries the value.
    raise ValueError("not a string of characters")


def integer(value: object, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= INTEGER_MAX:
        raise ValueError("not an integer in its range")
    return value


def raw_id(value: object) -> bytes:
    """The 16 bytes of a UUID in lower case with hyphens."""
    try:
        found = UUID(text(value))
    except ValueError:
        found = None
    if found is None or str(found) != value:
        raise ValueError("not an id")
    return found.bytes


def id_text(raw: bytes) -> str:
    """A raw id as JSON carries it."""
    return str(UUID(bytes=raw))


def unhex(value: object, size: int) -> bytes:
    """Bytes of that size from lower-case hex."""
    try:
        raw = bytes.fromhex(text(value))
    except ValueError:
        raw = b""
    if len(raw) != size or raw.hex() != value:
        raise ValueError("not lower-case hex of its size")
    return raw


def unbase64(value: object, size: int | None = None) -> bytes:
    """Bytes, of that size where one is given, from base64 in its one canonical spelling."""
    try:
        raw = base64.b64decode(text(value), validate=True)
    except ValueError:
        raw = b""
    if to_base64(raw) != value or size not in (None, len(raw)):
        raise ValueError("not canonical base64 of its size")
    return raw


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a member is named twice")
    return document
