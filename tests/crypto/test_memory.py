"""What was seen is never forgotten, by one process or by several."""

import json
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import Distrusted, FileRefused, MemoryRefused
from crypto.memory import Memory, fingerprint

ORGANISATION, PUBLIC = b"L" * 16, b"k" * 32
PIN = fingerprint(PUBLIC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.json"


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(Distrusted) as caught:
        call(*arguments)
    return caught.value.code


def filled() -> Memory:
    memory = Memory()
    memory.check_clock(1_767_225_600)
    memory.pin(ORGANISATION, "kem", PIN)
    memory.take_epoch("a/b/-/identity", 2)
    memory.take_serial("a/b/-/identity", 7)
    memory.take_version("c/identity", 3)
    return memory


def test_a_memory_comes_back_from_its_file(path: Path) -> None:
    memory = filled()
    memory.write(path)
    assert Memory.read(path).to_json() == memory.to_json()


def test_a_memory_file_is_what_its_format_says() -> None:
    assert json.loads(filled().to_json()) == {
        "format": "consign-memory/1",
        "seen_at": 1_767_225_600,
        "pins": {"4c4c4c4c-4c4c-4c4c-4c4c-4c4c4c4c4c4c": {"kem": PIN.hex()}},
        "serials": {"a/b/-/identity": 7},
        "epochs": {"a/b/-/identity": 2},
        "versions": {"c/identity": 3},
    }


def test_a_first_memory_has_seen_nothing(path: Path) -> None:
    assert code_of(Memory.read(path).require_pinned, ORGANISATION, "kem", PUBLIC) == "key_unpinned"


def test_a_pin_is_of_one_organisation_purpose_and_key() -> None:
    memory = filled()
    memory.require_pinned(ORGANISATION, "kem", PUBLIC)
    assert code_of(memory.require_pinned, ORGANISATION, "kem", b"x" * 32) == "key_changed"
    assert code_of(memory.require_pinned, ORGANISATION, "signing", PUBLIC) == "key_unpinned"
    assert code_of(memory.require_pinned, b"M" * 16, "kem", PUBLIC) == "key_unpinned"


def test_a_pin_is_replaced_only_where_that_is_said() -> None:
    memory = filled()
    memory.pin(ORGANISATION, "kem", PIN)
    assert code_of(memory.pin, ORGANISATION, "kem", bytes(32)) == "key_changed"
    memory.pin(ORGANISATION, "kem", bytes(32), replace=True)
    assert code_of(memory.require_pinned, ORGANISATION, "kem", PUBLIC) == "key_changed"


@pytest.mark.parametrize(("purpose", "pinned"), [("log", PIN), ("", PIN), ("kem", b""), ("kem", PIN[:31])])
def test_only_fingerprints_of_known_purposes_are_pinned(purpose: str, pinned: bytes) -> None:
    with pytest.raises(ValueError):
        Memory().pin(ORGANISATION, purpose, pinned)


@pytest.mark.parametrize(
    ("take", "code"),
    [("take_serial", "wrap_replayed"), ("take_epoch", "epoch_rolled_back"), ("take_version", "version_rolled_back")],
)
def test_lower_is_refused_equal_is_fine_and_higher_is_remembered(take: str, code: str) -> None:
    memory = Memory()
    for number in (3, 3, 4):
        getattr(memory, take)("scope", number)
    assert code_of(getattr(memory, take), "scope", 3) == code
    getattr(memory, take)("another scope", 1)


def test_a_newer_epoch_begins_its_serials_anew() -> None:
    memory = filled()
    memory.take_epoch("a/b/-/identity", 3)
    memory.take_serial("a/b/-/identity", 1)
    assert code_of(memory.take_epoch, "a/b/-/identity", 2) == "epoch_rolled_back"


def test_a_clock_may_be_five_minutes_behind_and_no_more() -> None:
    memory = Memory()
    memory.check_clock(1000)
    memory.check_clock(700)
    assert code_of(memory.check_clock, 699) == "clock_behind"
    assert memory.seen_at == 1000


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    filled().write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused_with_what_to_do(path: Path, mode: int) -> None:
    filled().write(path)
    path.chmod(mode)
    for use in (Memory.read, filled().write):
        with pytest.raises(FileRefused, match="chmod 600"):
            use(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "consign-memory/2"},
        {"seen_at": -1},
        {"seen_at": "0"},
        {"pins": []},
        {"pins": {"x": {}}},
        {"pins": {"4c4c4c4c-4c4c-4c4c-4c4c-4c4c4c4c4c4c": {"log": "00" * 32}}},
        {"pins": {"4c4c4c4c-4c4c-4c4c-4c4c-4c4c4c4c4c4c": {"kem": "00"}}},
        {"serials": {"a": 1.5}},
        {"epochs": {"a": None}},
        {"versions": 1},
        {"more": 1},
    ],
)
def test_a_corrupt_file_is_refused_and_stays_as_it_is(path: Path, change: dict[str, Any]) -> None:
    filled().write(path)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    before = path.read_bytes()
    for use in (Memory.read, filled().write):
        with pytest.raises(MemoryRefused, match="restore it from its copy"):
            use(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format":"consign-memory/1","format":"consign-memory/1"}'])
def test_what_is_no_json_object_is_refused(path: Path, data: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(data)
    with pytest.raises(MemoryRefused):
        Memory.read(path)


def test_a_crash_before_the_rename_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled().write(path)
    before = path.read_bytes()

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            filled().write(path)
    assert path.read_bytes() == before
    filled().write(path)


def test_two_processes_keep_what_both_have_seen(path: Path) -> None:
    first, second = Memory.read(path), Memory.read(path)
    first.take_serial("one", 5)
    second.take_serial("one", 4)
    second.take_version("two", 2)
    second.check_clock(99)
    second.pin(ORGANISATION, "kem", PIN)
    first.write(path)
    second.write(path)
    read = Memory.read(path)
    assert (read.serials, read.versions, read.seen_at, read.pins) == ({"one": 5}, {"two": 2}, 99, second.pins)
    assert code_of(second.take_serial, "one", 4) == "wrap_replayed"


def test_a_pin_replaced_elsewhere_is_not_undone(path: Path) -> None:
    old = filled()
    old.write(path)
    new = Memory.read(path)
    new.pin(ORGANISATION, "kem", bytes(32), replace=True)
    new.write(path)
    old.write(path)
    assert Memory.read(path).pins[ORGANISATION]["kem"] == bytes(32)


def test_an_older_epochs_serials_do_not_count_for_a_newer_one(path: Path) -> None:
    filled().write(path)
    newer = filled()
    newer.take_epoch("a/b/-/identity", 3)
    newer.take_serial("a/b/-/identity", 1)
    newer.write(path)
    filled().write(path)
    read = Memory.read(path)
    assert (read.epochs, read.serials) == ({"a/b/-/identity": 3}, {"a/b/-/identity": 1})


def _remember(path: Path, scope: str) -> None:
    for serial in range(1, 21):
        memory = Memory.read(path)
        memory.take_serial(scope, serial)
        memory.write(path)


def test_processes_at_the_same_time_lose_nothing(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    scopes = ["one", "two", "three"]
    writers = [spawn.Process(target=_remember, args=(path, scope)) for scope in scopes]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert Memory.read(path).serials == dict.fromkeys(scopes, 20)


NUMBERS = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9))


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_learning_never_lowers_a_number(memories: list[tuple[dict[str, int], ...]]) -> None:
    known = Memory()
    for epochs, serials, versions in memories:
        other = Memory()
        other.epochs, other.serials, other.versions = epochs, serials, versions
        before = {scope: (known.epochs.get(scope, 0), known.serials.get(scope, 0)) for scope in "abc"}
        known._learn(other)
        for scope in "abc":
            assert (known.epochs.get(scope, 0), known.serials.get(scope, 0)) >= before[scope]
            assert known.versions.get(scope, 0) >= versions.get(scope, 0)
