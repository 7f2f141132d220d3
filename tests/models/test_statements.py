"""The commission statement: its totals are its lines, both parties read it, and anyone can recompute its file."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from models.errors import NotFound
from models.services.settlement import commissions, statements
from tests.facts import TODAY, Placed, jobs, payment, placed, receive_payments
from tests.world import Debt, World

PERIOD = "2026-03"


@pytest.fixture
def booked(world: World) -> Placed:
    """Three payments and a reversal, at a rate that leaves half cents."""
    of = placed(world, 3, rate="0.185")
    paid = [payment(case, amount) for case, amount in zip(of.cases, ("100.10", "0.01", "7777.77"), strict=True)]
    receive_payments(world, of.lender, *paid)
    book(world, of)
    receive_payments(world, of.lender, payment(of.case, "-50.05", reversal_of=paid[0]["reference"]), sequence=2)
    book(world, of)
    return of


def book(world: World, of: Placed) -> None:
    with world.database.work(jobs(of.lender, "commission")) as work:
        commissions.book(work, TODAY)


def agreement_id(of: Placed) -> UUID:
    return of.placement.agreement_id


def test_both_parties_read_the_same_statement(world: World, booked: Placed) -> None:
    read = []
    for someone in (booked.lender, booked.agency):
        with world.database.work(someone.actor) as work:
            read.append((statements.list_own(work), statements.get(work, agreement_id(booked), PERIOD).head))
    assert read[0] == read[1]
    assert [head.period for head in read[0][0]] == [PERIOD]


def test_the_totals_are_the_sums_of_the_lines_to_the_cent(world: World, booked: Placed) -> None:
    with world.database.work(booked.agency.actor) as work:
        statement = statements.get(work, agreement_id(booked), PERIOD)
    assert [line.amount for line in statement.lines] == [
        Decimal(text) for text in ("18.52", "0.00", "1438.89", "-9.26")
    ]
    (total,) = statement.head.totals
    assert total == ("CNY", 4, Decimal("7827.83"), sum(line.amount for line in statement.lines))


def test_the_lines_come_in_pages(world: World, booked: Placed) -> None:
    with world.database.work(booked.agency.actor) as work:
        first = statements.get(work, agreement_id(booked), PERIOD, limit=3).lines
        rest = statements.get(work, agreement_id(booked), PERIOD, after=first[-1].id, limit=3).lines
    assert (len(first), len(rest)) == (3, 1)


def test_the_file_is_verified_by_the_stand_alone_tool(world: World, booked: Placed, tmp_path: Path) -> None:
    with world.database.work(booked.agency.actor) as work:
        text = "".join(statements.csv_lines(work, agreement_id(booked), PERIOD))
    file = tmp_path / "statement.csv"
    file.write_text(text, "ascii", newline="")
    command = [sys.executable, "-m", "models.commission", "verify", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, "verified: 4 lines, total 1448.15 CNY\n")


def test_a_statement_nobody_booked_is_not_found(world: World, booked: Placed) -> None:
    with world.database.work(booked.lender.actor) as work, pytest.raises(NotFound):
        statements.get(work, agreement_id(booked), "2026-02")


def test_a_third_party_finds_no_statement(world: World, booked: Placed) -> None:
    other = placed(world, [Debt(99)], lender=booked.lender)
    with world.database.work(other.agency.actor) as work:
        assert statements.list_own(work) == []
        with pytest.raises(NotFound):
            statements.get(work, agreement_id(booked), PERIOD)
        with pytest.raises(NotFound):
            statements.csv_lines(work, agreement_id(booked), PERIOD)
