"""The case tallies say what counting every case says, whatever happens to the cases, and whoever asks."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any, Final, TypeAlias

import pytest
from sqlalchemy import func, select, update

from models.case import HOLD, PAID_OFF, Case
from models.case_tally import PLACE, CaseTally
from models.database import Database
from models.services.exchange import expiries, recalls, returns, tenders
from models.services.oversight import overviews
from models.services.portfolio import erasures, exclusions, holds, portfolios, scrub, tallies
from models.services.portfolio.portfolios import Progress
from models.tender_plan import Plan
from models.work import Work
from tests.facts import TODAY, Placed, balance, jobs, placed, receive_balances
from tests.world import Debt, World

Tallies: TypeAlias = dict[tuple[Any, ...], tuple[int, Decimal]]


def recall(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", [ground.case.id])


def give_back(world: World, ground: Placed) -> None:
    with world.database.work(ground.agency.actor) as work:
        returns.give_back(work, ground.placement.id, "capacity", [ground.case.id])


def expire(world: World, ground: Placed) -> None:
    world.clock.forward(days=91)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        expiries.expire_due(work)


def pay_off(world: World, ground: Placed) -> None:
    receive_balances(world, ground.lender, balance(ground.case, "0.00", "paid_off"))


def pay_some(world: World, ground: Placed) -> None:
    receive_balances(world, ground.lender, *(balance(case, "12.34") for case in ground.cases))


def owe_in_turn(world: World, ground: Placed) -> None:
    """Each balance moves, their sum does not."""
    amounts = [case.balance for case in ground.cases]
    rows = zip(ground.cases, amounts[1:] + amounts[:1], strict=True)
    receive_balances(world, ground.lender, *(balance(case, str(amount)) for case, amount in rows))


def nothing(world: World, ground: Placed) -> None:
    """As it was placed."""


# What happens → placed, closed and free cases afterwards.
ACTS: Final[Mapping[Callable[[World, Placed], None], tuple[int, int, int]]] = {
    nothing: (4, 0, 0),
    recall: (3, 0, 1),
    give_back: (3, 0, 1),
    expire: (0, 0, 4),
    pay_off: (3, 1, 0),
    pay_some: (4, 0, 0),
    owe_in_turn: (4, 0, 0),
}


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, [Debt(n, f"{n}000.00") for n in range(1, 5)])


def kept(work: Work) -> Tallies:
    place = [getattr(CaseTally, name) for name in PLACE]
    sums = select(*place, func.sum(CaseTally.case_count), func.sum(CaseTally.balance)).group_by(*place)
    return {tuple(row[:-2]): tuple(row[-2:]) for row in work.session.execute(sums) if any(row[-2:])}


def counted(work: Work) -> Tallies:
    place = [getattr(Case, name) for name in PLACE]
    sums = select(*place, func.count(), func.sum(Case.balance)).group_by(*place)
    return {tuple(row[:-2]): tuple(row[-2:]) for row in work.session.execute(sums)}


@pytest.mark.parametrize("act", ACTS)
def test_whatever_happens_to_cases_is_tallied(
    world: World, ground: Placed, act: Callable[[World, Placed], None]
) -> None:
    act(world, ground)
    placed_count, closed, free = ACTS[act]
    portfolio_id = ground.placement.portfolio_id
    with world.database.work(ground.lender.actor) as work:
        assert kept(work) == counted(work)
        told = portfolios.progress(work, [portfolio_id])[portfolio_id]
        (party,) = overviews.parties(work, "CNY")
    assert told == Progress(placed_count, closed, 0, free)
    assert party.placed_case_count == placed_count


def test_both_sides_and_an_auditor_sum_the_same_and_an_agency_only_its_own(world: World, ground: Placed) -> None:
    recall(world, ground)
    other = placed(world, [Debt(11), Debt(12)], lender=ground.lender)
    told = []
    for someone in (ground.agency, ground.lender, world.auditor(of=ground.lender)):
        with world.database.work(someone.actor) as work:
            parties = {party.placed_case_count: party.placed_balance for party in overviews.parties(work, "CNY")}
            told.append(parties)
            if someone is ground.agency:
                assert {row.agency_id for row in work.session.scalars(select(CaseTally))} == {
                    ground.agency.organisation.id
                }
    assert told[0] == {3: Decimal("9000.00")}
    assert told[1] == told[2] == told[0] | {2: other.placement.referred_amount}


def test_cases_in_a_tender_are_offered_and_not_free(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    agreement = world.agreement(lender, agency)
    portfolio = world.portfolio(lender, 3)
    with world.database.work(lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", [agreement.id], case_limit=2))
        assert portfolios.progress(work, [portfolio.id])[portfolio.id] == Progress(0, 0, 2, 1)
        assert portfolios.get(work, portfolio.id).products == ["credit_card"]


def test_a_case_that_closes_while_it_is_tendered_is_offered_no_longer(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    agreement = world.agreement(lender, agency)
    portfolio = world.portfolio(lender, 3)
    with world.database.work(lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", [agreement.id]))
        closing = select(Case.id).where(Case.portfolio_id == portfolio.id).limit(1).scalar_subquery()
        work.session.execute(update(Case).where(Case.id == closing).values(status=PAID_OFF))
        assert portfolios.progress(work, [portfolio.id])[portfolio.id] == Progress(0, 1, 2, 0)


def exclude(work: Work, case: Case) -> None:
    exclusions.record(work, case.id, "deceased", "court", TODAY)


def exclude_borrower(work: Work, case: Case) -> None:
    exclusions.record(work, case.id, "deceased", "court", TODAY, whole_borrower=True)
    exclusions.record(work, case.id, "bankrupt", "court", TODAY)


def hold(work: Work, case: Case) -> None:
    holds.place(work, "case", case.id, "litigation")


def hold_borrower(work: Work, case: Case) -> None:
    holds.place(work, "borrower", case.borrower_id, "litigation")


def hold_portfolio(work: Work, case: Case) -> None:
    holds.place(work, "portfolio", case.portfolio_id, "litigation")


def erase(work: Work, case: Case) -> None:
    erasures.erase(work, "case", case.id)


def put_on_hold(work: Work, case: Case) -> None:
    case.status = HOLD


@pytest.mark.parametrize(
    ("act", "kept"),
    [
        (exclude, 1),
        (exclude_borrower, 2),
        (hold, 1),
        (hold_borrower, 2),
        (hold_portfolio, 4),
        (erase, 1),
        (put_on_hold, 1),
    ],
)
def test_a_case_that_may_not_be_offered_is_kept_back_and_not_free(
    world: World, act: Callable[[Work, Case], None], kept: int
) -> None:
    lender = world.lender("administrator")
    portfolio = world.portfolio(lender, [Debt(1), Debt(1), Debt(2), Debt(3)])
    with world.database.work(lender.actor) as work:
        first = work.session.scalars(select(Case).order_by(Case.id).limit(1)).one()
        act(work, first)
        work.session.flush()
        told = portfolios.progress(work, [portfolio.id])[portfolio.id]
        clear = select(func.count()).where(Case.portfolio_id == portfolio.id, scrub.free(), scrub.clear(work))
        assert told == Progress(0, 0, 0, 4 - kept, kept)
        assert work.session.scalar(clear) == told.free


def test_folding_keeps_every_sum_and_one_row_of_each_place(world: World, ground: Placed) -> None:
    recall(world, ground)
    pay_some(world, ground)
    with world.database.work(jobs(ground.lender)) as work:
        before = kept(work)
        tallies.fold(work)
        assert kept(work) == before == counted(work)
        assert work.session.scalar(select(func.count()).select_from(CaseTally)) == len(before)
        tallies.fold(work)
        assert kept(work) == before


def test_acts_and_folds_at_once_lose_nothing_and_wait_for_nobody(world: World, ground: Placed) -> None:
    """Each case changes in a transaction of its own; all are held open together with one that folds, beside another."""
    pay_some(world, ground)
    database: Database = world.database
    together = Barrier(len(ground.cases) + 1)

    def change(case_id: Any) -> None:
        with database.work(ground.lender.actor) as work:
            work.session.execute(update(Case).where(Case.id == case_id).values(balance=Decimal("1.00"), status="hold"))
            together.wait(20)

    def fold(*, held: bool) -> None:
        with database.work(jobs(ground.lender)) as work:
            tallies.fold(work)
            if held:
                together.wait(20)

    acts = [Thread(target=change, args=(case.id,)) for case in ground.cases]
    acts += [Thread(target=fold, kwargs={"held": held}) for held in (True, False)]
    for act in acts:
        act.start()
    for act in acts:
        act.join()
    with database.work(ground.lender.actor) as work:
        assert kept(work) == counted(work)
        assert {(status, *sums) for (*_, status), sums in kept(work).items()} == {("hold", 4, Decimal("4.00"))}
