"""The history of a case on its page, by the API and as a file: whom it was proposed to beside who has it."""

import csv
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from models.services.exchange import offers, recalls, tenders
from models.services.parties import standings
from models.tender_plan import Plan
from tests.facts import Placed, placed
from tests.panels import committed, holders, panel
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def ground(world: World) -> Placed:
    """A case that was recalled, then declined by one agency, passed over another and taken by a third."""
    ground = placed(world, 1)
    first, stopped, last = world.agency(), world.agency(), world.agency()
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")
    named = [world.agreement(ground.lender, agency).id for agency in (first, stopped, last)]
    with world.database.work(ground.lender.actor) as work:
        tenders.create(work, Plan(ground.placement.portfolio_id, "assigned", named))
    with world.database.work(world.person(ground.lender, "compliance_officer").actor) as work:
        standings.suspend(work, stopped.organisation.id, "conduct")
    with world.database.work(first.actor) as work:
        offers.decline(work, offers.list_own(work)[0].id, "territory")
    with world.database.work(last.actor) as work:
        offers.accept(work, offers.list_own(work)[0].id)
    return ground


def rows(client: FlaskClient, case_id: UUID) -> list[dict[str, str]]:
    answer = client.get(f"/cases/{case_id}/history.csv")
    assert answer.status_code == 200
    return list(csv.DictReader(answer.text.removeprefix("\ufeff").splitlines()))


@pytest.mark.parametrize(("language", "passed", "why"), [("en", "passed over", "Suspended"), ("zh", "", "R2")])
def test_the_page_tells_how_a_case_was_placed_and_who_else_was_asked(
    ground: Placed, signed_in: Client, language: str, passed: str, why: str
) -> None:
    client = signed_in(ground.lender)
    client.set_cookie("language", language)
    page = client.get(f"/cases/{ground.case.id}").text
    for words in ("R1", "R2", passed, why, ground.lender.member.name, "/tenders/", "history.csv"):
        assert words in page


def test_the_file_says_the_same_to_lender_and_auditor(ground: Placed, world: World, signed_in: Client) -> None:
    for someone in (ground.lender, world.auditor(ground.lender)):
        first, now = rows(signed_in(someone), ground.case.id)
        assert (first["placement"], first["why"], first["balance_at_start"]) == ("1", "lender_request", "1000.00")
        declined, stopped, taken = now["proposed"].split("; ")
        assert declined.endswith(" declined territory")
        assert stopped.endswith(" passed_over agency_suspended")
        assert taken == f"{now['agency']} accepted"
        assert (now["kind"], now["made_by"], now["ended"]) == ("assigned", ground.lender.member.name, "")


def test_of_an_allocation_the_page_tells_rule_share_and_seed(world: World, signed_in: Client) -> None:
    of = panel(world, 4, agencies=2)
    seed = committed(world, of).rules["seed"]
    case_id = next(iter(holders(world, of)))
    client = signed_in(of.lender)
    client.set_cookie("language", "en")
    page = client.get(f"/cases/{case_id}").text
    assert "Rule 1 · 50.00%" in page
    assert seed in page
    (row,) = rows(client, case_id)
    assert (row["rule"], row["shares"], row["seed"], row["proposed"]) == ("1", "1:50.00", seed, "")


def test_of_a_case_that_followed_its_borrower_the_page_tells_just_that(
    world: World, signed_in: Client, program: Client
) -> None:
    of = panel(world, [Debt(1)])
    committed(world, of)
    (earlier,) = holders(world, of)
    committed(world, of._replace(portfolio_id=world.portfolio(of.lender, [Debt(1)]).id))
    (case_id,) = holders(world, of).keys() - {earlier}
    client = signed_in(of.lender)
    client.set_cookie("language", "en")
    page = client.get(f"/cases/{case_id}").text
    assert "Followed its borrower" in page
    assert "Rule 1" not in page
    (row,) = rows(client, case_id)
    assert (row["rule"], row["shares"]) == ("0", "")
    (told,) = program(of.lender).get(f"/api/v1/cases/{case_id}/history").json or ()
    assert (told["placement"]["rule"], told["placement"]["shares"]) == (0, [])


def test_a_program_reads_proposals_and_placements(ground: Placed, program: Client) -> None:
    told = program(ground.lender).get(f"/api/v1/cases/{ground.case.id}/history").json
    assert told is not None
    now = told[-1]
    assert [(one["state"], one["reasons"]) for one in now["proposals"]] == [
        ("declined", ["territory"]),
        ("passed_over", ["agency_suspended"]),
        ("accepted", []),
    ]
    assert (now["number"], now["placement"]["agency_id"]) == (2, now["proposals"][2]["agency_id"])
    assert (told[0]["placement"]["balance_at_start"], told[0]["seed"]) == ("1000.00", None)


def test_no_agency_takes_a_history_and_no_stranger_knows_the_case(
    ground: Placed, world: World, signed_in: Client
) -> None:
    path = f"/cases/{ground.case.id}/history.csv"
    assert signed_in(ground.agency).get(path).status_code == 403
    assert signed_in(world.lender()).get(path).status_code == 404
