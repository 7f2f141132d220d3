"""A real browser before the real portal: Debian's Chromium, and a server over the worker's database."""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from tests.browser.visitor import Visitor
from tests.world import Someone

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Per module, not per session: while Playwright runs, its event loop is the thread's own."""
    path = CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")
    if path is None:
        how = "needs Chromium: apt-get install chromium fonts-noto-cjk"
        if os.environ.get("CONSIGN_BROWSER") == "required":
            pytest.fail(how)
        pytest.skip(how)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(shared_app: Flask) -> Iterator[str]:
    """Where the portal listens: a free port of this machine."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, shared_app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def stranger(chromium: Browser, address: str, language: str) -> Iterator[Callable[[], Visitor]]:
    """A visitor who has not signed in."""
    visitors: list[Visitor] = []

    def arrive() -> Visitor:
        visitors.append(Visitor(chromium, address, language))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visit(stranger: Callable[[], Visitor]) -> Callable[[Someone], Visitor]:
    """Someone's browser, signed in through the page."""
    return lambda someone: stranger().sign_in(someone)
