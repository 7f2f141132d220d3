"""Allocations on their pages and over the API: the plan, the decision, the second person, the undoing."""

import csv
import re
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from jobs import allocation
from models.agreement import Agreement
from models.portfolio import Portfolio
from models.services.exchange import allocation_draws, allocations, tenders
from models.services.parties import lender_settings
from models.tender import AWAITING_APPROVAL, PLACED, UNDONE, WITHDRAWN
from portal.messages import message
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]


class Ground(NamedTuple):
    lender: Someone
    agencies: list[Someone]
    agreements: list[Agreement]
    portfolio_id: UUID


@pytest.fixture
def ground(world: World) -> Ground:
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    agreements = [world.agreement(lender, agency) for agency in agencies]
    return Ground(lender, agencies, agreements, world.portfolio(lender, 6).id)


def plan(of: Ground, *percents: str) -> dict[str, object]:
    shares = {str(agreement.id): share for agreement, share in zip(of.agreements, percents, strict=True)}
    return {"portfolio_id": str(of.portfolio_id), "kind": "rules", "rules": [{"shares": shares}]}


def form(of: Ground, *percents: str, **more: str) -> dict[str, str]:
    shares = {f"share-1-{agreement.id}": share for agreement, share in zip(of.agreements, percents, strict=True)}
    return {"portfolio_id": str(of.portfolio_id), "kind": "rules", "rules": "1", **shares, **more}


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def previewed(of: Ground, client: FlaskClient) -> str:
    """The page of a new preview."""
    answer = client.post("/allocations", data=form(of, "50", "50"))
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def state_of(world: World, of: Ground, page: str) -> str:
    with world.database.work(of.lender.actor) as work:
        return allocations.get(work, UUID(page.rpartition("/")[2])).state


@pytest.mark.parametrize(("language", "words"), [("en", "No allocation yet"), ("zh", "/place-cases")])
def test_the_empty_list_leads_to_a_new_one(world: World, signed_in: Client, language: str, words: str) -> None:
    client = signed_in(world.lender())
    client.set_cookie("language", language)
    page = client.get("/allocations").text
    assert words in page
    assert "/place-cases" in page


def test_the_plan_shows_each_agency_with_its_room_and_an_equal_share(ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    chosen = {"portfolio_id": str(ground.portfolio_id), "agreement": [str(one.id) for one in ground.agreements]}
    page = client.post("/allocations/new", data=chosen).text
    assert "6 cases are free" in page
    assert all(one.agency_name in page for one in ground.agreements)
    assert page.count('value="50.00"') == 2


def test_shares_that_do_not_add_up_are_told_at_their_rule(ground: Ground, signed_in: Client) -> None:
    answer = english(signed_in(ground.lender)).post(
        "/allocations",
        data={**form(ground, "50", "49.99"), "agreement": [str(one.id) for one in ground.agreements]},
    )
    assert answer.status_code == 422
    assert "do not add up to exactly 100" in answer.text
    assert 'value="49.99"' in answer.text


@pytest.mark.parametrize("share", ["half", "-10", "0.00", "101", "33.335"])
def test_a_share_that_is_none_keeps_the_plan_and_says_whose_it_is(
    ground: Ground, signed_in: Client, share: str
) -> None:
    first, second = ground.agreements
    answer = english(signed_in(ground.lender)).post(
        "/allocations", data={**form(ground, share, "50"), "agreement": [str(first.id), str(second.id)]}
    )
    assert answer.status_code == 422
    assert f'id="share-1-{first.id}-error"' in answer.text
    assert f"Share of {first.agency_name} in per cent:" in answer.text
    assert f'id="share-1-{second.id}-error"' not in answer.text
    assert answer.text.count("autofocus") == 1
    assert "value:" not in answer.text


def test_a_share_missed_for_the_terms_of_its_agency_and_what_follows_outside_the_shares_are_explained(
    world: World, signed_in: Client
) -> None:
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    placed = world.placement(lender, agencies[0], [Debt(1)])
    narrow = world.agreement(lender, agencies[1], products=["car_loan"])
    portfolio = world.portfolio(lender, [Debt(number) for number in range(1, 8)])
    shares = {f"share-1-{agreement_id}": "50" for agreement_id in (placed.agreement_id, narrow.id)}
    asked = {"portfolio_id": str(portfolio.id), "kind": "rules", "rules": "1", **shares}
    client = english(signed_in(lender))
    page = client.get(client.post("/allocations", data=asked).location).text
    assert "are not counted in the shares." in page
    assert "the provinces of its licence leave them out" in page


def test_nothing_is_placed_before_the_commit(world: World, ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    assert "Nothing is placed yet" in client.get(page).text
    assert client.post(f"{page}/commit").location == page
    assert state_of(world, ground, page) == PLACED
    shown = client.get(page).text
    assert shown.count("/placements/") >= 2
    assert "Undo all of it" in shown


def test_what_each_agency_gets_is_a_file(world: World, ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    assert f'href="{page}/agencies.csv"' in client.get(page).text
    rows = list(csv.DictReader(client.get(f"{page}/agencies.csv").text.removeprefix("\ufeff").splitlines()))
    told = {row["agreement"]: (row["households"], row["cases"], row["amount"], row["reasons"]) for row in rows}
    assert told == {one.number: ("3", "3", "3000.00", "") for one in ground.agreements}
    assert signed_in(world.lender()).get(f"{page}/agencies.csv").status_code == 404
    assert signed_in(ground.agencies[0]).get(f"{page}/agencies.csv").status_code == 403


def test_a_plan_made_anew_begins_with_the_same_agencies(ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    (link,) = set(re.findall(r'href="(/allocations/new\?again=[^"]+)"', client.get(page).text))
    again = client.get(link).text
    assert all(f'name="agreement" value="{one.id}" aria-label' in again for one in ground.agreements)
    assert again.count('value="50.00"') == 2


def test_dropping_a_preview_places_nothing(world: World, ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    assert client.post(f"{page}/withdraw").status_code == 302
    assert state_of(world, ground, page) == WITHDRAWN


def test_an_outdated_preview_says_so_in_place(ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    first, second = previewed(ground, client), previewed(ground, client)
    client.post(f"{first}/commit")
    answer = client.post(f"{second}/commit")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text


def test_an_agency_without_room_blocks_the_commit_and_the_page_says_why(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    narrow = world.agreement(lender, agency, open_cases_max=1)
    of = Ground(lender, [agency], [narrow], world.portfolio(lender, 3).id)
    client = english(signed_in(lender))
    page = str(client.post("/allocations", data=form(of, "100")).location)
    shown = client.get(page).text
    assert "may not take its part" in shown
    assert "/commit" not in shown
    assert client.post(f"{page}/commit").status_code == 409


def test_a_preview_of_no_case_offers_no_commit_and_says_why(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    elsewhere = world.agreement(lender, agency, products=["car_loan"])
    of = Ground(lender, [agency], [elsewhere], world.portfolio(lender, 3).id)
    client = english(signed_in(lender))
    page = str(client.post("/allocations", data=form(of, "100")).location)
    shown = client.get(page).text
    assert "The plan places no case." in shown
    assert "The commit places exactly this" not in shown
    assert "/commit" not in shown
    assert "The plan places no case. The preview says" in client.post(f"{page}/commit").text


def test_a_second_person_commits_what_is_large(world: World, ground: Ground, signed_in: Client) -> None:
    with world.database.work(world.person(ground.lender, "administrator").actor) as work:
        lender_settings.change(work, {"approval_cases": 5})
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    client.post(f"{page}/commit")
    assert state_of(world, ground, page) == AWAITING_APPROVAL
    assert "larger than one person may place" in client.get(page).text
    second = english(signed_in(world.person(ground.lender, "administrator")))
    assert f"{page}/commit" in second.get(page).text
    second.post(f"{page}/commit")
    assert state_of(world, ground, page) == PLACED


def test_undoing_needs_a_reason_and_frees_the_cases(world: World, ground: Ground, signed_in: Client) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    client.post(f"{page}/commit")
    assert client.post(f"{page}/undo").status_code == 422
    assert client.post(f"{page}/undo", data={"reason": "wrong_split"}).location == page
    assert state_of(world, ground, page) == UNDONE


def test_an_allocation_names_who_drew_it_why_it_was_undone_and_when_a_second_person_is_needed(
    ground: Ground, signed_in: Client
) -> None:
    client = english(signed_in(ground.lender))
    page = previewed(ground, client)
    client.post(f"{page}/commit")
    client.post(f"{page}/undo", data={"reason": "wrong_split"})
    shown = client.get(page).text
    assert re.search(r"<dt>Drawn</dt><dd>.*" + re.escape(ground.lender.member.name), shown)
    assert "<dt>Undone because</dt>" in shown
    assert "cases within a day a second person commits" in shown


@pytest.mark.parametrize(("language", "begun"), [("en", "as soon as a worker is free"), ("zh", "/progress")])
def test_a_large_allocation_shows_how_far_it_is_and_what_it_was_refused_by(
    world: World,
    ground: Ground,
    signed_in: Client,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    begun: str,
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    client = signed_in(ground.lender)
    client.set_cookie("language", language)
    page = previewed(ground, client)
    shown = client.get(page).text
    assert begun in shown
    assert f'data-poll="{page}/progress" data-poll-next="{page}"' in shown
    assert "data-poll-done" not in client.get(f"{page}/progress").text
    assert client.get("/allocations").text.count(page) == 1
    carry_out(world, ground, page)
    assert "data-poll-done" in client.get(f"{page}/progress").text
    assert client.post(f"{page}/commit").location == page
    assert f"{page}/commit" not in client.get(page).text
    with world.database.work(ground.lender.actor) as work:
        tenders.assign(work, ground.portfolio_id, ground.agreements[0].id, case_limit=1)
    carry_out(world, ground, page)
    shown = client.get(page).text
    assert str(message_in(client, "preview_outdated")) in shown
    assert f"{page}/commit" in shown


def carry_out(world: World, of: Ground, page: str) -> None:
    """As the worker does."""
    allocation.run(world.database, of.lender.organisation.id, UUID(page.rpartition("/")[2]))


def message_in(client: FlaskClient, code: str) -> str:
    cookie = client.get_cookie("language")
    assert cookie is not None
    with client.application.test_request_context(headers={"Cookie": f"language={cookie.value}"}):
        return message(code)


def test_a_plan_that_became_wrong_is_told_rule_by_rule(
    world: World, ground: Ground, signed_in: Client, program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    client = program(ground.lender)
    with world.database.work(ground.lender.actor) as work:
        (product,) = allocation_draws.list_products(work, ground.portfolio_id)
    rule = {"shares": {str(ground.agreements[0].id): "100"}, "where": {"products": [product]}}
    made = client.post("/api/v1/allocations", json=plan(ground, "50", "50") | {"rules": [rule]}).json
    with world.database.work(ground.lender.actor) as work:
        work.session.execute(update(Portfolio).where(Portfolio.id == ground.portfolio_id).values(products=["boat"]))
    carry_out(world, ground, f"/allocations/{made['id']}")
    told = client.get(f"/api/v1/allocations/{made['id']}").json["refusal"]
    assert told == {"code": "invalid", "errors": [{"row": 1, "field": "products", "code": "unknown_value"}]}
    page = english(signed_in(ground.lender)).get(f"/allocations/{made['id']}").text
    assert f"Rule 1 · Products: {message('unknown_value')}" in page


def test_the_api_hands_a_large_allocation_over_and_is_asked_again(
    world: World, ground: Ground, program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    client = program(ground.lender)
    made = client.post("/api/v1/allocations", json=plan(ground, "50", "50"))
    assert (made.status_code, made.json["state"], made.json["preview"]) == (202, "drawing", None)
    path = f"/api/v1/allocations/{made.json['id']}"
    carry_out(world, ground, path)
    assert client.get(path).json["case_count"] == 6
    assert client.post(f"{path}/commit").status_code == 202
    assert client.post(f"{path}/commit").json["code"] == "wrong_state"
    carry_out(world, ground, path)
    done = client.get(path).json
    assert (done["state"], done["refusal"]) == (PLACED, None)
    assert client.post(f"{path}/commit").status_code == 409


@pytest.mark.parametrize("role", ["settlement_officer", "compliance_officer"])
def test_others_of_the_lender_look_and_do_not_act(world: World, ground: Ground, signed_in: Client, role: str) -> None:
    page = previewed(ground, english(signed_in(ground.lender)))
    other = english(signed_in(world.person(ground.lender, role)))
    assert other.get(page).status_code == 200
    for act in ("commit", "withdraw", "undo", "keep"):
        assert other.post(f"{page}/{act}").status_code == 403
    assert other.get("/allocations/new").status_code == 403


def test_a_number_of_rules_of_thousands_of_digits_is_no_number(ground: Ground, signed_in: Client) -> None:
    asked = {"rules": "9" * 5000, "portfolio_id": str(ground.portfolio_id), "kind": "rules"}
    assert signed_in(ground.lender).post("/allocations", data=asked).status_code == 422


def test_an_agency_sees_none_of_it(ground: Ground, signed_in: Client) -> None:
    page = previewed(ground, signed_in(ground.lender))
    agency = signed_in(ground.agencies[0])
    assert agency.get(page).status_code == agency.get("/allocations").status_code == 403


def test_foreign_and_unknown_are_one_404(world: World, ground: Ground, signed_in: Client, program: Client) -> None:
    page = previewed(ground, signed_in(ground.lender))
    other = world.lender()
    for path in (page, f"/allocations/{uuid4()}"):
        assert signed_in(other).get(path).status_code == 404
        assert program(other).get(f"/api/v1{path}").status_code == 404
        assert program(other).post(f"/api/v1{path}/commit").status_code == 404
    assert signed_in(other).get(f"/allocations/new?portfolio_id={ground.portfolio_id}").status_code == 404


def test_the_api_previews_commits_and_undoes(world: World, signed_in: Client, ground: Ground, program: Client) -> None:
    client = program(ground.lender)
    made = client.post("/api/v1/allocations", json=plan(ground, "50", "50"))
    assert made.status_code == 201, made.text
    assert [one["cases"] for one in made.json["preview"]["agencies"]] == [3, 3]
    assert len(made.json["plan"]["seed"]) == 64
    path = f"/api/v1/allocations/{made.json['id']}"
    assert client.post(f"{path}/commit").json["state"] == PLACED
    assert client.get(path).json["preview_digest"] == made.json["preview_digest"]
    world.clock.forward(minutes=4)  # type: ignore[attr-defined]
    undone = client.post(f"/api/v1/tenders/{made.json['id']}/undo", json={"reason": "wrong_terms"})
    assert undone.json["state"] == UNDONE
    told = [client.get(path).json, client.get("/api/v1/allocations").json["items"][0]]
    assert undone.json["undone_at"] is not None
    assert {one["undone_at"] for one in told} == {undone.json["undone_at"]}
    for page in ("/allocations", f"/allocations/{made.json['id']}"):
        assert f'datetime="{undone.json["undone_at"]}"' in signed_in(ground.lender).get(page).text
    assert [one["id"] for one in client.get("/api/v1/allocations").json["items"]] == [made.json["id"]]


def test_the_api_names_the_rule_that_is_wrong(ground: Ground, program: Client) -> None:
    body = plan(ground, "50", "50.5")
    body["rules"] = [{**body["rules"][0], "where": {"buckets": ["M2"], "provinces": ["990000"]}}]  # type: ignore[index]
    answer = program(ground.lender).post("/api/v1/allocations", json=body)
    assert answer.status_code == 422
    found = {(one["row"], one["field"], one["code"]) for one in answer.json["errors"]}
    assert found == {(1, "shares", "shares_not_100"), (1, "provinces", "invalid_region")}


def test_a_seed_given_again_gives_the_same_split(ground: Ground, program: Client) -> None:
    client = program(ground.lender)
    random = {**plan(ground, "60", "40"), "kind": "random", "dimensions": ["bucket"]}
    first = client.post("/api/v1/allocations", json=random).json
    again = client.post("/api/v1/allocations", json={**random, "seed": first["plan"]["seed"]}).json
    assert again["preview_digest"] == first["preview_digest"]
