"""Agreements on their pages: proposed in per cent, approved by a colleague, changed, looked up, published."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from models.agreement import Agreement
from models.rates import Cell
from models.services.exchange import agreements, rate_cards, standard_terms
from models.services.parties import standings
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("administrator")


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def colleague(world: World, lender: Someone) -> Someone:
    return world.person(lender, "settlement_officer")


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def filled(agency: Someone, **changes: Any) -> dict[str, Any]:
    return {
        "agency_code": agency.organisation.code,
        "number": "2026-7",
        "currency": "CNY",
        "contingency_rate": "18.5",
        "tier": "1",
        "term_days": "90",
        "tail_days": "15",
        "tax_treatment": "exclusive",
        "tax_rate": "6",
        "settlement_floor": "80",
        "processing_agreement": "PA",
        "impact_assessment": "IA",
        "starts_on": "2026-03-01",
        "ends_on": "2026-12-31",
        **changes,
    }


def rows(*cells: dict[str, str]) -> dict[str, list[str]]:
    names = ("rate", "product", "bucket", "placement_seq", "payment_type", "amount_from", "amount_below")
    return {f"cell_{name}": [cell.get(name, "") for cell in cells] for name in names}


def first(world: World, lender: Someone) -> tuple[Agreement, rate_cards.Card]:
    with world.database.work(lender.actor) as work:
        agreement = agreements.list_own(work)[0]
        return agreement, rate_cards.list_of_agreement(work, agreement.id)[0]


def test_an_agreement_is_entered_in_per_cent_and_keeps_a_refused_form(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    client = english(signed_in(lender))
    form = filled(agency, products="credit_card, car_loan", buckets=["M1", "M2"], provinces=["110000"], visits="false")
    answer = client.post("/agreements", data=form)
    assert answer.status_code == 302
    agreement, card = first(world, lender)
    assert (agreement.products, agreement.buckets, agreement.provinces, agreement.contact_policy) == (
        ["credit_card", "car_loan"],
        ["M1", "M2"],
        ["110000"],
        {"visits": False},
    )
    assert [cell.rate for cell in card.cells] == [Decimal("0.185")]
    assert (card.card.settlement_floor, card.card.tax_rate) == (Decimal("0.8"), Decimal("0.06"))
    page = client.get(answer.location).text
    assert "Nothing can be placed before a second person approves it." in page
    again = client.post("/agreements", data=form)
    assert again.status_code == 409
    assert 'value="2026-7"' in again.text
    assert 'value="M2" checked' in again.text


@pytest.mark.parametrize("typed", ["20%", "20 %", "20％"])
def test_a_rate_may_be_typed_with_its_sign(
    world: World, signed_in: Client, lender: Someone, agency: Someone, typed: str
) -> None:
    form = filled(agency, contingency_rate=typed)
    assert signed_in(lender).post("/agreements", data=form).status_code == 302
    assert [cell.rate for cell in first(world, lender)[1].cells] == [Decimal("0.2")]


def test_rates_that_differ_are_entered_by_row_and_told_by_row(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    client = english(signed_in(lender))
    wrong = filled(agency, contingency_rate="", **rows({"rate": "18"}, {}, {"rate": "20", "amount_from": "9"}))
    answer = client.post("/agreements", data=wrong)
    assert answer.status_code == 422
    assert "This amount range meets that of another rate for the same cases." in answer.text
    assert "Row 2" in answer.text
    shape = client.post("/agreements", data=filled(agency, contingency_rate="", **rows({"rate": "much"})))
    assert "This is not a number." in shape.text
    right = filled(agency, contingency_rate="", **rows({"rate": "18"}, {}, {"rate": "20.25", "bucket": "M3"}))
    assert client.post("/agreements", data=right).status_code == 302
    assert [(c.bucket, c.rate) for c in first(world, lender)[1].cells] == [
        (None, Decimal("0.18")),
        ("M3", Decimal("0.2025")),
    ]


def test_all_that_is_wrong_with_a_rate_card_is_told_at_once(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    client = english(signed_in(lender))
    agreement = world.agreement(lender, agency)
    wrong = {"tail_days": "9999", "settlement_floor": "-3", "tax_rate": "101", **rows({"rate": "120"})}
    answer = client.post(f"/agreements/{agreement.id}/rate-cards", data=wrong | {"valid_from": "soon"})
    assert answer.status_code == 422
    assert "This must be from 0 to 90." in answer.text
    assert answer.text.count("This must be from 0% to 100%.") >= 2
    assert "This must be from 0% to 99.9999%." in answer.text
    assert "This is not a possible date." in answer.text


def test_a_refused_form_tells_every_fault_on_its_top_in_one_round_and_leads_to_the_inputs(
    signed_in: Client, lender: Someone, agency: Someone
) -> None:
    hours = {"earliest_hour": "20", "latest_hour": "9"}
    amounts = {"balance_from": "500", "balance_below": "100"}
    wrong = filled(
        agency, tier="x", currency="RMB", starts_on="2027-01-01", attempts_per_day="lots", **hours, **amounts
    )
    answer = english(signed_in(lender)).post("/agreements", data=wrong)
    assert answer.status_code == 422
    (summary,) = re.findall(r'<section class="notice notice-bad".*?</section>', answer.text, re.DOTALL)
    assert answer.text.index(summary) < answer.text.index('action="/agreements"')
    assert 'tabindex="-1" autofocus' in summary
    told = ["ends_on", "currency", "tier", "balance_below", "latest_hour", "attempts_per_day"]
    assert re.findall(r'<a href="#(\w+)">', summary) == told
    assert all(f'id="{name}-error"' in answer.text for name in told)


def test_a_colleague_approves_and_the_proposer_is_told_why_not(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    page_url = english(signed_in(lender)).post("/agreements", data=filled(agency)).location
    own = english(signed_in(lender)).get(page_url).text
    assert "You proposed this; a colleague approves it." in own
    assert f'{page_url}/approve"' not in own
    theirs = english(signed_in(colleague))
    assert "1 proposal waits for a second person." in theirs.get("/agreements").text
    assert f'{page_url}/approve"' in theirs.get(page_url).text
    assert theirs.post(f"{page_url}/approve").status_code == 302
    assert first(world, lender)[0].state == "active"
    assert "waits for a second person" not in theirs.get("/agreements").text


def test_a_new_card_is_filled_in_with_the_newest_and_approved_on_the_page(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    agreement = world.agreement(lender, agency, "0.185", tax_rate=Decimal("0.06"))
    client = english(signed_in(lender))
    form = client.get(f"/agreements/{agreement.id}/rate-cards/new").text
    assert 'name="cell_rate" value="18.5"' in form
    assert 'name="tax_rate"' in form
    given = {"valid_from": "2026-04-01", "tail_days": "10", "tax_treatment": "inclusive", **rows({"rate": "16"})}
    assert client.post(f"/agreements/{agreement.id}/rate-cards", data=given).status_code == 302
    card = first(world, lender)[1]
    assert (card.card.version, card.card.state, card.card.settlement_floor) == (2, "proposed", None)
    assert signed_in(colleague).post(f"/rate-cards/{card.card.id}/approve").status_code == 302
    page = client.get(f"/agreements/{agreement.id}").text
    assert "2026-03-31" in page
    assert "16.00%" in page
    overlapping = client.post(f"/agreements/{agreement.id}/rate-cards", data=given)
    assert overlapping.status_code == 409
    assert "Another card is in force on one of these days." in overlapping.text


def test_of_two_proposals_for_the_same_days_the_second_is_warned_of_and_refused_on_the_page_of_its_agreement(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    ours, theirs = english(signed_in(lender)), english(signed_in(colleague))
    given = {"valid_from": "2026-04-01", "tail_days": "10", "tax_treatment": "inclusive", **rows({"rate": "16"})}
    warning = "Another proposal has days in common with it"
    for warned in (False, True):
        ours.post(f"/agreements/{agreement.id}/rate-cards", data=given)
        assert (warning in ours.get(f"/agreements/{agreement.id}").text) is warned
    with world.database.work(lender.actor) as work:
        third, second, _first = rate_cards.list_of_agreement(work, agreement.id)
    assert theirs.post(f"/rate-cards/{second.id}/approve").status_code == 302
    told = theirs.get(f"/agreements/{agreement.id}").text
    assert "Nobody can approve it." in told
    assert f'action="/rate-cards/{third.id}/approve"' not in told
    assert "Rate card, version 3" not in theirs.get("/agreements").text
    refused = theirs.post(f"/rate-cards/{third.id}/approve")
    assert refused.status_code == 409
    assert "Another card is in force on one of these days." in refused.text
    assert f"Agreement {agreement.number}" in refused.text
    assert f'action="/rate-cards/{third.id}/refuse"' in refused.text


def test_a_card_to_come_is_withdrawn_on_its_page_by_two_people(
    world: World, signed_in: Client, program: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    ours, theirs = english(signed_in(lender)), english(signed_in(colleague))
    given = {"valid_from": "2026-04-01", "tail_days": "10", "tax_treatment": "inclusive", **rows({"rate": "16"})}
    ours.post(f"/agreements/{agreement.id}/rate-cards", data=given)
    card_url = f"/rate-cards/{first(world, lender)[1].card.id}"
    theirs.post(f"{card_url}/approve")
    page_url = f"/agreements/{agreement.id}"
    assert f'action="{card_url}/withdrawal"' in ours.get(page_url).text
    assert ours.post(f"{card_url}/withdrawal").status_code == 302
    assert f'action="{card_url}/withdrawal/approve"' not in ours.get(page_url).text
    assert "Withdrawal of rate card version 2" in theirs.get("/agreements").text
    assert "1 rate card waits for a second person" in theirs.get("/").text
    asked = theirs.get(page_url).text
    assert f'action="{card_url}/withdrawal/approve"' in asked
    assert "Version 1 would go on." in asked
    assert theirs.post(f"{card_url}/withdrawal/refuse").status_code == 302
    told = program(lender).post(f"/api/v1{card_url}/withdrawal").json
    assert told is not None
    assert told["withdrawal_at"] is not None
    withdrawn = program(colleague).post(f"/api/v1{card_url}/withdrawal/approve")
    assert withdrawn.json is not None
    assert withdrawn.json["state"] == "withdrawn"
    again = program(colleague).post(f"/api/v1{card_url}/withdrawal/refuse")
    assert again.status_code == 409
    page = ours.get(page_url).text
    assert "Withdrawn" in page
    assert "2026-03-31" not in page
    assert "withdrawal" not in english(signed_in(agency)).get(page_url).text


def test_a_card_or_an_agreement_is_refused_on_its_page(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    client = signed_in(lender)
    given = {"valid_from": "2026-04-01", "tail_days": "10", "tax_treatment": "inclusive", **rows({"rate": "16"})}
    client.post(f"/agreements/{agreement.id}/rate-cards", data=given)
    assert signed_in(colleague).post(f"/rate-cards/{first(world, lender)[1].card.id}/refuse").status_code == 302
    page_url = client.post("/agreements", data=filled(agency)).location
    assert client.post(f"{page_url}/refuse").status_code == 302
    agreement, card = first(world, lender)
    assert (agreement.state, card.card.state) == ("refused", "refused")
    assert client.get("/agreements").status_code == 200


def test_operating_terms_are_changed_on_a_form_that_shows_them(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, buckets=["M1", "M2"], contact_policy={"latest_hour": 20})
    client = english(signed_in(lender))
    form = client.get(f"/agreements/{agreement.id}/change").text
    assert 'value="M2" checked' in form
    assert 'value="M3" checked' not in form
    assert 'value="20"' in form
    given = {"tier": "2", "term_days": "60", "buckets": ["M2"], "open_cases_max": "1,000", "third_parties": "true"}
    given |= {"balance_from": "500", "balance_below": "20,000.00"}
    assert client.post(f"/agreements/{agreement.id}/change", data=given).status_code == 302
    changed = first(world, lender)[0]
    assert (changed.tier, changed.term_days, changed.buckets, changed.open_cases_max) == (2, 60, ["M2"], 1000)
    assert changed.contact_policy == {"third_parties": True}
    assert (changed.balance_from, changed.balance_below) == (Decimal("500.00"), Decimal("20000.00"))
    assert 'value="20000.00"' in client.get(f"/agreements/{agreement.id}/change").text
    assert "20,000.00" in client.get(f"/agreements/{agreement.id}").text
    reversed_ = client.post(f"/agreements/{agreement.id}/change", data=given | {"balance_below": "500"})
    assert reversed_.status_code == 422
    assert 'id="balance_below-error"' in reversed_.text
    wrong = client.post(f"/agreements/{agreement.id}/change", data=given | {"tier": "99"})
    assert wrong.status_code == 422
    assert 'id="tier-error"' in wrong.text


def test_a_rate_is_looked_up_on_the_page(world: World, signed_in: Client, lender: Someone, agency: Someone) -> None:
    cells = [Cell(Decimal("0.1")), Cell(Decimal("0.3"), placement_seq=2, amount_from=Decimal(500))]
    agreement = world.agreement(lender, agency, contingency_rate=None, cells=cells, buckets=["M1"])
    asked = {"product": "car_loan", "bucket": "M1", "placement_seq": "2", "amount": "1,000"}
    for someone in (lender, agency):
        client = english(signed_in(someone))
        found = client.get(f"/agreements/{agreement.id}", query_string=asked)
        assert "30.00% of what is recovered, by version 1 of the rate card." in found.text
        other = client.get(f"/agreements/{agreement.id}", query_string=asked | {"bucket": "M2"})
        assert other.status_code == 422
        assert "The agreement does not cover this." in other.text


@pytest.mark.parametrize(("language", "word"), [("zh", "协议"), ("en", "Agreements")])
def test_the_list_speaks_the_readers_language(
    world: World, signed_in: Client, lender: Someone, agency: Someone, language: str, word: str
) -> None:
    agreement = world.agreement(lender, agency)
    client = signed_in(lender)
    client.set_cookie("language", language)
    page = client.get("/agreements", query_string={"search": agency.organisation.name}).text
    assert f"<h1>{word}</h1>" in page
    assert agreement.number in page
    assert agreement.number not in client.get("/agreements", query_string={"search": "no such party"}).text


def test_a_lender_with_many_agencies_sees_them_page_by_page(world: World, signed_in: Client, lender: Someone) -> None:
    agency = world.agency()
    with world.database.work(lender.actor) as work:
        for number in range(51):
            terms = agreements.Terms(
                number=f"N-{number:03}",
                currency="CNY",
                contingency_rate=Decimal("0.1"),
                term_days=90,
                tail_days=15,
                agency_may_receive=False,
                processing_agreement="PA",
                impact_assessment="IA",
                starts_on=dt.date(2026, 1, 1),
                ends_on=dt.date(2026, 12, 31),
            )
            agreements.create(work, agency.organisation.code, terms)
    client = signed_in(world.person(lender, "compliance_officer"))
    page = client.get("/agreements", query_string={"standing": "proposed"}).text
    assert "N-050" in page
    assert "N-000" not in page
    assert 'rel="next"' in page


def test_the_public_list_names_who_is_entrusted_today_until_when_and_for_what(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, provinces=["110000", "310000"], products=["credit_card"])
    world.agreement(lender, world.agency(), starts_on=dt.date(2027, 1, 1), ends_on=dt.date(2027, 12, 31))
    client = english(signed_in(lender))
    header, line = client.get("/agency-list.csv").text.lstrip("\ufeff").splitlines()
    assert header == "agency,agreement_number,from,to,provinces,products,buckets,export"
    assert line.split(",")[:7] == [
        agency.organisation.name,
        agreement.number,
        agreement.starts_on.isoformat(),
        agreement.ends_on.isoformat(),
        "Beijing、Shanghai",
        "Credit card",
        "all",
    ]
    assert signed_in(agency).get("/agency-list.csv").status_code == 403


def test_the_list_is_downloaded_as_it_is_narrowed(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    numbers = [world.agreement(lender, agency).number for _ in range(2)]
    client = signed_in(lender)
    assert len(client.get("/agreements.csv").text.splitlines()) == 3
    narrowed = client.get("/agreements.csv", query_string={"search": numbers[0]}).text.splitlines()
    assert [line.split(",")[0] for line in narrowed[1:]] == [numbers[0]]


def test_standard_terms_are_proposed_and_approved_on_their_page(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    client = english(signed_in(lender))
    given = {"tier": "0", "settlement_floor": "75", "attempts_per_day": "2", "visits": "false"}
    assert client.post("/standard-terms", data=given).status_code == 302
    with world.database.work(lender.actor) as work:
        (waiting,) = standard_terms.list_proposed(work)
    assert "You proposed this; a colleague approves it." in client.get("/standard-terms").text
    assert signed_in(colleague).post(f"/standard-terms/{waiting.id}/approve").status_code == 302
    assert "75.00%" in client.get("/standard-terms").text
    agreement = world.agreement(lender, agency)
    for someone in (lender, agency):
        page = english(signed_in(someone)).get(f"/agreements/{agreement.id}").text
        assert "lender&#39;s standard" in page
    wrong = client.post("/standard-terms", data=given | {"attempts_per_day": "9"})
    assert wrong.status_code == 422
    assert 'id="attempts_per_day-error"' in wrong.text
    client.post("/standard-terms", data=given)
    with world.database.work(lender.actor) as work:
        (waiting,) = standard_terms.list_proposed(work)
    assert signed_in(colleague).post(f"/standard-terms/{waiting.id}/refuse").status_code == 302


@pytest.mark.parametrize("act", ["approve", "refuse"])
def test_a_decision_on_standard_terms_that_comes_second_is_told_on_their_page(
    world: World, signed_in: Client, lender: Someone, colleague: Someone, act: str
) -> None:
    signed_in(lender).post("/standard-terms", data={"tier": "0", "settlement_floor": "75"})
    with world.database.work(lender.actor) as work:
        (waiting,) = standard_terms.list_proposed(work)
    client = english(signed_in(colleague))
    assert client.post(f"/standard-terms/{waiting.id}/approve").status_code == 302
    late = client.post(f"/standard-terms/{waiting.id}/{act}")
    assert late.status_code == 409
    assert f"cannot be {'approved' if act == 'approve' else 'refused'}." in late.text
    assert "75.00%" in late.text


def test_an_agreement_is_ended_on_its_page(world: World, signed_in: Client, lender: Someone, agency: Someone) -> None:
    agreement = world.agreement(lender, agency)
    client = english(signed_in(lender))
    assert client.post(f"/agreements/{agreement.id}/end").status_code == 302
    page = client.get(f"/agreements/{agreement.id}").text
    assert "nothing is placed under it." in page
    assert f"/agreements/{agreement.id}/change" not in page


def test_an_agency_reads_its_agreement_and_no_name_of_a_lenders_person(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    client = english(signed_in(agency))
    page = client.get(f"/agreements/{agreement.id}")
    assert page.status_code == 200
    assert lender.member.name not in page.text
    assert "New rate card" not in page.text
    assert client.get("/standard-terms").status_code == 403


def test_an_agreement_without_papers_says_so_to_both_sides_and_leads_to_where_it_is_mended(
    world: World, signed_in: Client, lender: Someone, agency: Someone, colleague: Someone
) -> None:
    page_url = english(signed_in(lender)).post("/agreements", data=filled(agency)).location
    proposed = english(signed_in(colleague)).get(page_url).text
    assert "No due-diligence file stands that both sides have confirmed." in proposed
    assert "no rate card in force" not in proposed
    signed_in(colleague).post(f"{page_url}/approve")

    theirs = english(signed_in(lender)).get(page_url).text
    assert "Nothing can be placed under it now:" in theirs
    assert f'href="/agencies/{agency.organisation.id}"' in theirs
    own = english(signed_in(agency)).get(page_url).text
    assert "No due-diligence file stands that both sides have confirmed." in own
    assert f'href="/papers/{lender.organisation.id}"' in own


def test_what_rests_on_the_lenders_figures_is_told_an_agency_in_one_sentence(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    officer = world.person(lender, "compliance_officer")
    with world.database.work(officer.actor) as work:
        standings.freeze(work, agency.organisation.id, "conduct")

    assert "frozen everything" in english(signed_in(lender)).get(f"/agreements/{agreement.id}").text
    own = english(signed_in(agency)).get(f"/agreements/{agreement.id}").text
    assert "frozen" not in own
    assert "The lender does not place cases with the agency now." in own
    assert "Ask the lender what is to be done." in own


def test_an_agreement_with_nothing_in_its_way_says_nothing_of_the_gate(
    world: World, signed_in: Client, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    assert "Nothing can be placed" not in english(signed_in(lender)).get(f"/agreements/{agreement.id}").text


def test_a_foreign_agreement_is_as_unknown_as_none(world: World, signed_in: Client, agency: Someone) -> None:
    theirs = world.agreement(world.lender(), agency)
    client = signed_in(world.lender("administrator"))
    for id_ in (theirs.id, NOBODY):
        for path in ("", "/change", "/rate-cards/new"):
            assert client.get(f"/agreements/{id_}{path}").status_code == 404
        for path in ("approve", "refuse", "end"):
            assert client.post(f"/agreements/{id_}/{path}").status_code == 404
