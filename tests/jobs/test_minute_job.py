"""The minute: what is due of recalls and acknowledgements, for every lender, and one's trouble is its own."""

import pytest
from sqlalchemy.engine import URL

from crypto.vault import Vault
from jobs import minute as job
from models.acknowledgement_break import MISSING
from models.database import Database
from models.services.exchange import acknowledgements, recalls
from models.services.oversight import breaches
from models.work import Work
from tests.conftest import Clock, login_url
from tests.facts import placed
from tests.world import World


def test_what_is_due_is_carried_out_and_flagged_for_every_lender(admin: URL, fresh_database: str, vault: Vault) -> None:
    clock = Clock()
    database = Database(login_url(admin, fresh_database), vault, clock)
    world = World(database, clock)
    first, second = placed(world, 2), placed(world, 2)
    waiting = world.placement(first.lender, first.agency, 2, acknowledged=False)
    for ground in (first, second):
        with database.work(ground.lender.actor) as work:
            recalls.request(work, ground.placement.id, "lender_request", [ground.case.id])
    assert job.carry_on(database) == 0
    clock.forward(hours=24)
    assert job.carry_on(database) == 2
    clock.forward(hours=24)
    assert job.carry_on(database) == 3
    assert job.carry_on(database) == 0
    with database.work(first.lender.actor) as work:
        ((missing, _placement),) = acknowledgements.list_open(work)
        (breach,) = breaches.list_own(work)
    database.close()
    assert (missing.placement_id, missing.kind) == (waiting.id, MISSING)
    assert breach.rule_id == "stop_work_not_confirmed"


def test_the_trouble_of_one_verb_is_not_anothers(
    admin: URL, fresh_database: str, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(work: Work) -> int:
        raise ValueError

    clock = Clock()
    database = Database(login_url(admin, fresh_database), vault, clock)
    world = World(database, clock)
    world.placement(world.lender(), world.agency(), acknowledged=False)
    clock.forward(hours=48)
    monkeypatch.setattr(job, "VERBS", {**job.VERBS, "stops": fails})
    assert job.carry_on(database) == 1
    database.close()
