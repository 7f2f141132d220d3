"""The first page of each persona, and an auditor's choice of mandate."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from models.services.collection import assignments
from models.services.exchange import recalls, stops
from models.services.oversight import needs
from models.services.settlement import commissions
from portal.access import PERMISSIONS
from portal.tasks import TASKS, Counted
from portal.words.oversight import RULES
from tests.conftest import Clock
from tests.facts import TODAY, Placed, jobs, payment, placed, receive_payments
from tests.world import Someone, World, within

Client = Callable[[Someone], FlaskClient]


@pytest.fixture
def of(world: World) -> Placed:
    """A placement of which ¥400.00 came back, and ¥9.00 in suspense."""
    made = placed(world, 2, contingency_rate=Decimal("0.10"))
    receive_payments(world, made.lender, payment(made.case, "400.00"), payment("NO-SUCH-CASE", "9.00"))
    with world.database.work(jobs(made.lender)) as work:
        commissions.book(work, TODAY)
    return made


def shown(client: FlaskClient, path: str = "/", language: str = "en") -> str:
    client.set_cookie("language", language)
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ["Commissionable this month", "1 payment is in suspense"]), ("zh", ["本月计佣回款", "1 笔款项挂账"])],
)
def test_a_lender_sees_figures_and_what_needs_somebody(
    of: Placed, signed_in: Client, language: str, words: list[str]
) -> None:
    page = shown(signed_in(of.lender), language=language)
    for text in (*words, "¥400", of.agency.organisation.name):
        assert text in page


def test_whatever_waits_for_somebody_is_told_and_leads_to_a_page(app: Flask) -> None:
    kinds = {kind for side in (*needs.OF_A_SIDE.values(), needs.OF_A_COLLECTOR) for kind in side}
    assert kinds | {needs.PAPERS_SHORT} == set(TASKS)
    with app.test_request_context(headers={"Cookie": "language=en"}):
        for kind, task in TASKS.items():
            assert (kind, task.permission in PERMISSIONS, "2" in task.sentence(2)) == (kind, True, True)
            assert url_for(task.endpoint, **task.query)


def test_an_overdue_stop_of_work_is_on_both_desks(world: World, of: Placed, signed_in: Client, clock: Clock) -> None:
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "conduct")
    clock.forward(days=8)
    for someone in (of.agency, of.lender):
        assert "1 confirmation of stopped work is overdue" in shown(signed_in(someone))


def test_the_curves_leave_as_csv(of: Placed, signed_in: Client) -> None:
    lines = signed_in(of.lender).get("/overview/liquidation.csv").text.splitlines()
    assert lines[1].startswith("2026-03,2000.00,0,0.200000,")  # and the export


def test_a_new_lender_is_told_where_to_begin(world: World, signed_in: Client) -> None:
    assert "Nothing is placed yet" in shown(signed_in(world.lender()))


@pytest.mark.parametrize(("language", "words"), [("en", "2 cases have no collector"), ("zh", "2 件未分配催收员")])
def test_a_manager_sees_what_to_do_today(of: Placed, signed_in: Client, language: str, words: str) -> None:
    page = shown(signed_in(of.agency), language=language)
    assert words in page
    assert of.lender.organisation.name in page


def test_a_collector_sees_their_own_day_and_no_money(world: World, of: Placed, signed_in: Client) -> None:
    collector = world.person(of.agency, "collector")
    with world.database.work(of.agency.actor) as work:
        assignments.assign(work, of.placement.id, collector.member.id, [of.case.id])
    page = shown(signed_in(collector))
    assert "1 case was never contacted" in page
    assert "¥" not in page


def test_the_operator_sees_health_and_no_tenants_figures(world: World, of: Placed, signed_in: Client) -> None:
    page = shown(signed_in(world.organisation("operator", "operator")))
    assert "Audit log behind" in page
    assert "¥" not in page


def test_an_auditor_chooses_a_mandate_and_sees_agencies_by_rules(world: World, of: Placed, signed_in: Client) -> None:
    auditor = world.auditor(of=of.lender)
    client = signed_in(Someone(auditor.organisation, auditor.member, within(auditor.actor, None)))  # type: ignore[arg-type]
    assert "Choose a mandate" in shown(client)
    answer = client.post("/mandate", data={"lender_id": of.lender.organisation.id})
    assert answer.status_code == 302
    page = shown(client)
    assert "Breaches that stand, by agency and rule" in page
    assert of.agency.organisation.name in page
    assert "verify-log audit-log.jsonl --key" in page


def test_a_lender_without_a_mandate_cannot_be_chosen(world: World, of: Placed, signed_in: Client) -> None:
    client = signed_in(world.auditor())
    assert client.post("/mandate", data={"lender_id": of.lender.organisation.id}).status_code == 404


def test_only_an_auditor_chooses_a_mandate(of: Placed, signed_in: Client) -> None:
    answer = signed_in(of.lender).post("/mandate", data={"lender_id": of.lender.organisation.id})
    assert answer.status_code == 403


def test_a_stranger_is_sent_to_the_door(app: Flask) -> None:
    answer = app.test_client().get("/")
    assert answer.location.endswith("/sign-in?next=/")


@pytest.mark.parametrize("role", ["portfolio_manager", "compliance_officer", "administrator"])
def test_whoever_sees_the_placements_is_told_what_their_agencies_owe_them(
    world: World, signed_in: Client, role: str
) -> None:
    lender, agency = world.lender(), world.agency()
    counted, worked = (world.placement(lender, agency, 2, acknowledged=known) for known in (False, True))
    signed_in(agency).post(f"/placements/{counted.id}/acknowledge", data={"case_count": "1", "balance": "1"})
    with world.database.work(lender.actor) as work:
        recalls.recall(work, worked.id, "complaint")
    client = signed_in(world.person(lender, role))
    page = shown(client)
    assert "1 acknowledgement is wrong or late" in page
    assert "1 recall: the agency has not confirmed yet that work has stopped" in page
    assert f"/placements/{counted.id}" in shown(client, "/placements?state=awaiting_acknowledgement")


def test_many_things_are_counted_with_their_thousands_mark(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        assert TASKS["cases_unassigned"].sentence(Counted(2031)) == "2,031 cases have no collector"


def test_every_rule_that_an_agency_broke_has_its_column_on_the_auditors_first_page(
    world: World, of: Placed, signed_in: Client, clock: Clock
) -> None:
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "lender_request")
    clock.forward(days=1)
    with world.database.work(jobs(of.lender)) as work:
        assert stops.flag_missing(work) == 1
    page = shown(signed_in(world.auditor(of.lender)))
    assert "1 breach stands" in page
    assert "Stop of work not confirmed</th>" in page
    assert "rule_id=stop_work_not_confirmed" in page


def test_the_auditors_list_of_rules_has_every_rule_that_the_matrix_has(
    world: World, of: Placed, signed_in: Client
) -> None:
    page = shown(signed_in(world.auditor(of.lender)))
    matrix, rules = page.split("<h2>The rules in force</h2>")
    columns = set(re.findall(r"rule_id=([\w-]+)", matrix))
    words = {RULES[rule_id] for rule_id in columns}
    assert "stop_work_not_confirmed" in columns
    assert set(re.findall(r"<li><b>(.*?)</b>", rules)) == words


def test_new_breaches_are_called_flagged_as_the_list_calls_them(of: Placed, signed_in: Client) -> None:
    assert "0 flagged in 7 days" in shown(signed_in(of.lender))
