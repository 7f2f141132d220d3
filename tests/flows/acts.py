"""What people and jobs do with what is theirs, done and taken back: what came of it, and how many rows it touched."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from models.services import job_runs
from models.services.collection import activity_files, assignments, contacts, releases
from models.services.exchange import expiries, offers, placements, recalls, tenders
from models.services.oversight import conduct
from models.services.portfolio import portfolios
from models.services.settlement import commissions, ledgers, reconciliations
from models.work import JOBS, Actor, Work
from tests.facts import BALANCE_HEADER, PAYMENT_HEADER, balance, ledger_file, payment
from tests.flows.canaries import DAY, Exchange, contact_file, number_of
from tests.world import Debt, case_file

TOUCHED = text(
    "select distinct relname from pg_locks join pg_class on pg_class.oid = relation"
    " where pid = pg_backend_pid() and locktype = 'relation' and relkind = 'r'"
    " and relnamespace = 'public'::regnamespace"
)
WRITTEN = text(
    "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_xact_user_tables where schemaname = 'public'"
)


class Outcome(NamedTuple):
    """What the act answered, how many rows of which table it inserted, updated and deleted, and what it looked at."""

    answer: Any
    written: Counter[tuple[str, str]]
    touched: frozenset[str]


class _TakenBack(Exception):
    """Nothing of it stays."""


Verb = Callable[[Work, Exchange], Any]


class Act(NamedTuple):
    """`later`: after so many days."""

    person: str
    verb: Verb
    by_jobs: bool = False
    later: int = 0


def perform(exchange: Exchange, act: Act) -> Outcome:
    someone, now = exchange.people[act.person], exchange.clock.at
    actor = Actor(side=JOBS, org_id=someone.organisation.id, name="test") if act.by_jobs else someone.actor
    exchange.clock.at = now + dt.timedelta(days=act.later)
    outcome = None
    try:
        with exchange.database.work(actor) as work:
            before = _written(work)  # a server process has not yet told of all that it did earlier
            answer = act.verb(work, exchange)
            work.session.flush()
            outcome = Outcome(answer, _written(work) - before, frozenset(work.session.scalars(TOUCHED)))
            raise _TakenBack
    except _TakenBack:
        assert outcome is not None
        return outcome
    finally:
        exchange.clock.at = now


def _written(work: Work) -> Counter[tuple[str, str]]:
    rows = work.session.execute(WRITTEN).all()
    return Counter({(row[0], how): count for row in rows for how, count in zip("iud", row[1:], strict=True)})


def _id(exchange: Exchange, noun: str, mark: str, place: int = 0) -> UUID:
    return UUID([named.id for named in exchange.named if (named.noun, named.mark) == (noun, mark)][place])


def _recall(work: Work, exchange: Exchange) -> int:
    return recalls.recall(work, _id(exchange, "placement_id", "northeast"), "complaint").case_count


def _upload(number: str) -> Verb:
    def verb(work: Work, exchange: Exchange) -> Any:
        made = portfolios.upload(work, [case_file([Debt(1, case_number=number)])], "new")
        return made.case_count, made.borrower_count, made.refused_count

    return verb


def _pay(number: str) -> Verb:
    def verb(work: Work, exchange: Exchange) -> Any:
        file = ledger_file([payment(number, "5.00", DAY, reference="new")], PAYMENT_HEADER)
        feed = ledgers.receive_payments(work, [file], DAY, 9)
        return feed.row_count, feed.refused_count, feed.suspense_count

    return verb


def _balance(number: str) -> Verb:
    def verb(work: Work, exchange: Exchange) -> Any:
        file = ledger_file([balance(number, "5.00")], BALANCE_HEADER)
        feed = ledgers.receive_balances(work, [file], DAY, 9)
        return feed.row_count, feed.refused_count

    return verb


def _contact_file(number: str) -> Verb:
    return lambda work, exchange: activity_files.record_contacts(work, [contact_file(number, "new")], "contacts.csv")


def _claim_file(number: str) -> Verb:
    file = f"case_number,amount,currency,paid_on,reference,paid_to\n{number},5.00,CNY,2026-03-10,new,lender\n"
    return lambda work, exchange: activity_files.record_claims(work, [file.encode()], "claims.csv")


# Files that name a case by its number: who sends them, the verb, and a number that others use.
NAMED_BY_NUMBER: Final[Mapping[str, tuple[str, Callable[[str], Verb], str]]] = {
    "upload": ("north", _upload, number_of("southeast", 1)),
    "pay": ("north", _pay, number_of("southeast", 1)),
    "balance": ("north", _balance, number_of("southeast", 1)),
    "contacts of another lender": ("east", _contact_file, number_of("southwest", 11)),
    "contacts of another agency": ("east", _contact_file, number_of("northwest", 11)),
    "contacts of nobody's": ("east", _contact_file, number_of("northhouse", 5)),
    "claims of another lender": ("east", _claim_file, number_of("southwest", 11)),
    "claims of another agency": ("east", _claim_file, number_of("northwest", 11)),
}


def _offer_free(work: Work, exchange: Exchange) -> Any:
    made = tenders.assign(work, _id(exchange, "portfolio_id", "northown", 3), exchange.agreements["northeast"].id)
    return made.case_count, made.borrower_count, made.balance


def _accept(work: Work, exchange: Exchange) -> Any:
    (offer,) = offers.list_own(work, state="offered")[-1:]
    made = offers.accept(work, offer.id)
    made = placements.acknowledge(work, made.id, made.case_count, made.referred_amount)
    return made.case_count, made.referred_amount


def _deal(work: Work, exchange: Exchange) -> Any:
    collectors = [collector.id for collector in assignments.collectors(work)]
    return assignments.assign_evenly(work, _id(exchange, "placement_id", "northeast"), collectors)


def _release(work: Work, exchange: Exchange) -> Any:
    held = releases.authorise(work, _id(exchange, "case_id", "northeast"), "identity", "verify_identity")
    return held.record.cell_version, held.record.cell_digest


def _call(work: Work, exchange: Exchange) -> Any:
    report = contacts.ContactReport("call", "outbound", "debtor", "busy", work.at, 60, "new", "a note")
    return contacts.record(work, _id(exchange, "case_id", "northeast"), report).outcome


ACTS: Final[Mapping[str, Act]] = {
    "conduct": Act("north", lambda work, _: conduct.sweep(work, DAY + dt.timedelta(days=3)), by_jobs=True),
    "reconciliation": Act("north", lambda work, _: reconciliations.run(work, DAY), by_jobs=True),
    "commission": Act("north", lambda work, _: commissions.book(work, DAY), by_jobs=True),
    "offers expire": Act("north", lambda work, _: offers.expire_due(work), by_jobs=True, later=30),
    "placements expire": Act("north", lambda work, _: expiries.expire_due(work), by_jobs=True, later=100),
    "a run is asked for": Act("north", lambda work, _: job_runs.request(work, "conduct", DAY).state),
    "cases are offered": Act("north", _offer_free),
    "cases are recalled": Act("north", _recall),
    "an offer is accepted": Act("east", _accept),
    "cases are dealt out": Act("east", _deal),
    "a field is released": Act("east", _release),
    "a contact is reported": Act("east.north", _call),
    **{name: Act(person, verb(number)) for name, (person, verb, number) in NAMED_BY_NUMBER.items()},
}
