"""How an agency stands: each act with its reason, the freeze of everything in one act, and what lets it go on."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from models.agency_standing import REMOVED, TRANSITIONS, AgencyStanding, StandingChange
from models.audit import OutboxEntry
from models.errors import Conflict, Invalid, NotFound, Unavailable
from models.notice import Notice
from models.services import notices
from models.services.collection import releases
from models.services.exchange import eligibility, placements, turns
from models.services.parties import freezes, standings
from models.work import Work
from tests.facts import Placed, jobs, placed
from tests.world import Debt, World

ACTS: dict[str, Callable[[Work, UUID], AgencyStanding]] = {
    "watch": lambda work, agency_id: standings.watch(work, agency_id, "performance"),
    "suspend": lambda work, agency_id: standings.suspend(work, agency_id, "documents"),
    "freeze": lambda work, agency_id: standings.freeze(work, agency_id, "data_incident"),
    "remove": lambda work, agency_id: standings.remove(work, agency_id, "insolvency"),
    "clear": standings.clear,
}


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2, lender=world.lender("compliance_officer"))


def act(world: World, ground: Placed, name: str) -> AgencyStanding:
    """The act, and after a freeze what the portal does next."""
    standing = act_alone(world, ground, name)
    with world.database.work(ground.lender.actor) as work:
        standings.stop_placements(work, ground.agency.organisation.id)
    return standing


def act_alone(world: World, ground: Placed, name: str) -> AgencyStanding:
    with world.database.work(ground.lender.actor) as work:
        return ACTS[name](work, ground.agency.organisation.id)


def frozen(world: World, ground: Placed) -> bool:
    with world.database.work(ground.agency.actor) as work:
        return placements.get(work, ground.placement.id).frozen_at is not None


def test_a_freeze_stops_every_live_placement_and_a_clear_lets_them_go_on(world: World, ground: Placed) -> None:
    second = world.placement(ground.lender, ground.agency, 1)
    act(world, ground, "freeze")
    assert frozen(world, ground)
    assert frozen(world, ground._replace(placement=second))
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        releases.authorise(work, ground.case.id, "identity", "verify_identity")
    assert refused.value.code == "placement_frozen"
    act(world, ground, "clear")
    assert not frozen(world, ground)
    assert not frozen(world, ground._replace(placement=second))


def test_a_clear_leaves_frozen_what_stood_still_before(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "complaint")
    act(world, ground, "freeze")
    act(world, ground, "clear")
    assert frozen(world, ground)


@pytest.mark.parametrize("then", [[], ["remove"]])
def test_no_placement_goes_on_while_its_agency_stands_still(world: World, ground: Placed, then: list[str]) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "complaint")
    for name in ("freeze", *then):
        act(world, ground, name)
    with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as refused:
        freezes.unfreeze(work, ground.placement.id)
    assert refused.value.code == f"agency_{'removed' if then else 'frozen'}"


def stop_placements(world: World, ground: Placed) -> int:
    with world.database.work(ground.lender.actor) as work:
        return standings.stop_placements(work, ground.agency.organisation.id)


@pytest.mark.parametrize(("then", "still"), [("watch", False), ("suspend", False), ("remove", True)])
def test_whoever_leaves_the_freeze_goes_on_unless_removed(world: World, ground: Placed, then: str, still: bool) -> None:
    act(world, ground, "freeze")
    act(world, ground, then)
    assert frozen(world, ground) == still


def test_another_agency_and_another_lender_are_untouched(world: World, ground: Placed) -> None:
    other_agency = placed(world, [Debt(9)], lender=ground.lender)
    other_lender = world.lender()
    theirs = ground._replace(lender=other_lender, placement=world.placement(other_lender, ground.agency, 1))
    act(world, ground, "freeze")
    assert not frozen(world, other_agency)
    assert not frozen(world, theirs)
    with world.database.work(other_lender.actor) as work:
        assert standings.find(work, ground.agency.organisation.id) is None


@given(st.lists(st.sampled_from(sorted(ACTS)), max_size=12))
def test_the_table_of_transitions_ends_only_with_a_removal(acts: list[str]) -> None:
    state = "good"
    for name in acts:
        state = TRANSITIONS.get((state, name), state)
        assert (state == REMOVED) == (not any((state, each) in TRANSITIONS for each in ACTS))


@pytest.mark.parametrize(
    ("before", "name"),
    [([], "clear"), ([], "remove"), (["watch"], "watch"), (["freeze"], "freeze"), (["suspend", "remove"], "clear")],
)
def test_an_act_that_the_state_does_not_allow_changes_nothing(
    world: World, ground: Placed, before: list[str], name: str
) -> None:
    for each in before:
        act(world, ground, each)
    with pytest.raises(Conflict) as refused:
        act(world, ground, name)
    assert refused.value.code == "wrong_state"
    with world.database.work(ground.lender.actor) as work:
        assert [change.act for change in standings.list_changes(work, ground.agency.organisation.id)] == before[::-1]


def test_a_reason_that_is_none_is_refused(world: World, ground: Placed) -> None:
    agency_id = ground.agency.organisation.id
    for verb, reason in ((standings.suspend, "mood"), (standings.freeze, "performance"), (standings.watch, "licenced")):
        with world.database.work(ground.lender.actor) as work, pytest.raises(Invalid) as refused:
            verb(work, agency_id, reason)
        assert [(error.field, error.code) for error in refused.value.errors] == [("reason", "unknown_value")]


def test_an_agency_without_an_agreement_and_an_unknown_one_look_alike(world: World, ground: Placed) -> None:
    for agency_id in (world.agency().organisation.id, uuid4()):
        for verb in ACTS.values():
            with world.database.work(ground.lender.actor) as work, pytest.raises(NotFound):
                verb(work, agency_id)
        with world.database.work(ground.lender.actor) as work, pytest.raises(NotFound):
            standings.record_complaints(work, agency_id, 1)


def test_each_act_is_in_the_log_and_in_the_history_with_who_and_why(world: World, ground: Placed) -> None:
    for name in ("watch", "freeze", "clear"):
        act(world, ground, name)
    with world.database.work(jobs(ground.lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
        changes = work.session.scalars(select(StandingChange).order_by(StandingChange.id)).all()
    agency = str(ground.agency.organisation.id)
    assert [entry["subject"] for entry in entries if entry["action"] == "agency.freeze"] == [
        {"agency": agency, "old": "watch", "reason": "data_incident", "placements": 1}
    ]
    assert [(change.act, change.state, change.reason) for change in changes] == [
        ("watch", "watch", "performance"),
        ("freeze", "frozen", "data_incident"),
        ("clear", "good", None),
    ]
    assert {change.changed_by for change in changes} == {ground.lender.member.id}


def test_an_agency_is_told_what_stops_it_and_not_that_it_is_watched(world: World, ground: Placed) -> None:
    for name in ("watch", "clear", "freeze", "clear", "suspend", "watch"):
        act(world, ground, name)
    kinds = select(Notice.told, Notice.kind).where(Notice.subject_kind == "agency").order_by(Notice.id)
    with world.database.work(jobs(ground.lender)) as work:
        told = [tuple(row) for row in work.session.execute(kinds)]
    assert [kind for side, kind in told if side == "agency"] == [
        "agency.frozen",
        "agency.cleared",
        "agency.suspended",
        "agency.cleared",
    ]
    assert len([kind for side, kind in told if side == "lender"]) == 6


def test_no_agency_reads_how_it_stands_or_how_it_came_to_it(world: World, ground: Placed) -> None:
    act(world, ground, "watch")
    with world.database.work(ground.agency.actor) as work:
        assert work.session.scalars(select(AgencyStanding.state)).all() == []
        assert work.session.scalars(select(StandingChange.act)).all() == []


def test_upheld_complaints_are_kept_beside_the_standing(world: World, ground: Placed) -> None:
    agency_id = ground.agency.organisation.id
    act(world, ground, "watch")
    with world.database.work(ground.lender.actor) as work:
        standings.record_complaints(work, agency_id, 3)
    with world.database.work(ground.lender.actor) as work:
        found = standings.find(work, agency_id)
        assert found
        assert (found.state, found.reason, found.upheld_complaints) == ("watch", "performance", 3)
    for count in (-1, 100_001):
        with world.database.work(ground.lender.actor) as work, pytest.raises(Invalid):
            standings.record_complaints(work, agency_id, count)


def test_without_a_breach_the_conduct_factor_is_one(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        assert standings.conduct_factor(work, ground.agency.organisation.id) == Decimal("1.0000")


def test_a_freeze_waits_for_nobody_and_what_was_being_placed_stands_still_after(world: World, ground: Placed) -> None:
    agency_id = ground.agency.organisation.id
    with ThreadPoolExecutor(1) as threads:
        with world.database.work(ground.lender.actor) as placing:
            eligibility.take_turns(placing, ground.lender.organisation.id, [agency_id])
            with world.database.work(ground.lender.actor) as work:
                standings.freeze(work, agency_id, "data_incident")
            with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
                releases.authorise(work, ground.case.id, "identity", "verify_identity")
            assert refused.value.code == "placement_frozen"
            after = threads.submit(stop_placements, world, ground)
            assert not after.done()
            assert not frozen(world, ground)
            with world.database.work(ground.lender.actor) as work:
                assert standings.stop_placements(work, agency_id, being_made=False) == 1
            assert frozen(world, ground)
        assert after.result() == 0


def test_who_is_removed_before_the_freeze_has_reached_a_placement_opens_nothing_more(
    world: World, ground: Placed
) -> None:
    for name in ("freeze", "remove"):
        act_alone(world, ground, name)
    assert frozen(world, ground)
    with world.database.work(ground.lender.actor) as work:
        assert {freeze.reason for freeze in freezes.list_standing(work)} == {"data_incident"}
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        releases.authorise(work, ground.case.id, "identity", "verify_identity")
    assert refused.value.code == "placement_frozen"


@pytest.mark.parametrize("being_made", [False, True])
def test_a_stop_that_waits_in_vain_is_told_so(
    world: World, ground: Placed, being_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", func.set_config("lock_timeout", "50ms", True))
    act_alone(world, ground, "freeze")
    with world.database.work(ground.agency.actor) as acting:
        mine = placements.get(acting, ground.placement.id)
        with acting.as_lender(mine):
            placements.lock(acting, mine, shared=True)
        with world.database.work(ground.lender.actor) as work, pytest.raises(Unavailable):
            standings.stop_placements(work, ground.agency.organisation.id, being_made=being_made)


def test_the_job_stops_what_the_freeze_did_not_reach(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        standings.freeze(work, ground.agency.organisation.id, "conduct")
    for caught in (1, 0):
        with world.database.work(jobs(ground.lender)) as work:
            assert standings.catch_up(work) == caught
    assert frozen(world, ground)
    act(world, ground, "clear")
    assert not frozen(world, ground)


def test_an_agency_hears_once_of_its_freeze_and_once_of_its_end(world: World, ground: Placed) -> None:
    world.placement(ground.lender, ground.agency, 1)
    act(world, ground, "freeze")
    act(world, ground, "clear")
    with world.database.work(ground.agency.actor) as work:
        kinds = [notice.kind for notice in notices.list_own(work)]
    assert [kind for kind in kinds if "froz" in kind or "clear" in kind] == ["agency.cleared", "agency.frozen"]
