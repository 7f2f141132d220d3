"""Published vectors, read where they stand beside the repository."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"


@pytest.fixture
def published() -> Callable[[str], Any]:
    """Reads a vector file by name; JSON lines become a list."""

    def read(name: str) -> Any:
        path = VECTORS / name
        if not path.exists():
            pytest.skip(f"needs ../shared/vectors/{name}")
        text = path.read_text()
        return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)

    return read
