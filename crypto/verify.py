"""The command `verify-log`: an exported log, a bundle or a consistency proof, checked offline and told in words.

It ends with 0 verified, 1 refused, 2 self-consistent only (no key was pinned), 3 verified, but nothing shows
that it goes on from what the witness has seen.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

from crypto import bundle, logfile
from crypto.errors import LogRefused
from crypto.lines import LINE_BYTES_MAX, read_record
from crypto.notes import Checkpoint
from crypto.witness import read_witness, write_witness

VERIFIED, REFUSED, SELF_CONSISTENT, UNLINKED = 0, 1, 2, 3

Witness: TypeAlias = Mapping[str, Checkpoint]


class Verdict(NamedTuple):
    """What a file that stands says, whether a pinned key signed it, and whether it goes on from what was seen."""

    checkpoint: Checkpoint
    facts: dict[str, str]
    signed: bool
    linked: bool


def run(options: argparse.Namespace) -> int:
    """Check one file, print what it says, and remember its checkpoint where the pinned key signed it."""
    seen = read_witness(options.witness) if options.witness else {}
    lines = _lines(options.file)
    first = next(lines, b"")
    check = CHECKS.get(str(read_record(1, first)[1].get("format")), _log)
    verdict = check(chain([first], lines), options.key, seen)
    origin, size, root = verdict.checkpoint
    for name, value in {"origin": origin, "size": str(size), "root": root.hex(), **verdict.facts}.items():
        print(f"{name:<10}  {_shown(value)}")
    if not verdict.signed:
        print("self-consistent only: no key was pinned, so anyone could have made this file")
        return SELF_CONSISTENT
    if not verdict.linked:
        print(f"signed, but not shown to follow the {seen[origin].size} entries seen before: get the consistency proof")
        return UNLINKED
    if options.witness:
        write_witness(options.witness, {**seen, origin: verdict.checkpoint})
    print("verified")
    return VERIFIED


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("verify-log", help="check an exported audit log, a bundle or a consistency proof")
    command.add_argument("file", type=Path)
    command.add_argument("--key", metavar="NAME+HASH+KEY", help="the log's verifier key, learnt from somewhere else")
    command.add_argument(
        "--witness", type=Path, metavar="FILE", help="remember checkpoints, refuse forks and rollbacks"
    )
    command.set_defaults(run=run)


def _log(lines: Iterator[bytes], key: str | None, seen: Witness) -> Verdict:
    report = logfile.verify_log(lines, key, seen)
    # A whole log is compared with what was seen at its very size, so it is always linked.
    return Verdict(report.checkpoint, {"last entry": report.last_entry_at or "without a time"}, report.signed, True)


def _bundle(lines: Iterator[bytes], key: str | None, seen: Witness) -> Verdict:
    report = bundle.verify_bundle(_only(lines), key, seen)
    facts = {"index": str(report.place), "entry": report.entry}
    return Verdict(report.checkpoint, facts, report.signed, report.linked)


def _consistency(lines: Iterator[bytes], key: str | None, seen: Witness) -> Verdict:
    report = bundle.verify_consistency_file(_only(lines), key, seen)
    facts = {"follows": f"{report.old.size} entries, root {report.old.root.hex()}"}
    return Verdict(report.checkpoint, facts, report.signed, report.linked)


CHECKS: dict[str, Callable[[Iterator[bytes], str | None, Witness], Verdict]] = {
    bundle.BUNDLE_FORMAT: _bundle,
    bundle.CONSISTENCY_FORMAT: _consistency,
}


def _only(lines: Iterator[bytes]) -> bytes:
    line = next(lines)
    if next(lines, None) is not None:
        raise LogRefused(2, "something follows the proof")
    return line


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines; one beyond the limit is cut where the verifier will refuse it."""
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            yield line


def _shown(value: str) -> str:
    """A text from the file as one line: it cannot print a verdict of its own."""
    return value if value.isprintable() else ascii(value)
