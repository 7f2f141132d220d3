"""An exchange in which every text and every amount carries the mark of those who may read it.

READERS is the table: mark -> the organisations that may ever see it. Two lenders (north, south) each place with two
agencies (east, west); a third agency (idle) has nothing; the auditor has a mandate of north alone.
"""

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from jobs import nightly
from jobs.integration import Integrator
from jobs.timetable import JOBS
from jobs.webhooks import pass_on
from models.agreement import Agreement
from models.database import Database
from models.erasure import PORTFOLIO
from models.member import ROLES
from models.objects import ObjectStore
from models.offer import Offer
from models.organisation import Organisation
from models.placement import Placement
from models.portfolio import Portfolio
from models.services import webhook_deliveries, webhooks
from models.services.collection import activity_files, assignments, claims, contacts, promises, releases
from models.services.exchange import offers, placements, recalls, standard_terms, tenders
from models.services.parties import mandates, members, organisations
from models.services.portfolio import cases, erasures, exclusions, holds, portfolios
from models.services.portfolio.cases import CaseFilter
from models.standard_terms import EVERY_TIER
from models.work import OPERATOR, Actor
from tests.conftest import Clock
from tests.facts import balance, payment, receive_balances, receive_payments
from tests.world import PASSWORD, Debt, Someone, World, case_file, within

LENDERS, AGENCIES = ("north", "south"), ("east", "west")
HOST = "consign.test"
DAY = dt.date(2026, 3, 10)  # on which all is placed, worked and paid
PERIOD = "2026-03"
# Cases and their borrowers: the same people owe both lenders, and a lender's cases of one person go to one agency.
NUMBERS: Final = {"east": (1, 2, 3), "west": (11, 12, 13)}

READERS: Final[Mapping[str, frozenset[str]]] = {
    # Names of organisations: known to those they have a contract with, and to the operator.
    "northname": frozenset({"north", "east", "west", "auditor", OPERATOR}),
    "southname": frozenset({"south", "east", "west", OPERATOR}),
    "eastname": frozenset({"east", "north", "south", "auditor", OPERATOR}),
    "westname": frozenset({"west", "north", "south", "auditor", OPERATOR}),
    "idlename": frozenset({"idle", OPERATOR}),
    "auditorname": frozenset({"auditor", "north", OPERATOR}),
    "operatorname": frozenset({OPERATOR}),
    # What each keeps to itself: portfolios, suspense, e-mails, people without a case, tokens.
    "northown": frozenset({"north"}),
    "southown": frozenset({"south"}),
    "eastown": frozenset({"east"}),
    "westown": frozenset({"west"}),
    "idleown": frozenset({"idle"}),
    "auditorown": frozenset({"auditor"}),
    "operatorown": frozenset({OPERATOR}),
    # A lender's cases that no agency has, and its people's releases: its auditor reads them too.
    "northhouse": frozenset({"north", "auditor"}),
    "southhouse": frozenset({"south"}),
    # Managers of agencies, who act for both lenders.
    "eastface": frozenset({"east", "north", "south", "auditor"}),
    "westface": frozenset({"west", "north", "south", "auditor"}),
    # What a lender and an agency have in common: agreement, cases, contacts, promises, claims, collectors.
    "northeast": frozenset({"north", "east", "auditor"}),
    "northwest": frozenset({"north", "west", "auditor"}),
    "southeast": frozenset({"south", "east"}),
    "southwest": frozenset({"south", "west"}),
    # A case that east had first, and west has now. What each did with it carries the mark of the two.
    "northboth": frozenset({"north", "east", "west", "auditor"}),
    "southboth": frozenset({"south", "east", "west"}),
}
# All amounts that carry a mark begin with its figure.
FIGURES: Final[Mapping[str, int]] = {
    "northown": 31337,
    "southown": 37199,
    "northhouse": 41399,
    "southhouse": 43973,
    "northeast": 73939,
    "northwest": 79337,
    "southeast": 53993,
    "southwest": 59393,
    "northboth": 61379,
    "southboth": 67993,
}
KINDS: Final = {
    **dict.fromkeys(LENDERS, "lender"),
    **dict.fromkeys((*AGENCIES, "idle"), "agency"),
    "auditor": "auditor",
    OPERATOR: "operator",
}
FIRST_ROLES: Final = {"agency": ["manager"]}  # elsewhere the first person has every role
# Whose eyes the first person's name is for: others meet it beside what they do.
FIRST_MARKS: Final = {
    **{lender: f"{lender}house" for lender in LENDERS},
    **{agency: f"{agency}face" for agency in AGENCIES},
    **{key: f"{key}own" for key in ("idle", "auditor", OPERATOR)},
}
ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}(?![0-9a-f])")


class Named(NamedTuple):
    """An id that a request may name: what routes call it, and the mark of what it is the id of."""

    noun: str
    mark: str
    id: str


def text_of(mark: str, more: object = "") -> str:
    """A text that carries the mark, in small letters, because some texts are made small."""
    return f"zq{mark}{more}"


def amount(mark: str, cents: int) -> str:
    """An amount that carries the mark."""
    return f"{FIGURES[mark]}.{cents:02d}"


def marks_in(text: str) -> set[str]:
    """The marks that a text carries, however its amounts are written."""
    small = text.casefold()
    joined = re.sub(r"[,\s\u00a0\u202f]", "", small)
    words = {mark for mark in READERS if text_of(mark) in small}
    return words | {mark for mark, figure in FIGURES.items() if f"{figure}." in joined or f"0.1{figure}" in joined}


def ids_in(text: str) -> set[str]:
    return {id_.replace("-", "") for id_ in ID.findall(text)}


class Exchange:
    """The seeded exchange: its people by name, the ids that requests may name, and who may know which id."""

    def __init__(self, database: Database, clock: Clock, objects: ObjectStore) -> None:
        self.database = database
        self.clock = clock
        self.world = World(database, clock)
        self.integrator = Integrator(database, objects, HOST)
        self.people: dict[str, Someone] = {}
        self.agreements: dict[str, Agreement] = {}
        self.named: list[Named] = []
        self.knowers: Mapping[str, set[str]] = {}
        self.chapter = 1  # what was learned of the exchange holds until the next one begins

    def seed(self) -> None:
        """Walk the whole path for everybody, and leave some of it for the jobs to find."""
        self.bring_in()
        for lender in LENDERS:
            for agency in AGENCIES:
                self.agree(lender, agency)
                self.work_first_day(lender, agency)
            self._move(lender)
            self._keep(lender)
        self.integrator.tick()
        for day in (10, 11):
            self.clock.at = dt.datetime(2026, 3, day, 14, 30, tzinfo=dt.UTC)  # half past ten in the evening
            self.call_everywhere(f"night{day}")
        self.clock.at = dt.datetime(2026, 3, 13, 4, tzinfo=dt.UTC)
        for lender in LENDERS:
            self.settle(lender, 1)
            self.run_jobs(lender)
            self.settle(lender, 2)
            self.offer(lender, "east", self.upload(lender, f"{lender}house", (7, 8)))
        self.call_everywhere("today")
        self.integrator.tick()
        pass_on(self.database)

    def work_first_day(self, lender: str, agency: str) -> None:
        """Cases of the lender go to the agency, and all is done with them that is done on a first day."""
        mark, manager, collector = lender + agency, self.people[agency], self.people[f"{agency}.{lender}"]
        placement = self.place(lender, agency, self.upload(lender, mark, NUMBERS[agency]))
        called, opened, _ = self.world.case_ids(placement, self.people[lender])
        with self.database.work(manager.actor) as work:
            assignments.assign(work, placement.id, collector.member.id, [called, opened])
        self._release(collector, called, "contact", "contact_borrower")
        self._release(collector, opened, "contact", "contact_borrower")
        self._release(manager, called, "identity", "verify_identity")
        self._release(self.people[lender], called, "identity", "answer_complaint")
        for minute in range(4):
            self.call(lender, agency, called, f"call{minute}", self.clock.at + dt.timedelta(minutes=minute))
        promise = promises.PromiseReport(Decimal(amount(mark, 1)), "CNY", DAY + dt.timedelta(days=1))
        with self.database.work(collector.actor) as work:
            promises.record(work, called, promise)
        for cents in (2, 3, 4):
            reference = text_of(mark, f"-paid-{cents}")
            claim = claims.ClaimReport(Decimal(amount(mark, cents)), "CNY", DAY, reference, "lender")
            with self.database.work(collector.actor) as work:
                claims.record(work, called, claim)
        with self.database.work(manager.actor) as work:
            activity_files.record_contacts(
                work, [contact_file(number_of(mark, NUMBERS[agency][0]), mark)], "contacts.csv"
            )

    def call(self, lender: str, agency: str, case_id: UUID, name: str, at: dt.datetime) -> None:
        """The collector for that lender speaks with the borrower, and notes it down."""
        mark = lender + agency
        spoke = ("call", "outbound", "debtor", "conversation")
        report = contacts.ContactReport(*spoke, at, 60, text_of(mark, f"-{name}"), note=text_of(mark, f" {name}"))
        with self.database.work(self.people[f"{agency}.{lender}"].actor) as work:
            contacts.record(work, case_id, report)

    def settle(self, lender: str, sequence: int) -> None:
        """The lender's files: payments that agree with claims, differ from them, or name no case; and balances."""
        own, paid, stands = f"{lender}own", [], [balance(text_of(f"{lender}own", "-unknown"), "1.00")]
        for agency, (called, opened, _) in NUMBERS.items():
            mark = lender + agency
            for cents in (1 + sequence, 90 + sequence):
                reference = text_of(mark, f"-booked-{cents}")
                paid.append(payment(number_of(mark, called), amount(mark, cents), DAY, reference=reference))
            stands.append(balance(number_of(mark, opened), amount(mark, 70)))
        lost = payment(text_of(own, "-lost"), amount(own, sequence), DAY, reference=text_of(own, f"-lost-{sequence}"))
        bad = payment(text_of(own, "-bad"), "-1.00", DAY, reference=text_of(own, f"-bad-{sequence}"))
        receive_payments(self.world, self.people[lender], *paid, lost, bad, on=DAY, sequence=sequence)
        receive_balances(self.world, self.people[lender], *stands, on=DAY, sequence=sequence)

    def run_jobs(self, lender: str) -> None:
        for job in JOBS.values():
            nightly.run(self.database, job, self.people[lender].organisation.id, DAY + dt.timedelta(days=2))

    def upload(self, lender: str, mark: str, numbers: Iterable[int]) -> Portfolio:
        """These cases of the mark, and a row that is refused."""
        debts = [
            Debt(number, amount(mark, 10 + number), 35, product=text_of(mark), case_number=number_of(mark, number))
            for number in numbers
        ]
        refused = Debt(99, "no number", case_number=text_of(mark, "-refused"))
        with self.database.work(self.people[lender].actor) as work:
            return portfolios.upload(
                work, [case_file([*debts, refused])], text_of(f"{lender}own", f" {mark} {numbers}")
            )

    def offer(self, lender: str, agency: str, portfolio: Portfolio) -> Offer:
        with self.database.work(self.people[lender].actor) as work:
            return tenders.assign(work, portfolio.id, self.agreements[lender + agency].id)

    def place(self, lender: str, agency: str, portfolio: Portfolio) -> Placement:
        offer = self.offer(lender, agency, portfolio)
        with self.database.work(self.people[agency].actor) as work:
            placement = offers.accept(work, offer.id)
            return placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)

    def look_around(self, backup: psycopg.Connection) -> None:
        """Learn from the whole database which ids there are, and who may know them."""
        keys = {someone.organisation.id.hex: key for key, someone in self.people.items() if "." not in key}
        named, knowers = set[Named](), defaultdict[str, set[str]](set)
        for table, row in rows_of(backup):
            parties = parties_to(table, row, keys)
            for id_ in ids_in(json.dumps(row)):
                knowers[id_] |= parties
            named |= set(names_in(table, row, keys))
        self.named, self.knowers = sorted(named), knowers

    def readers_of(self, named: Named) -> Collection[str]:
        return self.knowers.get(named.id.replace("-", ""), READERS[named.mark])

    def leaks(self, organisation: str, text: str) -> set[str]:
        """The marks and ids in a text that this organisation may not read."""
        foreign = {mark for mark in marks_in(text) if organisation not in READERS[mark]}
        return foreign | {id_ for id_ in ids_in(text) & self.knowers.keys() if organisation not in self.knowers[id_]}

    def bring_in(self) -> None:
        """Everybody, with the auditor's mandate."""
        for key, kind in KINDS.items():
            with self.database.work(self.world.operator) as work:
                made = organisations.create(work, kind, text_of(f"{key}name"))
            self._hire(key, made, FIRST_ROLES.get(kind, list(ROLES[kind])), FIRST_MARKS[key])
        for role in ROLES["lender"]:
            self._hire(f"north.{role}", self.people["north"].organisation, [role], "northhouse")
        for lender in LENDERS:
            for agency in AGENCIES:
                self._hire(f"{agency}.{lender}", self.people[agency].organisation, ["collector"], lender + agency)
        for key in (*LENDERS, *AGENCIES):
            with self.database.work(self.people[key].actor) as work:
                made = webhooks.create(work, f"https://example.com/{text_of(f'{key}own')}", []).row
                webhook_deliveries.send_test(work, made.id)
        self._hire("idle.collector", self.people["idle"].organisation, ["collector"], "idleown")
        auditor, north = self.people["auditor"], self.people["north"]
        with self.database.work(north.actor) as work:
            mandates.grant(work, auditor.organisation.code, DAY, DAY + dt.timedelta(days=365))
        under_mandate = within(auditor.actor, north.organisation.id)
        self.people["auditor.alone"] = auditor
        self.people["auditor"] = Someone(auditor.organisation, auditor.member, under_mandate)

    def _hire(self, name: str, organisation: Organisation, roles: list[str], mark: str) -> None:
        own, kind, org_id = text_of(f"{organisation_of(name)}own"), organisation.kind, organisation.id
        with self.database.work(self.world.operator) as work:
            email = f"{own}.{name}@example.com"
            member = members.create(work, kind, org_id, email, text_of(mark, f" {name}"), roles, PASSWORD)
        actor = Actor(kind, org_id, member.id, member.name, frozenset(member.roles))
        self.people[name] = Someone(organisation, member, actor)
        with self.database.work(actor) as work:
            members.create_token(work, member.id, own, ["read"], 1)

    def agree(self, lender: str, agency: str) -> None:
        """No offer without an agreement."""
        mark = lender + agency
        papers = {paper: text_of(mark, f"-{paper[:2]}") for paper in ("processing_agreement", "impact_assessment")}
        number, rate = text_of(mark, "-agreement"), f"0.1{FIGURES[mark]}"
        agreed = self.world.agreement(self.people[lender], self.people[agency], rate, number=number, **papers)
        self.agreements[mark] = agreed

    def _move(self, lender: str) -> None:
        """A case that east has first, and west has after it was recalled: each calls its borrower."""
        portfolio = self.upload(lender, f"{lender}both", [4])
        for agency in AGENCIES:
            placement = self.place(lender, agency, portfolio)
            (case_id,) = self.world.case_ids(placement, self.people[lender])
            collector = self.people[f"{agency}.{lender}"]
            with self.database.work(self.people[agency].actor) as work:
                assignments.assign(work, placement.id, collector.member.id, [case_id])
            self.call(lender, agency, case_id, "moved", self.clock.at)
            if agency == "east":
                with self.database.work(self.people[lender].actor) as work:
                    recalls.recall(work, placement.id, "lender_request")

    def _keep(self, lender: str) -> None:
        """Cases that stay the lender's: never offered, offered and declined, held, or erased."""
        mark = f"{lender}house"
        self.upload(lender, mark, (5, 6))
        declined = self.offer(lender, "west", self.upload(lender, mark, (9, 10)))
        with self.database.work(self.people["west"].actor) as work:
            offers.decline(work, declined.id, "capacity")
        gone = self.upload(lender, mark, (16,))
        with self.database.work(self.people[lender].actor) as work:
            standard_terms.propose(work, EVERY_TIER, {"visits": False}, None)
        with self.database.work(self.people[lender].actor) as work:
            case_id = cases.list_own(work, CaseFilter(portfolio_id=declined.portfolio_id))[0].case.id
            exclusions.record(work, case_id, "in_court", "court", self.clock.at.date())
            holds.place(work, PORTFOLIO, declined.portfolio_id, "audit")
            erasures.erase(work, PORTFOLIO, gone.id)

    def call_everywhere(self, name: str, lenders: Iterable[str] = LENDERS, agencies: Iterable[str] = AGENCIES) -> None:
        """Each agency calls the first case of each lender once more, now."""
        for lender in lenders:
            for agency in agencies:
                with self.database.work(self.people[lender].actor) as work:
                    (case,) = cases.list_numbered(work, number_of(lender + agency, NUMBERS[agency][0]))
                self.call(lender, agency, case.id, name, self.clock.at)

    def _release(self, someone: Someone, case_id: UUID, field_class: str, reason: str) -> None:
        with self.database.work(someone.actor) as work:
            releases.authorise(work, case_id, field_class, reason)


def organisation_of(person: str) -> str:
    return person.split(".")[0]


def number_of(mark: str, number: int) -> str:
    """The case number of a mark's case."""
    return text_of(mark, f"-{number}")


def contact_file(case_number: str, mark: str) -> bytes:
    """One unanswered call of the first day."""
    header = "case_number,channel,direction,party,outcome,occurred_at,duration_seconds,external_ref"
    return f"{header}\n{case_number},call,outbound,debtor,busy,2026-03-10 10:04,,{text_of(mark, '-file')}\n".encode()


def rows_of(backup: psycopg.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table of ours, as JSON has it; the bytes of an audit entry as the text they are."""
    for schema, table in tables(backup):
        if schema == "public":
            for (row,) in backup.execute(sql.SQL("select row_to_json(t) from {} t").format(sql.Identifier(table))):
                if "entry" in row:
                    row["entry"] = bytes.fromhex(row["entry"].removeprefix("\\x")).decode()
                yield table, row


def tables(backup: psycopg.Connection) -> list[tuple[str, str]]:
    query = "select schemaname, tablename from pg_tables where schemaname in ('public', 'procrastinate') order by 1, 2"
    return backup.execute(query).fetchall()


def parties_to(table: str, row: dict[str, Any], keys: Mapping[str, str]) -> set[str]:
    """Whoever a row names as a party; the auditor, to what is north's; the operator, to what it looks after."""
    columns = ("lender_id", "agency_id", "auditor_id", "org_id", *(("id",) if table == "organisation" else ()))
    named = {column: keys.get(row[column].replace("-", "")) for column in columns if row.get(column)}
    found = {key for key in named.values() if key}
    if named.get("lender_id") == "north" or (table in LOG_TABLES and named.get("org_id") == "north"):
        found.add("auditor")
    return found | {OPERATOR} if table in {"tenant", "organisation", "organisation_key", "job_run"} else found


LOG_TABLES: Final = {"audit_outbox", "log_leaf", "log_head", "log_checkpoint"}
SHARED: Final = {
    "agency_document": "paper_id",
    "offer": "offer_id",
    "agreement": "agreement_id",
    "rate_card": "rate_card_id",
    "placement": "placement_id",
    "recall_request": "recall_id",
    "retention": "retention_id",
    "breach": "breach_id",
    "contact": "contact_id",
    "notice": "notice_id",
}
KEPT: Final = {
    "portfolio": "portfolio_id",
    "ledger_feed": "feed_id",
    "api_token": "token_id",
    "member": "collector_id",
    "erasure": "erasure_id",
    "legal_hold": "hold_id",
    "webhook": "webhook_id",
    "webhook_delivery": "delivery_id",
    "standard_terms": "standard_terms_id",
    "tender": "tender_id",
    "exclusion": "exclusion_id",
}


def names_in(table: str, row: dict[str, Any], keys: Mapping[str, str]) -> Iterator[Named]:
    """What requests may name of a row, under the name that routes give it."""

    def key(column: str) -> str:
        return keys.get((row.get(column) or "").replace("-", ""), "")

    if table in SHARED:
        yield Named(SHARED[table], key("lender_id") + key("agency_id"), row["id"])
    elif table in KEPT and (table != "member" or "collector" in row["roles"]):
        yield Named(KEPT[table], f"{key('lender_id') or key('org_id')}own", row["id"])
    elif table == "collection_case":
        mark = row["reference"].removeprefix("zq").split("-")[0]
        yield Named("case_id", mark, row["id"])
        yield Named("case_number", mark, row["reference"])
    elif table == "release":
        mark = key("lender_id") + (key("agency_id") or "house")
        yield Named("leaf_id", mark, row["entry_leaf"].removeprefix("\\x"))
    elif table == "organisation" and row["kind"] == "lender":
        yield Named("lender_id", f"{key('id')}name", row["id"])
        yield Named("organisation_code", f"{key('id')}name", row["code"])
    elif table == "organisation" and row["kind"] == "agency":
        yield Named("agency_id", f"{key('id')}face" if key("id") in AGENCIES else "idleown", row["id"])


# What may be written by a request that changes nothing: that it was refused, or that something was looked at.
LOGGED_ALONE: Final = {"public.audit_outbox", "public.access_refusal"}


def digest_of(backup: psycopg.Connection) -> dict[str, str]:
    """What stands in each table."""
    query = "select coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from {}.{} t"
    found = {}
    for schema, table in tables(backup):
        composed = sql.SQL(query).format(sql.Identifier(schema), sql.Identifier(table))
        ((found[f"{schema}.{table}"],),) = backup.execute(composed).fetchall()
    return found
