"""Proofs that travel alone: one entry and its place in a signed log, or two checkpoints of which one follows the other.

Each is a file of one line, in exactly one spelling. Like the log itself it is checked with nothing but the pinned key.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crypto.errors import LogRefused, ProofRefused
from crypto.lines import read_checkpoint, read_raw, read_record, spell
from crypto.logfile import entry_leaf_hash
from crypto.merkle import verify_consistency, verify_inclusion
from crypto.notes import Checkpoint, VerifierKey, split_note
from crypto.strict import to_base64
from crypto.witness import follows

BUNDLE_FORMAT = "consign-bundle/1"
CONSISTENCY_FORMAT = "consign-consistency/1"


class Bundle(NamedTuple):
    """An entry with its salt, its place in the log, and the hashes that lead from it to the root of a signed note."""

    place: int
    salt: bytes
    entry: bytes
    proof: Sequence[bytes]
    note: str


class BundleReport(NamedTuple):
    """What a bundle that stands says. `linked`: its checkpoint is shown to follow the one seen before, if any."""

    checkpoint: Checkpoint
    place: int
    entry: str
    signed: bool
    linked: bool


class ConsistencyReport(NamedTuple):
    """Two checkpoints, of which the first is shown to be the beginning of the second."""

    old: Checkpoint
    checkpoint: Checkpoint
    signed: bool
    linked: bool


def write_bundle(bundle: Bundle) -> bytes:
    """The file of a bundle; `LogRefused` where it proves nothing."""
    origin = Checkpoint.parse(split_note(bundle.note)[0]).origin
    line = _bundle_line(origin, bundle.place, bundle.salt, bundle.entry.decode(), bundle.proof, bundle.note)
    verify_bundle(line, None)
    return line


def verify_bundle(
    line: bytes, verifier_key: str | None, witness: Mapping[str, Checkpoint] | None = None
) -> BundleReport:
    """Check that the entry stands in the signed log, or `LogRefused`. Without a pinned key it is not `signed`.

    `witness` gives the last checkpoint seen of each origin: an older one, or another of its size, is refused.
    """
    text, record = read_record(1, line)
    place, entry = record.get("index"), record.get("entry")
    if type(place) is not int or not isinstance(entry, str):
        raise LogRefused(1, f"not a bundle of {BUNDLE_FORMAT}")
    salt, proof = read_raw(1, "a salt", record.get("salt")), _read_proof(record)
    note = _text_of(record, "checkpoint")
    checkpoint = read_checkpoint(1, note, _parsed(verifier_key))
    if text.encode() != _bundle_line(checkpoint.origin, place, salt, entry, proof, note):
        raise LogRefused(1, "not a bundle of this checkpoint's log in its canonical spelling")
    try:
        leaf = entry_leaf_hash(salt, entry.encode())
        verify_inclusion(place, checkpoint.size, leaf, proof, checkpoint.root)
    except ProofRefused as refusal:
        raise LogRefused(1, str(refusal)) from None
    linked = follows((witness or {}).get(checkpoint.origin), [checkpoint])
    return BundleReport(checkpoint, place, entry, verifier_key is not None, linked)


def write_consistency(old_note: str, new_note: str, proof: Sequence[bytes]) -> bytes:
    """The file of two signed notes and the proof between them; `LogRefused` where it proves nothing."""
    origin = Checkpoint.parse(split_note(new_note)[0]).origin
    line = _consistency_line(origin, old_note, new_note, proof)
    verify_consistency_file(line, None)
    return line


def verify_consistency_file(
    line: bytes, verifier_key: str | None, witness: Mapping[str, Checkpoint] | None = None
) -> ConsistencyReport:
    """Check that the older checkpoint is the beginning of the newer one, both signed, or `LogRefused`."""
    text, record = read_record(1, line)
    proof, key = _read_proof(record), _parsed(verifier_key)
    old_note, new_note = _text_of(record, "old"), _text_of(record, "new")
    old, new = read_checkpoint(1, old_note, key), read_checkpoint(1, new_note, key)
    if old.origin != new.origin:
        raise LogRefused(1, "the two checkpoints are of different logs")
    if text.encode() != _consistency_line(new.origin, old_note, new_note, proof):
        raise LogRefused(1, "not a consistency proof in its canonical spelling")
    try:
        verify_consistency(old.size, new.size, proof, old.root, new.root)
    except ProofRefused as refusal:
        raise LogRefused(1, str(refusal)) from None
    linked = follows((witness or {}).get(new.origin), [old, new])
    return ConsistencyReport(old, new, verifier_key is not None, linked)


def _bundle_line(origin: str, place: int, salt: bytes, entry: str, proof: Sequence[bytes], note: str) -> bytes:
    members = {
        "format": BUNDLE_FORMAT,
        "origin": origin,
        "index": place,
        "salt": to_base64(salt),
        "entry": entry,
        "proof": [to_base64(one) for one in proof],
        "checkpoint": note,
    }
    return spell(members).encode()


def _consistency_line(origin: str, old_note: str, new_note: str, proof: Sequence[bytes]) -> bytes:
    members = {
        "format": CONSISTENCY_FORMAT,
        "origin": origin,
        "old": old_note,
        "new": new_note,
        "proof": [to_base64(one) for one in proof],
    }
    return spell(members).encode()


def _read_proof(record: Mapping[str, Any]) -> list[bytes]:
    proof = record.get("proof")
    if not isinstance(proof, list):
        raise LogRefused(1, "a proof is a list of hashes")
    return [read_raw(1, "a proof's hash", one) for one in proof]


def _text_of(record: Mapping[str, Any], name: str) -> str:
    note = record.get(name)
    if not isinstance(note, str):
        raise LogRefused(1, f"it has no checkpoint {name}")
    return note


def _parsed(verifier_key: str | None) -> VerifierKey | None:
    return VerifierKey.parse(verifier_key) if verifier_key is not None else None
