"""The published hashes are those of the files, and the pages as they are served stand up to `verify-page`."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from crypto.errors import PageRefused
from crypto.page import Fetch, Fetched, verify_page
from crypto.tool.pages import published_hashes
from portal.page_hashes import page_hashes
from portal.scripts import OPENER
from tests.world import Someone, World

HOST = "http://localhost"


def served_by(client: FlaskClient, swapped: dict[str, bytes] | None = None) -> Fetch:
    """What a server answers, with the bodies that it has swapped."""

    def fetch(url: str) -> Fetched:
        path = urlsplit(url).path
        with client.get(path, base_url=HOST) as answer:
            headers = [(name.lower(), value) for name, value in answer.headers]
            return Fetched(url, answer.status_code, headers, (swapped or {}).get(path, answer.data))

    return fetch


def test_the_published_hashes_are_those_of_the_files() -> None:
    assert published_hashes() == page_hashes(), "run `make page-hashes`"


def test_the_sign_in_page_as_served_is_the_published_one(app: Flask) -> None:
    paths = verify_page(f"{HOST}/sign-in", served_by(app.test_client()), page_hashes())
    assert {f"/static/js/opener/{module}.js" for module in OPENER} <= set(paths)


def test_a_page_behind_sign_in_is_the_published_one(signed_in: Callable[[Someone], FlaskClient], world: World) -> None:
    of_itself = world.organisation("agency", "collector", self_custody=True)
    paths = verify_page(f"{HOST}/account", served_by(signed_in(of_itself)), page_hashes())
    assert "/static/js/opener/page.js" in paths


def test_a_changed_script_of_the_real_page_is_refused(app: Flask) -> None:
    swapped = {"/static/js/opener/package.js": b"export const openPackage = (all) => fetch('/x', {body: all});"}
    with pytest.raises(PageRefused) as refused:
        verify_page(f"{HOST}/sign-in", served_by(app.test_client(), swapped), page_hashes())
    assert refused.value.code == "file_changed"
