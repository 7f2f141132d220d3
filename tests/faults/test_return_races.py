"""A return that excludes a borrower as a whole, while somebody acts on another case of the borrower."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select

from models.case import Case
from models.offer import Offer
from models.placement import Placement
from models.services.exchange import offers, returns, tenders
from models.services.parties import lender_settings
from models.tender import TenderedCase
from models.work import Work
from tests.racing import await_waiter
from tests.world import Debt, Someone, World

DEBTS = [Debt(borrower) for borrower in range(1, 5)]


class Ground(NamedTuple):
    """One agency holds a case of each borrower, the other is offered one more of each."""

    lender: Someone
    one: Someone
    other: Someone
    held: Placement
    offer: Offer


@pytest.fixture
def ground(world: World) -> Ground:
    lender, one, other = world.lender(), world.agency(), world.agency()
    held = world.placement(lender, one, DEBTS)
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        lender_settings.change(work, {"new_case_follows": False})
    return Ground(lender, one, other, held, world.offer(lender, other, DEBTS))


def accept(world: World, ground: Ground) -> int:
    with world.database.work(ground.other.actor) as work:
        return offers.accept(work, ground.offer.id).case_count


def withdraw(world: World, ground: Ground) -> int:
    with world.database.work(ground.lender.actor) as work:
        tenders.withdraw(work, ground.offer.tender_id)
    return 0


def tendered(work: Work, ground: Ground) -> list[tuple[UUID, str]]:
    """The offered cases in order of id, each with the number of the case of its borrower that is placed."""
    query = select(TenderedCase.case_id, Case.borrower_id).join(Case, Case.id == TenderedCase.case_id)
    of_tender = query.where(TenderedCase.tender_id == ground.offer.tender_id).order_by(TenderedCase.case_id)
    placed = select(Case.borrower_id, Case.reference).where(Case.agency_id == ground.one.organisation.id)
    numbers = dict(work.session.execute(placed).all())
    return [(case_id, numbers[borrower_id]) for case_id, borrower_id in work.session.execute(of_tender)]


def test_an_acceptance_after_a_return_leaves_out_the_borrower_whom_it_excluded(world: World, ground: Ground) -> None:
    case_id = world.case_ids(ground.held, ground.lender)[0]
    with ThreadPoolExecutor(1) as thread:
        with world.database.work(ground.one.actor) as work:
            returns.give_back(work, ground.held.id, "deceased", [case_id])
            accepted = thread.submit(accept, world, ground)
            await_waiter(work)
        assert accepted.result() == len(DEBTS) - 1


@pytest.mark.parametrize(("act", "placed"), [(accept, len(DEBTS)), (withdraw, 0)])
def test_a_file_of_several_codes_never_waits_crosswise(
    world: World, ground: Ground, act: Callable[[World, Ground], int], placed: int
) -> None:
    """The codes are done in order of their names, which is not that of the cases."""
    with world.database.work(ground.lender.actor) as work:
        offered = tendered(work, ground)
    file = f"case_number,return_code\n{offered[3][1]},bankrupt\n{offered[0][1]},deceased\n".encode()

    def give_back() -> int:
        with world.database.work(ground.one.actor) as work:
            return returns.give_back_file(work, [file], "returns.csv").accepted

    with ThreadPoolExecutor(2) as threads:
        with world.database.work(ground.lender.actor) as work:
            middle = select(TenderedCase).where(TenderedCase.case_id == offered[1][0])
            work.session.scalars(middle.with_for_update()).one()
            first = threads.submit(act, world, ground)
            await_waiter(work)
            second = threads.submit(give_back)
            await_waiter(work, 2)
        assert (first.result(), second.result()) == (placed, 2)
