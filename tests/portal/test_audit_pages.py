"""The page of the audit log, and its download."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from crypto.logfile import verify_log
from models.objects import FolderStore
from tests.logbook import Log
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def compliance(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def log(world: World, compliance: Someone, tmp_path: Path) -> Log:
    made = Log(world, compliance, FolderStore(tmp_path / "objects"))
    made.grow(60)
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


def test_an_empty_log_says_so(world: World, signed_in: Client) -> None:
    page = signed_in(world.lender("administrator")).get("/audit-log").text
    assert "日志为空" in page


def test_an_agency_reads_its_own_log_and_exports_none(world: World, log: Log, signed_in: Client) -> None:
    client = signed_in(world.agency())
    assert 'id="e61"' not in client.get("/audit-log").text
    assert client.get("/audit-log/download").status_code == 403
