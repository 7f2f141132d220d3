"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), read strictly.

A note is a text ending in a newline, an empty line, and signature lines `— NAME BASE64`. A verifier key is
`NAME+HASH+KEY`. Algorithm 1 is Ed25519 over the text, 4 a witness's timestamped cosignature.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crypto.errors import NoteRefused
from crypto.merkle import EMPTY_ROOT, HASH_BYTES

ED25519 = 1
COSIGNATURE = 4
SIGNATURES_MAX = 100
SIZE_MAX = 2**63 - 1

_VERIFIER_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(.+)").fullmatch
_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)").fullmatch
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]").search


class VerifierKey(NamedTuple):
    """A name, what algorithm its key is for, and the raw Ed25519 public key."""

    name: str
    algorithm: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read `NAME+HASH+KEY`, or `NoteRefused`."""
        found = _VERIFIER_KEY(text)
        if not found:
            raise NoteRefused("a verifier key reads NAME+HASH+KEY")
        name, digest, body = found.groups()
        raw = _base64(body)
        _check_name(name)
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteRefused("a verifier key is of no known algorithm")
        key = cls(name, raw[0], raw[1:])
        if key.id().hex() != digest:
            raise NoteRefused("a verifier key's hash is not of its name and key")
        return key

    def text(self) -> str:
        body = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id().hex()}+{body}"

    def id(self) -> bytes:
        """The 4 bytes that name this key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def verify(self, text: str, signature: bytes) -> None:
        """Check a signature without its key id, or `NoteRefused`."""
        signed = text.encode()
        if self.algorithm == COSIGNATURE:
            signed = b"cosignature/v1\ntime %d\n" % cosigned_at(self.id() + signature) + signed
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed)
        except (InvalidSignature, ValueError):
            raise NoteRefused(f"the signature of {self.name} does not verify") from None


class OpenedNote(NamedTuple):
    """A note's text, and the names that signed it: those checked, and those of keys unknown here."""

    text: str
    verified: tuple[str, ...]
    unverified: tuple[str, ...]


class Checkpoint(NamedTuple):
    """A log's origin, its size in leaves, and its root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read exactly three lines, or `NoteRefused`; extension lines are not ours and are refused."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise NoteRefused("a checkpoint is three lines: origin, size, root")
        origin, size, body = lines[:3]
        _check_name(origin)
        if not _SIZE(size) or int(size) > SIZE_MAX:
            raise NoteRefused("a checkpoint's size is a plain decimal number")
        root = _base64(body)
        if len(root) != HASH_BYTES or (size == "0" and root != EMPTY_ROOT):
            raise NoteRefused("a checkpoint's root is not of its size")
        return cls(origin, int(size), root)

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def open_note(note: str | bytes, verifier_keys: Iterable[str | VerifierKey]) -> OpenedNote:
    """Check a note's signatures by known keys, at least one, or `NoteRefused`.

    A known key's bad signature refuses the whole note; unknown keys are listed, repeated lines counted once.
    """
    keys = [key if isinstance(key, VerifierKey) else VerifierKey.parse(key) for key in verifier_keys]
    text, lines = split_note(note)
    verified: dict[tuple[str, bytes], str] = {}
    unverified: dict[str, str] = {}
    for line in lines:
        name, key_id, signature = _signature(line)
        known = [key for key in keys if key.name == name and key.id() == key_id]
        if len(known) > 1:
            raise NoteRefused(f"the key of {name} is ambiguous")
        if not known:
            unverified[line] = name
        elif (name, key_id) not in verified:
            known[0].verify(text, signature)
            verified[name, key_id] = name
    if not verified:
        raise NoteRefused("the note is signed by no known key")
    return OpenedNote(text, tuple(verified.values()), tuple(unverified.values()))


def split_note(note: str | bytes) -> tuple[str, list[str]]:
    """A note's text and its signature lines, unchecked."""
    if isinstance(note, bytes):
        try:
            note = note.decode()
        except UnicodeDecodeError:
            raise NoteRefused("the note is not UTF-8") from None
    if _CONTROL(note):
        raise NoteRefused("the note holds control characters")
    head, gap, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or len(lines) < 2 or lines.pop() or len(lines) > SIGNATURES_MAX:
        raise NoteRefused("the note is not a text, an empty line and 1 to 100 signature lines")
    return head + "\n", lines


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """The text, ending in a newline, as a note signed under a name."""
    _check_text(text)
    key = verifier_key(name, private_key.public_key().public_bytes_raw())
    return assemble_note(text, key, private_key.sign(text.encode()))


def assemble_note(text: str, key: str, signature: bytes) -> str:
    """A note from a signature made elsewhere; what would not verify is refused here already."""
    signer = VerifierKey.parse(key)
    _check_text(text)
    signer.verify(text, signature)
    return f"{text}\n— {signer.name} {base64.b64encode(signer.id() + signature).decode()}\n"


def verifier_key(name: str, public: bytes) -> str:
    """`NAME+HASH+KEY` of a raw Ed25519 public key."""
    _check_name(name)
    return VerifierKey(name, ED25519, public).text()


def cosigned_at(signature: bytes) -> int:
    """The POSIX seconds in a cosignature: key id (4), time (8), Ed25519 signature (64)."""
    if len(signature) != 76:
        raise NoteRefused("a cosignature has 76 bytes")
    return int.from_bytes(signature[4:12])


def _signature(line: str) -> tuple[str, bytes, bytes]:
    found = _SIGNATURE_LINE(line)
    if not found:
        raise NoteRefused("a signature line reads — NAME BASE64")
    name, body = found.groups()
    _check_name(name)
    raw = _base64(body)
    if len(raw) < 5:
        raise NoteRefused("a signature is too short")
    return name, raw[:4], raw[4:]


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL(text):
        raise NoteRefused("a note's text is lines without control characters")


def _check_name(name: str) -> None:
    if not name or "+" in name or not name.isprintable() or any(char.isspace() for char in name):
        raise NoteRefused("a name has no spaces and no plus sign")


def _base64(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise NoteRefused("not canonical base64")
    return raw
