"""Rate cards: versions that two people put in force, one at a time, and the rate that each case gets of one."""

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from psycopg.errors import ExclusionViolation
from sqlalchemy import literal, select, update
from sqlalchemy.exc import IntegrityError

from models.agreement import Agreement
from models.buckets import BUCKETS
from models.case import Case
from models.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from models.ids import new_id
from models.placement import PlacedCase
from models.rate_card import RateCard, RateCell
from models.rates import PAYMENT, Cell, Subject, faults, find_cell
from models.services import notices
from models.services.exchange import agreements, card_withdrawals, placing, rate_cards, waiting_cards
from models.services.exchange.rate_cards import Card, Terms
from tests.conftest import Clock
from tests.models.test_rates import cards as random_cards
from tests.world import Debt, Someone, World

TODAY = dt.date(2026, 3, 10)
ONE = [Cell(Decimal("0.25"))]


def day(number: int) -> dt.date:
    return TODAY + dt.timedelta(days=number)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def second(world: World, lender: Someone) -> Someone:
    return world.person(lender, "settlement_officer")


@pytest.fixture
def agreement(world: World, lender: Someone) -> Agreement:
    return world.agreement(lender, world.agency())


def propose(world: World, by: Someone, agreement: Agreement, start: int = 10, **changes: Any) -> Card:
    with world.database.work(by.actor) as work:
        return rate_cards.propose(work, agreement.id, Terms(ONE, day(start))._replace(**changes))


def approve(world: World, by: Someone, card: Card) -> Card:
    with world.database.work(by.actor) as work:
        return rate_cards.approve(work, card.card.id)


def version_on(world: World, of: Someone, agreement: Agreement, on: dt.date) -> int | None:
    with world.database.work(of.actor) as work:
        found = rate_cards.find_in_force(work, agreement.lender_id, agreement.id, on)
    return found.card.version if found else None


def test_a_new_card_ends_the_open_one_on_the_day_before_it_begins(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    card = propose(world, lender, agreement)
    assert version_on(world, lender, agreement, day(10)) == 1
    approve(world, second, card)
    assert [version_on(world, lender, agreement, day(n)) for n in (0, 9, 10, 300)] == [1, 1, 2, 2]


def test_a_card_with_an_end_is_followed_by_none(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    approve(world, second, propose(world, lender, agreement, valid_to=day(19)))
    assert [version_on(world, lender, agreement, day(n)) for n in (9, 10, 19, 20)] == [1, 2, 2, None]
    approve(world, second, propose(world, lender, agreement, start=20))
    assert version_on(world, lender, agreement, day(20)) == 3


def withdraw(world: World, asking: Someone, approving: Someone, card: Card) -> None:
    with world.database.work(asking.actor) as work:
        card_withdrawals.ask(work, card.id)
    with world.database.work(approving.actor) as work:
        card_withdrawals.approve(work, card.id)


def test_a_card_is_withdrawn_before_it_begins_and_the_one_before_it_goes_on(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    card = approve(world, second, propose(world, lender, agreement))
    with world.database.work(lender.actor) as work:
        card_withdrawals.ask(work, card.id)
    assert version_on(world, lender, agreement, day(10)) == 2  # it stands until two people have decided
    with world.database.work(second.actor) as work:
        assert card_withdrawals.approve(work, card.id).card.state == "withdrawn"
    assert [version_on(world, lender, agreement, day(n)) for n in (0, 10, 300)] == [1, 1, 1]
    approve(world, second, propose(world, lender, agreement, start=5))
    assert [version_on(world, lender, agreement, day(n)) for n in (4, 5, 300)] == [1, 3, 3]


@pytest.mark.parametrize(
    ("withdrawn", "versions"),
    [((2,), [1, 1, 3, 3]), ((3,), [1, 2, 2, 2]), ((2, 3), [1, 1, 1, 1]), ((3, 2), [1, 1, 1, 1])],
)
def test_of_several_cards_to_come_each_is_withdrawn_by_itself(
    world: World,
    lender: Someone,
    second: Someone,
    agreement: Agreement,
    withdrawn: tuple[int, ...],
    versions: list[int],
) -> None:
    cards = {number: approve(world, second, propose(world, lender, agreement, number * 10)) for number in (2, 3)}
    for number in withdrawn:
        withdraw(world, lender, second, cards[number])
    assert [version_on(world, lender, agreement, day(n)) for n in (19, 29, 30, 250)] == versions


def test_a_card_with_an_end_of_its_own_does_not_go_on(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    approve(world, second, propose(world, lender, agreement, valid_to=day(19)))
    last = approve(world, second, propose(world, lender, agreement, start=20))
    withdraw(world, lender, second, last)
    assert [version_on(world, lender, agreement, day(n)) for n in (19, 20)] == [2, None]


def test_whoever_asked_for_a_withdrawal_does_not_approve_it_and_may_take_it_back(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    card = approve(world, second, propose(world, lender, agreement))
    with world.database.work(second.actor) as work, pytest.raises(Conflict) as refused:
        card_withdrawals.approve(work, card.id)
    assert refused.value.code == "withdrawal_not_asked"
    with world.database.work(lender.actor) as work:
        card_withdrawals.ask(work, card.id)
        assert [waiting.id for waiting in waiting_cards.list_own(work)] == [card.id]
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        card_withdrawals.ask(work, card.id)
    assert refused.value.code == "withdrawal_stands"
    with world.database.work(lender.actor) as work, pytest.raises(Forbidden) as forbidden:
        card_withdrawals.approve(work, card.id)
    assert forbidden.value.code == "second_person_needed"
    with world.database.work(lender.actor) as work:
        assert card_withdrawals.refuse(work, card.id).card.withdrawal_at is None
        assert waiting_cards.list_own(work) == []
    assert version_on(world, lender, agreement, day(10)) == 2


def test_a_card_that_has_begun_stays(
    world: World, lender: Someone, second: Someone, agreement: Agreement, clock: Clock
) -> None:
    card = approve(world, second, propose(world, lender, agreement))
    with world.database.work(lender.actor) as work:
        card_withdrawals.ask(work, card.id)
    clock.forward(days=10)
    with world.database.work(second.actor) as work, pytest.raises(Conflict) as refused:
        card_withdrawals.approve(work, card.id)
    assert refused.value.code == "rate_card_begun"
    with world.database.work(second.actor) as work:
        assert waiting_cards.list_own(work) == []
    assert version_on(world, lender, agreement, day(10)) == 2


def test_only_an_approved_later_card_is_withdrawn(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    starts = day(30)
    later = world.agreement(lender, world.agency(), starts_on=starts, ends_on=day(300))
    with world.database.work(lender.actor) as work:
        (first,) = rate_cards.list_of_agreement(work, later.id)
    waiting = propose(world, lender, agreement)
    for card, code in ((first, "rate_card_first"), (waiting, "wrong_state")):
        with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
            card_withdrawals.ask(work, card.id)
        assert refused.value.code == code
    stranger = world.lender("administrator")
    for verb in (card_withdrawals.ask, card_withdrawals.approve, card_withdrawals.refuse):
        with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
            verb(work, first.id)


def test_the_agency_is_told_and_sees_the_card_no_more(world: World, lender: Someone, second: Someone) -> None:
    agency = world.agency()
    agreement = world.agreement(lender, agency)
    withdraw(world, lender, second, approve(world, second, propose(world, lender, agreement)))
    with world.database.work(agency.actor) as work:
        assert [found.card.version for found in rate_cards.list_of_agreement(work, agreement.id)] == [1]
        newest = notices.list_own(work, limit=1)[0]
    assert (newest.kind, newest.subject_id, newest.facts["version"]) == ("rate_card.withdrawn", agreement.id, 2)


def test_nobody_approves_a_card_that_they_proposed(world: World, lender: Someone, agreement: Agreement) -> None:
    card = propose(world, lender, agreement)
    with pytest.raises(Forbidden) as refused:
        approve(world, lender, card)
    assert refused.value.code == "second_person_needed"
    assert version_on(world, lender, agreement, day(10)) == 1


def test_a_card_is_decided_once(world: World, lender: Someone, second: Someone, agreement: Agreement) -> None:
    card = propose(world, lender, agreement)
    with world.database.work(lender.actor) as work:
        assert rate_cards.refuse(work, card.card.id).card.state == "refused"
    with pytest.raises(Conflict) as refused:
        approve(world, second, card)
    assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(("start", "end"), [(10, None), (15, None), (5, None), (5, 12), (12, 14), (20, 22)])
def test_a_card_that_overlaps_one_in_force_is_refused_when_proposed(
    world: World, lender: Someone, second: Someone, agreement: Agreement, start: int, end: int | None
) -> None:
    approve(world, second, propose(world, lender, agreement, valid_to=day(20)))
    with pytest.raises(Conflict) as refused:
        propose(world, lender, agreement, start=start, valid_to=end and day(end))
    assert refused.value.code == "rate_card_overlaps"


def test_of_two_proposals_for_the_same_days_one_is_approved(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    first, other = propose(world, lender, agreement), propose(world, lender, agreement)
    approve(world, second, other)
    with pytest.raises(Conflict) as refused:
        approve(world, second, first)
    assert refused.value.code == "rate_card_overlaps"
    assert [version_on(world, lender, agreement, day(n)) for n in (9, 10)] == [1, 3]


def test_two_people_who_approve_two_cards_at_once_put_one_in_force(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    def attempt(card: Card) -> str:
        try:
            return approve(world, second, card).card.state
        except Refusal as refused:
            return refused.code

    for start in range(10, 20):
        both = [propose(world, lender, agreement, start=start) for _ in range(2)]
        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(attempt, both)) == ["active", "rate_card_overlaps"]


def test_the_database_itself_refuses_two_cards_on_one_day(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    card = propose(world, lender, agreement)
    with pytest.raises(IntegrityError) as refused, world.database.work(second.actor) as work:
        work.session.execute(update(RateCard).where(RateCard.id == card.card.id).values(state="active"))
    assert isinstance(refused.value.orig, ExclusionViolation)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"valid_from": day(-1)}, [("valid_from", "in_past")]),
        ({"valid_to": day(9)}, [("valid_to", "dates_reversed")]),
        ({"valid_to": day(1000)}, [("valid_to", "outside_agreement")]),
        ({"valid_from": day(1000)}, [("valid_from", "outside_agreement")]),
        ({"cells": []}, [("cells", "required_missing")]),
        ({"cells": [Cell(Decimal(2))]}, [("rate", "out_of_range")]),
        ({"cells": [Cell(Decimal("0.1"), product="card")]}, [("cells", "rate_missing")]),
        ({"cells": ONE * 2}, [("amount_from", "rate_cells_overlap")]),
        ({"tail_days": 91}, [("tail_days", "out_of_range")]),
        ({"settlement_floor": Decimal(-1)}, [("settlement_floor", "out_of_range")]),
        ({"tax_treatment": "?"}, [("tax_treatment", "unknown_value")]),
        ({"tax_rate": Decimal(1)}, [("tax_rate", "out_of_range")]),
    ],
)
def test_what_is_wrong_with_a_proposal_is_told(
    world: World, lender: Someone, agreement: Agreement, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    with pytest.raises(Invalid) as refused:
        propose(world, lender, agreement, **changes)
    assert [(error.field, error.code) for error in refused.value.errors] == found


def test_a_card_that_waited_beyond_its_first_day_is_proposed_anew(
    world: World, lender: Someone, second: Someone, agreement: Agreement, clock: Clock
) -> None:
    card = propose(world, lender, agreement)
    clock.forward(days=11)
    with pytest.raises(Conflict) as refused:
        approve(world, second, card)
    assert refused.value.code == "rate_card_in_past"


def test_a_card_without_a_rate_for_what_the_agreement_covers_by_now_is_not_approved(
    world: World, lender: Someone, second: Someone
) -> None:
    agreement = world.agreement(lender, world.agency(), buckets=["M1"])
    card = propose(world, lender, agreement, cells=[Cell(Decimal("0.1"), bucket="M1")])
    with world.database.work(lender.actor) as work:
        agreements.change(work, agreement.id, {"buckets": ["M1", "M2"]})
    with pytest.raises(Conflict) as refused:
        approve(world, second, card)
    assert refused.value.code == "rate_missing"


def test_a_change_is_measured_against_cards_that_are_still_to_come(
    world: World, lender: Someone, second: Someone
) -> None:
    agreement = world.agreement(lender, world.agency(), buckets=["M1"])
    approve(world, second, propose(world, lender, agreement, cells=[Cell(Decimal("0.1"), bucket="M1")]))
    with pytest.raises(Invalid), world.database.work(lender.actor) as work:
        agreements.change(work, agreement.id, {"buckets": ["M1", "M2"]})


def test_no_card_is_proposed_or_approved_for_an_agreement_that_has_ended(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    card = propose(world, lender, agreement)
    with world.database.work(lender.actor) as work:
        agreements.end(work, agreement.id)
    with pytest.raises(Conflict) as refused:
        propose(world, lender, agreement)
    assert refused.value.code == "wrong_state"
    with pytest.raises(Conflict) as refused:
        approve(world, second, card)
    assert refused.value.code == "agreement_not_in_force"


def test_a_card_of_somebody_else_is_as_unknown_as_none(world: World, lender: Someone, agreement: Agreement) -> None:
    card = propose(world, lender, agreement)
    stranger = world.lender("administrator")
    for id_ in (card.card.id, new_id()):
        for verb in (rate_cards.get, rate_cards.approve, rate_cards.refuse):
            with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
                verb(work, id_)
    with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
        rate_cards.propose(work, agreement.id, Terms(ONE, day(10)))


def test_an_agency_sees_the_cards_in_force_and_none_that_waits(world: World, lender: Someone) -> None:
    agency = world.agency()
    agreement = world.agreement(lender, agency)
    card = propose(world, lender, agreement)
    with world.database.work(agency.actor) as work:
        assert [found.card.version for found in rate_cards.list_of_agreement(work, agreement.id)] == [1]
        assert rate_cards.list_newest(work)[agreement.id].card.version == 1
        with pytest.raises(NotFound):
            rate_cards.get(work, card.card.id)


def test_what_waits_is_listed_oldest_first_until_it_is_decided(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    waiting = [propose(world, lender, agreement, start=start) for start in (10, 20)]
    with world.database.work(lender.actor) as work:
        assert [card.id for card in waiting_cards.list_own(work)] == [card.card.id for card in waiting]
    approve(world, second, waiting[0])
    with world.database.work(lender.actor) as work:
        assert [card.id for card in waiting_cards.list_own(work)] == [waiting[1].card.id]


def obstacles(world: World, of: Someone, agreement: Agreement) -> dict[UUID, str]:
    with world.database.work(of.actor) as work:
        return waiting_cards.find_obstacles(work, agreement.id)


def test_a_proposal_that_nobody_can_approve_any_more_says_why_and_waits_no_longer(
    world: World, lender: Someone, second: Someone, agreement: Agreement, clock: Clock
) -> None:
    """One by one what `approve` refuses is what `find_obstacles` says."""
    starts = {"taken": 10, "late": 12, "good": 40}
    ends = {"taken": day(19), "late": day(14), "good": None}
    cards = {name: propose(world, lender, agreement, start, valid_to=ends[name]) for name, start in starts.items()}
    rival = propose(world, lender, agreement, 16, valid_to=day(30))
    assert obstacles(world, lender, agreement) == {}
    approve(world, second, rival)
    clock.forward(days=13)
    said = obstacles(world, lender, agreement)
    assert said == {cards["taken"].id: "rate_card_in_past", cards["late"].id: "rate_card_in_past"}
    for name, card in cards.items():
        with world.database.work(lender.actor) as work:
            assert (card.id in {one.id for one in waiting_cards.list_own(work)}) is (name == "good")
        if name != "good":
            with pytest.raises(Conflict) as refused:
                approve(world, second, card)
            assert refused.value.code == said[card.id]
    approve(world, second, cards["good"])


@pytest.mark.parametrize(
    ("standing", "proposed", "stopped"),
    [
        ((10, None), (10, None), True),
        ((10, 20), (20, 25), True),
        ((10, 20), (21, None), False),
        ((10, 20), (5, 9), True),  # the one that ends before it
        ((10, 20), (5, None), True),
        ((10, None), (15, None), False),  # it follows
        ((10, None), (5, 9), True),
        ((10, None), (5, 10), True),
    ],
)
def test_a_proposal_waits_until_one_is_approved_that_it_does_not_simply_follow(
    world: World,
    lender: Someone,
    second: Someone,
    agreement: Agreement,
    standing: tuple[int, int | None],
    proposed: tuple[int, int | None],
    stopped: bool,
) -> None:
    first, other = (
        propose(world, lender, agreement, start, valid_to=end and day(end)) for start, end in (standing, proposed)
    )
    approve(world, second, first)
    assert obstacles(world, lender, agreement) == ({other.id: "rate_card_overlaps"} if stopped else {})
    if stopped:
        with pytest.raises(Conflict, match="rate_card_overlaps"):
            approve(world, second, other)
    else:
        approve(world, second, other)


def test_a_rate_is_looked_up_on_the_card_of_its_day(
    world: World, lender: Someone, second: Someone, agreement: Agreement
) -> None:
    cells = [*ONE, Cell(Decimal("0.3"), placement_seq=2, amount_from=Decimal(500))]
    approve(world, second, propose(world, lender, agreement, cells=cells))
    subject = Subject("card", "M2", 2, "payment", Decimal("500.00"))
    with world.database.work(lender.actor) as work:
        found = [rate_cards.look_up(work, agreement, day(n), subject) for n in (9, 10)]
        found.append(rate_cards.look_up(work, agreement, day(10), subject._replace(amount=Decimal("499.99"))))
        with pytest.raises(Conflict) as refused:
            rate_cards.look_up(work, agreement, day(-1000), subject)
    assert refused.value.code == "no_rate_card_in_force"
    assert [(card.version, cell.rate) for card, cell in found] == [
        (1, Decimal("0.18")),
        (2, Decimal("0.3")),
        (2, Decimal("0.25")),
    ]


def test_no_rate_is_told_for_what_the_agreement_does_not_cover(world: World, lender: Someone) -> None:
    agreement = world.agreement(lender, world.agency(), products=["credit_card"], buckets=["M1"])
    subject = Subject("car_loan", "M2", 1, "payment", Decimal("500.00"))
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        rate_cards.look_up(work, agreement, TODAY, subject)
    assert [tuple(error) for error in refused.value.errors] == [
        (0, "product", "not_covered"),
        (0, "bucket", "not_covered"),
    ]


def test_each_case_is_placed_at_the_rate_of_its_cell(world: World, lender: Someone) -> None:
    cells = [
        Cell(Decimal("0.1")),
        Cell(Decimal("0.2"), bucket="M3"),
        Cell(Decimal("0.3"), product="car_loan", amount_from=Decimal(5000)),
        Cell(Decimal("0.9"), payment_type="settlement"),
    ]
    debts = [Debt(1), Debt(2, dpd=75), Debt(3, "6000.00", 75, product="car_loan"), Debt(4, product="car_loan")]
    terms: Any = {"contingency_rate": None, "cells": cells}
    placement = world.placement(lender, world.agency(), debts, **terms)
    with world.database.work(lender.actor) as work:
        rates = placed_rates(work, placement.id)
    assert rates == [Decimal(rate) for rate in ("0.1", "0.2", "0.3", "0.1")]
    assert (placement.lowest_rate, placement.highest_rate) == (Decimal("0.1"), Decimal("0.3"))
    with world.database.work(lender.actor) as work:
        card = rate_cards.list_newest(work)[placement.agreement_id]
    assert (card.lowest_rate, card.highest_rate) == (Decimal("0.1"), Decimal("0.3"))


def placed_rates(work: Any, placement_id: UUID) -> list[Decimal]:
    query = select(PlacedCase.contingency_rate).where(PlacedCase.placement_id == placement_id)
    return list(work.session.scalars(query.order_by(PlacedCase.case_id)))


@pytest.fixture
def cases(world: World, lender: Someone) -> list[Case]:
    """A case of every product and bucket that the random cards name, at the edges of their bands."""
    amounts = ("0.01", "99.99", "100.00", "5000.00")
    every = [
        Debt(number, amount, dpd, product=product)
        for number, (product, dpd, amount) in enumerate(
            (product, dpd, amount)
            for product in ("card", "loan", "van")
            for dpd in (0, 20, 45, 75)
            for amount in amounts
        )
    ]
    portfolio = world.portfolio(lender, every)
    with world.database.work(lender.actor) as work:
        return list(work.session.scalars(select(Case).where(Case.portfolio_id == portfolio.id)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=random_cards)
def test_the_database_finds_the_cell_that_the_rule_finds(
    world: World, lender: Someone, agreement: Agreement, cases: list[Case], cells: Sequence[Cell]
) -> None:
    assume(len(cells) > 1)  # one alone is for everything, and not looked up
    assume("rate_cells_overlap" not in {error.code for error in faults(cells, (), BUCKETS)})
    with world.database.work(lender.actor) as work:
        card = store(work, agreement, cells)
        for seq in (1, 2, 4):
            rate = placing._rate_of_card(agreement.lender_id, card, literal(seq))
            found = dict(work.session.execute(select(Case.id, rate).where(Case.id.in_([c.id for c in cases]))).all())
            for case in cases:
                cell = find_cell(cells, Subject(case.product, case.bucket, seq, PAYMENT, case.balance))
                assert found[case.id] == (cell.rate if cell else None)
        work.session.rollback()


def store(work: Any, agreement: Agreement, cells: Sequence[Cell]) -> Card:
    """A card as random as it is: faults and all, and in force for nobody."""
    card = RateCard(
        lender_id=agreement.lender_id,
        id=new_id(),
        agency_id=agreement.agency_id,
        agreement_id=agreement.id,
        version=99,
        state="proposed",
        valid_from=TODAY,
        tail_days=0,
        agency_may_receive=False,
        tax_treatment="inclusive",
        tax_rate=Decimal(0),
        proposed_by=new_id(),
        proposed_at=work.at,
    )
    work.session.add(card)
    work.session.flush()
    key = {"lender_id": card.lender_id, "card_id": card.id, "agency_id": card.agency_id}
    rows = [RateCell(**key, position=place, **cell._asdict()) for place, cell in enumerate(cells, 1)]
    work.session.add_all(rows)
    work.session.flush()
    return Card(card, rows)
