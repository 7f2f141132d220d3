"""The history of a case: every placement it was in, in order, and who else was asked."""

from decimal import Decimal
from uuid import uuid4

import pytest

from models.errors import NotFound
from models.services.exchange import histories, offers, recalls, retentions, tenders
from models.services.parties import lender_settings
from models.services.portfolio import cases
from tests.facts import Placed, balance, placed, receive_balances
from tests.world import Someone, World


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2)


def place_again(world: World, ground: Placed, *asked: Someone) -> None:
    """Offered to one after the other; the last takes it."""
    for place, agency in enumerate(asked, start=1):
        agreement = world.agreement(ground.lender, agency, "0.25")
        with world.database.work(ground.lender.actor) as work:
            offer = tenders.assign(work, ground.placement.portfolio_id, agreement.id)
        with world.database.work(agency.actor) as work:
            if place < len(asked):
                offers.decline(work, offer.id, "rate")
            else:
                offers.accept(work, offer.id)


def test_each_placement_is_a_row_with_who_when_how_much_and_why(world: World, ground: Placed) -> None:
    receive_balances(world, ground.lender, balance(ground.case, "700.00"))
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")
    world.clock.forward(days=3)  # type: ignore[attr-defined]
    second = world.agency()
    place_again(world, ground, second)
    for someone in (ground.lender, world.auditor(ground.lender)):
        with world.database.work(someone.actor) as work:
            first, now = histories.of_case(work, ground.case.id)
        assert (first.number, first.agency_name, first.end_reason) == (
            1,
            ground.agency.organisation.name,
            "lender_request",
        )
        assert (first.balance_at_start, first.balance_at_end) == (Decimal("1000.00"), Decimal("700.00"))
        assert (now.number, now.agency_id, now.ended_at) == (2, second.organisation.id, None)
        assert (now.balance_at_start, now.contingency_rate, now.kind) == (
            Decimal("700.00"),
            Decimal("0.25"),
            "assigned",
        )
        assert [(p.agency_id, p.state) for p in now.proposals] == [(second.organisation.id, "accepted")]


def test_a_retained_case_says_until_when_and_why(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 50})
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    with world.database.work(ground.agency.actor) as work:
        retentions.request(work, ground.placement.id, [ground.case.id], "negotiation", 7)
    with world.database.work(ground.lender.actor) as work:
        retentions.decide(work, [line.retention.id for line in retentions.list_own(work)], approve=True)
        (row,) = histories.of_case(work, ground.case.id)
    assert row.retained is not None
    assert (row.retained.ground, row.retained.requested, row.retained.until) == ("negotiation", True, row.ends_at)


def test_a_case_that_was_never_placed_has_no_history(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work:
        (line,) = cases.list_own(work, cases.CaseFilter(portfolio_id=portfolio.id))
        assert histories.of_case(work, line.case.id) == []


def test_the_history_of_a_foreign_case_is_unknown(world: World, ground: Placed) -> None:
    for case_id in (ground.case.id, uuid4()):
        with world.database.work(world.lender().actor) as work, pytest.raises(NotFound):
            histories.of_case(work, case_id)
