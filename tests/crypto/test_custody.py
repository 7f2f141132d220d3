"""The keyring file: shared by processes, closed to others, and clear about what is wrong with it."""

import json
import multiprocessing
import pickle
from pathlib import Path

import pytest

from crypto.custody import LocalKeyring
from crypto.errors import KeyringRefused, PrincipalUnknown, ValueRefused, WrapBroken
from crypto.grants import WrapContext, suite_of, verify_signature, wrap
from crypto.secret import Secret

LENDER = "0198a5d2-0000-7000-8000-000000000001"
CONTEXT = WrapContext("index-key", b"L" * 16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def create_one(path: Path, principal: str) -> None:
    LocalKeyring(path).create(principal)


def test_a_principal_opens_what_is_wrapped_to_it(path: Path) -> None:
    keyring, key = LocalKeyring(path), Secret.random()
    wrapped = wrap(key, keyring.create(LENDER).kem, CONTEXT)
    assert keyring.unwrap(LENDER, wrapped, CONTEXT) == key
    assert LocalKeyring(path).unwrap(LENDER, wrapped, CONTEXT) == key


def test_a_principal_opens_nothing_wrapped_to_another(path: Path) -> None:
    keyring = LocalKeyring(path)
    keyring.create("other")
    wrapped = wrap(Secret.random(), keyring.create(LENDER).kem, CONTEXT)
    with pytest.raises(WrapBroken):
        keyring.unwrap("other", wrapped, CONTEXT)


def test_creating_twice_changes_nothing(path: Path) -> None:
    keys = LocalKeyring(path).create(LENDER)
    text = path.read_bytes()
    assert LocalKeyring(path).create(LENDER) == keys
    assert path.read_bytes() == text


def test_every_key_is_a_key_of_its_own(path: Path) -> None:
    keys = LocalKeyring(path).create("platform")
    assert suite_of(keys.kem) == "xwing"
    assert keys.log is not None
    assert len({keys.kem[-32:], keys.signing, keys.log}) == 3
    assert LocalKeyring(path).create(LENDER).log is None


def test_a_signature_carries_its_purpose(path: Path) -> None:
    keyring = LocalKeyring(path)
    keys = keyring.create(LENDER)
    verify_signature(keys.signing, "receipt", b"m", keyring.sign(LENDER, "receipt", b"m"))


@pytest.mark.parametrize("purpose", ["checkpoint", "anything", "kem", ""])
def test_an_organisation_signs_no_checkpoint_and_nothing_unnamed(path: Path, purpose: str) -> None:
    keyring = LocalKeyring(path)
    keyring.create(LENDER)
    with pytest.raises(ValueRefused):
        keyring.sign(LENDER, purpose, b"m")


def test_another_process_sees_a_principal_made_since(path: Path) -> None:
    early = LocalKeyring(path)
    keys = LocalKeyring(path).create(LENDER)
    assert early.public(LENDER) == keys


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    names = [f"principal-{number}" for number in range(6)]
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=create_one, args=(path, name)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    keyring = LocalKeyring(path)
    assert len({keyring.public(name).signing for name in names}) == 6


def test_the_keyring_is_closed_to_others(path: Path) -> None:
    LocalKeyring(path).create(LENDER)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_keyring_open_to_others_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    LocalKeyring(path).create(LENDER)
    path.chmod(mode)
    with pytest.raises(KeyringRefused, match="chmod 600"):
        LocalKeyring(path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '"x"', '{"format": 1}', '{"format": "consign-keyring/1"}', "\ufeff{}",
     '{"format": "consign-keyring/1", "principals": []}',
     '{"format": "consign-keyring/1", "principals": {"a": {}}}',
     '{"format": "consign-keyring/1", "principals": {"a": {"kem": {"suite": "rsa", "seed": "AAAA"}}}}',
     '{"format": "consign-keyring/1", "principals": {"a": {"kem": {"suite": "xwing", "seed": "AAAA"}}}}',
     '{"format": "consign-keyring/1", "principals": {"a": {"kem": {"suite": "xwing", "seed": 5}}}}'],
)  # fmt: skip
def test_a_corrupt_keyring_is_refused_with_the_remedy(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringRefused, match="restore it from its backup") as caught:
        LocalKeyring(path)
    assert caught.value.__context__ is None


def test_a_keyring_of_another_version_is_refused_with_the_remedy(path: Path) -> None:
    LocalKeyring(path).create(LENDER)
    document = json.loads(path.read_text()) | {"format": "consign-keyring/2"}
    path.write_text(json.dumps(document))
    with pytest.raises(KeyringRefused, match="use the release that wrote it"):
        LocalKeyring(path)


def test_a_refused_keyring_is_never_overwritten(path: Path) -> None:
    keyring = LocalKeyring(path)
    keyring.create(LENDER)
    path.write_text("garbage")
    with pytest.raises(KeyringRefused):
        keyring.create("other")
    assert path.read_text() == "garbage"


def test_an_unknown_principal_is_told_apart(path: Path) -> None:
    with pytest.raises(PrincipalUnknown):
        LocalKeyring(path).public("nobody")


def test_a_principal_has_a_name(path: Path) -> None:
    with pytest.raises(ValueRefused):
        LocalKeyring(path).create("")


def test_a_writer_killed_before_its_rename_leaves_the_keyring_usable(path: Path) -> None:
    LocalKeyring(path).create(LENDER)
    path.with_name("keyring.json.new").write_text("half")
    LocalKeyring(path).create("other")
    assert LocalKeyring(path).public(LENDER)


def test_no_rendering_shows_a_private_key(path: Path) -> None:
    keyring = LocalKeyring(path)
    keyring.create("platform")
    entry = json.loads(path.read_text())["principals"]["platform"]
    shown = repr(keyring) + repr(vars(keyring)) + repr([vars(keys) for keys in keyring._known.values()])
    assert not any(key["seed"] in shown for key in entry.values())
    with pytest.raises(TypeError):
        pickle.dumps(keyring)
