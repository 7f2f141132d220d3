"""Undoing a distribution against whoever holds its cases otherwise in the same moment: both come to an end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar
from uuid import UUID

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from models.allocation_plan import RULES, Plan, Rule, equal_shares
from models.case import Case
from models.exclusion import Exclusion
from models.placement import LIVE
from models.services.exchange import allocations, placements, undoing
from models.services.portfolio import exclusions
from models.tender import UNDONE
from models.work import Work
from tests.world import Someone, World

HOUSEHOLDS = 12

T = TypeVar("T")


@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_undoing_and_an_exclusion_of_the_same_cases_both_succeed(world: World, rounds: int) -> None:
    """Each agency has cases from the whole range of ids: taken one agency after the other, they would cross."""
    lender = world.lender()
    agreements = [world.agreement(lender, world.agency()).id for _ in range(3)]
    portfolio_id = world.portfolio(lender, HOUSEHOLDS).id
    file = excluding(world, lender)
    for _ in range(rounds):
        tender_id = placed(world, lender, portfolio_id, agreements)
        start = Barrier(2)

        def undo(tender_id: UUID = tender_id, start: Barrier = start) -> str:
            start.wait()
            return at_last(world, lender, lambda work: undoing.undo(work, tender_id, "wrong_split").state)

        def exclude(start: Barrier = start) -> int:
            start.wait()
            return at_last(world, lender, lambda work: exclusions.record_file(work, [file]).accepted)

        with ThreadPoolExecutor(2) as threads:
            undone, excluded = threads.submit(undo), threads.submit(exclude)
        assert (undone.result(), excluded.result()) == (UNDONE, HOUSEHOLDS)
        with world.database.work(lender.actor) as work:
            work.session.execute(update(Exclusion).values(lifted_at=work.at))
    with world.database.work(lender.actor) as work:
        assert not [one for one in placements.list_own(work) if one.state in LIVE]
        assert work.session.scalars(select(Case.id).where(Case.agency_id.is_not(None))).all() == []


def at_last(world: World, someone: Someone, act: Callable[[Work], T]) -> T:
    """Whoever waits too long on a slow machine is told to come again, and does; a deadlock is an error."""
    while True:
        try:
            with world.database.work(someone.actor) as work:
                return act(work)
        except OperationalError as refused:
            if not isinstance(refused.orig, LockNotAvailable):
                raise


def placed(world: World, lender: Someone, portfolio_id: UUID, agreements: list[UUID]) -> UUID:
    plan = Plan(RULES, [Rule(equal_shares(agreements))], b"")
    with world.database.work(lender.actor) as work:
        tender = allocations.preview(work, portfolio_id, plan)
        return allocations.commit(work, tender.id).id


def excluding(world: World, lender: Someone) -> bytes:
    with world.database.work(lender.actor) as work:
        numbers = work.session.scalars(select(Case.reference)).all()
    lines = [f"{number},in_court,court,2026-01-02" for number in numbers]
    return "\n".join(["case_number,reason,source,noted_on", *lines]).encode()
