"""Limits under many hands at once: the last unit is used once, a code proves once, a proof runs out while one waits."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, select

from crypto import totp
from models.errors import Forbidden, Refusal, TooMany
from models.release import ReleaseRecord
from models.search import Search
from models.services.collection import release_limits, releases
from models.services.parties import lender_settings, members
from models.services.portfolio import searches
from models.work import DOOR, Actor
from tests.conftest import Clock
from tests.world import PASSWORD, Someone, World


def at_once(count: int, act: Callable[[int], None]) -> list[Refusal]:
    """Run `act` in so many threads from one moment on; answers the refusals."""
    start = threading.Barrier(count)

    def one(number: int) -> Refusal | None:
        start.wait()
        try:
            act(number)
        except Refusal as refusal:
            return refusal
        return None

    with ThreadPoolExecutor(count) as threads:
        return [refusal for refusal in threads.map(one, range(count)) if refusal]


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def case_ids(world: World, lender: Someone, agency: Someone) -> list[UUID]:
    return world.case_ids(world.placement(lender, agency, 8), lender)


def releases_of(world: World, lender: Someone) -> int:
    with world.database.work(lender.actor) as work:
        return work.session.scalar(select(func.count()).select_from(ReleaseRecord)) or 0


@pytest.mark.parametrize("threads", [2, 8])
def test_of_releases_at_once_one_gets_the_last_of_the_quota(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID], threads: int
) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"releases_per_day": 1})

    def act(number: int) -> None:
        with world.database.work(agency.actor) as work:
            releases.authorise(work, case_ids[number], "identity", "verify_identity")

    refusals = at_once(threads, act)
    assert [refusal.code for refusal in refusals] == ["release_quota_used"] * (threads - 1)
    assert releases_of(world, lender) == 1


def test_of_two_classes_at_once_one_opens_without_a_proof(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID]
) -> None:
    def act(number: int) -> None:
        with world.database.work(agency.actor) as work:
            releases.authorise(work, case_ids[0], ("identity", "contact")[number], "contact_borrower")

    assert [refusal.code for refusal in at_once(2, act)] == ["step_up_required"]
    assert releases_of(world, lender) == 1


def test_one_person_with_many_hands_keeps_the_pace(
    world: World, lender: Someone, agency: Someone, case_ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_limits, "PERSON_CASES_MAX", 3)

    def act(number: int) -> None:
        with world.database.work(agency.actor) as work:
            releases.authorise(work, case_ids[number], "identity", "verify_identity")

    assert [refusal.code for refusal in at_once(8, act)] == ["release_pace"] * 5
    assert releases_of(world, lender) == 3


def test_a_proof_that_runs_out_while_one_waits_proves_nothing(
    world: World, agency: Someone, case_ids: list[UUID], clock: Clock
) -> None:
    proved = replace(agency.actor, proved_at=clock.at)
    with world.database.work(agency.actor) as work:
        releases.authorise(work, case_ids[0], "identity", "verify_identity")
    began = threading.Event()

    def second_class() -> None:
        with world.database.work(proved) as work:
            began.set()
            releases.authorise(work, case_ids[0], "contact", "contact_borrower")

    with ThreadPoolExecutor(1) as threads:
        with world.database.work(agency.actor) as work:  # holds the member's turn
            release_limits.require_person(work, case_ids[1], "identity")
            waiting = threads.submit(second_class)
            assert began.wait(10)
            clock.at += dt.timedelta(minutes=5)
        with pytest.raises(Forbidden) as refused:
            waiting.result(10)
    assert refused.value.code == "step_up_required"


def test_twenty_searches_at_once_use_what_is_left_and_no_more(
    world: World, lender: Someone, case_ids: list[UUID]
) -> None:
    assert case_ids
    with world.database.work(lender.actor) as work:
        for _ in range(searches.SEARCHES_PER_HOUR_MAX - 5):
            searches.find(work, "mobile", "13900000000", "locate_borrower")

    def act(number: int) -> None:
        with world.database.work(lender.actor) as work:
            searches.find(work, "mobile", f"138{number:08d}", "locate_borrower")

    refusals = at_once(20, act)
    assert {type(refusal) for refusal in refusals} == {TooMany}
    assert len(refusals) == 15
    with world.database.work(lender.actor) as work:
        made = work.session.scalar(select(func.count()).select_from(Search))
    assert made == searches.SEARCHES_PER_HOUR_MAX


def test_a_code_sent_twice_at_once_proves_once(world: World, agency: Someone, clock: Clock) -> None:
    with world.database.work(agency.actor) as work:
        seed = members.begin_totp(work, PASSWORD)
    step = int(clock.at.timestamp()) // totp.STEP_SECONDS
    with world.database.work(agency.actor) as work:
        members.confirm_totp(work, totp.code_of(seed, step - 1))
    with world.database.work(Actor(side=DOOR, org_id=agency.organisation.id)) as work:
        sign_in_id = members.sign_in(work, agency.member.email, PASSWORD).row.id

    def act(_: int) -> None:
        with world.database.work(agency.actor) as work:
            members.step_up(work, sign_in_id, code=totp.code_of(seed, step))

    assert [refusal.code for refusal in at_once(6, act)] == ["proof_wrong"] * 5
