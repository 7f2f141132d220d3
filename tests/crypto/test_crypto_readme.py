"""The worked example in crypto/README.md is what the code does."""

import json
import re
from pathlib import Path

import pytest

from crypto import cobblestone
from crypto.canonical import canonical
from crypto.cells import CellName, case_key, open_cell
from crypto.secret import Secret

README = (Path(__file__).parents[2] / "crypto" / "README.md").read_text()


@pytest.fixture
def example() -> dict[str, str]:
    block = README.split("## A worked example")[1].split("```")[1]
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in block.strip().splitlines())


def test_the_worked_example_is_computed_as_printed(example: dict[str, str]) -> None:
    parts = {name: bytes.fromhex(text) for name, text in example.items() if re.fullmatch("[0-9a-f]+", text)}
    field_class, version = example["class, version"].split(", ")
    name = CellName(parts["portfolio id"], parts["case reference"], field_class, int(version))
    fields = json.loads(example["fields"])
    key = case_key(Secret(parts["class key"]), name.portfolio_id, name.case_reference, parts["case salt"])
    assert key.reveal() == parts["case key"]
    assert name.context() == parts["context"]
    assert parts["padded"].startswith(canonical(fields) + b"\x80")
    sealed = cobblestone.seal(key.reveal(), name.context(), parts["padded"], salt=parts["sealing salt"])
    assert sealed == parts["cell"]
    assert open_cell(key, name, sealed) == fields


def test_the_readme_maps_every_file() -> None:
    for path in (Path(__file__).parents[2] / "crypto").glob("[a-z]*.py"):
        assert f"`{path.name}`" in README
