"""A thousand claims at once over HTTP, beside as many bare updates of one locked row in the same PostgreSQL."""

import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from models.database import utc_now
from models.offer import Offer
from models.services.exchange import offers, tender_offers, tenders
from models.services.exchange.frozen_terms import Terms
from models.services.parties import members
from models.tender import FIRST_CLAIM
from models.tender_plan import AGREEMENTS_MAX, Plan
from models.work import DOOR, Actor
from tests.benchmarks.exchange import load
from tests.benchmarks.exchange_crowd import Seat, copy_agency
from tests.benchmarks.ground import Ground, own_database
from tests.benchmarks.server import serving
from tests.world import Someone, World

CLAIMS, CASES = 1_000, 500  # cases of each tender
WORKERS, CONNECTIONS = 2, 8  # gunicorn's processes, of four threads each; the peer's connections
PORT = 8733
SECONDS_MAX = 30


class Claim(NamedTuple):
    offer_id: UUID
    terms_digest: str
    token: str


class Race(NamedTuple):
    """What became of claims made at once; milliseconds from the start of all to the answer of each."""

    statuses: Counter[int]
    times: list[float]

    @property
    def seconds(self) -> float:
        return max(self.times) / 1000


def run(claims: int = CLAIMS) -> Iterator[dict[str, Any]]:
    """Panels as large as a tender may have, so that few locks are waited for by many."""
    with tempfile.TemporaryDirectory() as folder, own_database(Path(folder)) as ground:
        made = _tendered(ground, claims)
        with serving("wsgi:app", ground.environment, PORT, WORKERS):
            race = _at_once(PORT, made)
        tenders_placed, placements, taken = _outcome(ground)
        bare = _bare_updates(ground, claims)
    p50, p95 = statistics.median(race.times), statistics.quantiles(race.times, n=20)[18]
    yield {
        "name": f"{claims} claims at once over HTTP, p50 {p50:.0f} ms, p95 {p95:.0f} ms, the last",
        "value": round(race.seconds, 1),
        "unit": "s",
        "peer": f"as many bare updates of one locked row: {bare:.2f} s",
        "ratio": round(race.seconds / bare, 1),
        "goal": f"at most {SECONDS_MAX} s",
        "ok": race.seconds <= SECONDS_MAX,
    }
    others = claims - race.statuses[201] - race.statuses[409]
    won_once = tenders_placed == placements == race.statuses[201] == len(range(0, claims, AGREEMENTS_MAX))
    yield {
        "name": "claims answered otherwise than won or taken",
        "value": others,
        "unit": "claims",
        "peer": f"{tenders_placed} tenders placed, {placements} placements, {taken} offers taken",
        "ratio": round(race.statuses[201] / tenders_placed, 2),
        "goal": "none, and one winner for each tender",
        "ok": won_once and not others and taken == race.statuses[409],
    }


def _tendered(ground: Ground, count: int) -> list[Claim]:
    """One offer and one token for each agency."""
    world = World(ground.database, utc_now)
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    org_id = agency.organisation.id
    with world.database.work(Actor(side=DOOR, org_id=org_id)) as work:
        token = members.create_token(work, agency.member.id, "bench", ["exchange"], 1).secret
    seats = copy_agency(ground.admin, agency, count)
    panels = [seats[start : start + AGREEMENTS_MAX] for start in range(0, count, AGREEMENTS_MAX)]
    return [
        Claim(offer.id, terms.digest, token.replace(org_id.hex, offer.agency_id.hex))
        for number, panel in enumerate(panels)
        for offer, terms in _open(world, lender, panel, f"K{number}-")
    ]


def _open(world: World, lender: Someone, panel: Sequence[Seat], prefix: str) -> Iterator[tuple[Offer, Terms]]:
    portfolio_id, _ = load(world, lender, CASES, prefix)
    with world.database.work(lender.actor) as work:
        tender = tenders.create(work, Plan(portfolio_id, FIRST_CLAIM, [seat.agreement_id for seat in panel]))
        for offer in tender_offers.list_all(work, tender.id):
            terms = offers.find_terms(work, offer)
            assert terms is not None
            yield offer, terms


def _at_once(port: int, claims: Sequence[Claim]) -> Race:
    """Each on a connection of its own, all let go together."""
    start = threading.Barrier(len(claims) + 1)
    answers: list[tuple[int, float]] = []

    def ask(claim: Claim) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        start.wait()
        headers = {"Authorization": f"Bearer {claim.token}", "Content-Type": "application/json"}
        body = json.dumps({"terms_digest": claim.terms_digest})
        connection.request("POST", f"/api/v1/offers/{claim.offer_id}/accept", body, headers)
        status = connection.getresponse().status
        answers.append((status, time.perf_counter()))
        connection.close()

    with ThreadPoolExecutor(len(claims)) as threads:
        asked = [threads.submit(ask, claim) for claim in claims]
        start.wait()
        begun = time.perf_counter()
        for one in asked:
            one.result()
    return Race(Counter(status for status, _ in answers), [(at - begun) * 1000 for _, at in answers])


def _outcome(ground: Ground) -> tuple[int, int, int]:
    """Tenders placed, placements, and offers that somebody else was quicker to take, as they stand in the database."""
    with psycopg.connect(ground.admin) as connection:
        return connection.execute(
            """select (select count(*) from tender where state = 'placed'),
                      (select count(*) from placement),
                      (select count(*) from offer where state = 'taken')"""
        ).fetchone()


def _bare_updates(ground: Ground, count: int) -> float:
    """Seconds for as many transactions that lock one row and change it, from as many connections as the server has."""
    with psycopg.connect(ground.admin) as connection:
        connection.execute("create table bare (id int primary key, taken int not null)")
        connection.execute("insert into bare values (1, 0)")

    def change(times: int) -> None:
        with psycopg.connect(ground.admin) as connection:
            for _ in range(times):
                connection.execute("select taken from bare where id = 1 for update")
                connection.execute("update bare set taken = taken + 1 where id = 1")
                connection.commit()

    start = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(change, [count // CONNECTIONS] * CONNECTIONS))
    return time.perf_counter() - start
