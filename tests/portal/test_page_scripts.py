"""What the pages load: each script by its published hash, also where a person opens data with their own key."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from crypto.errors import PageRefused
from crypto.page import Fetched, verify_page
from portal.page_hashes import page_hashes
from portal.scripts import OPENER
from tests.own_keys import own_agency
from tests.world import Someone, World

SITE = "https://consign.test"


def fetching(client: FlaskClient) -> Callable[[str], Fetched]:
    def fetch(url: str) -> Fetched:
        with client.get(url.removeprefix(SITE)) as answer:  # a static file stays open until it is closed
            headers = [(name.lower(), value) for name, value in answer.headers]
            return Fetched(url, answer.status_code, headers, answer.data)

    return fetch


def test_the_sign_in_page_runs_every_script_and_only_as_published(app: Flask) -> None:
    paths = verify_page(f"{SITE}/sign-in", fetching(app.test_client()), page_hashes())
    assert {f"/static/js/opener/{name}.js" for name in OPENER} <= set(paths)


def test_pages_that_open_data_run_only_what_is_published(
    world: World, signed_in: Callable[[Someone], FlaskClient]
) -> None:
    agency, lender = own_agency(world), world.lender()
    (case_id,) = world.case_ids(world.placement(lender, agency.someone, 1), lender)
    for path in ("/keys", f"/cases/{case_id}"):
        paths = verify_page(SITE + path, fetching(signed_in(agency.someone)), page_hashes())
        assert {f"/static/js/opener/{name}.js" for name in OPENER} <= set(paths), path


def test_who_leaves_the_keys_with_the_platform_gets_no_opener(
    world: World, signed_in: Callable[[Someone], FlaskClient]
) -> None:
    page = signed_in(world.lender()).get("/keys").get_data(as_text=True)
    assert "own-keys" not in page
    assert "js/opener" not in page


def test_a_changed_script_is_not_the_published_one(app: Flask) -> None:
    published = page_hashes() | {"/static/js/opener/keyfile.js": "sha256-" + "A" * 43 + "="}
    with pytest.raises(PageRefused, match="another hash"):
        verify_page(f"{SITE}/sign-in", fetching(app.test_client()), published)
