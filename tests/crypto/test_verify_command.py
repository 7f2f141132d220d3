"""verify-log over each kind of file, as an auditor runs it: what it says, what it remembers, how it ends."""

import json
from pathlib import Path

import pytest

from crypto.__main__ import main
from crypto.bundle import Bundle, write_bundle
from crypto.logfile import entry_leaf_hash, write_log
from crypto.notes import Checkpoint, sign_note
from crypto.verify import REFUSED, SELF_CONSISTENT, UNLINKED, VERIFIED
from crypto.witness import read_witness
from tests.evidence import ENTRIES, KEY, ORIGIN, PRIVATE, bundle, checkpoint, consistency, log

Out = pytest.CaptureFixture[str]


class Auditor:
    """Somebody with a pinned key, a witness file, and files that the platform gave them."""

    def __init__(self, folder: Path) -> None:
        self.file, self.witness = folder / "file", folder / "witness.json"

    def verify(self, data: bytes, *options: str) -> int:
        self.file.write_bytes(data)
        return main(["verify-log", str(self.file), *(options or ("--key", KEY, "--witness", str(self.witness)))])

    def seen(self) -> Checkpoint | None:
        return read_witness(self.witness).get(ORIGIN)


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


@pytest.mark.parametrize("data", [log(7), bundle(3, 7), consistency(3, 7)], ids=["log", "bundle", "consistency"])
class TestEachKindOfFile:
    def test_is_verified_and_remembered(self, auditor: Auditor, data: bytes, capsys: Out) -> None:
        assert auditor.verify(data) == VERIFIED
        assert capsys.readouterr().out.endswith("\nverified\n")
        assert auditor.seen() == checkpoint(7)

    def test_is_self_consistent_only_without_a_key(self, auditor: Auditor, data: bytes, capsys: Out) -> None:
        assert auditor.verify(data, "--witness", str(auditor.witness)) == SELF_CONSISTENT
        assert "self-consistent only" in capsys.readouterr().out
        assert auditor.seen() is None

    def test_is_refused_with_something_behind_it(self, auditor: Auditor, data: bytes) -> None:
        assert auditor.verify(data + b"{}\n") == REFUSED
        assert auditor.seen() is None

    def test_is_refused_once_the_log_was_longer(self, auditor: Auditor, data: bytes) -> None:
        assert auditor.verify(log(8)) == VERIFIED
        assert auditor.verify(data) == REFUSED
        assert auditor.seen() == checkpoint(8)


def test_a_bundle_tells_the_entry_it_proves(auditor: Auditor, capsys: Out) -> None:
    auditor.verify(bundle(3, 7))
    assert f"index       3\nentry       {ENTRIES[3][1].decode()}\n" in capsys.readouterr().out


def test_a_newer_bundle_alone_does_not_go_on_from_what_was_seen_but_a_consistency_proof_does(
    auditor: Auditor, capsys: Out
) -> None:
    assert auditor.verify(log(3)) == VERIFIED
    assert auditor.verify(bundle(5, 7)) == UNLINKED
    assert "not shown to follow the 3 entries" in capsys.readouterr().out
    assert auditor.seen() == checkpoint(3)
    assert auditor.verify(consistency(3, 7)) == VERIFIED
    assert auditor.verify(bundle(5, 7)) == VERIFIED
    assert auditor.seen() == checkpoint(7)


def test_a_consistency_proof_of_other_sizes_does_not_go_on_from_what_was_seen(auditor: Auditor) -> None:
    auditor.verify(log(3))
    for old in (2, 5):
        assert auditor.verify(consistency(old, 7)) == UNLINKED
    assert auditor.seen() == checkpoint(3)


def test_a_file_of_no_known_format_is_refused(auditor: Auditor) -> None:
    for data in (b"", b"\n", b"{}\n", b"[]", b'{"format":"consign-bundle/2"}\n', b'{"format":["consign-bundle/1"]}\n'):
        assert auditor.verify(data) == REFUSED


@pytest.mark.parametrize("entry", [b"x\nverified\n", json.dumps({"at": "x\nverified\x1b[1A"}).encode()])
def test_no_text_of_a_file_prints_a_verdict_of_its_own(auditor: Auditor, capsys: Out, entry: bytes) -> None:
    leaf = entry_leaf_hash(bytes(32), entry)
    made = sign_note(Checkpoint(ORIGIN, 1, leaf).text(), ORIGIN, PRIVATE)
    for data in (b"".join(write_log(made, [(bytes(32), entry)])), write_bundle(Bundle(0, bytes(32), entry, [], made))):
        assert auditor.verify(data, "--witness", str(auditor.witness)) == SELF_CONSISTENT
        said = capsys.readouterr().out
        assert "verified" not in said.splitlines()
        assert "\x1b" not in said
