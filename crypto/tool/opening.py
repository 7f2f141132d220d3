"""The command `open`: what a release has handed out, opened with one's own key and shown as JSON."""

import argparse
import json
from pathlib import Path
from typing import Any

from crypto import strict
from crypto.errors import Distrusted, SealBroken
from crypto.fields import FIELD_CLASSES
from crypto.keyfile import read_public_file
from crypto.memory import Memory
from crypto.packages import Package, open_package
from crypto.tool import terminal


def run(options: argparse.Namespace) -> int:
    package, signing_keys = _read(options.package)
    publics = [read_public_file(path.read_bytes()) for path in options.lender]
    signing_keys |= {public.organisation_id: public.signing for public in publics}
    keys = terminal.read_keys(options.key)
    memory = Memory.read(options.memory)
    found = Package.from_json(package)
    given = (strict.id_text(found.case_id), found.field_class)
    if given != (options.case or given[0], options.field_class or given[1]):
        raise Distrusted("terms_changed")
    fields = open_package(package, keys, memory, signing_keys, options.now)
    memory.write(options.memory)
    terminal.show({
        "case": given[0],
        "number": found.reference,
        "class": given[1],
        "version": str(found.version),
    })  # fmt: skip
    print(json.dumps(fields, ensure_ascii=False, indent=1))
    return 0


def _read(path: Path) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The package, and the signing keys that came with it where the file is the release's whole answer."""
    try:
        document = strict.parse(path.read_bytes())
        shown = strict.mapping(document.get("signing_keys", {})).items()
        signing_keys = {strict.raw_id(name): strict.unbase64(public, 32) for name, public in shown}
        return dict(strict.mapping(document.get("package", document))), signing_keys
    except ValueError:
        raise SealBroken from None


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("open", help="open what a release has handed out")
    command.add_argument("package", type=Path, metavar="PACKAGE")
    command.add_argument("--key", type=Path, required=True, metavar="FILE", help="your organisation's key file")
    command.add_argument("--memory", type=Path, required=True, metavar="FILE", help="pins, and what was seen before")
    command.add_argument(
        "--lender", type=Path, action="append", default=[], metavar="FILE", help="the lender's public file, pinned"
    )
    command.add_argument("--case", metavar="ID", help="refuse a package of any other case than the one asked for")
    command.add_argument("--class", dest="field_class", choices=FIELD_CLASSES, help="… or of any other field class")
    command.set_defaults(run=run)
