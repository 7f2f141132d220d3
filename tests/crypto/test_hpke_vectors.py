"""RFC 9180, rebuilt here from its text: it agrees with the published vectors, and our wraps agree with it.

The library's interface takes no additional data, so the vectors cannot go through it: they go through this key
schedule, and what the library wraps is opened by the same.
"""

import hmac
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from crypto.grants import RecipientKey, WrapContext, fingerprint, unwrap, wrap
from crypto.secret import Secret

BASE_MODE, X25519_KEM = b"\x00", (32).to_bytes(2, "big")
HASHES = {1: "sha256", 3: "sha512"}
AEADS: dict[int, tuple[int, Any]] = {1: (16, AESGCM), 2: (32, AESGCM), 3: (32, ChaCha20Poly1305)}
EXPORT_ONLY = 65535


class Schedule(NamedTuple):
    key_schedule_context: bytes
    secret: bytes
    key: bytes
    base_nonce: bytes
    exporter_secret: bytes


def extract(name: str, suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(hmac.new(b"", b"", name).digest_size), b"HPKE-v1" + suite + label + ikm, name)


def expand(name: str, suite: bytes, prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labelled, block, okm, count = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, b"", b"", 0
    while len(okm) < size:
        count += 1
        block = hmac.digest(prk, block + labelled + bytes([count]), name)
        okm += block
    return okm[:size]


def shared_secret(dh: bytes, enc: bytes, recipient_public: bytes) -> bytes:
    """Of DHKEM(X25519, HKDF-SHA256)."""
    suite = b"KEM" + X25519_KEM
    prk = extract("sha256", suite, b"", b"eae_prk", dh)
    return expand("sha256", suite, prk, b"shared_secret", enc + recipient_public, 32)


def suite_id(kdf: int, aead: int) -> bytes:
    return b"HPKE" + X25519_KEM + kdf.to_bytes(2, "big") + aead.to_bytes(2, "big")


def schedule(kdf: int, aead: int, shared: bytes, info: bytes) -> Schedule:
    """Of base mode: without a pre-shared key."""
    name, suite = HASHES[kdf], suite_id(kdf, aead)
    context = BASE_MODE + extract(name, suite, b"", b"psk_id_hash", b"") + extract(name, suite, b"", b"info_hash", info)
    secret = extract(name, suite, shared, b"secret", b"")
    sizes = {b"key": AEADS[aead][0], b"base_nonce": 12} if aead != EXPORT_ONLY else {b"key": 0, b"base_nonce": 0}
    sizes[b"exp"] = hmac.new(b"", b"", name).digest_size
    return Schedule(
        context, secret, *(expand(name, suite, secret, label, context, size) for label, size in sizes.items())
    )


def nonce(base: bytes, sequence: int) -> bytes:
    return (int.from_bytes(base, "big") ^ sequence).to_bytes(12, "big")


@pytest.fixture
def vectors(published) -> list[dict[str, Any]]:
    tests = [test for test in published("rfc9180_x25519_subset.json") if test["mode"] == 0]
    assert len(tests) == 8
    return tests


def raw(test: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(test[name])


def test_both_sides_of_every_vector_share_its_secret(vectors: list[dict[str, Any]]) -> None:
    for test in vectors:
        ephemeral = X25519PrivateKey.from_private_bytes(raw(test, "skEm"))
        recipient = X25519PrivateKey.from_private_bytes(raw(test, "skRm"))
        assert ephemeral.public_key().public_bytes_raw() == raw(test, "enc") == raw(test, "pkEm")
        assert recipient.public_key().public_bytes_raw() == raw(test, "pkRm")
        for dh in (ephemeral.exchange(recipient.public_key()), recipient.exchange(ephemeral.public_key())):
            assert shared_secret(dh, raw(test, "enc"), raw(test, "pkRm")).hex() == test["shared_secret"]


def test_every_vector_has_its_key_schedule(vectors: list[dict[str, Any]]) -> None:
    for test in vectors:
        made = schedule(test["kdf_id"], test["aead_id"], raw(test, "shared_secret"), raw(test, "info"))
        for name, value in made._asdict().items():
            assert value.hex() == test[name], name


def test_every_encryption_of_every_vector_comes_out_as_published(vectors: list[dict[str, Any]]) -> None:
    checked = 0
    for test in vectors:
        for sequence, one in _encryptions(test):
            aead = AEADS[test["aead_id"]][1](raw(test, "key"))
            made = aead.encrypt(nonce(raw(test, "base_nonce"), sequence), raw(one, "pt"), raw(one, "aad"))
            assert made.hex() == one["ct"]
            checked += 1
    assert checked == 48


def _encryptions(test: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """With the sequence number that each one's nonce says."""
    base = int.from_bytes(raw(test, "base_nonce"), "big")
    return [(base ^ int.from_bytes(raw(one, "nonce"), "big"), one) for one in test["encryptions"]]


def test_every_export_of_every_vector_comes_out_as_published(vectors: list[dict[str, Any]]) -> None:
    for test in vectors:
        name, suite = HASHES[test["kdf_id"]], suite_id(test["kdf_id"], test["aead_id"])
        for one in test["exports"]:
            made = expand(name, suite, raw(test, "exporter_secret"), b"sec", raw(one, "exporter_context"), one["L"])
            assert made.hex() == one["exported_value"]


CONTEXT = WrapContext.of_class(b"L" * 16, b"P" * 16, "identity")
KEY = Secret(bytes(range(100, 132)))
RECIPIENT = RecipientKey("x25519", Secret(bytes(range(32))))
INFO = CONTEXT.info("x25519", fingerprint(RECIPIENT.public))


def test_what_we_wrap_opens_by_the_text_of_the_rfc() -> None:
    wrapped = wrap(KEY, RECIPIENT.public, CONTEXT)
    enc, ciphertext = wrapped[2:34], wrapped[34:]
    private = X25519PrivateKey.from_private_bytes(RECIPIENT.seed.reveal())
    dh = private.exchange(X25519PublicKey.from_public_bytes(enc))
    made = schedule(1, 2, shared_secret(dh, enc, RECIPIENT.public[1:]), INFO)
    assert AESGCM(made.key).decrypt(made.base_nonce, ciphertext, b"") == KEY.reveal()


def test_what_is_wrapped_by_the_text_of_the_rfc_opens_here() -> None:
    ephemeral = X25519PrivateKey.generate()
    enc = ephemeral.public_key().public_bytes_raw()
    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(RECIPIENT.public[1:]))
    made = schedule(1, 2, shared_secret(dh, enc, RECIPIENT.public[1:]), INFO)
    wrapped = b"\x01\x01" + enc + AESGCM(made.key).encrypt(made.base_nonce, KEY.reveal(), b"")
    assert unwrap(wrapped, RECIPIENT, CONTEXT) == KEY
