"""The API over breaches, the audit log, statements and job runs."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from models.objects import FolderStore
from models.services.oversight import conduct, logs
from models.services.settlement import commissions, reconciliations
from tests.facts import TODAY, Placed, call, claim, jobs, payment, placed, receive_payments
from tests.logbook import Log
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

ROOT = Path(__file__).parent.parent.parent
NIGHT = dt.datetime(2026, 3, 9, 15, 0, tzinfo=dt.UTC)  # 23:00 in Shanghai


@pytest.fixture
def of(world: World) -> Placed:
    """A placement with a call at night, a claim that the ledger knows and one that it does not."""
    made = placed(world, 2, contingency_rate=Decimal("0.10"))
    call(world, made, NIGHT)
    claim(world, made, "400.00")
    claim(world, made, "50.00", case=made.cases[1])
    receive_payments(world, made.lender, payment(made.case, "400.00"))
    for verb, day in ((conduct.sweep, NIGHT.date()), (reconciliations.run, TODAY), (commissions.book, TODAY)):
        with world.database.work(jobs(made.lender)) as work:
            verb(work, day)
    return made


@pytest.fixture
def log(world: World, of: Placed, tmp_path: Path) -> Log:
    """The lender's log, grown and signed."""
    made = Log(world, of.lender, FolderStore(tmp_path / "objects"))
    made.integrate()
    made.publish()
    return made


def test_an_auditor_reads_a_breach_with_its_evidence_and_that_is_logged(
    world: World, of: Placed, program: Client
) -> None:
    client = program(world.auditor(of=of.lender))
    items = client.get("/api/v1/breaches?rule_id=CN-GBT-HOURS").json["items"]
    assert [(item["subject_kind"], item["business_date"], item["state"]) for item in items] == [
        ("contact", "2026-03-09", "flagged")
    ]
    found = client.get(f"/api/v1/breaches/{items[0]['id']}").json
    assert [contact["occurred_at"] for contact in found["contacts"]] == ["2026-03-09T15:00:00+00:00"]
    assert found["window"] == {"start": "2026-03-09T14:00:00+00:00", "end": "2026-03-10T00:00:00+00:00"}
    assert found["rule"]["article"] == "GB/T 45251-2025, 5.3"


def test_an_agency_reads_its_own_act_and_no_window(of: Placed, program: Client) -> None:
    client = program(of.agency)
    (breach, *_) = client.get("/api/v1/breaches").json["items"]
    found = client.get(f"/api/v1/breaches/{breach['id']}").json
    assert found["window"] is None
    assert len(found["contacts"]) == 1


def test_breaches_are_counted_by_agency_and_rule(world: World, of: Placed, program: Client) -> None:
    counts = program(world.auditor(of=of.lender)).get("/api/v1/breaches/counts").json
    assert {(row["agency_id"], row["rule_id"], row["breach_count"]) for row in counts} == {
        (str(of.agency.organisation.id), rule, 1) for rule in ("CN-GBT-HOURS", "CN-CBA-HOURS")
    }


def test_an_auditor_without_a_mandate_is_told_to_choose_one(world: World, program: Client) -> None:
    answer = program(world.auditor()).get("/api/v1/breaches")
    assert (answer.status_code, answer.json["code"]) == (409, "choose_mandate")


def test_breaks_and_matches_are_pages_for_both_sides(of: Placed, program: Client) -> None:
    for someone in (of.lender, of.agency):
        client = program(someone)
        breaks = client.get("/api/v1/breaks?state=open").json
        assert [(item["kind"], item["amount_claimed"]) for item in breaks["items"]] == [("missing_here", "50.00")]
        assert breaks["next_after"] is None
        assert len(client.get("/api/v1/matches").json["items"]) == 1


def test_a_statement_is_a_head_lines_and_a_file_that_anyone_recomputes(
    of: Placed, program: Client, tmp_path: Path
) -> None:
    client = program(of.agency)
    (head,) = client.get("/api/v1/statements").json
    assert (head["recovered"], head["commission"], head["line_count"]) == ("400.00", "40.00", 1)
    path = f"/api/v1/statements/{head['agreement_id']}/{head['period']}"
    (line,) = client.get(path).json["lines"]
    assert (line["base_amount"], line["rate"], line["amount"]) == ("400.00", "0.100000", "40.00")
    file = tmp_path / "statement.csv"
    file.write_bytes(client.get(f"{path}.csv").data)
    verified = [sys.executable, "-m", "models.commission", "verify", str(file)]
    assert subprocess.run(verified, cwd=ROOT, check=False, capture_output=True).returncode == 0


def test_the_log_that_is_downloaded_verifies_offline_and_its_download_is_logged(
    world: World, of: Placed, log: Log, program: Client, tmp_path: Path
) -> None:
    client = program(world.auditor(of=of.lender))
    log.integrate()
    log.publish()
    answer = client.get("/api/v1/audit-log")
    key = client.get("/api/v1/audit-log/key").json["verifier_key"]
    file = tmp_path / "log.jsonl"
    file.write_bytes(answer.data)
    verified = [sys.executable, "-m", "crypto", "verify-log", str(file), "--key", key]
    assert subprocess.run(verified, cwd=ROOT, check=False, capture_output=True).returncode == 0
    log.integrate()
    with world.database.work(of.lender.actor) as work:
        (newest,) = logs.list_entries(work, limit=1)
    assert json.loads(newest.entry)["action"] == "export.download"


def test_the_checkpoint_is_the_note_of_the_log(of: Placed, log: Log, world: World, program: Client) -> None:
    note = program(world.person(of.lender, "compliance_officer")).get("/api/v1/audit-log/checkpoint").text
    assert note.startswith(f"consign.test/log/{of.lender.organisation.id}\n")


def test_an_unsigned_log_is_not_handed_out(world: World, program: Client) -> None:
    lender = world.lender("compliance_officer")
    answer = program(lender).get("/api/v1/audit-log")
    assert (answer.status_code, answer.json["code"]) == (503, "log_not_published")


@pytest.mark.parametrize("leaf", ["00" * 32, "no-hash", "%20"])
def test_a_receipt_of_what_nobody_logged_is_not_found(world: World, program: Client, leaf: str) -> None:
    answer = program(world.lender("compliance_officer")).get(f"/api/v1/audit-log/receipts/{leaf}")
    assert answer.status_code == 404


def test_a_receipt_names_the_leaf_and_the_time(of: Placed, log: Log, world: World, program: Client) -> None:
    leaf = log.leaf_hashes()[0].hex()
    receipt = program(world.person(of.lender, "administrator")).get(f"/api/v1/audit-log/receipts/{leaf}").json
    assert json.loads(receipt["statement"])["leaf_hash"] == leaf
    assert receipt["signature"]


def test_a_lender_asks_for_a_run_once(world: World, program: Client) -> None:
    client = program(world.lender("settlement_officer"))
    body = {"job": "reconciliation", "business_date": "2026-03-09"}
    first, again = (client.post("/api/v1/job-runs", json=body) for _ in range(2))
    assert (first.status_code, first.json["state"]) == (201, "queued")
    assert again.json["id"] == first.json["id"]
    runs = client.get("/api/v1/job-runs?job=reconciliation").json["items"]
    assert [(run["id"], run["business_date"]) for run in runs] == [(first.json["id"], "2026-03-09")]
    assert client.get("/api/v1/job-runs?job=conduct").json["items"] == []


def test_a_run_for_tomorrow_is_refused(world: World, program: Client) -> None:
    body = {"job": "reconciliation", "business_date": "2026-03-11"}
    answer = program(world.lender("settlement_officer")).post("/api/v1/job-runs", json=body)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "in_future")
