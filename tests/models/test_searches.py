"""Exact searches: who finds which cases, what it takes, what is logged and what never is."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from crypto.errors import ValueRefused
from crypto.tokens import normalise
from models.audit import OutboxEntry
from models.borrower import Borrower
from models.case import PhoneToken
from models.errors import Conflict, Forbidden, Invalid, TooMany, Unavailable
from models.organisation import Organisation
from models.placement import Placement
from models.portfolio import LenderKey
from models.search import Search
from models.services.collection import assignments
from models.services.exchange import recalls
from models.services.parties import organisations, standings
from models.services.portfolio import searches
from models.work import JOBS, Actor, enter
from tests.conftest import Clock
from tests.world import Debt, Someone, World, _resident_id

MOBILE, ID = "13800000007", _resident_id(7)


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


def find(world: World, someone: Someone, value: str = MOBILE, kind: str = "mobile", reason: str = "locate_borrower"):
    with world.database.work(someone.actor) as work:
        return searches.find(work, kind, value, reason)


def found(world: World, someone: Someone, value: str = MOBILE, kind: str = "mobile") -> list[UUID]:
    return [case.id for case in find(world, someone, value, kind).cases]


def entries(world: World, of: Someone) -> list[str]:
    with world.database.work(Actor(side=JOBS, org_id=of.organisation.id)) as work:
        raw = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)).all()
    return [entry.decode() for entry in raw if json.loads(entry)["action"] == "case.search"]


@pytest.fixture
def log_taken(world: World, lender: Someone) -> Callable[[], None]:
    def take() -> None:
        with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
            work.session.execute(delete(OutboxEntry).where(OutboxEntry.org_id == lender.organisation.id))

    return take


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("mobile", MOBILE),
        ("mobile", "+86 138 0000 0007"),
        ("mobile", "138-0000-0007"),
        ("id_cn", ID),
        ("id_cn", f" {ID.lower()} "),
    ],
)
def test_both_sides_find_a_case_by_its_borrowers_whole_number(
    world: World, lender: Someone, agency: Someone, case_id: UUID, kind: str, value: str
) -> None:
    assert found(world, lender, value, kind) == [case_id]
    assert found(world, agency, value, kind) == [case_id]


def test_a_miss_is_an_answer_and_counts(world: World, agency: Someone, case_id: UUID) -> None:
    assert case_id
    missed = find(world, agency, "13900000000")
    assert (missed.cases, missed.left) == ([], searches.SEARCHES_PER_HOUR_MAX - 1)
    with world.database.work(agency.actor) as work:
        (row,) = work.session.scalars(select(Search).where(Search.member_id == agency.member.id))
        assert searches.count_left(work) == missed.left
    assert (row.found_count, row.kind, row.reason) == (0, "mobile", "locate_borrower")


def test_an_agency_searches_what_it_may_work_now(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    other = world.agency()
    world.placement(lender, other, [Debt(9)])
    world.portfolio(lender, [Debt(10)])
    assert found(world, agency, "13800000009") == []
    assert found(world, agency, "13800000010") == []
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request", [case_id])
    assert found(world, agency) == []
    assert found(world, agency, "13800000008") == [world.case_ids(placement, lender)[1]]
    assert found(world, lender) == [case_id]


@pytest.mark.parametrize("ended", ["recalled", "expired", "frozen", "awaiting"])
def test_a_placement_that_does_not_stand_is_not_searched(
    world: World, lender: Someone, agency: Someone, clock: Clock, log_taken: Callable[[], None], ended: str
) -> None:
    placement = world.placement(lender, agency, [Debt(7)], acknowledged=ended != "awaiting")
    with world.database.work(lender.actor) as work:
        if ended == "recalled":
            recalls.recall(work, placement.id, "lender_request")
        if ended == "frozen":
            work.session.execute(update(Placement).where(Placement.id == placement.id).values(frozen_at=work.at))
    if ended == "expired":
        log_taken()
        clock.forward(days=91)
    assert found(world, agency) == []


def test_a_collector_finds_their_own_cases(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    collector = world.person(agency, "collector")
    assert found(world, collector) == []
    with world.database.work(agency.actor) as work:
        assignments.assign(work, placement.id, collector.member.id, [case_id])
    assert found(world, collector) == [case_id]
    assert found(world, collector, "13800000008") == []


def test_each_lender_is_searched_under_its_own_key_and_logs_it(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    other, idle = world.lender(), world.lender()
    (elsewhere,) = world.case_ids(world.placement(other, agency, [Debt(7)]), other)
    world.portfolio(idle, [Debt(7)])
    assert set(found(world, agency)) == {case_id, elsewhere}
    for one in (lender, other):
        (entry,) = entries(world, one)
        subject = json.loads(entry)["subject"]
        assert (subject["found"], subject["agency"]) == (1, str(agency.organisation.id))
    assert entries(world, idle) == []


def test_the_number_is_nowhere_in_what_is_written(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    assert case_id
    search = find(world, agency).search
    token = found_token(world, lender)
    for entry in entries(world, lender):
        assert MOBILE not in entry
        assert token.hex() not in entry
    assert MOBILE not in "".join(str(getattr(search, column.name)) for column in Search.__table__.columns)


def found_token(world: World, lender: Someone) -> bytes:
    with world.database.work(lender.actor) as work:
        return work.session.scalars(select(PhoneToken.token).order_by(PhoneToken.token)).first()


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("mobile", "1380000", "invalid_mobile"),
        ("mobile", "138****0007", "invalid_mobile"),
        ("mobile", "13800000007,13800000008", "invalid_mobile"),
        ("mobile", "13800000007 13800000008", "invalid_mobile"),
        ("mobile", "%", "invalid_mobile"),
        ("mobile", "", "invalid_mobile"),
        ("mobile", ID, "invalid_mobile"),
        ("id_cn", ID[:17] + ("0" if ID[17] != "0" else "1"), "invalid_resident_id"),
        ("id_cn", ID[:14], "invalid_resident_id"),
        ("id_cn", "110101701301001", "invalid_resident_id"),  # fifteen digits, and no such day
        ("id_cn", f"{ID}{ID}", "invalid_resident_id"),
    ],
)
def test_what_is_no_whole_number_is_refused_and_does_not_count(
    world: World, agency: Someone, case_id: UUID, kind: str, value: str, code: str
) -> None:
    assert case_id
    with pytest.raises(Invalid) as refused:
        find(world, agency, value, kind)
    assert refused.value.errors == [(0, "value", code)]
    assert not value or value not in str(refused.value)
    with world.database.work(agency.actor) as work:
        assert searches.count_left(work) == searches.SEARCHES_PER_HOUR_MAX


@given(st.text(max_size=30))
def test_no_text_but_a_whole_number_has_a_normal_form(text: str) -> None:
    try:
        normal = normalise("mobile", text)
    except ValueRefused:
        return
    assert len(normal) == 11
    assert normal.isdigit()


@pytest.mark.parametrize(("kind", "reason", "field"), [("card", "locate_borrower", "kind"), ("mobile", "x", "reason")])
def test_an_unknown_kind_or_reason_is_named(world: World, agency: Someone, kind: str, reason: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        find(world, agency, MOBILE, kind, reason)
    assert refused.value.errors == [(0, field, "unknown_value")]


@pytest.mark.parametrize(("role", "allowed"), [("compliance_officer", True), ("settlement_officer", False)])
def test_of_a_lenders_people_those_search_who_may_open(world: World, role: str, allowed: bool) -> None:
    someone = world.lender(role)
    if allowed:
        assert find(world, someone).cases == []
    else:
        with pytest.raises(Forbidden):
            find(world, someone)


def test_an_auditor_searches_nothing(world: World, lender: Someone) -> None:
    with pytest.raises(Forbidden):
        find(world, world.auditor(lender))


def test_the_hours_quota_is_of_one_person_and_comes_back(
    world: World,
    lender: Someone,
    clock: Clock,
    log_taken: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searches, "SEARCHES_PER_HOUR_MAX", 2)
    find(world, lender)
    log_taken()
    clock.forward(minutes=20)
    find(world, lender)
    with pytest.raises(TooMany) as refused:
        find(world, lender)
    assert refused.value.facts == {"per_hour_max": 2, "retry_seconds": 2400}
    assert find(world, world.person(world.person(lender, "administrator"), "compliance_officer"))
    log_taken()
    clock.forward(minutes=40)
    assert find(world, lender).left == 0


def test_no_log_no_search(world: World, lender: Someone, clock: Clock) -> None:
    find(world, lender)
    clock.forward(seconds=31)
    with pytest.raises(Unavailable):
        find(world, lender)


def hold_own_keys(world: World, lender: Someone) -> None:
    with world.database.work(world.operator) as work:
        changed = update(Organisation).where(Organisation.id == lender.organisation.id)
        work.session.execute(changed.values(custody="self"))


def test_a_lender_that_holds_its_own_keys_searches_with_its_own_tool(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    hold_own_keys(world, lender)
    for someone in (lender, agency):
        with pytest.raises(Conflict) as refused:
            find(world, someone)
        assert refused.value.code == "search_needs_own_key"
    other = world.lender()
    (elsewhere,) = world.case_ids(world.placement(other, agency, [Debt(7)]), other)
    searched = find(world, agency)
    assert [case.id for case in searched.cases] == [elsewhere]
    assert searched.closed == [lender.organisation.name]
    assert case_id


@pytest.mark.parametrize("stage", ["before", "while the next is built", "after"])
def test_a_search_finds_the_same_while_the_index_key_is_replaced(
    world: World, lender: Someone, agency: Someone, case_id: UUID, stage: str
) -> None:
    if stage != "before":
        replace_index_key(world, lender, finish=stage == "after")
    assert found(world, agency) == found(world, lender) == [case_id]
    assert found(world, agency, ID, "id_cn") == [case_id]


def replace_index_key(world: World, lender: Someone, *, finish: bool) -> None:
    """As a rotation does it: the tokens under the next key beside the present ones, then in their place."""
    with world.database.work(lender.actor) as work:
        lender_id = lender.organisation.id
        context = organisations.WrapContext.of_lender("index-key", lender_id.bytes, 2, 2)
        made = work.vault.make_key(str(lender_id), context)
        row = {"lender_id": lender_id, "purpose": "index", "serial": 2, "epoch": 2, "created_at": work.at}
        active_at = work.at if finish else None
        work.session.add(LenderKey(**row, wrapped=made.wrapped, signature=made.signature, active_at=active_at))
        if finish:
            enter(work.session, "lender", lender_id)
            for number in (7, 8):
                old = work.session.scalars(select(LenderKey).where(LenderKey.serial == 1)).one()
                key = work.vault.open_key(
                    str(lender_id),
                    old.wrapped,
                    old.signature,
                    organisations.WrapContext.of_lender("index-key", lender_id.bytes, 1, 1),
                )
                for table, column, kind, value in (
                    (PhoneToken, PhoneToken.token, "mobile", f"138{number:08d}"),
                    (Borrower, Borrower.id_token, "id_cn", _resident_id(number)),
                ):
                    changed = update(table).where(column == searches.token(key, kind, value))
                    work.session.execute(changed.values({column: searches.token(made.key, kind, value)}))


def test_a_search_row_is_the_searchers_own(world: World, lender: Someone, agency: Someone, case_id: UUID) -> None:
    assert case_id
    find(world, agency)
    with world.database.work(lender.actor) as work:
        assert work.session.scalar(select(func.count()).select_from(Search)) == 0


def test_a_search_finds_nothing_once_the_agency_is_frozen_also_before_its_placements_are(
    world: World, lender: Someone, agency: Someone, placement: Placement
) -> None:
    assert found(world, agency)
    with world.database.work(lender.actor) as work:
        standings.freeze(work, agency.organisation.id, "data_incident")
    assert found(world, agency) == []
