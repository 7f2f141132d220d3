"""Money under attack: what a ledger may take back, and what its feeds in any order come to, recomputed by hand."""

import csv
import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.commission.verify import StatementRefused, verify_statement
from models.services.settlement import commissions, ledgers, statements
from tests.facts import TODAY, Placed, jobs, payment, placed, receive_payments
from tests.world import World

RATE = Decimal("0.18")
CENT = Decimal("0.01")


def faults(world: World, of: Placed, *rows: dict[str, str], sequence: int = 1) -> list[tuple[int, str, str]]:
    """What a feed of these rows is refused for."""
    feed = receive_payments(world, of.lender, *rows, sequence=sequence)
    with world.database.work(of.lender.actor) as work:
        return [(error.row, error.field, error.code) for error in ledgers.list_feed_errors(work, feed.id)]


def commission(world: World, of: Placed) -> Decimal:
    """Booked up to now, over all lines."""
    with world.database.work(jobs(of.lender)) as work:
        commissions.book(work, TODAY)
    with world.database.work(of.lender.actor) as work:
        return sum((total.amount for head in statements.list_own(work) for total in head.totals), Decimal("0.00"))


def test_a_payment_is_taken_back_in_parts_and_never_twice(world: World) -> None:
    of = placed(world)
    paid = payment(of.case, "100.01")
    part = payment(of.case, "-60.00", reversal_of=paid["reference"])
    rest = payment(of.case, "-40.01", reversal_of=paid["reference"])
    again = payment(of.case, "-0.01", reversal_of=paid["reference"])
    assert faults(world, of, paid, part) == []
    assert faults(world, of, rest, again, sequence=2) == [(2, "reversal_of", "reversal_mismatch")]
    assert commission(world, of) == Decimal("0.00")


@pytest.mark.parametrize("amount", ["-100.01", "-9999999.00"])
def test_no_more_is_taken_back_than_was_paid(world: World, amount: str) -> None:
    of = placed(world)
    paid = payment(of.case, "100.00")
    assert faults(world, of, paid, payment(of.case, amount, reversal_of=paid["reference"])) == [
        (2, "reversal_of", "reversal_mismatch")
    ]
    assert commission(world, of) == Decimal("18.00")


def test_a_reversal_is_of_the_case_and_currency_of_its_payment(world: World) -> None:
    of = placed(world, 2)
    paid = payment(of.cases[0], "100.00")
    other_case = payment(of.cases[1], "-1.00", reversal_of=paid["reference"])
    other_currency = payment(of.cases[0], "-1.00", reversal_of=paid["reference"], currency="USD")
    found = faults(world, of, paid, other_case, other_currency)
    assert found == [(row, "reversal_of", "reversal_mismatch") for row in (2, 3)]


def test_a_reversal_takes_back_a_payment_and_no_reversal(world: World) -> None:
    of = placed(world)
    paid = payment(of.case, "100.00")
    back = payment(of.case, "-50.00", reversal_of=paid["reference"])
    itself = payment(of.case, "-1.00", reference="SELF", reversal_of="SELF")
    found = faults(world, of, paid, back, payment(of.case, "-50.00", reversal_of=back["reference"]), itself)
    assert found == [(row, "reversal_of", "reversal_mismatch") for row in (3, 4)]


def test_a_reversal_may_come_before_its_payment(world: World) -> None:
    of = placed(world)
    paid = payment(of.case, "100.00")
    assert faults(world, of, payment(of.case, "-30.00", reversal_of=paid["reference"])) == []
    assert commission(world, of) == Decimal("0.00")
    assert faults(world, of, paid, sequence=2) == []
    assert commission(world, of) == Decimal("12.60")


@pytest.mark.parametrize("field", ["value_date", "posting_date"])
def test_a_payment_of_tomorrow_is_not_booked_today(world: World, field: str) -> None:
    of = placed(world)
    tomorrow = f"{TODAY + dt.timedelta(days=1)}"
    assert faults(world, of, payment(of.case, "1.00") | {field: tomorrow}) == [(1, field, "in_future")]
    assert commission(world, of) == Decimal("0.00")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_feeds_in_any_order_come_to_the_cents_recomputed_by_hand(world: World, data: st.DataObject) -> None:
    of = placed(world)
    cents = data.draw(st.lists(st.integers(1, 99_999), min_size=1, max_size=6))
    paid = [payment(of.case, f"{Decimal(n) / 100:.2f}") for n in cents]
    back = [
        payment(of.case, f"-{Decimal(data.draw(st.integers(1, n))) / 100:.2f}", reversal_of=row["reference"])
        for n, row in zip(cents, paid, strict=True)
    ]
    rows = data.draw(st.permutations(paid + back))
    cut = data.draw(st.integers(0, len(rows)))
    for sequence, part in enumerate((rows[:cut], rows[cut:]), 1):
        assert faults(world, of, *part, sequence=sequence) == []
        commission(world, of)
    by_hand = sum((Decimal(row["amount"]) * RATE).quantize(CENT, ROUND_HALF_UP) for row in rows)
    assert commission(world, of) == by_hand


def test_no_amount_of_a_statement_changes_unnoticed(world: World) -> None:
    of = placed(world)
    paid = payment(of.case, "100.03")
    receive_payments(world, of.lender, paid, payment(of.case, "-0.33", reversal_of=paid["reference"]))
    commission(world, of)
    with world.database.work(of.lender.actor) as work:
        text = "".join(statements.csv_lines(work, of.placement.agreement_id, f"{TODAY:%Y-%m}"))
    lines = text.splitlines(keepends=True)
    assert verify_statement(lines).lines == 2
    header = next(csv.reader(lines))
    for at, line in enumerate(lines[1:], 1):
        fields = line.rstrip("\n").split(",")
        for name in ("paid_amount", "base_amount", "entitled", "booked", "amount"):
            column = header.index(name)
            if fields[column]:
                changed = [*fields]
                changed[column] = f"{Decimal(fields[column]) + Decimal('0.10'):.2f}"
                with pytest.raises(StatementRefused):
                    verify_statement([*lines[:at], ",".join(changed) + "\n", *lines[at + 1 :]])
