"""Releases: who may open what and when, that the log comes first, and that nothing opens before it."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import OperationalError

from crypto.cells import CellName, seal_cell
from models.audit import OutboxEntry
from models.case import STATUSES, Case, CaseSalt, CaseSealing
from models.contact import Contact
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound, Unavailable
from models.placement import Placement
from models.services.collection import assignments, contacts, releases
from models.services.collection.contacts import ContactReport
from models.services.collection.releases import Release
from models.services.exchange import offers, placements, recalls, tenders
from models.services.sealing import key_paths
from models.work import JOBS, Actor, Work
from tests.conftest import Clock
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, [Debt(7), Debt(8)])


@pytest.fixture
def case_id(world: World, lender: Someone, placement: Placement) -> UUID:
    return world.case_ids(placement, lender)[0]


@pytest.fixture
def log_taken(world: World, lender: Someone) -> Callable[[], None]:
    """The log has taken everything so far, so that a test may move the clock."""

    def take() -> None:
        with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
            work.session.execute(delete(OutboxEntry).where(OutboxEntry.org_id == lender.organisation.id))

    return take


def release(
    world: World, someone: Someone, case_id: UUID, field_class: str = "contact", reason: str = "contact_borrower"
):
    """By somebody who has just proved who they are: when that is asked for is told in test_release_limits."""
    with world.database.work(replace(someone.actor, proved_at=world.clock())) as work:
        return releases.authorise(work, case_id, field_class, reason)


def set_case(world: World, lender: Someone, case_id: UUID, **values: object) -> None:
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).where(Case.id == case_id).values(**values))


def entries(world: World, lender: Someone) -> list[dict]:
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        return [json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))]


def test_an_agency_opens_what_the_lender_sealed(world: World, agency: Someone, case_id: UUID) -> None:
    assert release(world, agency, case_id).open(world.database.vault) == {"mobile": "13800000007"}
    assert release(world, agency, case_id, "identity", "verify_identity").open(world.database.vault)["name"] == "张三"


def test_nothing_opens_while_the_transaction_runs(world: World, agency: Someone, case_id: UUID) -> None:
    with world.database.work(agency.actor) as work:
        authorised = releases.authorise(work, case_id, "contact", "contact_borrower")
        with pytest.raises(Unavailable) as refused:
            authorised.open(world.database.vault)
    assert refused.value.code == "release_not_committed"


def test_a_savepoint_released_later_opens_nothing(world: World, agency: Someone, case_id: UUID) -> None:
    with world.database.work(agency.actor) as work:
        authorised = releases.authorise(work, case_id, "contact", "contact_borrower")
        with work.session.begin_nested():
            work.session.execute(text("select 1"))
        with pytest.raises(Unavailable):
            authorised.open(world.database.vault)


def test_no_release_is_authorised_inside_a_savepoint(world: World, agency: Someone, case_id: UUID) -> None:
    with world.database.work(agency.actor) as work, pytest.raises(AssertionError):  # noqa: SIM117
        with work.session.begin_nested():
            releases.authorise(work, case_id, "contact", "contact_borrower")


def test_nothing_opens_after_a_rollback(world: World, lender: Someone, agency: Someone, case_id: UUID) -> None:
    authorised = _then(world, agency, case_id, _refuse, Forbidden)
    with pytest.raises(Unavailable):
        authorised.open(world.database.vault)
    assert "field.release" not in [entry["action"] for entry in entries(world, lender)]


def _refuse(work: Work) -> None:
    raise Forbidden


def test_nothing_opens_when_the_connection_is_lost_before_the_commit(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    authorised = _then(world, agency, case_id, _lose_connection, OperationalError)
    with pytest.raises(Unavailable):
        authorised.open(world.database.vault)
    assert "field.release" not in [entry["action"] for entry in entries(world, lender)]


def _lose_connection(work: Work) -> None:
    work.session.connection().connection.driver_connection.close()


def test_nothing_opens_when_the_answer_to_the_commit_is_lost(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    authorised = _then(world, agency, case_id, _lose_answer, OSError)
    with pytest.raises(Unavailable):
        authorised.open(world.database.vault)
    assert "field.release" in [entry["action"] for entry in entries(world, lender)]


def _lose_answer(work: Work) -> None:
    raw = work.session.connection().connection.driver_connection
    commit = raw.commit

    def commit_and_lose() -> None:
        del raw.commit
        commit()
        raise OSError

    raw.commit = commit_and_lose


def _then(
    world: World, someone: Someone, case_id: UUID, fate: Callable[[Work], None], failure: type[Exception]
) -> Release:
    """A release whose transaction meets its fate after it was authorised, and fails so."""
    authorised = []

    def act() -> None:
        with world.database.work(someone.actor) as work:
            authorised.append(releases.authorise(work, case_id, "contact", "contact_borrower"))
            fate(work)

    with pytest.raises(failure):
        act()
    return authorised[0]


def test_the_entry_stands_in_the_lenders_log_and_names_the_cell(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    authorised = release(world, agency, case_id)
    entry = entries(world, lender)[-1]
    with world.database.work(lender.actor) as work:
        cell = work.session.scalars(select(CaseSealing.contact).where(CaseSealing.case_id == case_id)).one()
    assert entry["action"] == "field.release"
    assert entry["actor"] == agency.actor.label
    assert entry["subject"]["release"] == str(authorised.id)
    assert entry["subject"]["cell_digest"] == sha256(cell).hexdigest() == authorised.record.cell_digest.hex()
    assert (entry["subject"]["cell_version"], entry["subject"]["reason"]) == (1, "contact_borrower")


def test_a_release_shows_nothing_of_what_it_holds(world: World, agency: Someone, case_id: UUID) -> None:
    authorised = release(world, agency, case_id)
    assert repr(authorised) == f"<Release {authorised.id}>"
    assert "object at" in repr(authorised._sealed)
    assert "object at" in repr(authorised._sealed.path)


def test_a_foreign_case_and_an_unknown_one_are_equally_unknown(world: World, lender: Someone, case_id: UUID) -> None:
    other_agency, other_lender = world.agency(), world.lender()
    for someone in (other_agency, other_lender):
        refusals = []
        for id_ in (case_id, uuid4()):
            with pytest.raises(NotFound) as refused:
                release(world, someone, id_)
            refusals.append((refused.value.code, refused.value.facts))
        assert refusals[0] == refusals[1]


def test_a_collector_opens_only_what_is_assigned_to_them(
    world: World, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    collector = world.person(agency, "collector")
    with pytest.raises(Forbidden) as refused:
        release(world, collector, case_id)
    assert refused.value.code == "not_assigned"
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, collector.member.id, [case_id])
    assert release(world, collector, case_id).record.member_id == collector.member.id


def test_a_recalled_case_opens_no_more(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request", [case_id])
    with pytest.raises(CaseClosedToWork) as refused:
        release(world, agency, case_id)
    assert refused.value.code == "case_recalled"


def test_a_case_of_a_placement_not_acknowledged_does_not_open(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 1, acknowledged=False)
    with pytest.raises(CaseClosedToWork) as refused:
        release(world, agency, world.case_ids(placement, lender)[0])
    assert refused.value.code == "placement_awaiting_acknowledgement"


def test_an_expired_placement_opens_nothing_although_nobody_has_swept_it_yet(
    world: World, agency: Someone, placement: Placement, case_id: UUID, clock: Clock, log_taken: Callable[[], None]
) -> None:
    log_taken()
    clock.at = placement.expires_at
    with pytest.raises(CaseClosedToWork) as refused:
        release(world, agency, case_id, "identity", "verify_identity")
    assert refused.value.code == "placement_expired"


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "open"])
def test_a_closed_case_opens_for_the_lender_alone(
    world: World, lender: Someone, agency: Someone, case_id: UUID, status: str
) -> None:
    set_case(world, lender, case_id, status=status)
    with pytest.raises(CaseClosedToWork):
        release(world, agency, case_id)
    assert release(world, lender, case_id, reason="answer_complaint").open(world.database.vault)


@pytest.mark.parametrize(
    ("local", "opens"), [("07:59:59", False), ("08:00:00", True), ("21:59:59", True), ("22:00:00", False)]
)
def test_an_agency_opens_a_phone_between_eight_and_ten_in_shanghai(
    world: World,
    agency: Someone,
    case_id: UUID,
    clock: Clock,
    log_taken: Callable[[], None],
    local: str,
    opens: bool,
) -> None:
    log_taken()
    clock.at = dt.datetime.fromisoformat(f"2026-03-11T{local}+08:00").astimezone(dt.UTC)
    for reason in ("contact_borrower", "answer_complaint"):  # another reason opens no other hour
        if opens:
            assert release(world, agency, case_id, "contact", reason)
        else:
            with pytest.raises(Conflict) as refused:
                release(world, agency, case_id, "contact", reason)
            assert refused.value.code == "outside_contact_hours"
    assert release(world, agency, case_id, "identity", "contact_borrower")


def test_relatives_open_only_when_the_borrower_is_lost(
    world: World, lender: Someone, agency: Someone, clock: Clock, log_taken: Callable[[], None]
) -> None:
    placement = world.placement(lender, agency, [Debt(1)])
    case_id = world.case_ids(placement, lender)[0]
    _seal_related(world, lender, case_id)
    with pytest.raises(Conflict) as refused:
        release(world, agency, case_id, "related", "locate_borrower")
    assert refused.value.code == "borrower_not_lost"
    for hours in (0, 1, 24):
        log_taken()
        clock.forward(hours=hours)
        with world.database.work(agency.actor) as work:
            report = ContactReport("call", "outbound", "debtor", "ring_no_answer", clock.at)
            contacts.record(work, case_id, report)
    opened = release(world, agency, case_id, "related", "locate_borrower").open(world.database.vault)
    assert opened == {"relative_name": "李四"}


def _seal_related(world: World, lender: Someone, case_id: UUID, version: int = 2) -> None:
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case).where(Case.id == case_id)).one()
        path = key_paths.find(work, case, "related")
        name = CellName(case.portfolio_id.bytes, path.reference, "related", version)
        cell = seal_cell(path.derive(work.vault), name, {"relative_name": "李四"})
        work.session.add(
            CaseSealing(lender_id=case.lender_id, case_id=case.id, version=version, epoch=path.epoch, related=cell)
        )


def test_a_class_opens_in_its_highest_version_and_others_in_theirs(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case).where(Case.id == case_id)).one()
        path = key_paths.find(work, case, "contact")
        name = CellName(case.portfolio_id.bytes, path.reference, "contact", 2)
        cell = seal_cell(path.derive(work.vault), name, {"mobile": "13900000000"})
        work.session.add(CaseSealing(lender_id=case.lender_id, case_id=case.id, version=2, epoch=1, contact=cell))
    corrected = release(world, agency, case_id)
    assert corrected.open(world.database.vault) == {"mobile": "13900000000"}
    assert corrected.record.cell_version == 2
    assert release(world, agency, case_id, "identity", "verify_identity").record.cell_version == 1


def contact(day: int, party: str = "debtor", outcome: str = "ring_no_answer", direction: str = "outbound") -> Contact:
    at = dt.datetime(2026, 3, day, 2, tzinfo=dt.UTC)
    return Contact(channel="call", direction=direction, party=party, outcome=outcome, occurred_at=at)


@pytest.mark.parametrize(
    ("attempts", "lost"),
    [
        ([contact(1), contact(1), contact(2)], True),
        ([contact(1), contact(1), contact(1)], False),
        ([contact(1), contact(2)], False),
        ([contact(1), contact(2), contact(3, outcome="answered_dropped")], False),
        ([contact(1), contact(2), contact(3, party="relative")], False),
        ([contact(1), contact(2), contact(3, direction="inbound")], False),
        ([contact(1), contact(1), contact(2), contact(3, outcome="conversation")], False),
        ([contact(1), contact(1), contact(2), contact(3, party="relative", outcome="conversation")], True),
    ],
)
def test_a_borrower_is_lost_after_three_unanswered_attempts_on_two_days(attempts: list[Contact], lost: bool) -> None:
    assert releases.is_lost(attempts) is lost


@given(st.lists(st.integers(1, 28), max_size=8))
def test_a_conversation_with_the_debtor_ends_every_lost_state(days: list[int]) -> None:
    attempts = [contact(day) for day in days]
    assert not releases.is_lost([*attempts, contact(5, outcome="conversation")])


def test_no_log_no_plaintext(world: World, agency: Someone, case_id: UUID, clock: Clock) -> None:
    clock.forward(seconds=31)
    with pytest.raises(Unavailable) as refused:
        release(world, agency, case_id)
    assert refused.value.code == "log_down"


def test_an_erased_case_opens_no_more(world: World, lender: Someone, agency: Someone, case_id: UUID) -> None:
    with world.database.work(lender.actor) as work:
        work.session.execute(delete(CaseSalt).where(CaseSalt.case_id == case_id))
    with pytest.raises(Conflict) as refused:
        release(world, agency, case_id)
    assert refused.value.code == "case_erased"


@pytest.mark.parametrize(("role", "allowed"), [("compliance_officer", True), ("settlement_officer", False)])
def test_of_the_lenders_people_portfolio_and_compliance_open_unplaced_cases(
    world: World, lender: Someone, role: str, allowed: bool
) -> None:
    portfolio = world.portfolio(lender, [Debt(9)])
    someone = world.person(world.person(lender, "administrator"), role)
    with world.database.work(lender.actor) as work:
        case_id = work.session.scalars(select(Case.id).where(Case.portfolio_id == portfolio.id)).one()
    if allowed:
        opened = release(world, someone, case_id, reason="audit_sample")
        assert opened.open(world.database.vault) == {"mobile": "13800000009"}
        assert (opened.record.agency_id, opened.record.placement_id) == (None, None)
    else:
        with pytest.raises(Forbidden):
            release(world, someone, case_id, reason="audit_sample")


def test_an_auditor_opens_nothing(world: World, lender: Someone, case_id: UUID) -> None:
    auditor = world.auditor(lender)
    with pytest.raises(Forbidden):
        release(world, auditor, case_id, reason="audit_sample")


@pytest.mark.parametrize(
    ("field_class", "reason", "field"),
    [
        ("salary", "contact_borrower", "field_class"),
        ("contact", "curiosity", "reason"),
        ("contact", "audit_sample", "reason"),
    ],
)
def test_a_class_or_reason_that_is_none_is_named(
    world: World, agency: Someone, case_id: UUID, field_class: str, reason: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        release(world, agency, case_id, field_class, reason)
    assert refused.value.errors == [(0, field, "unknown_value")]


def test_a_class_the_file_left_empty_releases_nothing(world: World, agency: Someone, case_id: UUID) -> None:
    with pytest.raises(Conflict) as refused:
        release(world, agency, case_id, "account", "verify_payment")
    assert refused.value.code == "nothing_to_release"


def noted(world: World, someone: Someone, case_id: UUID, note: str) -> UUID:
    with world.database.work(someone.actor) as work:
        report = ContactReport("call", "inbound", "debtor", "conversation", work.at, note=note)
        return contacts.record(work, case_id, report).id


def test_an_agency_reads_its_own_notes_and_the_lender_those_of_all(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    first = noted(world, agency, case_id, "本人称下周还款")
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request")
    successor = world.agency()
    taken_over = _placed_again(world, lender, successor, placement, case_id)
    second = noted(world, successor, case_id, "本人称已还款")
    assert taken_over
    mine = release(world, successor, case_id, "notes", "contact_borrower").open(world.database.vault)
    assert mine == {str(second): "本人称已还款"}
    all_ = release(world, lender, case_id, "notes", "answer_complaint")
    assert all_.open(world.database.vault) == {str(first): "本人称下周还款", str(second): "本人称已还款"}
    assert all_.record.cell_version == 2


def _placed_again(world: World, lender: Someone, agency: Someone, before: Placement, case_id: UUID) -> Placement:
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, before.portfolio_id, agreement.id)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
    with world.database.work(agency.actor) as work:
        return placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)


def test_each_side_lists_the_releases_it_may_know(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    made = release(world, agency, case_id)
    by_lender = release(world, lender, case_id)
    auditor = world.auditor(lender)
    expected = {agency: [made.id], lender: [by_lender.id, made.id], auditor: [by_lender.id, made.id]}
    for someone, ids in expected.items():
        with world.database.work(someone.actor) as work:
            assert [record.id for record in releases.list_of_case(work, case_id)] == ids
            assert [record.id for record in releases.list_own(work)] == ids
    with world.database.work(world.agency().actor) as work:
        assert releases.list_own(work) == []
        with pytest.raises(NotFound):
            releases.list_of_case(work, case_id)


def test_the_list_of_releases_comes_in_pages(world: World, agency: Someone, case_id: UUID) -> None:
    made = [release(world, agency, case_id).id for _ in range(3)]
    with world.database.work(agency.actor) as work:
        first = releases.list_own(work, limit=2)
        rest = releases.list_own(work, after=first[-1].id, limit=2)
    assert [record.id for record in first + rest] == made[::-1]
