"""What the settings say about custody, and what they refuse with the remedy."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.custody import PLATFORM, Custodies, EnvironmentKeyring, LocalKeyring
from crypto.errors import CustodyUnavailable, KeyringRefused
from crypto.secret import Secret
from models.custody import ObjectShelf, open_custody, open_vault
from models.errors import Unavailable
from models.objects import FolderStore
from models.settings import Settings
from tests.conftest import ROOT


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        database_url=None,
        object_store=str(tmp_path / "objects"),
        keyring=tmp_path / "keyring.json",
        host="consign.test",
        secure_cookies=False,
    )


@pytest.fixture
def kms_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return replace(settings, custody="aws-kms", kms_key="alias/consign")


def test_a_keyring_file_is_the_custody_of_one_machine(settings: Settings) -> None:
    assert isinstance(open_custody(settings), LocalKeyring)


def test_a_secret_of_the_environment_takes_the_files_place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    LocalKeyring(settings.keyring).create(PLATFORM)
    monkeypatch.setenv("CONSIGN_KEYRING_SECRET", settings.keyring.read_text())
    monkeypatch.setenv("CONSIGN_KEYRING", "/nowhere")
    read = Settings.from_environment()
    assert isinstance(open_custody(read), EnvironmentKeyring)
    assert open_vault(read).custody.public(PLATFORM) == LocalKeyring(settings.keyring).public(PLATFORM)
    assert "seed" not in repr(read)


def test_kms_is_chosen_and_the_keyring_still_serves(kms_settings: Settings) -> None:
    LocalKeyring(kms_settings.keyring).create(PLATFORM)
    custody = open_custody(kms_settings)
    assert isinstance(custody, Custodies)
    assert (custody.kind, custody.chosen.kind) == ("aws-kms", "aws-kms")
    assert custody.sign(PLATFORM, "receipt", b"m")


def test_a_kms_key_beside_local_custody_still_serves(kms_settings: Settings) -> None:
    custody = open_custody(replace(kms_settings, custody="local"))
    assert isinstance(custody, Custodies)
    assert (custody.kind, [other.kind for other in custody.others]) == ("local", ["aws-kms"])


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"custody": "aws-kms"}, "set CONSIGN_KMS_KEY"),
        ({"custody": "hsm"}, "CONSIGN_CUSTODY is local or aws-kms"),
        ({"custody": "self"}, "CONSIGN_CUSTODY is local or aws-kms"),
        ({"keyring_secret": Secret(b"{")}, "CONSIGN_KEYRING_SECRET is corrupt"),
    ],
)
def test_settings_that_name_no_custody_are_refused(settings: Settings, changes: dict, remedy: str) -> None:
    with pytest.raises(KeyringRefused, match=remedy):
        open_custody(replace(settings, **changes))


def test_a_process_that_serves_makes_no_keys(settings: Settings) -> None:
    with pytest.raises(KeyringRefused, match=r"keyring\.json holds no keys of platform: restore .* models set-up"):
        open_vault(settings)
    assert not settings.keyring.exists()


def test_the_jobs_end_with_the_remedy_where_the_keys_are_lost(tmp_path: Path) -> None:
    environment = {"CONSIGN_KEYRING": str(tmp_path / "none.json"), "CONSIGN_DATABASE_URL": "postgresql://nowhere/none"}
    ended = subprocess.run(
        [sys.executable, "-m", "jobs"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "restore them from the backup" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_shelf_keeps_each_object_once(tmp_path: Path) -> None:
    shelf = ObjectShelf(FolderStore(tmp_path))
    assert shelf.get("custody/platform/1.json") is None
    assert shelf.put_once("custody/platform/1.json", b"one")
    assert not shelf.put_once("custody/platform/1.json", b"two")
    assert shelf.get("custody/platform/1.json") == b"one"


def test_a_shelf_that_does_not_answer_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*asked: object) -> None:
        raise Unavailable("object_store_unavailable")

    store = FolderStore(tmp_path)
    monkeypatch.setattr(store, "get", silent)
    monkeypatch.setattr(store, "put_once", silent)
    shelf = ObjectShelf(store)
    with pytest.raises(CustodyUnavailable):
        shelf.get("custody/platform/1.json")
    with pytest.raises(CustodyUnavailable):
        shelf.put_once("custody/platform/1.json", b"one")
