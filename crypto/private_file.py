"""Files for their owner alone: of mode 0600, replaced whole, written by one process at a time."""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from crypto.errors import FileRefused

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def read_private(path: Path) -> bytes:
    """The file's bytes; `FileRefused` where others could read or change it, FileNotFoundError where there is none."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise FileRefused(f"{path} is open to others (mode {mode:04o}): run chmod 600 {path}")
        return file.read()


def create_private(path: Path, data: bytes) -> None:
    """A new file; FileExistsError where there is one, which is left as it is."""
    with os.fdopen(os.open(path, _CREATE, 0o600), "wb") as file:
        _write(file, data)
    _sync_folder(path)


def create_private_stream(path: Path, pieces: Iterable[bytes]) -> None:
    """A new file of many pieces; where they end in an exception there is no file."""
    with os.fdopen(os.open(path, _CREATE, 0o600), "wb") as file:
        try:
            file.writelines(pieces)
            _write(file, b"")
        except BaseException:
            path.unlink()
            raise
    _sync_folder(path)


def replace_private(path: Path, data: bytes) -> None:
    """The file becomes `data` or stays as it was. Hold `turn(path)`."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # Left by a writer killed before its rename; the lock says it is gone.
    with os.fdopen(os.open(fresh, _CREATE, 0o600), "wb") as file:
        _write(file, data)
    fresh.replace(path)
    _sync_folder(path)


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for this process's turn to write, on a lock file beside the file."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """The name itself must outlive a power cut."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
