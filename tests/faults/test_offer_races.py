"""Offers under many hands at once: one winner each time, the loser is told why, and no case is placed twice."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from models.agreement import Agreement
from models.audit import OutboxEntry
from models.offer import Offer
from models.placement import PlacedCase, Placement
from models.services.exchange import offers, tender_cases, tender_offers, tenders
from models.services.portfolio import exclusions
from models.tender import Tender
from models.tender_plan import Plan
from models.work import JOBS, Actor, Work
from tests.conftest import Clock
from tests.racing import Act, at_once
from tests.world import Someone, World

ROUNDS = [50, pytest.param(1000, marks=pytest.mark.soak)]
CASES = 2  # of a tender


class Ground:
    """A lender, its panel, and a new tender of two cases for each round."""

    def __init__(self, world: World, agencies: int, rounds: int) -> None:
        self.world = world
        self.lender = world.lender()
        self.agencies = [world.agency() for _ in range(agencies)]
        self.panel: Sequence[Agreement] = [world.agreement(self.lender, agency) for agency in self.agencies]
        self.portfolios = world.portfolios(self.lender, CASES, rounds)

    def tender(self, kind: str = "first_claim") -> Tender:
        panel = [one.id for one in self.panel]
        with self.world.database.work(self.lender.actor) as work:
            return tenders.create(work, Plan(next(self.portfolios).id, kind, panel, case_limit=CASES))

    def offers(self, tender: Tender) -> dict[UUID, Offer]:
        """By agency."""
        with self.world.database.work(self.lender.actor) as work:
            return {offer.agency_id: offer for offer in tender_offers.list_all(work, tender.id)}

    def by(self, actor: Actor, verb: Callable[[Work], object]) -> Act:
        def act() -> None:
            with self.world.database.work(actor) as work:
                verb(work)

        return act

    def accept(self, agency: Someone, offer: Offer) -> Act:
        return self.by(agency.actor, lambda work: offers.accept(work, offer.id))

    def job(self, verb: Callable[[Work], object]) -> Act:
        return self.by(Actor(side=JOBS, org_id=self.lender.organisation.id), verb)

    def placed(self, tender: Tender) -> int:
        """Cases of the tender that are placed now; the constraint lets none be placed twice."""
        with self.world.database.work(self.lender.actor) as work:
            live = select(func.count()).where(
                PlacedCase.lender_id == tender.lender_id,
                PlacedCase.ended_at.is_(None),
                PlacedCase.placement_id.in_(
                    select(Placement.id).join(Offer, Offer.id == Placement.offer_id).where(Offer.tender_id == tender.id)
                ),
            )
            return work.session.scalar(live) or 0

    def logged(self) -> list[str]:
        """The last acts in the order in which they were done: each writes its entry under the locks it holds."""
        last = select(OutboxEntry.entry).order_by(OutboxEntry.id.desc()).limit(20)
        with self.world.database.work(Actor(side=JOBS, org_id=self.lender.organisation.id)) as work:
            entries = work.session.scalars(last).all()
        return [json.loads(entry)["action"] for entry in reversed(entries)]

    def state(self, tender: Tender) -> str:
        with self.world.database.work(self.lender.actor) as work:
            return tenders.get(work, tender.id).state


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_two_agencies_that_accept_at_once_one_has_all(world: World, rounds: int) -> None:
    ground = Ground(world, 2, rounds)
    for _ in range(rounds):
        tender = ground.tender()
        made = ground.offers(tender)
        answers = at_once(*(ground.accept(agency, made[agency.organisation.id]) for agency in ground.agencies))
        assert sorted(answers) == ["done", "offer_taken"]
        assert (ground.placed(tender), ground.state(tender)) == (2, "placed")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_a_withdrawal_and_an_acceptance_at_once_one_wins(world: World, rounds: int) -> None:
    ground = Ground(world, 1, rounds)
    (agency,) = ground.agencies
    seen = set()
    for turn in range(rounds):
        tender = ground.tender("assigned")
        offer = ground.offers(tender)[agency.organisation.id]
        withdraw = ground.by(ground.lender.actor, lambda work, tender=tender: tenders.withdraw(work, tender.id))  # type: ignore[misc]
        answers = at_once(ground.accept(agency, offer), withdraw, first=turn % 2)
        assert sorted(answers) == ["done", "wrong_state"]
        won = answers[0] == "done"
        assert (ground.placed(tender), ground.state(tender)) == ((2, "placed") if won else (0, "withdrawn"))
        seen.add(won)
    assert seen == {True, False}


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_an_expiry_and_an_acceptance_at_once_one_wins(world: World, clock: Clock, rounds: int) -> None:
    """The acceptance began in time and the clock passes the deadline while both run."""
    ground = Ground(world, 1, rounds)
    (agency,) = ground.agencies
    began_at, seen = clock.at, set()
    for turn in range(rounds):
        clock.at = began_at  # else the agreement would end before a thousand offers have
        tender = ground.tender("assigned")
        offer = ground.offers(tender)[agency.organisation.id]
        clock.at = offer.expires_at - dt.timedelta(seconds=1)

        def expire(offer: Offer = offer) -> None:
            clock.at = offer.expires_at
            ground.job(lambda work: offers.end_due(work, offer.id))()

        late, ended = at_once(ground.accept(agency, offer), expire, first=turn % 2)
        assert late in ("done", "offer_expired", "wrong_state")
        assert ended == "done"
        won = late == "done"
        assert (ground.placed(tender), ground.state(tender)) == ((2, "placed") if won else (0, "unanswered"))
        seen.add(won)
    assert seen == {True, False}


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_exclusion_is_before_the_placement_or_after_it(world: World, rounds: int) -> None:
    """What was excluded first is not placed; what was placed first is not undone by it."""
    ground = Ground(world, 1, rounds)
    (agency,) = ground.agencies
    for _ in range(rounds):
        tender = ground.tender("assigned")
        offer = ground.offers(tender)[agency.organisation.id]
        with world.database.work(ground.lender.actor) as work:
            case_id = tender_cases.read_held(work, tender)["case_id"][0]

        def exclude(work: Work, case_id: str = case_id) -> None:
            exclusions.record(work, UUID(case_id), "deceased", "registry", dt.date(2026, 3, 1))

        answers = at_once(ground.accept(agency, offer), ground.by(ground.lender.actor, exclude))
        assert answers == ["done", "done"]
        acts = [act for act in ground.logged() if act in ("offer.accept", "exclusion.record")][-2:]
        assert ground.placed(tender) == (1 if acts[0] == "exclusion.record" else 2)


@pytest.mark.parametrize(("lots", "agencies"), [(10, 5), pytest.param(100, 10, marks=pytest.mark.soak)])
def test_of_many_claims_at_once_each_tender_has_one_winner(world: World, lots: int, agencies: int) -> None:
    ground = Ground(world, agencies, lots)
    made = [ground.tender() for _ in range(lots)]
    claims = [
        (agency, offer)
        for tender in made
        for agency, offer in zip(ground.agencies, ground.offers(tender).values(), strict=True)
    ]

    def claim(at: int) -> str:
        agency, offer = claims[at]
        while True:
            try:
                return at_once(ground.accept(agency, offer))[0]
            except OperationalError as busy:
                if not isinstance(busy.orig, LockNotAvailable):
                    raise
                # Whoever waits too long is told to come again, and does.

    with ThreadPoolExecutor(16) as threads:
        answers = Counter(threads.map(claim, range(len(claims))))
    assert answers == {"done": lots, "offer_taken": lots * (agencies - 1)}
    assert [ground.placed(tender) for tender in made] == [2] * lots
