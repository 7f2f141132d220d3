"""The leak oracle: nobody reads, hears of or moves what is another organisation's (`canaries.READERS` says whose)."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import psycopg
import pytest

from models.member import ROLES
from tests.flows.acts import NAMED_BY_NUMBER, Act, perform
from tests.flows.asks import Answer, Ask, Asker, Pair
from tests.flows.canaries import (
    AGENCIES,
    LENDERS,
    LOGGED_ALONE,
    OPERATOR,
    digest_of,
    marks_in,
    organisation_of,
)

PEOPLE = (
    *LENDERS,
    *(f"north.{role}" for role in ROLES["lender"]),
    *AGENCIES,
    *(f"{agency}.{lender}" for agency in AGENCIES for lender in LENDERS),
    "idle",
    "idle.collector",
    "auditor",
    "auditor.alone",
    OPERATOR,
)
# What each must find on their own pages: an oracle that hears nothing would find no leak either.
AT_LEAST = {
    "north": {"northown", "northhouse", "northeast", "northwest", "northboth", "eastface", "eastname", "auditorname"},
    "south": {"southown", "southhouse", "southeast", "southwest", "southboth", "westface", "westname"},
    "east": {"eastown", "northeast", "southeast", "northname", "southname"},
    "west": {"westown", "northwest", "southwest", "northboth", "southboth"},
    "east.north": {"eastown", "northeast"},
    "idle": {"idleown", "idlename"},
    "auditor": {"northhouse", "northeast", "northwest", "eastname", "westname"},
    OPERATOR: {"northname", "southname", "idlename"},
}


@pytest.fixture(autouse=True)
def _logs_say_nothing(caplog: pytest.LogCaptureFixture) -> Iterable[None]:
    """No line of any log carries anybody's mark."""
    caplog.set_level(logging.INFO)
    yield
    assert marks_in(caplog.text) == set()


def test_the_oracle_knows_everybody_and_every_change(asker: Asker) -> None:
    assert set(asker.exchange.people) == set(PEOPLE)
    assert asker.untried() == set()


@pytest.mark.parametrize("reader", PEOPLE)
def test_nobody_reads_what_is_anothers(asker: Asker, reader: str) -> None:
    found, languages = set[str](), ("zh",) if "." in reader else ("zh", "en")
    for ask in asker.reads(reader, *languages):
        answer = asker.ask(ask)
        assert answer.status < 500, ask
        assert asker.exchange.leaks(organisation_of(reader), answer.text()) == set(), ask
        found |= marks_in(answer.text())
    assert AT_LEAST.get(reader, set()) <= found


def test_a_stranger_reads_nothing(asker: Asker) -> None:
    client = asker.app.test_client()
    for ask in asker.reads("north", "zh"):
        with client.get(ask.path) as response:
            told = Answer(
                response.status_code, tuple(response.headers), response.get_data(as_text=True).replace(ask.id, "")
            )
        assert marks_in(told.text()) == set(), ask


@pytest.mark.parametrize("reader", PEOPLE)
def test_a_foreign_id_is_as_unknown_as_one_that_is_not_there(asker: Asker, reader: str) -> None:
    assert told_apart(asker, asker.strange_reads(reader)) == []


@pytest.mark.parametrize("reader", PEOPLE)
def test_nobody_changes_what_is_anothers(asker: Asker, backup: psycopg.Connection, reader: str) -> None:
    pairs = list(asker.strange_changes(reader))
    for by_program in (True, False):
        asker.client(reader, by_program)  # signed in before anything is compared
    before, logged_before = digest_of(backup), logged(backup)
    assert told_apart(asker, pairs) == []
    after = digest_of(backup)
    assert {table for table in after if after[table] != before[table]} <= LOGGED_ALONE
    # That it was refused is told at home and, of a case that an agency has, to the lender whose it is.
    people = asker.exchange.people
    told = [reader, *(LENDERS if organisation_of(reader) in AGENCIES else ())]
    assert set(logged(backup) - logged_before) <= {people[name].actor.tenant_id for name in told}


def logged(backup: psycopg.Connection) -> Counter[UUID]:
    """How many entries wait, by whose log they are for."""
    return Counter(dict(backup.execute("select org_id, count(*) from audit_outbox group by org_id").fetchall()))


@pytest.mark.parametrize("name", NAMED_BY_NUMBER)
def test_a_case_number_that_others_use_is_as_good_as_one_that_nobody_uses(asker: Asker, name: str) -> None:
    person, verb, number = NAMED_BY_NUMBER[name]
    foreign, unknown = (perform(asker.exchange, Act(person, verb(given))) for given in (number, "nobody-1"))
    assert foreign == unknown
    assert foreign.touched


def test_what_two_do_shows_to_nobody_else(asker: Asker) -> None:
    exchange = asker.exchange
    exchange.run_jobs("south")
    asks = [ask for reader in ("north", "east", "auditor") for ask in asker.reads(reader, "zh")]
    # Whoever takes a file away reads of that export ever after: files before pages now, and pages before files then.
    asks.sort(key=lambda ask: not ask.path.endswith(".csv"))
    before = {ask: without_export(asker.ask(ask)) for ask in asks}
    exchange.chapter += 1
    exchange.place("south", "west", exchange.upload("south", "southwest", (14, 15)))
    exchange.call_everywhere("again", lenders=("south",), agencies=("west",))
    exchange.run_jobs("south")
    for name in ("south", "west"):
        exchange.integrator.integrate(exchange.people[name].organisation.id)
    changed = [ask for ask in reversed(asks) if without_export(asker.ask(ask)) != before[ask]]
    assert changed == []


@pytest.mark.parametrize("organisation", ["north", "idle", "auditor", OPERATOR])
def test_the_door_tells_nobody_who_has_an_account_where(asker: Asker, organisation: str) -> None:
    """With a wrong code, a wrong e-mail or a wrong password the answer is the same."""
    someone, client = asker.exchange.people[organisation], asker.app.test_client()
    code, email = someone.organisation.code, someone.member.email
    told = set()
    for given in ((code, email), (code, "nobody@example.com"), ("L-22222222", email), ("L-22222222", "x@example.com")):
        credentials = {"organisation": given[0], "email": given[1], "password": "a wrong password", "name": "new"}
        with client.post("/api/v1/sign-in", json=credentials | {"scopes": ["read"]}) as response:
            told.add((response.status_code, response.get_data(as_text=True)))
    assert len(told) == 1


def without_export(answer: Answer) -> Answer:
    """The answer without the id of the one export that it is, if it is a file: each taking has an id of its own."""
    named = re.search(
        r'attachment; filename="?[a-z-]+-([0-9a-f-]{36})\.csv', dict(answer.headers).get("Content-Disposition", "")
    )
    if named is None:
        return answer
    headers = tuple((name, value.replace(named[1], "…")) for name, value in answer.headers)
    return answer._replace(headers=headers, body=answer.body.replace(named[1], "…"))


def told_apart(asker: Asker, pairs: Iterable[Pair]) -> list[tuple[Ask, Answer, Answer]]:
    """The requests whose answer says whether an id is somebody else's or nobody's."""
    unknown: dict[str, Answer] = {}
    found = []
    for pair in pairs:
        foreign = asker.ask(pair.foreign)
        key = repr(pair.unknown)
        if key not in unknown:
            unknown[key] = asker.ask(pair.unknown)
        assert unknown[key].status < 500, pair
        leaks = asker.exchange.leaks(organisation_of(pair.foreign.reader), foreign.text())
        if foreign != unknown[key] or leaks:
            found.append((pair.foreign, foreign, unknown[key]))
    return found
