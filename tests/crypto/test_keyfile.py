"""A key file opens with its passphrase and unaltered; every refusal says what to do and nothing of the keys."""

import base64
import hashlib
import json
from typing import Any

import pytest

from crypto import keyfile
from crypto.errors import KeyFileRefused, ValueRefused
from crypto.grants import verify_signature
from crypto.keyfile import ROUNDS_MIN, PrivateKeys, make_keys, open_keyfile, read_public_file, seal_keyfile
from tests.crypto.parties import LENDER, LENDER_ID, changed, flipped, keys_of

PASSPHRASE = "correct horse 张三 é"


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round instead of 600,000, for tests that open thousands of files."""

    def one_round(passphrase: str, salt: bytes, rounds: int) -> bytes:
        return hashlib.sha256(repr((passphrase, salt, rounds)).encode()).digest()

    monkeypatch.setattr(keyfile, "_stretch", one_round)


def refusal(data: bytes, passphrase: str = PASSPHRASE) -> KeyFileRefused:
    with pytest.raises(KeyFileRefused) as caught:
        open_keyfile(data, passphrase)
    return caught.value


def parts(keys: PrivateKeys) -> tuple[Any, ...]:
    return keys.organisation_id, keys.kem.suite, keys.kem.seed, keys.signing, keys.index, keys.public


@pytest.mark.parametrize("suite", ["x25519", "xwing"])
def test_keys_come_back_from_their_file(suite: str) -> None:
    keys = make_keys(LENDER_ID, suite)
    assert parts(open_keyfile(seal_keyfile(keys, PASSPHRASE), PASSPHRASE)) == parts(keys)


def test_a_passphrase_is_one_however_its_accents_were_typed() -> None:
    sealed = seal_keyfile(LENDER, "correct horse \u00e9")
    assert parts(open_keyfile(sealed, "correct horse e\u0301")) == parts(LENDER)


def test_the_key_is_stretched_as_the_format_says() -> None:
    document = json.loads(seal_keyfile(LENDER, PASSPHRASE, rounds=600_001))
    salt = base64.b64decode(document["kdf"]["salt"])
    assert (len(salt), document["kdf"]["rounds"]) == (16, 600_001)
    assert parts(open_keyfile(json.dumps(document, indent=2).encode(), PASSPHRASE)) == parts(LENDER)


@pytest.mark.usefixtures("fast")
def test_a_file_shows_no_key() -> None:
    sealed = seal_keyfile(LENDER, PASSPHRASE)
    for secret in (LENDER.kem.seed, LENDER.signing, LENDER.index):
        assert base64.b64encode(secret.reveal()) not in sealed


@pytest.mark.usefixtures("fast")
def test_a_wrong_passphrase_is_refused_without_a_trace() -> None:
    refused = refusal(seal_keyfile(LENDER, PASSPHRASE), "another horse")
    assert "passphrase is wrong" in str(refused)
    assert refused.__cause__ is None
    assert "horse" not in repr(refused.__context__)


@pytest.mark.usefixtures("fast")
def test_no_single_bit_of_a_key_file_can_change() -> None:
    for altered in flipped(seal_keyfile(LENDER, PASSPHRASE)):
        refusal(altered)


@pytest.mark.usefixtures("fast")
def test_no_truncated_key_file_opens() -> None:
    sealed = seal_keyfile(LENDER, PASSPHRASE)
    for size in range(len(sealed)):
        refusal(sealed[:size])


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", "consign-key/2", "use the release that wrote it"),
        ("format", "consign-public/1", "no key file"),
        ("format", None, "no key file"),
        ("kdf.name", "scrypt", "no key file"),
        ("kdf.rounds", ROUNDS_MIN - 1, "rounds"),
        ("kdf.rounds", 1, "rounds"),
        ("kdf.rounds", 10_000_001, "rounds"),
        ("kdf.rounds", 10**12, "rounds"),
        ("kdf.rounds", "600000", "no key file"),
        ("kdf.rounds", ROUNDS_MIN + 1, "passphrase is wrong"),
        ("kdf.salt", "AAAA", "no key file"),
        ("kdf.more", 1, "no key file"),
        ("organisation", "4d4d4d4d-4d4d-4d4d-4d4d-4d4d4d4d4d4d", "passphrase is wrong"),
        ("public.kem", base64.b64encode(keys_of(b"M" * 16).public.kem).decode(), "passphrase is wrong"),
        ("public.signing", base64.b64encode(bytes(32)).decode(), "passphrase is wrong"),
        ("public.kem", "AAAA", "no key file"),
        ("sealed", "", "passphrase is wrong"),
        ("sealed", "A===", "no key file"),
        ("more", 1, "no key file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(path: str, value: Any, said: str) -> None:
    document = json.loads(seal_keyfile(LENDER, PASSPHRASE))
    assert said in str(refusal(json.dumps(changed(document, path, value)).encode()))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b'{"format":"a","format":"b"}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    assert "no key file" in str(refusal(data))


def test_too_many_rounds_are_refused_before_they_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(seal_keyfile(LENDER, PASSPHRASE))
    monkeypatch.setattr(keyfile, "_stretch", None)
    refusal(json.dumps(changed(document, "kdf.rounds", 2**40)).encode())


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "opened", [b"{}", b"no json", b'{"index":"","kem":{"seed":"","suite":"x25519"},"signing":""}', b"[1]"]
)
def test_sealed_bytes_that_are_no_keys_are_refused_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, opened: bytes
) -> None:
    honest = keyfile.canonical
    monkeypatch.setattr(keyfile, "canonical", lambda value: opened if "index" in value else honest(value))
    refused = refusal(seal_keyfile(LENDER, PASSPHRASE))
    assert (refused.__cause__, refused.__context__) == (None, None)


@pytest.mark.usefixtures("fast")
def test_public_keys_that_are_not_of_the_private_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_of(LENDER_ID)
    keys.public = keys_of(b"M" * 16).public._replace(organisation_id=LENDER_ID)
    assert "no key file" in str(refusal(seal_keyfile(keys, PASSPHRASE)))


@pytest.mark.parametrize("passphrase", ["", "seven77", "lone \ud800 surrogate"])
def test_a_passphrase_of_no_use_is_refused(passphrase: str) -> None:
    with pytest.raises(KeyFileRefused):
        seal_keyfile(LENDER, passphrase)


@pytest.mark.parametrize("rounds", [0, ROUNDS_MIN - 1, 10_000_001])
def test_a_file_is_never_made_with_too_few_or_too_many_rounds(rounds: int) -> None:
    with pytest.raises(KeyFileRefused):
        seal_keyfile(LENDER, PASSPHRASE, rounds)


def test_keys_sign_for_their_own_purposes_alone() -> None:
    for purpose in ("grant", "key", "portfolio", "answer", "erasure"):
        verify_signature(LENDER.public.signing, purpose, b"message", LENDER.sign(purpose, b"message"))
    for purpose in ("checkpoint", "receipt", "cookie", ""):
        with pytest.raises(ValueRefused):
            LENDER.sign(purpose, b"message")


def test_keys_show_nothing() -> None:
    shown = f"{LENDER!r} {vars(LENDER)!r}"
    for secret in (LENDER.kem.seed, LENDER.signing, LENDER.index):
        assert secret.reveal().hex() not in shown
        assert repr(secret.reveal()) not in shown


@pytest.mark.parametrize("suite", ["x25519", "xwing"])
def test_a_public_file_is_read_as_it_was_published(suite: str) -> None:
    keys = keys_of(LENDER_ID, suite)
    assert read_public_file(json.dumps(keys.public_file()).encode()) == keys.public


def test_no_single_bit_of_a_public_file_can_change() -> None:
    text = json.dumps(LENDER.public_file(), separators=(",", ":")).encode()
    for altered in flipped(text):
        with pytest.raises(KeyFileRefused):
            read_public_file(altered)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "consign-public/2"),
        ("organisation", "4d4d4d4d-4d4d-4d4d-4d4d-4d4d4d4d4d4d"),
        ("kem", ""),
        ("signing", base64.b64encode(bytes(32)).decode()),
        ("signature", ""),
        ("signature", None),
        ("more", 1),
    ],
)
def test_a_public_file_that_says_something_else_is_refused(path: str, value: Any) -> None:
    with pytest.raises(KeyFileRefused):
        read_public_file(json.dumps(changed(LENDER.public_file(), path, value)).encode())
