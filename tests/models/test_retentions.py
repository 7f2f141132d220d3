"""Retention: asked in its window and on a ground, approved under a cap; silence gives the cases back."""

import datetime as dt
import json
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select

from models.audit import OutboxEntry
from models.errors import CaseClosedToWork, Conflict, Invalid, NotFound
from models.placement import ACTIVE, EXPIRED, PlacedCase
from models.retention import APPROVED, LAPSED, REFUSED, Retention
from models.services.collection import activity_files, assignments, contacts, promises, releases, worklists
from models.services.exchange import expiries, placements, recalls, retention_files, retentions
from models.services.exchange.retentions import Decided, RetentionFilter, Waiting
from models.services.oversight import audit, needs
from models.services.parties import freezes, lender_settings
from models.services.portfolio import cases
from models.tabular import FileOutcome
from models.work import JOBS, enter
from tests.facts import Placed, claim, jobs, payment, placed, promise, recall, receive_payments
from tests.world import Debt, World

TERM_DAYS = 90


@pytest.fixture
def ground(world: World) -> Placed:
    """Ten cases, five days before their term ends; the first five are promised to be paid in time."""
    made = placed(world, 10)
    with world.database.work(made.lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 30, "paying_days": 0})
    world.clock.forward(days=TERM_DAYS - 5)  # type: ignore[attr-defined]
    promise(world, made, *made.cases[:5], in_days=10)
    return made


def ids_of(ground: Placed, *places: int) -> list[UUID]:
    return [ground.cases[place].id for place in places]


def ask(world: World, ground: Placed, case_ids: list[UUID], why: str = "promise", days: int = 10) -> int:
    with world.database.work(ground.agency.actor) as work:
        return retentions.request(work, ground.placement.id, case_ids, why, days)


def asked(world: World, ground: Placed, state: str = "requested") -> list[UUID]:
    with world.database.work(ground.lender.actor) as work:
        found = retentions.list_own(work, RetentionFilter(state, ground.placement.id))
    return [line.retention.id for line in found]


def decide(world: World, ground: Placed, approve: bool = True) -> int:
    with world.database.work(ground.lender.actor) as work:
        found = retentions.list_own(work, RetentionFilter("requested", ground.placement.id))
        return retentions.decide(work, [line.retention.id for line in found], approve=approve)


def sweep(world: World, ground: Placed, **later: int) -> int:
    world.clock.forward(**later)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        return expiries.expire_due(work)


def held(world: World, ground: Placed) -> list[UUID]:
    with world.database.work(ground.agency.actor) as work:
        return sorted(line.case.id for line in placements.list_cases(work, ground.placement.id))


def refused(world: World, ground: Placed, *case_ids: UUID, **other: Any) -> Conflict:
    with pytest.raises(Conflict) as caught:
        ask(world, ground, list(case_ids), **other)
    return caught.value


def log_runs(world: World, ground: Placed) -> None:
    """The log has taken every entry, however far the clock was put forward."""
    with world.database.work(ground.lender.actor) as work:
        enter(work.session, JOBS, ground.lender.organisation.id)
        work.session.execute(delete(OutboxEntry))


def test_what_is_approved_stays_to_its_own_day_and_the_rest_goes_with_the_term(world: World, ground: Placed) -> None:
    kept = ids_of(ground, 0, 1)
    assert ask(world, ground, kept) == 2
    assert decide(world, ground) == 2
    assert sweep(world, ground, days=6) == 0
    assert held(world, ground) == kept
    with world.database.work(ground.lender.actor) as work:
        placement = placements.get(work, ground.placement.id)
        assert (placement.state, placement.extended_until) == (ACTIVE, placement.expires_at + dt.timedelta(days=10))
        ended = work.session.scalars(select(PlacedCase.ended_at).where(PlacedCase.ended_at.is_not(None))).all()
        assert ended == [placement.expires_at] * 8
    assert sweep(world, ground, days=9) == 1
    with world.database.work(ground.lender.actor) as work:
        placement = placements.get(work, ground.placement.id)
        assert (placement.state, placement.ended_at) == (EXPIRED, placement.expires_at + dt.timedelta(days=10))


def test_silence_means_recalled(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    assert sweep(world, ground, days=6) == 1
    assert asked(world, ground, LAPSED)
    assert held(world, ground) == []


def test_what_is_refused_goes_with_the_term(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    assert decide(world, ground, approve=False) == 1
    assert asked(world, ground, REFUSED)
    assert sweep(world, ground, days=6) == 1


def test_a_retained_case_is_worked_between_its_term_and_its_own_day(world: World, ground: Placed) -> None:
    """Whether the night has come or not: lists, releases, reports, files and assignments all know its day."""
    (kept, gone), someone = ids_of(ground, 0, 1), ground.agency
    collector = world.person(someone, "collector").member.id
    ask(world, ground, [kept])
    decide(world, ground)
    world.clock.forward(days=6, hours=2)  # type: ignore[attr-defined]
    for sweeps in (False, True):
        if sweeps:
            sweep(world, ground, minutes=1)
        log_runs(world, ground)
        at = world.clock()
        head, row = (
            "case_number,channel,direction,party,outcome,occurred_at",
            f"call,outbound,debtor,busy,{at.isoformat()}",
        )
        with world.database.work(someone.actor) as work:
            assert [item.case.id for item in worklists.read(work).items] == [kept]
            assert cases.get(work, kept).actions["record_contact"] is None
            releases.authorise(work, kept, "identity", "verify_identity")
            contacts.record(work, kept, contacts.ContactReport("call", "outbound", "debtor", "busy", at))
            assert [line.case.id for line in placements.export_cases(work, ground.placement.id)] == [kept]
            assert assignments.assign(work, ground.placement.id, collector, [kept]) == 1
            outcome = activity_files.record_contacts(
                work, [f"{head}\n{ground.cases[0].reference},{row}\n".encode()], "f.csv"
            )
            assert (outcome.accepted, outcome.refused) == (1, 0)
            outcome = activity_files.record_contacts(
                work, [f"{head}\n{ground.cases[1].reference},{row}\n".encode()], "f.csv"
            )
            assert [error.code for error in outcome.errors] == ["placement_expired"]
        for act in (
            lambda work: releases.authorise(work, gone, "identity", "verify_identity"),
            lambda work, at=at: contacts.record(
                work, gone, contacts.ContactReport("call", "outbound", "debtor", "busy", at)
            ),
        ):
            with world.database.work(someone.actor) as work, pytest.raises(CaseClosedToWork) as late:
                act(work)
            assert late.value.code == "placement_expired"
        with world.database.work(someone.actor) as work, pytest.raises(NotFound):
            assignments.assign(work, ground.placement.id, collector, [gone])
    world.clock.forward(days=10)  # type: ignore[attr-defined]
    with world.database.work(someone.actor) as work:
        assert (worklists.read(work).items, needs.list_own(work)) == ([], [])
        with pytest.raises(CaseClosedToWork):
            releases.authorise(work, kept, "identity", "verify_identity")


def test_more_than_the_cap_is_not_approved_and_nothing_of_it_is(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0, 1, 2, 3))
    with pytest.raises(Conflict) as over:
        decide(world, ground)
    assert (over.value.code, over.value.facts) == ("retention_cap", {"asked": 4, "cases_max": 3, "left": 3})
    assert asked(world, ground, APPROVED) == []


def test_what_was_approved_before_counts_against_the_cap(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0, 1))
    decide(world, ground)
    ask(world, ground, ids_of(ground, 2, 3))
    with pytest.raises(Conflict) as over:
        decide(world, ground)
    assert over.value.facts["left"] == 1


def test_before_the_window_and_after_the_term_nothing_is_asked(world: World) -> None:
    ground = placed(world, 2)
    promise(world, ground, *ground.cases, in_days=TERM_DAYS)
    assert refused(world, ground, ground.case.id).code == "retention_window"
    world.clock.forward(days=TERM_DAYS - 14)  # type: ignore[attr-defined]
    assert ask(world, ground, [ground.case.id]) == 1
    world.clock.forward(days=14)  # type: ignore[attr-defined]
    assert refused(world, ground, ground.cases[1].id).code == "retention_window"


def test_nothing_is_approved_after_the_term(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    world.clock.forward(days=5)  # type: ignore[attr-defined]
    with pytest.raises(Conflict) as late:
        decide(world, ground)
    assert late.value.code == "placement_expired"


@pytest.mark.parametrize(
    ("why", "days", "field"),
    [("hope", 10, "ground"), ("negotiation", 10, "ground"), ("promise", 0, "days"), ("promise", 31, "days")],
)
def test_a_ground_or_a_time_that_is_none_is_refused(
    world: World, ground: Placed, why: str, days: int, field: str
) -> None:
    with pytest.raises(Invalid) as wrong:
        ask(world, ground, ids_of(ground, 0), why, days)
    assert [error.field for error in wrong.value.errors] == [field]


def test_a_case_is_asked_for_once(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    assert refused(world, ground, *ids_of(ground, 0, 1)).code == "retention_stands"
    decide(world, ground)
    assert refused(world, ground, *ids_of(ground, 0)).code == "retention_stands"


def test_a_promise_is_a_ground_while_it_is_open(world: World, ground: Placed) -> None:
    why = refused(world, ground, *ids_of(ground, 0, 5, 6), why="promise")
    assert (why.code, why.facts) == ("ground_missing", {"count": 2, "case_ids": sorted(map(str, ids_of(ground, 5, 6)))})
    today = world.clock().date()
    with world.database.work(ground.agency.actor) as work:
        for case_id in ids_of(ground, 5, 6):
            promises.record(work, case_id, promises.PromiseReport(Decimal(10), "CNY", today))
    assert ask(world, ground, ids_of(ground, 5, 6)) == 2
    promise(world, ground, ground.cases[7], in_days=-1)
    assert refused(world, ground, *ids_of(ground, 7)).facts["count"] == 1


def test_a_recent_payment_is_a_ground_once_the_agency_has_claimed_it(world: World, ground: Placed) -> None:
    today = world.clock().date()
    claim(world, ground, "10.00", today - dt.timedelta(days=29))
    claim(world, ground, "10.00", today - dt.timedelta(days=30), ground.cases[1])
    assert refused(world, ground, *ids_of(ground, 0, 1), why="recent_payment").facts["count"] == 1
    assert ask(world, ground, ids_of(ground, 0), "recent_payment") == 1


def test_of_a_frozen_placement_nothing_is_asked(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    assert refused(world, ground, *ids_of(ground, 0)).code == "placement_frozen"


def test_foreign_and_unknown_are_the_same(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    (mine,) = asked(world, ground)
    other, stranger = placed(world), world.lender()
    for case_id in (other.case.id, uuid4()):
        with pytest.raises(NotFound):
            ask(world, ground, [case_id])
    for retention_id in (mine, uuid4()):
        with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
            retentions.decide(work, [retention_id], approve=True)
    for act in (
        lambda work: retentions.request(work, ground.placement.id, ids_of(ground, 1), "promise", 5),
        lambda work: retentions.window(work, ground.placement.id),
    ):
        with world.database.work(other.agency.actor) as work, pytest.raises(NotFound):
            act(work)
    with world.database.work(other.agency.actor) as work:
        assert retentions.list_own(work) == []


def test_what_is_decided_is_decided(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    (mine,) = asked(world, ground)
    decide(world, ground)
    for approve in (True, False):
        with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as again:
            retentions.decide(work, [mine], approve=approve)
        assert again.value.code == "wrong_state"


def test_who_pays_stays_by_rule_outside_the_cap_and_once(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"paying_days": 30, "retention_percent_max": 0})
    pays, paid_long_ago, took_back = ground.cases[:3]
    ends_on = ground.placement.expires_at.date()
    back = payment(took_back, "50.00", ends_on - dt.timedelta(days=7))
    receive_payments(
        world,
        ground.lender,
        payment(pays, "50.00", ends_on - dt.timedelta(days=7)),
        payment(paid_long_ago, "50.00", ends_on - dt.timedelta(days=40)),
        back,
        payment(took_back, "-50.00", ends_on - dt.timedelta(days=6), reversal_of=back["reference"]),
    )
    ask(world, ground, [pays.id])
    assert sweep(world, ground, days=6) == 0
    assert held(world, ground) == [pays.id]
    with world.database.work(ground.lender.actor) as work:
        rows = work.session.scalars(select(Retention).where(Retention.state == APPROVED)).all()
        assert [(row.case_id, row.requested_by, row.ground) for row in rows] == [(pays.id, None, "recent_payment")]
    assert sweep(world, ground, days=30) == 1


def test_without_the_rule_nobody_stays_for_paying(world: World, ground: Placed) -> None:
    receive_payments(world, ground.lender, payment(ground.case, "50.00", world.clock().date()))
    assert sweep(world, ground, days=6) == 1


def test_both_sides_see_what_was_asked_and_how_many_are_left(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    for someone in (ground.lender, ground.agency, world.auditor(ground.lender)):
        with world.database.work(someone.actor) as work:
            (line,) = retentions.list_own(work)
            window = retentions.window(work, ground.placement.id)
        assert (line.reference, line.retention.days) == (ground.case.reference, 10)
        assert (window.cases_max, window.left, window.days_max) == (3, 3, 30)


def ask_by_file(world: World, ground: Placed, *rows: tuple[str, str, int]) -> FileOutcome:
    file = "\n".join(["case_number,ground,days", *(f"{number},{why},{days}" for number, why, days in rows)]).encode()
    with world.database.work(ground.agency.actor) as work:
        return retention_files.request(work, [file], "retentions.csv")


def decide_all(world: World, ground: Placed, seen: Waiting | None = None, approve: bool = True, **by: UUID) -> Decided:
    up_to, digest = (seen.up_to, seen.digest) if seen else (None, None)
    with world.database.work(ground.lender.actor) as work:
        return retentions.decide_all(work, RetentionFilter(**by), up_to, digest, approve=approve)


def entries(world: World, ground: Placed, action: str) -> list[dict[str, Any]]:
    with world.database.work(jobs(ground.lender)) as work:
        found = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        read = [json.loads(entry) for entry in found]
    return [entry["subject"] for entry in read if entry["action"] == action]


def late_entries(world: World, ground: Placed) -> list[dict[str, Any]]:
    return entries(world, ground, "access.refused")


def test_a_file_asks_for_its_good_rows_and_names_the_others(world: World, ground: Placed) -> None:
    numbers = [case.reference for case in ground.cases]
    ask(world, ground, ids_of(ground, 2))
    claim(world, ground, "10.00", world.clock().date(), ground.cases[6])
    outcome = ask_by_file(
        world,
        ground,
        (numbers[0], "promise", 10),
        (numbers[1], "promise", 31),
        (numbers[2], "promise", 10),
        (numbers[5], "promise", 10),
        (numbers[6], "recent_payment", 20),
        (numbers[3], "negotiation", 10),
        (placed(world).case.reference, "promise", 10),
    )
    assert (outcome.accepted, outcome.refused) == (2, 5)
    assert [tuple(error) for error in outcome.errors] == [
        (2, "days", "out_of_range"),
        (3, "case_number", "retention_stands"),
        (4, "ground", "ground_missing"),
        (6, "ground", "unknown_value"),
        (7, "case_number", "unknown_case"),
    ]
    with world.database.work(ground.lender.actor) as work:
        lines = retentions.list_own(work, RetentionFilter("requested"))
    said = {(line.reference, line.retention.ground, line.retention.days) for line in lines}
    assert said == {
        (numbers[0], "promise", 10),
        (numbers[2], "promise", 10),
        (numbers[6], "recent_payment", 20),
    }


def test_a_file_is_one_for_the_placements_of_every_lender(world: World, ground: Placed) -> None:
    lender = world.lender()
    second = world.placement(lender, ground.agency, 1, term_days=10)
    with world.database.work(lender.actor) as work:
        (case,) = (line.case for line in placements.list_cases(work, second.id))
    promise(world, Placed(lender, ground.agency, second, [case]))
    outcome = ask_by_file(world, ground, (ground.case.reference, "promise", 5), (case.reference, "promise", 6))
    assert (outcome.accepted, outcome.errors) == (2, [])


def test_what_a_file_asks_before_the_window_and_of_recalled_cases_is_named_and_the_late_is_logged(
    world: World, ground: Placed
) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", ids_of(ground, 1))
    row, gone = (case.reference for case in ground.cases[:2])
    outcome = ask_by_file(world, ground, (row, "promise", 5), (gone, "promise", 5))
    assert [tuple(error) for error in outcome.errors] == [(2, "case_number", "case_recalled")]
    recall(world, ground)
    world.clock.forward(minutes=1)  # type: ignore[attr-defined]
    outcome = ask_by_file(world, ground, (row, "promise", 5), (gone, "promise", 5))
    assert {error.code for error in outcome.errors} == {"case_recalled"}
    about = {"code": "case_recalled", "asked_for": "retentions.request", "placement": str(ground.placement.id)}
    about |= {"agency": str(ground.agency.organisation.id)}
    assert late_entries(world, ground) == [about | {"count": 1}, about | {"count": 2}]
    early = placed(world)
    outcome = ask_by_file(world, early, (early.case.reference, "promise", 5))
    assert [error.code for error in outcome.errors] == ["retention_window"]
    assert late_entries(world, early) == []


def test_late_files_have_one_entry_for_each_person_placement_and_minute(world: World, ground: Placed) -> None:
    second = world.placement(ground.lender, ground.agency, 1)
    with world.database.work(ground.lender.actor) as work:
        (case,) = (line.case for line in placements.list_cases(work, second.id))
        for placement in (ground.placement, second):
            recalls.recall(work, placement.id, "lender_request")
    rows = [(number, "promise", 5) for number in (ground.case.reference, case.reference)]
    for _ in range(5):
        assert {error.code for error in ask_by_file(world, ground, *rows).errors} == {"case_recalled"}
    assert [(entry["placement"], entry["count"]) for entry in late_entries(world, ground)] == [
        (str(placement_id), 1) for placement_id in sorted((ground.placement.id, second.id))
    ]
    colleague = world.person(ground.agency, "manager")
    ask_by_file(world, Placed(ground.lender, colleague, ground.placement, ground.cases), *rows)
    assert len(late_entries(world, ground)) == 4
    world.clock.forward(minutes=1)  # type: ignore[attr-defined]
    ask_by_file(world, ground, *rows)
    assert len(late_entries(world, ground)) == 6


def test_all_that_waits_is_decided_at_once_placement_by_placement_under_the_cap(world: World, ground: Placed) -> None:
    other = placed(world, [Debt(borrower) for borrower in range(11, 21)], lender=ground.lender)
    world.clock.forward(days=TERM_DAYS - 5)  # type: ignore[attr-defined]
    # The first placement's term is over by now: what was asked of it is left.
    promise(world, other, *other.cases[:4], in_days=10)
    ask(world, other, ids_of(other, 0, 1))
    waiting = asked(world, other)
    assert decide_all(world, other) == (2, 0)
    assert asked(world, other, APPROVED) == waiting
    ask(world, other, ids_of(other, 2, 3))
    assert decide_all(world, other) == (0, 2)
    assert decide_all(world, other, placement_id=ground.placement.id) == (0, 0)
    assert decide_all(world, other, approve=False, agency_id=other.agency.organisation.id) == (2, 0)
    assert len(asked(world, other, REFUSED)) == 2


def test_what_was_asked_after_one_looked_is_not_decided_with_the_rest(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    with world.database.work(ground.lender.actor) as work:
        seen = retentions.waiting(work)
    ask(world, ground, ids_of(ground, 1))
    assert seen.cases == 1
    assert decide_all(world, ground, seen) == (1, 0)
    assert len(asked(world, ground)) == 1


def test_nothing_is_decided_where_more_waits_than_was_seen_though_its_ids_are_older(
    world: World, ground: Placed
) -> None:
    with world.database.work(ground.agency.actor) as early:
        retentions.request(early, ground.placement.id, ids_of(ground, 0), "promise", 10)
    ask(world, ground, ids_of(ground, 1))
    with world.database.work(ground.lender.actor) as work:
        both = retentions.waiting(work)
    assert both.up_to is not None
    # What one saw whose page was made before the first request was committed.
    with pytest.raises(Conflict) as refusal:
        decide_all(world, ground, both._replace(cases=1, digest=sha256(both.up_to.bytes).digest()))
    assert (refusal.value.code, refusal.value.facts["cases"]) == ("list_changed", 2)
    assert len(asked(world, ground)) == 2
    assert decide_all(world, ground, both) == (2, 0)


def test_nothing_is_decided_where_as_many_wait_as_were_seen_but_others(world: World, ground: Placed) -> None:
    for place in (0, 1):
        ask(world, ground, ids_of(ground, place))
    with world.database.work(ground.lender.actor) as work:
        both = retentions.waiting(work)
    assert both.up_to is not None
    # What one saw whose page was made before the first request was committed.
    seen = both._replace(cases=1, digest=sha256(both.up_to.bytes).digest())
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request", ids_of(ground, 1))
    assert len(asked(world, ground)) == 1
    with pytest.raises(Conflict) as refusal:
        decide_all(world, ground, seen)
    assert refusal.value.code == "list_changed"
    assert len(asked(world, ground)) == 1


def test_the_entry_of_a_decision_names_no_more_cases_than_an_entry_holds(
    world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ENTRY_CASES_MAX", 2)
    for places in ((0, 1), (2, 3, 4)):
        ask(world, ground, ids_of(ground, *places))
        decide(world, ground, approve=False)
    few, many = entries(world, ground, "retention.refuse")
    assert few["cases"] == [str(id_) for id_ in sorted(ids_of(ground, 0, 1))]
    assert "cases" not in many
    assert [few["count"], many["count"]] == [2, 3]


def test_of_another_lender_nothing_is_decided(world: World, ground: Placed) -> None:
    ask(world, ground, ids_of(ground, 0))
    with world.database.work(world.lender().actor) as work:
        assert retentions.decide_all(work, RetentionFilter(), None, None, approve=True) == (0, 0)
