"""python -m crypto, as an auditor runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.__main__ import main
from crypto.custody import LocalKeyring
from crypto.logfile import entry_leaf_hash, write_log
from crypto.merkle import Frontier
from crypto.notes import Checkpoint, sign_note, verifier_key

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "consign.example/log/1"
KEY = verifier_key(ORIGIN, PRIVATE.public_key().public_bytes_raw())


def write(path: Path, texts: list[bytes]) -> Path:
    frontier, entries = Frontier(), [(bytes(32), text) for text in texts]
    for salt, entry in entries:
        frontier.append(entry_leaf_hash(salt, entry))
    note = sign_note(Checkpoint(ORIGIN, frontier.size, frontier.root()).text(), ORIGIN, PRIVATE)
    path.write_bytes(b"".join(write_log(note, entries)))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.jsonl", [b'{"at":"2026-01-04"}', b'{"at":"2026-01-05"}'])


def test_a_pinned_log_is_verified_by_the_command_itself(log: Path) -> None:
    command = [sys.executable, "-m", "crypto", "verify-log", str(log), "--key", KEY]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"origin      {ORIGIN}\nsize        2\n" in done.stdout
    assert "last entry  2026-01-05\nverified\n" in done.stdout


def test_an_unpinned_log_is_self_consistent_only(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(log)]) == 2
    out = capsys.readouterr().out
    assert "self-consistent only" in out
    assert "\nverified" not in out


def test_an_altered_log_names_its_first_bad_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(log.read_bytes().replace(b"2026-01-05", b"2026-01-06"))
    assert main(["verify-log", str(log), "--key", KEY]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("line 4: ")
    assert "verified" not in captured.out


@pytest.mark.parametrize("key", ["", "nonsense", KEY[:-1], KEY.replace("log/1", "log/2")])
def test_a_key_that_is_not_the_logs_is_refused(log: Path, key: str) -> None:
    assert main(["verify-log", str(log), "--key", key]) == 1


def test_a_missing_file_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(tmp_path / "none"), "--key", KEY]) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_witness_remembers_and_refuses_a_rollback_and_a_fork(tmp_path: Path) -> None:
    witness = tmp_path / "witness.json"

    def verify(texts: list[bytes]) -> int:
        return main(
            ["verify-log", str(write(tmp_path / "log", texts)), "--key", KEY, "--witness", str(witness)]
        )  # fmt: skip

    assert verify([b"a", b"b"]) == 0
    assert verify([b"a", b"b", b"c"]) == 0
    assert verify([b"a", b"b"]) == 1
    assert verify([b"a", b"x", b"c", b"d"]) == 1
    assert verify([b"a", b"b", b"c", b"d"]) == 0


def test_a_witness_learns_nothing_from_an_unpinned_log(log: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness.json"
    assert main(["verify-log", str(log), "--witness", str(witness)]) == 2
    assert not witness.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":"consign-witness/1","seen":[1]}', "\xff"])
def test_a_damaged_witness_is_refused_not_forgotten(log: Path, tmp_path: Path, text: str) -> None:
    witness = tmp_path / "witness.json"
    witness.write_text(text)
    assert main(["verify-log", str(log), "--key", KEY, "--witness", str(witness)]) == 1
    assert witness.read_text() == text


def test_keygen_makes_keys_and_fingerprint_shows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "keyring.json")
    assert main(["keygen", "platform", "--keyring", path, "--origin", ORIGIN]) == 0
    made = capsys.readouterr().out
    assert main(["fingerprint", "platform", "--keyring", path, "--origin", ORIGIN]) == 0
    assert capsys.readouterr().out == made
    log = LocalKeyring(path).public("platform").log
    assert log is not None
    assert verifier_key(ORIGIN, log) in made


def test_an_unknown_principal_has_no_fingerprint(tmp_path: Path) -> None:
    assert main(["fingerprint", "nobody", "--keyring", str(tmp_path / "keyring.json")]) == 1
