"""The audit page's own check of a downloaded log: verified, remembered, and refused where it was rewritten."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, expect

from models.objects import open_store
from tests.browser.visitor import Visitor
from tests.logbook import Log
from tests.world import Someone, World


def check(visitor: Visitor, log: bytes, key: str) -> Locator:
    """Says what was found."""
    form = visitor.page.locator("form[data-check-log]")
    form.locator("#log-file").set_input_files({"name": "log.jsonl", "mimeType": "application/jsonl", "buffer": log})
    form.locator("#log-key").fill(key)
    form.locator("button").click()
    found = form.locator("[role=status]")
    expect(found).to_be_visible()
    return found


def test_a_downloaded_log_is_checked_where_nothing_is_sent(
    world: World, visit: Callable[[Someone], Visitor], tmp_path: Path
) -> None:
    officer = world.lender("compliance_officer")
    log = Log(world, officer, open_store(str(tmp_path / "objects")))
    log.grow(3)
    visitor = visit(officer)
    visitor.go("/audit-log")
    asked: list[str] = []
    visitor.page.on("request", lambda request: "/static/img/" in request.url or asked.append(request.url))
    size = log.head().size
    verified = visitor.say("Verified: {size} entries, root {root}…. This browser remembers them.")
    expect(check(visitor, log.export(), log.key())).to_contain_text(verified.partition(" {root}")[0].format(size=size))
    visitor.look("audit-log-checked")

    dropped = b"".join(log.export().splitlines(keepends=True)[:-2])
    refused = visitor.say(
        "Refused at line {line}: an entry was changed, dropped or moved, or the key you pinned did not sign this."
    )
    expect(check(visitor, dropped, log.key())).to_have_text(refused.format(line=size + 1))
    assert not asked, "what is checked is sent nowhere"
    visitor.check("log checked")


def test_a_log_that_was_rewritten_since_is_refused(
    world: World, visit: Callable[[Someone], Visitor], tmp_path: Path
) -> None:
    """Two logs that the platform's own key signed, and the same origin: only who saw the first one can tell."""
    officer = world.lender("compliance_officer")
    log = Log(world, officer, open_store(str(tmp_path / "objects")))
    log.grow(2)
    visitor = visit(officer)
    visitor.go("/audit-log")
    earlier = log.export()
    log.grow(2)
    expect(check(visitor, log.export(), log.key())).to_have_class("notice notice-good")
    rolled_back = visitor.say("Refused: the log was longer already when this browser last saw it.")
    expect(check(visitor, earlier, log.key())).to_have_text(rolled_back)
