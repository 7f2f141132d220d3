"""The vault makes, opens and remembers keys, and signs the log."""

from pathlib import Path

import pytest

from crypto import vault as vault_module
from crypto.custody import LocalKeyring
from crypto.errors import WrapBroken
from crypto.grants import WrapContext
from crypto.merkle import EMPTY_ROOT
from crypto.notes import Checkpoint, open_note
from crypto.secret import Secret
from crypto.vault import Vault

LENDER = "lender"
CONTEXT = WrapContext("index-key", b"L" * 16)


class CountingKeyring(LocalKeyring):
    """A keyring that counts how often it is asked to unwrap."""

    asked = 0

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        self.asked += 1
        return super().unwrap(principal, wrapped, context)


@pytest.fixture
def keyring(tmp_path: Path) -> CountingKeyring:
    keyring = CountingKeyring(tmp_path / "keyring.json")
    keyring.create(LENDER)
    keyring.create("platform")
    return keyring


def test_a_made_key_opens_again(keyring: CountingKeyring) -> None:
    made = Vault(keyring).make_key(LENDER, CONTEXT)
    assert Vault(keyring).open_key(LENDER, made.wrapped, CONTEXT) == made.key


def test_each_field_class_has_a_key_of_its_own(keyring: CountingKeyring) -> None:
    made = Vault(keyring).make_class_keys(LENDER, b"L" * 16, b"P" * 16, ["identity", "contact"])
    assert made["identity"].key != made["contact"].key
    context = WrapContext("class-key", b"L" * 16, b"P" * 16, "contact")
    assert Vault(keyring).open_key(LENDER, made["contact"].wrapped, context) == made["contact"].key


def test_custody_is_asked_once(keyring: CountingKeyring) -> None:
    vault = Vault(keyring)
    wrapped = vault.make_key(LENDER, CONTEXT).wrapped
    for _ in range(3):
        vault.open_key(LENDER, wrapped, CONTEXT)
    assert keyring.asked == 1


def test_a_remembered_key_opens_for_no_other_context_or_principal(keyring: CountingKeyring) -> None:
    vault = Vault(keyring)
    keyring.create("other")
    wrapped = vault.make_key(LENDER, CONTEXT).wrapped
    vault.open_key(LENDER, wrapped, CONTEXT)
    with pytest.raises(WrapBroken):
        vault.open_key(LENDER, wrapped, CONTEXT._replace(serial=2))
    with pytest.raises(WrapBroken):
        vault.open_key("other", wrapped, CONTEXT)


def test_the_memory_is_bounded(keyring: CountingKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "OPENED_MAX", 2)
    vault = Vault(keyring)
    first, second, third = (vault.make_key(LENDER, CONTEXT).wrapped for _ in range(3))
    for wrapped in (first, second, first, third, first):
        vault.open_key(LENDER, wrapped, CONTEXT)
    assert keyring.asked == 3
    vault.open_key(LENDER, second, CONTEXT)
    assert keyring.asked == 4


def test_a_checkpoint_is_signed_under_its_logs_name(keyring: CountingKeyring) -> None:
    vault = Vault(keyring)
    checkpoint = Checkpoint("consign.example/log/1", 0, EMPTY_ROOT)
    opened = open_note(vault.sign_checkpoint(checkpoint), [vault.log_verifier(checkpoint.origin)])
    assert Checkpoint.parse(opened.text) == checkpoint
    assert opened.verified == (checkpoint.origin,)
