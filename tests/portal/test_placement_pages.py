"""Placements on their pages: acknowledged, assigned, frozen, recalled."""

import re
from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import null, update

from models.placement import AWAITING_KEYS, Placement
from models.services.collection import assignments, releases
from models.services.exchange import acknowledgements, placements, recalls, returns
from models.services.parties import freezes
from tests.facts import jobs
from tests.world import CASE_NUMBER, Debt, Someone, World

Client = Callable[[Someone], FlaskClient]


def acknowledged(world: World, agency: Someone, placement: Placement) -> bool:
    with world.database.work(agency.actor) as work:
        return placements.get(work, placement.id).state == "active"


def test_count_and_balance_are_confirmed_by_hand(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3, acknowledged=False)
    form = {"case_count": "3", "balance": f"{placement.referred_amount:.2f}"}
    answer = signed_in(agency).post(f"/placements/{placement.id}/acknowledge", data=form)
    assert answer.status_code == 302
    assert acknowledged(world, agency, placement)


def test_the_frozen_terms_say_which_level_set_each(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1, settlement_floor=Decimal("0.85"), contact_policy={"latest_hour": 20})
    for someone in (lender, agency):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        page = client.get(f"/placements/{placement.id}").text
        assert '85.00%</span> <span class="muted">this agreement</span>' in page
        assert '20</span> <span class="muted">this agreement</span>' in page
        assert "version 1 of the rate card" in page
    with world.database.work(jobs(lender)) as work:
        work.session.execute(update(Placement).where(Placement.id == placement.id).values(term_levels=null()))
    page = client.get(f"/placements/{placement.id}").text
    assert ("85.00%" in page, "this agreement" in page, "was not kept" in page) == (True, False, True)


def test_figures_are_taken_with_their_separators(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, [Debt(1, "1284600.00")], acknowledged=False)
    form = {"case_count": "1", "balance": "1,284,600.00"}
    assert signed_in(agency).post(f"/placements/{placement.id}/acknowledge", data=form).status_code == 302
    assert acknowledged(world, agency, placement)


def test_after_a_refused_form_reloading_and_the_language_lead_to_the_page(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1, acknowledged=False)
    page, target = f"/placements/{placement.id}", f"/placements/{placement.id}/acknowledge"
    client = signed_in(agency)
    refused = client.post(target, data={"case_count": "many"})
    assert f'name="next" value="{page}"' in refused.text
    answer = client.get(target)
    assert (answer.status_code, answer.location) == (303, page)


def test_an_agencys_page_holds_no_recall(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1, acknowledged=False)
    assert f"/placements/{placement.id}/recall" not in signed_in(agency).get(f"/placements/{placement.id}").text


def test_both_sides_see_from_the_start_what_was_placed(world: World, signed_in: Client) -> None:
    """What the agency counts in the list is compared with the lender's totals, as its offer and the API tell them."""
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3, acknowledged=False)
    path = f"/placements/{placement.id}"
    assert all("¥3,000.00" in signed_in(someone).get(path).text for someone in (lender, agency))
    world.clock.forward(hours=48)  # type: ignore[attr-defined]
    with world.database.work(jobs(lender)) as work:
        acknowledgements.flag_missing(work)
    assert all("¥3,000.00" in signed_in(agency).get(page).text for page in (path, "/breaks"))
    assert "3000.00" in signed_in(agency).get("/breaks.csv").text


def test_a_placement_late_to_be_acknowledged_is_called_late_and_not_a_difference(
    world: World, signed_in: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    world.placement(lender, agency, 1, acknowledged=False)
    world.clock.forward(hours=48)  # type: ignore[attr-defined]
    with world.database.work(jobs(lender)) as work:
        acknowledgements.flag_missing(work)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    page = client.get("/placements").text
    assert ("No acknowledgement in time" in page, "Counts differ" in page) == (True, False)


def test_all_that_is_wrong_with_what_was_counted_is_told_at_once(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1, acknowledged=False)
    client = signed_in(agency)
    client.set_cookie("language", "en")
    answer = client.post(f"/placements/{placement.id}/acknowledge", data={"case_count": "-1", "balance": "abc"})
    assert answer.status_code == 422
    assert "This must be from 0 to 10,000,000." in answer.text
    assert "This is not a number." in answer.text


@pytest.mark.parametrize(("cases", "goes_on"), [(2, False), (3, True)])
def test_a_page_that_holds_all_of_it_leads_to_no_next_one(
    world: World, signed_in: Client, monkeypatch: pytest.MonkeyPatch, cases: int, goes_on: bool
) -> None:
    monkeypatch.setattr("portal.web.placements.CASE_ROWS", 2)
    placement = world.placement(world.lender(), agency := world.agency(), cases)
    assert ('rel="next"' in signed_in(agency).get(f"/placements/{placement.id}").text) == goes_on


def test_other_figures_begin_nothing_and_both_are_shown_once(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3, acknowledged=False)
    client = signed_in(agency)
    client.set_cookie("language", "en")
    answer = client.post(f"/placements/{placement.id}/acknowledge", data={"case_count": "2", "balance": "1.00"})
    assert answer.status_code == 409
    assert "counted 2 cases and ¥1.00; placed are 3 cases and ¥3,000.00" in answer.text
    assert answer.text.count('role="alert"') == 1
    assert client.get(f"/placements/{placement.id}").text.count('role="alert"') == 0
    assert not acknowledged(world, agency, placement)


@pytest.mark.parametrize(("count", "balance"), [(10**12, "1.00"), (-5, "1.00"), (2, "-1.00"), (2, "9" * 40)])
def test_figures_that_no_placement_has_are_refused_by_their_field(
    world: World, signed_in: Client, count: int, balance: str
) -> None:
    placement = world.placement(world.lender(), agency := world.agency(), 2, acknowledged=False)
    path = f"/api/v1/placements/{placement.id}/acknowledge"
    answer = signed_in(agency).post(path, json={"case_count": count, "balance": balance})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["case_count" if balance == "1.00" else "balance"]


def test_unassigned_cases_are_dealt_out_evenly(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    collectors = [world.person(agency, "collector") for _ in range(2)]
    placement = world.placement(lender, agency, 4)
    form = {"collector_ids": [str(c.member.id) for c in collectors]}
    assert signed_in(agency).post(f"/placements/{placement.id}/deal", data=form).status_code == 302
    with world.database.work(agency.actor) as work:
        assert [c.case_count for c in assignments.collectors(work)] == [2, 2]
        assert assignments.count_unassigned(work, placement.id) == 0


def test_selected_cases_go_to_one_collector(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    collector = world.person(agency, "collector")
    placement = world.placement(lender, agency, 3)
    chosen = world.case_ids(placement, lender)[:2]
    form = {"collector_id": str(collector.member.id), "case_ids": [str(case_id) for case_id in chosen]}
    client = signed_in(agency)
    assert client.post(f"/placements/{placement.id}/assign", data=form).status_code == 302
    with world.database.work(agency.actor) as work:
        assert assignments.count_unassigned(work, placement.id) == 1
    assert collector.member.name in client.get(f"/placements/{placement.id}").text


def test_nobody_ticked_is_told_beside_the_names(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    world.person(agency, "collector")
    placement = world.placement(lender, agency, 2)
    answer = signed_in(agency).post(f"/placements/{placement.id}/deal", data={})
    assert answer.status_code == 422
    assert 'class="field-error"' in answer.text


def test_a_recall_of_some_cases_leaves_the_others(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    first = world.case_ids(placement, lender)[0]
    form = {"selected": "1", "case_ids": [str(first)], "reason": "complaint"}
    client = signed_in(lender)
    assert client.post(f"/placements/{placement.id}/recall", data=form).status_code == 302
    with world.database.work(agency.actor) as work:
        assert [line.case.id for line in placements.list_cases(work, placement.id)].count(first) == 0
        assert placements.figures(work, placement.id).case_count == 2


def test_a_case_taken_back_shows_how_it_ended_as_its_status(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    first, second, _third = world.case_ids(placement, lender)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "complaint", [first])
    with world.database.work(agency.actor) as work:
        returns.give_back(work, placement.id, "hardship", [second])
    client = signed_in(lender)
    client.set_cookie("language", "en")
    page = client.get(f"/placements/{placement.id}").text
    for words in ('Recalled</span><span class="under muted">Complaint', "Returned: hardship", "Open"):
        assert page.count(f"{words}</span>") == 1, words


def test_a_return_presumes_no_code_and_warns_of_those_that_exclude_a_borrower(world: World, signed_in: Client) -> None:
    placement = world.placement(world.lender(), agency := world.agency(), 1)
    page = signed_in(agency).get(f"/placements/{placement.id}").text
    (options,) = re.findall(r'<select[^>]* name="code"[^>]* required>(.*?)</select>', page, re.DOTALL)
    assert re.match(r'\s*<option value="">', options)
    assert "selected" not in options
    warned = re.findall(r'value="(\w+)" data-warns="\S', options)
    assert sorted(warned) == ["bankrupt", "deceased", "protected"]


def test_a_recall_with_nothing_selected_recalls_nothing(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2)
    form = {"selected": "1", "reason": "complaint"}
    assert signed_in(lender).post(f"/placements/{placement.id}/recall", data=form).status_code == 422
    assert acknowledged(world, agency, placement)


def test_the_whole_placement_is_recalled_with_its_own_button(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2)
    answer = signed_in(lender).post(f"/placements/{placement.id}/recall", data={"reason": "debt_sold"})
    assert answer.status_code == 302
    assert not acknowledged(world, agency, placement)
    client = signed_in(agency)
    assert client.get(f"/placements/{placement.id}/cases.csv").status_code == 409
    assert "cases.csv" not in client.get(f"/placements/{placement.id}").text


@pytest.mark.parametrize(("language", "word"), [("zh", "委案"), ("en", "Placements")])
def test_both_sides_and_the_auditor_list_placements(world: World, signed_in: Client, language: str, word: str) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency)
    for someone in (lender, agency, world.auditor(of=lender)):
        client = signed_in(someone)
        client.set_cookie("language", language)
        assert f"<h1>{word}</h1>" in client.get("/placements").text
        assert client.get(f"/placements/{placement.id}").status_code == 200


def test_the_cases_are_downloaded_without_anything_personal(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    text = signed_in(agency).get(f"/placements/{placement.id}/cases.csv").text
    assert len(CASE_NUMBER.findall(text)) == 3
    assert "张" not in text


def test_a_foreign_placement_is_as_unknown_as_none(world: World, signed_in: Client) -> None:
    placement = world.placement(world.lender(), world.agency())
    for someone in (world.agency(), world.lender()):
        client = signed_in(someone)
        assert client.get(f"/placements/{placement.id}").status_code == 404
        assert client.get(f"/placements/{placement.id}/cases.csv").status_code == 404


def test_a_collector_sees_no_placement_and_a_settlement_officer_recalls_none(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency)
    assert signed_in(world.person(agency, "collector")).get(f"/placements/{placement.id}").status_code == 403
    officer = signed_in(world.person(lender, "settlement_officer"))
    assert officer.get(f"/placements/{placement.id}").status_code == 200
    assert officer.post(f"/placements/{placement.id}/recall", data={"reason": "complaint"}).status_code == 403


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_freeze_shows_on_both_sides_and_is_lifted_by_the_lender(
    world: World, signed_in: Client, language: str
) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2)
    ours, theirs = signed_in(lender), signed_in(agency)
    for client in (ours, theirs):
        client.set_cookie("language", language)
    assert ours.post(f"/placements/{placement.id}/freeze", data={"reason": "licence"}).status_code == 302
    for client in (ours, theirs):
        assert "notice-title" in client.get(f"/placements/{placement.id}").text
    assert f"/placements/{placement.id}/cases.csv" not in theirs.get(f"/placements/{placement.id}").text
    assert theirs.get(f"/placements/{placement.id}/cases.csv").status_code == 409
    assert ours.post(f"/placements/{placement.id}/freeze", data={"reason": "licence"}).status_code == 409
    assert ours.post(f"/placements/{placement.id}/unfreeze").status_code == 302
    assert "notice-title" not in theirs.get(f"/placements/{placement.id}").text


def test_nobody_is_asked_to_acknowledge_what_is_frozen(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2, acknowledged=False)
    client = signed_in(agency)
    client.set_cookie("language", "en")
    asked = "1 placement waits for your acknowledgement"
    assert asked in client.get("/placements").text
    with world.database.work(lender.actor) as work:
        freezes.freeze(work, placement.id, "complaint")
    shown = client.get("/placements").text
    assert (asked in shown, "Every placement is acknowledged." in shown) == (False, False)


@pytest.mark.parametrize(("language", "words"), [("en", "Complaint"), ("zh", "投诉")])
def test_a_frozen_agency_reads_it_wherever_it_works(world: World, signed_in: Client, language: str, words: str) -> None:
    lender, agency = world.lender(), world.agency()
    placement, other = world.placement(lender, agency, [Debt(1)]), world.placement(lender, agency, [Debt(2)])
    collector = world.person(agency, "collector")
    with world.database.work(lender.actor) as work:
        freezes.freeze(work, placement.id, "complaint")
        freezes.freeze(work, other.id, "complaint")
    pages = [(agency, path) for path in ("/", "/worklist", "/placements")]
    for someone, path in [*pages, (collector, "/"), (collector, "/worklist")]:
        client = signed_in(someone)
        client.set_cookie("language", language)
        shown = client.get(path).text
        assert (shown.count(lender.organisation.name) > 0, shown.count("notice-title"), words in shown) == (
            True,
            1,
            True,
        ), path
    with world.database.work(lender.actor) as work:
        freezes.unfreeze(work, placement.id)
        freezes.unfreeze(work, other.id)
    assert "notice-title" not in signed_in(agency).get("/").text
    assert "notice-title" not in signed_in(world.agency()).get("/worklist").text


def test_every_placement_with_an_agency_is_frozen_from_one_of_them(world: World, signed_in: Client) -> None:
    lender, agency = world.lender("compliance_officer"), world.agency()
    for borrower in (1, 2):
        world.placement(lender, agency, [Debt(borrower)])
    client = signed_in(lender)
    assert client.post(f"/agencies/{agency.organisation.id}/freeze", data={"reason": "conduct"}).status_code == 302
    assert client.get("/placements").text.count("state-bad") == 2
    assert client.post(f"/agencies/{uuid4()}/freeze", data={"reason": "conduct"}).status_code == 404


def test_a_freeze_presumes_no_reason_and_the_agencys_own_is_on_its_page(world: World, signed_in: Client) -> None:
    lender, agency = world.lender("portfolio_manager"), world.agency()
    placement = world.placement(lender, agency, 2)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    shown, page = client.get(f"/placements/{placement.id}").text, f"/agencies/{agency.organisation.id}"
    assert '<option value="">Why?</option>' in shown
    assert (f'href="{page}"' in shown, f'"{page}/freeze"' in shown) == (True, False)
    assert "that takes a compliance officer" in client.get(page).text
    assert client.post(f"/placements/{placement.id}/freeze", data={"reason": ""}).status_code == 422


def test_what_the_agency_had_opened_is_on_the_page_after_the_recall_and_taken_away_as_csv(
    world: World, signed_in: Client
) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 2)
    case_id = world.case_ids(placement, lender)[0]
    with world.database.work(agency.actor) as work:
        releases.authorise(work, case_id, "identity", "verify_identity")
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "conduct")
    client = signed_in(lender)
    assert agency.member.name in client.get(f"/placements/{placement.id}").text
    assert agency.member.name in client.get(f"/placements/{placement.id}/opened").text
    taken = client.get(f"/placements/{placement.id}/opened.csv").text
    assert taken.count(str(case_id)) == 1
    assert signed_in(world.agency()).get(f"/placements/{placement.id}/opened").status_code == 404


def test_a_placement_that_waits_for_keys_says_so(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1, acknowledged=False)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Placement).where(Placement.id == placement.id).values(state=AWAITING_KEYS))
    for someone in (lender, agency):
        client = signed_in(someone)
        client.set_cookie("language", "en")
        page = client.get(f"/placements/{placement.id}").text
        assert "Awaiting keys" in page
        assert f"/placements/{placement.id}/acknowledge" not in page
        assert str(placement.id) in client.get("/placements?state=awaiting_keys").text
