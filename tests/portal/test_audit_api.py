"""The proofs of the audit log over the API: each verifies offline, and nobody takes another's."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from crypto.__main__ import main as tool
from crypto.grants import verify_signature
from crypto.notes import open_note
from models.objects import FolderStore
from tests.conftest import Clock
from tests.logbook import Log
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

LOG = "/api/v1/audit-log"


@pytest.fixture
def compliance(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def log(world: World, compliance: Someone, tmp_path: Path) -> Log:
    made = Log(world, compliance, FolderStore(tmp_path / "objects"))
    made.grow(5)
    return made


def test_a_bundle_and_a_consistency_proof_lead_a_witness_from_checkpoint_to_checkpoint(
    log: Log, compliance: Someone, program: Client, tmp_path: Path
) -> None:
    client = program(compliance)
    key = client.get(f"{LOG}/key").json["verifier_key"]

    def verify(path: str) -> int:
        file, witness = tmp_path / "proof", tmp_path / "witness"
        file.write_bytes(client.get(f"{LOG}/{path}").data)
        return tool(["verify-log", str(file), "--key", key, "--witness", str(witness)])

    seen, leaf = log.head().size, log.leaf_hashes()[2].hex()
    assert verify(f"bundles/{leaf}") == 0
    log.grow(3)
    assert verify(f"bundles/{leaf}") == 3
    assert verify(f"consistency?old_size={seen}") == 0
    assert verify(f"bundles/{leaf}") == 0


def test_each_day_is_listed_with_its_signed_root(log: Log, compliance: Someone, program: Client, clock: Clock) -> None:
    for _ in range(2):
        clock.forward(days=1)
        log.grow()
    client = program(compliance)
    first = client.get(f"{LOG}/daily-roots?limit=2").json
    rest = client.get(f"{LOG}/daily-roots?before={first['next_before']}").json
    found = first["items"] + rest["items"]
    assert [one["business_date"] for one in found] == ["2026-03-12", "2026-03-11", "2026-03-10"]
    assert rest["next_before"] is None
    assert found[0]["root"] == log.head().root.hex()
    for one in found:
        assert open_note(one["checkpoint"], [log.key()]).text.splitlines()[1] == str(one["size"])


@pytest.mark.parametrize(
    "path", ["consistency", "consistency?old_size=0", "daily-roots?limit=32", "daily-roots?before=1"]
)
def test_a_query_of_the_wrong_shape_is_refused(compliance: Someone, program: Client, path: str) -> None:
    assert program(compliance).get(f"{LOG}/{path}").status_code == 422


def test_sizes_reversed_are_told_apart_from_sizes_unknown(log: Log, compliance: Someone, program: Client) -> None:
    client, older = program(compliance), log.head().size
    log.grow()
    reversed_ = client.get(f"{LOG}/consistency?old_size={log.head().size}&new_size={older}")
    assert (reversed_.status_code, reversed_.json["code"]) == (409, "sizes_reversed")
    assert client.get(f"{LOG}/consistency?old_size={2**62}").status_code == 404


def test_nobody_takes_a_proof_of_anothers_entry(log: Log, world: World, program: Client) -> None:
    leaf = log.leaf_hashes()[2].hex()
    assert program(world.lender("compliance_officer")).get(f"{LOG}/bundles/{leaf}").status_code == 404
    assert program(world.agency()).get(f"{LOG}/bundles/{leaf}").status_code == 403


def test_a_receipt_is_checked_with_the_key_the_api_names(log: Log, compliance: Someone, program: Client) -> None:
    client, leaf = program(compliance), log.leaf_hashes()[2].hex()
    receipt, key = client.get(f"{LOG}/receipts/{leaf}").json, client.get(f"{LOG}/key").json["receipt_key"]
    statement = receipt["statement"]
    verify_signature(bytes.fromhex(key), "receipt", statement.encode(), b64decode(receipt["signature"]))
    assert json.loads(statement)["leaf_hash"] == leaf
