"""What ends a placement against whatever else happens to it in the same moment: one winner, and the other is told."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import islice
from uuid import UUID

import pytest
from sqlalchemy import func, select

from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, NotFound, Refusal
from models.placement import EXPIRED, LIVE, RECALLED, PlacedCase, Placement
from models.retention import APPROVED, Retention
from models.services.collection import promises
from models.services.exchange import expiries, offers, placements, recalls, retentions, returns, tenders
from models.services.parties import lender_settings
from models.work import JOBS, Actor, Work
from tests.conftest import Clock
from tests.world import Debt, Someone, World

ROUNDS = [50, pytest.param(1000, marks=pytest.mark.soak)]

Act = Callable[[Work], object]


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def race(world: World, *racers: tuple[Someone | Actor, Act]) -> list[Refusal | None]:
    """All at once, each in a Work of its own; answers how each was refused, in their order."""
    start = threading.Barrier(len(racers))

    def run(who: Someone | Actor, act: Act) -> Refusal | None:
        start.wait()
        try:
            with world.database.work(who if isinstance(who, Actor) else who.actor) as work:
                act(work)
        except (Conflict, NotFound) as refusal:
            return refusal
        return None

    with ThreadPoolExecutor(len(racers)) as threads:
        return [running.result() for running in [threads.submit(run, *racer) for racer in racers]]


def require_whole(world: World, lender: Someone) -> None:
    """Each case is in one live placement at most, and `agency_id` names the agency of that one."""
    with world.database.work(lender.actor) as work:
        live = (
            select(PlacedCase.case_id, PlacedCase.agency_id, Placement.state)
            .join(Placement, Placement.id == PlacedCase.placement_id)
            .where(PlacedCase.ended_at.is_(None))
        )
        rows = work.session.execute(live).all()
        holders = {case_id: agency_id for case_id, agency_id, _ in rows}
        assert len(holders) == len(rows)
        assert {state for _, _, state in rows} <= set(LIVE)
        named = select(Case.id, Case.agency_id).where(Case.agency_id.is_not(None))
        assert dict(work.session.execute(named).all()) == holders


@pytest.mark.parametrize("count", ROUNDS)
def test_of_a_recall_and_an_acknowledgement_the_recall_always_holds(
    world: World, lender: Someone, agency: Someone, count: int
) -> None:
    agreement = world.agreement(lender, agency)
    for portfolio in world.portfolios(lender, 1, count):
        placement = _place(world, lender, agency, portfolio.id, agreement.id, case_limit=1)
        late, refused = race(
            world,
            (agency, lambda work, id_=placement.id: placements.acknowledge(work, id_, 1, Decimal(1000))),
            (lender, lambda work, id_=placement.id: recalls.recall(work, id_, "placed_in_error")),
        )
        assert refused is None
        assert late is None or late.code == "wrong_state"
        with world.database.work(agency.actor) as work:
            assert placements.get(work, placement.id).state == RECALLED
    require_whole(world, lender)


@pytest.mark.parametrize("count", ROUNDS)
def test_of_a_return_and_a_recall_of_one_case_one_holds(
    world: World, lender: Someone, agency: Someone, count: int
) -> None:
    placement = world.placement(lender, agency, count + 1)
    case_ids = _all_cases(world, lender, placement)
    for case_id in islice(case_ids, count):
        refused = race(
            world,
            (agency, lambda work, id_=case_id: returns.give_back(work, placement.id, "capacity", [id_])),
            (lender, lambda work, id_=case_id: recalls.recall(work, placement.id, "dispute", [id_])),
        )
        assert sorted(type(refusal) for refusal in refused if refusal) == [NotFound]
    require_whole(world, lender)


@pytest.mark.parametrize("count", ROUNDS)
def test_a_recall_and_the_acceptance_of_the_next_offer_leave_one_holder(
    world: World, lender: Someone, agency: Someone, count: int
) -> None:
    """The case goes back and forth: whoever takes it, takes it after it came back."""
    other = world.agency()
    agreements = {someone.organisation.id: world.agreement(lender, someone).id for someone in (agency, other)}
    portfolio = world.portfolio(lender, 2)
    holder, next_ = agency, other
    placement = _place(world, lender, holder, portfolio.id, agreements[holder.organisation.id])
    first, second = _all_cases(world, lender, placement)
    for _ in range(count):
        with world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "lender_request", [first])
            offer = tenders.assign(work, portfolio.id, agreements[next_.organisation.id])
        recalled, accepted = race(
            world,
            (lender, lambda work, id_=placement.id: recalls.recall(work, id_, "lender_request")),
            (next_, lambda work, id_=offer.id: offers.accept(work, id_)),
        )
        assert (recalled, accepted) == (None, None)
        require_whole(world, lender)
        with world.database.work(next_.actor) as work:
            found = placements.find_of_offer(work, offer.id)
            assert found is not None
            assert found.case_count == 1
        with world.database.work(lender.actor) as work:
            recalls.recall(work, found.id, "lender_request")
        holder, next_ = next_, holder
        placement = _place(world, lender, holder, portfolio.id, agreements[holder.organisation.id])
    assert {first, second} == set(_all_cases(world, lender, placement))


@pytest.mark.parametrize("count", ROUNDS)
def test_approvals_at_once_never_exceed_the_cap(
    world: World, clock: Clock, lender: Someone, agency: Someone, count: int
) -> None:
    """Of twice as many as there is room for, two at a time."""
    placement = world.placement(lender, agency, 2 * count)
    case_ids = _all_cases(world, lender, placement)
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 50})
    clock.forward(days=80)
    with world.database.work(agency.actor) as work:
        for case_id in case_ids:
            promises.record(work, case_id, promises.PromiseReport(Decimal(10), "CNY", day_of(work.at)))
        retentions.request(work, placement.id, case_ids, "promise", 10)
    waiting = _waiting(world, lender, placement)
    pairs = [waiting[place : place + 2] for place in range(0, len(waiting), 2)]
    won = 0
    for one, two in pairs:
        refused = race(
            world,
            (lender, lambda work, id_=one: retentions.decide(work, [id_], approve=True)),
            (lender, lambda work, id_=two: retentions.decide(work, [id_], approve=True)),
        )
        won += refused.count(None)
        assert all(refusal.code == "retention_cap" for refusal in refused if refusal)
        assert won <= count
    with world.database.work(lender.actor) as work:
        approved = select(func.count()).select_from(Retention).where(Retention.state == APPROVED)
        assert work.session.scalar(approved) == won == count


@pytest.mark.parametrize("count", ROUNDS)
def test_approvals_of_all_that_waits_never_exceed_the_cap_either(
    world: World, clock: Clock, lender: Someone, agency: Someone, count: int
) -> None:
    """One approves all that waits, the other the same by name: either is first, and the cap ends both."""
    placement = world.placement(lender, agency, 2 * count)
    case_ids = _all_cases(world, lender, placement)
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 25})
    clock.forward(days=80)
    everything = retentions.RetentionFilter(placement_id=placement.id)
    for place in range(0, len(case_ids), 2):
        with world.database.work(agency.actor) as work:
            for case_id in case_ids[place : place + 2]:
                promises.record(work, case_id, promises.PromiseReport(Decimal(10), "CNY", day_of(work.at)))
            retentions.request(work, placement.id, case_ids[place : place + 2], "promise", 10)
        waiting = _waiting(world, lender, placement)
        by_name, of_all = race(
            world,
            (lender, lambda work, ids=waiting: retentions.decide(work, ids, approve=True)),
            (lender, lambda work: retentions.decide_all(work, everything, None, None, approve=True)),
        )
        assert of_all is None
        assert by_name is None or by_name.code in {"wrong_state", "retention_cap"}
    with world.database.work(lender.actor) as work:
        approved = select(func.count()).select_from(Retention).where(Retention.state == APPROVED)
        assert work.session.scalar(approved) == count // 4 * 2


@pytest.mark.parametrize("count", ROUNDS)
def test_of_an_approval_and_the_expiry_either_the_case_stays_or_the_approval_is_late(
    world: World, clock: Clock, lender: Someone, agency: Someone, count: int
) -> None:
    """The clock stands at the end of the term, so no approval is in time, whoever is first."""
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 100, "retention_window_days": 90})
    agreement = world.agreement(lender, agency, term_days=30, ends_on=clock().date().replace(year=clock().year + 9))
    jobs = Actor(side=JOBS, org_id=lender.organisation.id, name="test")
    began_at = clock.at
    for place in range(count):
        clock.at = began_at
        portfolio = world.portfolio(lender, [Debt(place + 1)])
        placement = _place(world, lender, agency, portfolio.id, agreement.id)
        (case_id,) = _all_cases(world, lender, placement)
        with world.database.work(agency.actor) as work:
            placements.acknowledge(work, placement.id, 1, Decimal(1000))
            promises.record(work, case_id, promises.PromiseReport(Decimal(10), "CNY", day_of(work.at)))
            retentions.request(work, placement.id, [case_id], "promise", 10)
        (waiting,) = _waiting(world, lender, placement)
        clock.at = placement.expires_at
        approved, swept = race(
            world,
            (lender, lambda work, id_=waiting: retentions.decide(work, [id_], approve=True)),
            (jobs, expiries.expire_due),
        )
        assert swept is None
        assert approved is not None
        assert approved.code in {"placement_expired", "wrong_state"}
        with world.database.work(agency.actor) as work:
            assert placements.get(work, placement.id).state == EXPIRED
    require_whole(world, lender)


@pytest.mark.parametrize("count", ROUNDS)
def test_of_an_objection_and_the_execution_either_the_case_waits_or_it_is_gone(
    world: World, clock: Clock, lender: Someone, agency: Someone, count: int
) -> None:
    placement = world.placement(lender, agency, count + 1)
    case_ids = _all_cases(world, lender, placement)
    for case_id in islice(case_ids, count):
        with world.database.work(lender.actor) as work:
            request = recalls.request(work, placement.id, "lender_request", [case_id])
        objected, withdrawn = race(
            world,
            (agency, lambda work, id_=request.id, of=case_id: recalls.object_to(work, id_, [of], "promise")),
            (lender, lambda work, of=case_id: recalls.recall(work, placement.id, "conduct", [of])),
        )
        assert withdrawn is None
        assert objected is None or objected.code in {"wrong_state", "not_found"}
        with world.database.work(lender.actor) as work:
            assert recalls.get(work, request.id).state == "withdrawn"
    require_whole(world, lender)


def _place(
    world: World,
    lender: Someone,
    agency: Someone,
    portfolio_id: UUID,
    agreement_id: UUID,
    case_limit: int | None = None,
) -> Placement:
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, portfolio_id, agreement_id, case_limit=case_limit)
    with world.database.work(agency.actor) as work:
        return offers.accept(work, offer.id)


def _all_cases(world: World, lender: Someone, placement: Placement) -> list[UUID]:
    with world.database.work(lender.actor) as work:
        placed = select(PlacedCase.case_id).where(PlacedCase.placement_id == placement.id)
        return list(work.session.scalars(placed.order_by(PlacedCase.case_id)))


def _waiting(world: World, lender: Someone, placement: Placement) -> list[UUID]:
    with world.database.work(lender.actor) as work:
        found = select(Retention.id).where(Retention.placement_id == placement.id, Retention.state == "requested")
        return list(work.session.scalars(found.order_by(Retention.id)))
