"""The vault makes, opens and remembers keys, believes none that its principal did not sign, and signs the log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crypto import vault as vault_module
from crypto.custody import LocalKeyring
from crypto.errors import SealBroken, SignatureRefused, ValueRefused, WrapBroken
from crypto.grants import RecipientKey, WrapContext, check_grant, unwrap, wrap
from crypto.merkle import EMPTY_ROOT
from crypto.notes import Checkpoint, open_note
from crypto.opened import OPENED_SECONDS_MAX
from crypto.secret import Secret
from crypto.terms import case_terms, lease_terms
from crypto.vault import Vault, WrappedKey

LENDER = "lender"
LENDER_ID, AGENCY_ID, PORTFOLIO_ID = b"L" * 16, b"A" * 16, b"P" * 16
CONTEXT = WrapContext.of_lender("index-key", LENDER_ID)


class CountingKeyring(LocalKeyring):
    """A keyring that counts how often it is asked to unwrap."""

    asked = 0

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        self.asked += 1
        return super().unwrap(principal, wrapped, context)


class Stopwatch:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def keyring(tmp_path: Path) -> CountingKeyring:
    keyring = CountingKeyring(tmp_path / "keyring.json")
    keyring.create(LENDER)
    keyring.create("platform")
    return keyring


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def vault(keyring: CountingKeyring, stopwatch: Stopwatch) -> Vault:
    return Vault(keyring, stopwatch)


def opened(vault: Vault, made: WrappedKey, context: WrapContext = CONTEXT, principal: str = LENDER) -> Secret:
    return vault.open_key(principal, made.wrapped, made.signature, context)


def test_a_made_key_opens_again(vault: Vault, keyring: CountingKeyring) -> None:
    made = vault.make_key(LENDER, CONTEXT)
    assert opened(Vault(keyring, Stopwatch()), made) == made.key


def test_each_field_class_has_a_key_of_its_own(vault: Vault) -> None:
    made = vault.make_class_keys(LENDER, LENDER_ID, PORTFOLIO_ID, ["identity", "contact"], epoch=2)
    assert made["identity"].key != made["contact"].key
    context = WrapContext.of_class(LENDER_ID, PORTFOLIO_ID, "contact", epoch=2)
    assert opened(vault, made["contact"], context) == made["contact"].key


def test_a_key_wrapped_after_a_rotation_and_one_from_before_both_open(vault: Vault, keyring: CountingKeyring) -> None:
    before = vault.make_key(LENDER, CONTEXT)
    keyring.rotate(LENDER)
    context = CONTEXT._replace(serial=2)
    after = vault.wrap_key(LENDER, before.key, context)
    assert opened(vault, before) == opened(vault, after, context) == before.key
    keyring.retire(LENDER)
    later = Vault(keyring, Stopwatch())
    assert opened(later, after, context) == before.key
    with pytest.raises(SignatureRefused):
        opened(later, before)


# Each makes of a well-made key what somebody who can write rows could put in its place.
FORGERIES: dict[str, Callable[[Vault, WrappedKey], tuple[bytes, bytes | None]]] = {
    "unsigned": lambda vault, made: (made.wrapped, None),
    "signature cut": lambda vault, made: (made.wrapped, made.signature[:-1]),
    "signature altered": lambda vault, made: (made.wrapped, bytes([made.signature[0] ^ 1]) + made.signature[1:]),
    "wrap altered": lambda vault, made: (made.wrapped[:-1] + bytes([made.wrapped[-1] ^ 1]), made.signature),
    "wrap cut": lambda vault, made: (made.wrapped[:1], made.signature),
    "no wrap": lambda vault, made: (b"", made.signature),
    "suite changed": lambda vault, made: (b"\x01\x01" + made.wrapped[2:], made.signature),
    "a key of one's own, to the lender's public key": lambda vault, made: (
        wrap(Secret.random(), vault.custody.public(LENDER).kem, CONTEXT),
        made.signature,
    ),
    "signed for another purpose": lambda vault, made: (
        made.wrapped,
        vault.custody.sign(LENDER, "receipt", made.wrapped),
    ),
    "signed by another": lambda vault, made: (
        made.wrapped,
        vault.custody.sign("platform", "grant", made.wrapped),
    ),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_wrap_its_principal_did_not_sign_is_refused(
    vault: Vault, keyring: CountingKeyring, forge: Callable[[Vault, WrappedKey], tuple[bytes, bytes | None]]
) -> None:
    made = vault.make_key(LENDER, CONTEXT)
    opened(vault, made)  # What is remembered is remembered with its signature.
    keyring.asked = 0
    with pytest.raises(SignatureRefused):
        vault.open_key(LENDER, *forge(vault, made), CONTEXT)
    assert keyring.asked == 0


def test_a_remembered_key_opens_for_no_other_context_or_principal(vault: Vault, keyring: CountingKeyring) -> None:
    keyring.create("other")
    made = vault.make_key(LENDER, CONTEXT)
    opened(vault, made)
    with pytest.raises(SignatureRefused):
        opened(vault, made, CONTEXT._replace(serial=2))
    with pytest.raises(SignatureRefused):
        opened(vault, made, principal="other")


def test_a_key_from_before_signatures_is_adopted_as_its_next_serial(vault: Vault, keyring: CountingKeyring) -> None:
    key = Secret.random()
    adopted = vault.adopt_key(LENDER, wrap(key, keyring.public(LENDER).kem, CONTEXT), CONTEXT)
    assert opened(vault, adopted, CONTEXT._replace(serial=2)) == key
    with pytest.raises(WrapBroken):
        vault.adopt_key(LENDER, wrap(key, RecipientKey.generate().public, CONTEXT), CONTEXT)


def test_custody_is_asked_once(vault: Vault, keyring: CountingKeyring) -> None:
    made = vault.make_key(LENDER, CONTEXT)
    for _ in range(3):
        opened(vault, made)
    assert keyring.asked == 1


def test_a_key_is_remembered_five_minutes_at_most(vault: Vault, keyring: CountingKeyring, stopwatch: Stopwatch) -> None:
    made = vault.make_key(LENDER, CONTEXT)
    opened(vault, made)
    stopwatch.seconds = OPENED_SECONDS_MAX - 1
    opened(vault, made)  # Using it does not prolong it.
    assert keyring.asked == 1
    stopwatch.seconds = OPENED_SECONDS_MAX
    opened(vault, made)
    assert keyring.asked == 2


def test_what_is_too_old_is_gone_with_the_next_call_for_anything(vault: Vault, stopwatch: Stopwatch) -> None:
    opened(vault, vault.make_key(LENDER, CONTEXT))
    stopwatch.seconds = OPENED_SECONDS_MAX
    opened(vault, vault.make_key(LENDER, CONTEXT))
    assert len(vault._opened._kept) == 1


def test_the_memory_is_bounded(keyring: CountingKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "OPENED_MAX", 2)
    vault = Vault(keyring, Stopwatch())
    first, second, third = (vault.make_key(LENDER, CONTEXT) for _ in range(3))
    for made in (first, second, first, third, first):
        opened(vault, made)
    assert keyring.asked == 3
    opened(vault, second)
    assert keyring.asked == 4


def test_a_case_key_is_granted_by_the_lender_to_a_key_that_its_holder_keeps(vault: Vault) -> None:
    holder, key = RecipientKey.generate("x25519"), Secret.random()
    lease = lease_terms(LENDER_ID, AGENCY_ID, b"p" * 16, PORTFOLIO_ID, "contact", 2_000_000_000)
    context = WrapContext("contact", LENDER_ID, AGENCY_ID, PORTFOLIO_ID, serial=7)
    terms = case_terms(lease, b"C" * 16, "A-1", 1, b"d" * 32)
    grant = vault.make_case_grant(LENDER, key, holder.public, context, terms)
    lender = vault.custody.public(LENDER)
    check_grant(grant.wrapped, grant.signature, holder.public, grant.context, lender.signing)
    assert unwrap(grant.wrapped, holder, grant.context) == key


def test_what_another_granted_opens_with_its_accepted_key_alone(vault: Vault, keyring: CountingKeyring) -> None:
    keyring.create("agency")
    key = Secret.random()
    terms = lease_terms(LENDER_ID, AGENCY_ID, b"p" * 16, PORTFOLIO_ID, "contact", 2_000_000_000)
    context = WrapContext("contact", LENDER_ID, AGENCY_ID, PORTFOLIO_ID)
    grant = vault.make_case_grant(LENDER, key, keyring.public("agency").kem, context, terms)
    assert vault.open_granted("agency", grant, keyring.public(LENDER).signing) == key
    for other in (keyring.public("agency").signing, keyring.public("platform").signing):
        with pytest.raises(SignatureRefused):
            vault.open_granted("agency", grant, other)


def test_a_secret_of_the_platform_opens_in_its_own_place_alone(vault: Vault, keyring: CountingKeyring) -> None:
    sealed = vault.seal_secret("totp/1", b"seed")
    assert b"seed" not in sealed
    assert Vault(keyring, Stopwatch()).open_secret("totp/1", sealed) == b"seed"
    for purpose in ("totp/2", "totp/", ""):
        with pytest.raises(SealBroken):
            vault.open_secret(purpose, sealed)


def test_a_secret_outlives_a_rotation_of_the_platforms_keys(vault: Vault, keyring: CountingKeyring) -> None:
    sealed = vault.seal_secret("totp/1", b"seed")
    keyring.rotate("platform")
    keyring.retire("platform")
    assert vault.open_secret("totp/1", sealed) == b"seed"


def test_an_organisation_has_no_keys_for_secrets(keyring: CountingKeyring) -> None:
    with pytest.raises(ValueRefused):
        keyring.derive(LENDER, "secrets")


def test_a_checkpoint_is_signed_under_its_logs_name(vault: Vault) -> None:
    checkpoint = Checkpoint("consign.example/log/1", 0, EMPTY_ROOT)
    opened = open_note(vault.sign_checkpoint(checkpoint), [vault.log_verifier(checkpoint.origin)])
    assert Checkpoint.parse(opened.text) == checkpoint
    assert opened.verified == (checkpoint.origin,)
