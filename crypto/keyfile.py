"""The key file: private keys an organisation holds itself, under a passphrase; and the public file it gives out."""

import hashlib
import os
import unicodedata
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import strict
from crypto.canonical import canonical
from crypto.cells import lp
from crypto.errors import KeyFileRefused as KeyFileRefused
from crypto.errors import SignatureRefused, ValueRefused
from crypto.grants import SUITES, XWING, RecipientKey, signed_bytes, suite_of, verify_signature
from crypto.secret import Secret

FORMAT = "consign-key/1"
PUBLIC_FORMAT = "consign-public/1"
KDF = "PBKDF2-HMAC-SHA-256"
ROUNDS_MIN = 600_000
ROUNDS_MAX = 10_000_000  # More would only keep whoever opens the file waiting.
PASSPHRASE_CHARS_MIN = 8
SIGNS = ("grant", "key", "portfolio", "answer", "erasure")

_SALT_BYTES = 16
_NONCE_BYTES = 12
_BAD_SHAPE = "this is no key file, or it is damaged: restore it from its copy"


class PublicFile(NamedTuple):
    """An organisation's raw id and public keys: `kem` is suite byte and key, `signing` raw Ed25519."""

    organisation_id: bytes
    kem: bytes
    signing: bytes


class PrivateKeys:
    """An organisation's own keys: `kem` opens grants, the signing seed signs, `index` makes a lender's blind tokens."""

    def __init__(self, organisation_id: bytes, kem: RecipientKey, signing: Secret, index: Secret) -> None:
        self.organisation_id = organisation_id
        self.kem = kem
        self.signing = signing
        self.index = index
        self._signer = Ed25519PrivateKey.from_private_bytes(signing.reveal())
        self.public = PublicFile(organisation_id, kem.public, self._signer.public_key().public_bytes_raw())

    def sign(self, purpose: str, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes) for one of `SIGNS`."""
        if purpose not in SIGNS:
            raise ValueRefused("an organisation's own key does not sign for that purpose")
        return self._signer.sign(signed_bytes(purpose, message))

    def public_file(self) -> dict[str, str]:
        """What the organisation publishes, signed by itself."""
        document = {
            "format": PUBLIC_FORMAT,
            "organisation": strict.id_text(self.organisation_id),
            "kem": strict.to_base64(self.public.kem),
            "signing": strict.to_base64(self.public.signing),
        }
        return document | {"signature": strict.to_base64(self.sign("key", canonical({**document})))}


def make_keys(organisation_id: bytes, suite: str = XWING) -> PrivateKeys:
    """Fresh keys for an organisation's raw id."""
    return PrivateKeys(organisation_id, RecipientKey.generate(suite), Secret.random(), Secret.random())


def seal_keyfile(keys: PrivateKeys, passphrase: str, rounds: int = ROUNDS_MIN) -> bytes:
    """The key file's bytes. Keep it in a file of mode 0600, and a copy elsewhere: nobody can restore it."""
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise KeyFileRefused(f"a passphrase has at least {PASSPHRASE_CHARS_MIN} characters")
    _check_rounds(rounds)
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    plaintext = canonical({
        "index": strict.to_base64(keys.index.reveal()),
        "kem": {"seed": strict.to_base64(keys.kem.seed.reveal()), "suite": keys.kem.suite},
        "signing": strict.to_base64(keys.signing.reveal()),
    })  # fmt: skip
    aead = AESGCM(_stretch(passphrase, salt, rounds))
    sealed = nonce + aead.encrypt(nonce, plaintext, _bound(keys.public, rounds, salt))
    return canonical({
        "format": FORMAT,
        "organisation": strict.id_text(keys.organisation_id),
        "kdf": {"name": KDF, "rounds": rounds, "salt": strict.to_base64(salt)},
        "public": {"kem": strict.to_base64(keys.public.kem), "signing": strict.to_base64(keys.public.signing)},
        "sealed": strict.to_base64(sealed),
    })  # fmt: skip


def open_keyfile(data: bytes, passphrase: str) -> PrivateKeys:
    """The keys, or `KeyFileRefused` saying what to do."""
    sealed = _read(data)
    aead = AESGCM(_stretch(passphrase, sealed.salt, sealed.rounds))
    try:
        plaintext = aead.decrypt(
            sealed.body[:_NONCE_BYTES], sealed.body[_NONCE_BYTES:], _bound(sealed.public, sealed.rounds, sealed.salt)
        )
    except (InvalidTag, ValueError):
        raise KeyFileRefused("the passphrase is wrong, or the key file was altered: try again, then its copy") from None
    try:
        keys = _keys(sealed.public.organisation_id, strict.parse(plaintext))
        if keys.public == sealed.public:
            return keys
    except (ValueError, ValueRefused):
        pass  # Raised below, outside: nothing of the keys may hang on the refusal.
    raise KeyFileRefused(_BAD_SHAPE)


def read_public_file(data: bytes) -> PublicFile:
    """What an organisation says its keys are, signed by themselves: whose they are shows the fingerprint alone."""
    try:
        document = strict.exactly(strict.parse(data), "format", "organisation", "kem", "signing", "signature")
        if document["format"] != PUBLIC_FORMAT:
            raise KeyFileRefused(f"the public file is not in the format {PUBLIC_FORMAT}")
        public = _public(document["organisation"], document)
        signature = strict.unbase64(document.pop("signature"), 64)
        verify_signature(public.signing, "key", canonical(document), signature)
    except (ValueError, ValueRefused, SignatureRefused):
        raise KeyFileRefused("this is no public file, or it was altered: ask its owner for another copy") from None
    return public


class _Sealed(NamedTuple):
    public: PublicFile
    rounds: int
    salt: bytes
    body: bytes


def _read(data: bytes) -> _Sealed:
    try:
        document = strict.parse(data)
        version = document.get("format")
        if version != FORMAT and isinstance(version, str) and version.startswith("consign-key/"):
            raise KeyFileRefused(f"the key file is not in the format {FORMAT}: use the release that wrote it")
        strict.exactly(document, "format", "organisation", "kdf", "public", "sealed")
        kdf = strict.exactly(document["kdf"], "name", "rounds", "salt")
        if version != FORMAT or kdf["name"] != KDF:
            raise ValueError("of another format")
        public = _public(document["organisation"], strict.exactly(document["public"], "kem", "signing"))
        rounds, salt = strict.integer(kdf["rounds"]), strict.unbase64(kdf["salt"], _SALT_BYTES)
        _check_rounds(rounds)
        return _Sealed(public, rounds, salt, strict.unbase64(document["sealed"]))
    except (ValueError, ValueRefused):
        raise KeyFileRefused(_BAD_SHAPE) from None


def _public(organisation: object, keys: dict[str, Any]) -> PublicFile:
    kem = strict.unbase64(keys["kem"])
    suite_of(kem)
    return PublicFile(strict.raw_id(organisation), kem, strict.unbase64(keys["signing"], 32))


def _keys(organisation_id: bytes, opened: dict[str, Any]) -> PrivateKeys:
    strict.exactly(opened, "index", "kem", "signing")
    kem = strict.exactly(opened["kem"], "seed", "suite")
    if strict.text(kem["suite"]) not in SUITES:
        raise ValueError("of another suite")
    seeds = (strict.unbase64(text, 32) for text in (kem["seed"], opened["signing"], opened["index"]))
    seed, signing, index = map(Secret, seeds)
    return PrivateKeys(organisation_id, RecipientKey(kem["suite"], seed), signing, index)


def _check_rounds(rounds: int) -> None:
    if not ROUNDS_MIN <= rounds <= ROUNDS_MAX:
        raise KeyFileRefused(f"a key file takes {ROUNDS_MIN} to {ROUNDS_MAX} rounds: this one is not to be trusted")


def _stretch(passphrase: str, salt: bytes, rounds: int) -> bytes:
    """However it was typed: NFC gives one passphrase one spelling."""
    try:
        return hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFC", passphrase).encode(), salt, rounds, 32)
    except UnicodeEncodeError:
        pass  # Raised below, outside: the codec's error carries the passphrase.
    raise KeyFileRefused("the passphrase holds what is no character")


def _bound(public: PublicFile, rounds: int, salt: bytes) -> bytes:
    named = (public.organisation_id, b"%d" % rounds, salt, public.kem, public.signing)
    return b"consign/key-file/1\x00" + b"".join(map(lp, named))
