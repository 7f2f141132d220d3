"""Growing the logs: whoever has entries waiting gets a signed log, and one tenant's trouble is not another's."""

from pathlib import Path

import pytest

from crypto import notes
from jobs import nightly
from jobs.__main__ import check_logs
from jobs.integration import Integrator
from models.objects import open_store
from models.services import job_runs
from models.services.oversight import logs
from models.work import Actor
from tests.facts import jobs
from tests.logbook import Log
from tests.world import Someone, World


@pytest.fixture
def integrator(world: World, tmp_path: Path) -> Integrator:
    return Integrator(world.database, open_store(str(tmp_path)), "consign.test")


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


def head(world: World, someone: Someone) -> logs.Head:
    with world.database.work(jobs(someone)) as work:
        return logs.head(work)


def test_a_tick_signs_the_log_of_everybody_who_has_entries(world: World, integrator: Integrator) -> None:
    lender, agency = world.lender(), world.agency()
    integrator.tick()
    for someone in (lender, agency):
        found = head(world, someone)
        assert found.size > 1
        assert found.checkpoint is not None
        assert found.checkpoint.size == found.size


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
        assert logs.integrate(work) > 1
    integrator.tick()
    assert head(world, lender).checkpoint is None
    integrator.look_at_all()
    integrator.tick()
    assert head(world, lender).checkpoint is not None


def test_what_another_process_left_unsigned_is_signed_before_more_is_added(
    world: World, integrator: Integrator, lender: Someone
) -> None:
    log = Log(world, lender, integrator.objects)
    with world.database.work(log.integrator) as work:
        logs.integrate(work)
    log.act_often(300)
    integrator.tick()
    assert (log.head().size, log.waiting()) == (log.born + 300, 0)
    names = [int(key.rpartition("/")[2]) for key in log.objects.list(f"log/{log.org_id}/checkpoints/")]
    assert sorted(names) == [log.born, log.born + 256, log.born + 300]


def test_a_fork_is_told_loudly_each_time_and_is_nobody_elses_trouble(
    world: World, integrator: Integrator, lender: Someone, caplog: pytest.LogCaptureFixture
) -> None:
    integrator.tick()
    other = world.lender()
    ahead = notes.Checkpoint(logs.origin("consign.test", lender.organisation.id), 10**6, bytes(32))
    with world.database.work(jobs(lender)) as work:
        note = work.vault.sign_checkpoint(ahead)
    integrator.objects.put(f"log/{lender.organisation.id}/checkpoint", note.encode())
    Log(world, lender, integrator.objects).act()
    for _ in range(2):
        integrator.tick()
    told = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(told) == 2
    assert all("log_forked" in record.message for record in told)
    assert head(world, lender).forked
    assert not head(world, other).forked
    assert head(world, other).checkpoint is not None


def test_the_check_by_hand_names_the_log_that_does_not_stand(
    world: World, integrator: Integrator, lender: Someone, capsys: pytest.CaptureFixture[str]
) -> None:
    integrator.tick()
    assert check_logs(integrator) in (0, 1)
    assert f"{lender.organisation.id}  {head(world, lender).size} entries stand" in capsys.readouterr().out
    integrator.objects.put(f"log/{lender.organisation.id}/checkpoint", b"nothing of ours")
    assert check_logs(integrator) == 1
    assert f"{lender.organisation.id}  log_forked: the stored checkpoint\n" in capsys.readouterr().err


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
