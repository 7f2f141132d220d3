"""Row security and the services' own filter, each alone: with the other taken away, nothing crosses.

What is asked and done here is what the leak oracle asks (`test_leaks.py`): each answer must stay what it was with both
layers, to the byte, so that no row, count or sum of another organisation has come in.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection

from models.services import tenancy
from models.tables import metadata
from tests.conftest import plain
from tests.flows.acts import ACTS, TOUCHED, Outcome, perform
from tests.flows.asks import Answer, Ask, Asker
from tests.flows.canaries import LOGGED_ALONE, digest_of

READERS = ("north", "east", "east.north", "idle", "auditor")
TABLES = sorted(set(metadata.tables) - {"tenant"})
AT_THE_DOOR = ""  # the side of those who are not known yet


class Baseline(NamedTuple):
    """What was answered and done with both layers in place, and which tables each looked at."""

    chapter: int
    answers: dict[int, tuple[Ask, Answer, frozenset[str]]]
    outcomes: dict[str, Outcome]

    def changed(self, asker: Asker, table: str | None = None) -> list[Any]:
        """What comes out otherwise now, among all that looked at the table: the rest cannot see it."""
        looked: Callable[[frozenset[str]], bool] = lambda touched: table is None or table in touched
        asked = [ask for ask, answer, touched in self.answers.values() if looked(touched) and asker.ask(ask) != answer]
        done = [
            name
            for name, outcome in self.outcomes.items()
            if looked(outcome.touched) and perform(asker.exchange, ACTS[name])[:2] != outcome[:2]
        ]
        return [*asked, *done]


@pytest.fixture(scope="session")
def _kept() -> list[Baseline]:
    return []


@pytest.fixture
def baseline(asker: Asker, _kept: list[Baseline]) -> Baseline:
    """Recorded once, and again when somebody has moved the exchange on."""
    if not _kept or _kept[-1].chapter != asker.exchange.chapter:
        _kept.append(Baseline(asker.exchange.chapter, dict(enumerate(recorded(asker))), acted(asker)))
    return _kept[-1]


@pytest.fixture
def unchanged(backup: psycopg.Connection, baseline: Baseline) -> Iterator[None]:
    """No request that names what is another's may change anything; looking and taking files away is logged."""
    assert baseline.answers
    before = digest_of(backup)
    yield
    after = digest_of(backup)
    assert {table for table in after if after[table] != before[table]} <= LOGGED_ALONE


@pytest.fixture(scope="session")
def owner(admin: URL, exchange_database: str) -> Iterator[psycopg.Connection]:
    url = admin.set(username="consign_owner", database=exchange_database)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        yield connection


def recorded(asker: Asker) -> Iterator[tuple[Ask, Answer, frozenset[str]]]:
    for reader in READERS:
        with looked_at(asker) as tables:
            for ask in asks(asker, reader):
                tables.clear()
                answer = asker.ask(ask)
                assert answer.status < 500, ask
                if answer.status != 403:  # refused before anything of a tenant is looked at
                    yield ask, answer, frozenset(tables)


def acted(asker: Asker) -> dict[str, Outcome]:
    return {name: perform(asker.exchange, act) for name, act in ACTS.items()}


def asks(asker: Asker, reader: str) -> Iterator[Ask]:
    """All that the reader may read, and of what is foreign one id of each lender, as far as there is one.

    Only where the door lets the reader in: behind it are the layers. Not as a file: each taking is a new export of
    the reader's own. The rows of a file are those of its page.
    """
    yield from (ask for ask in asker.reads(reader, "zh") if asker.admits(ask) and not ask.path.endswith(".csv"))
    for pairs in (asker.strange_reads(reader), asker.strange_changes(reader)):
        for unknown, same_request in groupby(pairs, key=lambda pair: pair.unknown):
            if not asker.admits(unknown):
                continue
            foreign = [pair.foreign for pair in same_request]
            yield foreign[0]
            if len(foreign) > 1:
                yield foreign[-1]


@contextmanager
def looked_at(asker: Asker) -> Iterator[set[str]]:
    """The tables that transactions lock, be it to read. Of who comes to the door, those of the first to come."""
    tables, seen_door, engine = set[str](), False, asker.exchange.database.engine

    def look(connection: Connection) -> None:
        nonlocal seen_door
        raw: Any = connection.connection.driver_connection
        if raw.info.transaction_status != TransactionStatus.INTRANS:
            tables.update(TABLES)  # a failed statement tells nothing more
            return
        ((side,),) = raw.execute("select current_setting('app.side', true)").fetchall()
        if side != AT_THE_DOOR or not seen_door:
            tables.update(name for (name,) in raw.execute(str(TOUCHED)))
        seen_door = seen_door or side == AT_THE_DOOR

    for end in ("commit", "rollback"):
        event.listen(engine, end, look)
    try:
        yield tables
    finally:
        for end in ("commit", "rollback"):
            event.remove(engine, end, look)


@contextmanager
def opened(owner: psycopg.Connection, table: str) -> Iterator[None]:
    """Every policy of the table, for whatever command and role, lets all through: as much as any one of them would."""
    policies = owner.execute(
        "select policyname, qual, with_check from pg_policies where schemaname = 'public' and tablename = %s", (table,)
    ).fetchall()
    assert policies
    try:
        for name, qual, check in policies:
            _alter(owner, table, name, qual and "true", check and "true")
        yield
    finally:
        for name, qual, check in policies:
            _alter(owner, table, name, qual, check)


def _alter(owner: psycopg.Connection, table: str, policy: str, using: str | None, check: str | None) -> None:
    clauses = [*([f"using ({using})"] if using else []), *([f"with check ({check})"] if check else [])]
    named = sql.SQL("alter policy {} on {}").format(sql.Identifier(policy), sql.Identifier(table))
    owner.execute(named + sql.SQL(" " + " ".join(clauses)))


@contextmanager
def unfiltered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tenancy, "equals", lambda column, org_id: sqlalchemy.true())
        yield


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("part", range(4))
def test_without_the_services_filter_row_security_holds(asker: Asker, baseline: Baseline, part: int) -> None:
    quarter = {number: kept for number, kept in baseline.answers.items() if number % 4 == part}
    outcomes = dict(list(baseline.outcomes.items())[part::4])
    with unfiltered():
        assert baseline._replace(answers=quarter, outcomes=outcomes).changed(asker) == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("table", TABLES)
def test_without_a_tables_policies_the_services_filter_holds(
    asker: Asker, baseline: Baseline, owner: psycopg.Connection, table: str
) -> None:
    with opened(owner, table):
        assert baseline.changed(asker, table) == []


@pytest.mark.parametrize("table", ["collection_case", "placement", "breach", "portfolio", "commission_line"])
def test_without_both_it_would_cross(asker: Asker, baseline: Baseline, owner: psycopg.Connection, table: str) -> None:
    """Else the tests above would show nothing."""
    lists = {number: kept for number, kept in baseline.answers.items() if not kept[0].id}
    with opened(owner, table), unfiltered():
        assert baseline._replace(answers=lists, outcomes={}).changed(asker, table) != []
