"""Recalls against whatever else takes or frees the same cases in the same moment: one winner, and a reason for the
other."""

from collections.abc import Callable
from itertools import cycle
from uuid import UUID

import pytest
from sqlalchemy import func, select

from models.case import Case
from models.offer import Offer
from models.placement import RECALLED, UNDONE, PlacedCase, Placement
from models.portfolio import Portfolio
from models.services.exchange import offers, placements, recalls, tenders, undoing
from models.tender import TenderedCase
from models.work import Work
from tests.racing import Act, at_once
from tests.world import Someone, World

ROUNDS = pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.soak)])
CASES = 2  # of a round


class Ground:
    """A lender with an agency, and another that waits for its cases."""

    def __init__(self, world: World) -> None:
        self.world, self.lender, self.agency = world, world.lender(), world.agency()
        self.agreement = world.agreement(self.lender, self.agency)
        self.next = world.agreement(self.lender, world.agency())

    def portfolios(self, rounds: int) -> list[Portfolio]:
        return list(self.world.portfolios(self.lender, CASES, rounds))

    def offer(self, portfolio: Portfolio) -> Offer:
        with self.world.database.work(self.lender.actor) as work:
            return tenders.assign(work, portfolio.id, self.agreement.id, case_limit=CASES)

    def placement(self, portfolio: Portfolio) -> Placement:
        """Acknowledged."""
        offer = self.offer(portfolio)
        with self.world.database.work(self.agency.actor) as work:
            placement = offers.accept(work, offer.id)
            return placements.acknowledge(work, placement.id, *placements.figures(work, placement.id))

    def by(self, someone: Someone, verb: Callable[[Work], object]) -> Act:
        def act() -> None:
            with self.world.database.work(someone.actor) as work:
                verb(work)

        return act

    def recall(self, placement: Placement) -> Act:
        return self.by(self.lender, lambda work: recalls.recall(work, placement.id, "lender_request"))

    def state(self, offer_id: UUID) -> str | None:
        """Of what the offer became, if anything."""
        with self.world.database.work(self.lender.actor) as work:
            found = placements.find_of_offer(work, offer_id)
            return found.state if found else None

    def cases_of(self, offer: Offer) -> list[UUID]:
        with self.world.database.work(self.lender.actor) as work:
            of_tender = select(TenderedCase.case_id).where(TenderedCase.tender_id == offer.tender_id)
            return list(work.session.scalars(of_tender.order_by(TenderedCase.case_id)))

    def held(self) -> int:
        """Cases with any agency, told twice alike: by the cases and by their placements."""
        with self.world.database.work(self.lender.actor) as work:
            named = work.session.scalar(select(func.count()).where(Case.agency_id.is_not(None)))
            live = work.session.scalar(select(func.count()).where(PlacedCase.ended_at.is_(None)))
        assert named == live
        return live or 0


@ROUNDS
def test_a_recall_of_cases_that_are_being_accepted_takes_all_of_them_or_finds_none(world: World, rounds: int) -> None:
    ground = Ground(world)
    for portfolio, first in zip(ground.portfolios(rounds), cycle((0, 1)), strict=False):
        offer = ground.offer(portfolio)
        case_ids = ground.cases_of(offer)
        answers = at_once(
            ground.by(ground.agency, lambda work, it=offer.id: offers.accept(work, it)),  # type: ignore[misc]
            ground.by(
                ground.lender,
                lambda work, ids=case_ids: recalls.request_cases(work, "lender_request", ids, immediate=True),  # type: ignore[misc]
            ),
            first=first,
        )
        assert answers in (["done", "done"], ["done", "not_found"])
        came_back = answers[1] == "done"
        assert (ground.state(offer.id) == RECALLED, ground.held()) == (came_back, 0 if came_back else CASES)
        if not came_back:
            with world.database.work(ground.lender.actor) as work:
                recalls.request_cases(work, "lender_request", case_ids, immediate=True)


@ROUNDS
def test_of_two_recalls_of_one_placement_one_is_carried_out(world: World, rounds: int) -> None:
    ground = Ground(world)
    for portfolio in ground.portfolios(rounds):
        placement = ground.placement(portfolio)
        assert sorted(at_once(ground.recall(placement), ground.recall(placement))) == ["done", "wrong_state"]
        assert (ground.state(placement.offer_id), ground.held()) == (RECALLED, 0)


@ROUNDS
def test_of_a_recall_and_an_undoing_of_one_placement_one_is_done(world: World, rounds: int) -> None:
    ground = Ground(world)
    seen = set()
    for portfolio, first in zip(ground.portfolios(rounds), cycle((0, 1)), strict=False):
        placement = ground.placement(portfolio)
        with world.database.work(ground.lender.actor) as work:
            tender_id = offers.get(work, placement.offer_id).tender_id
        undo = ground.by(ground.lender, lambda work, it=tender_id: undoing.undo(work, it, "wrong_cases"))  # type: ignore[misc]
        answers = at_once(ground.recall(placement), undo, first=first)
        assert sorted(answers) == ["done", "wrong_state"]
        won = RECALLED if answers[0] == "done" else UNDONE
        assert (ground.state(placement.offer_id), ground.held()) == (won, 0)
        seen.add(won)
    assert seen == {RECALLED, UNDONE}


@ROUNDS
def test_of_a_recall_and_the_next_tender_of_its_cases_the_tender_has_all_or_is_told_that_none_is_free(
    world: World, rounds: int
) -> None:
    """Whoever is offered a case is offered it after it came back, and accepts it while nobody else holds it."""
    ground = Ground(world)
    waiting = world.portfolio(ground.lender, CASES)
    seen = set()
    for first in range(rounds):
        placement = ground.placement(waiting)
        made: list[Offer] = []

        def tender(work: Work, made: list[Offer] = made) -> None:
            made.append(tenders.assign(work, waiting.id, ground.next.id))

        answers = at_once(ground.recall(placement), ground.by(ground.lender, tender), first=first % 2)
        assert answers in (["done", "done"], ["done", "no_cases_to_offer"])
        assert (ground.state(placement.offer_id), ground.held()) == (RECALLED, 0)
        if made:
            assert ground.cases_of(made[0]) == world.case_ids(placement, ground.lender)
            with world.database.work(ground.lender.actor) as work:
                tenders.withdraw(work, made[0].tender_id)
        seen.add(answers[1])
    assert seen == {"done", "no_cases_to_offer"}
