"""What a witness remembers: the last verified checkpoint of each log, in a small file."""

import json
import os
from pathlib import Path

from crypto.errors import NoteRefused
from crypto.notes import Checkpoint

FORMAT = "consign-witness/1"


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
