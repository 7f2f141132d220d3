"""Cases: what is worked first, what each side sees, and what may be done and why not."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select, update

from models.case import CURED, HOLD, OPEN, PAID_OFF, STOPPED, Case
from models.case_actions import Standing, actions
from models.claim import Claim
from models.contact import Contact
from models.errors import Invalid, NotFound
from models.ids import new_id
from models.placement import ACTIVE, AWAITING_ACK, RETURNED, PlacedCase, Placement
from models.promise import Promise
from models.release import ReleaseRecord
from models.services.collection import assignments, worklists
from models.services.exchange import offers, placements, recalls, tenders
from models.services.portfolio import cases
from models.services.portfolio.cases import CaseFilter
from models.work import AGENCY, AUDITOR, LENDER, Work
from tests.world import Debt, Someone, World

AT = dt.datetime(2026, 3, 10, 2, tzinfo=dt.UTC)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def about(work: Work, placement: Placement, case_id: UUID) -> dict[str, object]:
    """The columns that every fact of an agency shares."""
    return {
        "lender_id": placement.lender_id,
        "id": new_id(),
        "agency_id": placement.agency_id,
        "placement_id": placement.id,
        "case_id": case_id,
        "member_id": work.actor.member_id,
        "recorded_at": work.at,
    }


def contacted(work: Work, placement: Placement, case_id: UUID, at: dt.datetime, outcome: str = "busy") -> Contact:
    borrower_id = work.session.scalar(select(Case.borrower_id).where(Case.id == case_id))
    contact = Contact(
        **about(work, placement, case_id),
        borrower_id=borrower_id,
        member_name=work.actor.name,
        channel="call",
        direction="outbound",
        party="debtor",
        outcome=outcome,
        occurred_at=at,
        source="page",
    )
    work.session.add(contact)
    work.session.flush()
    return contact


def promised(work: Work, placement: Placement, case_id: UUID, due_on: dt.date) -> None:
    facts = about(work, placement, case_id)
    work.session.add(Promise(**facts, amount=Decimal(100), currency="CNY", due_on=due_on))
    work.session.flush()


def test_the_worklist_puts_promises_first_then_the_uncontacted_then_high_balances(
    world: World, lender: Someone, agency: Someone
) -> None:
    debts = [Debt(n, f"{n}00.00") for n in range(1, 11)]  # the highest fifth: the last two
    placement = world.placement(lender, agency, debts)
    ids = world.case_ids(placement, lender)
    today = world.clock().date()
    with world.database.work(agency.actor) as work:
        for case_id in (ids[0], ids[9]):
            contacted(work, placement, case_id, world.clock())
        promised(work, placement, ids[1], today)
        promised(work, placement, ids[2], today - dt.timedelta(days=1))
        promised(work, placement, ids[3], today + dt.timedelta(days=1))
    with world.database.work(agency.actor) as work:
        items = worklists.read(work).items
    order = [items[n].reasons for n in (0, 1, 2, 3, 8, 9)]
    assert order == [
        ("promise_overdue",),
        ("promise_due_today",),
        ("never_contacted", "balance_high"),
        ("never_contacted",),
        ("balance_high",),
        (),
    ]
    assert [items[n].case.id for n in (0, 1, 2, 8, 9)] == [ids[2], ids[1], ids[8], ids[9], ids[0]]
    assert (items[9].last_contact_at, items[9].last_outcome) == (world.clock(), "busy")


def test_a_promise_rises_to_the_top_on_its_day(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)
    last = world.case_ids(placement, lender)[-1]
    with world.database.work(agency.actor) as work:
        promised(work, placement, last, world.clock().date() + dt.timedelta(days=2))
    world.clock.forward(days=2)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work:
        first = worklists.read(work).items[0]
    assert (first.case.id, first.reasons) == (last, ("promise_due_today",))


def test_a_broken_promise_followed_up_is_no_longer_overdue(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)
    case_id = world.case_ids(placement, lender)[0]
    with world.database.work(agency.actor) as work:
        promised(work, placement, case_id, world.clock().date())
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work:
        contacted(work, placement, case_id, world.clock(), "conversation")
    with world.database.work(agency.actor) as work:
        assert "promise_overdue" not in {reason for item in worklists.read(work).items for reason in item.reasons}


def test_a_contact_reported_late_does_not_hide_a_newer_one(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency)
    case_id = world.case_ids(placement, lender)[0]
    newer, older = world.clock(), world.clock() - dt.timedelta(hours=3)
    with world.database.work(agency.actor) as work:
        contacted(work, placement, case_id, newer, "conversation")
        contacted(work, placement, case_id, older, "busy")
    with world.database.work(agency.actor) as work:
        item = next(item for item in worklists.read(work).items if item.case.id == case_id)
    assert (item.last_contact_at, item.last_outcome) == (newer, "conversation")


def test_pages_of_the_worklist_hold_every_case_once(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 11)
    ids = world.case_ids(placement, lender)
    with world.database.work(agency.actor) as work:
        for case_id in ids[:2]:
            promised(work, placement, case_id, world.clock().date())
        for case_id in ids[5:8]:
            contacted(work, placement, case_id, world.clock())
    seen, after, pages = [], None, 0
    with world.database.work(agency.actor) as work:
        whole = [item.case.id for item in worklists.read(work).items]
        while pages == 0 or after:
            page = worklists.read(work, after=after, limit=3)
            seen += [item.case.id for item in page.items]
            after, pages = page.after, pages + 1
    assert (seen, sorted(seen), pages) == (whole, ids, 4)


@pytest.mark.parametrize("after", ["", "x", "3.x", "x.01a1ffbf-5c64-79bf-b077-eae6998d444f", "3"])
def test_a_cursor_that_no_page_gave_is_refused(world: World, agency: Someone, after: str) -> None:
    with world.database.work(agency.actor) as work, pytest.raises(Invalid):
        worklists.read(work, after=after)


def test_the_worklist_is_filtered(world: World, lender: Someone, agency: Someone) -> None:
    collector = world.person(agency, "collector")
    debts = [Debt(1, dpd=20, case_number="KNOWN-1"), Debt(2, dpd=45, product="cash_loan"), Debt(3, dpd=75)]
    placement = world.placement(lender, agency, debts)
    first, second, third = world.case_ids(placement, lender)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).where(Case.id == third).values(status=HOLD))
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, collector.member.id, [second])
    expected = {
        worklists.Filter(): [first, second],
        worklists.Filter(status=None): [first, second, third],
        worklists.Filter(status=HOLD): [third],
        worklists.Filter(bucket="M2"): [second],
        worklists.Filter(product="cash_loan"): [second],
        worklists.Filter(text="KNOWN-1"): [first],
        worklists.Filter(text="KNOWN"): [],
        worklists.Filter(unassigned=True): [first],
        worklists.Filter(collector_id=collector.member.id): [second],
    }
    with world.database.work(agency.actor) as work:
        found = {filters: sorted(i.case.id for i in worklists.read(work, filters).items) for filters in expected}
        named = worklists.read(work, worklists.Filter(bucket="M2")).items[0]
    assert found == expected
    assert (named.collector_id, named.collector_name) == (collector.member.id, collector.member.name)


def test_a_collector_cannot_filter_their_way_to_another_collectors_cases(
    world: World, lender: Someone, agency: Someone
) -> None:
    one, two = world.person(agency, "collector"), world.person(agency, "collector")
    placement = world.placement(lender, agency)
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, one.member.id, world.case_ids(placement, lender))
    with world.database.work(two.actor) as work:
        assert worklists.read(work, worklists.Filter(collector_id=one.member.id)).items == []
        assert worklists.read(work, worklists.Filter(unassigned=True)).items == []


def test_cases_enter_the_worklist_with_the_acknowledgement_and_leave_it_with_the_term(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency, acknowledged=False)
    with world.database.work(agency.actor) as work:
        assert worklists.read(work).items == []
        placements.acknowledge(work, placement.id, 3, Decimal(3000))
        assert len(worklists.read(work).items) == 3
    world.clock.forward(days=90)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work:
        assert worklists.read(work).items == []


def test_the_lenders_list_is_filtered_and_names_who_has_each_case(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency, [Debt(1), Debt(2)])
    other = world.portfolio(lender, [Debt(3, dpd=75, case_number="KNOWN-2")])
    with world.database.work(lender.actor) as work:
        placed = cases.list_own(work, CaseFilter(placed=True))
        assert {line.placement_id for line in placed} == {placement.id}
        assert {line.agency_name for line in placed} == {agency.organisation.name}
        alone = [CaseFilter(portfolio_id=other.id), CaseFilter(bucket="M3"), CaseFilter(text="KNOWN-2")]
        for filters in [*alone, CaseFilter(placed=False)]:
            assert [line.case.reference for line in cases.list_own(work, filters)] == ["KNOWN-2"]
        assert cases.list_own(work, CaseFilter(status=PAID_OFF)) == []
        first = cases.list_own(work, limit=2)
        rest = cases.list_own(work, after=first[-1].case.id, limit=2)
        assert len({line.case.id for line in [*first, *rest]}) == 3


def test_an_auditor_sees_the_mandating_lenders_cases_and_may_do_nothing(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency)
    auditor = world.auditor(of=lender)
    with world.database.work(auditor.actor) as work:
        line = cases.list_own(work)[0]
        view = cases.get(work, line.case.id)
        assert view.actions == {}
        assert view.placement is not None
        assert view.placement.id == placement.id
        assert [item.kind for item in cases.timeline(work, line.case.id)] == ["placed"]


def test_a_case_of_another_lender_is_unknown(world: World, lender: Someone, agency: Someone) -> None:
    case_id = world.case_ids(world.placement(lender, agency), lender)[0]
    for stranger in (world.lender(), world.auditor(of=world.lender())):
        with world.database.work(stranger.actor) as work:
            assert cases.list_own(work) == []
            with pytest.raises(NotFound):
                cases.get(work, case_id)


def test_the_lender_sees_whether_a_case_may_be_offered_or_recalled(
    world: World, lender: Someone, agency: Someone
) -> None:
    portfolio, agreement = world.portfolio(lender, 1), world.agreement(lender, agency)
    found = []
    with world.database.work(lender.actor) as work:
        case_id = cases.list_own(work)[0].case.id
        found.append(cases.get(work, case_id).actions)
        offer = tenders.assign(work, portfolio.id, agreement.id)
        found.append(cases.get(work, case_id).actions)
    with world.database.work(agency.actor) as work:
        offers.accept(work, offer.id)
    with world.database.work(lender.actor) as work:
        found.append(cases.get(work, case_id).actions)
    assert [(a["offer"], a["recall"]) for a in found] == [
        (None, "not_placed"),
        ("already_offered", "not_placed"),
        ("already_placed", None),
    ]


STANDING = Standing(
    AGENCY, frozenset({"collector"}), OPEN, ACTIVE, AT + dt.timedelta(days=1), True, False, False, False
)


@pytest.mark.parametrize(
    ("change", "release", "claim"),
    [
        ({}, None, None),
        ({"status": PAID_OFF}, "case_paid_off", None),
        ({"status": CURED}, "case_cured", None),
        ({"status": HOLD}, "case_on_hold", None),
        ({"status": STOPPED}, "case_stopped", None),
        ({"assigned_to_me": False}, "not_assigned", "not_assigned"),
        ({"assigned_to_me": False, "roles": frozenset({"manager"})}, None, None),
        ({"placement_state": AWAITING_ACK}, *2 * ("placement_awaiting_acknowledgement",)),
        ({"placement_state": RETURNED}, *2 * ("placement_not_active",)),
        ({"placement_state": None}, *2 * ("not_placed",)),
        ({"expires_at": AT}, *2 * ("placement_expired",)),
    ],
)
def test_what_may_be_done_follows_from_how_the_case_stands(
    change: dict[str, object], release: str | None, claim: str | None
) -> None:
    may = actions(STANDING._replace(**change), AT)  # type: ignore[arg-type]
    assert (may["release"], may["record_contact"], may["record_promise"]) == 3 * (release,)
    assert may["record_claim"] == claim


def test_only_a_manager_assigns() -> None:
    manager = STANDING._replace(roles=frozenset({"manager"}))
    assert (actions(STANDING, AT)["assign"], actions(manager, AT)["assign"]) == ("for_managers", None)


def test_a_side_is_told_of_its_own_actions_only() -> None:
    named = {side: set(actions(STANDING._replace(side=side), AT)) for side in (LENDER, AGENCY, AUDITOR)}
    assert named[LENDER] == {"release", "offer", "recall"}
    assert named[AGENCY] == {"release", "record_contact", "record_promise", "record_claim", "assign"}
    assert named[AUDITOR] == set()


def test_the_timeline_tells_each_side_its_own_part(world: World, lender: Someone, agency: Someone) -> None:
    other = world.agency()
    first = world.placement(lender, other, 1)
    case_id = world.case_ids(first, lender)[0]
    with world.database.work(other.actor) as work:
        contacted(work, first, case_id, world.clock())
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    with world.database.work(lender.actor) as work:
        recalls.recall(work, first.id, "conduct")
    agreement = world.agreement(lender, agency)
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    with world.database.work(lender.actor) as work:
        offer = tenders.assign(work, first.portfolio_id, agreement.id)
    with world.database.work(agency.actor) as work:
        second = offers.accept(work, offer.id)
        placements.acknowledge(work, second.id, 1, Decimal(1000))
    world.clock.forward(hours=1)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work:
        contacted(work, second, case_id, world.clock(), "conversation")
        promised(work, second, case_id, world.clock().date())
        paid = {"amount": Decimal(50), "currency": "CNY", "paid_on": world.clock().date()}
        work.session.add(
            Claim(**about(work, second, case_id), **paid, reference="R-1", paid_to="lender", source="page")
        )
    with world.database.work(lender.actor) as work:
        work.session.add(released(work, second, case_id, agency))
    with world.database.work(agency.actor) as work:
        theirs = cases.timeline(work, case_id)
    assert sorted(item.kind for item in theirs) == ["claim", "contact", "placed", "promise", "release"]
    assert {item.agency_name for item in theirs} == {agency.organisation.name}
    assert {item.member_name for item in theirs if item.kind != "placed"} == {agency.member.name}
    with world.database.work(lender.actor) as work:
        whole = cases.timeline(work, case_id)
    assert [item.kind for item in whole if item.agency_name == other.organisation.name] == [
        "ended",
        "contact",
        "placed",
    ]
    assert len(whole) == 8
    assert [item.at for item in whole] == sorted((item.at for item in whole), reverse=True)


def released(work: Work, placement: Placement, case_id: UUID, by: Someone) -> ReleaseRecord:
    borrower_id = work.session.scalar(select(Case.borrower_id).where(Case.id == case_id))
    return ReleaseRecord(
        lender_id=placement.lender_id,
        id=new_id(),
        org_id=by.organisation.id,
        agency_id=placement.agency_id,
        placement_id=placement.id,
        case_id=case_id,
        borrower_id=borrower_id,
        member_id=by.member.id,
        member_name=by.member.name,
        field_class="contact",
        reason="contact_borrower",
        cell_version=1,
        cell_digest=b"d",
        entry_leaf=b"l",
        released_at=work.at,
    )


def test_an_agency_that_had_the_case_before_is_told_nothing_more(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency, 1)
    case_id = world.case_ids(placement, lender)[0]
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "conduct")
    with world.database.work(agency.actor) as work:
        for verb in (cases.get, cases.timeline):
            with pytest.raises(NotFound):
                verb(work, case_id)
        assert work.session.scalar(select(PlacedCase.ended_at)) is not None
