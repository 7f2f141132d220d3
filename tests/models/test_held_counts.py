"""How many cases a placement holds is kept with it, and says the same as its cases, however they end."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest
from sqlalchemy import func, select

from models.placement import PlacedCase, Placement
from models.services.exchange import expiries, recalls, returns
from models.services.parties import agency_records
from models.work import Work
from tests.facts import Placed, jobs, placed
from tests.world import World


def recall(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", [ground.case.id])


def give_back(world: World, ground: Placed) -> None:
    with world.database.work(ground.agency.actor) as work:
        returns.give_back(work, ground.placement.id, "capacity", [ground.case.id])


def expire(world: World, ground: Placed) -> None:
    world.clock.forward(days=91)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        expiries.expire_due(work)


ENDS: Final[Mapping[str, tuple[Callable[[World, Placed], None], int]]] = {
    "recall": (recall, 3),
    "return": (give_back, 3),
    "expiry": (expire, 0),
}


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 4)


def counted(work: Work, ground: Placed) -> tuple[int, int, int]:
    """As the placement keeps it, as its cases say, and as the gate is told of the agency."""
    kept = work.session.scalars(select(Placement.held_count).where(Placement.id == ground.placement.id)).one()
    live = select(func.count()).where(PlacedCase.placement_id == ground.placement.id, PlacedCase.ended_at.is_(None))
    agency_id = ground.agency.organisation.id
    told = agency_records.read(work, ground.lender.organisation.id, [agency_id], work.at)[agency_id].open_cases
    return kept, work.session.scalars(live).one(), told


def test_a_fresh_placement_holds_all_its_cases(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        assert counted(work, ground) == (4, 4, 4)


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_case_is_counted(world: World, ground: Placed, end: str) -> None:
    act, left = ENDS[end]
    act(world, ground)
    with world.database.work(ground.lender.actor) as work:
        assert counted(work, ground) == (left, left, left)


def test_a_second_act_on_the_same_case_counts_nothing_twice(world: World, ground: Placed) -> None:
    give_back(world, ground)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")
        assert counted(work, ground) == (0, 0, 0)
