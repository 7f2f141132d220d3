"""The stand-alone tool: verify an exported log offline; make and name the keys of a local keyring.

verify-log ends with 0 verified, 1 refused, 2 self-consistent only (no key was pinned).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crypto.custody import LocalKeyring, PublicKeys
from crypto.errors import CryptoError
from crypto.grants import fingerprint, suite_of
from crypto.logfile import LINE_BYTES_MAX, verify_log
from crypto.notes import verifier_key
from crypto.witness import read_witness, write_witness

VERIFIED, REFUSED, SELF_CONSISTENT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except CryptoError as refusal:
        print(refusal, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    return REFUSED


def verify(options: argparse.Namespace) -> int:
    """Check one file, print what it says, and remember it where it was signed by the pinned key."""
    seen = read_witness(options.witness) if options.witness else {}
    report = verify_log(_lines(options.file), options.key, seen)
    origin, size, root = report.checkpoint
    print(f"origin      {origin}\nsize        {size}\nroot        {root.hex()}")
    print(f"last entry  {report.last_entry_at or 'without a time'}")
    if not report.signed:
        print("self-consistent only: no key was pinned, so anyone could have made this file")
        return SELF_CONSISTENT
    if options.witness:
        write_witness(options.witness, seen | {origin: report.checkpoint})
    print("verified")
    return VERIFIED


def keygen(options: argparse.Namespace) -> int:
    """Make a principal's keys in the keyring, or show those that stand."""
    _show(LocalKeyring(options.keyring).create(options.principal), options.origin)
    return 0


def show_fingerprint(options: argparse.Namespace) -> int:
    """Show a principal's public keys."""
    _show(LocalKeyring(options.keyring).public(options.principal), options.origin)
    return 0


def _show(keys: PublicKeys, origin: str | None) -> None:
    print(f"kem      {suite_of(keys.kem)} {fingerprint(keys.kem).hex()}")
    print(f"signing  ed25519 {keys.signing.hex()}")
    if keys.log:
        print(f"log      {verifier_key(origin, keys.log) if origin else 'ed25519 ' + keys.log.hex()}")


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines; one beyond the limit is cut where the verifier will refuse it."""
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            yield line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crypto", description="Offline checks and local keys.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    log = commands.add_parser("verify-log", help="check an exported audit log")
    log.add_argument("file", type=Path)
    log.add_argument("--key", metavar="NAME+HASH+KEY", help="the log's verifier key, learnt from somewhere else")
    log.add_argument("--witness", type=Path, metavar="FILE", help="remember checkpoints, refuse forks and rollbacks")
    log.set_defaults(run=verify)
    for name, run, text in (
        ("keygen", keygen, "make a principal's keys in a keyring file"),
        ("fingerprint", show_fingerprint, "show a principal's public keys"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("principal", help="an organisation's id, or platform")
        command.add_argument("--keyring", type=Path, required=True)
        command.add_argument("--origin", help="a log's origin: show the platform's log key as its verifier key")
        command.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
