"""While the log cannot take entries nothing is opened, and everything masked goes on, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from models.objects import FolderStore
from models.services.oversight import logs
from tests.conftest import Clock
from tests.logbook import Log
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

RELEASE = {"field_class": "identity", "reason": "verify_identity"}
PAGES = {
    "agency": ("/", "/worklist", "/cases/{case}", "/placements", "/statements", "/breaches", "/audit-log"),
    "lender": ("/", "/cases", "/cases/{case}", "/portfolios", "/placements"),
}
API = ("/api/v1/cases", "/api/v1/cases/{case}", "/api/v1/cases/{case}/timeline")


class Down:
    """A placed case in a tenant whose log takes nothing."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.people = {"lender": world.lender(), "agency": world.agency()}
        placement = world.placement(self.people["lender"], self.people["agency"])
        self.case: UUID = world.case_ids(placement, self.people["lender"])[0]
        clock.forward(seconds=31)


@pytest.fixture
def down(world: World, clock: Clock) -> Down:
    return Down(world, clock)


@pytest.mark.parametrize("side", PAGES)
def test_nothing_is_opened_and_the_refusal_says_when_to_come_again(down: Down, program: Client, side: str) -> None:
    answer = program(down.people[side]).post(f"/api/v1/cases/{down.case}/releases", json=RELEASE)
    assert (answer.status_code, answer.json["code"]) == (503, "log_down")
    assert answer.headers["Retry-After"] == "30"
    assert "fields" not in answer.json


@pytest.mark.parametrize("side", PAGES)
def test_a_page_is_told_the_same(down: Down, signed_in: Client, side: str) -> None:
    answer = signed_in(down.people[side]).post(
        f"/cases/{down.case}/releases", data=RELEASE, headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


@pytest.mark.parametrize("side", PAGES)
def test_everything_masked_goes_on(down: Down, signed_in: Client, program: Client, side: str) -> None:
    pages, api = signed_in(down.people[side]), program(down.people[side])
    for path in PAGES[side]:
        assert pages.get(path.format(case=down.case)).status_code == 200, path
    for path in API:
        assert api.get(path.format(case=down.case)).status_code == 200, path
    assert "张*" in pages.get(f"/cases/{down.case}").text


def test_work_is_reported_all_the_same(down: Down, program: Client, clock: Clock) -> None:
    contact = {
        "channel": "call",
        "direction": "outbound",
        "party": "debtor",
        "outcome": "busy",
        "occurred_at": clock().isoformat(),
    }
    answer = program(down.people["agency"]).post(f"/api/v1/cases/{down.case}/contacts", json=contact)
    assert answer.status_code == 201


def test_the_next_release_goes_through_once_the_log_has_taken_what_waited(
    world: World, down: Down, program: Client, tmp_path: Path
) -> None:
    client = program(down.people["agency"])
    path = f"/api/v1/cases/{down.case}/releases"
    assert client.post(path, json=RELEASE).status_code == 503
    Log(world, down.people["lender"], FolderStore(tmp_path)).integrate()
    assert client.post(path, json=RELEASE).status_code == 201


def test_a_fork_stops_releases_at_once(world: World, program: Client, tmp_path: Path) -> None:
    lender, agency = world.lender(), world.agency()
    case = world.case_ids(world.placement(lender, agency), lender)[0]
    log = Log(world, lender, FolderStore(tmp_path))
    log.grow()
    with world.database.work(log.integrator) as work:
        logs.mark_forked(work)
    answer = program(agency).post(f"/api/v1/cases/{case}/releases", json=RELEASE)
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "log_down", "30")
    assert program(agency).get(f"/api/v1/cases/{case}").status_code == 200
