"""Standard terms: two people set them, the most specific level holds, and a placement keeps what held at its start."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from models.agreement import Agreement
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.ids import new_id
from models.services.exchange import agreements, placements, rate_cards, standard_terms
from models.services.exchange.standard_terms import Effective, Said
from models.standard_terms import EVERY_TIER, StandardTerms
from tests.conftest import Clock
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def propose(
    world: World, lender: Someone, tier: int = EVERY_TIER, floor: str | None = None, **policy: Any
) -> StandardTerms:
    with world.database.work(lender.actor) as work:
        return standard_terms.propose(work, tier, policy, Decimal(floor) if floor else None)


def settle(world: World, lender: Someone, tier: int = EVERY_TIER, floor: str | None = None, **policy: Any) -> None:
    made = propose(world, lender, tier, floor, **policy)
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        standard_terms.approve(work, made.id)


def effective(world: World, someone: Someone, agreement: Agreement) -> Effective:
    with world.database.work(someone.actor) as work:
        found = agreements.get(work, agreement.id)
        card = rate_cards.list_newest(work)[found.id].card
        return standard_terms.explain(work, found, card)


def test_the_most_specific_level_that_says_something_holds_and_is_named(
    world: World, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, tier=2, contact_policy={"visits": True})
    none = effective(world, lender, agreement)
    assert none == ({"visits": Said(True, "agreement")}, Said(Decimal(1), "default"))
    settle(world, lender, EVERY_TIER, "0.9", attempts_per_day=2, visits=False)
    settle(world, lender, 1, "0.5", attempts_per_day=0)
    settle(world, lender, 2, attempts_per_day=1)
    for party in (lender, agency):
        assert effective(world, party, agreement) == (
            {"attempts_per_day": Said(1, "tier"), "visits": Said(True, "agreement")},
            Said(Decimal("0.9"), "lender"),
        )


def test_what_the_rate_card_says_of_settlements_comes_before_every_standard(
    world: World, lender: Someone, agency: Someone
) -> None:
    settle(world, lender, EVERY_TIER, "0.9")
    agreement = world.agreement(lender, agency, settlement_floor=Decimal("0.75"))
    assert effective(world, lender, agreement).settlement_floor == Said(Decimal("0.75"), "agreement")


def test_a_placement_keeps_what_held_when_it_began(world: World, lender: Someone, agency: Someone) -> None:
    settle(world, lender, EVERY_TIER, "0.9", attempts_per_day=2)
    placement = world.placement(lender, agency)
    settle(world, lender, EVERY_TIER, "0.5", attempts_per_day=1)
    with world.database.work(lender.actor) as work:
        kept = placements.get(work, placement.id)
    assert (kept.settlement_floor, kept.contact_policy) == (Decimal("0.9"), {"attempts_per_day": 2})


def test_a_placement_keeps_which_level_said_each_of_its_terms(world: World, lender: Someone, agency: Someone) -> None:
    silent = world.placement(lender, agency, 1)
    settle(world, lender, EVERY_TIER, "0.9", attempts_per_day=2, latest_hour=20)
    settle(world, lender, 1, "0.8", latest_hour=19)
    levelled = world.placement(lender, agency, [Debt(7)], contact_policy={"visits": True})
    own = world.placement(lender, agency, [Debt(8)], settlement_floor=Decimal("0.75"))
    settle(world, lender, 1)
    with world.database.work(agency.actor) as work:
        kept = [placements.get(work, placement.id).term_levels for placement in (silent, levelled, own)]
    standing = {"attempts_per_day": "lender", "latest_hour": "tier"}
    assert kept == [
        {"settlement_floor": "default"},
        standing | {"settlement_floor": "tier", "visits": "agreement"},
        standing | {"settlement_floor": "agreement"},
    ]


def test_the_last_version_approved_replaces_the_one_before_as_a_whole(
    world: World, lender: Someone, clock: Clock
) -> None:
    first, later = propose(world, lender, 1, attempts_per_day=1), propose(world, lender, 1, visits=False)
    for waiting, policy in ((later, {"visits": False}), (first, {"attempts_per_day": 1})):
        with world.database.work(world.person(lender, "administrator").actor) as work:
            standard_terms.approve(work, waiting.id)
        clock.forward(seconds=1)
        with world.database.work(lender.actor) as work:
            assert [terms.contact_policy for terms in standard_terms.list_in_force(work)] == [policy]


def test_nobody_approves_what_they_proposed_and_nothing_holds_before(world: World, lender: Someone) -> None:
    made = propose(world, lender, EVERY_TIER, "0.5")
    with pytest.raises(Forbidden) as refused, world.database.work(lender.actor) as work:
        standard_terms.approve(work, made.id)
    assert refused.value.code == "second_person_needed"
    with world.database.work(lender.actor) as work:
        assert standard_terms.list_in_force(work) == []
        assert [terms.id for terms in standard_terms.list_proposed(work)] == [made.id]


def test_what_was_refused_is_not_approved_any_more(world: World, lender: Someone) -> None:
    made = propose(world, lender)
    with world.database.work(lender.actor) as work:
        standard_terms.refuse(work, made.id)
    with pytest.raises(Conflict), world.database.work(world.person(lender, "administrator").actor) as work:
        standard_terms.approve(work, made.id)


@pytest.mark.parametrize(
    ("tier", "floor", "policy", "found"),
    [
        (10, None, {}, ("tier", "out_of_range")),
        (-1, None, {}, ("tier", "out_of_range")),
        (0, "1.01", {}, ("settlement_floor", "out_of_range")),
        (0, None, {"latest_hour": 22}, ("latest_hour", "out_of_range")),
    ],
)
def test_what_is_wrong_is_told(
    world: World, lender: Someone, tier: int, floor: str | None, policy: dict[str, Any], found: tuple[str, str]
) -> None:
    with pytest.raises(Invalid) as refused:
        propose(world, lender, tier, floor, **policy)
    assert [(error.field, error.code) for error in refused.value.errors] == [found]


@pytest.mark.parametrize("verb", [standard_terms.get, standard_terms.approve, standard_terms.refuse])
def test_another_lenders_terms_are_as_unknown_as_none(
    world: World, lender: Someone, verb: Callable[..., object]
) -> None:
    made = propose(world, lender)
    for id_ in (made.id, new_id()):
        with world.database.work(world.lender("administrator").actor) as work, pytest.raises(NotFound):
            verb(work, id_)


def test_another_lenders_terms_do_not_hold(world: World, lender: Someone, agency: Someone) -> None:
    settle(world, world.lender(), EVERY_TIER, "0.1")
    agreement = world.agreement(lender, agency)
    assert effective(world, agency, agreement).settlement_floor == Said(Decimal(1), "default")


def test_no_change_of_tier_moves_the_least_settlement_without_a_second_person(
    world: World, lender: Someone, agency: Someone
) -> None:
    silent, said = (world.agreement(lender, agency, settlement_floor=floor) for floor in (None, Decimal("0.8")))
    settle(world, lender, 9, "0.3")
    with pytest.raises(Invalid) as refused, world.database.work(lender.actor) as work:
        agreements.change(work, silent.id, {"tier": 9})
    assert [(error.field, error.code) for error in refused.value.errors] == [("tier", "tier_moves_floor")]
    with world.database.work(lender.actor) as work:
        agreements.change(work, silent.id, {"tier": 8})
    with world.database.work(lender.actor) as work:
        agreements.change(work, said.id, {"tier": 9})
    assert effective(world, lender, silent).settlement_floor == Said(Decimal(1), "default")
    assert effective(world, lender, said).settlement_floor == Said(Decimal("0.8"), "agreement")
