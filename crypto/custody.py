"""Who holds the private keys: the interface, and the keyring file of a single machine."""

import base64
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.errors import CryptoError, KeyringRefused, PrincipalUnknown, ValueRefused
from crypto.grants import RecipientKey, WrapContext, signed_bytes, unwrap
from crypto.secret import Secret

PLATFORM = "platform"
FORMAT = "consign-keyring/1"

# Which key signs what. A checkpoint is signed bare, as C2SP notes are; all else is signed with its purpose in front.
SIGNING_KEYS = {"checkpoint": "log", "grant": "signing", "receipt": "signing", "cookie": "signing"}


class PublicKeys(NamedTuple):
    """A principal's public keys: `kem` is suite byte and key, the others raw Ed25519 (32 bytes)."""

    kem: bytes
    signing: bytes
    log: bytes | None = None


class Custody(Protocol):
    """Uses private keys on behalf of principals (an organisation's id, or `platform`) and never gives them out."""

    def create(self, principal: str) -> PublicKeys:
        """Make the principal's keys; where they stand already, change nothing and answer them."""

    def public(self, principal: str) -> PublicKeys:
        """The public keys, or `PrincipalUnknown`."""

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        """Open a key wrapped to the principal, or `WrapBroken`."""

    def sign(self, principal: str, purpose: str, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes) for one of `SIGNING_KEYS`."""


class PrincipalKeys:
    """One principal's private keys, KEM and signing apart."""

    def __init__(self, kem: RecipientKey, signers: Mapping[str, Secret]) -> None:
        self.kem = kem
        self._seeds = signers
        self._signers = {use: Ed25519PrivateKey.from_private_bytes(seed.reveal()) for use, seed in signers.items()}
        publics = {use: key.public_key().public_bytes_raw() for use, key in self._signers.items()}
        self.public = PublicKeys(kem.public, publics["signing"], publics.get("log"))

    @classmethod
    def generate(cls, principal: str) -> "PrincipalKeys":
        uses = ("signing", "log") if principal == PLATFORM else ("signing",)
        return cls(RecipientKey.generate(), {use: Secret.random() for use in uses})

    @classmethod
    def from_json(cls, entry: Mapping[str, Mapping[str, str]]) -> "PrincipalKeys":
        kem = RecipientKey(entry["kem"]["suite"], _seed(entry["kem"]["seed"]))
        return cls(kem, {use: _seed(key["seed"]) for use, key in entry.items() if use != "kem"})

    def to_json(self) -> dict[str, dict[str, str]]:
        entry = {"kem": {"suite": self.kem.suite, "seed": _base64(self.kem.seed)}}
        return entry | {use: {"suite": "ed25519", "seed": _base64(seed)} for use, seed in self._seeds.items()}

    def sign(self, purpose: str, message: bytes) -> bytes:
        signer = self._signers.get(SIGNING_KEYS.get(purpose, ""))
        if signer is None:
            raise ValueRefused("this principal has no key for that purpose")
        return signer.sign(message if purpose == "checkpoint" else signed_bytes(purpose, message))


class LocalKeyring:
    """Custody in one JSON file of mode 0600, shared by the processes of one machine.

    A principal's keys never change once made, so a process reads the file again only for a principal it has
    not seen. Writers take turns on a lock file and replace the keyring whole.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._known = self._read()

    def __repr__(self) -> str:
        return f"LocalKeyring({str(self.path)!r})"

    def create(self, principal: str) -> PublicKeys:
        if not principal:
            raise ValueRefused("a principal has a name")
        with self._writing():
            known = self._read()
            if principal not in known:
                known[principal] = PrincipalKeys.generate(principal)
                self._replace(known)
            self._known = known
        return known[principal].public

    def public(self, principal: str) -> PublicKeys:
        return self._keys(principal).public

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        return unwrap(wrapped, self._keys(principal).kem, context)

    def sign(self, principal: str, purpose: str, message: bytes) -> bytes:
        return self._keys(principal).sign(purpose, message)

    def _keys(self, principal: str) -> PrincipalKeys:
        if principal not in self._known:
            self._known = self._read()
        if principal not in self._known:
            raise PrincipalUnknown(f"{self.path} holds no keys of {principal}: restore the keyring from its backup")
        return self._known[principal]

    def _read(self) -> dict[str, PrincipalKeys]:
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeyringRefused(f"{self.path} cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise KeyringRefused(f"{self.path} is open to others (mode {mode:04o}): run chmod 600 {self.path}")
        return self._parse(text)

    def _parse(self, text: bytes) -> dict[str, PrincipalKeys]:
        corrupt = f"{self.path} is corrupt: restore it from its backup, do not edit it"
        try:
            document = json.loads(text)
            version = document["format"]
            if version == FORMAT:
                return {name: PrincipalKeys.from_json(entry) for name, entry in document["principals"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, CryptoError):
            version = None
        # Raised here, outside: the parser's error carries the keyring's text.
        if version is None or not isinstance(version, str):
            raise KeyringRefused(corrupt)
        raise KeyringRefused(f"{self.path} is not in the format {FORMAT}: use the release that wrote it")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _replace(self, known: Mapping[str, PrincipalKeys]) -> None:
        document = {"format": FORMAT, "principals": {name: keys.to_json() for name, keys in known.items()}}
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)  # Left by a writer killed before its rename; the lock says it is gone.
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # The rename itself must outlive a power cut: keys wrapped next depend on it.
        finally:
            os.close(folder)


def _seed(text: str) -> Secret:
    seed = base64.b64decode(text, validate=True)
    if len(seed) != 32:
        raise ValueRefused("a seed has 32 bytes")
    return Secret(seed)


def _base64(seed: Secret) -> str:
    return base64.b64encode(seed.reveal()).decode()
