"""How much one person may open: by day, by pace, and of one case without a proof."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from models.audit import OutboxEntry
from models.errors import Conflict, Forbidden, TooMany
from models.ids import new_id
from models.placement import Placement
from models.services.collection import release_limits, releases
from models.services.collection.release_limits import Opened
from models.services.parties import lender_settings
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.world import Someone, World

AT = dt.datetime(2026, 3, 10, 2, tzinfo=dt.UTC)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, 4)


@pytest.fixture
def case_ids(world: World, lender: Someone, placement: Placement) -> list[UUID]:
    return world.case_ids(placement, lender)


@pytest.fixture
def later(world: World, lender: Someone, clock: Clock) -> Callable[..., None]:
    """Time goes by, and the log has taken what was written before."""

    def go(**duration: float) -> None:
        with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
            work.session.execute(delete(OutboxEntry).where(OutboxEntry.org_id == lender.organisation.id))
        clock.forward(**duration)

    return go


def release(world: World, someone: Someone, case_id: UUID, field_class: str = "contact", **actor: object) -> UUID:
    with world.database.work(replace(someone.actor, **actor)) as work:
        return releases.authorise(work, case_id, field_class, "contact_borrower").id


def refused(world: World, someone: Someone, case_id: UUID, field_class: str = "contact", **actor: object):
    with pytest.raises((Forbidden, TooMany)) as refusal:
        release(world, someone, case_id, field_class, **actor)
    return refusal.value


def set_per_day(world: World, lender: Someone, count: int) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"releases_per_day": count})


def test_a_lender_sets_how_much_one_person_opens_in_a_day(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID], later: Callable[..., None]
) -> None:
    set_per_day(world, lender, 2)
    colleague = world.person(agency, "manager")
    for case_id in case_ids[:2]:
        release(world, agency, case_id)
    refusal = refused(world, agency, case_ids[2])
    assert (refusal.code, refusal.facts["per_day_max"]) == ("release_quota_used", 2)
    assert refusal.facts["retry_seconds"] == 14 * 3600  # from ten in the morning to midnight
    assert release(world, colleague, case_ids[2])
    later(hours=14)
    with pytest.raises(Conflict, match="outside_contact_hours"):  # a new day, at midnight
        release(world, agency, case_ids[2])
    assert release(world, agency, case_ids[2], "identity")


def test_one_lenders_number_binds_no_other_lender(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID]
) -> None:
    other = world.lender()
    (elsewhere,) = world.case_ids(world.placement(other, agency, 1), other)
    set_per_day(world, lender, 1)
    release(world, agency, case_ids[0])
    assert refused(world, agency, case_ids[1]).code == "release_quota_used"
    assert release(world, agency, elsewhere)


def test_what_was_opened_for_all_lenders_counts_together(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_limits, "RELEASES_PER_DAY_MAX", 2)
    other = world.lender()
    (elsewhere,) = world.case_ids(world.placement(other, agency, 1), other)
    set_per_day(world, lender, 2)
    set_per_day(world, other, 2)
    release(world, agency, case_ids[0])
    release(world, agency, elsewhere)
    assert refused(world, agency, case_ids[1]).code == "release_quota_used"


def test_a_refused_release_gives_nothing_back(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID]
) -> None:
    set_per_day(world, lender, 1)
    release(world, agency, case_ids[0])
    for _ in range(2):
        assert refused(world, agency, case_ids[0]).code == "release_quota_used"


def test_a_second_class_of_a_case_needs_a_proof(world: World, agency: Someone, case_ids: list[UUID]) -> None:
    release(world, agency, case_ids[0])
    refusal = refused(world, agency, case_ids[0], "identity")
    assert (refusal.code, refusal.facts) == ("step_up_required", {"proofs": ["password"]})
    assert release(world, agency, case_ids[1], "identity")
    assert release(world, agency, case_ids[0], "contact")


def test_a_fresh_proof_opens_it(world: World, agency: Someone, case_ids: list[UUID], clock: Clock) -> None:
    release(world, agency, case_ids[0])
    assert release(world, agency, case_ids[0], "identity", proved_at=clock.at)


@pytest.mark.parametrize(("minutes", "holds"), [(0, True), (4.99, True), (5, False), (20, False)])
def test_a_proof_holds_for_five_minutes(
    world: World, agency: Someone, case_ids: list[UUID], later: Callable[..., None], minutes: float, holds: bool
) -> None:
    release(world, agency, case_ids[0])
    proved_at = AT
    later(minutes=minutes)
    if holds:
        assert release(world, agency, case_ids[0], "identity", proved_at=proved_at)
    else:
        assert refused(world, agency, case_ids[0], "identity", proved_at=proved_at).code == "step_up_required"


def test_after_half_an_hour_another_class_is_the_first_again(
    world: World, agency: Someone, case_ids: list[UUID], later: Callable[..., None]
) -> None:
    release(world, agency, case_ids[0])
    later(minutes=29)
    assert refused(world, agency, case_ids[0], "identity").code == "step_up_required"
    later(minutes=1)
    assert release(world, agency, case_ids[0], "identity")


def test_what_a_colleague_opened_asks_nobody_else_for_a_proof(
    world: World, agency: Someone, case_ids: list[UUID]
) -> None:
    release(world, agency, case_ids[0])
    assert release(world, world.person(agency, "manager"), case_ids[0], "identity")


def test_a_lenders_own_people_prove_themselves_too(world: World, lender: Someone, case_ids: list[UUID]) -> None:
    release(world, lender, case_ids[0])
    assert refused(world, lender, case_ids[0], "identity").code == "step_up_required"


def test_a_program_cannot_prove_who_it_is(world: World, agency: Someone, case_ids: list[UUID]) -> None:
    scopes = frozenset({"release"})
    release(world, agency, case_ids[0], scopes=scopes)
    assert refused(world, agency, case_ids[0], "identity", scopes=scopes).code == "step_up_needs_person"


def test_one_person_opens_so_many_cases_in_ten_minutes(
    world: World,
    agency: Someone,
    case_ids: list[UUID],
    later: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(release_limits, "PERSON_CASES_MAX", 2)
    release(world, agency, case_ids[0])
    later(minutes=4)
    release(world, agency, case_ids[1])
    refusal = refused(world, agency, case_ids[2])
    assert (refusal.code, refusal.facts) == (
        "release_pace",
        {"limit_of": "person", "cases_max": 2, "retry_seconds": 360},
    )
    assert release(world, agency, case_ids[1])  # the same case again is no other case
    later(minutes=6)
    assert release(world, agency, case_ids[2])


def test_the_pace_counts_over_all_lenders(
    world: World, agency: Someone, case_ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_limits, "PERSON_CASES_MAX", 1)
    other = world.lender()
    (elsewhere,) = world.case_ids(world.placement(other, agency, 1), other)
    release(world, agency, case_ids[0])
    assert refused(world, agency, elsewhere).code == "release_pace"


def test_an_agency_reads_through_no_placement_with_many_hands(
    world: World,
    agency: Someone,
    case_ids: list[UUID],
    later: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(release_limits, "PLACEMENT_CASES_MIN", 2)
    people = [world.person(agency, "manager") for _ in range(3)]
    for person, case_id in zip(people, case_ids, strict=False):
        if person is people[2]:
            assert refused(world, person, case_id).facts["limit_of"] == "placement"
        else:
            release(world, person, case_id)
    assert release(world, people[2], case_ids[0])
    later(hours=1)
    assert release(world, people[2], case_ids[2])


@pytest.mark.parametrize(("case_count", "limit"), [(1, 50), (249, 50), (250, 50), (255, 51), (10_000, 2_000)])
def test_a_fifth_of_a_placement_but_fifty_cases_at_least(case_count: int, limit: int) -> None:
    assert release_limits.cases_max(case_count) == limit


CASES = [new_id() for _ in range(3)]
opened = st.lists(
    st.builds(
        Opened,
        lender_id=st.just(new_id()),
        case_id=st.sampled_from(CASES),
        field_class=st.sampled_from(["identity", "contact", "notes"]),
        at=st.integers(-60, 0).map(lambda minutes: AT + dt.timedelta(minutes=minutes)),
    ),
    max_size=12,
)


@given(opened, st.sampled_from(CASES), st.sampled_from(["identity", "contact"]))
def test_a_proof_is_asked_for_exactly_where_another_class_of_the_case_is_fresh(
    opened: list[Opened], case_id: UUID, field_class: str
) -> None:
    classes = {one.field_class for one in opened if one.case_id == case_id and AT - one.at < dt.timedelta(minutes=30)}
    assert release_limits.needs_proof(opened, case_id, field_class, AT) == bool(classes - {field_class})


@given(opened)
def test_a_case_counts_once_and_from_when_it_was_opened_last(opened: list[Opened]) -> None:
    last = release_limits.last_by_case(opened, AT - dt.timedelta(minutes=10))
    for case_id, at in last.items():
        assert at == max(one.at for one in opened if one.case_id == case_id)
    assert len(last) == len({one.case_id for one in opened if one.at > AT - dt.timedelta(minutes=10)})


def test_a_refused_release_leaves_no_entry_of_its_own(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID]
) -> None:
    release(world, agency, case_ids[0])
    refused(world, agency, case_ids[0], "identity")
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        actions = [
            json.loads(entry)["action"]
            for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    assert actions.count("field.release") == 1
