"""A small log of a test's own, its checkpoints and its key: pure cryptography, no database."""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.bundle import Bundle, write_bundle, write_consistency
from crypto.logfile import entry_leaf_hash, write_log
from crypto.merkle import consistency_proof, inclusion_proof, root
from crypto.notes import Checkpoint, sign_note, verifier_key

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ORIGIN = "consign.example/log/1"
KEY = verifier_key(ORIGIN, PRIVATE.public_key().public_bytes_raw())
ENTRIES = [(bytes([number]) * 32, json.dumps({"at": "2026-01-05", "n": number}).encode()) for number in range(20)]
LEAVES = [entry_leaf_hash(*pair) for pair in ENTRIES]


def checkpoint(size: int, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, root(LEAVES[:size]))


def note(size: int, origin: str = ORIGIN) -> str:
    return sign_note(checkpoint(size, origin).text(), origin, PRIVATE)


def log(size: int) -> bytes:
    return b"".join(write_log(note(size), ENTRIES[:size]))


def bundle(place: int, size: int) -> bytes:
    return write_bundle(Bundle(place, *ENTRIES[place], inclusion_proof(LEAVES[:size], place), note(size)))


def consistency(old: int, new: int) -> bytes:
    return write_consistency(note(old), note(new), consistency_proof(LEAVES[:new], old))
