"""What changes between an allocation's preview, its check and its placing is refused, or decides."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from models import allocation as pure_allocation
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict
from models.placement import Placement
from models.rates import Cell
from models.services.exchange import (
    agreements,
    allocation_draws,
    eligibility,
    placements,
    rate_cards,
    standard_terms,
)
from models.standard_terms import EVERY_TIER
from models.tender import PLACED
from models.work import Work
from tests.conftest import Clock
from tests.panels import (
    Panel,
    commit,
    committed,
    holders,
    hurried,
    panel,
    preview,
)
from tests.world import World


def test_a_preview_of_other_rates_or_terms_is_refused(world: World) -> None:
    of = panel(world, 4, agencies=1)
    for change in (move_bucket, lengthen_term):
        tender = preview(world, of)
        with world.database.work(of.lender.actor) as work:
            change(work, of)
        with pytest.raises(Conflict, match="preview_outdated"):
            commit(world, of, tender)
    committed(world, of)


def move_bucket(work: Work, of: Panel) -> None:
    work.session.execute(update(Case).where(Case.portfolio_id == of.portfolio_id).values(bucket="M6", dpd=170))


def lengthen_term(work: Work, of: Panel) -> None:
    agreements.change(work, of.ids[0], {"term_days": 700})


def placed_as(world: World, of: Panel) -> Placement:
    with world.database.work(of.lender.actor) as work:
        (placement,) = placements.list_own(work)
    return placement


def propose_card(world: World, of: Panel, valid_from: dt.date) -> Callable[[], None]:
    """A dearer card of the first agreement's; calling what is answered approves it."""
    with world.database.work(of.lender.actor) as work:
        card = rate_cards.propose(work, of.ids[0], rate_cards.Terms([Cell(Decimal("0.40"))], valid_from))
    second = world.person(of.lender, "administrator")

    def approve() -> None:
        with hurried(world, second) as work:
            rate_cards.approve(work, card.id)

    return approve


@pytest.fixture
def once_drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something done between a split's digest and its being placed."""

    def arrange(act: Callable[[], None]) -> None:
        def digest(*given: Any) -> bytes:
            found = pure_allocation.digest(*given)
            act()
            return found

        monkeypatch.setattr(allocation_draws, "digest", digest)

    return arrange


@pytest.mark.parametrize("change", ["term", "card"])
def test_nobody_changes_an_agreement_between_the_check_and_the_placing(
    world: World, once_drawn: Callable[[Callable[[], None]], None], change: str
) -> None:
    of = panel(world, 2, agencies=1, term_days=90)
    approve = propose_card(world, of, world.clock().date())
    waited = []

    def lengthen() -> None:
        with hurried(world, of.lender) as work:
            agreements.change(work, of.ids[0], {"term_days": 700})

    def act() -> None:
        with pytest.raises(OperationalError):
            (lengthen if change == "term" else approve)()
        waited.append(change)

    tender = preview(world, of)
    once_drawn(act)
    commit(world, of, tender)
    placement = placed_as(world, of)
    assert waited == [change]
    assert (placement.expires_at - placement.started_at).days == 90
    assert (placement.rate_card_version, placement.lowest_rate) == (1, Decimal("0.18"))


def test_standard_terms_approved_after_the_check_are_not_placed(
    world: World, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    with world.database.work(of.lender.actor) as work:
        terms = standard_terms.propose(work, EVERY_TIER, {}, Decimal("0.50"))
    second = world.person(of.lender, "administrator")

    def approve() -> None:
        with world.database.work(second.actor) as work:
            standard_terms.approve(work, terms.id)

    tender = preview(world, of)
    once_drawn(approve)
    commit(world, of, tender)
    assert placed_as(world, of).settlement_floor == Decimal(1)


def test_a_case_in_another_bucket_by_the_time_it_is_locked_is_refused(
    world: World, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    tender = preview(world, of)

    def move() -> None:
        with world.database.work(of.lender.actor) as work:
            move_bucket(work, of)

    once_drawn(move)
    with pytest.raises(Conflict, match="cases_changed"):
        commit(world, of, tender)


MIDNIGHT = dt.datetime(2026, 3, 10, 16, 0, tzinfo=dt.UTC)  # in Shanghai


def test_a_midnight_between_the_check_and_the_placing_changes_no_rate(
    world: World, clock: Clock, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    propose_card(world, of, day_of(clock()) + dt.timedelta(days=1))()
    tender = preview(world, of)
    clock.at = MIDNIGHT - dt.timedelta(seconds=5)
    once_drawn(lambda: clock.forward(seconds=10))
    assert commit(world, of, tender).state == PLACED
    placement = placed_as(world, of)
    assert (placement.rate_card_version, placement.lowest_rate) == (1, Decimal("0.18"))
    assert placement.started_at < MIDNIGHT


@pytest.mark.parametrize(("days", "code"), [(0, "agreement_not_in_force"), (100, "preview_outdated")])
def test_after_a_midnight_while_waiting_for_the_agencies_the_next_day_decides(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, days: int, code: str
) -> None:
    """The agreement's last day is over, or another card is in force."""
    of = panel(world, 2, agencies=1, ends_on=day_of(clock()) + dt.timedelta(days=days))
    if days:
        propose_card(world, of, day_of(clock()) + dt.timedelta(days=1))()
    tender = preview(world, of)
    clock.at = MIDNIGHT - dt.timedelta(seconds=5)
    take_turns = eligibility.take_turns

    def wait(work: Work, lender_id: UUID, agency_ids: Sequence[UUID]) -> None:
        take_turns(work, lender_id, agency_ids)
        clock.forward(seconds=10)

    monkeypatch.setattr(eligibility, "take_turns", wait)
    with pytest.raises(Conflict, match=code):
        commit(world, of, tender)
    assert set(holders(world, of).values()) == {None}
