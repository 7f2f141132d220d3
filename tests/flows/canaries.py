"""An exchange in which every text and every amount carries the mark of those who may read it.

READERS is the table: mark -> the organisations that may ever see it. Two lenders (north, south) each place with two
agencies (east, west); a third agency (idle) has nothing; the auditor has a mandate of north alone.
"""

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from jobs import nightly
from jobs.integration import Integrator
from jobs.timetable import JOBS
from models.database import Database
from models.objects import ObjectStore
from models.organisation import Organisation
from models.placement import Placement
from models.services import (
    activity_files,
    assignments,
    claims,
    contacts,
    mandates,
    members,
    offers,
    organisations,
    placements,
    portfolios,
    promises,
    releases,
)
from models.work import Actor
from tests.conftest import Clock
from tests.facts import balance, ledger_file, payment, receive_balances, receive_payments
from tests.world import PASSWORD, Debt, Someone, World, case_file, within

LENDERS, AGENCIES = ("north", "south"), ("east", "west")
OPERATOR = "operator"
HOST = "consign.test"
DAY = dt.date(2026, 3, 10)  # on which everything is placed and worked
PERIOD = "2026-03"

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
ROLES: Final = {
    "north": ["portfolio_manager", "settlement_officer", "compliance_officer", "administrator"],
    "south": ["portfolio_manager", "settlement_officer", "compliance_officer", "administrator"],
    "east": ["manager"],
    "west": ["manager"],
    "idle": ["manager"],
    "auditor": ["auditor"],
    OPERATOR: ["operator"],
}
KINDS: Final = {
    **dict.fromkeys(LENDERS, "lender"),
    **dict.fromkeys((*AGENCIES, "idle"), "agency"),
    "auditor": "auditor",
    OPERATOR: "operator",
}
ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}(?![0-9a-f])")


class Named(NamedTuple):
    """An id that a request may name: what routes call it, and the mark of what it is."""

    noun: str
    mark: str
    id: str

    @property
    def readers(self) -> frozenset[str]:
        return READERS[self.mark]


def text_of(mark: str, more: object = "") -> str:
    """A text that carries the mark; small letters, for some texts are made small."""
    return f"zq{mark}{more}"


def amount(mark: str, cents: int) -> str:
    """An amount that carries the mark."""
    return f"{FIGURES[mark]}.{cents:02d}"


def marks_in(text: str) -> set[str]:
    """The marks that a text carries, however its amounts are written."""
    small = text.casefold()
    joined = re.sub(r"[,\s\u00a0\u202f]", "", small)
    return {mark for mark in READERS if text_of(mark) in small} | {
        mark for mark, figure in FIGURES.items() if f"{figure}." in joined
    }


class Exchange:
    """The seeded exchange: its people by name, the ids that requests may name, and who may know which id."""

    def __init__(self, database: Database, clock: Clock, objects: ObjectStore) -> None:
        self.database = database
        self.clock = clock
        self.world = World(database, clock)
        self.integrator = Integrator(database, objects, HOST)
        self.people: dict[str, Someone] = {}
        self.named: list[Named] = []
        self.knowers: Mapping[str, set[str]] = {}

    def seed(self) -> None:
        """Walk the whole path for everybody, and leave some of it for the jobs to find."""
        self._bring_in()
        for lender in LENDERS:
            for agency in AGENCIES:
                self._agree(lender, agency)
                self.place(lender, agency)
            self._move(lender)
            self._keep(lender)
        self.integrator.tick()
        for day in (1, 2):
            self.clock.at = dt.datetime(2026, 3, 9 + day, 14, 30, tzinfo=dt.UTC)  # half past ten in the evening
            for lender in LENDERS:
                for agency in AGENCIES:
                    self.call(lender, agency, f"night{day}")
        self.clock.at = dt.datetime(2026, 3, 13, 4, tzinfo=dt.UTC)
        for lender in LENDERS:
            self.settle(lender, 1)
            self.run_jobs(lender)
            self.settle(lender, 2)
        for lender in LENDERS:
            for agency in AGENCIES:
                self.call(lender, agency, "today")
        self.integrator.tick()

    def place(self, lender: str, agency: str) -> None:
        """Cases of the lender go to the agency, and all is done with them that is done on a first day."""
        mark, manager = lender + agency, self.people[agency]
        collector = self.people[f"{agency}.{lender}"]
        placement = self._placed(lender, agency, self.upload(lender, mark, 3))
        called, opened, _ = self.cases(lender, placement)
        with self.database.work(manager.actor) as work:
            assignments.assign(work, placement.id, collector.member.id, [called, opened])
        self._release(collector, called, "contact", "contact_borrower")
        self._release(collector, opened, "contact", "contact_borrower")
        self._release(manager, called, "identity", "verify_identity")
        self._release(self.people[lender], called, "identity", "answer_complaint")
        for minute in range(4):
            self.record(collector, called, _report(mark, f"call{minute}", self.clock.at + dt.timedelta(minutes=minute)))
        promise = promises.PromiseReport(Decimal(amount(mark, 1)), "CNY", DAY + dt.timedelta(days=1))
        with self.database.work(collector.actor) as work:
            promises.record(work, called, promise)
        for cents in (2, 3, 4):
            claim = claims.ClaimReport(Decimal(amount(mark, cents)), "CNY", DAY, _ref(mark, "paid", cents), "lender")
            with self.database.work(collector.actor) as work:
                claims.record(work, called, claim)
        with self.database.work(manager.actor) as work:
            activity_files.record_contacts(work, [contact_file(_number(mark, 1), mark)], "contacts.csv")

    def call(self, lender: str, agency: str, name: str) -> None:
        """One more call, now, on the case that was called on the first day."""
        with self.database.work(self.people[lender].actor) as work:
            case_id = cases.list_numbered(work, _number(lender + agency, 1))[0].id
        self.record(self.people[f"{agency}.{lender}"], case_id, _report(lender + agency, name, self.clock.at))

    def settle(self, lender: str, sequence: int) -> None:
        """The lender's files: payments that agree with claims, differ from them, or name no case; and balances."""
        someone, own, rows = self.people[lender], f"{lender}own", []
        for mark in (lender + agency for agency in AGENCIES):
            for cents in (1 + sequence, 90 + sequence):
                rows.append(payment(_number(mark, 1), amount(mark, cents), DAY, reference=_ref(mark, "booked", cents)))
        lost = payment(text_of(own, "-lost"), amount(own, sequence), DAY, reference=_ref(own, "lost", sequence))
        bad = payment(text_of(own, "-bad"), "-1.00", DAY, reference=_ref(own, "bad", sequence))
        receive_payments(self.world, someone, *rows, lost, bad, on=DAY, sequence=sequence)
        known = [balance(_number(lender + agency, 2), amount(lender + agency, 70)) for agency in AGENCIES]
        receive_balances(self.world, someone, *known, balance(text_of(own, "-no"), "1.00"), on=DAY, sequence=sequence)

    def run_jobs(self, lender: str) -> None:
        for job in JOBS.values():
            nightly.run(self.database, job, self.people[lender].organisation.id, DAY + dt.timedelta(days=2))

    def record(self, someone: Someone, case_id: UUID, report: contacts.ContactReport) -> None:
        with self.database.work(someone.actor) as work:
            contacts.record(work, case_id, report)

    def upload(self, lender: str, mark: str, count: int, product: str | None = None) -> Portfolio:
        """So many cases of the mark, and a row that is refused; the people are the same at every lender."""
        debts = [
            Debt(number, amount(mark, 10 + number), 35, product=text_of(product or mark), case_number=_number(mark, number))
            for number in range(1, count + 1)
        ]
        bad = Debt(99, "no number", case_number=text_of(mark, "-bad"))
        with self.database.work(self.people[lender].actor) as work:
            return portfolios.upload(work, [case_file([*debts, bad])], text_of(f"{lender}own", f" {mark}"))

    def cases(self, lender: str, placement: Placement) -> list[UUID]:
        return self.world.case_ids(placement, self.people[lender])

    def look_around(self, backup: psycopg.Connection) -> None:
        """Learn from the whole database which ids there are, and who may know them."""
        names = {someone.organisation.id.hex: key for key, someone in self.people.items() if "." not in key}
        named, knowers = list[Named](), defaultdict[str, set[str]](set)
        for table, row in rows_of(backup):
            parties = parties_to(table, row, names)
            for id_ in ids_in(json.dumps(row)):
                knowers[id_] |= parties
            named += names_of(table, row, names)
        self.named, self.knowers = named, knowers

    def leaks(self, organisation: str, text: str) -> set[str]:
        """The marks and ids in a text that this organisation may not read."""
        foreign = {mark for mark in marks_in(text) if organisation not in READERS[mark]}
        return foreign | {id_ for id_ in ids_in(text) if organisation not in self.knowers.get(id_, {organisation})}

    def _bring_in(self) -> None:
        for key, roles in ROLES.items():
            with self.database.work(self.world.operator) as work:
                made = organisations.create(work, KINDS[key], text_of(f"{key}name"))
            self._hire(key, made, key, roles, NAMED_BY[key])
        for lender in LENDERS:
            for role in ROLES[lender]:
                self._hire(f"{lender}.{role}", self.people[lender].organisation, lender, [role], f"{lender}house")
        for agency in AGENCIES:
            for lender in LENDERS:
                organisation = self.people[agency].organisation
                self._hire(f"{agency}.{lender}", organisation, agency, ["collector"], lender + agency)
        self._hire("idle.collector", self.people["idle"].organisation, "idle", ["collector"], "idleown")
        auditor, north = self.people["auditor"], self.people["north"]
        with self.database.work(north.actor) as work:
            mandates.grant(work, auditor.organisation.code, DAY, DAY + dt.timedelta(days=365))
        self.people["auditor.alone"] = auditor
        under_mandate = within(auditor.actor, north.organisation.id)
        self.people["auditor"] = Someone(auditor.organisation, auditor.member, under_mandate)

    def _hire(self, name: str, organisation: Organisation, key: str, roles: list[str], mark: str) -> None:
        email = f"{text_of(f'{key}own')}.{name}@example.com"
        with self.database.work(self.world.operator) as work:
            kind, org_id = organisation.kind, organisation.id
            member = members.create(work, kind, org_id, email, text_of(mark, f" {name}"), roles, PASSWORD)
        actor = Actor(kind, org_id, member.id, member.name, frozenset(member.roles))
        self.people[name] = Someone(organisation, member, actor)
        with self.database.work(actor) as work:
            members.create_token(work, member.id, text_of(f"{key}own"), ["read"], 1)

    def _agree(self, lender: str, agency: str) -> None:
        mark = lender + agency
        documents = {name: text_of(mark, f"-{name[:2]}") for name in ("processing_agreement", "impact_assessment")}
        rate = f"0.1{FIGURES[mark]}"
        terms = {"rate": rate, "number": text_of(mark, "-agreement"), **documents}
        made = self.world.agreement(self.people[lender], self.people[agency], **terms)
        self._agreements = getattr(self, "_agreements", {}) | {mark: made}

    def _placed(self, lender: str, agency: str, portfolio: Portfolio) -> Placement:
        offer = self._offer(lender, agency, portfolio)
        with self.database.work(self.people[agency].actor) as work:
            placement = offers.accept(work, offer.id)
        with self.database.work(self.people[agency].actor) as work:
            return placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
