"""What came back by its term goes on to the next tier, as the lender lets it."""

from typing import Any, NamedTuple

from models.business_day import day_of
from models.lender_setting import AUTOMATIC, OFF
from models.placement import LIVE
from models.services import notices
from models.services.exchange import (
    allocations,
    expiries,
    placements,
    recalls,
    rotations,
)
from models.tender import AWAITING_APPROVAL, PLACED
from tests.conftest import Clock
from tests.facts import jobs
from tests.panels import (
    Panel,
    change_settings,
    committed,
    holders,
)
from tests.world import Someone, World


class Tiers(NamedTuple):
    """A lender with one agency of each tier, whose first tier's term has just ended."""

    of: Panel
    first: Someone
    second: Someone


def expired(world: World, clock: Clock, cases: int = 4, approval_cases: int = 1000, **terms: Any) -> Tiers:
    lender, first, second = world.lender(), world.agency(), world.agency()
    agreement = world.agreement(lender, first, term_days=10)
    next_one = world.agreement(lender, second, tier=2, **terms)
    of = Panel(lender, [first, second], [agreement, next_one], world.portfolio(lender, cases).id)
    change_settings(world, of, rotation=AUTOMATIC, approval_cases=approval_cases, paying_days=0)
    committed(world, of._replace(agreements=[agreement]))
    clock.forward(days=10, hours=1)
    with world.database.work(jobs(lender, "expiry")) as work:
        assert expiries.expire_due(work) == 1
    return Tiers(of, first, second)


def rotate(world: World, of: Panel) -> dict[str, int]:
    with world.database.work(jobs(of.lender, "rotation")) as work:
        return rotations.run(work, day_of(work.at))


def test_what_came_back_by_its_term_goes_on_to_the_next_tier(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    assert rotate(world, tiers.of) == {"placed": 4, "left_free": 0, "awaiting_approval": 0}
    assert set(holders(world, tiers.of).values()) == {tiers.second.organisation.id}


def test_rotating_twice_is_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    rotate(world, tiers.of)
    assert rotate(world, tiers.of) == {"placed": 0, "left_free": 0, "awaiting_approval": 0}


def test_nothing_rotates_unless_the_lender_lets_it(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    change_settings(world, tiers.of, rotation=OFF)
    rotate(world, tiers.of)
    assert set(holders(world, tiers.of).values()) == {None}


def test_what_nobody_can_take_stays_free_and_the_lender_is_told_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock, open_cases_max=2)
    assert [rotate(world, tiers.of)["left_free"] for _ in range(2)] == [4, 4]
    assert set(holders(world, tiers.of).values()) == {None}
    with world.database.work(tiers.of.lender.actor) as work:
        told = [one for one in notices.list_own(work) if one.kind == "rotation.left_free"]
    assert [one.facts["cases"] for one in told] == [4]


def test_an_earlier_agency_does_not_get_them_again(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    again = world.agreement(tiers.of.lender, tiers.first, tier=2)
    rotate(world, tiers.of)
    assert again.agency_id not in holders(world, tiers.of).values()


def test_a_recalled_case_does_not_rotate(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    rotate(world, tiers.of)
    with world.database.work(tiers.of.lender.actor) as work:
        live = next(one for one in placements.list_own(work) if one.state in LIVE)
        recalls.recall(work, live.id, "lender_request")
    world.agreement(tiers.of.lender, world.agency(), tier=3)
    assert rotate(world, tiers.of)["placed"] == 0


def test_a_large_rotation_waits_for_a_person_and_is_proposed_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock, approval_cases=4)
    change_settings(world, tiers.of, approval_cases=3)
    assert rotate(world, tiers.of)["awaiting_approval"] == 4
    assert rotate(world, tiers.of)["awaiting_approval"] == 0
    with world.database.work(tiers.of.lender.actor) as work:
        (waiting,) = allocations.list_own(work, state=AWAITING_APPROVAL)
        assert allocations.commit(work, waiting.id).state == PLACED
