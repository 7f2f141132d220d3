"""The gate against acts that come at once: a freeze against an acceptance, and acceptances against one capacity."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import pytest

from models.errors import Conflict
from models.placement import LIVE
from models.services.exchange import offers, placements, recalls, tender_offers, tenders
from models.services.parties import standings
from models.tender import FIRST_CLAIM
from models.tender_plan import Plan
from tests.world import Someone, World

ROUNDS = [50, pytest.param(1000, marks=pytest.mark.soak)]


def at_once(*acts: Callable[[], object]) -> list[str]:
    """What each came to: `done`, or the code of its refusal."""

    def outcome(act: Callable[[], object]) -> str:
        try:
            act()
        except Conflict as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(outcome, acts))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_freeze_leaves_no_placement_running_whichever_came_first(world: World, rounds: int) -> None:
    lender, agency = world.lender(), world.agency()
    agreement = world.agreement(lender, agency)
    outcomes = set()
    for portfolio in world.portfolios(lender, 1, rounds):
        with world.database.work(lender.actor) as work:
            offer = tenders.assign(work, portfolio.id, agreement.id, case_limit=1)
        acts = partial(accept, world, agency, offer.id), partial(freeze, world, lender, agency)
        outcomes.add(tuple(at_once(*acts)))
        with world.database.work(lender.actor) as work:
            live = [row for row in placements.list_own(work) if row.state in LIVE]
            assert [row for row in live if row.frozen_at is None] == []
            standings.clear(work, agency.organisation.id)
            for row in live:
                recalls.recall(work, row.id, "lender_request")
    assert outcomes <= {("done", "done"), ("ineligible", "done")}


def accept(world: World, agency: Someone, offer_id: UUID) -> None:
    with world.database.work(agency.actor) as work:
        offers.accept(work, offer_id)


def freeze(world: World, lender: Someone, agency: Someone) -> None:
    with world.database.work(lender.actor) as work:
        standings.freeze(work, agency.organisation.id, "data_incident")
    with world.database.work(lender.actor) as work:
        standings.stop_placements(work, agency.organisation.id)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_claims_at_once_never_exceed_what_an_agency_may_hold(world: World, rounds: int) -> None:
    lender, agency = world.lender(), world.agency()
    agreement = world.agreement(lender, agency, open_cases_max=1)
    for portfolio in world.portfolios(lender, 2, rounds):
        offer_ids = []
        for _ in range(2):
            with world.database.work(lender.actor) as work:
                tender = tenders.create(work, Plan(portfolio.id, FIRST_CLAIM, [agreement.id], case_limit=1))
                offer_ids += [offer.id for offer in tender_offers.list_all(work, tender.id)]
        claims = [partial(accept, world, agency, offer_id) for offer_id in offer_ids]
        assert sorted(at_once(*claims)) == ["capacity_exceeded", "done"]
        with world.database.work(lender.actor) as work:
            (held,) = [row for row in placements.list_own(work) if row.state in LIVE]
            recalls.recall(work, held.id, "lender_request")
