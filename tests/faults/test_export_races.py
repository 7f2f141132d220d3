"""Files of an agency against what ends its access: commit order decides, and none leaves after the end was logged."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import cycle
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import CaseClosedToWork
from models.placement import Placement
from models.services.collection import worklists
from models.services.exchange import offers, placements, recalls, tenders
from models.services.oversight import exports
from models.services.parties import freezes, lender_settings
from models.work import Work
from tests.facts import jobs
from tests.racing import at_once
from tests.world import Someone, World

CASES: Final = 2  # of a round
ROUNDS = pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.soak)])

# How a lender ends an agency's access to a placement, and the entry it leaves.
ENDS: Final[dict[str, Callable[[Work, UUID], object]]] = {
    "placement.recall": lambda work, placement_id: recalls.recall(work, placement_id, "lender_request"),
    "placement.freeze": lambda work, placement_id: freezes.freeze(work, placement_id, "data_incident"),
}
# Whose rows an agency's file has, as read before it is logged.
FILES: Final[dict[str, Callable[[Work, UUID], Iterable[Any]]]] = {
    "placement_cases": placements.export_cases,
    "worklist": lambda work, _: list(worklists.export(work)),
}


@pytest.fixture
def lender(world: World) -> Someone:
    """Its agencies may take as many rows as they like."""
    found = world.lender()
    with world.database.work(world.person(found, "compliance_officer").actor) as work:
        lender_settings.change(work, {"export_rows": 1_000_000})
    return found


@ROUNDS
@pytest.mark.parametrize("end", ENDS)
def test_no_file_is_logged_after_the_end_that_its_rows_are_of(
    world: World, lender: Someone, rounds: int, end: str
) -> None:
    agency, agreement = world.agency(), None
    colleague = world.person(agency, "manager")
    agreement = world.agreement(lender, agency)
    for portfolio, first in zip(world.portfolios(lender, CASES, rounds), cycle(range(3)), strict=False):
        placement = place(world, lender, agency, portfolio.id, agreement.id)
        _, before = logged(world, lender)
        answers = at_once(
            lambda it=placement: take(world, agency, "placement_cases", it),  # type: ignore[misc]
            lambda it=placement: take(world, colleague, "worklist", it),  # type: ignore[misc]
            lambda it=placement: act(world, lender, end, it),  # type: ignore[misc]
            first=first,
        )
        assert answers[0] in {"done", "case_recalled", "placement_frozen"}
        assert answers[1:] == ["done", "done"]
        actions, _ = logged(world, lender, before)
        assert "export.download" not in actions[actions.index(end) :]
        if end == "placement.freeze":
            act(world, lender, "placement.recall", placement)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", FILES)
def test_an_end_waits_for_the_file_that_was_read_before_it(world: World, lender: Someone, kind: str, end: str) -> None:
    agency = world.agency()
    placement = world.placement(lender, agency, CASES)
    with ThreadPoolExecutor(1) as threads:
        with world.database.work(agency.actor) as work:
            rows = list(FILES[kind](work, placement.id))
            ending = threads.submit(act, world, lender, end, placement)
            assert not wait([ending], timeout=0.3).done
            log(work, lender, kind, rows)
        ending.result()
    assert len(rows) == CASES
    with world.database.work(agency.actor) as work:
        assert list(worklists.export(work)) == []
        with pytest.raises(CaseClosedToWork) as refused:
            placements.export_cases(work, placement.id)
    assert refused.value.placement_id == placement.id


def place(world: World, lender: Someone, agency: Someone, portfolio_id: UUID, agreement_id: UUID) -> Placement:
    """Acknowledged."""
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, portfolio_id, agreement_id, case_limit=CASES)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
        return placements.acknowledge(work, placement.id, *placements.figures(work, placement.id))


def take(world: World, person: Someone, kind: str, placement: Placement) -> None:
    with world.database.work(person.actor) as work:
        rows = list(FILES[kind](work, placement.id))
        log(work, placement, kind, rows)


def log(work: Work, of: Any, kind: str, rows: list[Any]) -> None:
    lender_id = of.lender_id if isinstance(of, Placement) else of.organisation.id
    exports.take(work, kind, {}, Counter([lender_id] * len(rows)), lambda _: b"")


def act(world: World, lender: Someone, end: str, placement: Placement) -> None:
    with world.database.work(lender.actor) as work:
        ENDS[end](work, placement.id)


def logged(world: World, lender: Someone, after: int = 0) -> tuple[list[str], int]:
    """What the lender's log says was done after that entry, in the order of the entries; and the last of them."""
    entries = select(OutboxEntry.id, OutboxEntry.entry).where(OutboxEntry.id > after).order_by(OutboxEntry.id)
    with world.database.work(jobs(lender)) as work:
        found = work.session.execute(entries).all()
    return [json.loads(entry)["action"] for _, entry in found], found[-1].id
