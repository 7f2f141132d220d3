"""What each person opens today, beside what they usually open."""

import datetime as dt

import pytest

from models.case import Case
from models.ids import new_id
from models.release import ReleaseRecord
from models.services.collection import release_activity
from models.services.collection.release_activity import Activity
from tests.conftest import Clock
from tests.world import Someone, World


def opened(world: World, lender: Someone, by: Someone, case_id: object, on: dict[int, int]) -> None:
    """So many releases of one case by somebody, days ago → how many; at ten in the morning."""
    with world.database.work(lender.actor) as work:
        case = work.session.get_one(Case, (lender.organisation.id, case_id))
        for days, count in on.items():
            at = work.at - dt.timedelta(days=days)
            work.session.add_all(
                ReleaseRecord(
                    lender_id=case.lender_id,
                    id=new_id(),
                    org_id=by.organisation.id,
                    agency_id=by.organisation.id if by.organisation.kind == "agency" else None,
                    case_id=case.id,
                    borrower_id=case.borrower_id,
                    member_id=by.member.id,
                    member_name=by.member.name,
                    field_class="identity",
                    reason="verify_identity",
                    cell_version=1,
                    cell_digest=b"",
                    entry_leaf=new_id().bytes,
                    released_at=at,
                )
                for _ in range(count)
            )


def people(world: World, someone: Someone) -> list[tuple[object, int, int | None, bool]]:
    with world.database.work(someone.actor) as work:
        found = release_activity.list_people(work)
    return [(one.member_id, one.today, one.usual, one.stands_out) for one in found]


def test_each_person_stands_with_today_and_their_usual_day(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    busy, calm = world.person(agency, "collector"), world.person(agency, "collector")
    case_id = world.case_ids(world.placement(lender, agency, 1), lender)[0]
    opened(world, lender, busy, case_id, {0: 31, 1: 10, 2: 10, 3: 2, 30: 10, 31: 500})
    opened(world, lender, calm, case_id, {0: 9, 1: 9})
    opened(world, lender, lender, case_id, {4: 3})
    expected = [
        (busy.member.id, 31, 10, True),
        (calm.member.id, 9, 9, False),
        (lender.member.id, 0, 3, False),
    ]
    assert people(world, lender) == people(world, world.auditor(lender)) == expected
    assert people(world, agency) == expected[:2]
    assert people(world, world.lender()) == []
    assert people(world, world.agency()) == []


def test_a_day_begins_at_midnight_where_the_borrowers_are(world: World, clock: Clock) -> None:
    lender = world.lender()
    case_id = world.case_ids(world.placement(lender, world.agency(), 1), lender)[0]
    clock.at = dt.datetime(2026, 3, 10, 15, 59, tzinfo=dt.UTC)
    opened(world, lender, lender, case_id, {0: 5})
    clock.forward(minutes=2)
    assert people(world, lender) == [(lender.member.id, 0, 5, False)]


@pytest.mark.parametrize(
    ("today", "usual", "stands_out"),
    [
        (21, None, True),
        (20, None, False),
        (21, 7, False),
        (22, 7, True),
        (60, 20, False),
        (61, 20, True),
        (0, 0, False),
    ],
)
def test_more_than_three_usual_days_and_more_than_twenty_stand_out(
    today: int, usual: int | None, stands_out: bool
) -> None:
    assert Activity(new_id(), "x", None, today, usual).stands_out is stands_out
