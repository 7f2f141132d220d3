"""Whether a page runs only what the release publishes: its policy, its elements, and every script and style by hash.

A browser that opens sealed data trusts the page it is given. This compares that page, as it is served to whoever
asks, with the hashes that came with the release; it cannot tell what is served to somebody else.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from html.parser import HTMLParser
from typing import NamedTuple, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from crypto.errors import PageRefused

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NONE, SELF = "'none'", "'self'"
# What the page may be allowed, at most; every directive has to stand there.
POLICY = {
    "default-src": {NONE},
    "script-src": {SELF},
    "style-src": {SELF},
    "img-src": {SELF, "data:"},
    "font-src": {SELF},
    "media-src": {SELF},
    "connect-src": {SELF},
    "form-action": {SELF},
    "base-uri": {NONE},
    "frame-ancestors": {NONE},
}
# They load or redirect, whatever the policy says of scripts.
REFUSED_TAGS = frozenset(("applet", "base", "embed", "frame", "frameset", "iframe", "object", "portal", "style"))
URL_ATTRIBUTES = ("action", "formaction", "href", "src", "xlink:href")
QUIET_LINKS = frozenset(("icon", "shortcut icon", "alternate", "help", "license", "next", "prev"))

_import = re.compile(
    rb"""\bimport\s*(?:[\w${},*\s]+?\bfrom\s*)?["']([^"']+)["']|\bexport\b[^;"']*\bfrom\s*["']([^"']+)["']"""
)
_dynamic_import = re.compile(rb"""\bimport\s*\(\s*(?:["']([^"']+)["']\s*\))?""")


class Fetched(NamedTuple):
    """What came for a URL: the URL it came from in the end, and its headers, names in lower case, in order."""

    url: str
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Loaded(NamedTuple):
    """A script or style that a page loads: its URL in full, and its `integrity`."""

    url: str
    integrity: str


Fetch: TypeAlias = Callable[[str], Fetched]


def verify_page(url: str, fetch: Fetch, published: Mapping[str, str]) -> list[str]:
    """The paths of all that the page loads, each as published; or `PageRefused`.

    `published` gives the `sha256-…` of each file by its path on the server.
    """
    _require_safe(urlsplit(url))
    page = fetch(url)
    _require_origin(page.url, url, "page_elsewhere")
    if page.status != 200:
        raise PageRefused("page_status", f"{url} answers {page.status}")
    if any(name == "refresh" for name, _ in page.headers):
        raise PageRefused("page_elsewhere", f"{url} sends its readers elsewhere")
    _require_policy([value for name, value in page.headers if name == "content-security-policy"])
    found = _Page(page.url)
    found.read(page.body)
    bodies = {one.url: _checked(one, url, fetch, published) for one in (*found.scripts, *found.styles)}
    _require_imports([one.url for one in found.scripts], bodies)
    return [urlsplit(one).path for one in bodies]


def hash_of(data: bytes) -> str:
    """As `integrity` writes it."""
    return "sha256-" + base64.b64encode(sha256(data).digest()).decode()


def _require_safe(parts: SplitResult) -> None:
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise PageRefused("page_insecure", "only an https page can be verified: anyone on the way could change it")


def _require_origin(url: str, page_url: str, code: str) -> None:
    if urlsplit(url)[:2] != urlsplit(page_url)[:2]:
        raise PageRefused(code, f"{url} is not of {page_url}")


def _require_policy(policies: Sequence[str]) -> None:
    if not policies:
        raise PageRefused("policy_missing", "the page has no Content-Security-Policy")
    if len(policies) > 1 or "," in policies[0]:
        raise PageRefused("policy_weak", "the page has more than one Content-Security-Policy")
    given: dict[str, set[str]] = {}
    for directive in policies[0].split(";"):
        name, *sources = directive.split() or [""]
        if name.lower() in given:
            raise PageRefused("policy_weak", f"{name} stands twice")
        given[name.lower()] = set(sources)
    given.pop("", None)
    for name in POLICY.keys() | given.keys():
        allowed = given.get(name, set())
        if not allowed or not allowed <= POLICY.get(name, set()):
            raise PageRefused("policy_weak", f"the Content-Security-Policy allows too much in {name}")


def _checked(one: Loaded, page_url: str, fetch: Fetch, published: Mapping[str, str]) -> bytes:
    """The file's bytes: the published ones, and the ones that the browser is told to insist on."""
    _require_origin(one.url, page_url, "file_elsewhere")
    path = urlsplit(one.url).path
    if path not in published:
        raise PageRefused("file_unknown", f"{path} is not a file of this release")
    if not one.integrity:
        raise PageRefused("integrity_missing", f"{path} is loaded without integrity")
    if one.integrity != published[path]:
        raise PageRefused("integrity_changed", f"{path} is loaded with another hash than the published one")
    answer = fetch(one.url)
    _require_origin(answer.url, page_url, "file_elsewhere")
    if answer.status != 200 or hash_of(answer.body) != published[path]:
        raise PageRefused("file_changed", f"{path} is not the published file")
    return answer.body


def _require_imports(scripts: Sequence[str], bodies: Mapping[str, bytes]) -> None:
    """A module is held to its hash by the page's own tag for it: one that is only imported would be held to none."""
    for place, url in enumerate(scripts):
        earlier = scripts[:place]
        for name in (found for pair in _import.findall(bodies[url]) for found in pair if found):
            if urljoin(url, name.decode()) not in earlier:
                raise PageRefused(
                    "import_unchecked", f"{urlsplit(url).path} imports {name.decode()} before its own tag"
                )
        for name in _dynamic_import.findall(bodies[url]):
            if urljoin(url, name.decode()) not in scripts or not name:
                raise PageRefused("import_unchecked", f"{urlsplit(url).path} imports {name.decode()}, which has no tag")


class _Page(HTMLParser):
    """The scripts and styles that a page loads; anything by which it could run or load something else is refused."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.scripts: list[Loaded] = []
        self.styles: list[Loaded] = []

    def read(self, body: bytes) -> None:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise PageRefused("page_ambiguous", "the page is not UTF-8") from None
        self.feed(text)
        self.close()
        # A browser may read odd markup otherwise than this parser: no script may hide in the difference.
        if len(re.findall("<script", text, re.IGNORECASE)) != len(self.scripts):
            raise PageRefused("page_ambiguous", "the page hides a script in a comment or in broken markup")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if len(attributes) != len(attrs):
            raise PageRefused("page_ambiguous", f"<{tag}> names an attribute twice")
        _require_quiet(tag, attributes)
        for name in URL_ATTRIBUTES:
            self._require_plain_url(tag, attributes.get(name))
        if tag == "script":
            if not attributes.get("src"):
                raise PageRefused("script_inline", "the page holds an inline script")
            self.scripts.append(self._loaded(attributes["src"], attributes))
        elif tag == "link" and attributes.get("rel", "").lower() == "stylesheet":
            self.styles.append(self._loaded(attributes.get("href", ""), attributes))
        elif tag == "link" and attributes.get("rel", "").lower() not in QUIET_LINKS:
            raise PageRefused("element_refused", f"<link rel={attributes.get('rel')!a}>")

    def _loaded(self, address: str, attributes: Mapping[str, str]) -> Loaded:
        return Loaded(urljoin(self.url, address.strip()), attributes.get("integrity", ""))

    def _require_plain_url(self, tag: str, address: str | None) -> None:
        scheme = urlsplit(urljoin(self.url, "".join((address or "").split()))).scheme.lower()
        if scheme not in ("http", "https", "mailto", "tel") and not (tag == "img" and scheme == "data"):
            raise PageRefused("element_refused", f"<{tag}> leads to {scheme}:")


def _require_quiet(tag: str, attributes: Mapping[str, str]) -> None:
    handlers = [name for name in attributes if name.startswith("on")]
    if handlers:
        raise PageRefused("script_inline", f"<{tag}> has an event handler {handlers[0]}")
    if tag in REFUSED_TAGS or (tag == "meta" and "http-equiv" in attributes) or "srcdoc" in attributes:
        raise PageRefused("element_refused", f"the page holds <{tag}>")
