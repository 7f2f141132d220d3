"""The keyring: shared by processes, closed to others, clear about its faults; several keys, several homes."""

import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest

from crypto.custody import SIGNING_KEYS, Custodies, EnvironmentKeyring, LocalKeyring
from crypto.errors import KeyringReadOnly, KeyringRefused, PrincipalUnknown, ValueRefused, WrapBroken
from crypto.grants import WrapContext, suite_of, verify_signature, wrap
from crypto.secret import Secret

LENDER = "0198a5d2-0000-7000-8000-000000000001"
CONTEXT = WrapContext.of_lender("index-key", b"L" * 16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def create_one(path: Path, principal: str) -> None:
    LocalKeyring(path).create(principal)


def rotate_one(path: Path, principal: str) -> None:
    LocalKeyring(path).rotate(principal)


def sealed_to(public: bytes) -> tuple[Secret, bytes]:
    key = Secret.random()
    return key, wrap(key, public, CONTEXT)


def as_of_before(path: Path) -> dict[str, Any]:
    """The keyring as the release before wrote it: one KEM key of a principal, no seed for secrets."""
    document: dict[str, Any] = json.loads(path.read_text()) | {"format": "consign-keyring/1"}
    for entry in document["principals"].values():
        entry["kem"] = {name: entry["kem"][0][name] for name in ("suite", "seed")}
        entry.pop("secrets", None)
    path.write_text(json.dumps(document))
    return document


def environment(path: Path) -> EnvironmentKeyring:
    return EnvironmentKeyring("CONSIGN_KEYRING_SECRET", Secret(path.read_bytes()))


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


@pytest.mark.parametrize("purpose", sorted(SIGNING_KEYS.keys() - {"checkpoint"}))
def test_a_signature_carries_its_purpose(path: Path, purpose: str) -> None:
    keyring = LocalKeyring(path)
    keys = keyring.create(LENDER)
    verify_signature(keys.signing, purpose, b"m", keyring.sign(LENDER, purpose, b"m"))


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
     '{"format": "consign-keyring/1", "principals": {"a": {"kem": {"suite": "xwing", "seed": 5}}}}',
     '{"format": "consign-keyring/2", "principals": {"a": {"kem": []}}}',
     '{"format": "consign-keyring/2", "principals": {"a": {"kem": [{"suite": "xwing", "seed": "AAAA"}]}}}',
     '{"format": "consign-keyring/2", "principals": {"a": {"kem": {"suite": "xwing", "seed": "AAAA"}}}}'],
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
    document = json.loads(path.read_text()) | {"format": "consign-keyring/3"}
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
    shown = repr(keyring) + repr(vars(keyring)) + repr([vars(keys) for keys in keyring._seen[1].values()])
    seeds = [key["seed"] for key in (*entry.pop("kem"), *entry.values())]
    assert len(seeds) == 4
    assert not any(seed in shown for seed in seeds)
    with pytest.raises(TypeError):
        pickle.dumps(keyring)


def test_a_keyring_opened_to_others_meanwhile_is_refused(path: Path) -> None:
    keyring = LocalKeyring(path)
    keyring.create(LENDER)
    path.chmod(0o644)
    with pytest.raises(KeyringRefused, match="chmod 600"):
        keyring.sign(LENDER, "grant", b"m")


def test_a_keyring_lost_meanwhile_is_missed(path: Path) -> None:
    keyring = LocalKeyring(path)
    keyring.create(LENDER)
    path.unlink()
    with pytest.raises(PrincipalUnknown, match="restore them from the backup"):
        keyring.sign(LENDER, "grant", b"m")


def test_after_a_rotation_the_newest_key_wraps_and_all_open(path: Path) -> None:
    keyring, other_process = LocalKeyring(path), LocalKeyring(path)
    before = keyring.create(LENDER)
    key, wrapped = sealed_to(before.kem)
    after = keyring.rotate(LENDER)
    assert other_process.public(LENDER) == after
    assert after.kem != before.kem
    assert (after.signing, after.serial, after.older) == (before.signing, 2, (before.kem,))
    newer, rewrapped = sealed_to(after.kem)
    for process in (keyring, other_process, LocalKeyring(path)):
        assert process.unwrap(LENDER, wrapped, CONTEXT) == key
        assert process.unwrap(LENDER, rewrapped, CONTEXT) == newer


def test_a_rotation_keeps_the_suite(path: Path) -> None:
    LocalKeyring(path).create(LENDER)
    document = json.loads(path.read_text())
    document["principals"][LENDER]["kem"][0]["suite"] = "x25519"
    path.write_text(json.dumps(document))
    assert suite_of(LocalKeyring(path).rotate(LENDER).kem) == "x25519"


def test_retiring_leaves_the_newest_key_alone(path: Path) -> None:
    keyring, other_process = LocalKeyring(path), LocalKeyring(path)
    wraps = [sealed_to(keyring.create(LENDER).kem)]
    wraps += [sealed_to(keyring.rotate(LENDER).kem) for _ in range(2)]
    seeds = [key["seed"] for key in json.loads(path.read_text())["principals"][LENDER]["kem"]]
    kept = keyring.retire(LENDER)
    assert (kept.serial, kept.older) == (3, ())
    for process in (keyring, other_process):
        for _, wrapped in wraps[:2]:
            with pytest.raises(WrapBroken):
                process.unwrap(LENDER, wrapped, CONTEXT)
        assert process.unwrap(LENDER, wraps[2][1], CONTEXT) == wraps[2][0]
    assert [seed in path.read_text() for seed in seeds] == [True, False, False]


def test_retiring_with_one_key_changes_nothing(path: Path) -> None:
    keyring = LocalKeyring(path)
    keys = keyring.create(LENDER)
    text = path.read_bytes()
    assert keyring.retire(LENDER) == keys
    assert path.read_bytes() == text


@pytest.mark.parametrize("verb", ["rotate", "retire", "public"])
def test_nobody_has_no_keys_to_change(path: Path, verb: str) -> None:
    keyring = LocalKeyring(path)
    keyring.create(LENDER)
    with pytest.raises(PrincipalUnknown, match="nobody"):
        getattr(keyring, verb)("nobody")


def test_processes_that_rotate_at_once_each_make_a_key(path: Path) -> None:
    LocalKeyring(path).create(LENDER)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=rotate_one, args=(path, LENDER)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    public = LocalKeyring(path).public(LENDER)
    assert (public.serial, len({public.kem, *public.older})) == (5, 5)


def test_a_keyring_of_the_release_before_serves_and_is_completed(path: Path) -> None:
    before = LocalKeyring(path)
    organisation, platform = before.create(LENDER), before.create("platform")
    key, wrapped = sealed_to(organisation.kem)
    as_of_before(path)
    keyring = LocalKeyring(path)
    assert keyring.public(LENDER) == organisation
    assert keyring.unwrap(LENDER, wrapped, CONTEXT) == key
    with pytest.raises(ValueRefused):
        keyring.derive("platform", "totp")
    assert keyring.create("platform") == platform
    assert keyring.derive("platform", "totp") == LocalKeyring(path).derive("platform", "totp")
    assert json.loads(path.read_text())["format"] == "consign-keyring/2"


def test_a_secret_of_the_environment_serves_as_the_file_does(path: Path) -> None:
    keyring = LocalKeyring(path)
    keys = keyring.create(LENDER)
    key, wrapped = sealed_to(keys.kem)
    served = environment(path)
    assert (served.public(LENDER), served.create(LENDER), served.retire(LENDER)) == (keys, keys, keys)
    assert served.unwrap(LENDER, wrapped, CONTEXT) == key
    assert "seed" not in repr(vars(served))


@pytest.mark.parametrize(("verb", "principal"), [("create", "other"), ("rotate", LENDER), ("forget", LENDER)])
def test_a_secret_of_the_environment_is_never_changed(path: Path, verb: str, principal: str) -> None:
    LocalKeyring(path).create(LENDER)
    with pytest.raises(KeyringReadOnly, match="CONSIGN_KEYRING_SECRET is read-only"):
        getattr(environment(path), verb)(principal)


def test_a_corrupt_secret_of_the_environment_is_refused_by_the_variables_name() -> None:
    with pytest.raises(KeyringRefused, match="CONSIGN_KEYRING_SECRET is corrupt"):
        EnvironmentKeyring("CONSIGN_KEYRING_SECRET", Secret(b"{"))


def test_new_principals_go_to_the_custody_in_use_and_old_ones_stay(path: Path, tmp_path: Path) -> None:
    old, new = LocalKeyring(path), LocalKeyring(tmp_path / "new.json")
    keys = old.create(LENDER)
    both = Custodies(new, old)
    assert both.create(LENDER) == keys
    both.create("other")
    assert (new.find(LENDER), old.find("other")) == (None, None)


def test_moving_is_to_rotate_to_wrap_anew_and_to_retire(path: Path, tmp_path: Path) -> None:
    old, new = LocalKeyring(path), LocalKeyring(tmp_path / "new.json")
    before = old.create("platform")
    key, wrapped = sealed_to(before.kem)
    secret, both = old.derive("platform", "totp"), Custodies(new, old)
    after = both.rotate("platform")
    assert (after.signing, after.log, after.older) == (before.signing, before.log, (before.kem,))
    assert both.unwrap("platform", wrapped, CONTEXT) == key
    newer, rewrapped = sealed_to(after.kem)
    both.retire("platform")
    assert old.find("platform") is None
    assert (new.unwrap("platform", rewrapped, CONTEXT), new.derive("platform", "totp")) == (newer, secret)
    with pytest.raises(WrapBroken):
        both.unwrap("platform", wrapped, CONTEXT)


def test_a_key_made_in_the_other_custody_after_a_move_still_opens(path: Path, tmp_path: Path) -> None:
    old, new = LocalKeyring(path), LocalKeyring(tmp_path / "new.json")
    old.create(LENDER)
    both = Custodies(new, old)
    both.rotate(LENDER)
    late = old.rotate(LENDER)
    key, wrapped = sealed_to(late.kem)
    assert late.kem in both.public(LENDER).older
    assert both.unwrap(LENDER, wrapped, CONTEXT) == key


def test_retiring_what_was_never_moved_retires_it_where_it_is(path: Path, tmp_path: Path) -> None:
    old = LocalKeyring(path)
    old.create(LENDER)
    newest = old.rotate(LENDER)
    kept = Custodies(LocalKeyring(tmp_path / "new.json"), old).retire(LENDER)
    assert (kept.kem, kept.older, old.public(LENDER)) == (newest.kem, (), kept)


def test_what_no_custody_holds_names_them_all(path: Path, tmp_path: Path) -> None:
    both = Custodies(LocalKeyring(tmp_path / "new.json"), LocalKeyring(path))
    with pytest.raises(PrincipalUnknown, match=r"new\.json nor .*keyring\.json holds keys of nobody"):
        both.sign("nobody", "grant", b"m")
