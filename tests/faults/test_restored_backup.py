"""Yesterday's backup, restored: what an erasure promises of it, and what `erase-again` makes of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.engine import URL

from crypto.vault import Vault
from jobs import erasure as erasure_job
from models.case import Case
from models.database import Database
from models.erasure import CASE, PORTFOLIO
from models.errors import Conflict, NotFound, Refusal
from models.objects import ObjectStore, open_store
from models.services.collection import releases
from models.services.exchange import offers, placements, tenders
from models.services.portfolio import cases, erasure_records, erasures
from models.services.portfolio.erasure_records import StoredName
from tests.conftest import Clock, login_url, plain
from tests.facts import jobs
from tests.world import Someone, World


class Story(NamedTuple):
    """A lender whose portfolio was erased after the backup: the live world, and the restored one."""

    lender: Someone
    erased: Case
    kept: Case
    live: World
    restored: World
    objects: ObjectStore
    name: StoredName


@pytest.fixture
def story(admin: URL, fresh_database: str, vault: Vault, clock: Clock, tmp_path: Path) -> Iterator[Story]:
    """Two portfolios; a backup of the whole; then one of them is erased, and the backup restored beside."""
    objects = open_store(str(tmp_path / "objects"))
    with opened(admin, fresh_database, vault, clock) as before:
        lender = before.lender("compliance_officer")
        erased, kept = (only_case(before, lender, before.portfolio(lender, 1).id) for _ in range(2))
    with copied(admin, fresh_database) as backup, opened(admin, fresh_database, vault, clock) as live:
        with live.database.work(lender.actor) as work:
            made = erasures.erase(work, PORTFOLIO, erased.portfolio_id)
        assert erasure_job.publish(live.database, objects) == 1
        with opened(admin, backup, vault, clock) as restored:
            name = StoredName(lender.organisation.id, made.id)
            yield Story(lender, erased, kept, live, restored, objects, name)


@contextmanager
def opened(admin: URL, name: str, vault: Vault, clock: Clock) -> Iterator[World]:
    database = Database(login_url(admin, name), vault, clock)
    yield World(database, clock)
    database.close()


@contextmanager
def copied(admin: URL, name: str) -> Iterator[str]:
    """A byte for byte copy of the database, taken while nobody writes in it."""
    copy = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        connection.execute(f"create database {copy} template {name} owner consign_owner strategy file_copy")
        connection.execute(f"grant connect, temporary on database {copy} to consign_login")
        yield copy
        connection.execute(f"drop database {copy} with (force)")


def only_case(world: World, lender: Someone, portfolio_id: object) -> Case:
    with world.database.work(lender.actor) as work:
        return next(line.case for line in cases.list_own(work) if line.case.portfolio_id == portfolio_id)


def name_in(world: World, story: Story, case: Case) -> str:
    """The borrower's name as a release opens it, or why it does not."""
    try:
        with world.database.work(story.lender.actor) as work:
            release = releases.authorise(work, case.id, "identity", "verify_identity")
    except Refusal as refused:
        return refused.code
    return release.open(world.database.vault)["name"]


def erase_again(story: Story) -> int:
    with story.restored.database.work(jobs(story.lender)) as work:
        return erasures.repeat(work, story.objects, story.name)


def test_live_nothing_opens_at_once_and_the_restored_copy_opens_until_it_is_erased_again(story: Story) -> None:
    assert name_in(story.live, story, story.erased) == "case_erased"
    assert name_in(story.restored, story, story.erased) == "张三"
    assert erase_again(story) == 1
    assert name_in(story.restored, story, story.erased) == "case_erased"
    assert name_in(story.restored, story, story.kept) == "张三"


def test_the_restored_database_knows_the_erasure_again(story: Story) -> None:
    erase_again(story)
    rows = []
    for world in (story.live, story.restored):
        with world.database.work(story.lender.actor) as work:
            found = erasures.get(work, story.name.erasure_id)
            rows.append((found.record, found.signature, found.erased_by, found.erased_at, found.case_count))
    assert rows[0] == rows[1]


def test_erasing_again_twice_changes_nothing_more(story: Story) -> None:
    assert [erase_again(story), erase_again(story)] == [1, 0]


def test_what_is_placed_in_the_restored_copy_is_erased_all_the_same(story: Story) -> None:
    world, agency = story.restored, story.restored.agency()
    agreement = world.agreement(story.lender, agency)
    with world.database.work(story.lender.actor) as work:
        offer = tenders.assign(work, story.erased.portfolio_id, agreement.id)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
        placements.acknowledge(work, placement.id, 1, placement.referred_amount)
    assert erase_again(story) == 1
    with world.database.work(agency.actor) as work:
        assert cases.get(work, story.erased.id).actions["release"] == "case_erased"
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        releases.authorise(work, story.erased.id, "identity", "verify_identity")
    assert refused.value.code == "case_erased"


@pytest.mark.parametrize("change", ["cases", "signature", "lender", "shape"])
def test_a_stored_record_that_was_tampered_with_erases_nothing(story: Story, change: str) -> None:
    stored = json.loads(story.objects.get(story.name.key()))
    if change == "signature":
        stored["signature"] = "AAAA"
    elif change == "shape":
        del stored["record"]
    else:
        stored["record"][change] = {"cases": [str(story.kept.id)], "lender": str(uuid4())}[change]
    story.objects.put(story.name.key(), json.dumps(stored).encode())
    with story.restored.database.work(jobs(story.lender)) as work, pytest.raises(Conflict) as refused:
        erasures.repeat(work, story.objects, story.name)
    assert refused.value.code == "erasure_record_wrong"
    assert name_in(story.restored, story, story.kept) == "张三"


def test_one_lenders_record_erases_nothing_of_another(story: Story) -> None:
    stranger = story.restored.lender("compliance_officer")
    under = StoredName(stranger.organisation.id, story.name.erasure_id)
    story.objects.put(under.key(), story.objects.get(story.name.key()))
    with story.restored.database.work(jobs(stranger)) as work, pytest.raises(Conflict):
        erasures.repeat(work, story.objects, under)
    assert name_in(story.restored, story, story.erased) == "张三"


def test_a_lender_whom_the_restored_database_does_not_know_is_told_apart(story: Story) -> None:
    later = story.live.lender("compliance_officer")
    case = only_case(story.live, later, story.live.portfolio(later, 1).id)
    with story.live.database.work(later.actor) as work:
        made = erasures.erase(work, CASE, case.id)
    erasure_job.publish(story.live.database, story.objects)
    names = list(erasure_records.list_stored(story.objects))
    assert len(names) == 2
    with story.restored.database.work(jobs(later)) as work, pytest.raises(NotFound):
        erasures.repeat(work, story.objects, StoredName(later.organisation.id, made.id))
