"""Who may read what of a breach: the agency its own act, the lender and its auditor the evidence."""

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import NotFound
from models.services.oversight import breaches, conduct
from tests.conftest import Clock
from tests.facts import TODAY, Placed, call, jobs, placed, recall
from tests.world import Debt, World

FOURTH_CALL = "CN-GBT-VOICE-3"


@pytest.fixture
def two(world: World, clock: Clock) -> tuple[Placed, Placed]:
    """Two agencies that called one borrower four times on a day, the second of them last."""
    lender = world.lender()
    first = placed(world, [Debt(1)], lender)
    recall(world, first)
    second = placed(world, [Debt(1)], lender)
    start = clock()
    clock.forward(hours=8)
    for hours, of in enumerate((first, second, first, second)):
        call(world, of, start.replace(hour=start.hour + hours))
    with world.database.work(jobs(lender, "conduct")) as work:
        conduct.sweep(work, TODAY)
    return first, second


def breach_of(world: World, of: Placed) -> breaches.BreachView:
    with world.database.work(of.lender.actor) as work:
        (breach,) = breaches.list_own(work, breaches.BreachFilter(rule_id=FOURTH_CALL))
        return breaches.get(work, breach.id)


def test_the_lender_reads_every_event_the_verdict_rests_on(world: World, two: tuple[Placed, Placed]) -> None:
    view = breach_of(world, two[1])
    assert [contact.agency_id for contact in view.contacts] == [
        of.agency.organisation.id for of in (two[0], two[1], two[0], two[1])
    ]
    assert view.rule is not None
    assert view.rule.summary.en
    assert view.evidence is not None
    assert set(view.evidence.window) == {"start", "end"}


def test_the_agency_reads_its_own_act_and_nothing_of_the_others(world: World, two: tuple[Placed, Placed]) -> None:
    view = breach_of(world, two[1])
    with world.database.work(two[1].agency.actor) as work:
        own = breaches.get(work, view.breach.id)
    assert own.evidence is None
    assert [contact.id for contact in own.contacts] == [view.breach.subject_id]


def test_another_agency_finds_no_breach(world: World, two: tuple[Placed, Placed]) -> None:
    view = breach_of(world, two[1])
    with world.database.work(two[0].agency.actor) as work:
        assert breaches.list_own(work) == []
        with pytest.raises(NotFound):
            breaches.get(work, view.breach.id)


def test_an_auditor_reads_the_evidence_and_the_log_says_so(world: World, two: tuple[Placed, Placed]) -> None:
    view = breach_of(world, two[1])
    auditor = world.auditor(two[1].lender)
    with world.database.work(auditor.actor) as work:
        assert len(breaches.get(work, view.breach.id).contacts) == 4
    with world.database.work(jobs(two[1].lender)) as work:
        entries = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)).all()
    assert b'"action":"breach.view"' in entries[-1]
    assert str(view.breach.id).encode() in entries[-1]


def test_breaches_are_counted_by_agency_and_rule_and_withdrawn_ones_are_not(
    world: World, two: tuple[Placed, Placed]
) -> None:
    with world.database.work(two[1].lender.actor) as work:
        counts = [count for count in breaches.count_by_agency_and_rule(work) if count.rule_id == FOURTH_CALL]
    assert counts == [
        (two[1].agency.organisation.id, two[1].agency.organisation.name, FOURTH_CALL, 1),
    ]
    with world.database.work(two[1].lender.actor) as work:
        for breach in breaches.list_own(work):
            breach.state = "withdrawn"
    with world.database.work(two[1].lender.actor) as work:
        assert breaches.count_by_agency_and_rule(work) == []
