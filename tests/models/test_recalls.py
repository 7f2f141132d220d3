"""Recalls: asked for, objected to, decided, carried out, their stop confirmed; over placements and by file."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from models import recall_file
from models.audit import OutboxEntry
from models.breach import Breach
from models.case import Case
from models.errors import Conflict, Invalid, NotFound
from models.notice import Notice
from models.placement import ACTIVE, RECALLED, PlacedCase
from models.recall_request import EXECUTED, GONE, KEPT, REQUESTED, WITHDRAWN, RecallRequest
from models.services.collection import activity_files, worklists
from models.services.exchange import (
    ends,
    expiries,
    offers,
    placements,
    recall_files,
    recall_lists,
    recalls,
    returns,
    stops,
    tenders,
)
from models.services.exchange.recall_lists import RecallFilter
from models.services.oversight import breaches, conduct
from models.services.parties import freezes, lender_settings
from models.services.portfolio import exclusions
from models.tabular import FileOutcome
from models.work import Work
from tests.facts import Placed, jobs, placed
from tests.world import Debt, World


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 4)


def ask(world: World, ground: Placed, *of: int, reason: str = "lender_request") -> RecallRequest:
    """For these of its cases; with none, for all."""
    with world.database.work(ground.lender.actor) as work:
        ids = [ground.cases[place].id for place in of] or None
        return recalls.request(work, ground.placement.id, reason, ids)


def recall(world: World, ground: Placed) -> RecallRequest:
    with world.database.work(ground.lender.actor) as work:
        return recalls.recall(work, ground.placement.id, "dispute")


def object_to(world: World, ground: Placed, request: RecallRequest, *of: int) -> None:
    with world.database.work(ground.agency.actor) as work:
        recalls.object_to(work, request.id, [ground.cases[place].id for place in of], "promise")


def held(world: World, ground: Placed) -> list[UUID]:
    with world.database.work(ground.agency.actor) as work:
        return sorted(line.case.id for line in placements.list_cases(work, ground.placement.id))


def state_of(world: World, ground: Placed, request: RecallRequest) -> str:
    with world.database.work(ground.lender.actor) as work:
        return recalls.get(work, request.id).state


def due(world: World, ground: Placed, **later: int) -> int:
    world.clock.forward(**later)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        return recalls.execute_due(work)


def recall_file_of(world: World, ground: Placed, *references: str, reason: str = "complaint") -> FileOutcome:
    file = "\n".join(["case_number,reason", *(f"{reference},{reason}" for reference in references)]).encode()
    with world.database.work(ground.lender.actor) as work:
        return recall_files.request(work, [file], "recalls.csv")


def test_a_recall_that_is_asked_for_takes_nothing_yet_and_the_agency_is_told(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    assert (request.state, request.case_count) == (REQUESTED, 2)
    assert len(held(world, ground)) == 4
    with world.database.work(ground.agency.actor) as work:
        (line,) = recall_lists.list_own(work)
        assert (line.asked, line.recalled, line.request.reason) == (2, 0, "lender_request")
        assert work.session.scalars(select(Notice.kind).order_by(Notice.id.desc())).first() == "recall.requested"


def test_what_nobody_objects_to_is_carried_out_when_the_window_is_over(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    assert due(world, ground, hours=23) == 0
    assert due(world, ground, hours=1) == 1
    assert held(world, ground) == [case.id for case in ground.cases[2:]]
    assert state_of(world, ground, request) == EXECUTED
    assert due(world, ground, hours=1) == 0


def test_with_its_last_case_the_placement_is_recalled(world: World, ground: Placed) -> None:
    ask(world, ground)
    due(world, ground, hours=24)
    with world.database.work(ground.agency.actor) as work:
        assert placements.get(work, ground.placement.id).state == RECALLED


def test_what_is_objected_to_waits_for_the_lender(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    object_to(world, ground, request, 0)
    assert due(world, ground, hours=24) == 0
    with world.database.work(ground.lender.actor) as work:
        recalls.keep(work, request.id, [ground.cases[0].id])
    assert due(world, ground, hours=0) == 1
    assert held(world, ground) == [ground.cases[0].id, *(case.id for case in ground.cases[2:])]


def test_the_lender_overrules_an_objection_by_carrying_the_recall_out(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0)
    object_to(world, ground, request, 0)
    with world.database.work(ground.lender.actor) as work:
        assert recalls.execute(work, request.id) == 1
        assert recall_lists.get_line(work, request.id).recalled == 1
    assert ground.cases[0].id not in held(world, ground)


def test_while_the_agency_may_still_object_nothing_is_carried_out(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    object_to(world, ground, request, 0)
    with world.database.work(ground.lender.actor) as work, pytest.raises(Conflict) as early:
        recalls.execute(work, request.id)
    assert early.value.code == "objection_window_open"


def test_the_lender_need_not_wait_for_objections(world: World, ground: Placed) -> None:
    made = ask(world, ground, 0, 1)
    with world.database.work(ground.lender.actor) as work:
        assert recalls.execute(work, made.id, at_once=True) == 2


def test_after_its_window_nobody_objects(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0)
    world.clock.forward(hours=24)  # type: ignore[attr-defined]
    with pytest.raises(Conflict) as late:
        object_to(world, ground, request, 0)
    assert late.value.code == "objection_window_over"


def test_a_recall_whose_every_case_is_kept_is_over(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0)
    object_to(world, ground, request, 0)
    with world.database.work(ground.lender.actor) as work:
        recalls.keep(work, request.id, [ground.cases[0].id])
    assert state_of(world, ground, request) == WITHDRAWN


def test_a_recall_taken_back_leaves_the_cases(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    object_to(world, ground, request, 1)
    with world.database.work(ground.lender.actor) as work:
        recalls.withdraw(work, request.id)
        assert {line.case.state for line in recall_lists.list_cases(work, request.id)} == {KEPT}
        assert recalls.request(work, ground.placement.id, "debt_sold", [ground.cases[0].id]).state == REQUESTED
    assert len(held(world, ground)) == 4


@pytest.mark.parametrize("reason", sorted(recalls.AT_ONCE))
def test_a_reason_that_cannot_wait_does_not(world: World, ground: Placed, reason: str) -> None:
    request = ask(world, ground, 0, reason=reason)
    assert (request.state, request.executed_at) == (EXECUTED, world.clock())
    assert ground.cases[0].id not in held(world, ground)


def test_a_case_is_asked_for_in_one_recall(world: World, ground: Placed) -> None:
    ask(world, ground, 0)
    with pytest.raises(Conflict) as again:
        ask(world, ground, 0, 1)
    assert again.value.code == "recall_stands"
    assert ask(world, ground).case_count == 3
    with pytest.raises(Conflict):
        ask(world, ground)


def test_a_case_that_leaves_by_another_way_leaves_the_recall_too(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    with world.database.work(ground.agency.actor) as work:
        returns.give_back(work, ground.placement.id, "capacity", [ground.cases[0].id])
    with world.database.work(ground.lender.actor) as work:
        assert recall_lists.get_line(work, request.id).gone == 1
        recalls.recall(work, ground.placement.id, "dispute", [ground.cases[1].id])
        assert {line.case.state for line in recall_lists.list_cases(work, request.id)} == {GONE}
        assert recalls.get(work, request.id).state == WITHDRAWN
    assert due(world, ground, hours=24) == 0


def test_the_stop_of_work_is_confirmed_by_its_number_of_cases(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, 1, reason="complaint")
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as wrong:
        stops.confirm(work, request.id, 1)
    assert (wrong.value.code, wrong.value.facts["case_count_expected"]) == ("stop_work_mismatch", 2)
    with world.database.work(ground.agency.actor) as work:
        confirmed = stops.confirm(work, request.id, 2)
    assert (confirmed.stop_confirmed_by, confirmed.stop_confirmed_at) == (ground.agency.member.id, world.clock())
    with world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as twice:
        stops.confirm(work, request.id, 2)
    assert twice.value.code == "stop_work_confirmed"


def test_an_unconfirmed_stop_is_a_breach_of_its_own_once(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")
    for hours, found in ((23, 0), (1, 1), (0, 0)):
        world.clock.forward(hours=hours)  # type: ignore[attr-defined]
        with world.database.work(jobs(ground.lender)) as work:
            assert stops.flag_missing(work) == found
    for someone in (ground.lender, ground.agency):
        with world.database.work(someone.actor) as work:
            (breach,) = breaches.list_own(work)
            assert (breach.rule_id, breach.pack, breach.member_id) == ("stop_work_not_confirmed", "house", None)
            assert breaches.get(work, breach.id).contacts == []
            assert "recall.stop_missed" in work.session.scalars(select(Notice.kind)).all()
            assert [line.request.stop_missed_at for line in recall_lists.list_own(work)] == [world.clock()]


def test_the_nights_sweep_does_not_take_back_the_breach_of_an_unconfirmed_stop(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "lender_request")
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        stops.flag_missing(work)
        conduct.sweep(work, world.clock().date())
        assert work.session.scalars(select(Breach.state)).all() == ["flagged"]


def test_a_late_confirmation_stands_and_so_does_its_lateness(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0, reason="dispute")
    world.clock.forward(hours=25)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        stops.flag_missing(work)
    with world.database.work(ground.agency.actor) as work:
        confirmed = stops.confirm(work, request.id, 1)
        assert confirmed.stop_missed_at is not None
        assert recall_lists.list_own(work, RecallFilter(unconfirmed=True)) == []


def test_cases_of_several_placements_are_recalled_each_under_its_own(world: World, ground: Placed) -> None:
    other = placed(world, [Debt(20), Debt(21)], ground.lender)
    with world.database.work(ground.lender.actor) as work:
        made = recalls.request_cases(work, "debt_sold", [ground.case.id, other.case.id])
    assert sorted((row.placement_id, row.case_count) for row in made) == sorted(
        [(ground.placement.id, 1), (other.placement.id, 1)]
    )


def test_a_file_recalls_its_good_rows_and_names_the_others(world: World, ground: Placed) -> None:
    other, foreign = placed(world, [Debt(20), Debt(21)], ground.lender), placed(world)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, other.placement.id, "dispute", [other.cases[1].id])
        recalls.request(work, ground.placement.id, "lender_request", [ground.cases[3].id])
    rows = [
        (ground.cases[0].reference, "debt_sold"),
        (ground.cases[1].reference, "complaint"),
        (other.cases[0].reference, "lender_request"),
        (other.cases[1].reference, "lender_request"),
        (foreign.case.reference, "lender_request"),
        ("K-NOBODY", "lender_request"),
        (ground.cases[0].reference, "debt_sold"),
        (ground.cases[2].reference, "because"),
        (ground.cases[3].reference, "lender_request"),
    ]
    file = "\n".join(["case_number,reason", *map(",".join, rows)]).encode()
    with world.database.work(ground.lender.actor) as work:
        outcome = recall_files.request(work, [file], "recalls.csv")
    assert (outcome.accepted, outcome.repeated, outcome.refused) == (3, 1, 5)
    assert [tuple(error) for error in outcome.errors] == [
        (4, "case_number", "not_placed"),
        (5, "case_number", "unknown_case"),
        (6, "case_number", "unknown_case"),
        (7, "case_number", "duplicate_case_number"),
        (8, "reason", "unknown_value"),
    ]
    assert ground.cases[1].id not in held(world, ground)
    with world.database.work(ground.lender.actor) as work:
        again = recall_files.request(work, [file], "recalls.csv")
    assert (again.accepted, again.repeated) == (0, 3)


def test_a_file_without_its_columns_is_refused_as_a_whole(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work, pytest.raises(Invalid) as refused:
        recall_files.request(work, [b"case_number\nK-1\n"], "recalls.csv")
    assert [tuple(error) for error in refused.value.errors] == [(0, "reason", "missing_column")]


ACTS: tuple[Callable[[Work, UUID, UUID], object], ...] = (
    lambda work, request_id, _: recalls.get(work, request_id),
    lambda work, request_id, _: recall_lists.get_line(work, request_id),
    lambda work, request_id, _: recall_lists.list_cases(work, request_id),
)
LENDERS: tuple[Callable[[Work, UUID, UUID], object], ...] = (
    lambda work, request_id, case_id: recalls.keep(work, request_id, [case_id]),
    lambda work, request_id, _: recalls.execute(work, request_id),
    lambda work, request_id, _: recalls.withdraw(work, request_id),
)
AGENCYS: tuple[Callable[[Work, UUID, UUID], object], ...] = (
    lambda work, request_id, case_id: recalls.object_to(work, request_id, [case_id], "promise"),
    lambda work, request_id, _: stops.confirm(work, request_id, 1),
)


def test_a_foreign_recall_is_an_unknown_one(world: World, ground: Placed) -> None:
    request, other = ask(world, ground, 0), placed(world)
    for stranger, acts in ((other.lender, (*ACTS, *LENDERS)), (other.agency, (*ACTS, *AGENCYS))):
        for act in acts:
            for id_ in (request.id, uuid4()):
                with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
                    act(work, id_, ground.case.id)
        with world.database.work(stranger.actor) as work:
            assert recall_lists.list_own(work) == []
    for case_id in (other.case.id, uuid4()):
        with world.database.work(ground.lender.actor) as work, pytest.raises(NotFound):
            recalls.request(work, ground.placement.id, "debt_sold", [case_id])
        with world.database.work(ground.lender.actor) as work, pytest.raises(NotFound):
            recalls.request_cases(work, "debt_sold", [ground.cases[1].id, case_id])


def test_of_a_recall_that_is_over_nothing_is_decided(world: World, ground: Placed) -> None:
    request = ask(world, ground, 0)
    due(world, ground, hours=24)
    for someone, acts in ((ground.lender, LENDERS), (ground.agency, AGENCYS[:1])):
        for act in acts:
            with world.database.work(someone.actor) as work, pytest.raises(Conflict) as refused:
                act(work, request.id, ground.case.id)
            assert refused.value.code == "wrong_state"


def test_with_no_hours_to_object_every_recall_is_at_once(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"objection_hours": 0})
    assert ask(world, ground, 0).state == EXECUTED


def test_a_recall_waits_for_no_payment_and_its_placement_goes_on(world: World, ground: Placed) -> None:
    ask(world, ground, 0, reason="hardship")
    with world.database.work(ground.agency.actor) as work:
        assert placements.get(work, ground.placement.id).state == ACTIVE
        assert ground.cases[0].id not in [item.case.id for item in worklists.read(work).items]


def test_an_agency_knows_by_number_which_cases_to_stop_after_they_have_left_its_lists(
    world: World, ground: Placed
) -> None:
    request = ask(world, ground, 0)
    numbers = []
    for hours in (0, 24):
        due(world, ground, hours=hours)
        with world.database.work(ground.agency.actor) as work:
            numbers.append([line.reference for line in recall_lists.list_cases(work, request.id)])
    assert numbers == [[ground.cases[0].reference]] * 2


def test_what_a_file_reports_on_recalled_cases_stands_in_the_lenders_log(world: World, ground: Placed) -> None:
    ask(world, ground, 0, 1, reason="complaint")
    rows = [
        f"{case.reference},10.00,CNY,2026-03-10,R-{letter},lender"
        for letter, case in zip("AB", ground.cases[:2], strict=True)
    ]
    file = "\n".join(["case_number,amount,currency,paid_on,reference,paid_to", *rows]).encode()
    with world.database.work(ground.agency.actor) as work:
        outcome = activity_files.record_claims(work, [file], "claims.csv")
    assert [error.code for error in outcome.errors] == ["case_recalled"] * 2
    with world.database.work(jobs(ground.lender)) as work:
        late = [
            entry
            for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
            if b"access.refused" in entry
        ]
    assert [b'"code":"case_recalled","count":2' in entry for entry in late] == [True]


def test_a_recall_that_is_refused_has_taken_nothing(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        with pytest.raises(NotFound):
            recalls.request(work, ground.placement.id, "complaint", [ground.case.id, uuid4()])
        assert recall_lists.list_own(work) == []
        assert work.session.scalars(select(RecallRequest)).all() == []
    assert len(held(world, ground)) == 4


def test_a_case_that_goes_while_a_file_is_read_loses_its_own_row_alone(
    world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = recall_files._find_numbered

    def recalled_meanwhile(work: Work, numbers: set[str]) -> object:
        found = find(work, numbers)
        with world.database.work(ground.lender.actor) as other:
            recalls.recall(other, ground.placement.id, "dispute", [ground.cases[0].id])
        return found

    monkeypatch.setattr(recall_files, "_find_numbered", recalled_meanwhile)
    outcome = recall_file_of(world, ground, *(case.reference for case in ground.cases[:3]))
    assert (outcome.accepted, outcome.errors) == (2, [(1, "case_number", "not_placed")])
    assert held(world, ground) == [ground.cases[3].id]
    with world.database.work(ground.lender.actor) as work:
        assert sorted((line.request.case_count, line.recalled) for line in recall_lists.list_own(work)) == [
            (1, 1),
            (2, 2),
        ]


def test_a_file_of_too_many_rows_recalls_nothing(world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_file, "ROWS_MAX", 3)
    references = [case.reference for case in ground.cases]
    with pytest.raises(Invalid) as refused:
        recall_file_of(world, ground, *references)
    assert [tuple(error) for error in refused.value.errors] == [(0, "*", "too_many_rows")]
    assert recall_file_of(world, ground, *references[:3]).accepted == 3


def test_a_case_whose_time_is_over_ended_then_whatever_takes_it_back(world: World, ground: Placed) -> None:
    """And by the recall: the lender wanted it back, so it does not go on to the next tier."""
    kept, term = ground.cases[0].id, ground.placement.expires_at
    until = term + dt.timedelta(days=7)
    with world.database.work(ground.lender.actor) as work:
        kept_case = PlacedCase.case_id == kept
        work.session.execute(update(PlacedCase).where(kept_case).values(retained_until=until))
    world.clock.forward(days=90, hours=5)  # type: ignore[attr-defined]
    recalled = recall(world, ground).case_count
    with world.database.work(ground.lender.actor) as work:
        query = select(PlacedCase).where(PlacedCase.placement_id == ground.placement.id)
        ended = {one.case_id: (one.ended_at, one.end_reason) for one in work.session.scalars(query)}
        placement = placements.get(work, ground.placement.id)
    others = {case.id: (term, "dispute") for case in ground.cases[1:]}
    assert (recalled, ended) == (4, {kept: (world.clock(), "dispute"), **others})
    assert (placement.state, placement.ended_at) == (RECALLED, world.clock())


def test_a_placement_that_is_recalled_after_its_term_ended_with_it(world: World, ground: Placed) -> None:
    world.clock.forward(days=90, hours=5)  # type: ignore[attr-defined]
    recall(world, ground)
    with world.database.work(ground.lender.actor) as work:
        placement = placements.get(work, ground.placement.id)
    assert (placement.state, placement.ended_at) == (RECALLED, ground.placement.expires_at)


def test_a_recall_without_cases_has_no_work_to_stop(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        empty = RecallRequest(
            lender_id=ground.lender.organisation.id,
            id=uuid4(),
            agency_id=ground.agency.organisation.id,
            placement_id=ground.placement.id,
            reason="dispute",
            state=EXECUTED,
            case_count=0,
            requested_at=work.at,
            object_until=work.at,
            executed_at=work.at,
            stop_due_at=work.at,
        )
        work.session.add(empty)
    ask(world, ground, 0, reason="dispute")
    world.clock.forward(hours=24)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        assert stops.flag_missing(work) == 1


def test_a_frozen_agency_objects_to_nothing_and_may_still_confirm_its_stop(world: World, ground: Placed) -> None:
    asked, done = ask(world, ground, 0), ask(world, ground, 1, reason="complaint")
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    with pytest.raises(Conflict) as frozen:
        object_to(world, ground, asked, 0)
    assert frozen.value.code == "placement_frozen"
    with world.database.work(ground.agency.actor) as work:
        assert stops.confirm(work, done.id, 1).stop_confirmed_at is not None


def crossed(world: World) -> tuple[Placed, Placed]:
    """Two placements of one lender: the case of the first has the higher id."""
    lender = world.lender()
    low, high = world.portfolio(lender, 1), world.portfolio(lender, [Debt(2)])
    made = []
    for portfolio in (high, low):
        agency = world.agency()
        agreement = world.agreement(lender, agency)
        with world.database.work(lender.actor) as work:
            offer = tenders.assign(work, portfolio.id, agreement.id)
        with world.database.work(agency.actor) as work:
            placement = offers.accept(work, offer.id)
        with world.database.work(lender.actor) as work:
            case = work.session.scalars(select(Case).where(Case.portfolio_id == portfolio.id)).one()
        made.append(Placed(lender, agency, placement, [case]))
    first, second = made
    assert (first.placement.id < second.placement.id, first.case.id > second.case.id) == (True, True)
    return first, second


@pytest.mark.parametrize("act", ["file", "cases", "due", "expiry"])
def test_what_takes_cases_of_several_placements_waits_for_an_exclusion_of_them_and_meets_no_deadlock(
    world: World, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    ground = crossed(world)
    lender, (high, low) = ground[0].lender, (of.case for of in ground)
    if act == "due":
        with world.database.work(lender.actor) as work:
            recalls.request_cases(work, "lender_request", [high.id, low.id])
    world.clock.forward(days={"due": 1, "expiry": 400}.get(act, 0))  # type: ignore[attr-defined]
    took, excluding = threading.Event(), threading.Event()
    take_back, lock_cases = ends.take_back, exclusions._lock_cases

    def first_alone(*given: Any) -> Any:
        taken = take_back(*given)
        took.set()
        excluding.wait(1)
        time.sleep(0.3)  # the exclusion is at its locks now
        return taken

    def exclude(*given: Any) -> Any:
        excluding.set()
        return lock_cases(*given)

    monkeypatch.setattr(ends, "take_back", first_alone)
    monkeypatch.setattr(exclusions, "_lock_cases", exclude)
    rows = [f"{case.reference},deceased,lender,2026-03-01" for case in (low, high)]
    file = "\n".join(["case_number,reason,source,noted_on", *rows]).encode()

    def exclude_both() -> int:
        took.wait(10)
        with world.database.work(lender.actor) as work:
            return exclusions.record_file(work, [file]).accepted

    def take_both() -> int:
        if act == "file":
            return recall_file_of(world, ground[0], high.reference, low.reference).accepted
        with world.database.work(lender.actor if act == "cases" else jobs(lender)) as work:
            if act == "cases":
                return len(recalls.request_cases(work, "complaint", [high.id, low.id]))
            return recalls.execute_due(work) if act == "due" else expiries.expire_due(work)

    with ThreadPoolExecutor(2) as pool:
        assert [each.result() for each in (pool.submit(exclude_both), pool.submit(take_both))] == [2, 2]
