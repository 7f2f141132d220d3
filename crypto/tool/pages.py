"""The command `verify-page`: is the page that opens data in a browser the one that the release publishes?"""

import argparse
import json
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.resources import files

from crypto.errors import PageRefused
from crypto.page import Fetched, verify_page

PUBLISHED = "page_hashes.json"  # beside this package's code; `make page-hashes` writes it
FORMAT = "consign-page-hashes/1"
BYTES_MAX = 8 << 20
SECONDS_MAX = 30


def run(options: argparse.Namespace) -> int:
    for path in verify_page(options.url, fetch, published_hashes()):
        print(f"as published  {path}")
    print("verified: this page, as it was served here and now, runs only what the release publishes")
    return 0


def published_hashes() -> dict[str, str]:
    """The hash of every file that this release's pages load, by its path on the server."""
    document = json.loads(files("crypto").joinpath(PUBLISHED).read_bytes())
    assert document["format"] == FORMAT, "the list came with this code"
    return dict(document["files"])


def fetch(url: str) -> Fetched:
    """One GET, without cookies, redirects followed; `PageRefused` where nothing comes."""
    request = urllib.request.Request(url, headers={"Accept": "text/html,*/*"})  # noqa: S310  # verify_page took https.
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310  # The same.
            body = answer.read(BYTES_MAX + 1)
            headers = [(name.lower(), value) for name, value in answer.getheaders()]
            found = Fetched(answer.url, answer.status, headers, body)
    except urllib.error.HTTPError as error:
        found = Fetched(url, error.code, [], b"")
    except (urllib.error.URLError, HTTPException, TimeoutError) as error:
        raise PageRefused("page_unreachable", f"{url}: {getattr(error, 'reason', error)}") from None
    if len(found.body) > BYTES_MAX:
        raise PageRefused("page_ambiguous", f"{url} is larger than {BYTES_MAX} bytes")
    return found


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("verify-page", help="compare a page's scripts with the published hashes (fetches it)")
    command.add_argument("url", metavar="URL", help="the sign-in page has every script")
    command.set_defaults(run=run)
