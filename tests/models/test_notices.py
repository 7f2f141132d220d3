"""Notices: each side is told its own, once, and reads it for the whole organisation."""

from uuid import UUID, uuid4

import pytest

from models.database import Database
from models.errors import NotFound
from models.ids import new_id
from models.notice import AGENCY, LENDER, Notice
from models.services import notices
from models.services.notices import COUNTED_MAX
from tests.conftest import Clock
from tests.world import Someone, World


def tell(
    world: World,
    lender: Someone,
    agency: Someone,
    told: str = AGENCY,
    kind: str = "offer.made",
    subject_id: UUID | None = None,
    **facts: object,
) -> bool:
    with world.database.work(lender.actor) as work:
        subject = subject_id or new_id()
        return notices.tell(
            work, lender.organisation.id, agency.organisation.id, told, kind, "offer", subject, None, **facts
        )


def inbox(world: World, someone: Someone, **query: object) -> list[Notice]:
    with world.database.work(someone.actor) as work:
        return notices.list_own(work, **query)  # type: ignore[arg-type]


def test_each_side_reads_what_it_was_told_and_not_what_the_other_was(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency, AGENCY, cases=12)
    tell(world, lender, agency, LENDER, "offer.declined", reason="rate")
    assert [(n.kind, n.facts) for n in inbox(world, agency)] == [("offer.made", {"cases": 12})]
    assert [(n.kind, n.facts) for n in inbox(world, lender)] == [("offer.declined", {"reason": "rate"})]


def test_one_occasion_is_told_once(world: World) -> None:
    lender, agency, offer = world.lender(), world.agency(), new_id()
    assert tell(world, lender, agency, AGENCY, "offer.expired", offer)
    assert not tell(world, lender, agency, AGENCY, "offer.expired", offer)
    assert tell(world, lender, agency, LENDER, "offer.expired", offer)
    assert len(inbox(world, agency)) == 1


def test_another_lender_and_another_agency_hear_nothing(world: World) -> None:
    lender, agency, others = world.lender(), world.agency(), (world.lender(), world.agency())
    tell(world, lender, agency, AGENCY)
    tell(world, lender, agency, LENDER, "offer.declined")
    assert [inbox(world, other) for other in others] == [[], []]


def test_an_organisation_is_told_of_itself_on_either_side(world: World) -> None:
    for someone in (world.lender(), world.agency()):
        with world.database.work(someone.actor) as work:
            assert notices.tell_self(work, "webhook.paused", "webhook", new_id(), "once", reason="gone")
        assert [n.facts for n in inbox(world, someone)] == [{"reason": "gone"}]


def test_what_is_read_is_read_for_everybody_and_keeps_its_first_reader(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    colleague = world.person(agency, "manager")
    tell(world, lender, agency)
    (notice,) = inbox(world, agency)
    with world.database.work(agency.actor) as work:
        first = notices.mark_read(work, notice.id).read_at
    clock.forward(hours=1)
    with world.database.work(colleague.actor) as work:
        again = notices.mark_read(work, notice.id)
    assert (again.read_at, again.read_by) == (first, agency.member.id)
    assert inbox(world, colleague, read=False) == []
    assert [n.id for n in inbox(world, colleague, read=True)] == [notice.id]


def test_the_other_side_cannot_mark_what_was_not_told_to_it(world: World) -> None:
    lender, agency, other = world.lender(), world.agency(), world.agency()
    tell(world, lender, agency)
    (notice,) = inbox(world, agency)
    for someone in (lender, other):
        for id_ in (notice.id, uuid4()):
            with world.database.work(someone.actor) as work, pytest.raises(NotFound):
                notices.mark_read(work, id_)


def test_marking_all_leaves_what_came_after_and_other_kinds(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    tell(world, lender, agency, kind="placement.recalled")
    seen = inbox(world, agency)[0].id
    tell(world, lender, agency)
    with world.database.work(agency.actor) as work:
        assert notices.mark_all_read(work, seen, "offer.made") == 1
        assert notices.mark_all_read(work, seen) == 1
        assert notices.count_unread(work) == 1


def test_the_count_stops_where_nobody_counts_any_more(world: World, database: Database) -> None:
    lender, agency = world.lender(), world.agency()
    with database.work(lender.actor) as work:
        for _ in range(COUNTED_MAX + 1):
            notices.tell(work, lender.organisation.id, agency.organisation.id, AGENCY, "offer.made", "offer", new_id())
    with database.work(agency.actor) as work:
        assert notices.count_unread(work) == COUNTED_MAX


def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    for _ in range(5):
        tell(world, lender, agency)
    whole = inbox(world, agency)
    assert inbox(world, agency, limit=2) == whole[:2] or [n.id for n in inbox(world, agency, limit=2)] == [
        n.id for n in whole[:2]
    ]
    assert [n.id for n in inbox(world, agency, after=whole[1].id)] == [n.id for n in whole[2:]]


def test_the_other_sides_name_is_that_of_the_agreement(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    tell(world, lender, agency)
    with world.database.work(agency.actor) as work:
        found = notices.list_own(work, kind="offer.made")
        assert notices.names_of(work, found) == {lender.organisation.id: lender.organisation.name}
