"""What a recall brings about: by its reason the cases are kept from being placed until that is lifted, or nothing."""

from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select

from models.business_day import day_of
from models.errors import Conflict, NotFound
from models.exclusion import Exclusion
from models.placement import RECALL_REASONS
from models.services.exchange import recall_files, recall_lists, recalls, tenders, treatments
from models.services.exchange.recall_lists import RecallFilter
from models.services.portfolio import exclusions, scrub
from models.tender import TenderedCase
from tests.facts import Placed, jobs, placed
from tests.world import World

HARMFUL = [reason for reason, treatment in treatments.RECALLS.items() if treatment.reason]
FREE = [reason for reason in RECALL_REASONS if reason not in HARMFUL]


class Kept(NamedTuple):
    case_id: UUID | None
    reason: str
    source: str
    recorded_by: UUID | None


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 3)


def recall(world: World, ground: Placed, reason: str, *of: int) -> None:
    """At once: these of its cases; with none, all."""
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, reason, [ground.cases[place].id for place in of] or None)


def kept(world: World, ground: Placed) -> list[Kept]:
    with world.database.work(ground.lender.actor) as work:
        rows = work.session.scalars(select(Exclusion).order_by(Exclusion.case_id))
        return [Kept(row.case_id, row.reason, row.source, row.recorded_by) for row in rows]


def place_again(world: World, ground: Placed) -> int:
    """How many of the cases may be tendered to another agency straight away."""
    agreement = world.agreement(ground.lender, world.agency())
    with world.database.work(ground.lender.actor) as work:
        tenders.assign(work, ground.placement.portfolio_id, agreement.id)
        return len(work.session.scalars(select(TenderedCase.case_id).where(TenderedCase.open)).all())


def test_what_one_recall_excluded_is_lifted_at_once_and_what_stood_or_came_otherwise_stays(
    world: World, ground: Placed
) -> None:
    with world.database.work(ground.lender.actor) as work:
        exclusions.record(work, ground.case.id, "hardship", "borrower", day_of(work.at))
        exclusions.record(work, ground.cases[1].id, "complaint", "borrower", day_of(work.at))
    world.clock.forward(minutes=1)  # type: ignore[attr-defined]
    with world.database.work(ground.lender.actor) as work:
        made = recalls.recall(work, ground.placement.id, "complaint")
        assert recall_lists.count_liftable(work, made.id) == 2
    world.clock.forward(minutes=1)  # type: ignore[attr-defined]
    with world.database.work(ground.lender.actor) as work:
        assert recalls.lift_exclusions(work, made.id) == 2
    with world.database.work(ground.lender.actor) as work:
        left = [(line.exclusion.case_id, line.exclusion.reason) for line in exclusions.list_own(work)]
        with pytest.raises(Conflict) as none:
            recalls.lift_exclusions(work, made.id)
    assert sorted(left) == sorted([(ground.case.id, "hardship"), (ground.cases[1].id, "complaint")])
    assert none.value.code == "exclusion_lifted"
    with world.database.work(world.lender().actor) as work, pytest.raises(NotFound):
        recalls.lift_exclusions(work, made.id)
    assert place_again(world, ground) == 1


def test_every_reason_has_its_treatment_and_only_what_harms_nobody_is_free() -> None:
    assert set(treatments.RECALLS) == set(RECALL_REASONS)
    assert set(FREE) == {"lender_request", "conduct", "placed_in_error"}


@pytest.mark.parametrize("reason", HARMFUL)
def test_what_is_recalled_for_harm_is_not_offered_again_until_that_is_lifted(
    world: World, ground: Placed, reason: str
) -> None:
    recall(world, ground, reason)
    by = ground.lender.member.id
    expected = treatments.RECALLS[reason].reason
    assert kept(world, ground) == [Kept(case.id, expected, "lender", by) for case in ground.cases]
    with pytest.raises(Conflict) as none:
        place_again(world, ground)
    assert none.value.code == "no_cases_to_offer"
    with world.database.work(ground.lender.actor) as work:
        assert scrub.reasons_of(work, ground.case.id) == [expected]
        for line in exclusions.list_own(work):
            exclusions.lift(work, line.exclusion.id)
    assert place_again(world, ground) == 3


@pytest.mark.parametrize("reason", FREE)
def test_what_is_recalled_for_no_harm_may_be_offered_at_once(world: World, ground: Placed, reason: str) -> None:
    recall(world, ground, reason)
    assert kept(world, ground) == []
    assert place_again(world, ground) == 3


def test_what_is_asked_for_is_excluded_when_it_is_carried_out_and_by_the_job(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.request(work, ground.placement.id, "debt_sold", [ground.case.id])
    assert kept(world, ground) == []
    world.clock.forward(days=7)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        assert recalls.execute_due(work) == 1
    assert kept(world, ground) == [Kept(ground.case.id, "debt_sold", "lender", None)]


def test_a_file_excludes_each_case_by_its_own_reason(world: World, ground: Placed) -> None:
    reasons = ("complaint", "conduct", "legal_action")
    lines = [f"{case.reference},{reason}" for case, reason in zip(ground.cases, reasons, strict=True)]
    with world.database.work(ground.lender.actor) as work:
        recall_files.request(work, ["\n".join(["case_number,reason", *lines]).encode()], "recalls.csv")
    assert [(row.case_id, row.reason) for row in kept(world, ground)] == [
        (ground.cases[0].id, "complaint"),
        (ground.cases[2].id, "in_court"),
    ]


def test_an_exclusion_that_stands_already_stays_and_is_the_only_one(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        made = exclusions.record(work, ground.case.id, "complaint", "regulator", work.at.date())
    recall(world, ground, "complaint", 0, 1)
    assert [row.source for row in kept(world, ground)] == ["regulator", "lender"]
    with world.database.work(ground.lender.actor) as work:
        assert exclusions.get(work, made.id).lifted_at is None


def test_the_lender_reads_of_how_many_cases_the_exclusion_stands(world: World, ground: Placed) -> None:
    recall(world, ground, "hardship", 0, 1)
    with world.database.work(ground.lender.actor) as work:
        (line,) = recall_lists.list_own(work)
        assert recall_lists.count_excluded(work, line.request.id) == 2
        exclusions.lift(work, exclusions.list_own(work)[0].exclusion.id)
        assert recall_lists.count_excluded(work, line.request.id) == 1


def test_recalls_are_told_apart_by_the_category_of_their_reason(world: World, ground: Placed) -> None:
    for place, reason in enumerate(("placed_in_error", "dispute", "conduct")):
        recall(world, ground, reason, place)
    for someone in (ground.lender, ground.agency):
        with world.database.work(someone.actor) as work:
            found = {
                category: [line.request.reason for line in recall_lists.list_own(work, RecallFilter(category=category))]
                for category in ("operational", "borrower", "compliance")
            }
        assert found == {"operational": ["placed_in_error"], "borrower": ["dispute"], "compliance": ["conduct"]}
