"""Booking one lender's commission: what each payment earns, what a late fact changes, that nothing is booked twice."""

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from models.commission.engine import replay
from models.commission_line import CommissionLine
from models.rates import Cell
from models.services import job_runs
from models.services.exchange import rate_cards
from models.services.settlement import commissions
from tests.conftest import Clock
from tests.facts import TODAY, Placed, jobs, payment, placed, recall, receive_payments
from tests.world import Debt, Someone, World

ORDINARY = settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


def book(world: World, lender: Someone, business_date: dt.date = TODAY) -> dict[str, int]:
    with world.database.work(jobs(lender, "commission")) as work:
        return commissions.book(work, business_date)


def lines(world: World, someone: Someone) -> list[CommissionLine]:
    with world.database.work(someone.actor) as work:
        return list(work.session.scalars(select(CommissionLine).order_by(CommissionLine.id)))


@pytest.fixture
def of(world: World) -> Placed:
    return placed(world, 2, rate="0.18")


def test_a_payment_earns_its_rate(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.case, "1000.00"))
    assert book(world, of.lender) == {"payments": 1, "lines": 1, "adjustments": 0}
    (line,) = lines(world, of.agency)
    assert (line.amount, line.rate, line.component, line.period) == (
        Decimal("180.00"),
        Decimal("0.18"),
        "contingency",
        "2026-03",
    )
    assert replay(line.derivation) == line.amount


def test_each_case_earns_the_rate_it_was_placed_at_whatever_the_card_says_later(world: World) -> None:
    cells = [Cell(Decimal("0.10")), Cell(Decimal("0.20"), bucket="M3")]
    of = placed(world, [Debt(1, dpd=45), Debt(2, dpd=75)], contingency_rate=None, cells=cells)
    with world.database.work(of.lender.actor) as work:
        later = rate_cards.propose(
            work, of.placement.agreement_id, rate_cards.Terms([Cell(Decimal("0.5"))], TODAY + dt.timedelta(days=1))
        )
    with world.database.work(world.person(of.lender, "administrator").actor) as work:
        rate_cards.approve(work, later.id)
    receive_payments(world, of.lender, *(payment(case, "1000.00") for case in of.cases))
    book(world, of.lender)
    assert sorted(line.amount for line in lines(world, of.agency)) == [Decimal("100.00"), Decimal("200.00")]


def test_booking_twice_books_nothing(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.case, "1000.00"), payment(of.cases[1], "33.33"))
    book(world, of.lender)
    assert book(world, of.lender)["lines"] == 0
    assert len(lines(world, of.lender)) == 2


def test_a_reversal_takes_the_commission_back_by_a_line_of_its_own(world: World, of: Placed) -> None:
    paid = payment(of.case, "1000.00")
    receive_payments(world, of.lender, paid)
    book(world, of.lender)
    receive_payments(world, of.lender, payment(of.case, "-400.00", reversal_of=paid["reference"]), sequence=2)
    book(world, of.lender)
    assert [(line.component, line.amount) for line in lines(world, of.agency)] == [
        ("contingency", Decimal("180.00")),
        ("clawback", Decimal("-72.00")),
    ]


def test_money_paid_to_an_agency_that_may_receive_none_earns_nothing(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.case, "1000.00", paid_to="agency"))
    book(world, of.lender)
    (line,) = lines(world, of.lender)
    assert (line.amount, line.derivation["attribution"]["reason"]) == (Decimal("0.00"), "agency_may_not_receive")


def test_a_payment_before_the_placement_earns_nothing(world: World, of: Placed) -> None:
    receive_payments(world, of.lender, payment(of.case, "1000.00", on=TODAY - dt.timedelta(days=1)))
    book(world, of.lender)
    assert lines(world, of.lender) == []


@pytest.mark.parametrize(("recalled_after", "ended_after"), [(0, 0), (93, 90)], ids=["within", "after its term"])
def test_after_a_recall_the_tail_earns_and_what_lies_beyond_does_not(
    world: World, clock: Clock, of: Placed, recalled_after: int, ended_after: int
) -> None:
    clock.forward(days=recalled_after)
    recall(world, of)
    clock.forward(days=20)
    last_of_tail = TODAY + dt.timedelta(days=ended_after + 15)
    beyond = last_of_tail + dt.timedelta(days=1)
    receive_payments(
        world, of.lender, payment(of.case, "100.00", on=last_of_tail), payment(of.case, "200.00", on=beyond)
    )
    book(world, of.lender, clock().date())
    assert [(line.base_amount, line.derivation["attribution"]["attribution"]) for line in lines(world, of.agency)] == [
        (Decimal("100.00"), "tail")
    ]


def test_an_end_that_is_known_late_takes_back_what_was_booked_beyond_it(world: World, clock: Clock, of: Placed) -> None:
    beyond = TODAY + dt.timedelta(days=16)
    clock.forward(days=16)
    receive_payments(world, of.lender, payment(of.case, "100.00", on=beyond))
    book(world, of.lender, beyond)
    clock.forward(days=5)
    with world.database.work(of.lender.actor) as work:
        work.session.connection().exec_driver_sql(
            "update placed_case set ended_at = started_at where placement_id = %s", (of.placement.id,)
        )
    book(world, of.lender, beyond)
    booked = lines(world, of.agency)
    assert [line.amount for line in booked] == [Decimal("18.00"), Decimal("-18.00")]
    assert booked[1].adjusts_id == booked[0].id


def test_a_late_fact_is_booked_in_the_month_that_is_open(world: World, clock: Clock, of: Placed) -> None:
    clock.forward(days=40)
    april = clock().date()
    with world.database.work(jobs(of.lender, "commission")) as work:
        job_runs.start(work, "commission", april)
        commissions.book(work, april)
        job_runs.finish(work, "commission", april, {})
    receive_payments(world, of.lender, payment(of.case, "100.00", on=TODAY))
    book(world, of.lender, TODAY)
    assert [(line.posted_on, line.period) for line in lines(world, of.lender)] == [(TODAY, "2026-04")]


def test_an_agency_sees_its_own_lines_alone(world: World, of: Placed) -> None:
    other = placed(world, [Debt(99)], lender=of.lender)
    receive_payments(world, of.lender, payment(of.case, "100.00"), payment(other.case, "50.00"))
    book(world, of.lender)
    assert [line.base_amount for line in lines(world, of.agency)] == [Decimal("100.00")]
    assert [line.base_amount for line in lines(world, other.agency)] == [Decimal("50.00")]


AMOUNTS = st.lists(st.integers(min_value=1, max_value=10**9).map(lambda cents: Decimal(cents) / 100), max_size=20)


@ORDINARY
@given(nights=st.lists(AMOUNTS, min_size=1, max_size=3))
def test_what_is_booked_equals_a_slow_recomputation(world: World, nights: list[list[Decimal]]) -> None:
    of = placed(world, rate="0.175")
    for sequence, amounts in enumerate(nights, start=1):
        receive_payments(
            world, of.lender, *(payment(of.case, f"{amount:.2f}") for amount in amounts), sequence=sequence
        )
        book(world, of.lender)
    expected = sum(
        ((amount * Decimal("0.175")).quantize(Decimal("0.01"), ROUND_HALF_UP) for night in nights for amount in night),
        Decimal(0),
    )
    assert sum((line.amount for line in lines(world, of.lender)), Decimal(0)) == expected
