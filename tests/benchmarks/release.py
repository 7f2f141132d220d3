"""A release over HTTP, logged before it leaves, beside a route that does nothing, on the same server."""

import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from urllib3 import HTTPConnectionPool

from models.database import Database
from models.services.exchange import placements
from models.services.parties import members
from models.work import DOOR, Actor
from tests.benchmarks.ground import own_database
from tests.benchmarks.server import empty_app, process, serving, timed
from tests.world import World

RELEASES, CASES = 190, 25  # below a member's daily quota, and below the pace of different cases
P95_MS_MAX = 100  # half way to the 50 ms of the design
BODY = {"field_class": "identity", "reason": "verify_identity"}  # also at night


def run() -> Iterator[dict[str, Any]]:
    with TemporaryDirectory() as home, own_database(Path(home)) as ground:
        token, cases = _placed(ground.database)
        # The jobs run beside, as in production: they take the entries into the log.
        with process(["-m", "jobs"], ground.environment), serving("wsgi:app", ground.environment, 8731) as pool:
            _wait_for_the_log(pool, f"/api/v1/cases/{cases[0]}/releases", token)
            asked = list(islice(cycle(cases), RELEASES))
            released = [timed(pool, "POST", f"/api/v1/cases/{case}/releases", token, json=BODY) for case in asked]
        with serving(*empty_app(Path(home)), 8732) as pool:
            empty = [timed(pool, "GET", "/") for _ in asked]
    p95, empty_p95 = _p95(released), _p95(empty)
    yield {
        "name": "release over HTTP, p95",
        "value": round(p95, 1),
        "unit": "ms",
        "peer": f"empty Flask route: {empty_p95:.1f} ms",
        "ratio": round(p95 / empty_p95, 1),
        "goal": f"at most {P95_MS_MAX} ms",
        "ok": p95 <= P95_MS_MAX,
    }


def _placed(database: Database) -> tuple[str, list[str]]:
    """A collector's token and the cases of a fresh placement."""
    world = World(database, database.clock)
    lender, manager = world.lender(), world.agency()
    placement = world.placement(lender, manager, cases=CASES)
    with database.work(manager.actor) as work:
        cases = [str(row.case.id) for row in placements.list_cases(work, placement.id, limit=200)]
    with database.work(Actor(side=DOOR, org_id=manager.organisation.id)) as work:
        token = members.create_token(work, manager.member.id, "bench", ["release"], 1).secret
    return token, cases


def _wait_for_the_log(pool: HTTPConnectionPool, path: str, token: str) -> None:
    """Until the entries of setting up are in the log; while they wait too long, releases are refused."""
    for _ in range(200):
        answer = pool.request("POST", path, json=BODY, headers={"Authorization": f"Bearer {token}"}, retries=False)
        if answer.status == 201:
            return
        time.sleep(0.1)
    raise AssertionError(answer.data)


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[18]
