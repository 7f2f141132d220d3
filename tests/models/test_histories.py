"""The history of a case: every tender that held it, to whom it was proposed, and the placement it came to."""

from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from models.allocation import FOLLOWED
from models.allocation_plan import RULES, Plan, Rule, Where, equal_shares
from models.errors import NotFound
from models.offer import Offer
from models.placement import PlacedCase
from models.services.exchange import awards, histories, offers, recalls, retentions, tenders
from models.services.exchange.histories import Share, Stage
from models.services.parties import lender_settings, standings
from models.services.portfolio import cases, exclusions
from models.tender import Tender
from models.tender_plan import Plan as TenderPlan
from tests.bidding import HOURS, auction, commit, reveal, terms
from tests.conftest import Clock
from tests.facts import TODAY, Placed, balance, placed, promise, receive_balances
from tests.panels import Panel, committed, equally, holders, panel
from tests.world import Debt, Someone, World


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2)


def free_again(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")


def tender_to(world: World, ground: Placed, *agencies: Someone, kind: str = "assigned") -> Tender:
    """The same cases again, to one of the agencies after the other, or to all of them."""
    named = [world.agreement(ground.lender, agency, "0.25").id for agency in agencies]
    with world.database.work(ground.lender.actor) as work:
        return tenders.create(work, TenderPlan(ground.placement.portfolio_id, kind, named))


def newest_offer(world: World, agency: Someone) -> Offer:
    with world.database.work(agency.actor) as work:
        return offers.list_own(work)[0]


def accept(world: World, agency: Someone) -> None:
    with world.database.work(agency.actor) as work:
        offers.accept(work, newest_offer(world, agency).id)


def decline(world: World, agency: Someone, reason: str = "rate") -> None:
    with world.database.work(agency.actor) as work:
        offers.decline(work, newest_offer(world, agency).id, reason)


def history(world: World, someone: Someone, case_id: UUID) -> list[Stage]:
    with world.database.work(someone.actor) as work:
        return histories.of_case(work, case_id)


def answers(stage: Stage) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.agency_name, one.state, one.reasons) for one in stage.proposals]


def test_each_placement_is_a_row_with_who_when_how_much_and_why(world: World, ground: Placed) -> None:
    receive_balances(world, ground.lender, balance(ground.case, "700.00"))
    free_again(world, ground)
    world.clock.forward(days=3)  # type: ignore[attr-defined]
    second = world.agency()
    tender = tender_to(world, ground, second)
    accept(world, second)
    maker = ground.lender.member.name
    for someone in (ground.lender, world.auditor(ground.lender)):
        first, now = history(world, someone, ground.case.id)
        assert first.placed is not None
        assert (first.number, first.placed.agency_name, first.placed.end_reason) == (
            1,
            ground.agency.organisation.name,
            "lender_request",
        )
        assert (first.placed.balance_at_start, first.placed.balance_at_end) == (Decimal("1000.00"), Decimal("700.00"))
        assert now.placed is not None
        assert (now.number, now.placed.agency_id, now.placed.ended_at) == (2, second.organisation.id, None)
        assert (now.placed.balance_at_start, now.placed.contingency_rate) == (Decimal("700.00"), Decimal("0.25"))
        assert (now.tender_id, now.kind, now.state, now.made_by) == (tender.id, "assigned", "placed", maker)
        assert answers(now) == [(second.organisation.name, "accepted", ())]


def test_whom_it_was_proposed_to_stands_beside_who_has_it(world: World, ground: Placed) -> None:
    free_again(world, ground)
    declining, stopped, taking, never_asked = (world.agency() for _ in range(4))
    tender_to(world, ground, declining, stopped, taking, never_asked)
    with world.database.work(world.person(ground.lender, "compliance_officer").actor) as work:
        standings.suspend(work, stopped.organisation.id, "conduct")
    decline(world, declining, "capacity")
    accept(world, taking)
    _, now = history(world, ground.lender, ground.case.id)
    assert answers(now) == [
        (declining.organisation.name, "declined", ("capacity",)),
        (stopped.organisation.name, "passed_over", ("agency_suspended",)),
        (taking.organisation.name, "accepted", ()),
    ]
    assert now.placed is not None
    assert now.placed.agency_id == taking.organisation.id
    asked_at, decided_at = now.proposals[0].asked_at, now.proposals[0].decided_at
    assert (asked_at, decided_at) == (world.clock(), world.clock())


def test_a_tender_that_nobody_took_is_a_row_without_a_placement(world: World, clock: Clock, ground: Placed) -> None:
    free_again(world, ground)
    clock.forward(hours=1)
    unwilling, willing = world.agency(), world.agency()
    tender_to(world, ground, unwilling)
    decline(world, unwilling)
    clock.forward(hours=1)
    tender_to(world, ground, unwilling, willing, kind="first_claim")
    accept(world, willing)
    first, nobody, now = history(world, ground.lender, ground.case.id)
    assert [stage.number for stage in (first, nobody, now)] == [1, None, 2]
    assert (nobody.placed, nobody.state, answers(nobody)) == (
        None,
        "unanswered",
        [(unwilling.organisation.name, "declined", ("rate",))],
    )
    assert answers(now) == [
        (unwilling.organisation.name, "taken", ()),
        (willing.organisation.name, "accepted", ()),
    ]


def test_a_tender_that_placed_the_others_without_the_case_says_so(world: World, ground: Placed) -> None:
    free_again(world, ground)
    agency = world.agency()
    tender_to(world, ground, agency)
    with world.database.work(ground.lender.actor) as work:
        exclusions.record(work, ground.case.id, "hardship", "lender", TODAY)
    accept(world, agency)
    _, last = history(world, ground.lender, ground.case.id)
    assert (last.number, last.state, last.placed) == (None, "placed", None)


def test_who_was_outbid_is_told_beside_who_won(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.200000"))
    commit(world, *tendered.bidders)
    clock.forward(hours=HOURS)
    reveal(world, *tendered.bidders)
    clock.forward(hours=HOURS)
    with world.database.work(tendered.lender.actor) as work:
        awards.award(work, tendered.tender.id)
    with world.database.work(tendered.lender.actor) as work:
        line = cases.list_own(work, cases.CaseFilter(portfolio_id=tendered.tender.portfolio_id))[0]
    (stage,) = history(world, tendered.lender, line.case.id)
    winner, loser = (bidder.someone.organisation.name for bidder in tendered.bidders)
    assert answers(stage) == [(winner, "won", ()), (loser, "lost", ("score_lower",))]


def test_an_allocation_tells_its_seed_and_the_agencys_share_and_asked_nobody(world: World) -> None:
    of = panel(world, 6, agencies=2)
    tender = committed(world, of, equally(of))
    case_id, agency_id = next(iter(holders(world, of).items()))
    (stage,) = history(world, of.lender, case_id)
    assert (stage.kind, stage.seed, stage.proposals) == ("allocation", tender.rules["seed"], ())
    assert stage.placed is not None
    assert stage.placed.agency_id == agency_id
    assert (stage.placed.rule, stage.placed.shares) == (1, (Share(1, Decimal("50.00")),))


def test_of_several_rules_for_an_agency_the_one_that_gave_it_the_case_is_told(world: World) -> None:
    of = panel(world, 1, agencies=1)
    (case_id,) = allocated_by_two(world, of)
    assert rule_told(world, of, case_id) == (2, (Share(2, Decimal(100)),))
    with world.database.work(of.lender.actor) as work:  # As before it was kept.
        work.session.execute(update(PlacedCase).where(PlacedCase.case_id == case_id).values(rule=None))
    assert rule_told(world, of, case_id) == (None, (Share(1, Decimal(100)), Share(2, Decimal(100))))


def test_a_case_that_followed_its_borrower_came_by_no_share(world: World) -> None:
    of = panel(world, [Debt(1)], agencies=1)
    first = allocated_by_two(world, of)
    more = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(1)]).id)
    (case_id,) = allocated_by_two(world, more) - first
    assert rule_told(world, of, case_id) == (FOLLOWED, ())


def allocated_by_two(world: World, of: Panel) -> set[UUID]:
    """By rules of which the second alone fits anything; answers the lender's cases."""
    shares = equal_shares(of.ids)
    committed(world, of, Plan(RULES, [Rule(shares, Where(amount_from=Decimal(10**6))), Rule(shares)], b""))
    return set(holders(world, of))


def rule_told(world: World, of: Panel, case_id: UUID) -> tuple[int | None, tuple[Share, ...]]:
    (stage,) = history(world, of.lender, case_id)
    assert stage.placed is not None
    return stage.placed.rule, stage.placed.shares


def test_a_second_person_is_named(world: World, ground: Placed) -> None:
    free_again(world, ground)
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"approval_cases": 1})
    tender = tender_to(world, ground, world.agency())
    other = world.person(ground.lender, "administrator")
    with world.database.work(other.actor) as work:
        tenders.approve(work, tender.id)
    _, now = history(world, ground.lender, ground.case.id)
    assert (now.made_by, now.approved_by) == (ground.lender.member.name, other.member.name)


def test_a_retained_case_says_until_when_and_why(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 50})
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    promise(world, ground)
    with world.database.work(ground.agency.actor) as work:
        retentions.request(work, ground.placement.id, [ground.case.id], "promise", 7)
    with world.database.work(ground.lender.actor) as work:
        retentions.decide(work, [line.retention.id for line in retentions.list_own(work)], approve=True)
        (row,) = histories.of_case(work, ground.case.id)
    assert row.placed is not None
    retained = row.placed.retained
    assert retained is not None
    assert (retained.ground, retained.requested, retained.until) == ("promise", True, row.placed.ends_at)


def test_a_case_that_was_never_tendered_has_no_history(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work:
        (line,) = cases.list_own(work, cases.CaseFilter(portfolio_id=portfolio.id))
        assert histories.of_case(work, line.case.id) == []


def test_the_history_of_a_foreign_case_is_unknown(world: World, ground: Placed) -> None:
    for case_id in (ground.case.id, uuid4()):
        with world.database.work(world.lender().actor) as work, pytest.raises(NotFound):
            histories.of_case(work, case_id)
