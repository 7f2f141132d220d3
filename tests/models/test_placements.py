"""Placements: acknowledged with the right figures, recalled whole or in part, ended by their term."""

import datetime as dt
import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from models.case import Case
from models.errors import Conflict, Invalid, NotFound
from models.offer import ACCEPTED, DECLINED, OFFERED, WITHDRAWN
from models.placement import ACTIVE, AWAITING_ACK, EXPIRED, RECALLED, Assignment, PlacedCase, Placement
from models.services.collection import assignments, worklists
from models.services.exchange import expiries, offers, placements, recalls, tenders
from models.services.portfolio import cases
from models.work import JOBS, Actor
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def jobs_of(lender: Someone) -> Actor:
    return Actor(side=JOBS, org_id=lender.organisation.id, name="job:expiry")


def test_a_placement_is_active_once_count_and_balance_agree(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 3, acknowledged=False)
    assert placement.state == AWAITING_ACK
    with world.database.work(agency.actor) as work:
        acknowledged = placements.acknowledge(work, placement.id, 3, Decimal("3000"))
    assert (acknowledged.state, acknowledged.acknowledged_at) == (ACTIVE, world.clock())


@pytest.mark.parametrize(("count", "balance"), [(2, "3000.00"), (3, "2999.99"), (3, "3000.01")])
def test_other_figures_are_named_and_the_placement_goes_on_waiting(
    world: World, lender: Someone, agency: Someone, count: int, balance: str
) -> None:
    placement = world.placement(lender, agency, 3, acknowledged=False)
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        placements.acknowledge(work, placement.id, count, Decimal(balance))
    assert refused.value.code == "acknowledgement_mismatch"
    assert refused.value.facts == {
        "case_count": count,
        "balance": balance,
        "case_count_expected": 3,
        "balance_expected": "3000.00",
    }
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == AWAITING_ACK


def test_what_was_recalled_before_is_not_asked_for(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 3, acknowledged=False)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "placed_in_error", world.case_ids(placement, lender)[:1])
    with world.database.work(agency.actor) as work:
        figures = placements.figures(work, placement.id)
        assert figures == (2, Decimal("2000.00"))
        assert placements.acknowledge(work, placement.id, *figures).state == ACTIVE


def test_a_recall_takes_every_case_from_the_agency(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 3)
    with world.database.work(lender.actor) as work:
        assert recalls.recall(work, placement.id, "lender_request").case_count == 3
    with world.database.work(agency.actor) as work:
        ended = placements.get(work, placement.id)
        assert (ended.state, ended.end_reason, ended.ended_at) == (RECALLED, "lender_request", world.clock())
        assert placements.list_cases(work, placement.id) == []
        assert worklists.read(work).items == []
        assert work.session.scalar(select(func.count()).select_from(Case)) == 0


def test_recalling_some_cases_leaves_the_others(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 3)
    first, *others = world.case_ids(placement, lender)
    with world.database.work(lender.actor) as work:
        assert recalls.recall(work, placement.id, "dispute", [first]).case_count == 1
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == ACTIVE
        assert sorted(line.case.id for line in placements.list_cases(work, placement.id)) == others
        with pytest.raises(NotFound):
            cases.get(work, first)


def test_with_its_last_case_a_placement_ends(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 2)
    for case_id in world.case_ids(placement, lender):
        with world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "dispute", [case_id])
    with world.database.work(lender.actor) as work:
        assert placements.get(work, placement.id).state == RECALLED


def test_a_recall_names_live_cases_only_or_changes_nothing(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 2)
    foreign = world.case_ids(world.placement(lender, agency, [Debt(9)]), lender)
    known = world.case_ids(placement, lender)
    for wrong in (foreign, [uuid4()], [*known, *foreign]):
        with pytest.raises(NotFound), world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "dispute", wrong)
    with world.database.work(agency.actor) as work:
        assert len(placements.list_cases(work, placement.id)) == 2


def test_a_recall_happens_once(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)

    def recall(_: int) -> str:
        try:
            with world.database.work(lender.actor) as work:
                recalls.recall(work, placement.id, "conduct")
        except Conflict as refused:
            return refused.code
        return "recalled"

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(recall, range(8))) == ["recalled"] + 7 * ["wrong_state"]


def test_a_reason_to_recall_is_a_code_and_never_text(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)
    with world.database.work(lender.actor) as work, pytest.raises(Invalid):
        recalls.recall(work, placement.id, "张三 complained")


def test_a_recall_races_an_acknowledgement_and_both_orders_end_recalled(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency, acknowledged=False)

    def acknowledge() -> None:
        with world.database.work(agency.actor) as work:
            placements.acknowledge(work, placement.id, 3, Decimal(3000))

    def recall() -> None:
        with world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "conduct")

    with ThreadPoolExecutor(2) as threads:
        acknowledged, recalled = threads.submit(acknowledge), threads.submit(recall)
        recalled.result()
        assert acknowledged.exception() is None or isinstance(acknowledged.exception(), Conflict)
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == RECALLED
        assert worklists.read(work).items == []


def test_a_recalled_case_is_placed_again_with_the_next_number(world: World, lender: Someone, agency: Someone) -> None:
    placement, other = world.placement(lender, agency), world.agency()
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "conduct")
    agreement = world.agreement(lender, other)
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, placement.portfolio_id, agreement.id)
    with world.database.work(other.actor) as work:
        second = offers.accept(work, offer.id)
        assert {line.placement_seq for line in placements.list_cases(work, second.id)} == {None}
    with world.database.work(lender.actor) as work:
        assert {line.placement_seq for line in placements.list_cases(work, second.id)} == {2}


def test_the_database_refuses_a_second_live_placement_of_a_case(world: World, lender: Someone, agency: Someone) -> None:
    one, two = world.placement(lender, agency), world.placement(lender, agency, [Debt(9)])
    with world.database.work(lender.actor) as work:
        row = work.session.scalars(select(PlacedCase).where(PlacedCase.placement_id == one.id)).first()
        assert row is not None
        work.session.add(
            PlacedCase(
                lender_id=row.lender_id,
                placement_id=two.id,
                case_id=row.case_id,
                agency_id=row.agency_id,
                placement_seq=2,
                referred_amount=row.referred_amount,
                started_at=work.at,
            )
        )
        with pytest.raises(IntegrityError):
            work.session.flush()
        work.session.rollback()


def test_a_placement_ends_with_its_term_whenever_the_job_comes(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)
    world.clock.forward(days=90, hours=5)  # type: ignore[attr-defined]
    with world.database.work(jobs_of(lender)) as work:
        assert expiries.expire_due(work) == 1
        assert expiries.expire_due(work) == 0
    with world.database.work(agency.actor) as work:
        ended = placements.get(work, placement.id)
        assert (ended.state, ended.ended_at) == (EXPIRED, placement.expires_at)
        assert placements.list_cases(work, placement.id) == []


def test_nothing_is_acknowledged_after_its_term(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, acknowledged=False)
    world.clock.forward(days=90)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        placements.acknowledge(work, placement.id, 3, Decimal(3000))
    assert refused.value.code == "placement_expired"


def test_another_agency_cannot_tell_that_a_placement_exists(world: World, lender: Someone, agency: Someone) -> None:
    placement, other = world.placement(lender, agency), world.agency()
    collector = world.person(other, "collector").member.id
    case_ids = world.case_ids(placement, lender)
    acts = [
        lambda work: placements.get(work, placement.id),
        lambda work: placements.figures(work, placement.id),
        lambda work: placements.list_cases(work, placement.id),
        lambda work: placements.acknowledge(work, placement.id, 3, Decimal(3000)),
        lambda work: assignments.assign(work, placement.id, collector, case_ids),
        lambda work: assignments.assign_evenly(work, placement.id, [collector]),
        lambda work: cases.get(work, case_ids[0]),
        lambda work: cases.timeline(work, case_ids[0]),
    ]
    for act in acts:
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            act(work)
    with world.database.work(other.actor) as work:
        assert (placements.list_own(work), worklists.read(work).items, cases.list_own(work)) == ([], [], [])
        for table in (Placement, PlacedCase, Assignment, Case):
            assert work.session.scalar(select(func.count()).select_from(table)) == 0


def test_an_agency_changes_no_placement_from_its_own_side(world: World, lender: Someone, agency: Someone) -> None:
    world.placement(lender, agency)
    with world.database.work(agency.actor) as work:
        for table in (Placement, PlacedCase, Case):
            changed = work.session.execute(update(table).values(agency_id=agency.organisation.id))
            assert changed.rowcount == 0  # type: ignore[attr-defined]


def test_any_order_of_acts_leaves_each_case_placed_once_and_known_to_its_agency_alone(
    world: World, lender: Someone, agency: Someone
) -> None:
    other = world.agency()
    agreements = {someone.organisation.id: world.agreement(lender, someone).id for someone in (agency, other)}
    people = {someone.organisation.id: someone for someone in (agency, other)}

    borrowers = itertools.count(100, 2)

    class Exchange(RuleBasedStateMachine):
        """What the verbs should have done, kept beside what they did."""

        @initialize()
        def begin(self) -> None:
            borrower = next(borrowers)
            self.portfolio = world.portfolio(lender, [Debt(borrower), Debt(borrower), Debt(borrower + 1)])
            self.offer: tuple[UUID, UUID] | None = None
            self.placement: tuple[UUID, UUID] | None = None

        @rule(agency_id=st.sampled_from(sorted(people)))
        @precondition(lambda self: self.offer is None and self.placement is None)
        def offer_to(self, agency_id: UUID) -> None:
            with world.database.work(lender.actor) as work:
                offer = tenders.assign(work, self.portfolio.id, agreements[agency_id])
                assert (offer.state, tenders.get(work, offer.tender_id).case_count) == (OFFERED, 3)
            self.offer = (offer.id, agency_id)

        @rule()
        @precondition(lambda self: self.offer)
        def accept(self) -> None:
            offer_id, agency_id = self.offer
            with world.database.work(people[agency_id].actor) as work:
                self.placement = (offers.accept(work, offer_id).id, agency_id)
            self._offer_ended(ACCEPTED)

        @rule()
        @precondition(lambda self: self.offer)
        def decline(self) -> None:
            with world.database.work(people[self.offer[1]].actor) as work:
                offers.decline(work, self.offer[0], "rate")
            self._offer_ended(DECLINED)

        @rule()
        @precondition(lambda self: self.offer)
        def withdraw(self) -> None:
            with world.database.work(lender.actor) as work:
                offers.withdraw(work, self.offer[0])
            self._offer_ended(WITHDRAWN)

        @rule()
        @precondition(lambda self: self.placement)
        def recall(self) -> None:
            with world.database.work(lender.actor) as work:
                recalls.recall(work, self.placement[0], "lender_request")
            self.placement = None

        def _offer_ended(self, state: str) -> None:
            with world.database.work(lender.actor) as work:
                assert offers.get(work, self.offer[0]).state == state
            self.offer = None

        @invariant()
        def the_cases_are_seen_by_who_holds_them(self) -> None:
            holder = self.placement[1] if self.placement else None
            for agency_id, someone in people.items():
                with world.database.work(someone.actor) as work:
                    mine = Case.portfolio_id == self.portfolio.id
                    seen = work.session.scalar(select(func.count()).select_from(Case).where(mine))
                assert seen == (3 if agency_id == holder else 0)

    run_state_machine_as_test(
        Exchange,
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=dt.timedelta(seconds=30),
            suppress_health_check=list(HealthCheck),
        ),
    )
