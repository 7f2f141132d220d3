"""Private files are for their owner alone, and are never half written or overwritten by accident."""

import stat
from pathlib import Path

import pytest

from crypto.errors import FileRefused
from crypto.private_file import create_private, read_private, replace_private, turn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_new_file_is_for_its_owner_alone(path: Path) -> None:
    create_private(path, b"data")
    assert (stat.S_IMODE(path.stat().st_mode), read_private(path)) == (0o600, b"data")


def test_a_file_that_stands_is_not_overwritten(path: Path) -> None:
    create_private(path, b"first")
    with pytest.raises(FileExistsError):
        create_private(path, b"second")
    assert read_private(path) == b"first"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o777])
def test_a_file_open_to_others_is_refused_with_what_to_do(path: Path, mode: int) -> None:
    create_private(path, b"data")
    path.chmod(mode)
    with pytest.raises(FileRefused, match=f"chmod 600 {path}"):
        read_private(path)


def test_replacing_clears_what_a_killed_writer_left(path: Path) -> None:
    create_private(path.with_name("keys.json.new"), b"half")
    with turn(path):
        replace_private(path, b"data")
    assert read_private(path) == b"data"
    assert not path.with_name("keys.json.new").exists()
