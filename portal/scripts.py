"""What pages load, each file with the hash it must have: `verify-page` compares them with the published ones."""

from functools import lru_cache
from pathlib import Path

from flask import current_app
from werkzeug.utils import safe_join

from crypto.page import hash_of

# The modules that open data in the browser, each after those it stands on.
OPENER = (
    "refusals",
    "bytes",
    "hashes",
    "hpke",
    "cobblestone",
    "cells",
    "memory",
    "grants",
    "leases",
    "keyfile",
    "package",
    "store",
    "page",
    "log",
    "log_page",
)


def integrity(filename: str, blueprint: str | None = None) -> str:
    """The `integrity` attribute of a static file of ours, or of a blueprint's."""
    folder = current_app.blueprints[blueprint].static_folder if blueprint else current_app.static_folder
    path = Path(safe_join(str(folder), filename) or "")
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache
def _digest(path: Path, changed_at: int) -> str:
    """Until the file changes."""
    return hash_of(path.read_bytes())
