"""What a witness remembers, the last verified checkpoint of each log, in a small file; and what it lets follow."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from crypto.errors import LogRefused, NoteRefused
from crypto.notes import Checkpoint

FORMAT = "consign-witness/1"


def follows(seen: Checkpoint | None, shown: Sequence[Checkpoint]) -> bool:
    """Whether what is shown, oldest first and each proved to follow the one before, goes on from what was seen.

    False: it may, but the step from one to the other is not shown. `LogRefused` for a log that was longer
    already, or that differs at a size that both know.
    """
    if seen is None:
        return True
    if seen.size > shown[-1].size:
        raise LogRefused(1, f"the log was already at {seen.size} entries: rolled back, or ask for a newer proof")
    known = [one for one in shown if one.size == seen.size]
    if any(one != seen for one in known):
        raise LogRefused(1, f"the first {seen.size} entries are not those seen before: forked")
    return bool(known)


def read_witness(path: Path) -> dict[str, Checkpoint]:
    """The checkpoints by origin, none where there is no file yet; `NoteRefused` for a file that is not a witness's."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] == FORMAT:
            seen = [Checkpoint.parse(text) for text in document["seen"]]
            return {checkpoint.origin: checkpoint for checkpoint in seen}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise NoteRefused(f"{path} is not a witness file: restore it, a fresh one has seen nothing")


def write_witness(path: Path, seen: dict[str, Checkpoint]) -> None:
    """Replace the file whole."""
    document = {"format": FORMAT, "seen": [one.text() for one in seen.values()]}
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
