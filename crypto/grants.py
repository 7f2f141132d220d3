"""Handing a 32-byte key to one recipient: HPKE wraps (RFC 9180, base mode), signed by whoever grants them.

A wrap is `0x01 ‖ suite(1) ‖ enc ‖ ciphertext(48)`; a public key is `suite(1) ‖ raw`. The suite that counts is
the recipient key's: a wrap that names another is refused before anything is opened.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

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

from crypto import strict
from crypto.cells import lp
from crypto.errors import Distrusted, SignatureRefused, ValueRefused, WrapBroken
from crypto.fields import FIELD_CLASSES
from crypto.memory import Memory
from crypto.memory import fingerprint as fingerprint
from crypto.secret import Secret
from crypto.terms import Terms, digest_of, read_terms

FORMAT = "consign-grant/1"
X25519 = "x25519"
XWING = "xwing"

SUITE_BYTE = {X25519: b"\x01", XWING: b"\x02"}
SUITES = {
    X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),  # 0x0020/0x0001/0x0002
    XWING: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),  # 0x647A/0x0001/0x0002
}
INDEX_KEY, LEDGER_KEY = "index-key", "ledger-key"
LENDER_KINDS = (INDEX_KEY, LEDGER_KEY)  # keys of the lender's own, of no portfolio

Sign: TypeAlias = Callable[[str, bytes], bytes]  # (purpose, message) -> Ed25519 signature over `signed_bytes`

_WRAP_VERSION = b"\x01"
_MLKEM_PUBLIC_BYTES = 1184


class WrapContext(NamedTuple):
    """What a wrapped key is for; opening with any other context fails. Ids are raw bytes.

    `kind` is a field class of a portfolio, or one of `LENDER_KINDS`. A lender's own keys are granted by and to
    itself, under no terms; what is granted to another carries terms and an expiry, in unix seconds.
    """

    kind: str
    granter: bytes
    grantee: bytes
    portfolio_id: bytes = b""
    epoch: int = 1
    serial: int = 1
    terms_digest: bytes = b""
    expires_at: int | None = None

    @classmethod
    def of_class(
        cls, lender_id: bytes, portfolio_id: bytes, field_class: str, epoch: int = 1, serial: int = 1
    ) -> "WrapContext":
        """Of a lender's own class key."""
        return cls(field_class, lender_id, lender_id, portfolio_id, epoch, serial)

    @classmethod
    def of_lender(cls, kind: str, lender_id: bytes, epoch: int = 1, serial: int = 1) -> "WrapContext":
        """Of a lender's own key of one of `LENDER_KINDS`."""
        return cls(kind, lender_id, lender_id, b"", epoch, serial)

    @property
    def own(self) -> bool:
        return self.granter == self.grantee

    def info(self, suite: str, recipient: bytes) -> bytes:
        """HPKE's info, for a recipient key of that suite and fingerprint; `ValueRefused` if it contradicts itself."""
        own_kinds = LENDER_KINDS if self.own else ()
        if self.kind not in (FIELD_CLASSES if self.portfolio_id else own_kinds):
            raise ValueRefused("a wrap's kind and portfolio do not agree")
        if self.own != (self.terms_digest == b"") or self.own != (self.expires_at is None):
            raise ValueRefused("what is granted to another, and nothing else, has terms and an expiry")
        expiry = b"" if self.expires_at is None else b"%d" % self.expires_at
        named = (
            suite.encode(), self.portfolio_id, self.kind.encode(), b"%d" % self.epoch, b"%d" % self.serial,
            self.granter, self.grantee, recipient, self.terms_digest, expiry,
        )  # fmt: skip
        return b"consign/grant/1\x00" + b"".join(map(lp, named))


class Grant(NamedTuple):
    """A wrapped key with all that its opener must know; `recipient` is the fingerprint of the key it opens with."""

    context: WrapContext
    terms: Terms | None
    suite: str
    recipient: bytes
    wrapped: bytes
    signature: bytes

    @property
    def scope(self) -> str:
        """Within which epochs and serials only rise."""
        context, terms = self.context, self.terms or {}
        portfolio = strict.id_text(context.portfolio_id) if context.portfolio_id else "-"
        place = terms.get("placement", portfolio)
        return f"{strict.id_text(context.granter)}/{place}/{terms.get('case', '-')}/{context.kind}"

    def to_json(self) -> dict[str, Any]:
        context = self.context
        return {
            "format": FORMAT,
            "suite": self.suite,
            "portfolio": strict.id_text(context.portfolio_id) if context.portfolio_id else None,
            "kind": context.kind,
            "epoch": context.epoch,
            "serial": context.serial,
            "granter": strict.id_text(context.granter),
            "grantee": strict.id_text(context.grantee),
            "recipient": self.recipient.hex(),
            "terms": self.terms,
            "expires_at": context.expires_at,
            "wrapped": strict.to_base64(self.wrapped),
            "signature": strict.to_base64(self.signature),
        }

    @classmethod
    def from_json(cls, document: object) -> "Grant":
        """Read, not yet believed; `WrapBroken` where it is no grant."""
        try:
            return cls._read(strict.exactly(document, *_MEMBERS))
        except (ValueError, ValueRefused):
            raise WrapBroken from None

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> "Grant":
        terms, expires_at, portfolio = document["terms"], document["expires_at"], document["portfolio"]
        if document["format"] != FORMAT or strict.text(document["suite"]) not in SUITES:
            raise ValueError("of another format or suite")
        terms = None if terms is None else read_terms(terms)
        context = WrapContext(
            kind=strict.text(document["kind"]),
            granter=strict.raw_id(document["granter"]),
            grantee=strict.raw_id(document["grantee"]),
            portfolio_id=b"" if portfolio is None else strict.raw_id(portfolio),
            epoch=strict.integer(document["epoch"], least=1),
            serial=strict.integer(document["serial"], least=1),
            terms_digest=b"" if terms is None else digest_of(terms),
            expires_at=None if expires_at is None else strict.integer(expires_at),
        )
        return cls(
            context,
            terms,
            suite=document["suite"],
            recipient=strict.unhex(document["recipient"], 32),
            wrapped=strict.unbase64(document["wrapped"]),
            signature=strict.unbase64(document["signature"]),
        )


_MEMBERS = (
    "format", "suite", "portfolio", "kind", "epoch", "serial", "granter", "grantee", "recipient",
    "terms", "expires_at", "wrapped", "signature",
)  # fmt: skip


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
    info = context.info(suite, fingerprint(recipient_public))
    try:
        sealed = SUITES[suite].encrypt(secret.reveal(), _public_key(recipient_public), info)
    except ValueError:  # Wrong length, or a point that would make the shared secret known to all.
        raise ValueRefused("a public key has the wrong length or content") from None
    return _WRAP_VERSION + SUITE_BYTE[suite] + sealed


def unwrap(wrapped: bytes, private: RecipientKey, context: WrapContext) -> Secret:
    """The wrapped key, or `WrapBroken`."""
    if wrapped[:2] != _WRAP_VERSION + SUITE_BYTE[private.suite]:
        raise WrapBroken
    return Secret(private.open(wrapped[2:], context.info(private.suite, fingerprint(private.public))))


def make_grant(
    secret: Secret, recipient_public: bytes, context: WrapContext, sign: Sign, terms: Terms | None = None
) -> Grant:
    """Wrap a key and sign for it with the granter's key. Terms, if any, agree with the context and complete it."""
    if terms is not None:
        expires_at = strict.integer(terms["expires_at"]) if context.expires_at is None else context.expires_at
        context = context._replace(terms_digest=digest_of(terms), expires_at=expires_at)
    suite, recipient = suite_of(recipient_public), fingerprint(recipient_public)
    wrapped = wrap(secret, recipient_public, context)
    signature = sign("grant", _signed(wrapped, context.info(suite, recipient)))
    grant = Grant(context, terms, suite, recipient, wrapped, signature)
    if not _agree(grant):
        raise ValueRefused("a grant and its terms do not agree")
    return grant


def check_grant(
    wrapped: bytes, signature: bytes, recipient_public: bytes, context: WrapContext, granter_signing: bytes
) -> None:
    """Check the granter's signature over a wrap to a recipient, or `SignatureRefused`."""
    suite = suite_of(recipient_public)
    if wrapped[:2] != _WRAP_VERSION + SUITE_BYTE[suite]:
        raise SignatureRefused
    message = _signed(wrapped, context.info(suite, fingerprint(recipient_public)))
    verify_signature(granter_signing, "grant", message, signature)


def open_grant(grant: Grant, private: RecipientKey, granter_signing: bytes, memory: Memory, now: int) -> Secret:
    """The granted key, or `Distrusted` saying why not, or `WrapBroken`. `now` in unix seconds.

    The granter's signing key must be pinned; for a key of one's own, pass one's own. Checked in this order, all
    before the wrap is opened but the last: clock, pin, suite, recipient, terms, signature, expiry, epoch, serial.
    """
    context = grant.context
    memory.check_clock(now)
    if not context.own:
        memory.require_pinned(context.granter, "signing", granter_signing)
    if grant.suite != private.suite or grant.wrapped[1:2] != SUITE_BYTE[private.suite]:
        raise Distrusted("suite_downgraded")
    if grant.recipient != fingerprint(private.public):
        raise Distrusted("wrap_retargeted")
    if not _agree(grant):
        raise Distrusted("terms_changed")
    try:
        check_grant(grant.wrapped, grant.signature, private.public, context, granter_signing)
    except (SignatureRefused, ValueRefused):
        raise Distrusted("wrap_unsigned") from None
    if context.expires_at is not None and now >= context.expires_at:
        raise Distrusted("wrap_expired")
    secret = unwrap(grant.wrapped, private, context)
    memory.take_epoch(grant.scope, context.epoch)
    memory.take_serial(grant.scope, context.serial)
    return secret


def suite_of(public: bytes) -> str:
    """The suite a public key names in its first byte."""
    for suite, mark in SUITE_BYTE.items():
        if public[:1] == mark:
            return suite
    raise ValueRefused("a public key names no known suite")


def signed_bytes(purpose: str, message: bytes) -> bytes:
    """What is signed for a purpose, so that a signature for one never stands for another."""
    return b"consign/" + purpose.encode() + b"-signature/1\x00" + message


def verify_signature(signing_public: bytes, purpose: str, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature over `signed_bytes`, or `SignatureRefused`."""
    try:
        Ed25519PublicKey.from_public_bytes(signing_public).verify(signature, signed_bytes(purpose, message))
    except (InvalidSignature, ValueError):
        raise SignatureRefused from None


def _signed(wrapped: bytes, info: bytes) -> bytes:
    """What a granter signs: the context, and `enc ‖ ciphertext` without the two bytes before them."""
    return lp(info) + lp(wrapped[2:])


def _agree(grant: Grant) -> bool:
    """Do the terms say what the grant says? A key granted to another has terms."""
    context, terms = grant.context, grant.terms
    if terms is None:
        return context.own
    ids = (context.granter, context.grantee, context.portfolio_id)
    said = (terms["lender"], terms["agency"], terms["portfolio"], terms["class"], terms["expires_at"])
    return all(ids) and said == (*map(strict.id_text, ids), context.kind, context.expires_at)


def _public_key(public: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    raw = public[1:]
    if suite_of(public) == X25519:
        return X25519PublicKey.from_public_bytes(raw)
    mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
    return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]))
