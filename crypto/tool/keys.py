"""The commands `keygen`, `fingerprint` and `pin`: making keys, naming them aloud, trusting those of others."""

import argparse
import json
from pathlib import Path
from uuid import UUID

from crypto.custody import LocalKeyring
from crypto.errors import FileRefused
from crypto.grants import SUITES, XWING, RecipientKey, fingerprint, suite_of
from crypto.keyfile import PrivateKeys, PublicFile, make_keys, read_public_file, seal_keyfile
from crypto.memory import PURPOSES, Memory
from crypto.notes import verifier_key
from crypto.orders import grouped
from crypto.principal import PublicKeys
from crypto.private_file import create_private
from crypto.tool import terminal

HEX_DIGITS = 64  # of a fingerprint
KEY_FILE_START = 64  # bytes, in which a key file says that it is one


def keygen(options: argparse.Namespace) -> int:
    """Make keys; in a keyring, show those that stand already."""
    if options.keyring:
        _show_keyring(LocalKeyring(options.keyring).create(options.organisation), options.origin)
        return 0
    public_path = options.out.with_name(options.out.name + ".pub")
    for path in (options.out, public_path):
        terminal.require_absent(path)
    organisation_id = _organisation(options.organisation)
    if options.replacing:
        keys = _renewed(terminal.read_keys(options.replacing), organisation_id, options.suite)
    else:
        keys = make_keys(organisation_id, options.suite)
    sealed = seal_keyfile(keys, terminal.ask_passphrase(options.out, twice=True))
    create_private(options.out, sealed)
    create_private(public_path, json.dumps(keys.public_file(), indent=1).encode() + b"\n")
    _show_public(keys.public)
    print(f"keep {options.out}, and a copy of it elsewhere; publish {public_path}")
    return 0


def show_fingerprint(options: argparse.Namespace) -> int:
    if options.keyring:
        _show_keyring(LocalKeyring(options.keyring).public(options.what), options.origin)
        return 0
    path = Path(options.what)
    data = path.read_bytes()
    is_key_file = b'"consign-key/' in data[:KEY_FILE_START]
    _show_public(terminal.read_keys(path).public if is_key_file else read_public_file(data))
    return 0


def pin(options: argparse.Namespace) -> int:
    """Remember fingerprints that their owner has told by another way; those of a file have to be its own."""
    told = _told(options.fingerprint)
    memory = Memory.read(options.memory)
    if Path(options.target).exists():
        public = read_public_file(Path(options.target).read_bytes())
        organisation_id = public.organisation_id
        known = {fingerprint(public.kem): "kem", fingerprint(public.signing): "signing"}
        if not set(told) <= known.keys():
            raise FileRefused(
                f"{options.target} holds no key of that fingerprint: do not trust it, ask its owner again"
            )
        uses = [known[one] for one in told]
    else:
        organisation_id = _organisation(options.target)
        if options.use is None or len(told) != 1:
            raise FileRefused("say with --use which key it is, kem or signing; or name the organisation's public file")
        uses = [options.use]
    for use, one in zip(uses, told, strict=True):
        memory.pin(organisation_id, use, one, replace=options.replace)
    memory.write(options.memory)
    for use, one in zip(uses, told, strict=True):
        print(f"pinned {use:<7} {grouped(one.hex())} of {UUID(bytes=organisation_id)}")
    return 0


def _renewed(old: PrivateKeys, organisation_id: bytes, suite: str) -> PrivateKeys:
    """A new key to wrap to. The signing key stays, so that what agencies pinned and what it signed still stand;
    the index key stays, so that one borrower still has one token."""
    if old.organisation_id != organisation_id:
        raise FileRefused("the key file to replace is another organisation's")
    return PrivateKeys(organisation_id, RecipientKey.generate(suite), old.signing, old.index)


def _organisation(text: str) -> bytes:
    try:
        return UUID(text).bytes
    except ValueError:
        raise FileRefused(f"{terminal.shown(text)}: neither a file nor an organisation's id") from None


def _told(words: list[str]) -> list[bytes]:
    """Fingerprints as they are read out: in groups, in either case, one after the other."""
    digits = "".join(words).replace(" ", "").replace("-", "").replace(":", "").lower()
    parts = [digits[at : at + HEX_DIGITS] for at in range(0, len(digits), HEX_DIGITS)]
    try:
        told = [bytes.fromhex(part) for part in parts]
    except ValueError:
        told = []
    if not told or len(told[-1]) * 2 != HEX_DIGITS:
        raise FileRefused("a fingerprint is 64 hexadecimal digits, in groups of four")
    return told


def _show_public(public: PublicFile) -> None:
    print(f"organisation  {UUID(bytes=public.organisation_id)}")
    print(f"kem      {suite_of(public.kem):<8} {grouped(fingerprint(public.kem).hex())}")
    print(f"signing  ed25519  {grouped(fingerprint(public.signing).hex())}")


def _show_keyring(keys: PublicKeys, origin: str | None) -> None:
    print(f"kem      {suite_of(keys.kem):<8} {grouped(fingerprint(keys.kem).hex())}")
    print(f"signing  ed25519  {grouped(fingerprint(keys.signing).hex())}")
    if keys.log:
        print(f"log      {verifier_key(origin, keys.log) if origin else 'ed25519 ' + keys.log.hex()}")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("keygen", help="make an organisation's keys: a key file, or in a keyring")
    command.add_argument("organisation", help="its id; in a keyring also: platform")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--out", type=Path, metavar="FILE", help="a key file; the public file is made beside it")
    where.add_argument("--keyring", type=Path, metavar="FILE", help="the keyring of a platform that holds the keys")
    command.add_argument("--suite", choices=sorted(SUITES), default=XWING, help="x25519 to open in a browser")
    command.add_argument("--replacing", type=Path, metavar="FILE", help="keep this key file's signing and index keys")
    _add_origin(command)
    command.set_defaults(run=keygen)
    command = commands.add_parser("fingerprint", help="show the fingerprints of public keys")
    command.add_argument("what", metavar="FILE", help="a public file or key file; with --keyring a principal")
    command.add_argument("--keyring", type=Path, metavar="FILE")
    _add_origin(command)
    command.set_defaults(run=show_fingerprint)
    command = commands.add_parser("pin", help="trust the key of a fingerprint that its owner has told you")
    command.add_argument("target", metavar="FILE|ORGANISATION", help="its public file, or its id")
    command.add_argument(
        "fingerprint", nargs="+", help="64 hexadecimal digits, spaces or not; several follow each other"
    )
    command.add_argument("--memory", type=Path, required=True, metavar="FILE")
    command.add_argument("--use", choices=PURPOSES, help="which key it is, where only the id is named")
    command.add_argument("--replace", action="store_true", help="in place of the key pinned before")
    command.set_defaults(run=pin)


def _add_origin(command: argparse.ArgumentParser) -> None:
    command.add_argument("--origin", help="a log's origin: show the platform's log key as its verifier key")
