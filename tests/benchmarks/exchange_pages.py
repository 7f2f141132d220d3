"""The pages of a market: a lender with a million cases placed with 200 agencies, over HTTP, beside an empty route."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from models.allocation_plan import RULES, Plan, Rule, equal_shares
from models.database import Database, utc_now
from models.services.exchange import tenders
from models.services.parties import lender_settings, members
from models.tender import FIRST_CLAIM
from models.tender_plan import Plan as TenderPlan
from models.work import DOOR, Actor
from portal.access import COOKIE
from tests.benchmarks.exchange import allocate, load
from tests.benchmarks.exchange_crowd import Seat, copy_agency, copy_rows
from tests.benchmarks.ground import Ground, own_database
from tests.benchmarks.server import empty_app, serving, timed
from tests.world import PASSWORD, Someone, World

AGENCIES, PORTFOLIOS = 200, 10  # each portfolio is allocated over all agencies
TENDERS, PANEL, TENDERED = 500, 20, 500  # first claims, the agencies asked by each, the cases of each
ASKED, WARM = 60, 3  # requests of each page, after so many that are not counted
P95_MS_MAX = 200


class Market(NamedTuple):
    """Cookies of the lender's portfolio manager and an agency's manager, and one of each thing that has a page."""

    lender: str
    agency: str
    agency_id: UUID
    portfolio_id: UUID
    allocation_id: UUID
    tender_id: UUID
    offer_id: UUID
    placement_id: UUID

    def pages(self) -> dict[str, tuple[str, str]]:
        """What a page is called → its path and the cookie of who asks for it."""
        of_lender = {
            "first page": "/",
            "offers": "/offers",
            "tenders": "/tenders",
            "tender": f"/tenders/{self.tender_id}",
            "allocations": "/allocations",
            "allocation": f"/allocations/{self.allocation_id}",
            "allocation form": f"/allocations/new?portfolio_id={self.portfolio_id}",
            "placements": "/placements",
            "placement": f"/placements/{self.placement_id}",
            "agencies": "/agencies",
            "agency": f"/agencies/{self.agency_id}",
        }
        of_agency = {
            "first page": "/",
            "offers": "/offers",
            "offer": f"/offers/{self.offer_id}",
            "placements": "/placements",
            "placement": f"/placements/{self.placement_id}",
        }
        return {f"lender: {name}": (path, self.lender) for name, path in of_lender.items()} | {
            f"agency: {name}": (path, self.agency) for name, path in of_agency.items()
        }


def run(cases: int = 1_000_000) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, own_database(Path(folder)) as ground:
        market = _market(ground, cases)
        with serving(*empty_app(Path(folder)), 8735) as pool:
            empty_p95 = _p95([timed(pool, "GET", "/") for _ in range(ASKED)])
        with serving("wsgi:app", ground.environment, 8734) as pool:
            for name, (path, cookie) in market.pages().items():
                times = [timed(pool, "GET", path, cookie=cookie) for _ in range(WARM + ASKED)][WARM:]
                yield _line(f"{name}, {cases} cases", times, empty_p95)


def _line(name: str, times: list[float], empty_p95: float) -> dict[str, Any]:
    p95 = _p95(times)
    return {
        "name": f"{name}: p50 {statistics.median(times):.0f} ms, p95",
        "value": round(p95, 1),
        "unit": "ms",
        "peer": f"empty Flask route: {empty_p95:.1f} ms",
        "ratio": round(p95 / empty_p95, 1),
        "goal": f"at most {P95_MS_MAX} ms",
        "ok": p95 <= P95_MS_MAX,
    }


def _market(ground: Ground, cases: int) -> Market:
    world = World(ground.database, utc_now)
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    with world.database.work(world.person(lender, "administrator").actor) as work:
        lender_settings.change(work, {"approval_cases": 2 * cases})
    cookies = [_cookie(world.database, someone) for someone in (lender, agency)]
    seats = copy_agency(ground.admin, agency, AGENCIES)
    for number in range(PORTFOLIOS):
        allocation_id, portfolio_id = _allocate(world, lender, seats, cases // PORTFOLIOS, f"K{number}-")
    tender_id = _tender(world, lender, seats[:PANEL])
    collector = world.person(agency, "collector")
    with psycopg.connect(ground.admin) as connection:
        _begin_work(connection, agency, collector)
        _copy_tender(connection, tender_id)
        offer_id, placement_id = connection.execute(
            """select (select id from offer where tender_id = %(tender)s and agency_id = %(agency)s),
                      (select id from placement where agency_id = %(agency)s order by id desc limit 1)""",
            {"tender": tender_id, "agency": agency.organisation.id},
        ).fetchone()
    with psycopg.connect(ground.admin, autocommit=True) as connection:
        connection.execute("vacuum analyze")  # as autovacuum will have
    return Market(*cookies, agency.organisation.id, portfolio_id, allocation_id, tender_id, offer_id, placement_id)


def _cookie(database: Database, someone: Someone) -> str:
    with database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
        return f"{COOKIE}={members.sign_in(work, someone.member.email, PASSWORD).secret}"


def _allocate(world: World, lender: Someone, seats: list[Seat], cases: int, prefix: str) -> tuple[UUID, UUID]:
    portfolio_id, _ = load(world, lender, cases, prefix)
    plan = Plan(RULES, [Rule(equal_shares([seat.agreement_id for seat in seats]))], b"")
    return allocate(world.database, lender.actor, portfolio_id, plan).tender_id, portfolio_id


def _tender(world: World, lender: Someone, panel: list[Seat]) -> UUID:
    portfolio_id, _ = load(world, lender, TENDERED, "T")
    plan = TenderPlan(portfolio_id, FIRST_CLAIM, [seat.agreement_id for seat in panel])
    with world.database.work(lender.actor) as work:
        return tenders.create(work, plan).id


def _begin_work(connection: psycopg.Connection, agency: Someone, collector: Someone) -> None:
    """As if every agency had acknowledged, and the one had given half of its cases to a collector."""
    connection.execute("update placement set state = 'active', acknowledged_at = started_at")
    connection.execute(
        """insert into work_item (lender_id, placement_id, case_id, agency_id, priority)
           select lender_id, placement_id, case_id, agency_id, 3 from placed_case order by placement_id, case_id"""
    )
    connection.execute(
        """insert into assignment (lender_id, placement_id, case_id, agency_id, collector_id, assigned_at)
           select lender_id, placement_id, case_id, agency_id, %s, started_at from placed_case
           where agency_id = %s and get_byte(uuid_send(case_id), 15) < 128""",
        [collector.member.id, agency.organisation.id],
    )


def _copy_tender(connection: psycopg.Connection, tender_id: UUID) -> None:
    """The tenders of a year: one in ten still open, the others taken by somebody."""
    connection.execute(
        """create temporary table year as
           select mod(n, 10) = 0 as open, uuidv7(-n * interval '12 hours') as tender_id
           from generate_series(2, %s) n""",
        [TENDERS],
    )
    copy_rows(
        connection,
        "tender",
        "year where t.id = %s",
        "'id', year.tender_id, 'state', case when year.open then 'open' else 'placed' end",
        tender_id,
    )
    copy_rows(
        connection,
        "offer",
        "year where t.tender_id = %s",
        """'id', uuidv7(uuid_extract_timestamp(year.tender_id) - now()), 'tender_id', year.tender_id,
           'state', case when year.open then 'offered' else 'taken' end""",
        tender_id,
    )


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[18]
