"""Breaks before work starts: kept, seen by both sides, and closed by the right count or the end."""

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import select

from models.acknowledgement_break import MISMATCH, MISSING
from models.errors import Conflict, NotFound
from models.notice import Notice
from models.placement import ACTIVE, Placement
from models.services.exchange import acknowledgements, placements, recalls
from tests.facts import jobs
from tests.world import Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, 3, acknowledged=False)


def miscount(world: World, agency: Someone, placement: Placement, count: int = 2, balance: str = "2000.00") -> None:
    with pytest.raises(Conflict), world.database.work(agency.actor) as work:
        placements.acknowledge(work, placement.id, count, Decimal(balance))
    with world.database.work(agency.actor) as work:
        acknowledgements.record_mismatch(work, placement.id, count, Decimal(balance))


def test_a_wrong_count_is_kept_with_both_figures_for_both_sides(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    miscount(world, agency, placement)
    for someone in (lender, agency, world.auditor(lender)):
        with world.database.work(someone.actor) as work:
            (kept,) = acknowledgements.list_of_placement(work, placement.id)
        assert (kept.kind, kept.case_count, kept.balance) == (MISMATCH, 2, Decimal("2000.00"))
        assert (kept.case_count_expected, kept.balance_expected) == (3, Decimal("3000.00"))
        assert (kept.member_id, kept.noted_at, kept.closed_at) == (agency.member.id, world.clock(), None)


def test_a_further_wrong_count_takes_the_place_of_the_first(
    world: World, agency: Someone, lender: Someone, placement: Placement
) -> None:
    miscount(world, agency, placement)
    miscount(world, agency, placement, 3, "2999.99")
    with world.database.work(lender.actor) as work:
        ((kept, broken),) = acknowledgements.list_open(work)
    assert broken.id == placement.id
    assert (kept.case_count, kept.balance) == (3, Decimal("2999.99"))


def test_however_often_an_agency_miscounts_the_lender_is_told_of_the_break_once(
    world: World, agency: Someone, lender: Someone, placement: Placement
) -> None:
    for count in range(4, 8):
        world.clock.forward(seconds=1)  # type: ignore[attr-defined]
        miscount(world, agency, placement, count, "1.00")
    with world.database.work(lender.actor) as work:
        assert len(work.session.scalars(select(Notice).where(Notice.kind == "placement.mismatch")).all()) == 1
        ((kept, _),) = acknowledgements.list_open(work)
    assert kept.case_count == 7


def test_the_right_count_closes_the_break(world: World, agency: Someone, placement: Placement) -> None:
    miscount(world, agency, placement)
    with world.database.work(agency.actor) as work:
        assert placements.acknowledge(work, placement.id, 3, Decimal(3000)).state == ACTIVE
        (closed,) = acknowledgements.list_of_placement(work, placement.id)
        assert acknowledgements.list_open(work) == []
    assert (closed.cause, closed.closed_at) == ("acknowledged", world.clock())


def test_the_recall_of_the_placement_closes_the_break(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    miscount(world, agency, placement)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "placed_in_error")
        (closed,) = acknowledgements.list_of_placement(work, placement.id)
    assert closed.cause == "placed_in_error"


def test_right_figures_and_an_active_placement_make_no_break(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    with world.database.work(agency.actor) as work:
        assert acknowledgements.record_mismatch(work, placement.id, 3, Decimal(3000)) is None
        placements.acknowledge(work, placement.id, 3, Decimal(3000))
        assert acknowledgements.record_mismatch(work, placement.id, 1, Decimal(1)) is None
    with world.database.work(lender.actor) as work:
        assert acknowledgements.list_open(work) == []


def test_silence_of_two_days_is_a_break_once_and_both_sides_are_told(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    world.clock.forward(hours=47)  # type: ignore[attr-defined]
    with world.database.work(jobs(lender)) as work:
        assert acknowledgements.flag_missing(work) == 0
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    with world.database.work(jobs(lender)) as work:
        assert acknowledgements.flag_missing(work) == 1
        assert acknowledgements.flag_missing(work) == 0
    for someone in (lender, agency):
        with world.database.work(someone.actor) as work:
            assert [row.kind for row, _ in acknowledgements.list_open(work)] == [MISSING]
            told = select(Notice).where(Notice.kind == "placement.unacknowledged", Notice.told == someone.actor.side)
            assert len(work.session.scalars(told).all()) == 1


def test_a_break_of_a_foreign_placement_is_unknown(world: World, placement: Placement) -> None:
    for stranger in (world.agency(), world.lender()):
        for id_ in (placement.id, uuid4()):
            with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
                acknowledgements.list_of_placement(work, id_)
    with world.database.work(world.agency().actor) as work, pytest.raises(NotFound):
        acknowledgements.record_mismatch(work, placement.id, 1, Decimal(1))
