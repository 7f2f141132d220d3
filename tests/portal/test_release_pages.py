"""The page of all releases: who stands out, who was stopped, and what the log keeps of refusals over HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from models.audit import OutboxEntry
from models.services import refusals
from models.services.collection import release_activity, release_limits
from models.work import JOBS, Actor
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

JSON = {"Accept": "application/json"}
RELEASE = {"field_class": "identity", "reason": "verify_identity"}


class Placed(NamedTuple):
    lender: Someone
    manager: Someone
    cases: list[UUID]


@pytest.fixture
def placed(world: World) -> Placed:
    lender, manager = world.lender(), world.agency()
    return Placed(lender, manager, world.case_ids(world.placement(lender, manager, 3), lender))


def logged(world: World, of: Someone) -> Iterator[dict]:
    with world.database.work(Actor(side=JOBS, org_id=of.organisation.id)) as work:
        for entry in map(json.loads, work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))):
            if entry["action"] in ("access.refused", "release.pace"):
                yield entry


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("1 person opens far more than usual today.", "Stopped for opening too fast", "Every release")),
        ("zh", ("1 人今日查看数量远超平常", "因查看过快被拦下", "全部查看记录")),
    ],
)
def test_who_opens_too_much_stands_out_and_who_went_too_fast_is_named(
    world: World,
    placed: Placed,
    signed_in: Client,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(release_activity, "OUTLIER_RELEASES_MIN", 1)
    monkeypatch.setattr(release_limits, "PERSON_CASES_MAX", 2)
    agency = signed_in(placed.manager)
    answers = [agency.post(f"/cases/{case}/releases", data=RELEASE, headers=JSON) for case in placed.cases]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "600"
    assert [entry["action"] for entry in logged(world, placed.lender)] == ["access.refused", "release.pace"]
    for someone in (
        world.person(world.person(placed.lender, "administrator"), "compliance_officer"),
        world.auditor(placed.lender),
    ):
        client = signed_in(someone)
        client.set_cookie("language", language)
        page = client.get("/releases").text
        for word in (*words, placed.manager.member.name, placed.manager.organisation.name):
            assert word in page
        assert "<svg" in page


def test_nothing_opened_yet_says_so(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender("compliance_officer"))
    client.set_cookie("language", "en")
    assert "Nothing was opened yet" in client.get("/releases").text


def test_an_agencys_manager_sees_its_own_people_alone(world: World, placed: Placed, signed_in: Client) -> None:
    signed_in(placed.manager).post(f"/cases/{placed.cases[0]}/releases", data=RELEASE, headers=JSON)
    signed_in(placed.lender).post(f"/cases/{placed.cases[0]}/releases", data=RELEASE, headers=JSON)
    page = signed_in(placed.manager).get("/releases").text
    assert placed.lender.member.name not in page
    assert page.count(f"/cases/{placed.cases[0]}") == 1


@pytest.mark.parametrize("role", ["portfolio_manager", "settlement_officer"])
def test_who_may_not_watch_releases_does_not(world: World, signed_in: Client, role: str) -> None:
    assert signed_in(world.lender(role)).get("/releases").status_code == 403


def test_a_refusal_over_http_is_logged_and_a_repeated_one_once(world: World, placed: Placed, signed_in: Client) -> None:
    collector = signed_in(world.person(placed.manager, "collector"))
    for _ in range(3):
        assert collector.post(f"/cases/{placed.cases[0]}/releases", data=RELEASE, headers=JSON).status_code == 403
    (entry,) = logged(world, placed.lender)
    assert entry["subject"]["code"] == "not_assigned"


def test_a_foreign_case_leaves_its_entry_with_who_asked(world: World, placed: Placed, signed_in: Client) -> None:
    stranger = world.agency()
    assert signed_in(stranger).get(f"/cases/{placed.cases[0]}").status_code == 404
    (entry,) = logged(world, stranger)
    assert entry["subject"] == {"code": "not_found", "asked_for": "cases.read"}
    assert list(logged(world, placed.lender)) == []


def test_a_conflict_is_logged_where_something_was_to_be_opened(world: World, placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.manager)
    assert (
        client.post(f"/cases/{placed.cases[0]}/releases", data=RELEASE | {"field_class": "account"}).status_code == 409
    )
    assert [entry["subject"]["code"] for entry in logged(world, placed.lender)] == ["nothing_to_release"]


def test_a_wrong_form_is_no_refusal_to_log(world: World, placed: Placed, signed_in: Client) -> None:
    client = signed_in(placed.manager)
    assert client.post(f"/cases/{placed.cases[0]}/releases", data=RELEASE | {"reason": "x"}).status_code == 422
    assert list(logged(world, placed.lender)) == []


def test_a_log_that_takes_no_refusal_refuses_the_same(
    placed: Placed, signed_in: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("insert", {}, Exception("lost"))

    monkeypatch.setattr(refusals, "record", fail)
    answer = signed_in(placed.manager).post(
        f"/cases/{placed.cases[0]}/releases", data=RELEASE | {"field_class": "account"}, headers=JSON
    )
    assert (answer.status_code, answer.json["code"]) == (409, "nothing_to_release")
    assert "refusal nothing_to_release not logged: OperationalError" in caplog.text
