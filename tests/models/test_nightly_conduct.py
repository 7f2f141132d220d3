"""Sweeping one lender's day: the three kinds of breach over all agencies, late reports, and what is withdrawn."""

import datetime as dt
from uuid import UUID

import pytest

from models.breach import Breach
from models.services.oversight import breaches, conduct
from tests.conftest import Clock
from tests.facts import TODAY, Placed, call, jobs, placed, recall, release
from tests.world import Debt, Someone, World

SHANGHAI = dt.timezone(dt.timedelta(hours=8))
YESTERDAY = TODAY - dt.timedelta(days=1)
FOURTH_CALL, NIGHT, NO_CONTACT = "CN-GBT-VOICE-3", "CN-GBT-HOURS", "HOUSE-RELEASE-24H"


def at(hour: int, minute: int = 0, day: dt.date = TODAY) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), SHANGHAI)


def sweep(world: World, lender: Someone, day: dt.date = TODAY) -> dict[str, int]:
    with world.database.work(jobs(lender, "conduct")) as work:
        return conduct.sweep(work, day)


def found(world: World, someone: Someone, rule_id: str) -> list[Breach]:
    with world.database.work(someone.actor) as work:
        return breaches.list_own(work, breaches.BreachFilter(rule_id=rule_id))


def standing(world: World, someone: Someone, rule_id: str) -> list[UUID]:
    return [breach.subject_id for breach in found(world, someone, rule_id) if breach.state != "withdrawn"]


@pytest.fixture
def of(world: World) -> Placed:
    return placed(world, 2)


@pytest.fixture
def evening(clock: Clock) -> None:
    """Half past eleven in the evening in Shanghai."""
    clock.forward(hours=13.5)


@pytest.mark.usefixtures("evening")
def test_a_call_at_ten_in_the_evening_is_a_breach_and_one_before_is_none(world: World, of: Placed) -> None:
    call(world, of, at(21, 59))
    late = call(world, of, at(22))
    sweep(world, of.lender)
    assert standing(world, of.agency, NIGHT) == [late]


@pytest.mark.usefixtures("evening")
def test_the_fourth_call_of_a_day_is_the_breach_of_who_made_it_whoever_made_the_others(world: World) -> None:
    lender = world.lender()
    first = placed(world, [Debt(1)], lender)
    recall(world, first)
    second = placed(world, [Debt(1)], lender)
    assert first.case.borrower_id == second.case.borrower_id
    for of, hour in ((first, 9), (second, 10), (first, 11)):
        call(world, of, at(hour))
    fourth = call(world, second, at(12))
    sweep(world, lender)
    assert standing(world, first.agency, FOURTH_CALL) == []
    assert standing(world, second.agency, FOURTH_CALL) == [fourth]


def test_a_release_with_no_contact_within_a_day_is_a_breach_once_the_day_is_over(
    world: World, clock: Clock, of: Placed
) -> None:
    opened = release(world, of, at(10))
    clock.forward(hours=23)
    sweep(world, of.lender, TODAY + dt.timedelta(days=1))
    assert standing(world, of.agency, NO_CONTACT) == []
    clock.forward(hours=2)
    sweep(world, of.lender, TODAY + dt.timedelta(days=1))
    assert standing(world, of.agency, NO_CONTACT) == [opened]


def test_sweeping_twice_posts_nothing(world: World, clock: Clock, of: Placed) -> None:
    call(world, of, at(7, day=TODAY))
    release(world, of, at(10))
    clock.forward(days=2)
    first, again = sweep(world, of.lender), sweep(world, of.lender)
    assert first["flagged"] > 0
    assert (again["flagged"], again["withdrawn"]) == (0, 0)


def test_a_call_reported_late_moves_the_breach_to_the_next_one(world: World, clock: Clock, of: Placed) -> None:
    clock.forward(hours=13.5)
    for hour in (9, 10, 12):
        call(world, of, at(hour))
    fourth = call(world, of, at(13))
    sweep(world, of.lender)
    assert standing(world, of.lender, FOURTH_CALL) == [fourth]
    clock.forward(days=2)
    call(world, of, at(11))
    sweep(world, of.lender, TODAY + dt.timedelta(days=1))
    third = {breach.subject_id: breach.state for breach in found(world, of.lender, FOURTH_CALL)}
    assert third[fourth] == "flagged"
    assert len(third) == 2


def test_a_corrected_call_takes_its_breach_back(world: World, clock: Clock, of: Placed) -> None:
    clock.forward(hours=13.5)
    late = call(world, of, at(22, 30))
    sweep(world, of.lender)
    clock.forward(days=1)
    call(world, of, at(20, 30), corrects_id=late)
    sweep(world, of.lender)
    assert [(breach.subject_id, breach.state) for breach in found(world, of.agency, NIGHT)] == [(late, "withdrawn")]


def test_a_contact_reported_late_takes_back_the_breach_of_a_release(world: World, clock: Clock, of: Placed) -> None:
    opened = release(world, of, at(9, 30))
    clock.forward(days=2)
    sweep(world, of.lender, TODAY + dt.timedelta(days=1))
    assert standing(world, of.agency, NO_CONTACT) == [opened]
    call(world, of, at(9, 0, TODAY + dt.timedelta(days=1)), outcome="ring_no_answer")
    sweep(world, of.lender, TODAY + dt.timedelta(days=1))
    assert standing(world, of.agency, NO_CONTACT) == []


def test_a_breach_that_stands_again_is_flagged_again(world: World, clock: Clock, of: Placed) -> None:
    clock.forward(hours=13.5)
    late = call(world, of, at(22, 30))
    wrong = call(world, of, at(20), corrects_id=late)
    sweep(world, of.lender)
    assert standing(world, of.lender, NIGHT) == []
    corrected = call(world, of, at(22, 40), corrects_id=wrong)
    sweep(world, of.lender)
    assert standing(world, of.lender, NIGHT) == [corrected]


def test_what_an_agency_did_for_another_lender_counts_for_nothing_here(world: World, clock: Clock) -> None:
    first, second = placed(world, [Debt(1)]), placed(world, [Debt(1)])
    clock.forward(hours=10)
    for of, hour in ((first, 9), (second, 10), (first, 11), (second, 12)):
        call(world, of, at(hour))
    sweep(world, first.lender)
    sweep(world, second.lender)
    assert standing(world, first.lender, FOURTH_CALL) == standing(world, second.lender, FOURTH_CALL) == []
