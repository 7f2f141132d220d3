"""A bundle proves one entry, a consistency proof one history; a witness lets nothing else follow."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.bundle import (
    Bundle,
    verify_bundle,
    verify_consistency_file,
    write_bundle,
    write_consistency,
)
from crypto.errors import LogRefused
from crypto.lines import LINE_BYTES_MAX
from crypto.merkle import consistency_proof, inclusion_proof
from crypto.notes import Checkpoint
from tests.evidence import ENTRIES, KEY, LEAVES, ORIGIN, bundle, checkpoint, consistency, note


@given(st.integers(1, 20), st.data())
def test_every_entry_has_a_bundle_in_every_log_that_holds_it(size: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, size - 1))
    report = verify_bundle(bundle(place, size), KEY)
    assert report == (checkpoint(size), place, ENTRIES[place][1].decode(), True, True)


@given(st.integers(1, 20), st.data())
def test_every_checkpoint_follows_from_every_earlier_one(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    assert verify_consistency_file(consistency(old, new), KEY) == (checkpoint(old), checkpoint(new), True, True)


def test_without_a_key_nothing_is_called_signed() -> None:
    assert not verify_bundle(bundle(3, 7), None).signed
    assert not verify_consistency_file(consistency(3, 7), None).signed


def test_no_byte_of_a_proof_file_can_change() -> None:
    for whole, verify in ((bundle(3, 7), verify_bundle), (consistency(3, 7), verify_consistency_file)):
        for place in range(len(whole)):
            altered = bytearray(whole)
            altered[place] ^= 1 << place % 8
            with pytest.raises(LogRefused):
                verify(bytes(altered), KEY)


def test_no_part_of_a_proof_file_is_one() -> None:
    for whole, verify in ((bundle(3, 7), verify_bundle), (consistency(3, 7), verify_consistency_file)):
        for size in range(len(whole)):
            with pytest.raises(LogRefused):
                verify(whole[:size], KEY)


@given(st.binary(max_size=60) | st.just(b"{}\n") | st.just(b"[]\n") | st.text().map(str.encode))
def test_noise_proves_nothing(line: bytes) -> None:
    for verify in (verify_bundle, verify_consistency_file):
        with pytest.raises(LogRefused):
            verify(line, None)


MEMBERS = st.sampled_from(["format", "index", "salt", "entry", "proof", "checkpoint", "old", "new"])
VALUES = st.none() | st.integers() | st.text(max_size=9) | st.lists(st.none() | st.text(max_size=9))


@given(st.dictionaries(MEMBERS, VALUES))
def test_members_of_other_types_prove_nothing(members: dict[str, object]) -> None:
    for verify in (verify_bundle, verify_consistency_file):
        with pytest.raises(LogRefused):
            verify(json.dumps(members).encode() + b"\n", None)


def test_what_proves_nothing_is_not_written() -> None:
    proof = inclusion_proof(LEAVES[:7], 3)
    with pytest.raises(LogRefused):
        write_bundle(Bundle(2, *ENTRIES[3], proof, note(7)))
    with pytest.raises(LogRefused):
        write_consistency(note(3), note(7), proof)
    with pytest.raises(LogRefused):
        write_consistency(note(7), note(3), consistency_proof(LEAVES[:7], 3))


def test_two_logs_are_not_one_history() -> None:
    other = note(7, "consign.example/log/2")
    with pytest.raises(LogRefused, match="different logs"):
        write_consistency(note(3), other, consistency_proof(LEAVES[:7], 3))


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(LogRefused):
        verify_bundle(b'"' + b"x" * LINE_BYTES_MAX + b'"\n', KEY)


@pytest.mark.parametrize(("seen", "size", "linked"), [(7, 7, True), (None, 7, True), (3, 7, False)])
def test_a_bundle_shows_no_step_from_an_older_checkpoint(seen: int | None, size: int, linked: bool) -> None:
    witness = {ORIGIN: checkpoint(seen)} if seen else {}
    assert verify_bundle(bundle(2, size), KEY, witness).linked == linked


@pytest.mark.parametrize(("seen", "linked"), [(3, True), (7, True), (None, True), (2, False), (5, False)])
def test_a_consistency_proof_links_what_it_names(seen: int | None, linked: bool) -> None:
    witness = {ORIGIN: checkpoint(seen)} if seen else {}
    assert verify_consistency_file(consistency(3, 7), KEY, witness).linked == linked


def test_a_witness_refuses_what_is_behind_it() -> None:
    witness = {ORIGIN: checkpoint(8)}
    for verify, line in ((verify_bundle, bundle(3, 7)), (verify_consistency_file, consistency(3, 7))):
        with pytest.raises(LogRefused, match="rolled back"):
            verify(line, KEY, witness)


@pytest.mark.parametrize("size", [3, 7])
def test_a_witness_refuses_another_history_of_its_size(size: int) -> None:
    witness = {ORIGIN: Checkpoint(ORIGIN, size, bytes(32))}
    with pytest.raises(LogRefused, match="forked"):
        verify_bundle(bundle(2, size), KEY, witness)
    with pytest.raises(LogRefused, match="forked"):
        verify_consistency_file(consistency(3, 7), KEY, witness)


def test_a_bundle_says_nothing_of_its_neighbours() -> None:
    line = bundle(3, 7).decode()
    for place in (*range(3), *range(4, 7)):
        salt, entry = ENTRIES[place]
        assert base64.b64encode(salt).decode() not in line
        assert json.dumps(entry.decode())[1:-1] not in line
