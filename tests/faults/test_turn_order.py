"""Turns and locks of several at once: everybody takes them in one order, and who asks for one alone comes next."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from models.case import Case
from models.placement import Placement
from models.services.collection import assignments
from models.services.exchange import offers, placements, recalls, returns, stops, tenders, undoing
from models.services.parties import freezes, standings
from models.services.portfolio import exclusions
from models.tender import TenderedCase
from models.work import Work
from tests.conftest import Clock
from tests.facts import Placed, jobs, placed
from tests.panels import hurried
from tests.racing import await_waiter
from tests.world import Debt, Someone, World

SOON: Final = 1.5  # seconds, in which whoever is in nobody's way is through


def recall(work: Work, ground: Placed) -> object:
    return recalls.recall(work, ground.placement.id, "conduct")


def freeze(work: Work, ground: Placed) -> object:
    return freezes.freeze(work, ground.placement.id, "conduct")


def stop_all(work: Work, ground: Placed) -> object:
    return freezes.freeze_all(work, ground.agency.organisation.id, "conduct", ground.lender.member.id)


def undo(work: Work, ground: Placed) -> object:
    return undoing.undo(work, offers.get(work, ground.placement.offer_id).tender_id, "wrong_cases")


@pytest.mark.parametrize("verb", [recall, freeze, stop_all, undo])
def test_whoever_asks_for_a_placement_alone_waits_for_a_long_act(
    world: World, verb: Callable[[Work, Placed], object]
) -> None:
    ground = placed(world)

    def act() -> None:
        with hurried(world, ground.lender) as work:
            verb(work, ground)

    with ThreadPoolExecutor(1) as threads:
        with world.database.work(ground.agency.actor) as acting:
            hold(acting, ground.placement, shared=True)
            waiting = threads.submit(act)
            await_waiter(acting)
            time.sleep(0.3)  # longer than whoever is hurried waits elsewhere
            assert not waiting.done()
        waiting.result()


def test_unconfirmed_stops_are_flagged_in_the_order_in_which_recalls_lock(world: World, clock: Clock) -> None:
    lender, older, younger = world.lender(), world.agency(), world.agency()
    first_made = world.placement(lender, younger, [Debt(1), Debt(2)])
    second_made = world.placement(lender, older, [Debt(3), Debt(4)])
    for placement in (first_made, second_made):
        with world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "lender_request", world.case_ids(placement, lender)[:1])
    clock.forward(days=30)

    def flag() -> int:
        with world.database.work(jobs(lender)) as work:
            return stops.flag_missing(work)

    # By agency and not by id: so the one that was made second comes first.
    assert leaves_the_second_alone(world, (lender, second_made), (lender, first_made), flag) == 2


def test_cases_of_several_placements_are_assigned_in_the_order_in_which_recalls_lock(world: World) -> None:
    agency = world.agency()
    collector = world.person(agency, "collector").member.id
    grounds = [(lender, world.placement(lender, agency, 1)) for lender in (world.lender(), world.lender())]
    ticked = {placement.id: world.case_ids(placement, lender) for lender, placement in reversed(grounds)}

    def assign() -> int:
        with world.database.work(agency.actor) as work:
            return assignments.assign_several(work, collector, ticked)

    assert leaves_the_second_alone(world, *grounds, assign) == 2


@pytest.mark.parametrize("ending", ["withdraw", "exclude"])
def test_a_tender_lets_go_of_its_cases_in_order_of_id(world: World, ending: str) -> None:
    lender = world.lender()
    agreement, portfolio = world.agreement(lender, world.agency()), world.portfolio(lender, 2)
    with world.database.work(lender.actor) as work:
        tender_id = tenders.assign(work, portfolio.id, agreement.id).tender_id
        rows = select(TenderedCase.case_id).where(TenderedCase.tender_id == tender_id).order_by(TenderedCase.case_id)
        first, second = work.session.scalars(rows).all()
        file = exclusions_of(work, (first, second))

    with world.database.work(lender.actor) as work:  # from now on its row lies behind the other's
        of_first = update(TenderedCase).where(TenderedCase.tender_id == tender_id, TenderedCase.case_id == first)
        work.session.execute(of_first.values(open=True))

    def end() -> None:
        with world.database.work(lender.actor) as work:
            for way in ("enable_indexscan", "enable_bitmapscan"):  # so that rows are read as they lie
                work.session.execute(text(f"set local {way} = off"))
            if ending == "withdraw":
                tenders.withdraw(work, tender_id)
            else:
                exclusions.record_file(work, [file])

    with ThreadPoolExecutor(1) as threads:
        with world.database.work(lender.actor) as holding:
            holding.session.execute(rows.where(TenderedCase.case_id == first).with_for_update()).all()
            ending_it = threads.submit(end)
            await_waiter(holding)
            with world.database.work(lender.actor) as work:
                free = rows.where(TenderedCase.case_id == second).with_for_update(nowait=True)
                assert work.session.scalars(free).one() == second
        ending_it.result()


def test_nobody_is_cleared_while_its_placements_are_being_stopped(world: World) -> None:
    ground = placed(world, lender=world.lender("compliance_officer"))
    agency_id = ground.agency.organisation.id
    with world.database.work(ground.lender.actor) as work:
        standings.freeze(work, agency_id, "conduct")

    def clear() -> None:
        with world.database.work(ground.lender.actor) as work:
            standings.clear(work, agency_id)

    with ThreadPoolExecutor(1) as threads:
        with world.database.work(ground.lender.actor) as work:
            assert standings.stop_placements(work, agency_id, being_made=False) == 1
            clearing = threads.submit(clear)
            await_waiter(work)
        clearing.result()
    with world.database.work(ground.agency.actor) as work:
        assert placements.get(work, ground.placement.id).frozen_at is None


def leaves_the_second_alone(
    world: World, first: tuple[Someone, Placement], second: tuple[Someone, Placement], act: Callable[[], int]
) -> int:
    """What the act came to, which while it waited for the first placement kept nobody from the second."""
    with ThreadPoolExecutor(2) as threads:
        with world.database.work(first[0].actor) as holding:
            hold(holding, first[1])
            acting = threads.submit(act)
            await_waiter(holding)
            threads.submit(partial(take_and_leave, world, *second)).result(SOON)
        return acting.result()


def take_and_leave(world: World, lender: Someone, placement: Placement) -> None:
    with world.database.work(lender.actor) as work:
        hold(work, placement)


def hold(work: Work, placement: Placement, *, shared: bool = False) -> None:
    mine = placements.get(work, placement.id)
    if shared:
        with work.as_lender(mine):
            placements.lock(work, mine, shared=True)
    else:
        placements.lock(work, mine)


def exclusions_of(work: Work, case_ids: tuple[UUID, ...]) -> bytes:
    numbers = work.session.scalars(select(Case.reference).where(Case.id.in_(case_ids)))
    lines = [f"{number},in_court,court,2026-01-02" for number in numbers]
    return "\n".join(["case_number,reason,source,noted_on", *lines]).encode()


def test_an_agency_that_asks_for_a_placement_alone_is_sent_away_soon(world: World) -> None:
    """Many acts of one at once would wait with the connections of all."""
    ground = placed(world)
    with world.database.work(ground.agency.actor) as acting:
        hold(acting, ground.placement, shared=True)
        with pytest.raises(OperationalError, match="lock timeout"), hurried(world, ground.agency) as work:
            returns.give_back(work, ground.placement.id, "capacity", [ground.case.id])
