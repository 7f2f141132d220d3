"""Handing a 32-byte key to one recipient: HPKE wraps (RFC 9180, base mode) and the signatures beside them.

A wrap is `0x01 ‖ suite(1) ‖ enc ‖ ciphertext(48)`; a public key is `suite(1) ‖ raw`. The suite that counts is
the recipient key's: a wrap that names another is refused before anything is opened.
"""

import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from crypto.cells import lp
from crypto.errors import SignatureRefused, ValueRefused, WrapBroken
from crypto.secret import Secret

X25519 = "x25519"
XWING = "xwing"

SUITE_BYTE = {X25519: b"\x01", XWING: b"\x02"}
SUITES = {
    X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),  # 0x0020/0x0001/0x0002
    XWING: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),  # 0x647A/0x0001/0x0002
}
PURPOSES = ("class-key", "index-key", "ledger-key")

_FORMAT = b"\x01"
_MLKEM_PUBLIC_BYTES = 1184


class WrapContext(NamedTuple):
    """What a wrapped key is for; opening with any other context fails.

    `class-key` names a portfolio and a field class; `index-key` and `ledger-key` belong to the lender alone.
    """

    purpose: str
    lender_id: bytes
    portfolio_id: bytes | None = None
    field_class: str | None = None
    epoch: int = 1
    serial: int = 1

    def info(self, recipient_public: bytes) -> bytes:
        """HPKE's info; the lender is granter and grantee, under no terms and without expiry."""
        of_a_class = self.portfolio_id is not None and bool(self.field_class)
        of_the_lender = self.portfolio_id is None and self.field_class is None
        if self.purpose not in PURPOSES or not (of_a_class if self.purpose == "class-key" else of_the_lender):
            raise ValueRefused("a wrap's purpose, portfolio and field class do not agree")
        kind = self.field_class if self.purpose == "class-key" else self.purpose
        terms_digest = expiry = b""
        named = (
            suite_of(recipient_public).encode(), self.portfolio_id or b"", (kind or "").encode(),
            b"%d" % self.epoch, b"%d" % self.serial, self.lender_id, self.lender_id,
            fingerprint(recipient_public), terms_digest, expiry,
        )  # fmt: skip
        return b"consign/grant/1\x00" + b"".join(map(lp, named))


class RecipientKey:
    """A private key that opens wraps; kept and restored as a 32-byte seed."""

    def __init__(self, suite: str, seed: Secret) -> None:
        self.suite = suite
        self.seed = seed
        self._private: X25519PrivateKey | MLKEM768X25519PrivateKey
        if suite == X25519:
            self._private = X25519PrivateKey.from_private_bytes(seed.reveal())
            self.public = SUITE_BYTE[suite] + self._private.public_key().public_bytes_raw()
        elif suite == XWING:
            # X-Wing: SHAKE256 stretches the seed into ML-KEM's 64 bytes and X25519's 32.
            stretched = hashlib.shake_256(seed.reveal()).digest(96)
            mlkem = MLKEM768PrivateKey.from_seed_bytes(stretched[:64])
            x25519 = X25519PrivateKey.from_private_bytes(stretched[64:])
            self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
            raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
            self.public = SUITE_BYTE[suite] + raw
        else:
            raise ValueRefused("unknown suite")

    @classmethod
    def generate(cls, suite: str = XWING) -> "RecipientKey":
        return cls(suite, Secret.random(32))

    def open(self, ciphertext: bytes, info: bytes) -> bytes:
        """HPKE's single-shot opening of `enc ‖ ciphertext`."""
        try:
            return SUITES[self.suite].decrypt(ciphertext, self._private, info)
        except (InvalidTag, ValueError):
            raise WrapBroken from None


def wrap(secret: Secret, recipient_public: bytes, context: WrapContext) -> bytes:
    """Seal a 32-byte key to a recipient: 82 bytes with x25519, 1,170 with xwing."""
    suite = suite_of(recipient_public)
    if len(secret.reveal()) != 32:
        raise ValueRefused("a wrapped key has 32 bytes")
    info = context.info(recipient_public)
    try:
        sealed = SUITES[suite].encrypt(secret.reveal(), _public_key(recipient_public), info)
    except ValueError:  # Wrong length, or a point that would make the shared secret known to all.
        raise ValueRefused("a public key has the wrong length or content") from None
    return _FORMAT + SUITE_BYTE[suite] + sealed


def unwrap(wrapped: bytes, private: RecipientKey, context: WrapContext) -> Secret:
    """The wrapped key, or `WrapBroken`."""
    if wrapped[:2] != _FORMAT + SUITE_BYTE[private.suite]:
        raise WrapBroken
    return Secret(private.open(wrapped[2:], context.info(private.public)))


def suite_of(public: bytes) -> str:
    """The suite a public key names in its first byte."""
    for suite, mark in SUITE_BYTE.items():
        if public[:1] == mark:
            return suite
    raise ValueRefused("a public key names no known suite")


def fingerprint(public: bytes) -> bytes:
    """SHA-256 of a public key, its suite byte included."""
    return hashlib.sha256(b"consign/key/1\x00" + lp(public)).digest()


def signed_bytes(purpose: str, message: bytes) -> bytes:
    """What is signed for a purpose, so that a signature for one never stands for another."""
    return b"consign/" + purpose.encode() + b"-signature/1\x00" + message


def verify_signature(signing_public: bytes, purpose: str, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature over `signed_bytes`, or `SignatureRefused`."""
    try:
        Ed25519PublicKey.from_public_bytes(signing_public).verify(signature, signed_bytes(purpose, message))
    except (InvalidSignature, ValueError):
        raise SignatureRefused from None


def _public_key(public: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    raw = public[1:]
    if suite_of(public) == X25519:
        return X25519PublicKey.from_public_bytes(raw)
    mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
    return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]))
