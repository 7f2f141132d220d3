"""Reconciling one lender's night: what is posted, what a late fact changes, and that nothing is posted twice."""

import datetime as dt
from decimal import Decimal
from threading import Barrier, Thread

import pytest

from models.break_item import Break, Match
from models.services.settlement import reconciliations
from tests.facts import TODAY, Placed, claim, jobs, payment, placed, receive_payments
from tests.world import Someone, World

YESTERDAY = TODAY - dt.timedelta(days=1)


def reconcile(world: World, lender: Someone) -> dict[str, int]:
    with world.database.work(jobs(lender)) as work:
        return reconciliations.run(work, TODAY)


def breaks(world: World, someone: Someone, state: str | None = "open") -> list[Break]:
    with world.database.work(someone.actor) as work:
        return reconciliations.list_breaks(work, state)


def matches(world: World, someone: Someone) -> list[Match]:
    with world.database.work(someone.actor) as work:
        return reconciliations.list_matches(work)


@pytest.fixture
def of(world: World) -> Placed:
    return placed(world, 4)


def test_a_claim_that_the_ledger_confirms_is_matched(world: World, of: Placed) -> None:
    claimed = claim(world, of, "100.00")
    receive_payments(world, of.lender, payment(of.case, "100.00"))
    assert reconcile(world, of.lender)["matched"] == 1
    assert [(match.claim_id, match.rule) for match in matches(world, of.agency)] == [(claimed, "amount_and_day")]
    assert breaks(world, of.lender) == []


def test_what_only_one_side_says_is_a_break_of_its_own_kind(world: World, of: Placed) -> None:
    claim(world, of, "100.00", case=of.cases[0])
    receive_payments(world, of.lender, payment(of.cases[1], "50.00"))
    reconcile(world, of.lender)
    found = {item.kind: (item.case_id, item.amount_claimed, item.amount_booked) for item in breaks(world, of.agency)}
    assert found == {
        "missing_here": (of.cases[0].id, Decimal("100.00"), None),
        "missing_there": (of.cases[1].id, None, Decimal("50.00")),
    }


def test_running_twice_posts_nothing(world: World, of: Placed) -> None:
    claim(world, of, "100.00")
    claim(world, of, "30.00", case=of.cases[1])
    receive_payments(world, of.lender, payment(of.case, "100.00"), payment(of.cases[2], "7.00"))
    reconcile(world, of.lender)
    before = [(item.id, item.opened_at) for item in breaks(world, of.lender, state=None)]
    again = reconcile(world, of.lender)
    assert (again["matched"], again["breaks_opened"], again["breaks_closed"]) == (0, 0, 0)
    assert [(item.id, item.opened_at) for item in breaks(world, of.lender, state=None)] == before


def test_a_payment_that_comes_late_closes_the_break_by_itself(world: World, of: Placed) -> None:
    claim(world, of, "100.00", on=YESTERDAY)
    reconcile(world, of.lender)
    receive_payments(world, of.lender, payment(of.case, "100.00", on=YESTERDAY))
    assert reconcile(world, of.lender)["breaks_closed"] == 1
    assert [(item.state, item.cause) for item in breaks(world, of.lender, state=None)] == [("closed", "matched_later")]


def test_a_break_that_turns_into_another_is_restated(world: World, of: Placed) -> None:
    claim(world, of, "100.00", reference="SAME")
    reconcile(world, of.lender)
    receive_payments(world, of.lender, payment(of.case, "60.00", reference="SAME"))
    reconcile(world, of.lender)
    found = {item.kind: (item.state, item.cause) for item in breaks(world, of.lender, state=None)}
    assert found == {"missing_here": ("closed", "restated"), "amount": ("open", None)}


def test_a_break_that_comes_back_is_the_same_break(world: World, of: Placed) -> None:
    claim(world, of, "100.00", reference="SAME")
    reconcile(world, of.lender)
    receive_payments(world, of.lender, payment(of.case, "60.00", reference="SAME"))
    reconcile(world, of.lender)
    claim(world, of, "60.00", reference="SAME-2")
    reconcile(world, of.lender)
    found = {item.kind: (item.state, item.cause) for item in breaks(world, of.lender, state=None)}
    assert found == {"missing_here": ("open", None), "amount": ("closed", "restated")}


def test_a_second_claim_for_money_matched_on_an_earlier_night_is_a_duplicate(world: World, of: Placed) -> None:
    claim(world, of, "100.00")
    receive_payments(world, of.lender, payment(of.case, "100.00"))
    reconcile(world, of.lender)
    second = claim(world, of, "100.00")
    reconcile(world, of.lender)
    assert [(item.kind, item.claim_id) for item in breaks(world, of.lender)] == [("duplicate", second)]


def test_a_match_stands_whatever_comes_later(world: World, of: Placed) -> None:
    first = claim(world, of, "100.00", on=YESTERDAY)
    receive_payments(world, of.lender, payment(of.case, "100.00"))
    reconcile(world, of.lender)
    better = claim(world, of, "100.00", on=TODAY)
    reconcile(world, of.lender)
    assert [match.claim_id for match in matches(world, of.lender)] == [first]
    assert [item.claim_id for item in breaks(world, of.lender)] == [better]


def test_what_a_person_closed_stays_closed(world: World, of: Placed) -> None:
    claim(world, of, "100.00")
    reconcile(world, of.lender)
    with world.database.work(of.lender.actor) as work:
        item = work.session.merge(breaks(world, of.lender)[0])
        item.state, item.cause, item.closed_at = "closed", "written_off", work.at
    assert reconcile(world, of.lender)["breaks_opened"] == 0
    assert [item.cause for item in breaks(world, of.lender, state=None)] == ["written_off"]


def test_a_payment_of_a_case_that_nobody_had_makes_no_break(world: World, of: Placed) -> None:
    other = world.portfolio(of.lender)
    with world.database.work(of.lender.actor) as work:
        reference = work.session.connection().exec_driver_sql(
            "select reference from collection_case where portfolio_id = %s limit 1", (other.id,)
        )
        number = reference.scalar_one()
    receive_payments(world, of.lender, payment(number, "5.00"))
    reconcile(world, of.lender)
    assert breaks(world, of.lender) == []


def test_two_lenders_nights_do_not_meet(world: World, of: Placed) -> None:
    other = placed(world)
    claim(world, other, "100.00")
    claim(world, of, "100.00")
    reconcile(world, of.lender)
    assert breaks(world, other.lender) == []
    assert breaks(world, other.agency) == []


def test_two_runs_at_once_post_what_one_would(world: World, of: Placed) -> None:
    for case in of.cases:
        claim(world, of, "100.00", case=case)
    receive_payments(world, of.lender, *(payment(case, "100.00") for case in of.cases))
    together, counted = Barrier(2), []

    def one() -> None:
        together.wait()
        counted.append(reconcile(world, of.lender)["matched"])

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [0, 4]
    assert len(matches(world, of.lender)) == 4
