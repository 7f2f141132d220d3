"""Growing the logs: whoever has entries waiting gets a signed log, and one tenant's trouble is not another's."""

from pathlib import Path

import pytest

from jobs import nightly
from jobs.integration import Integrator
from models.objects import open_store
from models.services import job_runs, logs
from models.work import Actor
from tests.facts import jobs
from tests.world import Someone, World


@pytest.fixture
def integrator(world: World, tmp_path: Path) -> Integrator:
    return Integrator(world.database, open_store(str(tmp_path)), "consign.test")


def head(world: World, someone: Someone) -> logs.Head:
    with world.database.work(jobs(someone)) as work:
        return logs.head(work)


def test_a_tick_signs_the_log_of_everybody_who_has_entries(world: World, integrator: Integrator) -> None:
    lender, agency = world.lender(), world.agency()
    integrator.tick()
    for someone in (lender, agency):
        found = head(world, someone)
        assert found.size == 2
        assert found.checkpoint is not None
        assert found.checkpoint.size == 2


def test_a_log_that_did_not_grow_is_not_signed_again(world: World, integrator: Integrator) -> None:
    lender = world.lender()
    integrator.tick()
    before = head(world, lender)
    integrator.look_at_all()
    integrator.tick()
    after = head(world, lender)
    assert (after.size, after.checkpoint and after.checkpoint.note) == (
        before.size,
        before.checkpoint and before.checkpoint.note,
    )


def test_a_log_that_another_process_grew_and_did_not_sign_is_signed(world: World, integrator: Integrator) -> None:
    lender = world.lender()
    with world.database.work(jobs(lender)) as work:
        assert logs.integrate(work) == 2
    integrator.tick()
    assert head(world, lender).checkpoint is None
    integrator.look_at_all()
    integrator.tick()
    assert head(world, lender).checkpoint is not None


def test_one_tenants_trouble_is_not_anothers(
    world: World, integrator: Integrator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubled, other = world.lender(), world.lender()
    actor_of = nightly.actor_of

    def refuse(name: str, org_id: object, *side: str) -> Actor:
        if org_id == troubled.organisation.id:
            raise RuntimeError("13800000000")
        return actor_of(name, org_id, *side)

    monkeypatch.setattr(nightly, "actor_of", refuse)
    integrator.tick()
    monkeypatch.undo()
    assert head(world, other).checkpoint is not None
    assert integrator.unsigned == {troubled.organisation.id}
    assert "RuntimeError" in caplog.text
    assert "13800000000" not in caplog.text
    integrator.tick()
    assert head(world, troubled).checkpoint is not None


def test_the_list_of_who_waits_says_nothing_else(world: World) -> None:
    lender = world.lender()
    with world.database.work(nightly.actor_of("integration", nightly.NOBODY, "operator")) as work:
        assert lender.organisation.id in job_runs.list_tenants_with_entries(work)
