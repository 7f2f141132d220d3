"""Tenders on their pages: previewed, opened, followed, approved by a second person, withdrawn."""

import csv
import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from models.business_day import day_of
from models.case import Case
from models.services.collection import contacts
from models.services.exchange import offers, placements, tenders, undoing
from models.services.parties import lender_settings, standings
from models.services.portfolio import exclusions
from models.tender import Tender
from models.tender_plan import Plan
from tests.conftest import Clock
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]


def made(world: World, lender: Someone, *agencies: Someone, cases: int = 25, kind: str = "first_claim") -> Tender:
    portfolio = world.portfolio(lender, cases)
    named = [world.agreement(lender, agency).id for agency in agencies]
    with world.database.work(lender.actor) as work:
        return tenders.create(work, Plan(portfolio.id, kind, named))


def state_of(world: World, lender: Someone, tender_id: UUID) -> str:
    with world.database.work(lender.actor) as work:
        return tenders.get(work, tender_id).state


def limit(world: World, lender: Someone, cases: int) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"approval_cases": cases})


@pytest.mark.parametrize(("kind", "word"), [("assigned", "1 is asked first"), ("first_claim", "The panel")])
def test_a_tender_is_previewed_and_then_opened(world: World, signed_in: Client, kind: str, word: str) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 25), world.agreement(lender, agency)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    assert portfolio.name in client.get("/tenders/new").text
    given = {"portfolio_id": str(portfolio.id), "kind": kind}
    assert word in client.get("/tenders/new", query_string=given).text
    plan = given | {"agreement_ids": [str(agreement.id)], "respond_hours": "48", "case_limit": ""}
    page = client.post("/tenders/new", data=plan).text
    assert "Open the tender" in page
    answer = client.post("/tenders", data=plan)
    assert answer.status_code == 302
    shown = client.get(answer.location).text
    assert agency.organisation.name in shown
    assert "has not answered" in shown


def test_every_way_to_place_begins_on_one_page(world: World, signed_in: Client) -> None:
    lender = world.lender()
    portfolio, placed = world.portfolio(lender, 3), world.placement(lender, world.agency())
    client = signed_in(lender)
    for path in ("/", "/tenders", "/offers", "/allocations", f"/portfolios/{portfolio.id}"):
        assert 'href="/place-cases' in client.get(path).text
    first = client.get("/place-cases").text
    assert (str(portfolio.id) in first, str(placed.portfolio_id) in first) == (True, False)
    page = client.get(f"/place-cases?portfolio_id={portfolio.id}").text
    for way in ("/tenders/new", f"/portfolios/{portfolio.id}/bids/new", "/allocations/new"):
        (found,) = {
            link for link in re.findall(r'href="([^"]+)"', page) if link.startswith(way) and "first" not in link
        }
        assert client.get(unescape(found)).status_code == 200
    assert "/tenders/new" not in client.get(f"/place-cases?portfolio_id={placed.portfolio_id}").text


def test_only_who_places_cases_is_shown_the_ways(world: World, signed_in: Client) -> None:
    lender, other = world.lender(), world.lender()
    assert signed_in(world.person(lender, "compliance_officer")).get("/place-cases").status_code == 403
    foreign = world.portfolio(other).id
    assert signed_in(lender).get(f"/place-cases?portfolio_id={foreign}").status_code == 404


def test_cases_that_stay_out_are_told_by_three_words(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 5), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", [agreement.id], case_limit=2))
    client = signed_in(lender)
    client.set_cookie("language", "en")
    plan = {"portfolio_id": str(portfolio.id), "kind": "first_claim", "agreement_ids": [str(agreement.id)]}
    page = client.post("/tenders/new", data=plan | {"respond_hours": "48", "case_limit": "1"}).text
    for words, anchor in (
        ("Scrubbed out", "scrubbed"),
        ("Outside the plan", "outside"),
        ("stopped by checks", "agencies"),
    ):
        assert (words in page, f'href="#{anchor}"' in page, f'id="{anchor}"' in page) == (True, True, True)
    assert "Left out" not in page


def test_a_plan_without_agencies_is_shown_again_with_what_is_wrong(world: World, signed_in: Client) -> None:
    lender = world.lender()
    world.agreement(lender, world.agency())
    portfolio = world.portfolio(lender)
    plan = {"portfolio_id": str(portfolio.id), "kind": "first_claim", "respond_hours": "48"}
    client = signed_in(lender)
    for path in ("/tenders", "/tenders/new"):
        answer = client.post(path, data=plan)
        assert answer.status_code == 422
        assert "field-error" in answer.text


def test_agencies_are_asked_in_the_order_in_which_they_are_numbered(world: World, signed_in: Client) -> None:
    lender, agencies = world.lender(), [world.agency() for _ in range(6)]
    portfolio = world.portfolio(lender)
    agreements = [world.agreement(lender, agency) for agency in agencies]
    turns = {f"place-{one.id}": turn for one, turn in zip(agreements, ("30", "", "2", "1", "9", "12"), strict=True)}
    plan = {"portfolio_id": str(portfolio.id), "kind": "assigned", "respond_hours": "1"} | turns
    client = signed_in(lender)
    page = client.post("/tenders/new", data=plan).text
    hidden = re.findall(r'type="hidden" name="agreement_ids" value="([^"]+)"', page)
    assert hidden == [str(agreements[place].id) for place in (3, 2, 4, 5, 0)]
    made = UUID(client.post("/tenders", data=plan).location.rpartition("/")[2])
    with world.database.work(lender.actor) as work:
        assert tenders.get(work, made).rules["choices"] == hidden


@pytest.mark.parametrize("turn", ["first", "1.5", "-1", "10000"])
def test_a_turn_that_is_no_number_is_told_and_kept(world: World, signed_in: Client, turn: str) -> None:
    lender = world.lender()
    portfolio, agreement = world.portfolio(lender), world.agreement(lender, world.agency())
    plan = {"portfolio_id": str(portfolio.id), "kind": "assigned", "respond_hours": "1", f"place-{agreement.id}": turn}
    client = signed_in(lender)
    client.set_cookie("language", "en")
    for path in ("/tenders", "/tenders/new"):
        answer = client.post(path, data=plan)
        assert answer.status_code == 422
        assert "This is not a number." in answer.text
        assert f'value="{turn}"' in answer.text


@pytest.mark.parametrize("kind", ["assigned", "first_claim"])
def test_each_agency_can_be_found_by_name_number_and_tier(world: World, signed_in: Client, kind: str) -> None:
    lender, agency, stopped = world.lender(), world.agency(), world.agency()
    portfolio, agreement = world.portfolio(lender), world.agreement(lender, agency, tier=2)
    world.agreement(lender, stopped)
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        standings.suspend(work, stopped.organisation.id, "conduct")
    client = signed_in(lender)
    wizard = client.get(f"/tenders/new?portfolio_id={portfolio.id}&kind={kind}").text
    for page in (wizard, client.get(f"/portfolios/{portfolio.id}/bids/new").text):
        words = f"{agency.organisation.name} {agreement.number}".lower()
        assert f'data-panel-words="{words}" data-panel-of="2" data-panel-may' in page
        assert page.count("data-panel-words") == page.count("data-panel-choice") == 2
        assert page.count("data-panel-may") == 1
        assert "js/panel.js" in page


def test_the_lender_sees_exact_figures_beside_what_agencies_see(world: World, signed_in: Client) -> None:
    lender = world.lender()
    tender = made(world, lender, world.agency())
    client = signed_in(lender)
    client.set_cookie("language", "en")
    page = client.get(f"/tenders/{tender.id}").text
    assert "25,000.00" in page
    assert "What agencies see" in page
    assert "≈" in page


@pytest.mark.parametrize(("language", "word"), [("zh", "发单"), ("en", "Tenders")])
def test_the_list_counts_by_state_and_filters(world: World, signed_in: Client, language: str, word: str) -> None:
    lender = world.lender()
    made(world, lender, world.agency())
    client = signed_in(lender)
    client.set_cookie("language", language)
    assert word in client.get("/tenders").text
    assert "/tenders/" in client.get("/tenders?state=open&kind=first_claim").text
    assert "/tenders/0" not in client.get("/tenders?state=open&kind=assigned").text
    assert "first_claim" in client.get("/tenders.csv").text


def test_a_second_person_opens_what_is_above_the_limit(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    limit(world, lender, 5)
    tender = made(world, lender, agency)
    page = signed_in(lender).get(f"/tenders/{tender.id}").text
    assert f'action="/tenders/{tender.id}/approve"' not in page
    assert signed_in(lender).post(f"/tenders/{tender.id}/approve").status_code == 403
    other = signed_in(world.person(lender, "administrator"))
    assert f'action="/tenders/{tender.id}/approve"' in other.get(f"/tenders/{tender.id}").text
    assert other.post(f"/tenders/{tender.id}/approve").status_code == 302
    assert state_of(world, lender, tender.id) == "open"


def test_what_awaits_approval_may_be_refused_and_what_is_open_withdrawn(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    open_one = made(world, lender, agency)
    assert signed_in(lender).post(f"/tenders/{open_one.id}/withdraw").status_code == 302
    limit(world, lender, 5)
    waiting = made(world, lender, agency, cases=6)
    assert (
        signed_in(world.person(lender, "compliance_officer")).post(f"/tenders/{waiting.id}/refuse").status_code == 302
    )
    assert [state_of(world, lender, one.id) for one in (open_one, waiting)] == ["withdrawn", "refused"]
    assert signed_in(lender).post(f"/tenders/{open_one.id}/withdraw").status_code == 409


def test_another_lender_and_an_agency_are_kept_out(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tender = made(world, lender, agency)
    stranger = signed_in(world.lender())
    for tender_id in (tender.id, uuid4()):
        assert stranger.get(f"/tenders/{tender_id}").status_code == 404
        assert stranger.post(f"/tenders/{tender_id}/withdraw").status_code == 404
    assert signed_in(agency).get(f"/tenders/{tender.id}").status_code == 403
    assert signed_in(world.person(lender, "settlement_officer")).get("/tenders/new").status_code == 403


def test_who_claims_late_is_told_so_in_place(world: World, signed_in: Client) -> None:
    lender, first, second = world.lender(), world.agency(), world.agency()
    made(world, lender, first, second)
    with world.database.work(second.actor) as work:
        late = offers.list_own(work)[0].id
    with world.database.work(first.actor) as work:
        offers.accept(work, offers.list_own(work)[0].id)
    client = signed_in(second)
    client.set_cookie("language", "en")
    answer = client.post(f"/offers/{late}/accept")
    assert answer.status_code == 409
    assert "Another agency was quicker" in answer.text


# --- exclusions ---


def test_exclusions_are_a_file_with_reason_source_and_day(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    case_id = world.case_ids(world.placement(lender, agency, 1), lender)[0]
    client = signed_in(lender)
    for reason in ("deceased", "hardship"):
        said = {"reason": reason, "source": "registry", "noted_on": "2026-03-01"}
        assert client.post(f"/cases/{case_id}/exclusions", data=said).status_code == 302
    page = client.get(f"/cases/{case_id}/exclusions").text
    client.post("/exclusions/{}".format(page.split('action="/exclusions/')[1].split('"')[0]))
    whole, standing = (client.get(f"/exclusions.csv?standing={value}").text.splitlines() for value in ("false", ""))
    assert [len(lines) for lines in (whole, standing)] == [3, 2]
    head, row = (line.split(",") for line in standing)
    assert head[0] == "\ufeffcase_number"
    assert row[2:4] == ["registry", "2026-03-01"]
    other = {"deceased": "hardship", "hardship": "deceased"}[row[1]]
    assert client.get(f"/exclusions.csv?reason={other}").text.count("\n") == 1
    assert signed_in(world.lender()).get("/exclusions.csv").text.count("\n") == 1
    assert signed_in(agency).get("/exclusions.csv").status_code == 403


def test_exclusions_of_whole_borrowers_are_told_apart_by_the_numbers_of_their_cases(
    world: World, signed_in: Client, program: Client
) -> None:
    lender, numbers = world.lender(), [["A-1", "A-2"], ["B-1"]]
    debts = [Debt(person, case_number=number) for person, of in enumerate(numbers, start=1) for number in of]
    portfolio = world.portfolio(lender, debts)
    with world.database.work(lender.actor) as work:
        found = select(Case.id).where(Case.portfolio_id == portfolio.id, Case.reference.in_(("A-2", "B-1")))
        for case_id in work.session.scalars(found.order_by(Case.reference.desc())).all():
            exclusions.record(work, case_id, "deceased", "registry", day_of(work.at), whole_borrower=True)
    client = english(signed_in(lender))
    page = client.get("/exclusions").text.split("<tbody>")[1]
    assert [re.findall(r">([AB]-\d)</a>", row) for row in page.split("</tr>")[:2]] == numbers
    lines = list(csv.DictReader(client.get("/exclusions.csv").text.lstrip("\ufeff").splitlines()))
    assert [(line["case_number"], line["borrower_case_numbers"].split()) for line in lines] == [
        ("", of_one) for of_one in numbers
    ]
    assert [one["references"] for one in program(lender).get("/api/v1/exclusions").json["items"]] == numbers


def test_a_case_is_excluded_and_the_exclusion_lifted_on_pages(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    case_id = world.case_ids(world.placement(lender, agency, 1), lender)[0]
    client = signed_in(lender)
    client.set_cookie("language", "en")
    assert "Nothing is excluded" in client.get("/exclusions").text
    given = {"reason": "deceased", "source": "registry", "noted_on": "2026-03-01", "whole_borrower": "1"}
    assert client.post(f"/cases/{case_id}/exclusions", data=given | {"reason": ""}).status_code == 422
    assert client.post(f"/cases/{case_id}/exclusions", data=given).status_code == 302
    assert client.post(f"/cases/{case_id}/exclusions", data=given).status_code == 409
    page = client.get(f"/cases/{case_id}/exclusions").text
    assert "may not be tendered" in page
    lift = page.split('action="/exclusions/')[1].split('"')[0]
    assert client.post(f"/exclusions/{lift}").status_code == 302
    assert "Lifted" in client.get("/exclusions?standing=false").text
    assert client.get("/exclusions/new").status_code == 200
    assert signed_in(world.person(lender, "settlement_officer")).get("/exclusions/new").status_code == 403


def test_the_api_previews_opens_and_lists_tenders(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 25), world.agreement(lender, agency)
    client = program(lender)
    plan = {"portfolio_id": str(portfolio.id), "kind": "assigned", "agreement_ids": [str(agreement.id)]}
    preview = client.post("/api/v1/tenders/preview", json=plan)
    assert (preview.status_code, preview.json["case_count"], preview.json["seats"][0]["reasons"]) == (200, 25, [])
    opened = client.post("/api/v1/tenders", json=plan)
    assert (opened.status_code, opened.json["state"], len(opened.json["offers"])) == (201, "open", 1)
    assert client.get("/api/v1/tenders?state=open").json["items"][0]["id"] == opened.json["id"]
    assert client.post("/api/v1/tenders", json=plan).json["code"] == "no_cases_to_offer"
    assert client.post("/api/v1/tenders", json=plan | {"buckets": ["M99"]}).status_code == 422
    assert client.post(f"/api/v1/tenders/{opened.json['id']}/withdraw").json["state"] == "withdrawn"


def test_the_api_takes_exclusions_one_by_one_and_as_a_file(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    case_id = world.case_ids(world.placement(lender, agency, 1), lender)[0]
    client = program(lender)
    given = {"case_id": str(case_id), "reason": "bankrupt", "source": "court", "noted_on": "2026-03-01"}
    recorded = client.post("/api/v1/exclusions", json=given)
    assert recorded.status_code == 201
    assert [one["reason"] for one in client.get(f"/api/v1/cases/{case_id}/exclusions").json] == ["bankrupt"]
    file = b"case_number,reason,source,noted_on\nK-NOBODY,deceased,court,2026-03-01\n"
    outcome = client.post("/api/v1/exclusions/file", data=file, content_type="text/csv")
    assert (outcome.json["accepted"], outcome.json["refused"]) == (0, 1)
    assert outcome.json["errors"][0]["code"] == "unknown_case"
    assert client.post(f"/api/v1/exclusions/{recorded.json['id']}/lift").json["lifted_at"]
    assert client.get("/api/v1/exclusions").json["items"] == []


def test_a_tender_that_somebody_took_is_undone_from_its_page(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tender, placement_id = taken(world, lender, agency)
    client, page = english(signed_in(lender)), f"/tenders/{tender.id}"
    assert "Undo all of it" in client.get(page).text
    assert client.post(f"{page}/undo").status_code == 422
    assert client.post(f"{page}/undo", data={"reason": "wrong_cases"}).location == page
    assert state_of(world, lender, tender.id) == "undone"
    for reader in (client, english(signed_in(agency))):
        for path in ("/placements", f"/placements/{placement_id}"):
            shown = reader.get(path).text
            assert "Undone" in shown
            assert ">Recalled<" not in shown


def test_what_was_undone_says_when_at_every_door_of_its_lender(
    world: World, signed_in: Client, program: Client, clock: Clock
) -> None:
    lender, agency = world.lender(), world.agency()
    tender, placement_id = taken(world, lender, agency)
    clock.forward(days=2)
    with world.database.work(lender.actor) as work:
        assert undoing.undo(work, tender.id, "wrong_cases").undone_at == clock()
        offer_id = placements.get(work, placement_id).offer_id
    page, api, at = english(signed_in(lender)), program(lender), clock().isoformat()
    for path in ("/tenders", f"/tenders/{tender.id}", "/offers", f"/offers/{offer_id}"):
        shown = page.get(path).text
        assert re.search(rf'datetime="{re.escape(at)}', shown), path
    for path in ("/tenders.csv", "/offers.csv"):
        (row,) = csv.DictReader(page.get(path).text.lstrip("\ufeff").splitlines())
        assert (row["state"], row["undone"]) == ("undone", at)
    of_tender, of_offer = (api.get(f"/api/v1/{path}").json for path in (f"tenders/{tender.id}", f"offers/{offer_id}"))
    listed = [api.get(f"/api/v1/{noun}").json["items"][0] for noun in ("tenders", "offers")]
    for told in (of_tender, of_offer, *listed, *of_tender["offers"]):
        assert (told["state"], told["undone_at"]) == ("undone", at)
        assert told["decided_at"] < at
    told = program(agency).get(f"/api/v1/offers/{offer_id}").json
    assert (told["state"], told["undone_at"]) == ("undone", at)


def test_what_was_worked_cannot_be_undone_and_the_page_says_why(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tender, placement_id = taken(world, lender, agency)
    with world.database.work(agency.actor) as work:
        placements.acknowledge(work, placement_id, 3, Decimal("3000.00"))
        case_id = placements.list_cases(work, placement_id)[0].case.id
        contacts.record(work, case_id, contacts.ContactReport("call", "outbound", "debtor", "busy", work.at))
    client, page = english(signed_in(lender)), f"/tenders/{tender.id}"
    shown = client.get(page).text
    assert "Too late to undo: a contact has been recorded" in shown
    assert "Undo all of it" not in shown
    assert client.post(f"{page}/undo", data={"reason": "wrong_cases"}).status_code == 409
    assert client.post(f"{page}/keep").status_code == 409


def taken(world: World, lender: Someone, agency: Someone) -> tuple[Tender, UUID]:
    offer = world.offer(lender, agency)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
    with world.database.work(lender.actor) as work:
        return tenders.get(work, offer.tender_id), placement.id


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client
