"""A record or a bidder's part computed again, from the file alone."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

from .lots_record import LOTS_PART, LOTS_RECORD, verify_lots_part, verify_lots_record
from .shapes import AwardRefused, canonical
from .whole_record import PART, RECORD, verify_part, verify_record

READERS: Final = {
    RECORD: verify_record,
    PART: verify_part,
    LOTS_RECORD: verify_lots_record,
    LOTS_PART: verify_lots_part,
}


def verify(text: bytes) -> str:
    """Compute a record or a part again; one line that says what came out, or AwardRefused."""
    try:
        document = json.loads(text)
        spelled = canonical(document)
    except (ValueError, RecursionError):
        raise AwardRefused("not a document in JSON") from None
    found = document.get("format") if isinstance(document, dict) else None
    reader = READERS.get(found) if isinstance(found, str) else None
    if reader is None:
        raise AwardRefused(f"none of {', '.join(READERS)}")
    if spelled != text:
        raise AwardRefused("not in its canonical spelling: this is not the file as it was downloaded")
    return reader(document)


def verify_file(path: Path) -> int:
    """Print what came out. Exit code 0: as written; 1: not; 2: the file cannot be read."""
    try:
        text = path.read_bytes()
    except OSError as unreadable:
        print(f"{path}: {unreadable.strerror}", file=sys.stderr)
        return 2
    try:
        found = verify(text)
    except AwardRefused as refused:
        print(f"REFUSED: {refused}", file=sys.stderr)
        return 1
    print(f"{found}\nSHA-256 of the file, as the audit log names it: {sha256(text).hexdigest()}")
    return 0
