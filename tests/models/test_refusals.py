"""Refusals in the log: an entry for each actor, code, placement and minute, in the log of whose data was asked for."""

import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import CaseClosedToWork, Forbidden, NotFound, Refusal, TooMany
from models.placement import Placement
from models.services import refusals
from models.services.collection import release_activity
from models.services.exchange import recalls
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.world import Someone, World

PACE = TooMany("release_pace", limit_of="person", cases_max=30, retry_seconds=60)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, 1)


@pytest.fixture
def case_id(world: World, lender: Someone, placement: Placement) -> UUID:
    return world.case_ids(placement, lender)[0]


def keep(world: World, someone: Someone, refusal: Refusal, case_id: UUID | None = None) -> None:
    with world.database.work(someone.actor) as work:
        refusals.record(work, refusal, "cases.release", case_id)


def logged(world: World, of: Someone, action: str = "access.refused") -> list[dict]:
    with world.database.work(Actor(side=JOBS, org_id=of.organisation.id)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    return [entry for entry in entries if entry["action"] == action]


def test_an_agencys_refusal_on_a_placed_case_stands_in_the_lenders_log(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    keep(world, agency, Forbidden("not_assigned"), case_id)
    (entry,) = logged(world, lender)
    assert entry["actor"] == agency.actor.label
    assert entry["subject"] == {
        "code": "not_assigned",
        "asked_for": "cases.release",
        "case": str(case_id),
        "agency": str(agency.organisation.id),
        "placement": str(placement.id),
    }
    assert logged(world, agency) == []


def test_so_it_does_after_the_recall(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request")
    keep(world, agency, NotFound(), case_id)
    assert len(logged(world, lender)) == 1


def test_a_foreign_case_and_an_unknown_one_leave_the_same_entry_at_home(
    world: World, lender: Someone, case_id: UUID
) -> None:
    found = []
    for asked in (case_id, uuid4()):
        stranger = world.agency()
        keep(world, stranger, NotFound(), asked)
        (entry,) = logged(world, stranger)
        found.append(entry["subject"])
    other = world.lender()
    keep(world, other, NotFound(), case_id)
    (entry,) = logged(world, other)
    assert found == [entry["subject"]] * 2 == [{"code": "not_found", "asked_for": "cases.release"}] * 2
    assert logged(world, lender) == []


def test_a_lenders_own_case_is_named(world: World, lender: Someone, case_id: UUID) -> None:
    keep(world, lender, Forbidden(), case_id)
    assert logged(world, lender)[0]["subject"]["case"] == str(case_id)


def test_an_auditors_refusal_stands_in_the_log_of_the_mandate(world: World, lender: Someone, case_id: UUID) -> None:
    auditor = world.auditor(lender)
    keep(world, auditor, Forbidden(), case_id)
    assert logged(world, lender)[0]["actor"] == auditor.actor.label


def test_an_operators_refusal_stands_in_its_own_log(world: World) -> None:
    operator = world.organisation("operator", "operator")
    keep(world, operator, Forbidden())
    assert len(logged(world, operator)) == 1


def test_one_entry_a_minute_for_each_actor_and_code(
    world: World, lender: Someone, agency: Someone, case_id: UUID, clock: Clock
) -> None:
    colleague = world.person(agency, "manager")
    for _ in range(3):
        keep(world, agency, Forbidden(), case_id)
    assert len(logged(world, lender)) == 1
    keep(world, agency, TooMany(), case_id)
    keep(world, colleague, Forbidden(), case_id)
    assert len(logged(world, lender)) == 3
    clock.forward(seconds=59)
    keep(world, agency, Forbidden(), case_id)
    assert len(logged(world, lender)) == 3
    clock.forward(seconds=1)
    keep(world, agency, Forbidden(), case_id)
    assert len(logged(world, lender)) == 4


def test_each_placement_has_an_entry_of_its_own(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    second = world.placement(lender, agency, 1)
    for asked in (case_id, *world.case_ids(second, lender), case_id):
        keep(world, agency, CaseClosedToWork("case_recalled"), asked)
    assert [entry["subject"]["placement"] for entry in logged(world, lender)] == [str(placement.id), str(second.id)]


def test_rows_of_a_file_are_counted_beside_a_single_act_and_for_what_each_file_asked(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    keep(world, agency, CaseClosedToWork("case_recalled"), case_id)
    for asked_for in ("activity.upload", "placements.return") * 2:
        with world.database.work(agency.actor) as work, work.as_lender(placement):
            refusals.record_rows(work, "case_recalled", asked_for, 7, placement.id)
    assert [entry["subject"].get("count") for entry in logged(world, lender)] == [None, 7, 7]


def test_too_quick_a_pace_is_flagged_once_an_hour(
    world: World, lender: Someone, agency: Someone, case_id: UUID, clock: Clock
) -> None:
    for _ in range(3):
        keep(world, agency, PACE, case_id)
        clock.forward(minutes=15)
    (flag,) = logged(world, lender, "release.pace")
    assert (flag["subject"]["limit_of"], flag["subject"]["cases"]) == ("person", 30)
    clock.forward(minutes=15)
    keep(world, agency, PACE, case_id)
    assert len(logged(world, lender, "release.pace")) == 2
    assert len(logged(world, lender)) == 4


def test_the_lender_and_its_auditor_see_the_flags_and_nobody_else(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    keep(world, agency, PACE, case_id)
    for someone in (lender, world.auditor(lender)):
        with world.database.work(someone.actor) as work:
            (flag,) = release_activity.list_pace_flags(work)
        assert (flag.member_id, flag.member_name) == (agency.member.id, None)
    for someone in (agency, world.lender()):
        with world.database.work(someone.actor) as work:
            assert release_activity.list_pace_flags(work) == []
