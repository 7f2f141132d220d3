"""The figures of the first pages, and what waits for whom."""

import datetime as dt
from decimal import Decimal

import pytest

from models.rates import Cell
from models.recall_request import OBJECTIONS
from models.services import job_runs
from models.services.collection import assignments
from models.services.exchange import (
    acknowledgements,
    agreements,
    offers,
    placements,
    rate_cards,
    recall_lists,
    recalls,
    stops,
    tenders,
)
from models.services.exchange.tenders import Plan
from models.services.oversight import conduct, exchange_needs, needs, overviews
from models.services.parties import freezes, lender_settings
from models.services.portfolio import portfolios
from models.services.settlement import commissions, reconciliations
from models.work import OPERATOR, Actor, Work
from tests.conftest import Clock
from tests.facts import TODAY, Placed, balance, call, claim, jobs, payment, placed, receive_balances, receive_payments
from tests.world import Debt, Someone, World

NIGHT = dt.datetime(2026, 3, 9, 15, 0, tzinfo=dt.UTC)  # 23:00 in Shanghai


@pytest.fixture
def of(world: World) -> Placed:
    return placed(world, [Debt(1, "1000.00"), Debt(2, "3000.00")], contingency_rate=Decimal("0.10"))


def book(world: World, lender: Someone) -> None:
    with world.database.work(jobs(lender)) as work:
        commissions.book(work, TODAY)


def waiting(world: World, someone: Someone) -> dict[str, int]:
    with world.database.work(someone.actor) as work:
        return {need.kind: need.waiting_count for need in needs.list_own(work)}


def figures(work: Work) -> overviews.Figures:
    return overviews.figures(work, "CNY", overviews.parties(work, "CNY"))


def test_a_lender_sees_what_is_placed_and_what_came_back_this_month(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.cases[0], "400.00"))
    book(world, of.lender)
    with world.database.work(of.lender.actor) as work:
        found = figures(work)
    assert (found.placed_case_count, found.placed_balance) == (2, Decimal("4000.00"))
    assert (found.recovered, found.recovered_before, found.commission) == (400, 0, 40)


def test_a_case_paid_off_is_in_nobodys_hands(world: World, of: Placed) -> None:
    receive_balances(world, of.lender, balance(of.cases[0], "0.00", "paid_off"))
    for someone in (of.lender, of.agency):
        with world.database.work(someone.actor) as work:
            assert figures(work).placed_case_count == 1
            assert overviews.parties(work, "CNY")[0].placed_case_count == 1
            assert placements.figures_owed(work, of.placement.id) == (1, Decimal("3000.00"))
    with world.database.work(of.lender.actor) as work:
        (progress,) = portfolios.progress(work, [of.cases[0].portfolio_id]).values()
    assert (progress.placed, progress.closed) == (1, 1)


def test_both_sides_see_the_same_figures_of_one_placement(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.cases[0], "400.00"))
    book(world, of.lender)
    sides = []
    for someone in (of.lender, of.agency):
        with world.database.work(someone.actor) as work:
            (party,) = overviews.parties(work, "CNY")
            sides.append((figures(work), party[2:]))
    assert sides[0] == sides[1]
    assert sides[0][1][3] == Decimal("400.00")


def test_a_vintage_is_what_came_back_by_day_of_what_was_referred(world: World, of: Placed, clock: Clock) -> None:
    clock.forward(days=3)
    paid = [payment(of.cases[0], "400.00", TODAY), payment(of.cases[1], "600.00", TODAY + dt.timedelta(days=2))]
    receive_payments(world, of.lender, *paid)
    book(world, of.lender)
    with world.database.work(of.lender.actor) as work:
        (vintage,) = overviews.vintages(work, "CNY")
    rates = [Decimal("0.1"), Decimal("0.1"), Decimal("0.25"), Decimal("0.25")]
    assert vintage.name == "2026-03"
    assert vintage.curve() == list(enumerate(rates))


def test_another_lenders_money_is_in_no_figure(world: World, of: Placed) -> None:
    other = placed(world, 1)
    receive_payments(world, other.lender, payment(other.case, "77.00"))
    book(world, other.lender)
    with world.database.work(of.lender.actor) as work:
        assert figures(work).recovered == 0
        assert [party.id for party in overviews.parties(work, "CNY")] == [of.agency.organisation.id]


def test_breaches_are_counted_by_the_week_of_their_day(world: World, of: Placed) -> None:
    call(world, of, NIGHT)
    with world.database.work(jobs(of.lender, "conduct")) as work:
        conduct.sweep(work, TODAY - dt.timedelta(days=1))
    with world.database.work(world.auditor(of=of.lender).actor) as work:
        trend = overviews.breach_trend(work)
    weeks = trend[of.agency.organisation.id]
    assert list(weeks)[-1] == dt.date(2026, 3, 9)
    # Both the standard and the industry's rule forbid calls at night.
    assert sum(weeks.values()) == weeks[dt.date(2026, 3, 9)] == 2


def test_a_manager_sees_the_teams_day_and_a_collector_their_own(world: World, of: Placed, clock: Clock) -> None:
    mine, idle = world.person(of.agency, "collector"), world.person(of.agency, "collector")
    with world.database.work(of.agency.actor) as work:
        assignments.assign(work, of.placement.id, mine.member.id, [of.case.id])
    call(world, of._replace(agency=mine), clock())
    with world.database.work(of.agency.actor) as work:
        team = {mate.id: (mate.case_count, mate.contact_count) for mate in overviews.team(work)}
    with world.database.work(mine.actor) as work:
        own = [mate.id for mate in overviews.team(work)]
    assert team == {mine.member.id: (1, 1), idle.member.id: (0, 0)}
    assert own == [mine.member.id]


def test_what_waits_is_told_to_whose_turn_it_is(world: World, of: Placed) -> None:
    claim(world, of, "50.00")
    receive_payments(world, of.lender, payment("NO-SUCH-CASE", "9.00"))
    call(world, of, NIGHT)
    with world.database.work(jobs(of.lender, "reconciliation")) as work:
        reconciliations.run(work, TODAY)
    with world.database.work(jobs(of.lender, "conduct")) as work:
        conduct.sweep(work, TODAY - dt.timedelta(days=1))
    assert waiting(world, of.lender) == {"breaches_flagged": 2, "payments_in_suspense": 1}
    assert waiting(world, of.agency) == {"breaches_flagged": 2, "breaks_ours": 1, "cases_unassigned": 2}


def test_a_break_that_an_agency_leaves_for_days_is_the_lenders_to_press(world: World, of: Placed, clock: Clock) -> None:
    claim(world, of, "50.00")
    with world.database.work(jobs(of.lender, "reconciliation")) as work:
        reconciliations.run(work, TODAY)
    clock.forward(days=needs.STALLED_DAYS, minutes=1)
    assert waiting(world, of.lender) == {"breaks_stalled": 1}


def test_an_offer_waits_for_the_agency_until_it_expires(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    world.offer(lender, agency)
    assert waiting(world, agency) == {"offers_unanswered": 1}
    assert waiting(world, lender) == {}
    clock.forward(hours=73)
    assert waiting(world, agency) == {}


def test_a_collector_is_told_of_their_own_cases_alone(world: World, of: Placed) -> None:
    mine, idle = world.person(of.agency, "collector"), world.person(of.agency, "collector")
    with world.database.work(of.agency.actor) as work:
        assignments.assign(work, of.placement.id, mine.member.id, [of.case.id])
    assert waiting(world, mine) == {"never_contacted": 1}
    assert waiting(world, idle) == {}


def test_the_longest_waiting_comes_first(world: World, clock: Clock) -> None:
    lender = world.lender()
    world.portfolio(lender)
    clock.forward(days=1)
    receive_payments(world, lender, payment("NO-SUCH-CASE", "9.00"))
    with world.database.work(lender.actor) as work:
        found = needs.list_own(work)
    assert [need.kind for need in found] == ["portfolios_unoffered", "payments_in_suspense"]


def test_the_operator_sees_health_and_no_tenants_data(world: World, of: Placed) -> None:
    with world.database.work(jobs(of.lender)) as work:
        job_runs.start(work, "conduct", TODAY)
        job_runs.fail(work, "conduct", TODAY, "ValueError")
    operator = Actor(side=OPERATOR, org_id=world.operator.org_id)
    with world.database.work(operator) as work:
        health = overviews.health(work)
        found = {need.kind for need in needs.list_own(work)}
    assert health.organisation_counts["lender"] >= 1
    assert health.run_counts["failed"] >= 1
    assert health.waiting_entry_count > 0
    assert found == {"runs_failed"}


def test_what_needs_a_second_person_waits_for_everybody_but_the_first(world: World, of: Placed) -> None:
    second, agency = world.person(of.lender, "compliance_officer"), world.agency()
    with world.database.work(second.actor) as work:
        lender_settings.change(work, {"approval_cases": 0})
    agreement = world.agreement(of.lender, agency)
    portfolio = world.portfolio(of.lender, [Debt(9)])
    with world.database.work(of.lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", [agreement.id]))
        day = TODAY + dt.timedelta(days=30)
        rate_cards.propose(work, agreement.id, rate_cards.Terms([Cell(Decimal("0.2"))], day))
        terms = agreements.Terms(
            "A-9", "CNY", 90, 0, False, "PA", "IA", TODAY, TODAY + dt.timedelta(days=99), Decimal("0.1")
        )
        agreements.create(work, agency.organisation.code, terms)
    proposed = {"agreements_proposed": 1, "rate_cards_proposed": 1, "tenders_unapproved": 1}
    assert not proposed.keys() & waiting(world, of.lender).keys()
    assert proposed.items() <= waiting(world, second).items()
    assert waiting(world, world.lender()) == {}


def test_requests_objections_and_wrong_counts_wait_for_the_lender(world: World, of: Placed, clock: Clock) -> None:
    world.placement(of.lender, world.agency(), [Debt(9)], acknowledged=False)
    clock.forward(hours=49)
    with world.database.work(jobs(of.lender)) as work:
        assert acknowledgements.flag_missing(work) == 1
    with world.database.work(of.lender.actor) as work:
        request = recalls.request(work, of.placement.id, "lender_request", [case.id for case in of.cases])
    with world.database.work(of.agency.actor) as work:
        recalls.object_to(work, request.id, [case.id for case in of.cases], OBJECTIONS[0])
    found = waiting(world, of.lender)
    assert {"acknowledgements_broken": 1, "recalls_objected": 1}.items() <= found.items()


def test_a_recall_waits_for_the_agency_to_say_that_work_has_stopped(world: World, of: Placed) -> None:
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "conduct")
    assert waiting(world, of.agency) == {"stops_unconfirmed": 1}
    with world.database.work(of.agency.actor) as work:
        (line,) = recall_lists.list_own(work)
        stops.confirm(work, line.request.id, 2)
    assert waiting(world, of.agency) == {}


def test_a_stop_of_work_that_is_overdue_waits_on_both_desks(world: World, of: Placed, clock: Clock) -> None:
    with world.database.work(of.lender.actor) as work:
        made = recalls.recall(work, of.placement.id, "conduct")
    assert made.stop_due_at is not None
    clock.forward(seconds=(made.stop_due_at - clock()).total_seconds())
    assert waiting(world, of.agency) == {"stops_overdue": 1}
    assert waiting(world, of.lender).items() >= {"stops_overdue": 1, "placements_ended": 1}.items()


def test_cases_that_are_free_again_are_told_for_a_week(world: World, of: Placed, clock: Clock) -> None:
    offer = world.offer(of.lender, of.agency)
    with world.database.work(of.agency.actor) as work:
        offers.decline(work, offer.id, "capacity")
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "lender_request")
    free = {"tenders_unanswered": 1, "placements_ended": 1}
    assert free.items() <= waiting(world, of.lender).items()
    clock.forward(days=exchange_needs.FREE_DAYS)
    assert not free.keys() & waiting(world, of.lender).keys()


def test_an_agency_is_told_for_a_day_that_it_may_go_on(world: World, of: Placed, clock: Clock) -> None:
    with world.database.work(of.lender.actor) as work:
        freezes.freeze(work, of.placement.id, "conduct")
    assert "freezes_lifted" not in waiting(world, of.agency)
    with world.database.work(of.lender.actor) as work:
        freezes.unfreeze(work, of.placement.id)
    assert waiting(world, of.agency)["freezes_lifted"] == 1
    clock.forward(hours=exchange_needs.LIFTED_HOURS)
    assert "freezes_lifted" not in waiting(world, of.agency)


def test_who_made_a_tender_sees_that_it_waits_for_somebody_else(world: World, of: Placed) -> None:
    second = world.person(of.lender, "administrator")
    with world.database.work(second.actor) as work:
        lender_settings.change(work, {"approval_cases": 0})
    agreement, portfolio = world.agreement(of.lender, world.agency()), world.portfolio(of.lender)
    with world.database.work(of.lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", [agreement.id]))
    assert waiting(world, of.lender)["own_tenders_unapproved"] == 1
    assert waiting(world, second)["tenders_unapproved"] == 1
    assert "own_tenders_unapproved" not in waiting(world, second)
