"""Assignments: a household to one collector, and nothing to a collector that is not theirs."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Conflict, Invalid, NotFound
from models.household import deal
from models.placement import Placement
from models.services.collection import assignments, worklists
from models.services.exchange import placements, recalls
from models.services.parties import freezes
from models.services.portfolio import cases
from models.work import AGENCY, Work
from tests.racing import await_waiter
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def collector(world: World, agency: Someone) -> Someone:
    return world.person(agency, "collector")


def test_a_collector_sees_and_works_their_own_cases_only(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement = world.placement(lender, agency)
    mine, *others = world.case_ids(placement, lender)
    with world.database.work(agency.actor) as work:
        assert assignments.assign(work, placement.id, collector.member.id, [mine]) == 1
    with world.database.work(collector.actor) as work:
        assert [item.case.id for item in worklists.read(work).items] == [mine]
        assert [line.case.id for line in cases.list_own(work)] == [mine]
        assert cases.get(work, mine).actions["release"] is None
        for other in others:
            with pytest.raises(NotFound):
                cases.get(work, other)
            with pytest.raises(NotFound):
                cases.timeline(work, other)


def test_a_case_given_to_another_collector_leaves_the_first(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement, second = world.placement(lender, agency), world.person(agency, "collector")
    mine = world.case_ids(placement, lender)[:1]
    for someone in (collector, second):
        with world.database.work(agency.actor) as work:
            assignments.assign(work, placement.id, someone.member.id, mine)
    with world.database.work(collector.actor) as work, pytest.raises(NotFound):
        cases.get(work, mine[0])


def test_recall_ends_a_collectors_sight_at_once(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement = world.placement(lender, agency)
    ids = world.case_ids(placement, lender)
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, collector.member.id, ids)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "conduct", ids[:1])
    with world.database.work(collector.actor) as work:
        assert sorted(item.case.id for item in worklists.read(work).items) == ids[1:]
        with pytest.raises(NotFound):
            cases.get(work, ids[0])
    with world.database.work(agency.actor) as work, pytest.raises(NotFound):
        assignments.assign(work, placement.id, collector.member.id, ids)


def test_nothing_is_assigned_before_the_placement_is_acknowledged(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement = world.placement(lender, agency, acknowledged=False)
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        assignments.assign_evenly(work, placement.id, [collector.member.id])
    assert refused.value.code == "placement_not_active"


def test_only_a_collector_of_ones_own_gets_cases(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement = world.placement(lender, agency)
    ids = world.case_ids(placement, lender)
    foreign = world.person(world.agency(), "collector").member.id
    for wrong in (foreign, agency.member.id, uuid4()):
        with world.database.work(agency.actor) as work, pytest.raises(NotFound):
            assignments.assign(work, placement.id, wrong, ids)
        with world.database.work(agency.actor) as work, pytest.raises(NotFound):
            assignments.assign_evenly(work, placement.id, [collector.member.id, wrong])


def test_a_case_of_another_placement_is_unknown(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    placement, other = world.placement(lender, agency), world.placement(lender, world.agency(), [Debt(50)])
    foreign = world.case_ids(other, lender)
    with world.database.work(agency.actor) as work, pytest.raises(NotFound):
        assignments.assign(work, placement.id, collector.member.id, foreign)


def test_naming_nothing_is_refused(world: World, lender: Someone, agency: Someone, collector: Someone) -> None:
    placement = world.placement(lender, agency)
    with world.database.work(agency.actor) as work, pytest.raises(Invalid):
        assignments.assign(work, placement.id, collector.member.id, [])
    with world.database.work(agency.actor) as work, pytest.raises(Invalid):
        assignments.assign_evenly(work, placement.id, [])


def test_unassigned_cases_are_dealt_evenly_and_households_stay_whole(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    second = world.person(agency, "collector")
    placement = world.placement(lender, agency, [Debt(1), Debt(1), Debt(1), *(Debt(n) for n in range(2, 7))])
    with world.database.work(agency.actor) as work:
        dealt = assignments.assign_evenly(work, placement.id, [collector.member.id, second.member.id])
        assert dealt == 8
        assert assignments.assign_evenly(work, placement.id, [collector.member.id]) == 0
    with world.database.work(agency.actor) as work:
        lines = placements.list_cases(work, placement.id)
        assert {one.case_count for one in assignments.collectors(work)} == {4}
    whose = {(line.case.borrower_id, line.collector_id) for line in lines}
    assert len(whose) == 6


def test_a_new_case_follows_its_borrower_to_the_collector_who_calls_them(
    world: World, lender: Someone, agency: Someone, collector: Someone
) -> None:
    second = world.person(agency, "collector")
    first = world.placement(lender, agency, [Debt(1)])
    with world.database.work(agency.actor) as work:
        assignments.assign(work, first.id, collector.member.id, world.case_ids(first, lender))
    later = world.placement(lender, agency, [Debt(1), Debt(2)])
    with world.database.work(agency.actor) as work:
        assignments.assign_evenly(work, later.id, [second.member.id])
        counts = {one.id: one.case_count for one in assignments.collectors(work)}
    assert counts == {collector.member.id: 2, second.member.id: 1}


@given(st.lists(st.integers(1, 8)), st.integers(1, 6))
def test_dealing_leaves_loads_within_one_household(sizes: list[int], workers: int) -> None:
    loads = Counter(dict.fromkeys(range(workers), 0))
    for size, worker in zip(sizes, deal(sizes, list(range(workers))), strict=True):
        loads[worker] += size
    assert max(loads.values()) - min(loads.values()) <= max(sizes, default=0)


@pytest.mark.parametrize("evenly", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_nothing_is_assigned_on_what_a_freeze_or_recall_has_just_taken(
    world: World,
    lender: Someone,
    agency: Someone,
    collector: Someone,
    monkeypatch: pytest.MonkeyPatch,
    evenly: bool,
    ends: bool,
) -> None:
    placement = world.placement(lender, agency)
    ids = world.case_ids(placement, lender)
    get = placements.get

    def meanwhile(work: Work, placement_id: UUID) -> Placement:
        """What the agency reads before it waits for the lender, whose act is committed first."""
        found = get(work, placement_id)
        if work.actor.side == AGENCY:
            with world.database.work(lender.actor) as other:
                if ends:
                    recalls.recall(other, placement.id, "conduct", ids[:1])
                else:
                    freezes.freeze(other, placement.id, "conduct")
        return found

    monkeypatch.setattr(placements, "get", meanwhile)
    person = collector.member.id
    with world.database.work(agency.actor) as work:
        if ends and evenly:
            assert assignments.assign_evenly(work, placement.id, [person]) == len(ids) - 1
        elif evenly:
            with pytest.raises(Conflict, match="placement_frozen"):
                assignments.assign_evenly(work, placement.id, [person])
        else:
            with pytest.raises((Conflict, NotFound), match="not_found" if ends else "placement_frozen"):
                assignments.assign(work, placement.id, person, ids)


def test_a_freeze_waits_for_whoever_assigns(world: World, lender: Someone, agency: Someone, collector: Someone) -> None:
    placement = world.placement(lender, agency)

    def freeze() -> None:
        with world.database.work(lender.actor) as work:
            freezes.freeze(work, placement.id, "conduct")

    with ThreadPoolExecutor(1) as threads:
        with world.database.work(agency.actor) as work:
            assignments.assign_evenly(work, placement.id, [collector.member.id])
            waiting = threads.submit(freeze)
            await_waiter(work)
            assert not waiting.done()
        waiting.result()
