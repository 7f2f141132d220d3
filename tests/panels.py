"""A portfolio to be divided among a panel of agencies, previewed, committed and undone by the real verbs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text

from jobs import allocation
from models.agreement import Agreement
from models.allocation_plan import RULES, Plan, Rule, equal_shares
from models.case import Case
from models.services.exchange import (
    allocations,
    undoing,
)
from models.services.parties import lender_settings
from models.tender import Tender
from models.work import JOBS, Actor, Work
from tests.world import Debt, Someone, World


class Panel(NamedTuple):
    """A lender, its agencies and the agreement with each, and a portfolio to divide."""

    lender: Someone
    agencies: list[Someone]
    agreements: list[Agreement]
    portfolio_id: UUID

    @property
    def ids(self) -> list[UUID]:
        return [agreement.id for agreement in self.agreements]


def panel(world: World, cases: int | Sequence[Debt] = 12, agencies: int = 2, **terms: Any) -> Panel:
    lender = world.lender()
    found = [world.agency() for _ in range(agencies)]
    agreements = [world.agreement(lender, agency, **terms) for agency in found]
    return Panel(lender, found, agreements, world.portfolio(lender, cases).id)


def equally(of: Panel, exclude_earlier: bool = False) -> Plan:
    return Plan(RULES, [Rule(equal_shares(of.ids))], b"", exclude_earlier=exclude_earlier)


def preview(world: World, of: Panel, plan: Plan | None = None, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return allocations.preview(work, of.portfolio_id, plan or equally(of))


def commit(world: World, of: Panel, tender: Tender, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return allocations.commit(work, tender.id)


def committed(world: World, of: Panel, plan: Plan | None = None) -> Tender:
    return commit(world, of, preview(world, of, plan))


def shown(tender: Tender) -> dict[str, Any]:
    assert tender.preview is not None
    return tender.preview


def change_settings(world: World, of: Panel, **changes: int | str | bool) -> None:
    with world.database.work(world.person(of.lender, "administrator").actor) as work:
        lender_settings.change(work, changes)


def holders(world: World, of: Panel) -> dict[UUID, UUID | None]:
    """Case → whose agency has it."""
    with world.database.work(of.lender.actor) as work:
        rows = work.session.execute(select(Case.id, Case.agency_id).where(Case.lender_id == of.lender.organisation.id))
        return {row.id: row.agency_id for row in rows}


def carry_out(world: World, tender: Tender) -> Tender:
    """As the worker does."""
    allocation.run(world.database, tender.lender_id, tender.id)
    with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
        return allocations.get(work, tender.id)


def undo(world: World, of: Panel, tender: Tender, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return undoing.undo(work, tender.id, "wrong_split")


@contextmanager
def hurried(world: World, someone: Someone) -> Iterator[Work]:
    with world.database.work(someone.actor) as work:
        work.session.execute(text("set local lock_timeout = '100ms'"))
        yield work
