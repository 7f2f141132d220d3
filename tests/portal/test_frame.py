"""The frame of every page: the navigation by group where there is much, flat where there is little."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


def side(client: FlaskClient, path: str) -> str:
    client.set_cookie("language", "en")
    shown = client.get(path).get_data(as_text=True)
    found = re.search(r'<nav class="sidenav".*?</nav>', shown, re.DOTALL)
    assert found
    return found[0]


def open_groups(nav: str) -> list[str]:
    return re.findall(r"<details[^>]* open>\s*<summary>.*?<span>(.*?)</span>", nav, re.DOTALL)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/", "Exchange"),
        ("/tenders", "Exchange"),
        ("/cases", "Casework"),
        ("/ledger", "Money"),
        ("/keys", "Keys and jobs"),
    ],
)
def test_the_group_of_the_page_stands_open_alone(world: World, signed_in: Client, path: str, group: str) -> None:
    nav = side(signed_in(world.lender()), path)
    assert nav.count("<details") == 6
    assert open_groups(nav) == [group]


def test_every_entry_stays_in_the_page_whatever_is_open(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender())
    links = [re.findall(r'<a href="([^"]+)"', side(client, path)) for path in ("/", "/ledger")]
    assert links[0] == links[1]
    assert len(links[0]) == len(set(links[0])) > 20


def test_a_page_without_an_entry_stands_within_that_of_its_noun(world: World, signed_in: Client) -> None:
    nav = side(signed_in(world.lender()), "/agreements/new")
    assert open_groups(nav) == ["Partners"]
    assert 'href="/agreements" aria-current="page"' in nav


def test_who_has_few_entries_sees_them_all_at_once(world: World, signed_in: Client) -> None:
    nav = side(signed_in(world.person(world.agency(), "collector")), "/")
    assert "<details" not in nav
    assert "Worklist" in nav
