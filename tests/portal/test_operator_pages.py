"""The operator's pages, the jobs, and everybody's own account."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.services import job_runs
from models.services.parties import members
from tests.facts import TODAY, jobs
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]

NEW = {
    "name": "新机构",
    "kind": "agency",
    "person": "王敏",
    "email": "wang@agency.example",
    "roles": ["manager"],
    "locale": "zh",
}


@pytest.fixture
def operator(world: World) -> Someone:
    return world.organisation("operator", "operator")


def in_english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def test_an_organisation_comes_in_with_a_first_person_who_can_sign_in(
    app: Flask, operator: Someone, signed_in: Client
) -> None:
    answer = signed_in(operator).post("/organisations", data=NEW)
    assert answer.status_code == 201
    code, email, password = re.findall(r"<dd><code>([^<]+)</code>", answer.text)
    assert email == NEW["email"]
    door = app.test_client()
    came_in = door.post("/sign-in", data={"organisation": code, "email": email, "password": password})
    assert (came_in.status_code, came_in.location) == (302, "/")


def test_a_role_of_another_kind_brings_nobody_in(operator: Someone, signed_in: Client) -> None:
    client = in_english(signed_in(operator))
    answer = client.post("/organisations", data=NEW | {"roles": ["portfolio_manager"]})
    assert answer.status_code == 422
    assert "Choose roles of the kind chosen above" in answer.text
    assert f'value="{NEW["name"]}"' in answer.text


def test_only_the_operator_sees_who_takes_part(world: World, operator: Someone, signed_in: Client) -> None:
    assert operator.organisation.code in signed_in(operator).get("/organisations").text
    assert signed_in(world.lender()).get("/organisations").status_code == 403


@pytest.mark.parametrize(("language", "word"), [("en", "Reconciliation of 2026-03-09 is queued"), ("zh", "已排队")])
def test_a_run_asked_for_waits_in_the_list(world: World, signed_in: Client, language: str, word: str) -> None:
    client = signed_in(world.lender("settlement_officer"))
    client.set_cookie("language", language)
    answer = client.post("/jobs", data={"job": "reconciliation", "business_date": "2026-03-09"}, follow_redirects=True)
    assert word in answer.text
    assert 'data-poll="/jobs/rows"' in answer.text


def test_a_run_for_tomorrow_is_refused_beside_its_date(world: World, signed_in: Client) -> None:
    client = in_english(signed_in(world.lender("settlement_officer")))
    answer = client.post("/jobs", data={"job": "conduct", "business_date": "2026-03-11"})
    assert answer.status_code == 422
    assert "This lies in the future." in answer.text


def test_the_fragment_says_when_nothing_moves_any_more(world: World, signed_in: Client) -> None:
    lender = world.lender("settlement_officer")
    client = in_english(signed_in(lender))
    with world.database.work(jobs(lender)) as work:
        job_runs.start(work, "conduct", TODAY)
    assert "data-poll-done" not in client.get("/jobs/rows").text
    assert "Sweep for breaches" in client.get("/jobs/now").text
    with world.database.work(jobs(lender)) as work:
        job_runs.finish(work, "conduct", TODAY, {"flagged": 3})
    assert "data-poll-done" in client.get("/jobs/rows").text
    assert "data-poll-done" in client.get("/jobs/now").text


def test_the_operator_sees_whose_run_failed_and_how(world: World, operator: Someone, signed_in: Client) -> None:
    lender = world.lender()
    with world.database.work(jobs(lender)) as work:
        job_runs.start(work, "conduct", TODAY)
        job_runs.fail(work, "conduct", TODAY, "OperationalError")
    page = signed_in(operator).get("/jobs?state=failed").text
    assert lender.organisation.name in page
    assert "OperationalError" in page


def test_a_token_is_shown_once_works_and_ends_when_revoked(app: Flask, world: World, signed_in: Client) -> None:
    lender = world.lender()
    client = signed_in(lender)
    answer = client.post("/account/tokens", data={"name": "ledger robot", "days": "30", "scopes": ["read"]})
    (secret,) = re.findall(r"csg_[0-9a-f]{32}_[\w-]+", answer.text.split("data-copy")[0])
    robot = app.test_client()
    robot.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    assert robot.get("/api/v1/me").status_code == 200
    page = client.get("/account").text
    assert "ledger robot" in page
    assert secret not in page
    with world.database.work(lender.actor) as work:
        (token,) = members.list_tokens(work, lender.member.id)
    assert client.post(f"/account/tokens/{token.id}/revoke").status_code == 302
    assert robot.get("/api/v1/me").status_code == 401


def test_another_persons_token_cannot_be_revoked(world: World, signed_in: Client, program: Client) -> None:
    lender = world.lender()
    program(lender)
    with world.database.work(lender.actor) as work:
        (token,) = members.list_tokens(work, lender.member.id)
    colleague = world.person(lender, "settlement_officer")
    assert signed_in(colleague).post(f"/account/tokens/{token.id}/revoke").status_code == 404


def test_a_token_without_scopes_is_refused_in_place(world: World, signed_in: Client) -> None:
    answer = in_english(signed_in(world.lender())).post("/account/tokens", data={"name": "x", "days": "30"})
    assert answer.status_code == 422
    assert "Choose at least one." in answer.text


def test_the_language_is_kept_with_the_account(world: World, signed_in: Client) -> None:
    lender = world.lender()
    client = signed_in(lender)
    client.set_cookie("language", "zh")
    client.post("/account/language", data={"locale": "en"})
    assert '<html lang="en"' in client.get("/account").text
    assert '<html lang="en"' in signed_in(lender).get("/account").text


@pytest.mark.parametrize(("asked", "told"), [("en-GB,en;q=0.9", "en"), ("zh-CN,zh;q=0.9", "zh-CN")])
def test_without_a_choice_the_pages_come_as_the_browser_asks(
    world: World, signed_in: Client, asked: str, told: str
) -> None:
    client = signed_in(world.lender())
    wanted = {"Accept-Language": asked}
    assert f'<html lang="{told}"' in client.get("/account", headers=wanted).text
    client.post("/account/language", data={"locale": "zh"})
    assert '<html lang="zh-CN"' in client.get("/account", headers=wanted).text
    client.post("/account/language", data={"locale": ""})
    assert f'<html lang="{told}"' in client.get("/account", headers=wanted).text
