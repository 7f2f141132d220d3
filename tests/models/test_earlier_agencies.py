"""What an agency learns of the agencies before it: nothing, outcomes, or history, as the lender says."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

import pytest

from models.business_day import start_of
from models.case import Case
from models.lender_setting import HISTORY, NOTHING, OUTCOMES
from models.placement import Placement
from models.services.collection.timelines import TimelineItem
from models.services.exchange import offers, placements, recalls, tenders
from models.services.parties import lender_settings
from models.services.portfolio import cases
from tests.facts import Placed, call, claim, placed, recall, release
from tests.world import Someone, World


class Second(NamedTuple):
    """A case's second placement, after another agency had worked it."""

    first: Placed
    agency: Someone
    placement: Placement

    @property
    def case(self) -> Case:
        return self.first.case


@pytest.fixture
def second(world: World) -> Second:
    first = placed(world, 1)
    at = world.clock()
    call(world, first, at, note=b"sealed", outcome="conversation")
    wrong = call(world, first, at + dt.timedelta(minutes=1), outcome="busy")
    call(world, first, at + dt.timedelta(minutes=1), outcome="ring_no_answer", corrects_id=wrong)
    claim(world, first, "12.34")
    release(world, first, at)
    recall(world, first)
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    agency = world.agency()
    return Second(first, agency, place_again(world, first, agency))


def place_again(world: World, first: Placed, agency: Someone) -> Placement:
    agreement = world.agreement(first.lender, agency)
    with world.database.work(first.lender.actor) as work:
        offer = tenders.assign(work, first.placement.portfolio_id, agreement.id)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
        return placements.acknowledge(work, placement.id, 1, placement.referred_amount)


def set_to(world: World, second: Second, told: str) -> None:
    with world.database.work(second.first.lender.actor) as work:
        lender_settings.change(work, {"earlier_agencies": told})


def told(world: World, second: Second) -> list[TimelineItem]:
    with world.database.work(second.agency.actor) as work:
        return cases.timeline(work, second.case.id)


def test_unless_the_lender_says_so_it_looks_as_if_the_case_had_never_been_placed(world: World, second: Second) -> None:
    fresh = placed(world, 1)
    with world.database.work(fresh.agency.actor) as work:
        first_hand = [(item.kind, item.facts) for item in cases.timeline(work, fresh.case.id)]
        view = cases.get(work, fresh.case.id)
    with world.database.work(second.agency.actor) as work:
        second_hand = [(item.kind, item.facts) for item in cases.timeline(work, second.case.id)]
        again = cases.get(work, second.case.id)
        (line,) = placements.list_cases(work, second.placement.id)
    assert second_hand == first_hand == [("placed", {"referred_amount": Decimal(1000)})]
    assert (again.placement_seq, again.actions) == (view.placement_seq, view.actions)
    assert line.placement_seq is None


def test_outcomes_are_codes_on_a_day(world: World, second: Second) -> None:
    set_to(world, second, OUTCOMES)
    earlier = [item for item in told(world, second) if item.kind == "earlier"]
    day = dt.date(2026, 3, 10)
    assert {item.at for item in earlier} == {start_of(day)}
    assert sorted(item.facts["outcome"] for item in earlier) == ["conversation", "ring_no_answer"]
    assert all(item.facts == {"outcome": item.facts["outcome"], "occurred_on": day} for item in earlier)


def test_history_has_channel_outcome_and_time(world: World, second: Second) -> None:
    set_to(world, second, HISTORY)
    earlier = [item for item in told(world, second) if item.kind == "earlier"]
    at = dt.datetime(2026, 3, 10, 2, 0, tzinfo=dt.UTC)
    assert [(item.at, item.facts) for item in earlier] == [
        (at + dt.timedelta(minutes=1), {"channel": "call", "outcome": "ring_no_answer"}),
        (at, {"channel": "call", "outcome": "conversation"}),
    ]


@pytest.mark.parametrize("setting", [OUTCOMES, HISTORY])
def test_nothing_else_of_the_earlier_agency_is_told(world: World, second: Second, setting: str) -> None:
    set_to(world, second, setting)
    items = told(world, second)
    assert {item.kind for item in items} == {"placed", "earlier"}
    assert {(item.agency_name, item.member_name) for item in items if item.kind == "earlier"} == {(None, None)}
    said = repr(items)
    first = second.first
    for secret in (first.agency.organisation.name, "somebody", "12.34", str(first.placement.id), "note"):
        assert secret not in said
    with world.database.work(first.lender.actor) as work:
        contact_ids = {item.id for item in cases.timeline(work, second.case.id) if item.kind == "contact"}
    assert contact_ids.isdisjoint(item.id for item in items)


def test_the_lenders_word_holds_from_the_next_look_on(world: World, second: Second) -> None:
    counts = []
    for setting in (HISTORY, NOTHING, OUTCOMES):
        set_to(world, second, setting)
        counts.append(len([item for item in told(world, second) if item.kind == "earlier"]))
    assert counts == [2, 0, 2]


def test_an_agency_that_has_the_case_again_is_told_its_own_contacts_once(world: World, second: Second) -> None:
    set_to(world, second, HISTORY)
    with world.database.work(second.first.lender.actor) as work:
        recalls.recall(work, second.placement.id, "conduct")
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    place_again(world, second.first, second.first.agency)
    with world.database.work(second.first.agency.actor) as work:
        kinds = [item.kind for item in cases.timeline(work, second.case.id)]
    assert (kinds.count("contact"), kinds.count("earlier")) == (3, 0)
