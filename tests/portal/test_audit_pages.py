"""The page of the audit log, and its download."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from crypto.__main__ import main as tool
from crypto.logfile import verify_log
from models.objects import FolderStore
from models.services.collection import releases
from models.services.oversight import logs
from tests.conftest import Clock
from tests.logbook import Log
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def compliance(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def log(world: World, compliance: Someone, tmp_path: Path) -> Log:
    made = Log(world, compliance, FolderStore(tmp_path / "objects"))
    made.grow(62 - made.born)
    return made


@pytest.mark.parametrize(("language", "word"), [("en", "Cases assigned"), ("zh", "已分配案件")])
def test_entries_are_told_in_words_newest_first(
    log: Log, compliance: Someone, signed_in: Client, language: str, word: str
) -> None:
    client = signed_in(compliance)
    client.set_cookie("language", language)
    page = client.get("/audit-log").text
    assert word in page
    assert page.index('id="e61"') < page.index('id="e60"')
    assert log.key() in page


def test_older_entries_are_on_the_next_page(log: Log, compliance: Someone, signed_in: Client) -> None:
    client = signed_in(compliance)
    assert "cursor=12" in client.get("/audit-log").text
    older = client.get("/audit-log?cursor=12").text
    assert 'id="e11"' in older
    assert 'id="e12"' not in older


def test_the_download_verifies(log: Log, compliance: Someone, signed_in: Client) -> None:
    answer = signed_in(compliance).get("/audit-log/download")
    report = verify_log(answer.data.splitlines(keepends=True), log.key())
    assert report.signed


def test_that_the_log_was_taken_is_logged_even_if_the_download_breaks_off(
    log: Log, compliance: Someone, signed_in: Client
) -> None:
    waiting = log.waiting()
    answer = signed_in(compliance).get("/audit-log/download", buffered=False)
    next(iter(answer.response))
    answer.close()
    # Signing in made one entry, the download the other.
    assert log.waiting() == waiting + 2


def test_every_entry_of_the_page_has_a_proof_that_verifies(
    log: Log, compliance: Someone, signed_in: Client, tmp_path: Path
) -> None:
    client = signed_in(compliance)
    found = re.findall(r'href="(/audit-log/bundles/[0-9a-f]{64})"', client.get("/audit-log").text)
    assert len(found) == 50
    assert verified(client.get(found[0]), log, tmp_path)


def test_an_entry_not_signed_yet_has_no_proof_on_the_page(log: Log, compliance: Someone, signed_in: Client) -> None:
    log.act()
    log.integrate()
    client = signed_in(compliance)
    assert client.get("/audit-log").text.count("/audit-log/bundles/") == 49
    leaf = log.leaf_hashes()[-1].hex()
    answer = client.get(f"/audit-log/bundles/{leaf}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_an_auditor_under_mandate_takes_a_proof(
    world: World, log: Log, compliance: Someone, signed_in: Client, tmp_path: Path
) -> None:
    leaf = log.leaf_hashes()[5].hex()
    assert verified(signed_in(world.auditor(compliance)).get(f"/audit-log/bundles/{leaf}"), log, tmp_path)


def test_the_page_lists_the_root_of_each_day_and_the_proof_that_today_goes_on_from_it(
    log: Log, compliance: Someone, signed_in: Client, clock: Clock, tmp_path: Path
) -> None:
    earlier = log.head()
    clock.forward(days=1)
    log.grow()
    client = signed_in(compliance)
    for page in (client.get("/audit-log").text, client.get("/audit-log/daily-roots").text):
        assert page.index("2026-03-11") < page.index("2026-03-10")
        assert earlier.root.hex() in page
        assert page.count("/audit-log/consistency?old_size=") == 1
    answer = client.get(f"/audit-log/consistency?old_size={earlier.size}")
    assert verified(answer, log, tmp_path)


def test_a_log_without_a_day_says_so(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender("administrator"))
    client.set_cookie("language", "en")
    assert "No day has a root yet" in client.get("/audit-log/daily-roots").text


def test_a_forked_log_is_told_on_its_page(log: Log, compliance: Someone, signed_in: Client) -> None:
    sentence = "数据库"
    client = signed_in(compliance)
    assert sentence not in client.get("/audit-log").text
    with log.database.work(log.integrator) as work:
        logs.mark_forked(work)
    assert sentence in client.get("/audit-log").text


@pytest.mark.parametrize("query", ["", "?old_size=0", "?old_size=x", "?old_size=3&new_size=-1", "?old_size=9e9"])
def test_sizes_that_are_none_are_refused(log: Log, compliance: Someone, signed_in: Client, query: str) -> None:
    assert signed_in(compliance).get(f"/audit-log/consistency{query}").status_code == 422


def test_an_agency_has_the_receipt_of_its_release_and_no_proof(
    world: World, compliance: Someone, signed_in: Client, tmp_path: Path
) -> None:
    agency, lender = world.agency(), world.person(compliance, "portfolio_manager")
    placement = world.placement(lender, agency)
    [case_id, *_] = world.case_ids(placement, lender)
    with world.database.work(agency.actor) as work:
        leaf = releases.authorise(work, case_id, "identity", "verify_identity").entry_leaf.hex()
    client = signed_in(agency)
    page = client.get(f"/cases/{case_id}").text
    assert f"/audit-log/receipts/{leaf}" in page
    assert "/audit-log/bundles/" not in page
    answer = client.get(f"/audit-log/receipts/{leaf}")
    assert json.loads(json.loads(answer.text)["statement"])["leaf_hash"] == leaf
    assert answer.headers["Content-Disposition"] == f'attachment; filename="receipt-{leaf[:12]}.json"'
    assert client.get(f"/audit-log/bundles/{leaf}").status_code == 403
    assert f"/audit-log/bundles/{leaf}" in signed_in(compliance).get(f"/cases/{case_id}").text


def verified(answer: TestResponse, log: Log, folder: Path) -> bool:
    file = folder / "proof.json"
    file.write_bytes(answer.data)
    return answer.status_code == 200 and tool(["verify-log", str(file), "--key", log.key()]) == 0


def test_an_empty_log_says_so(world: World, signed_in: Client) -> None:
    page = signed_in(world.lender("administrator")).get("/audit-log").text
    assert "日志为空" in page


def test_an_agency_reads_its_own_log_and_exports_none(world: World, log: Log, signed_in: Client) -> None:
    client = signed_in(world.agency())
    assert 'id="e61"' not in client.get("/audit-log").text
    assert client.get("/audit-log/download").status_code == 403
