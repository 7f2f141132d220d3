"""Any walk through tenders, placements, recalls, returns, retention and expiry keeps what must always hold."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import exists, func, select

from models.acknowledgement_break import AcknowledgementBreak
from models.case import Case
from models.case_tally import PLACE, CaseTally
from models.errors import Conflict, Invalid, NotFound
from models.exclusion import Exclusion
from models.placement import LIVE, RECALL_REASONS, RETURN_CODES, PlacedCase, Placement
from models.recall_request import ASKED, EXECUTED, OBJECTED, RecallCase, RecallRequest
from models.recall_request import REQUESTED as RECALL_REQUESTED
from models.retention import APPROVED, Retention
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services.exchange import (
    acknowledgements,
    expiries,
    offers,
    placements,
    recall_lists,
    recalls,
    retentions,
    returns,
    stops,
    tenders,
)
from models.services.parties import freezes, lender_settings
from models.services.portfolio import tallies
from models.work import JOBS, Actor, Work
from models.work_item import WorkItem
from tests.conftest import Clock
from tests.world import Debt, Someone, World

CASES = 6
STEPS = 50  # of one walk

PICK = st.integers(0, 1000)


@pytest.mark.parametrize("steps", [200, pytest.param(20_000, marks=pytest.mark.soak)])
def test_a_walk_through_the_exchange_keeps_its_invariants(world: World, clock: Clock, steps: int) -> None:
    began_at = clock.at

    class Walk(RuleBasedStateMachine):
        """Acts that the rules refuse change nothing; so every act may be tried in every state.

        Each walk has a lender and agencies of its own: the thousandth has no more to read than the first.
        """

        @initialize()
        def begin(self) -> None:
            clock.at = began_at
            self.moved = True
            self.lender, self.agencies = world.lender(), [world.agency(), world.agency()]
            with world.database.work(self.lender.actor) as work:
                lender_settings.change(work, {"retention_window_days": 90, "retention_percent_max": 50})
            terms = {"term_days": 20, "ends_on": clock().date() + dt.timedelta(days=330)}
            self.agreements = [world.agreement(self.lender, agency, **terms) for agency in self.agencies]
            debts = [Debt(1 + place // 2) for place in range(CASES)]
            self.portfolio_id = world.portfolio(self.lender, debts).id

        @rule(pick=PICK)
        def offer(self, pick: int) -> None:
            agreement = self.agreements[pick % len(self.agreements)]
            with self._work(self.lender) as work:
                tenders.assign(work, self.portfolio_id, agreement.id)

        @rule(pick=PICK, takes=st.booleans())
        def answer(self, pick: int, takes: bool) -> None:
            someone = self.agencies[pick % len(self.agencies)]
            with self._work(someone) as work:
                open_ = offers.list_own(work, state="offered")
                if open_ and takes:
                    offers.accept(work, open_[0].id)
                elif open_:
                    offers.decline(work, open_[0].id, "rate")

        @rule(right=st.booleans())
        def acknowledge(self, right: bool) -> None:
            for placement, someone in self._placements():
                with self._work(someone) as work:
                    figures = placements.figures(work, placement.id)
                    counted = figures.case_count + (0 if right else 1)
                    try:
                        placements.acknowledge(work, placement.id, counted, figures.balance)
                    except Conflict as refusal:
                        if refusal.code == "acknowledgement_mismatch":
                            acknowledgements.record_mismatch(work, placement.id, counted, figures.balance)

        @rule(pick=PICK, reason=st.sampled_from(RECALL_REASONS), immediate=st.booleans())
        def recall(self, pick: int, reason: str, immediate: bool) -> None:
            for placement, case_id in self._placed(pick):
                with self._work(self.lender) as work:
                    recalls.request(work, placement.id, reason, [case_id], immediate=immediate)

        @rule(pick=PICK)
        def recall_all(self, pick: int) -> None:
            for placement, _ in self._placed(pick):
                with self._work(self.lender) as work:
                    recalls.request(work, placement.id, "lender_request")

        @rule(pick=PICK)
        def object_to(self, pick: int) -> None:
            for row, someone in self._asked(pick, ASKED):
                with self._work(someone) as work:
                    recalls.object_to(work, row.request_id, [row.case_id], "promise")

        @rule(pick=PICK)
        def keep(self, pick: int) -> None:
            for row, _ in self._asked(pick, OBJECTED):
                with self._work(self.lender) as work:
                    recalls.keep(work, row.request_id, [row.case_id])

        @rule(pick=PICK, carries_out=st.booleans())
        def decide(self, pick: int, carries_out: bool) -> None:
            for row, _ in self._asked(pick, OBJECTED):
                with self._work(self.lender) as work:
                    (recalls.execute if carries_out else recalls.withdraw)(work, row.request_id)

        @rule()
        def confirm_stops(self) -> None:
            for someone in self.agencies:
                with self._work(someone) as work:
                    for line in recall_lists.list_own(work, recall_lists.RecallFilter(unconfirmed=True)):
                        stops.confirm(work, line.request.id, line.recalled)

        @rule(pick=PICK, code=st.sampled_from(RETURN_CODES))
        def give_back(self, pick: int, code: str) -> None:
            for placement, case_id in self._placed(pick):
                with self._work(self._agency_of(placement)) as work:
                    returns.give_back(work, placement.id, code, [case_id])

        @rule(pick=PICK, days=st.integers(1, 30))
        def ask_to_keep(self, pick: int, days: int) -> None:
            for placement, case_id in self._placed(pick):
                with self._work(self._agency_of(placement)) as work:
                    retentions.request(work, placement.id, [case_id], "negotiation", days)

        @rule(approve=st.booleans())
        def decide_retentions(self, approve: bool) -> None:
            with self._work(self.lender) as work:
                waiting = retentions.list_own(work, retentions.RetentionFilter(RETENTION_REQUESTED))
                if waiting:
                    retentions.decide(work, [waiting[0].retention.id], approve=approve)

        @rule(pick=PICK)
        def freeze(self, pick: int) -> None:
            for placement, _ in self._placed(pick):
                with self._work(self.lender) as work:
                    if placement.frozen_at:
                        freezes.unfreeze(work, placement.id)
                    else:
                        freezes.freeze(work, placement.id, "conduct")

        @rule(hours=st.sampled_from([1, 25, 49, 24 * 7]))
        def time_passes(self, hours: int) -> None:
            # Agreements and papers last for a year: walks that would outlive them stay in it.
            clock.at = min(clock.at + dt.timedelta(hours=hours), began_at + dt.timedelta(days=300))
            for job in (
                expiries.expire_due,
                offers.expire_due,
                recalls.execute_due,
                stops.flag_missing,
                acknowledgements.flag_missing,
                tallies.fold,
            ):
                with world.database.work(Actor(side=JOBS, org_id=self.lender.organisation.id, name="test")) as work:
                    job(work)
            self.moved = True

        @invariant()
        def everything_holds(self) -> None:
            if not self.moved:
                return
            self.moved = False
            with world.database.work(self.lender.actor) as work:
                require_one_holder(work)
                require_counts(work)
                require_tallies(work)
                require_nothing_live_after_its_end(work)
                require_nothing_asked_of_what_is_gone(work)
                require_caps(work)

        @contextmanager
        def _work(self, someone: Someone) -> Iterator[Work]:
            with suppress(Conflict, NotFound, Invalid):
                with world.database.work(someone.actor) as work:
                    yield work
                self.moved = True

        def _agency_of(self, placement: Placement) -> Someone:
            return next(a for a in self.agencies if a.organisation.id == placement.agency_id)

        def _placements(self) -> list[tuple[Placement, Someone]]:
            with world.database.work(self.lender.actor) as work:
                live = [row for row in placements.list_own(work, limit=200) if row.state in LIVE]
            return [(row, self._agency_of(row)) for row in live]

        def _placed(self, pick: int) -> list[tuple[Placement, UUID]]:
            """One case of those placed now, if any is."""
            with world.database.work(self.lender.actor) as work:
                query = (
                    select(Placement, PlacedCase.case_id)
                    .join(PlacedCase, PlacedCase.placement_id == Placement.id)
                    .where(PlacedCase.ended_at.is_(None), Placement.portfolio_id == self.portfolio_id)
                    .order_by(PlacedCase.case_id)
                )
                rows = [(row[0], row[1]) for row in work.session.execute(query)]
            return [rows[pick % len(rows)]] if rows else []

        def _asked(self, pick: int, state: str) -> list[tuple[RecallCase, Someone]]:
            with world.database.work(self.lender.actor) as work:
                query = select(RecallCase).where(RecallCase.state == state).order_by(RecallCase.case_id)
                rows = list(work.session.scalars(query))
            row = rows[pick % len(rows)] if rows else None
            return [(row, next(a for a in self.agencies if a.organisation.id == row.agency_id))] if row else []

    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=steps // STEPS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def require_one_holder(work: Work) -> None:
    """A case is in one live placement at most, its `agency_id` names that one's agency, and it may be placed."""
    rows = work.session.execute(
        select(PlacedCase.case_id, PlacedCase.agency_id).where(PlacedCase.ended_at.is_(None))
    ).all()
    holders = {row.case_id: row.agency_id for row in rows}
    assert len(holders) == len(rows)
    named = select(Case.id, Case.agency_id).where(Case.agency_id.is_not(None))
    assert {row.id: row.agency_id for row in work.session.execute(named)} == holders
    households = select(Case.borrower_id, func.count(Case.agency_id.distinct())).group_by(Case.borrower_id)
    assert all(agencies <= 1 for _, agencies in work.session.execute(households))


def require_counts(work: Work) -> None:
    """A live placement has cases, an ended one has none; work items are those of acknowledged live cases."""
    live = (
        select(func.count())
        .where(PlacedCase.placement_id == Placement.id, PlacedCase.ended_at.is_(None))
        .correlate(Placement)
        .scalar_subquery()
    )
    ever = select(func.count()).where(PlacedCase.placement_id == Placement.id).correlate(Placement).scalar_subquery()
    for placement, now, placed in work.session.execute(select(Placement, live, ever)):
        assert (now > 0) == (placement.state in LIVE)
        assert (placement.ended_at is None) == (placement.state in LIVE)
        assert placed == placement.case_count
    items = select(WorkItem.placement_id, WorkItem.case_id)
    workable = (
        select(PlacedCase.placement_id, PlacedCase.case_id)
        .join(Placement, Placement.id == PlacedCase.placement_id)
        .where(PlacedCase.ended_at.is_(None), Placement.state == "active")
    )
    assert set(work.session.execute(items)) == set(work.session.execute(workable))


def require_tallies(work: Work) -> None:
    """What is kept of the cases is what counting them says."""
    sums = select(*_columns(CaseTally), func.sum(CaseTally.case_count), func.sum(CaseTally.balance))
    kept = work.session.execute(sums.group_by(*_columns(CaseTally))).all()
    counted = select(*_columns(Case), func.count(), func.sum(Case.balance)).group_by(*_columns(Case))
    assert {tuple(row) for row in kept if row[-2]} == {tuple(row) for row in work.session.execute(counted)}


def _columns(table: type[Case] | type[CaseTally]) -> list[Any]:
    return [getattr(table, name) for name in PLACE]


def require_nothing_live_after_its_end(work: Work) -> None:
    ends_at = func.coalesce(PlacedCase.retained_until, Placement.expires_at)
    late = (
        select(func.count())
        .select_from(PlacedCase)
        .join(Placement, Placement.id == PlacedCase.placement_id)
        .where(PlacedCase.ended_at > ends_at)
    )
    assert work.session.scalar(late) == 0
    placed_while_excluded = (
        select(func.count())
        .select_from(PlacedCase)
        .join(Case, Case.id == PlacedCase.case_id)
        .where(
            exists().where(
                Exclusion.borrower_id == Case.borrower_id,
                (Exclusion.case_id.is_(None)) | (Exclusion.case_id == Case.id),
                Exclusion.lifted_at.is_(None),
                Exclusion.recorded_at < PlacedCase.started_at,
            )
        )
    )
    assert work.session.scalar(placed_while_excluded) == 0


def require_nothing_asked_of_what_is_gone(work: Work) -> None:
    """No recall, retention or break waits on a case or a placement that has ended."""
    gone = exists().where(
        PlacedCase.placement_id == RecallCase.placement_id,
        PlacedCase.case_id == RecallCase.case_id,
        PlacedCase.ended_at.is_not(None),
    )
    waiting = RecallCase.state.in_((ASKED, OBJECTED))
    assert work.session.scalar(select(func.count()).select_from(RecallCase).where(gone, waiting)) == 0
    open_requests = select(RecallRequest.id).where(RecallRequest.state == RECALL_REQUESTED)
    with_cases = select(RecallCase.request_id).where(waiting)
    assert set(work.session.scalars(open_requests)) == set(work.session.scalars(with_cases))
    done = select(RecallRequest).where(RecallRequest.state == EXECUTED)
    assert all(row.executed_at and row.stop_due_at for row in work.session.scalars(done))
    of_retention = exists().where(
        PlacedCase.placement_id == Retention.placement_id,
        PlacedCase.case_id == Retention.case_id,
        PlacedCase.ended_at.is_not(None),
    )
    asked = select(func.count()).select_from(Retention).where(Retention.state == RETENTION_REQUESTED, of_retention)
    assert work.session.scalar(asked) == 0
    of_break = (
        select(func.count())
        .select_from(AcknowledgementBreak)
        .join(Placement, Placement.id == AcknowledgementBreak.placement_id)
    )
    ended = of_break.where(AcknowledgementBreak.closed_at.is_(None), Placement.state != "awaiting_acknowledgement")
    assert work.session.scalar(ended) == 0


def require_caps(work: Work) -> None:
    """The lender approves at most its share of a placement's cases."""
    approved = (
        select(Placement.case_count, func.count())
        .join(Retention, Retention.placement_id == Placement.id)
        .where(Retention.state == APPROVED, Retention.requested_by.is_not(None))
        .group_by(Placement.id, Placement.case_count)
    )
    assert all(count_ <= cases * 50 // 100 for cases, count_ in work.session.execute(approved))
