"""Large allocations: drawn and placed by a worker, told of, stopped and tried again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from jobs import allocation
from models import allocation as pure_allocation
from models.agreement import Agreement
from models.allocation_plan import RULES, Plan, Rule, Where, equal_shares
from models.case import Case
from models.errors import Conflict, Forbidden, Unavailable
from models.notice import Notice
from models.portfolio import Portfolio
from models.services.exchange import (
    allocation_draws,
    allocations,
    placing,
    tenders,
    turns,
    undoing,
)
from models.tender import AWAITING_APPROVAL, COMMITTING, DRAWING, PLACED, PREVIEWED, REFUSED, WITHDRAWN, Tender
from models.work import JOBS, Actor, Work
from tests.panels import (
    carry_out,
    change_settings,
    commit,
    holders,
    hurried,
    panel,
    preview,
    shown,
)
from tests.world import Debt, World


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_allocation_is_drawn_and_placed_by_a_worker(world: World) -> None:
    of = panel(world, 6)
    waiting = preview(world, of)
    assert (waiting.state, waiting.preview, waiting.progress) == (DRAWING, None, 0)
    drawn = carry_out(world, waiting)
    assert (drawn.state, drawn.case_count) == (PREVIEWED, 6)
    assert commit(world, of, drawn).state == COMMITTING
    assert set(holders(world, of).values()) == {None}
    done = carry_out(world, drawn)
    assert (done.state, done.progress, done.refusal) == (PLACED, 95, None)
    assert None not in holders(world, of).values()
    assert {one["cases"] for one in shown(done)["agencies"]} == {3}


@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_that_comes_twice_does_it_once(world: World) -> None:
    of = panel(world, 4)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    carry_out(world, tender)
    assert carry_out(world, tender).state == PLACED
    with world.database.work(of.lender.actor) as work:
        assert len(undoing.list_placements(work, tender)) == 2


@pytest.mark.usefixtures("everything_is_large")
def test_what_a_worker_was_refused_by_is_kept_and_gone_with_the_next_commit(world: World) -> None:
    of = panel(world, 6, open_cases_max=2)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    stopped = carry_out(world, tender)
    assert stopped.state == PREVIEWED
    assert stopped.refusal is not None
    assert stopped.refusal["code"] == "capacity_exceeded"
    assert stopped.refusal["agreement"] in {agreement.number for agreement in of.agreements}
    assert set(holders(world, of).values()) == {None}
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Case).where(Case.portfolio_id == of.portfolio_id).values(balance=1))
    assert commit(world, of, tender).refusal is None
    again = carry_out(world, tender)
    assert (again.state, again.refusal) == (PREVIEWED, {"code": "preview_outdated"})


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_preview_of_nothing_is_refused(world: World) -> None:
    of = panel(world, 2)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0])
    refused = carry_out(world, preview(world, of))
    assert (refused.state, refused.refusal) == ("refused", {"code": "no_cases_to_offer"})


@pytest.mark.usefixtures("everything_is_large")
def test_what_went_wrong_otherwise_is_told_and_may_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("with a secret in it")

    of = panel(world, 2)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    with monkeypatch.context() as patch:
        patch.setattr(placing, "place_many", broken)
        assert carry_out(world, tender).refusal == {"code": "failed"}
    commit(world, of, tender)
    assert carry_out(world, tender).state == PLACED


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_what_waits_for_a_worker_can_be_dropped(world: World, state: str) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    with world.database.work(of.lender.actor) as work:
        allocations.withdraw(work, tender.id)
    assert carry_out(world, tender).state == WITHDRAWN
    assert set(holders(world, of).values()) == {None}


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_allocation_needs_its_second_person_before_the_worker(world: World) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=2)
    tender = carry_out(world, preview(world, of))
    assert commit(world, of, tender).state == AWAITING_APPROVAL
    with pytest.raises(Forbidden, match="second_person_needed"):
        commit(world, of, tender)
    second = world.person(of.lender, "portfolio_manager")
    assert commit(world, of, tender, by=second).state == COMMITTING
    done = carry_out(world, tender)
    assert (done.state, done.approved_by) == (PLACED, second.member.id)


@pytest.mark.usefixtures("everything_is_large")
def test_two_large_ones_of_one_person_are_together_above_the_limit(world: World) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=3)
    other = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(9)]).id)
    both = [carry_out(world, preview(world, one)) for one in (of, other)]
    assert {commit(world, of, one).state for one in both} == {COMMITTING}
    assert [carry_out(world, one).state for one in both] == [PLACED, AWAITING_APPROVAL]


@pytest.mark.usefixtures("everything_is_large")
def test_of_two_large_commits_one_wins(world: World) -> None:
    of = panel(world, 4)
    first, second = (carry_out(world, preview(world, of)) for _ in range(2))
    commit(world, of, first)
    with pytest.raises(Conflict, match="wrong_state"):
        commit(world, of, first)
    commit(world, of, second)
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda one: carry_out(world, one), [first, second]))
    assert sorted(one.state for one in ended) == [PLACED, PREVIEWED]
    assert [one.refusal for one in ended if one.state == PREVIEWED] == [{"code": "no_cases_to_offer"}]


@pytest.mark.usefixtures("everything_is_large")
def test_progress_does_not_wait_for_whoever_holds_the_tender(world: World) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as holder:
        tenders.lock(holder, tender.lender_id, tender.id)
        with hurried(world, of.lender) as work:
            allocations.report(work, tender.id, 25)
    with world.database.work(of.lender.actor) as work:
        allocations.report(work, tender.id, 40)
    with world.database.work(of.lender.actor) as work:
        assert allocations.get(work, tender.id).progress == 40


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workers."""
    monkeypatch.setattr(allocations, "PATIENCE", allocations.PATIENCE | {"lock_timeout": "100ms"})


@pytest.mark.parametrize("held", ["turn", "case", "agreement"])
@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_that_waits_in_vain_gives_the_preview_back_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    of = panel(world, 2, agencies=1)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    hurry(monkeypatch)
    with world.database.work(of.lender.actor) as other:
        if held == "turn":
            turns.take(other, "offers")
        else:
            table, column = (Case, Case.portfolio_id) if held == "case" else (Agreement, Agreement.id)
            wanted = of.portfolio_id if held == "case" else of.ids[0]
            other.session.scalars(select(table).where(column == wanted).with_for_update()).all()
        stopped = carry_out(world, tender)
    assert stopped.state == PREVIEWED
    assert stopped.refusal is not None
    assert stopped.refusal["code"] == "busy"
    assert set(holders(world, of).values()) == {None}
    assert commit(world, of, tender).state == COMMITTING
    assert carry_out(world, tender).state == PLACED
    assert told_of(world, tender) == [
        ("allocation.refused", {"code": "busy", "cases": 2}),
        ("allocation.placed", {"cases": 2}),
    ]


def told_of(world: World, tender: Tender) -> list[tuple[str, dict[str, Any]]]:
    with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
        about = select(Notice).where(Notice.subject_kind == "allocation", Notice.subject_id == tender.id)
        return [(one.kind, one.facts) for one in work.session.scalars(about.order_by(Notice.id))]


@pytest.mark.usefixtures("everything_is_large")
def test_whoever_asked_for_a_large_preview_of_nothing_is_told_so(world: World) -> None:
    of = panel(world, 2, agencies=1)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0])
    refused = carry_out(world, preview(world, of))
    assert told_of(world, refused) == [("allocation.refused", {"code": "no_cases_to_offer"})]


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_a_second_worker_that_gives_up_waiting_leaves_the_first_ones_work(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    hurry(monkeypatch)
    at_work, go_on = threading.Event(), threading.Event()

    def slow(*given: Any) -> bytes:
        at_work.set()
        assert go_on.wait(30)
        return pure_allocation.digest(*given)

    monkeypatch.setattr(allocation_draws, "digest", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(carry_out, world, tender)
        assert at_work.wait(30)
        with pytest.raises(Unavailable, match="busy"):
            carry_out(world, tender)
        with pytest.raises(Unavailable, match="busy"):
            allocation.give_up(world.database, tender.lender_id, tender.id)
        go_on.set()
        done = first.result(30)
    assert (done.state, done.refusal) == (PLACED if state == COMMITTING else PREVIEWED, None)


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_what_no_worker_has_the_task_of_is_stopped_and_may_be_asked_for_again(world: World, state: str) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    for status, stopped in (("doing", 0), ("failed", 1), ("failed", 0)):
        with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
            set_status_of_the_last(work, tender, status)
            assert allocations.list_lost(work) == [tender.id] * stopped
            assert allocations.stop_lost(work, tender.id) == bool(stopped)
    with world.database.work(of.lender.actor) as work:
        ended = allocations.get(work, tender.id)
    assert (ended.state, ended.refusal) == (PREVIEWED if state == COMMITTING else REFUSED, {"code": "failed"})
    if state == COMMITTING:
        commit(world, of, ended)
        assert carry_out(world, ended).state == PLACED


def set_status_of_the_last(work: Work, tender: Tender, status: str) -> None:
    """The status that the queue keeps of a tender's last task; those before it are done."""
    statement = """update procrastinate.procrastinate_jobs of_tender
        set status = cast(case when exists (
            select from procrastinate.procrastinate_jobs later
            where later.id > of_tender.id and later.args = of_tender.args
        ) then 'succeeded' else :status end as procrastinate.procrastinate_job_status)
        where args ->> 'tender_id' = :tender"""
    work.session.execute(text(statement), {"status": status, "tender": str(tender.id)})


@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_leaves_an_allocation_of_another_lender_alone(world: World) -> None:
    of, other = panel(world, 2), panel(world, 2)
    tender = preview(world, of)
    for act in (allocation.run, allocation.give_up):
        for unknown in (tender.id, uuid4()):
            act(world.database, other.lender.organisation.id, unknown)
    assert carry_out(world, tender).state == PREVIEWED


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_wrong_with_a_plan_by_now_is_kept_rule_by_rule(world: World) -> None:
    of = panel(world, [Debt(1, product="loan"), Debt(2)], agencies=1)
    rules = [Rule(equal_shares(of.ids), Where(products=["loan"])), Rule(equal_shares(of.ids))]
    tender = preview(world, of, Plan(RULES, rules, b""))
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Portfolio).where(Portfolio.id == of.portfolio_id).values(products=["boat"]))
    error = {"row": 1, "field": "products", "code": "unknown_value"}
    assert carry_out(world, tender).refusal == {"code": "invalid", "errors": [error]}
