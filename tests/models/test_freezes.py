"""A freeze: nothing is opened, reported, assigned or exported under the placement until it is lifted."""

import json
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from models.audit import OutboxEntry
from models.errors import Conflict, Invalid, NotFound
from models.placement import EXPIRED, RECALLED, Placement
from models.placement_freeze import PlacementFreeze
from models.services.collection import activity_files, assignments, claims, contacts, promises, releases, worklists
from models.services.exchange import expiries, placements, recalls, retentions, returns
from models.services.oversight import needs
from models.services.parties import freezes, standings
from models.services.portfolio import cases
from models.work import Work
from tests.facts import Placed, jobs, placed, recall
from tests.world import Debt, World


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2)


def freeze(world: World, ground: Placed, reason: str = "data_incident") -> Placement:
    with world.database.work(ground.lender.actor) as work:
        return freezes.freeze(work, ground.placement.id, reason)


def freeze_agency(world: World, ground: Placed) -> None:
    """As the portal does it first: what stops the placements one by one has not begun."""
    with world.database.work(ground.lender.actor) as work:
        standings.freeze(work, ground.agency.organisation.id, "data_incident")


def unfreeze(world: World, ground: Placed) -> Placement:
    with world.database.work(ground.lender.actor) as work:
        return freezes.unfreeze(work, ground.placement.id)


def agency_acts(world: World, ground: Placed) -> dict[str, Callable[[Work], object]]:
    at, today = world.clock(), world.clock().date()
    call = contacts.ContactReport("call", "outbound", "debtor", "busy", at)
    collector = world.person(ground.agency, "collector").member.id
    case_id = ground.case.id
    return {
        "release": lambda work: releases.authorise(work, case_id, "identity", "verify_identity"),
        "contact": lambda work: contacts.record(work, case_id, call),
        "promise": lambda work: promises.record(work, case_id, promises.PromiseReport(Decimal(1), "CNY", today)),
        "claim": lambda work: claims.record(
            work, case_id, claims.ClaimReport(Decimal(1), "CNY", today, "R-1", "lender", "api")
        ),
        "assign": lambda work: assignments.assign(work, ground.placement.id, collector, [case_id]),
        "deal": lambda work: assignments.assign_evenly(work, ground.placement.id, [collector]),
        "export": lambda work: placements.export_cases(work, ground.placement.id),
        "export_opened": lambda work: placements.export_opened(work, ground.placement.id),
        "give_back": lambda work: returns.give_back(work, ground.placement.id, "capacity", [case_id]),
        "retain": lambda work: retentions.request(work, ground.placement.id, [case_id], "promise", 10),
    }


@pytest.mark.parametrize(
    "name", ["release", "contact", "promise", "claim", "assign", "deal", "export", "export_opened"]
)
def test_while_frozen_the_agency_may_not_and_afterwards_it_may(world: World, ground: Placed, name: str) -> None:
    act = agency_acts(world, ground)[name]
    freeze(world, ground)
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        act(work)
    assert refused.value.code == "placement_frozen"
    unfreeze(world, ground)
    with world.database.work(ground.agency.actor) as work:
        act(work)


@pytest.mark.parametrize(
    "name",
    ["release", "contact", "promise", "claim", "assign", "deal", "export", "export_opened", "give_back", "retain"],
)
def test_a_freeze_of_the_agency_stops_each_act_before_it_reaches_the_placements(
    world: World, ground: Placed, name: str
) -> None:
    act = agency_acts(world, ground)[name]
    freeze_agency(world, ground)
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        act(work)
    assert refused.value.code == "placement_frozen"


@pytest.mark.parametrize("whole_agency", [False, True])
def test_a_file_of_reports_is_refused_row_by_row(world: World, ground: Placed, whole_agency: bool) -> None:
    (freeze_agency if whole_agency else freeze)(world, ground)
    today = world.clock().date()
    file = f"case_number,amount,currency,paid_on,reference,paid_to\n{ground.case.reference},1,CNY,{today},R-1,lender\n"
    with world.database.work(ground.agency.actor) as work:
        outcome = activity_files.record_claims(work, [file.encode()], "claims.csv")
    assert [(error.field, error.code) for error in outcome.errors] == [("case_number", "placement_frozen")]


def test_a_frozen_placement_is_not_acknowledged(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, acknowledged=False)
    with world.database.work(lender.actor) as work:
        freezes.freeze(work, placement.id, "conduct")
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
    assert refused.value.code == "placement_frozen"


def test_the_worklist_shows_nothing_of_a_frozen_placement_and_needs_nothing_of_it(world: World, ground: Placed) -> None:
    with world.database.work(ground.agency.actor) as work:
        assert len(worklists.read(work).items) == 2
        assert "cases_unassigned" in {need.kind for need in needs.list_own(work)}
    freeze(world, ground)
    with world.database.work(ground.agency.actor) as work:
        assert worklists.read(work).items == []
        assert worklists.due_promises(work) == (0, 0)
        assert needs.list_own(work) == []
        assert cases.get(work, ground.case.id).actions["release"] == "placement_frozen"


def test_a_file_of_the_worklist_leaves_out_who_froze_the_agency_before_that_reaches_the_placements(
    world: World, ground: Placed
) -> None:
    theirs = world.placement(world.lender(), ground.agency, 1)
    freeze_agency(world, ground)
    with world.database.work(ground.agency.actor) as work:
        assert [item.placement_id for item in worklists.export(work)] == [theirs.id]


def test_what_was_opened_under_it_is_told_again_after_the_end(world: World, ground: Placed) -> None:
    freeze(world, ground)
    recall(world, ground)
    with world.database.work(ground.agency.actor) as work:
        assert placements.export_opened(work, ground.placement.id) == []


def test_the_lender_still_opens_recalls_and_the_term_runs_on(world: World, ground: Placed) -> None:
    freeze(world, ground)
    with world.database.work(ground.lender.actor) as work:
        releases.authorise(work, ground.case.id, "identity", "verify_identity")
        recalls.recall(work, ground.placement.id, "conduct", [ground.case.id])
    world.clock.forward(days=91)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        assert expiries.expire_due(work) == 1
        assert placements.get(work, ground.placement.id).state == EXPIRED


def test_a_freeze_stands_once_and_is_lifted_once(world: World, ground: Placed) -> None:
    freeze(world, ground)
    with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as twice:
        freezes.freeze(work, ground.placement.id, "conduct")
    unfreeze(world, ground)
    with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as lifted:
        freezes.unfreeze(work, ground.placement.id)
    assert (twice.value.code, lifted.value.code) == ("already_frozen", "not_frozen")


def test_an_ended_placement_is_not_frozen(world: World, ground: Placed) -> None:
    recall(world, ground)
    with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as refused:
        freezes.freeze(work, ground.placement.id, "conduct")
    assert refused.value.facts == {"state": RECALLED, "act": "freeze"}


def test_a_freeze_needs_a_reason_of_the_list(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work, pytest.raises(Invalid):
        freezes.freeze(work, ground.placement.id, "because")


def test_every_live_placement_with_an_agency_freezes_in_one_act(world: World, ground: Placed) -> None:
    lender, agency = ground.lender, ground.agency
    waiting, ended = (world.placement(lender, agency, 1, acknowledged=now) for now in (False, True))
    elsewhere, foreign = world.placement(lender, world.agency(), [Debt(77)]), world.placement(world.lender(), agency, 1)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, ended.id, "conduct")
    with world.database.work(lender.actor) as work:
        assert freezes.freeze_all(work, agency.organisation.id, "conduct", lender.member.id) == 2
        assert freezes.freeze_all(work, agency.organisation.id, "conduct", lender.member.id) == 0
        frozen = {placement.id: placement.frozen_at is not None for placement in placements.list_own(work)}
    assert frozen == {ground.placement.id: True, waiting.id: True, ended.id: False, elsewhere.id: False}
    with world.database.work(agency.actor) as work:
        assert placements.get(work, foreign.id).frozen_at is None


def test_only_the_placing_lender_freezes(world: World, ground: Placed) -> None:
    stranger = world.lender()
    ids: tuple[UUID, ...] = (ground.placement.id, uuid4())
    for id_ in ids:
        with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
            freezes.freeze(work, id_, "conduct")
        with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
            freezes.unfreeze(work, id_)
    with world.database.work(stranger.actor) as work:
        assert freezes.freeze_all(work, ground.agency.organisation.id, "conduct", stranger.member.id) == 0
    for act in (
        lambda work: freezes.freeze(work, ground.placement.id, "conduct"),
        lambda work: freezes.unfreeze(work, ground.placement.id),
    ):
        with world.database.work(ground.agency.actor) as work, pytest.raises(AssertionError):
            act(work)


def test_the_timeline_tells_when_and_why_and_the_lender_who(world: World, ground: Placed) -> None:
    freeze(world, ground, "licence")
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    unfreeze(world, ground)
    told = {}
    for someone in (ground.lender, ground.agency, world.auditor(ground.lender)):
        with world.database.work(someone.actor) as work:
            told[someone.actor.side] = [
                (item.kind, item.facts.get("reason"), item.member_name)
                for item in cases.timeline(work, ground.case.id)
                if item.kind in ("frozen", "unfrozen")
            ]
    name = ground.lender.member.name
    assert told["lender"] == [("unfrozen", None, name), ("frozen", "licence", name)]
    assert told["agency"] == told["auditor"] == [("unfrozen", None, None), ("frozen", "licence", None)]


def test_a_freeze_after_a_case_was_recalled_is_not_of_its_timeline(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "dispute", [ground.case.id])
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    freeze(world, ground)
    with world.database.work(ground.lender.actor) as work:
        kinds = [{item.kind for item in cases.timeline(work, case.id)} for case in ground.cases]
    assert ["frozen" in found for found in kinds] == [False, True]


def test_freezing_and_lifting_are_logged(world: World, ground: Placed) -> None:
    freeze(world, ground)
    unfreeze(world, ground)
    with world.database.work(jobs(ground.lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    found = {entry["action"]: entry["subject"] for entry in entries}
    about = {"placement": str(ground.placement.id), "agency": str(ground.agency.organisation.id)}
    assert found["placement.freeze"] == about | {"reason": "data_incident"}
    assert found["placement.unfreeze"] == about


def test_another_agency_sees_no_freeze(world: World, ground: Placed) -> None:
    freeze(world, ground)
    seen = {}
    for someone in (ground.agency, world.agency()):
        with world.database.work(someone.actor) as work:
            seen[someone] = len(work.session.scalars(select(PlacementFreeze.id)).all())
    assert list(seen.values()) == [1, 0]


def test_the_agency_writes_no_freeze_from_its_own_side(world: World, ground: Placed) -> None:
    freeze(world, ground)
    with world.database.work(ground.agency.actor) as work:
        row = work.session.scalars(select(PlacementFreeze)).one()
        row.lifted_at = world.clock()
        with pytest.raises(StaleDataError):
            work.session.flush()
        work.session.rollback()
