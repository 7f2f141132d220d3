"""Guards on the package itself, written once."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("crypto", "models", "jobs", "portal", "migrations")
    for path in (ROOT / folder).rglob("*.py")
]  # fmt: skip
SEALERS = {"seal", "seal_stream", "seal_cell"}


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_only_tests_choose_a_salt_for_sealing() -> None:
    chosen = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in calls(path)
        if name_of(call) in SEALERS
        and (len(call.args) > 3 or any(keyword.arg in ("salt", None) for keyword in call.keywords))
    ]
    assert chosen == []


def test_the_guard_sees_the_calls_it_guards() -> None:
    assert any(name_of(call) in SEALERS for call in calls(ROOT / "crypto" / "cells.py"))


def test_crypto_stands_on_the_standard_library_and_cryptography_alone() -> None:
    allowed = {"crypto", "cryptography"} | sys.stdlib_module_names
    imported = set()
    for path in (ROOT / "crypto").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                imported.add((node.module or "").split(".")[0])
    assert imported <= allowed


def test_crypto_reads_no_clock() -> None:
    """Days and times are values here. The command line alone asks what time it is, and hands it on."""
    edge = ROOT / "crypto" / "__main__.py"
    for path in set((ROOT / "crypto").rglob("*.py")) - {edge}:
        tree = ast.parse(path.read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        asked = {name_of(call) for call in calls(path)}
        assert "time" not in imported, path
        assert not asked & {"now", "today", "utcnow", "time", "monotonic", "perf_counter"}, path
