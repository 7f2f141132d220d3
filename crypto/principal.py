"""One principal's private keys in this process: KEM keys that open wraps, one key for each kind of signature."""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.cells import lp
from crypto.errors import ValueRefused, WrapBroken
from crypto.grants import RecipientKey, WrapContext, signed_bytes, unwrap
from crypto.secret import Secret

PLATFORM = "platform"

# Which key signs what. A checkpoint is signed bare, as C2SP notes are; all else is signed with its purpose in front.
SIGNING_KEYS = {"checkpoint": "log"} | dict.fromkeys(
    ("grant", "receipt", "cookie", "key", "portfolio", "answer", "erasure", "voucher"), "signing"
)
# What each seed beside the KEM keys is for; the platform's own secrets are sealed under keys derived from `secrets`.
ORGANISATION_SEEDS = {"signing": "ed25519"}
PLATFORM_SEEDS = {"signing": "ed25519", "log": "ed25519", "secrets": "hkdf-sha512"}

_DERIVED_LABEL = b"consign/derived/1\x00"

Entry = Mapping[str, Any]


class PublicKeys(NamedTuple):
    """A principal's public keys: `kem` is suite byte and key, the others raw Ed25519 (32 bytes).

    `kem`, of this serial, is the newest and the one to wrap to; wraps to the `older` ones still open.
    """

    kem: bytes
    signing: bytes
    log: bytes | None = None
    serial: int = 1
    older: tuple[bytes, ...] = ()


class KemKey(NamedTuple):
    """One KEM key of a principal; serials count from 1."""

    serial: int
    key: RecipientKey


class PrincipalKeys:
    """Never changed: `rotated`, `retired` and `completed` answer others that take its place."""

    def __init__(self, kems: Iterable[KemKey], seeds: Mapping[str, Secret]) -> None:
        self._kems = sorted(kems, key=lambda kem: -kem.serial)
        self._seeds = dict(seeds)
        self._signers = {
            use: Ed25519PrivateKey.from_private_bytes(seed.reveal())
            for use, seed in seeds.items()
            if PLATFORM_SEEDS[use] == "ed25519"
        }
        publics = {use: key.public_key().public_bytes_raw() for use, key in self._signers.items()}
        newest, *older = self._kems
        self.public = PublicKeys(
            newest.key.public,
            publics["signing"],
            publics.get("log"),
            newest.serial,
            tuple(kem.key.public for kem in older),
        )

    @classmethod
    def generate(cls, principal: str) -> "PrincipalKeys":
        seeds = PLATFORM_SEEDS if principal == PLATFORM else ORGANISATION_SEEDS
        return cls([KemKey(1, RecipientKey.generate())], {use: Secret.random() for use in seeds})

    @classmethod
    def from_json(cls, entry: Entry, unseal: Callable[[str, str], Secret]) -> "PrincipalKeys":
        """`unseal(use, text)` makes a seed of what `to_json` wrote; KeyError and the like for another shape."""
        kems = [KemKey(kem["serial"], RecipientKey(kem["suite"], unseal("kem", kem["seed"]))) for kem in entry["kem"]]
        return cls(kems, {use: unseal(use, key["seed"]) for use, key in entry.items() if use != "kem"})

    def to_json(self, seal: Callable[[str, Secret], str]) -> dict[str, Any]:
        """Its seeds as text, each as `seal(use, seed)` puts it."""
        kems = [{"serial": serial, "suite": key.suite, "seed": seal("kem", key.seed)} for serial, key in self._kems]
        seeds = {use: {"suite": PLATFORM_SEEDS[use], "seed": seal(use, seed)} for use, seed in self._seeds.items()}
        return {"kem": kems, **seeds}

    def rotated(self) -> "PrincipalKeys":
        """With a new KEM key, of the same suite, before those that stand."""
        newest = self._kems[0]
        fresh = KemKey(newest.serial + 1, RecipientKey.generate(newest.key.suite))
        return PrincipalKeys([fresh, *self._kems], self._seeds)

    def retired(self) -> "PrincipalKeys":
        """With the newest KEM key alone; itself where it has no other."""
        return self if len(self._kems) == 1 else PrincipalKeys(self._kems[:1], self._seeds)

    def completed(self, principal: str) -> "PrincipalKeys":
        """With the seeds that an earlier release did not make yet; itself where none is missing."""
        missing = PLATFORM_SEEDS.keys() - self._seeds.keys() if principal == PLATFORM else ()
        return PrincipalKeys(self._kems, self._seeds | {use: Secret.random() for use in missing}) if missing else self

    def unwrap(self, wrapped: bytes, context: WrapContext) -> Secret:
        """The wrapped key, by whichever KEM key opens it, or `WrapBroken`."""
        for kem in self._kems:
            try:
                return unwrap(wrapped, kem.key, context)
            except WrapBroken:
                continue
        raise WrapBroken

    def sign(self, purpose: str, message: bytes) -> bytes:
        signer = self._signers.get(SIGNING_KEYS.get(purpose, ""))
        if signer is None:
            raise ValueRefused("this principal has no key for that purpose")
        return signer.sign(message if purpose == "checkpoint" else signed_bytes(purpose, message))

    def derive(self, purpose: str) -> Secret:
        if "secrets" not in self._seeds:
            raise ValueRefused("this principal derives no keys")
        info = _DERIVED_LABEL + lp(purpose.encode())
        return Secret(HKDFExpand(SHA512(), 32, info).derive(self._seeds["secrets"].reveal()))


def seed_of(text: str) -> Secret:
    """A seed's 32 bytes out of their base64, or `ValueRefused`, or ValueError."""
    return checked_seed(base64.b64decode(text, validate=True))


def checked_seed(seed: bytes) -> Secret:
    if len(seed) != 32:
        raise ValueRefused("a seed has 32 bytes")
    return Secret(seed)


def text_of(seed: Secret) -> str:
    return base64.b64encode(seed.reveal()).decode()
