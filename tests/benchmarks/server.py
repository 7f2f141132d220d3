"""Processes that a benchmark asks over HTTP, one after the other on the same machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urllib3 import HTTPConnectionPool, Retry

EMPTY_APP = "import flask\napp = flask.Flask('empty')\napp.add_url_rule('/', view_func=lambda: '')\n"


def empty_app(folder: Path) -> tuple[str, dict[str, str]]:
    """An application that does nothing: what the server alone costs. `(app, environment)` for `serving`."""
    (folder / "empty_app.py").write_text(EMPTY_APP)
    return "empty_app:app", {"PYTHONPATH": str(folder)}


@contextmanager
def serving(app: str, environment: Mapping[str, str], port: int, workers: int = 1) -> Iterator[HTTPConnectionPool]:
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", "4", "--worker-class", "gthread"]
    with process(["-m", "gunicorn", *bind, "--log-level", "warning", app], environment):
        pool = HTTPConnectionPool("127.0.0.1", port, timeout=60)
        pool.request("GET", "/api/openapi.json", retries=Retry(connect=9, backoff_factor=0.1))
        yield pool


@contextmanager
def process(arguments: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    started = subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        started.terminate()
        started.wait(20)


def timed(
    pool: HTTPConnectionPool,
    method: str,
    path: str,
    token: str | None = None,
    cookie: str | None = None,
    **body: Any,
) -> float:
    """Milliseconds of one request, which must succeed; with a program's token or the cookie of somebody's session."""
    headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": cookie} if cookie else {}
    started = time.perf_counter()
    answer = pool.request(method, path, headers=headers, retries=False, **body)
    taken = (time.perf_counter() - started) * 1000
    assert answer.status in (200, 201), answer.data
    return taken
