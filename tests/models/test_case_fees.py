"""The fee for each case of a hybrid bid: booked with the acknowledgement, taken back by undoing and by nothing else."""

import datetime as dt
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from models.business_day import day_of
from models.case import Case
from models.commission.engine import CASE_FEE, replay
from models.commission.verify import verify_statement
from models.commission_line import CommissionLine
from models.placement import Placement
from models.services.exchange import awards, offers, placements, recalls, tenders, undoing
from models.services.settlement import commissions, statements
from tests import bidding
from tests.bidding import auction, terms
from tests.conftest import Clock
from tests.facts import TODAY, Placed, jobs, payment, placed, receive_payments
from tests.world import Someone, World

FEE: Final = Decimal("12.50")
RATE: Final = Decimal("0.175")
TAIL_DAYS: Final = 15


def at_a_fee(world: World, cases: Any = 2, fee: Decimal = FEE) -> Placed:
    """Placed at a rate and a fee, and not acknowledged yet."""
    of = placed(world, cases, rate=str(RATE), acknowledged=False)
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Placement).where(Placement.id == of.placement.id).values(case_fee=fee))
    return of


def acknowledge(world: World, of: Placed) -> None:
    with world.database.work(of.agency.actor) as work:
        placements.acknowledge(work, of.placement.id, *placements.figures(work, of.placement.id))


def recall(world: World, of: Placed, *cases: Case) -> None:
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "lender_request", [case.id for case in cases])


def undo(world: World, of: Placed) -> None:
    with world.database.work(of.lender.actor) as work:
        undoing.undo(work, offers.get(work, of.placement.offer_id).tender_id, "wrong_split")


def book(world: World, lender: Someone) -> dict[str, int]:
    with world.database.work(jobs(lender, "commission")) as work:
        return commissions.book(work, day_of(world.clock()))


def lines(world: World, someone: Someone) -> Sequence[CommissionLine]:
    with world.database.work(someone.actor) as work:
        return work.session.scalars(select(CommissionLine).order_by(CommissionLine.id)).all()


def amounts(world: World, of: Placed) -> list[tuple[str, Decimal]]:
    return [(line.component, line.amount) for line in lines(world, of.agency)]


def test_a_hybrid_bid_earns_its_fee_for_each_case_and_its_rate_to_the_cent(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.100000", "1.50"), cases=30)
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    lender, winner = tendered.lender, tendered.bidders[1].someone
    with world.database.work(lender.actor) as work:
        awards.award(work, tendered.tender.id)
    with world.database.work(winner.actor) as work:
        placement = placements.get(work, work.session.scalars(select(Placement.id)).one())
        placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
        case = work.session.scalars(select(Case).limit(1)).one()
    today = day_of(clock())
    receive_payments(world, lender, payment(case, "1000.05", today))
    book(world, lender)
    # 30 × 1.50 = 45.00, and 1000.05 × 0.10 = 100.005, half a cent up.
    with world.database.work(winner.actor) as work:
        (part,) = statements.breakdown(work, placement.agreement_id, f"{today:%Y-%m}")
        fees = statements.get(work, placement.agreement_id, f"{today:%Y-%m}", component=CASE_FEE)
        text = "".join(statements.csv_lines(work, placement.agreement_id, f"{today:%Y-%m}"))
    assert part.case_fees == Decimal("45.00")
    assert part.commission == Decimal("100.01")
    assert part.payable == fees.head.totals[0].amount == Decimal("145.01")
    assert part.recovered == fees.head.totals[0].base_amount == Decimal("1000.05")
    assert {line.cause_id for line in fees.lines} == {placement.id}
    assert len({line.case_id for line in fees.lines}) == len(fees.lines) == 30
    assert verify_statement(text.splitlines(keepends=True)) == (31, {"CNY": 145_01})


def test_a_fee_line_tells_its_way(world: World) -> None:
    of = at_a_fee(world, 1)
    acknowledge(world, of)
    book(world, of.lender)
    (line,) = lines(world, of.agency)
    assert (line.base_amount, line.rate, line.amount, line.effective_on) == (0, 0, FEE, TODAY)
    assert line.derivation["fee"] == {
        "placement_id": str(of.placement.id),
        "version": "1",
        "case_fee": "12.50",
        "acknowledged_on": "2026-03-10",
        "reason": None,
    }
    assert replay(line.derivation) == FEE


def test_nothing_is_earned_before_the_agency_acknowledges(world: World, clock: Clock) -> None:
    of = at_a_fee(world)
    book(world, of.lender)
    assert lines(world, of.agency) == []
    clock.forward(days=3)
    acknowledge(world, of)
    book(world, of.lender)
    assert amounts(world, of) == [(CASE_FEE, FEE)] * 2
    assert {line.posted_on for line in lines(world, of.agency)} == {TODAY + dt.timedelta(days=3)}


def test_an_acknowledgement_just_before_midnight_is_of_its_day_in_shanghai(world: World, clock: Clock) -> None:
    clock.at = dt.datetime(2026, 3, 31, 15, 59, 59, tzinfo=dt.UTC)
    before = at_a_fee(world, 1)
    acknowledge(world, before)
    clock.forward(seconds=1)
    after = at_a_fee(world, 1)
    acknowledge(world, after)
    for of, day in ((before, dt.date(2026, 3, 31)), (after, dt.date(2026, 4, 1))):
        with world.database.work(jobs(of.lender, "commission")) as work:
            commissions.book(work, dt.date(2026, 3, 31))
        (line,) = lines(world, of.agency)
        assert (line.posted_on, line.period) == (day, f"{day:%Y-%m}")


def test_a_placement_without_a_fee_has_no_line_of_one(world: World) -> None:
    of = at_a_fee(world, fee=Decimal("0.00"))
    acknowledge(world, of)
    book(world, of.lender)
    assert lines(world, of.agency) == []


def test_a_case_recalled_before_the_acknowledgement_earns_nothing_one_recalled_later_keeps_its_fee(
    world: World, clock: Clock
) -> None:
    of = at_a_fee(world, 3)
    recall(world, of, of.cases[0])
    clock.forward(hours=1)
    acknowledge(world, of)
    book(world, of.lender)
    clock.forward(days=2)
    recall(world, of, of.cases[1])
    book(world, of.lender)
    assert [line.case_id for line in lines(world, of.agency)] == [case.id for case in of.cases[1:]]


def test_undoing_takes_back_the_fees_and_what_a_payment_earned(world: World, clock: Clock) -> None:
    of = at_a_fee(world)
    acknowledge(world, of)
    receive_payments(world, of.lender, payment(of.case, "1000.00"))
    clock.forward(days=3)
    book(world, of.lender)
    undo(world, of)
    clock.forward(days=30)
    book(world, of.lender)
    booked = lines(world, of.agency)
    assert sum(line.amount for line in booked) == 0
    back = [line for line in booked if line.adjusts_id and line.component == CASE_FEE]
    assert [(line.amount, line.period, line.derivation["fee"]["reason"]) for line in back] == [
        (-FEE, "2026-04", "undone")
    ] * 2
    assert {line.adjusts_id for line in back} == {line.id for line in booked if line.amount == FEE}
    assert [replay(line.derivation) for line in booked] == [line.amount for line in booked]
    with world.database.work(of.agency.actor) as work:
        (part,) = statements.breakdown(work, of.placement.agreement_id, "2026-04")
    assert (part.case_fees, part.adjustment) == (0, -2 * FEE - 1000 * RATE)


def test_a_case_placed_twice_under_one_agreement_earns_twice(world: World, clock: Clock) -> None:
    of = at_a_fee(world, 1)
    acknowledge(world, of)
    clock.forward(days=1)
    recall(world, of, of.case)
    with world.database.work(of.lender.actor) as work:
        offer = tenders.assign(work, of.placement.portfolio_id, of.placement.agreement_id)
    with world.database.work(of.agency.actor) as work:
        again = of._replace(placement=offers.accept(work, offer.id))
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Placement).where(Placement.id == again.placement.id).values(case_fee=FEE))
    acknowledge(world, again)
    book(world, of.lender)
    assert amounts(world, of) == [(CASE_FEE, FEE)] * 2
    assert {line.cause_id for line in lines(world, of.agency)} == {of.placement.id, again.placement.id}


def test_booking_fees_twice_books_nothing(world: World) -> None:
    of = at_a_fee(world)
    acknowledge(world, of)
    assert book(world, of.lender)["lines"] == 2
    assert book(world, of.lender)["lines"] == 0


def test_a_fee_changed_in_the_file_is_refused(world: World) -> None:
    of = at_a_fee(world)
    acknowledge(world, of)
    book(world, of.lender)
    with world.database.work(of.lender.actor) as work:
        text = "".join(statements.csv_lines(work, of.placement.agreement_id, "2026-03"))
    verify_statement(text.splitlines(keepends=True))
    for changed in (text.replace("12.50", "12.51", 1), text.replace("12.50,12.50", "13.00,13.00", 1)):
        with pytest.raises(ValueError):
            verify_statement(changed.splitlines(keepends=True))


class History:
    """What happens to one placement, and what it should earn by a slow count that knows no line."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.of = at_a_fee(world, 3)
        self.held = dict.fromkeys(range(3))
        self.ends: dict[int, dt.date] = {}
        self.undone: set[int] = set()
        self.acknowledged: set[int] = set()
        self.paid: list[tuple[int, Decimal, dt.date]] = []
        self.feeds = 0

    def acknowledge(self, _: int) -> None:
        if self.held and not self.acknowledged:
            acknowledge(self.world, self.of)
            self.acknowledged = set(self.held)

    def recall(self, which: int) -> None:
        if which % 3 in self.held:
            recall(self.world, self.of, self.of.cases[which % 3])
            self._end(which % 3)

    def undo(self, _: int) -> None:
        if self.held:
            undo(self.world, self.of)
            self.undone = set(self.held)
            for case in self.undone:
                self._end(case)

    def pay(self, cents: int) -> None:
        """Today, or as a late fact of a day before."""
        case, on = cents % 3, day_of(self.clock()) - dt.timedelta(days=cents % 4)
        amount = Decimal(cents) / 100
        self.feeds += 1
        row = payment(self.of.cases[case], f"{amount:.2f}", on)
        receive_payments(self.world, self.of.lender, row, sequence=self.feeds)
        self.paid.append((case, amount, on))

    def book(self, _: int) -> None:
        book(self.world, self.of.lender)

    def _end(self, case: int) -> None:
        del self.held[case]
        self.ends[case] = day_of(self.clock())

    def earned(self) -> Decimal:
        shares = (
            (amount * RATE).quantize(Decimal("0.01"), ROUND_HALF_UP)
            for case, amount, on in self.paid
            if case not in self.undone
            and day_of(self.of.placement.started_at) <= on
            and (case not in self.ends or on <= self.ends[case] + dt.timedelta(days=TAIL_DAYS))
        )
        return FEE * len(self.acknowledged - self.undone) + sum(shares, Decimal(0))


ACTS = st.tuples(st.sampled_from(("acknowledge", "recall", "undo", "pay", "book")), st.integers(1, 10**7))


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=6, max_size=16))
def test_after_any_history_what_is_booked_is_what_a_slow_count_says(
    world: World, clock: Clock, acts: list[tuple[str, int]]
) -> None:
    clock.at = Clock().at
    history = History(world, clock)
    for act, number in acts:
        clock.forward(hours=number % 60 + 1)
        getattr(history, act)(number)
    book(world, history.of.lender)
    assert book(world, history.of.lender)["lines"] == 0
    booked = lines(world, history.of.lender)
    assert sum((line.amount for line in booked), Decimal(0)) == history.earned()
    assert [replay(line.derivation) for line in booked] == [line.amount for line in booked]
    with world.database.work(history.of.agency.actor) as work:
        for head in statements.list_own(work):
            text = "".join(statements.csv_lines(work, head.agreement_id, head.period))
            (total,) = head.totals
            assert verify_statement(text.splitlines(keepends=True)) == (
                total.line_count,
                {"CNY": int(total.amount * 100)},
            )
