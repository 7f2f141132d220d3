"""verify-page on made-up pages: whatever could run anything else than the published files is refused by its code."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import PageRefused
from crypto.page import Fetch, Fetched, hash_of, verify_page

URL = "https://consign.example/sign-in"
FILES = {
    "/static/js/bytes.js": b"export const lp = (x) => x;",
    "/static/js/opener.js": b'import { lp } from "./bytes.js";\nexport const open = lp;',
    "/static/js/consign.js": b'async function open() { return (await import("./opener.js")).open; }',
    "/static/css/consign.css": b"body { color: black }",
}
PUBLISHED = {path: hash_of(body) for path, body in FILES.items()}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def script(path: str, more: str = "") -> str:
    return f'<script type="module" src="{path}" integrity="{PUBLISHED.get(path, "")}"{more}></script>'


SCRIPTS = "".join(script(path) for path in FILES if path.endswith(".js"))
STYLE = f'<link rel="stylesheet" href="/static/css/consign.css" integrity="{PUBLISHED["/static/css/consign.css"]}">'
PAGE = f"<!doctype html><html><head>{SCRIPTS}{STYLE}</head><body><form action='/sign-in'>…</form></body></html>"


def served(page: str | bytes = PAGE, policies: tuple[str, ...] = (POLICY,), **answers: Fetched) -> Fetch:
    """A server of these files, with other answers for the paths named by their last part."""

    def fetch(url: str) -> Fetched:
        if url == URL:
            body = page if isinstance(page, bytes) else page.encode()
            return Fetched(url, 200, [("content-security-policy", policy) for policy in policies], body)
        path = url.removeprefix("https://consign.example")
        return answers.get(path.split("/")[-1].replace(".", "_")) or Fetched(url, 200, [], FILES[path])

    return fetch


def refusal(fetch: Fetch, url: str = URL) -> str:
    with pytest.raises(PageRefused) as refused:
        verify_page(url, fetch, PUBLISHED)
    return refused.value.code


def with_(body: str) -> str:
    return PAGE.replace("…", body)


def test_the_published_page_stands_with_all_that_it_loads() -> None:
    assert verify_page(URL, served(), PUBLISHED) == list(FILES)


@pytest.mark.parametrize("url", ["http://consign.example/", "ftp://consign.example/", "file:///etc/passwd", "sign-in"])
def test_only_https_is_asked(url: str) -> None:
    assert refusal(lambda url: pytest.fail("it was fetched"), url) == "page_insecure"


def test_this_machine_may_be_asked_without_https() -> None:
    page = Fetched("http://127.0.0.1:8000/", 200, [("content-security-policy", POLICY)], b"<p>nothing</p>")
    assert verify_page("http://127.0.0.1:8000/", lambda url: page, PUBLISHED) == []


@pytest.mark.parametrize(
    ("markup", "code"),
    [
        ("<script>alert(1)</script>", "script_inline"),
        ("<SCRIPT>alert(1)</SCRIPT>", "script_inline"),
        ('<script type="application/json">{}</script>', "script_inline"),
        ('<script src=""></script>', "script_inline"),
        ("<svg><script>alert(1)</script></svg>", "script_inline"),
        ('<p onclick="go()">', "script_inline"),
        ('<img src="/x.png" onerror=go()>', "script_inline"),
        ('<svg onload="go()">', "script_inline"),
        ('<a href="javascript:go()">', "element_refused"),
        ('<a href=" java\nscript:go()">', "element_refused"),
        ('<a href="&#106;avascript:go()">', "element_refused"),
        ('<form action="javascript:go()">', "element_refused"),
        ('<button formaction="data:text/html,x">', "element_refused"),
        ('<base href="https://evil.example/">', "element_refused"),
        ('<meta http-equiv="refresh" content="0;url=https://evil.example">', "element_refused"),
        ('<iframe src="/other"></iframe>', "element_refused"),
        ('<iframe srcdoc="x"></iframe>', "element_refused"),
        ('<object data="/x"></object>', "element_refused"),
        ('<embed src="/x">', "element_refused"),
        ("<style>@import 'x'</style>", "element_refused"),
        ('<link rel="modulepreload" href="/static/js/bytes.js">', "element_refused"),
        ('<link rel="manifest" href="/m">', "element_refused"),
        ('<link rel="stylesheet" href="/static/css/consign.css">', "integrity_missing"),
        ('<link rel="stylesheet" href="//evil.example/x.css" integrity="x">', "file_elsewhere"),
        ('<script src="/static/js/bytes.js"></script>', "integrity_missing"),
        ('<script src="/static/js/bytes.js" integrity="sha256-AAAA"></script>', "integrity_changed"),
        (script("/static/js/bytes.js").replace('="sha256-', '="sha256-AAAA sha256-'), "integrity_changed"),
        ('<script src="/static/js/more.js" integrity="sha256-AAAA"></script>', "file_unknown"),
        ('<script src="https://cdn.example/static/js/bytes.js" integrity="x"></script>', "file_elsewhere"),
        ('<script src="//consign.example:444/static/js/bytes.js" integrity="x"></script>', "file_elsewhere"),
        ('<script src="http://consign.example/static/js/bytes.js" integrity="x"></script>', "file_elsewhere"),
        ('<script src="/a.js" src="/static/js/bytes.js"></script>', "page_ambiguous"),
        ("<!-- <script>alert(1)</script> -->", "page_ambiguous"),
        ("<!--><script>alert(1)</script>", "script_inline|page_ambiguous"),
        ("<title><script>alert(1)</script></title>", "script_inline|page_ambiguous"),
        ("<textarea><script>alert(1)</script></textarea>", "script_inline|page_ambiguous"),
        ("<noscript><script>alert(1)</script></noscript>", "script_inline|page_ambiguous"),
        ("<![CDATA[<script>alert(1)</script>]]>", "script_inline|page_ambiguous"),
        ("<script", "page_ambiguous"),
    ],
)
def test_whatever_else_could_run_is_refused(markup: str, code: str) -> None:
    assert refusal(served(with_(markup))) in code.split("|")


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        ((), "policy_missing"),
        (("",), "policy_weak"),
        ((POLICY, POLICY), "policy_weak"),
        ((POLICY + ", default-src *",), "policy_weak"),
        ((POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'"),), "policy_weak"),
        ((POLICY.replace("script-src 'self'", "script-src 'self' https://cdn.example"),), "policy_weak"),
        ((POLICY.replace("script-src 'self'", "script-src *"),), "policy_weak"),
        ((POLICY.replace("script-src 'self'; ", ""),), "policy_weak"),
        ((POLICY.replace("default-src 'none'", "default-src 'self'"),), "policy_weak"),
        ((POLICY.replace("connect-src 'self'", "connect-src *"),), "policy_weak"),
        ((POLICY.replace(" base-uri 'none';", ""),), "policy_weak"),
        ((POLICY.replace("; frame-ancestors 'none'", ""),), "policy_weak"),
        (("script-src *; " + POLICY,), "policy_weak"),
        ((POLICY + "; script-src-elem *",), "policy_weak"),
        ((POLICY + "; worker-src blob:",), "policy_weak"),
        ((POLICY + "; report-uri https://evil.example",), "policy_weak"),
    ],
)
def test_a_policy_that_is_missing_or_weaker_is_refused(policies: tuple[str, ...], code: str) -> None:
    assert refusal(served(policies=policies)) == code


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"bytes_js": Fetched("https://consign.example/static/js/bytes.js", 200, [], b"evil()")}, "file_changed"),
        ({"bytes_js": Fetched("https://consign.example/static/js/bytes.js", 404, [], b"")}, "file_changed"),
        ({"consign_css": Fetched("https://consign.example/static/css/consign.css", 200, [], b"*{}")}, "file_changed"),
        (
            {"bytes_js": Fetched("https://evil.example/bytes.js", 200, [], FILES["/static/js/bytes.js"])},
            "file_elsewhere",
        ),
    ],
)
def test_a_file_that_is_not_the_published_one_is_refused(answers: dict[str, Fetched], code: str) -> None:
    assert refusal(served(**answers)) == code


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Fetched("https://evil.example/sign-in", 200, [], b""), "page_elsewhere"),
        (Fetched("http://consign.example/sign-in", 200, [], b""), "page_elsewhere"),
        (Fetched(URL, 200, [("refresh", "0; url=https://evil.example")], b""), "page_elsewhere"),
        (Fetched(URL, 302, [], b""), "page_status"),
        (Fetched(URL, 500, [], b""), "page_status"),
        (Fetched(URL, 200, [("content-security-policy", POLICY)], b"\xff\xfe<\x00"), "page_ambiguous"),
    ],
)
def test_a_page_that_is_not_the_one_asked_for_is_refused(found: Fetched, code: str) -> None:
    assert refusal(lambda url: found) == code


@pytest.mark.parametrize(
    "drop",
    [
        lambda page: page.replace(script("/static/js/bytes.js"), ""),
        lambda page: page.replace(script("/static/js/opener.js"), ""),
        lambda page: page.replace(script("/static/js/bytes.js"), "").replace(
            script("/static/js/opener.js"), script("/static/js/opener.js") + script("/static/js/bytes.js")
        ),
    ],
    ids=["imported_without_a_tag", "imported_later_without_a_tag", "imported_before_its_tag"],
)
def test_a_module_that_no_tag_holds_to_its_hash_is_refused(drop: Callable[[str], str]) -> None:
    assert refusal(served(drop(PAGE))) == "import_unchecked"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_inline_script_hides_in_any_markup(before: str, after: str) -> None:
    page = with_(before + "<script>alert(1)</script>" + after)
    try:
        page.encode()
    except UnicodeEncodeError:
        return
    assert refusal(served(page))
