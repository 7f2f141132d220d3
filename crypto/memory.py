"""What a client remembers, in a file of its own: keys it has pinned, and how far every grant and cell had come.

The platform never writes it. Whoever serves an older grant, key or cell than was seen before is found out by it.
"""

import hashlib
import json
from pathlib import Path

from crypto import strict
from crypto.cells import lp
from crypto.errors import Distrusted as Distrusted
from crypto.errors import MemoryRefused
from crypto.private_file import read_private, replace_private, turn

FORMAT = "consign-memory/1"
PURPOSES = ("kem", "signing")
CLOCK_SLACK_SECONDS = 300


def fingerprint(public: bytes) -> bytes:
    """SHA-256 of a public key: a KEM key with its suite byte, a signing key's 32 raw bytes."""
    return hashlib.sha256(b"consign/key/1\x00" + lp(public)).digest()


class Memory:
    """Pins by raw organisation id; serials and epochs by a grant's scope; versions by `<case>/<class>`.

    Every `take_…` refuses what is lower than was seen before and remembers what is higher. Nothing reaches the
    file before `write`.
    """

    def __init__(self) -> None:
        self.seen_at = 0
        self.pins: dict[bytes, dict[str, bytes]] = {}
        self.serials: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self._pinned_here: set[tuple[bytes, str]] = set()

    @classmethod
    def read(cls, path: Path) -> "Memory":
        """The file's memory, an empty one where there is no file; else `FileRefused`, saying what to do."""
        try:
            return cls.from_json(read_private(path))
        except FileNotFoundError:
            return cls()
        except ValueError:
            pass  # Raised below, outside: it is about the file, not about the member.
        raise MemoryRefused(f"{path} is no {FORMAT}: restore it from its copy, for a new one has seen nothing")

    def write(self, path: Path) -> None:
        """Replace the file, keeping what other processes have remembered there since it was read."""
        with turn(path):
            on_file = Memory.read(path)
            on_file._learn(self)
            replace_private(path, on_file.to_json())
        self._learn(on_file)
        self._pinned_here.clear()

    def pin(self, organisation_id: bytes, purpose: str, pinned: bytes, replace: bool = False) -> None:
        """Trust the key of that fingerprint, learnt from its owner by another way.

        `Distrusted` `key_changed` where another one is pinned, unless it is to be replaced.
        """
        if purpose not in PURPOSES or len(pinned) != 32:
            raise ValueError("a pin is of a kem or signing key, by its fingerprint of 32 bytes")
        pins = self.pins.setdefault(organisation_id, {})
        if not replace and pins.get(purpose, pinned) != pinned:
            raise Distrusted("key_changed")
        pins[purpose] = pinned
        self._pinned_here.add((organisation_id, purpose))

    def require_pinned(self, organisation_id: bytes, purpose: str, public: bytes) -> None:
        """Accept an organisation's public key where it is the pinned one."""
        pinned = self.pins.get(organisation_id, {}).get(purpose)
        if pinned is None:
            raise Distrusted("key_unpinned")
        if pinned != fingerprint(public):
            raise Distrusted("key_changed")

    def check_clock(self, now: int) -> None:
        """Remember the time, in unix seconds; a clock that stands far behind it would revive what has expired."""
        if now < self.seen_at - CLOCK_SLACK_SECONDS:
            raise Distrusted("clock_behind")
        self.seen_at = max(self.seen_at, now)

    def take_epoch(self, scope: str, epoch: int) -> None:
        """A higher epoch is another key, whose serials begin anew."""
        if epoch < self.epochs.get(scope, 0):
            raise Distrusted("epoch_rolled_back")
        if epoch > self.epochs.get(scope, 0):
            self.serials.pop(scope, None)
        self.epochs[scope] = epoch

    def take_serial(self, scope: str, serial: int) -> None:
        """Of the epoch taken last."""
        _take(self.serials, scope, serial, "wrap_replayed")

    def take_version(self, cell: str, version: int) -> None:
        _take(self.versions, cell, version, "version_rolled_back")

    def to_json(self) -> bytes:
        pins = {
            strict.id_text(organisation_id): {purpose: pinned.hex() for purpose, pinned in sorted(pins.items())}
            for organisation_id, pins in sorted(self.pins.items())
        }
        document = {"format": FORMAT, "seen_at": self.seen_at, "pins": pins}
        document |= {"serials": self.serials, "epochs": self.epochs, "versions": self.versions}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "Memory":
        """ValueError where it is not a memory's."""
        document = strict.parse(data)
        strict.exactly(document, "format", "seen_at", "pins", "serials", "epochs", "versions")
        if document["format"] != FORMAT:
            raise ValueError("of another format")
        memory = cls()
        memory.seen_at = strict.integer(document["seen_at"])
        memory.pins = {strict.raw_id(name): _pins(pins) for name, pins in strict.mapping(document["pins"]).items()}
        memory.serials = _numbers(document["serials"])
        memory.epochs = _numbers(document["epochs"])
        memory.versions = _numbers(document["versions"])
        return memory

    def _learn(self, other: "Memory") -> None:
        """All that the other knows better; of pins, those it does not have and those the other was told to set."""
        self.seen_at = max(self.seen_at, other.seen_at)
        for scope, epoch in other.epochs.items():
            if epoch > self.epochs.get(scope, 0):
                self.serials.pop(scope, None)
                self.epochs[scope] = epoch
        for scope, serial in other.serials.items():
            if other.epochs.get(scope, 0) == self.epochs.get(scope, 0):
                self.serials[scope] = max(serial, self.serials.get(scope, 0))
        for cell, version in other.versions.items():
            self.versions[cell] = max(version, self.versions.get(cell, 0))
        for organisation_id, pins in other.pins.items():
            for purpose, pinned in pins.items():
                known = self.pins.setdefault(organisation_id, {})
                if purpose not in known or (organisation_id, purpose) in other._pinned_here:
                    known[purpose] = pinned


def _take(seen: dict[str, int], place: str, number: int, code: str) -> None:
    if number < seen.get(place, 0):
        raise Distrusted(code)
    seen[place] = number


def _pins(value: object) -> dict[str, bytes]:
    pins = strict.mapping(value)
    if not pins.keys() <= set(PURPOSES):
        raise ValueError("a pin of no known purpose")
    return {purpose: strict.unhex(text, 32) for purpose, text in pins.items()}


def _numbers(value: object) -> dict[str, int]:
    return {name: strict.integer(number) for name, number in strict.mapping(value).items()}
