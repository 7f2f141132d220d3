"""Between the commands and the person at the terminal: passphrases, questions, and the files they name."""

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from crypto.errors import FileRefused, KeyFileRefused
from crypto.keyfile import PrivateKeys, open_keyfile
from crypto.private_file import read_private

PASSPHRASE = "CONSIGN_PASSPHRASE"  # noqa: S105  # The variable's name.


def ask_passphrase(path: Path, twice: bool = False) -> str:
    """From the environment where it is set there, else typed unseen."""
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise KeyFileRefused(f"{path} needs its passphrase: run this in a terminal, or set {PASSPHRASE}")
    passphrase = getpass.getpass(f"Passphrase of {path}: ")
    if twice and getpass.getpass("The same again: ") != passphrase:
        raise KeyFileRefused("the two passphrases differ: nothing was made, try again")
    return passphrase


def read_keys(path: Path) -> PrivateKeys:
    """The organisation's own keys, out of a key file nobody else can read."""
    try:
        data = read_private(path)
    except FileNotFoundError:
        raise KeyFileRefused(f"{path}: no key file there; name the right one, or make one with keygen") from None
    passphrase = ask_passphrase(path)
    try:
        return open_keyfile(data, passphrase)
    except KeyFileRefused as refused:
        raise KeyFileRefused(f"{path}: {refused}") from None


def require_absent(path: Path) -> None:
    """Said before anything is asked or done: what stands is never overwritten."""
    if path.exists():
        raise FileRefused(f"{path} exists already: choose another name")


def show(facts: Mapping[str, str]) -> None:
    """On stderr: stdout is for what a command gives out."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {shown(value)}", file=sys.stderr)


def shown(value: str) -> str:
    """A text from a file as one line that moves no cursor."""
    return value if value.isprintable() else ascii(value)


def agreed(yes: bool) -> bool:
    """Whether the person wants what was shown; anything but a clear yes is a no."""
    if yes:
        return True
    print("Carry this out? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
