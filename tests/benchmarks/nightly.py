"""The night of a big lender through the real verbs, beside DuckDB asking the same of the same rows in memory."""

import datetime as dt
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import polars as pl
from sqlalchemy import func, select

from models.business_day import day_of, start_of
from models.claim import Claim
from models.commission_line import CommissionLine
from models.contact import Contact
from models.database import utc_now
from models.ids import new_ids
from models.services import bulk
from models.services.oversight import conduct
from models.services.settlement import commissions, reconciliations
from tests.benchmarks.ground import own_database
from tests.facts import Placed, jobs, payment, placed, receive_payments
from tests.world import Debt, World

PAYMENTS_PER_CASE = 5
UNCLAIMED, MISREPORTED = 0.03, 0.03  # of the payments
AT_NIGHT, SPOKEN = 0.002, 0.15  # of the contacts
RATE = Decimal("0.18")
SETTLE_SECONDS_MAX = 12  # for 100,000 payments
CONTACTS_PER_SECOND_MIN = 100_000


def run(payments: int = 100_000, contacts: int = 200_000) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, own_database(Path(folder)) as ground:
        world = World(ground.database, utc_now)
        of = placed(world, [Debt(number) for number in range(1, payments // PAYMENTS_PER_CASE + 1)], rate=str(RATE))
        yield _settlement(world, of, payments)
        yield _sweep(world, of, contacts)


def _settlement(world: World, of: Placed, count: int) -> dict[str, Any]:
    today = day_of(world.clock())
    dice = random.Random(1)
    rows = [payment(dice.choice(of.cases), f"{dice.randint(100, 500_000) / 100:.2f}", on=today) for _ in range(count)]
    receive_payments(world, of.lender, *rows)
    claims = _claims(of, rows, dice, world.clock())
    with world.database.work(of.agency.actor) as work:
        bulk.append(work, Claim, claims)
    ours = _seconds(lambda: _settle(world, of, today))
    booked = _booked(world, of)
    case_of = {case.reference: str(case.id) for case in of.cases}
    paid = pl.DataFrame(rows).select(
        pl.col("case_number").replace_strict(case_of).alias("case_id"),
        pl.col("amount").cast(pl.Decimal(18, 2)),
        pl.col("value_date").str.to_date().alias("paid_on"),
    )
    theirs = _seconds(lambda: _settle_in_duckdb(paid, claims))
    assert booked > 0
    return {
        "name": f"reconcile and commission {count} payments",
        "value": round(ours, 2),
        "unit": "s",
        "peer": f"DuckDB, one join over the same rows in memory: {theirs:.2f} s",
        "ratio": round(ours / theirs, 1),
        "goal": f"at most {SETTLE_SECONDS_MAX} s",
        "ok": ours <= SETTLE_SECONDS_MAX * count / 100_000,
    }


def _claims(of: Placed, rows: list[dict[str, str]], dice: random.Random, at: dt.datetime) -> pl.DataFrame:
    """What the agency reports of these payments: most of them, and some of those wrong."""
    case_of = {case.reference: str(case.id) for case in of.cases}
    reported = [row for row in rows if dice.random() >= UNCLAIMED]
    amounts = [Decimal(row["amount"]) + (1 if dice.random() < MISREPORTED else 0) for row in reported]
    return _facts(of, len(reported)).with_columns(
        pl.Series("case_id", [case_of[row["case_number"]] for row in reported]),
        pl.Series("amount", amounts, pl.Decimal(18, 2)),
        pl.Series("reference", [f"C{number}" for number in range(len(reported))]),
        pl.Series("paid_on", [dt.date.fromisoformat(row["value_date"]) for row in reported]),
        currency=pl.lit("CNY"),
        paid_to=pl.lit("lender"),
        source=pl.lit("file"),
        recorded_at=pl.lit(at.isoformat()),
    )


def _settle(world: World, of: Placed, today: dt.date) -> None:
    with world.database.work(jobs(of.lender, "reconciliation")) as work:
        reconciliations.run(work, today)
    with world.database.work(jobs(of.lender, "commission")) as work:
        commissions.book(work, today)


def _booked(world: World, of: Placed) -> Decimal:
    with world.database.work(of.agency.actor) as work:
        return work.session.scalar(select(func.sum(CommissionLine.amount))) or Decimal(0)


def _settle_in_duckdb(paid: pl.DataFrame, claims: pl.DataFrame) -> None:
    """DuckDB finds the frames by the names they have here."""
    duckdb.sql(
        f"""select count(claims.id), sum(round(paid.amount * {RATE}, 2))
            from paid left join claims using (case_id, amount, paid_on)"""
    ).fetchall()


def _sweep(world: World, of: Placed, count: int) -> dict[str, Any]:
    day = day_of(world.clock()) - dt.timedelta(days=1)
    contacts = _contacts(of, count, day, random.Random(2))
    with world.database.work(of.agency.actor) as work:
        bulk.append(work, Contact, contacts)
    found: dict[str, int] = {}
    ours = count / _seconds(lambda: found.update(_judge(world, of, day)))
    theirs = count / _seconds(lambda: _count_in_duckdb(contacts))
    assert found["flagged"] > 0
    return {
        "name": f"nightly sweep of all packs over {count} contacts",
        "value": round(ours),
        "unit": "contacts/s",
        "peer": f"DuckDB, one window query over the same rows in memory: {theirs:.0f} contacts/s",
        "ratio": round(ours / theirs, 2),
        "goal": f"at least {CONTACTS_PER_SECOND_MIN} contacts/s",
        "ok": ours >= CONTACTS_PER_SECOND_MIN,
    }


def _contacts(of: Placed, count: int, day: dt.date, dice: random.Random) -> pl.DataFrame:
    cases = [dice.choice(of.cases) for _ in range(count)]
    hours = [dice.uniform(22, 24) if dice.random() < AT_NIGHT else dice.uniform(8, 21.9) for _ in range(count)]
    moments = [start_of(day) + dt.timedelta(hours=hour) for hour in hours]
    outcomes = ["conversation" if dice.random() < SPOKEN else "ring_no_answer" for _ in range(count)]
    return _facts(of, count).with_columns(
        pl.Series("case_id", [str(case.id) for case in cases]),
        pl.Series("borrower_id", [str(case.borrower_id) for case in cases]),
        pl.Series("outcome", outcomes),
        pl.Series("occurred_at", moments, pl.Datetime("us", "UTC")),
        recorded_at=pl.lit(utc_now().isoformat()),
        member_name=pl.lit("somebody"),
        channel=pl.lit("call"),
        direction=pl.lit("outbound"),
        party=pl.lit("debtor"),
        source=pl.lit("file"),
    )


def _judge(world: World, of: Placed, day: dt.date) -> dict[str, int]:
    with world.database.work(jobs(of.lender, "conduct")) as work:
        return conduct.sweep(work, day)


def _count_in_duckdb(contacts: pl.DataFrame) -> None:
    duckdb.sql(
        """select count(*) filter (where hour(occurred_at) in (14, 15)), count(*) filter (where turn > 3)
           from (select occurred_at, outcome, row_number() over (
               partition by borrower_id, outcome order by occurred_at) as turn from contacts)
           where outcome = 'conversation' or hour(occurred_at) in (14, 15)"""
    ).fetchall()


def _facts(of: Placed, count: int) -> pl.DataFrame:
    """So many rows of what every fact of this placement has."""
    ids: list[UUID] = new_ids(count)
    return pl.DataFrame({"id": [str(id_) for id_ in ids]}).with_columns(
        lender_id=pl.lit(str(of.lender.organisation.id)),
        agency_id=pl.lit(str(of.agency.organisation.id)),
        placement_id=pl.lit(str(of.placement.id)),
        member_id=pl.lit(str(of.agency.member.id)),
    )


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
