"""An end bites at the next request, in the middle of a list too; and what had been opened before is told."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models.errors import CaseClosedToWork, Conflict, NotFound
from models.ids import new_id
from models.lease import LeasedCase
from models.placement import Placement
from models.services.collection import releases, worklists
from models.services.exchange import expiries, placements, recalls
from models.services.parties import freezes
from models.services.portfolio import cases
from models.work import Work
from tests.facts import Placed, jobs, placed, recall
from tests.world import Debt, Someone, World

ENDS: Final[Mapping[str, Callable[[World, Placed], None]]] = {
    "recall": recall,
    "expiry": lambda world, ground: expire(world, ground),
}


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 4)


def expire(world: World, ground: Placed) -> None:
    world.clock.forward(days=91)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        expiries.expire_due(work)


def open_(world: World, someone: Someone, case_id: UUID, field_class: str = "contact") -> None:
    with world.database.work(someone.actor) as work:
        releases.authorise(work, case_id, field_class, "verify_identity")


@pytest.mark.parametrize("end", ENDS)
def test_the_second_page_of_a_placements_cases_is_empty_after_its_end(world: World, ground: Placed, end: str) -> None:
    with world.database.work(ground.agency.actor) as work:
        first = placements.list_cases(work, ground.placement.id, limit=2)
    assert len(first) == 2
    ENDS[end](world, ground)
    with world.database.work(ground.agency.actor) as work:
        assert placements.list_cases(work, ground.placement.id, first[-1].case.id, 2) == []


@pytest.mark.parametrize("end", ["recall", "expiry", "freeze", "clock"])
def test_the_second_page_of_the_worklist_is_empty_after_an_end(world: World, ground: Placed, end: str) -> None:
    with world.database.work(ground.agency.actor) as work:
        first = worklists.read(work, limit=2)
    assert (len(first.items), first.after is not None) == (2, True)
    if end == "freeze":
        with world.database.work(ground.lender.actor) as work:
            freezes.freeze(work, ground.placement.id, "conduct")
    elif end == "clock":
        world.clock.forward(days=91)  # type: ignore[attr-defined]
    else:
        ENDS[end](world, ground)
    with world.database.work(ground.agency.actor) as work:
        assert worklists.read(work, after=first.after, limit=2) == ([], None)


def test_the_recall_of_one_case_takes_that_case_from_the_next_page_and_leaves_the_others(
    world: World, ground: Placed
) -> None:
    with world.database.work(ground.agency.actor) as work:
        first = placements.list_cases(work, ground.placement.id, limit=1)
    second, *others = [case.id for case in reversed(ground.cases) if case.id != first[0].case.id]
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "dispute", [second])
    with world.database.work(ground.agency.actor) as work:
        page = placements.list_cases(work, ground.placement.id, first[0].case.id)
        assert [line.case.id for line in page] == others
        with pytest.raises(NotFound):
            cases.get(work, second)
    with world.database.work(ground.agency.actor) as work, pytest.raises(CaseClosedToWork) as refused:
        releases.authorise(work, second, "identity", "verify_identity")
    assert refused.value.code == "case_recalled"


@pytest.mark.parametrize(("end", "code"), [("recall", "case_recalled"), ("expiry", "placement_expired")])
def test_a_download_asked_for_after_the_end_is_refused(world: World, ground: Placed, end: str, code: str) -> None:
    with world.database.work(ground.agency.actor) as work:
        assert len(placements.export_cases(work, ground.placement.id)) == 4
    ENDS[end](world, ground)
    with world.database.work(ground.agency.actor) as work, pytest.raises(CaseClosedToWork) as refused:
        placements.export_cases(work, ground.placement.id)
    assert refused.value.code == code


def test_a_download_past_the_term_holds_nothing_although_no_job_has_swept_it(world: World, ground: Placed) -> None:
    world.clock.forward(days=91)  # type: ignore[attr-defined]
    with world.database.work(ground.agency.actor) as work:
        assert placements.export_cases(work, ground.placement.id) == []


def test_a_recalled_case_leaves_its_leases_behind_for_nobody(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        work.session.add_all([lease(ground.placement, case.id) for case in ground.cases[:3]])
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "dispute", [ground.cases[0].id])
        left = select(LeasedCase.case_id).order_by(LeasedCase.case_id)
        assert work.session.scalars(left).all() == [case.id for case in ground.cases[1:3]]
    expire(world, ground)
    with world.database.work(ground.lender.actor) as work:
        assert work.session.scalars(left).all() == []


def test_what_was_opened_is_told_by_case_class_person_and_time(world: World, ground: Placed) -> None:
    collector = world.person(ground.agency, "manager")
    at = world.clock()
    open_(world, ground.agency, ground.cases[0].id)
    world.clock.forward(seconds=20)  # type: ignore[attr-defined]
    open_(world, collector, ground.cases[1].id, "identity")
    open_(world, ground.lender, ground.cases[2].id)
    recall(world, ground)
    for someone in (ground.lender, world.auditor(ground.lender)):
        with world.database.work(someone.actor) as work:
            found = placements.opened(work, ground.placement.id)
            assert placements.count_opened(work, ground.placement.id) == (2, 2, 2)
        assert [(row.reference, row.release.field_class, row.release.member_name) for row in found] == [
            (ground.cases[1].reference, "identity", collector.member.name),
            (ground.cases[0].reference, "contact", ground.agency.member.name),
        ]
        assert found[-1].release.released_at == at


def test_the_agency_is_told_what_it_opened_and_no_longer_of_which_number(world: World, ground: Placed) -> None:
    open_(world, ground.agency, ground.case.id)
    numbers = []
    for end in (None, recall):
        if end:
            end(world, ground)
        with world.database.work(ground.agency.actor) as work:
            numbers.append([row.reference for row in placements.opened(work, ground.placement.id)])
    assert numbers == [[ground.case.reference], [None]]


def test_only_what_was_opened_under_this_placement_is_told(world: World, ground: Placed) -> None:
    other = world.placement(ground.lender, ground.agency, [Debt(50)])
    open_(world, ground.agency, world.case_ids(other, ground.lender)[0])
    with world.database.work(ground.lender.actor) as work:
        assert placements.opened(work, ground.placement.id) == []
        assert placements.count_opened(work, ground.placement.id) == (0, 0, 0)


def test_what_was_opened_comes_in_pages(world: World, ground: Placed) -> None:
    for case in ground.cases:
        open_(world, ground.agency, case.id)
    with world.database.work(ground.lender.actor) as work:
        whole = [row.release.id for row in placements.opened(work, ground.placement.id)]
        first = placements.opened(work, ground.placement.id, limit=3)
        rest = placements.opened(work, ground.placement.id, first[-1].release.id, 3)
    assert [row.release.id for row in (*first, *rest)] == whole


def test_what_was_opened_under_a_foreign_placement_is_unknown(world: World, ground: Placed) -> None:
    acts: tuple[Callable[[Work, UUID], object], ...] = (placements.opened, placements.count_opened)
    for stranger in (world.lender(), world.agency()):
        for act in acts:
            for id_ in (ground.placement.id, uuid4()):
                with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
                    act(work, id_)


def test_an_agency_takes_no_file_of_a_frozen_placement_and_the_lender_does(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
        assert len(placements.export_cases(work, ground.placement.id)) == 4
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        placements.export_cases(work, ground.placement.id)
    assert refused.value.code == "placement_frozen"


def lease(placement: Placement, case_id: UUID) -> LeasedCase:
    return LeasedCase(
        lender_id=placement.lender_id,
        placement_id=placement.id,
        case_id=case_id,
        field_class="identity",
        epoch=1,
        agency_id=placement.agency_id,
        sealed=new_id().bytes,
    )
