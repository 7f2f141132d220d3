"""The lender's ledger files: what they book, what waits in suspense, what they refuse, and what they change."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from crypto import cobblestone
from models.case import Case
from models.errors import AlreadyUploaded, Conflict, Invalid, NotFound
from models.ledger import CaseBalance, Feed, LedgerPayment
from models.services.parties import organisations
from models.services.settlement import ledgers
from tests.facts import (
    BALANCE_HEADER,
    PAYMENT_HEADER,
    TODAY,
    Placed,
    balance,
    ledger_file,
    payment,
    placed,
    recall,
    receive_balances,
    receive_payments,
)
from tests.racing import at_once, await_waiter
from tests.world import World

RESIDENT_ID = "11010119900307001X"


def booked(world: World, of: Placed) -> list[LedgerPayment]:
    with world.database.work(of.lender.actor) as work:
        return list(work.session.scalars(select(LedgerPayment).order_by(LedgerPayment.id)))


def case_now(world: World, of: Placed) -> Case:
    with world.database.work(of.agency.actor) as work:
        return work.session.scalars(select(Case).where(Case.id == of.case.id)).one()


def test_a_payment_is_booked_to_its_case(world: World) -> None:
    of = placed(world)
    feed = receive_payments(world, of.lender, payment(of.case, "120.50"))
    assert (feed.row_count, feed.refused_count, feed.suspense_count) == (1, 0, 0)
    assert [(row.case_id, row.amount, row.effective_on) for row in booked(world, of)] == [
        (of.case.id, Decimal("120.50"), TODAY)
    ]


def test_the_same_file_again_is_refused_and_changes_nothing(world: World) -> None:
    of, row = placed(world), payment("K-1", "1.00")
    receive_payments(world, of.lender, row)
    with pytest.raises(AlreadyUploaded):
        receive_payments(world, of.lender, row)
    assert len(booked(world, of)) == 1


def test_another_file_under_a_key_that_is_taken_is_a_conflict(world: World) -> None:
    of = placed(world)
    receive_payments(world, of.lender, payment(of.case, "1.00"))
    with pytest.raises(Conflict) as refused:
        receive_payments(world, of.lender, payment(of.case, "2.00"))
    assert refused.value.code == "feed_key_taken"
    receive_payments(world, of.lender, payment(of.case, "2.00"), sequence=2)
    assert len(booked(world, of)) == 2


def test_a_header_alone_says_that_nothing_moved(world: World) -> None:
    lender = world.lender()
    assert receive_payments(world, lender).row_count == 0
    assert receive_balances(world, lender).row_count == 0


def test_a_payment_that_was_booked_before_is_refused_by_its_reference(world: World) -> None:
    of = placed(world)
    first = payment(of.case, "1.00")
    receive_payments(world, of.lender, first)
    feed = receive_payments(world, of.lender, {**first, "amount": "9.00"}, payment(of.case, "2.00"), sequence=2)
    with world.database.work(of.lender.actor) as work:
        errors = ledgers.list_feed_errors(work, feed.id)
    assert [(error.row, error.field, error.code) for error in errors] == [(1, "reference", "duplicate_reference")]
    assert (feed.row_count, feed.refused_count) == (1, 1)


def test_bad_rows_are_kept_as_errors_and_good_ones_stand(world: World) -> None:
    of = placed(world)
    bad = [payment(of.case, "x"), payment(of.case, "-5"), payment(of.case, "5", currency="RMB")]
    feed = receive_payments(world, of.lender, payment(of.case, "5"), *bad)
    with world.database.work(of.lender.actor) as work:
        errors = [(error.row, error.field, error.code) for error in ledgers.list_feed_errors(work, feed.id)]
    assert errors == [
        (2, "amount", "not_a_number"),
        (3, "amount", "negative_amount"),
        (4, "currency", "unknown_currency"),
    ]
    assert len(booked(world, of)) == 1


def test_a_payment_in_another_currency_than_its_cases_is_refused(world: World) -> None:
    of = placed(world)
    feed = receive_payments(world, of.lender, payment(of.case, "5.00", currency="USD"))
    with world.database.work(of.lender.actor) as work:
        errors = [(error.row, error.field, error.code) for error in ledgers.list_feed_errors(work, feed.id)]
    assert errors == [(1, "currency", "currency_mismatch")]
    assert booked(world, of) == []


def test_a_payment_for_an_unknown_case_waits_in_suspense(world: World) -> None:
    of = placed(world)
    feed = receive_payments(world, of.lender, payment("K-UNKNOWN", "7.00"))
    with world.database.work(of.lender.actor) as work:
        waiting = ledgers.list_suspense(work)
    assert feed.suspense_count == 1
    assert [(row.suspense_reference, row.suspense_sealed, row.amount) for row in waiting] == [
        ("K-UNKNOWN", None, Decimal("7.00"))
    ]


def test_a_case_of_another_lender_is_an_unknown_one(world: World) -> None:
    of, other = placed(world), placed(world)
    receive_payments(world, of.lender, payment(other.case, "7.00"))
    assert [row.case_id for row in booked(world, of)] == [None]
    assert booked(world, other) == []


@pytest.mark.parametrize("number", [RESIDENT_ID, "张三", "13800000000"])
def test_a_reference_that_may_be_personal_is_sealed(world: World, number: str) -> None:
    of = placed(world)
    receive_payments(world, of.lender, payment(number, "7.00"))
    row = booked(world, of)[0]
    assert row.suspense_reference is None
    assert row.suspense_sealed is not None
    with world.database.work(of.lender.actor) as work:
        key = organisations.open_lender_key(work, "ledger").reveal()
        dumped = work.session.scalar(text("select string_agg(t::text, '') from ledger_payment t"))
    context = ledgers.suspense_context(of.lender.organisation.id, row.id)
    assert cobblestone.open_(key, context, row.suspense_sealed).decode() == number
    assert number not in dumped


def test_a_balance_file_changes_what_the_agency_sees(world: World) -> None:
    of = placed(world)
    receive_balances(world, of.lender, balance(of.case, "0.00", "paid_off"))
    case = case_now(world, of)
    assert (case.balance, case.status, case.balance_on) == (Decimal("0.00"), "paid_off", TODAY)


def test_an_older_balance_is_kept_and_changes_nothing(world: World) -> None:
    of = placed(world)
    receive_balances(world, of.lender, balance(of.case, "10.00"), on=TODAY - dt.timedelta(days=1))
    assert case_now(world, of).balance == of.case.balance
    with world.database.work(of.lender.actor) as work:
        assert work.session.scalars(select(CaseBalance.balance)).all() == [Decimal("10.00")]


def test_of_one_day_the_highest_sequence_counts_in_whatever_order_it_comes(world: World) -> None:
    of = placed(world)
    receive_balances(world, of.lender, balance(of.case, "20.00"), sequence=2)
    receive_balances(world, of.lender, balance(of.case, "10.00"), sequence=1)
    assert case_now(world, of).balance == Decimal("20.00")


BALANCES_RECEIVED = receive_balances, (lambda case: balance(case, "5.00"))
PAYMENTS_RECEIVED = receive_payments, (lambda case: payment(case, "5.00"))


@pytest.mark.parametrize(("receive", "row"), [BALANCES_RECEIVED, PAYMENTS_RECEIVED], ids=["balances", "payments"])
def test_a_file_that_names_cases_in_its_own_order_and_a_recall_of_them_both_come_through(
    world: World, receive: Callable[..., Feed], row: Callable[[Case], dict[str, str]]
) -> None:
    of = placed(world, 20)
    middle = select(Case.id).where(Case.id == of.cases[10].id).with_for_update()

    def after_the_file() -> None:
        with world.database.work(of.lender.actor) as holding:
            holding.session.execute(middle).all()
            await_waiter(holding)
            recalling.start()
            time.sleep(0.3)

    recalling = threading.Thread(target=recall, args=(world, of))
    file: Iterable[dict[str, str]] = [row(case) for case in reversed(of.cases)]
    assert at_once(after_the_file, lambda: receive(world, of.lender, *file), first=0) == ["done", "done"]
    recalling.join()
    with world.database.work(of.agency.actor) as work:
        assert work.session.scalars(select(Case)).all() == []


def test_a_balance_of_an_unknown_case_or_in_another_currency_is_refused(world: World) -> None:
    of = placed(world)
    feed = receive_balances(world, of.lender, balance("K-UNKNOWN", "1"), balance(of.case, "1", currency="USD"))
    with world.database.work(of.lender.actor) as work:
        errors = [(error.row, error.field, error.code) for error in ledgers.list_feed_errors(work, feed.id)]
    assert errors == [(1, "case_number", "unknown_case"), (2, "currency", "currency_mismatch")]
    assert case_now(world, of).balance == of.case.balance


def test_a_day_that_has_not_come_has_no_ledger(world: World) -> None:
    lender = world.lender()
    with pytest.raises(Invalid) as refused:
        receive_payments(world, lender, on=TODAY + dt.timedelta(days=2))
    assert [(error.field, error.code) for error in refused.value.errors] == [("business_date", "in_future")]


def test_a_file_that_is_refused_leaves_nothing(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work, pytest.raises(Invalid):
        ledgers.receive_payments(work, [b"case_number,amount\nK-1,5\n"], TODAY, 1)
    with world.database.work(lender.actor) as work:
        assert ledgers.list_feeds(work) == []


def test_a_foreign_feed_is_an_unknown_one(world: World) -> None:
    lender, other = world.lender(), world.lender()
    feed = receive_payments(world, lender)
    with world.database.work(other.actor) as work:
        assert ledgers.list_feeds(work) == []
        with pytest.raises(NotFound):
            ledgers.list_feed_errors(work, feed.id)


def test_the_ledger_is_closed_to_the_agency(world: World) -> None:
    of = placed(world)
    receive_payments(world, of.lender, payment(of.case, "1.00"), payment("K-UNKNOWN", "1.00"))
    with world.database.work(of.agency.actor) as work:
        assert work.session.scalars(select(LedgerPayment)).all() == []


def test_both_files_say_their_columns_in_any_order(world: World) -> None:
    of = placed(world)
    rows = [payment(of.case, "1.00")]
    with world.database.work(of.lender.actor) as work:
        feed = ledgers.receive_payments(work, [ledger_file(rows, PAYMENT_HEADER[::-1])], TODAY, 1)
        assert feed.row_count == 1
        file = ledger_file([balance(of.case, "1.00")], BALANCE_HEADER[::-1])
        assert ledgers.receive_balances(work, [file], TODAY, 1).row_count == 1
