"""Legal holds: placed and lifted by name, each for itself, and only on what the lender has."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.case import Case
from models.erasure import BORROWER, CASE, PORTFOLIO, LegalHold
from models.errors import Conflict, Invalid, NotFound
from models.services.portfolio import erasures, holds
from models.work import Work
from tests.facts import jobs
from tests.world import Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def case(world: World, lender: Someone) -> Case:
    portfolio = world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work:
        return work.session.scalars(select(Case).where(Case.portfolio_id == portfolio.id)).one()


def place(world: World, lender: Someone, kind: str, subject_id: UUID) -> LegalHold:
    with world.database.work(lender.actor) as work:
        return holds.place(work, kind, subject_id, "litigation")


def test_a_hold_says_who_placed_and_who_lifted_it(world: World, lender: Someone, case: Case) -> None:
    hold, administrator = place(world, lender, CASE, case.id), world.person(lender, "administrator")
    with world.database.work(administrator.actor) as work:
        holds.lift(work, hold.id)
    with world.database.work(lender.actor) as work:
        ((row, placed_by, lifted_by),) = holds.list_own(work)
    assert (row.reason, row.lifted_at, placed_by, lifted_by) == (
        "litigation",
        world.clock(),
        lender.member.name,
        administrator.member.name,
    )


def test_holds_on_one_subject_are_lifted_each_for_itself(world: World, lender: Someone, case: Case) -> None:
    one, _ = (place(world, lender, PORTFOLIO, case.portfolio_id) for _ in range(2))
    with world.database.work(lender.actor) as work:
        holds.lift(work, one.id)
        assert len(holds.list_own(work, standing=True)) == 1
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        erasures.erase(work, CASE, case.id)
    assert refused.value.code == "legal_hold"


def test_a_hold_is_lifted_once(world: World, lender: Someone, case: Case) -> None:
    hold = place(world, lender, CASE, case.id)
    with world.database.work(lender.actor) as work:
        holds.lift(work, hold.id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        holds.lift(work, hold.id)
    assert refused.value.code == "hold_lifted"


def test_an_erased_case_is_not_held(world: World, lender: Someone, case: Case) -> None:
    with world.database.work(lender.actor) as work:
        erasures.erase(work, CASE, case.id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        holds.place(work, CASE, case.id, "audit")
    assert refused.value.code == "already_erased"


def test_a_hold_needs_a_reason_of_the_list_and_a_kind_of_subject(world: World, lender: Someone, case: Case) -> None:
    for kind, reason, field in ((CASE, "because", "reason"), ("agency", "audit", "subject_kind")):
        with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
            holds.place(work, kind, case.id, reason)
        assert [(error.field, error.code) for error in refused.value.errors] == [(field, "unknown_value")]


def test_what_another_lender_has_is_not_there(world: World, lender: Someone, case: Case) -> None:
    stranger, hold = world.lender("compliance_officer"), place(world, lender, CASE, case.id)
    acts: list[Callable[[Work], object]] = [
        lambda work: holds.place(work, CASE, case.id, "audit"),
        lambda work: holds.place(work, PORTFOLIO, case.portfolio_id, "audit"),
        lambda work: holds.place(work, BORROWER, case.borrower_id, "audit"),
        lambda work: holds.place(work, CASE, uuid4(), "audit"),
        lambda work: holds.get(work, hold.id),
        lambda work: holds.lift(work, hold.id),
        lambda work: holds.lift(work, uuid4()),
    ]
    for act in acts:
        with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
            act(work)
    with world.database.work(stranger.actor) as work:
        assert holds.list_own(work) == []


def test_an_agency_holds_nothing_and_sees_no_hold(world: World, lender: Someone, case: Case) -> None:
    hold, agency = place(world, lender, CASE, case.id), world.agency()
    for act in (lambda work: holds.place(work, CASE, case.id, "audit"), lambda work: holds.lift(work, hold.id)):
        with world.database.work(agency.actor) as work, pytest.raises(AssertionError):
            act(work)
    with world.database.work(agency.actor) as work:
        assert work.session.scalars(select(LegalHold.id)).all() == []


def test_placing_and_lifting_are_logged(world: World, lender: Someone, case: Case) -> None:
    hold = place(world, lender, BORROWER, case.borrower_id)
    with world.database.work(lender.actor) as work:
        holds.lift(work, hold.id)
    with world.database.work(jobs(lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    assert [
        (entry["action"], entry["subject"]["hold"]) for entry in entries if entry["action"].startswith("hold.")
    ] == [("hold.place", str(hold.id)), ("hold.lift", str(hold.id))]


def test_of_a_hold_and_an_erasure_at_once_one_wins_and_the_other_is_told(world: World, lender: Someone) -> None:
    portfolio = world.portfolio(lender, 12)
    with world.database.work(lender.actor) as work:
        case_ids = work.session.scalars(select(Case.id).where(Case.portfolio_id == portfolio.id)).all()

    def attempt(act: Callable[[Work], object]) -> str:
        try:
            with world.database.work(lender.actor) as work:
                act(work)
        except Conflict as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(4) as threads:
        for case_id in case_ids:
            both = (
                lambda work, id_=case_id: holds.place(work, CASE, id_, "audit"),
                lambda work, id_=case_id: erasures.erase(work, CASE, id_),
            )
            assert set(threads.map(attempt, both)) in ({"done", "legal_hold"}, {"done", "already_erased"})
