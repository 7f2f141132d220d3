"""The browser's opener on a page of its own: every module's functions, called from a test."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

from portal.app import CONTENT_SECURITY_POLICY

STATIC = Path(__file__).parents[2] / "portal" / "static"
BENCH = (Path(__file__).parent / "bench.js").read_text()
ORIGIN = "http://localhost"


class Refused(Exception):
    """The browser's refusal, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Opener:
    """A page under the portal's own content security policy, with the modules as the portal serves them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.route(f"{ORIGIN}/**", _serve)
        page.goto(f"{ORIGIN}/")
        page.evaluate(BENCH)

    def call(self, module: str, called: str, *arguments: Any) -> Any:
        """What the function returns, bytes as bytes, or `Refused`."""
        told = self.page.evaluate("given => bench.call(given)", [module, called, _told(list(arguments))])
        if "refused" in told:
            assert not told["also"], "a refusal carries nothing with it"
            raise Refused(told["refused"])
        return _revived(told["value"])

    def flipped(self, module: str, called: str, *arguments: Any, place: int) -> dict[str, int]:
        """How often each outcome comes when one bit of that argument is flipped, each in turn."""
        given = [module, called, _told(list(arguments)), place]
        counts: dict[str, int] = self.page.evaluate("given => bench.flipped(given)", given)
        return counts


@contextmanager
def opener(browser: Browser) -> Iterator[Opener]:
    page = browser.new_page()
    yield Opener(page)
    page.close()


def private(seed: bytes) -> dict[str, Any]:
    """An X25519 private key, made a CryptoKey where it arrives."""
    return {"$private": seed}


def memory(text: bytes | str) -> dict[str, Any]:
    """A memory file, read where it arrives."""
    return {"$memory": text if isinstance(text, str) else text.decode()}


def _serve(route: Route) -> None:
    path = route.request.url.removeprefix(ORIGIN)
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    if path.startswith("/static/"):
        script = STATIC / path.removeprefix("/static/")
        route.fulfill(body=script.read_bytes(), content_type="text/javascript", headers=headers)
    else:
        route.fulfill(body="<!doctype html><title>opener</title>", content_type="text/html", headers=headers)


def _told(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: _told(one) for name, one in value.items()}
    return [_told(one) for one in value] if isinstance(value, list | tuple) else value


def _revived(value: Any) -> Any:
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {name: _revived(one) for name, one in value.items()}
    return [_revived(one) for one in value] if isinstance(value, list) else value
