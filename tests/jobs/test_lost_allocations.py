"""The minute's job over allocations: what no worker has any more is given back, once."""

import pytest
from sqlalchemy import text

from jobs import allocation as job
from models.database import Database
from models.services.exchange import allocations
from models.tender import REFUSED
from models.work import JOBS, Actor
from tests.panels import panel, preview
from tests.world import World


def test_what_no_worker_has_any_more_is_given_back_once(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)
    of = panel(world, 2)
    tender = preview(world, of)
    assert job.stop_lost(database) == 0
    with database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
        work.session.execute(text("update procrastinate.procrastinate_jobs set status = 'failed'"))
    assert [job.stop_lost(database) for _ in range(2)] == [1, 0]
    with database.work(of.lender.actor) as work:
        assert allocations.get(work, tender.id).state == REFUSED
