"""Writes the hashes that `python -m crypto verify-page` compares with: `make page-hashes`, after a change of a file."""

import json
from collections.abc import Iterator
from pathlib import Path

import flask_bootstrap

from crypto.page import hash_of
from crypto.tool.pages import FORMAT, PUBLISHED

STATIC = Path(__file__).parent / "static"
BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5"
LIST = Path(__file__).parents[1] / "crypto" / PUBLISHED


def page_hashes() -> dict[str, str]:
    """Of every script and style that a page may load, by its path on the server."""
    return {path: hash_of(file.read_bytes()) for path, file in sorted(_files())}


def to_json() -> str:
    return json.dumps({"format": FORMAT, "files": page_hashes()}, indent=1) + "\n"


def _files() -> Iterator[tuple[str, Path]]:
    for suffix in ("js", "css"):
        for file in STATIC.rglob(f"*.{suffix}"):
            yield f"/static/{file.relative_to(STATIC).as_posix()}", file
    yield "/bootstrap/static/css/bootstrap.min.css", BOOTSTRAP / "css" / "bootstrap.min.css"


if __name__ == "__main__":
    LIST.write_text(to_json())
