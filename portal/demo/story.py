"""The story: six days between a lender, two agencies and an auditor, told through the API alone."""

import datetime as dt
import random
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any

from urllib3 import HTTPConnectionPool

from models.business_day import ZONE
from models.clock import ShiftedClock
from models.csv_safe import csv_lines
from models.services.collection.release_limits import cases_max
from portal.demo.client import Client, Person, Refused, read_terms
from portal.demo.exchange import Exchange, listening

DAYS = 6  # the story begins so many days before today, and ends before this day began
CONTACTS, CLAIMS, RELEASES = 300, 100, 120
OPENED_AT_ONCE = 20  # a team's, in ten minutes: no faster than the house allows one person
CASES_MIN = 1_000  # with fewer, too few are left for the sealed bids
CASES_WHOLE = 2_500  # of a portfolio so small the agencies are offered less, for the exchange to have the rest
SEED = 20260105
# A reference of digits may look like somebody's number, and such a row is refused.
LETTERS = str.maketrans("0123456789", "ghjkmnpqrs")
EVERY_SCOPE = ["read", "portfolios", "exchange", "working", "ledger", "release", "audit", "directory"]

# Agency, what it is offered, at what rate. The first works early buckets, the second the later ones.
AGENCIES = (
    ("华信资产服务", ["M1"], 1_000, "0.12"),
    ("正和催收", ["M2", "M3", "M4", "M5", "M6", "M7+"], 900, "0.25"),
)
TITLES = {
    "portfolio_manager": "资产经理",
    "settlement_officer": "结算专员",
    "compliance_officer": "合规专员",
    "manager": "委外主管",
    "collector": "催收员",
    "auditor": "审计员",
}
OUTCOMES = ("conversation", "ring_no_answer", "ring_no_answer", "busy", "voicemail_no_message", "conversation")


@dataclass
class Told:
    """What the story did, counted from the API's own answers."""

    figures: dict[str, Any] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)


class Story:
    """Each method is a chapter; `tell` reads them in order."""

    def __init__(
        self, pool: HTTPConnectionPool, clock: ShiftedClock, today: dt.date, operator: tuple[str, str, str], say: Any
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.say = say
        self.password = operator[2]
        self.random = random.Random(SEED)  # noqa: S311 (a repeatable story, no secret)
        self.told = Told()
        self.today = today
        self.first_day = self.today - dt.timedelta(days=DAYS)
        self._go(self.first_day, "09:30")
        self.operator = self._signed_in("Consign", operator[0], ["operator"], operator[1], "")
        self.told.people.append(self.operator)

    def tell(self, portfolio: Iterable[bytes], another: Iterable[bytes]) -> Told:
        self.night = self.first_day  # the first whose jobs have not run yet
        self.bring_in()
        self.upload(portfolio)
        exchange = Exchange(
            self.lender, self.managers, self.agreements, self.portfolio["id"], self._go_today, self._step
        )
        with listening(self.pool.host) as program:
            exchange.subscribe(program)
            self.place()
            self.work()
            exchange.place_the_rest()
            self.count_placed()
            self.report()
            self.settle()
            exchange.take_back(self.placements[0]["id"])
            exchange.hear_out(program)
        self.leave_free(another)
        self.check()
        return self.told

    def bring_in(self) -> None:
        """The operator brings in a lender, two agencies and an auditor; the lender signs agreements."""
        self.lender = self._organisation("lender", "恒信消费金融", "portfolio_manager")
        self.settlement = self._colleague(self.lender, "settlement_officer")
        self.compliance = self._colleague(self.lender, "compliance_officer")
        self.managers = [self._organisation("agency", name, "manager") for name, *_ in AGENCIES]
        self.collectors = [[self._colleague(manager, "collector") for _ in range(2)] for manager in self.managers]
        self.auditor = self._organisation("auditor", "公信审计", "auditor")
        year = {
            "starts_on": f"{self.first_day - dt.timedelta(days=30)}",
            "ends_on": f"{self.today + dt.timedelta(days=335)}",
        }
        self.compliance.client.post("/mandates", {"auditor_code": self.auditor.code, **year})
        self.agreements = [
            self.lender.client.post(
                "/agreements",
                {
                    "agency_code": manager.code,
                    "number": f"WW-{self.today.year}-{place:03}",
                    "contingency_rate": rate,
                    "processing_agreement": f"PA-{place}",
                    "impact_assessment": f"IA-{place}",
                    **year,
                },
            )
            for place, (manager, (*_, rate)) in enumerate(zip(self.managers, AGENCIES, strict=True), 1)
        ]
        for agreement in self.agreements:
            self.settlement.client.post(f"/agreements/{agreement['id']}/approve")
        for manager, agreement in zip(self.managers, self.agreements, strict=True):
            self._papers(manager, agreement)
        people = len(self.told.people) - 1
        self._step(
            "organisations", f"1 lender, 2 agencies, 1 auditor, {people} people, {len(self.agreements)} agreements"
        )

    def _papers(self, manager: Person, agreement: dict[str, Any]) -> None:
        """The agency records and attests what the lender asks for by default; the lender accepts it."""
        lender_id = agreement["lender_id"]
        for kind in manager.client.get(f"/lenders/{lender_id}/required-documents")["kinds"]:
            made = manager.client.post(
                "/agency-documents",
                {
                    "counterparty_id": lender_id,
                    "kind": kind,
                    "number": f"{kind.upper()}-{self.today.year}",
                    "issuer": "上海市市场监督管理局" if kind == "licence" else "公信评估",
                    "issued_on": f"{self.first_day - dt.timedelta(days=100)}",
                    "expires_on": f"{self.first_day + dt.timedelta(days=265)}",
                },
            )
            manager.client.post(f"/agency-documents/{made['id']}/attest")
            self.compliance.client.post(f"/agency-documents/{made['id']}/accept")

    def upload(self, portfolio: Iterable[bytes]) -> None:
        started = time.monotonic()
        made = self.lender.client.send("/portfolios", portfolio, name=f"{self.first_day:%Y-%m} 逾期资产包")
        seconds = time.monotonic() - started
        if made["case_count"] < CASES_MIN:
            raise SystemExit(f"the story needs at least {CASES_MIN:,} cases, and this file has {made['case_count']:,}")
        self.portfolio = self.lender.client.get(f"/portfolios/{made['id']}")
        self.told.figures |= {"cases": made["case_count"], "sealed_cells": self.portfolio["sealed_cells"]}
        cells = self.portfolio["sealed_cells"]
        stand = f"{made['case_count']:,} cases of {made['borrower_count']:,} borrowers stand"
        refused = f"{made['refused_count']:,} rows refused with their reason"
        self._step("portfolio", f"{stand}, {refused}, {cells:,} cells sealed in {seconds:.1f} s")

    def place(self) -> None:
        """Offers by bucket; each agency sees strata only, accepts, acknowledges and deals its cases out."""
        self.placements = []
        for manager, collectors, agreement, (_, buckets, limit, _rate) in zip(
            self.managers, self.collectors, self.agreements, AGENCIES, strict=True
        ):
            offer = self.lender.client.post(
                "/offers",
                {
                    "portfolio_id": self.portfolio["id"],
                    "agreement_id": agreement["id"],
                    "buckets": buckets,
                    "case_limit": min(limit, self.told.figures["cases"] * limit // CASES_WHOLE),
                },
            )
            terms = read_terms(manager, offer["id"])
            placement = manager.client.post(f"/offers/{offer['id']}/accept", terms)
            seen = {"case_count": placement["case_count"], "balance": placement["referred_amount"]}
            placement = manager.client.post(f"/placements/{placement['id']}/acknowledge", seen)
            manager.client.post(
                f"/placements/{placement['id']}/assignments", {"collector_ids": [person.id for person in collectors]}
            )
            self.placements.append(placement)
        amounts = " and ".join(
            f"{p['case_count']:,} cases ({p['currency']} {p['referred_amount']})" for p in self.placements
        )
        self._step("placements", f"{amounts}, acknowledged and assigned")

    def count_placed(self) -> None:
        """With whom and in whichever way."""
        placements = self.lender.client.every("/placements")
        self.told.figures["placed"] = sum(placement["case_count"] for placement in placements)

    def work(self) -> None:
        """Collectors open numbers for a reason, call, and take promises. Some do what they must not."""
        self._go(self.first_day, "10:00")
        self.worked = [
            [(collector, case) for collector in team for case in collector.client.get("/cases", limit=200)["items"]]
            for team in self.collectors
        ]
        released = 0
        self.called = 0
        chosen = [
            self._some(queue[1:-1], min(RELEASES // len(self.worked), cases_max(placement["case_count"]) - 1))
            for queue, placement in zip(self.worked, self.placements, strict=True)
        ]
        for start in range(0, RELEASES // len(self.worked), OPENED_AT_ONCE):
            self._go(self.first_day, f"10:{12 * start // OPENED_AT_ONCE:02}")
            for collector, case in chain.from_iterable(cases[start : start + OPENED_AT_ONCE] for cases in chosen):
                self._release(collector, case)
                self._call(collector, case, self.random.choice(OUTCOMES))
                released += 1
        collector, case = self.worked[0][0]
        for minute in range(4):  # The fourth conversation with one person on one day is one too many.
            self._go(self.first_day, f"11:{minute * 10:02}")
            self._call(collector, case, "conversation")
        for queue in self.worked:
            for collector, case in queue[:10]:
                half = _money(Decimal(case["balance"]) / 2)
                due = f"{self.today + dt.timedelta(days=7)}"
                promise = {"amount": half, "currency": case["currency"], "due_on": due}
                collector.client.post(f"/cases/{case['id']}/promises", promise)
        # Opened and never called: found when its day is over. No contact is reported for the last case.
        idle_collector, idle_case = self.worked[1][-1]
        self._release(idle_collector, idle_case)
        self.told.figures["releases"] = released + 1

    def report(self) -> None:
        """The rest of the calls and the claims come as files, the next morning; some calls were at night."""
        self._sleep_until(self.first_day + dt.timedelta(days=1))
        self._go(self.first_day + dt.timedelta(days=1), "09:00")
        remaining = CONTACTS - self.called
        for manager, queue, share in zip(
            self.managers, self.worked, (remaining // 2, remaining - remaining // 2), strict=True
        ):
            outcome = manager.client.send("/activity/contacts", _file(self._contact_rows(queue[:-1], share)))
            assert outcome["refused"] == 0, outcome
            self.called += outcome["accepted"]
        self.told.figures["contacts"] = self.called
        self.claimed: list[dict[str, Any]] = []
        for manager, queue in zip(self.managers, self.worked, strict=True):
            self._claims(manager, queue, CLAIMS // len(self.managers))
        self.told.figures["claims"] = len(self.claimed)
        self._step(
            "work",
            f"{self.told.figures['releases']} releases, each logged first; {self.called} contacts, 20 promises,"
            f" {len(self.claimed)} payment claims",
        )

    def settle(self) -> None:
        """The lender's ledger disagrees with some claims; the nights find out which."""
        day = self.first_day + dt.timedelta(days=2)
        self._sleep_until(day)
        self._go(day, "08:30")
        client = self.settlement.client
        payments = client.send("/ledger/payments", _file(self._ledger_rows(day)), business_date=f"{day}")
        balances = client.send("/ledger/balances", _file(self._balance_rows()), business_date=f"{day}")
        self._paid_off_refuses()
        self._sleep_until(self.today - dt.timedelta(days=1))
        breaks = client.every("/breaks", state="open")
        matches = client.every("/matches")
        heads = client.get("/statements")
        commission = sum((Decimal(head["commission"]) for head in heads), Decimal())
        recovered = sum((Decimal(head["recovered"]) for head in heads), Decimal())
        self.told.figures |= {
            "matched": len({match["claim_id"] for match in matches}),
            "breaks": len(breaks),
            "recovered": f"{recovered:.2f}",
            "commission": f"{commission:.2f}",
        }
        received = f"{payments['row_count']} payments ({payments['suspense_count']} in suspense)"
        found = f"{balances['row_count']} balances; {len(matches)} claims matched, {len(breaks)} breaks open"
        self._step("ledger", f"{received}, {found}")
        self._step("commission", f"recovered CNY {recovered:,.2f}, commission CNY {commission:,.2f}")

    def leave_free(self, portfolio: Iterable[bytes]) -> None:
        """A second portfolio, of which nothing is placed: for whoever goes on from here."""
        made = self.lender.client.send("/portfolios", portfolio, name=f"{self.today:%Y-%m} 待委外资产包")
        self._step("left free", f"{made['case_count']:,} cases of a second portfolio, for you to place")

    def check(self) -> None:
        """The auditor sees every breach, and takes the lender's log away to verify it."""
        lender_id = self.auditor.client.get("/mandates")[0]["lender_id"]
        self.auditor = self._signed_in(
            self.auditor.organisation, self.auditor.code, ["auditor"], self.auditor.email, self.auditor.id, lender_id
        )
        breaches = self.auditor.client.every("/breaches")
        kinds = {breach["rule_id"] for breach in breaches}
        assert len(kinds) >= 3, kinds
        self.auditor.client.get(f"/breaches/{breaches[0]['id']}")
        self.told.figures["breaches"] = len(breaches)
        self._step("conduct", f"{len(breaches)} breaches of {len(kinds)} rules: {', '.join(sorted(kinds))}")

    def log(self) -> tuple[bytes, str]:
        """The lender's audit log as a file, and the key that verifies it."""
        key = self.auditor.client.get("/audit-log/key")["verifier_key"]
        return self.auditor.client.text("/audit-log"), key

    def statements(self) -> Iterator[bytes]:
        """Every statement as the file that both parties recompute."""
        for head in self.settlement.client.get("/statements"):
            yield self.settlement.client.text(f"/statements/{head['agreement_id']}/{head['period']}.csv")

    def end(self) -> None:
        """Back to the present."""
        self._go(self.today, None)

    def _call(self, collector: Person, case: dict[str, Any], outcome: str) -> None:
        contact = {
            "channel": "call",
            "direction": "outbound",
            "party": "debtor",
            "outcome": outcome,
            "occurred_at": self.clock().isoformat(),
            "duration_seconds": 45 if outcome == "conversation" else 0,
        }
        collector.client.post(f"/cases/{case['id']}/contacts", contact)
        self.called += 1

    def _contact_rows(self, queue: list[tuple[Person, dict[str, Any]]], count: int) -> Iterator[tuple[object, ...]]:
        """Calls of the first day's afternoon, and three at half past ten in the evening."""
        yield (
            "case_number",
            "channel",
            "direction",
            "party",
            "outcome",
            "occurred_at",
            "duration_seconds",
            "external_ref",
        )
        for number, (_, case) in enumerate(self._around(queue[1:], count)):
            clock = "22:30" if number < 3 else f"{14 + number % 5}:{number % 60:02}"
            outcome = OUTCOMES[number % len(OUTCOMES)]
            seconds = 60 if outcome == "conversation" else 0
            at = f"{self.first_day}T{clock}:00+08:00"
            yield (
                case["reference"],
                "call",
                "outbound",
                "debtor",
                outcome,
                at,
                seconds,
                f"CDR-{secrets.token_hex(6).translate(LETTERS)}",
            )

    def _claims(self, manager: Person, queue: list[tuple[Person, dict[str, Any]]], count: int) -> None:
        rows = [
            {
                "case": case,
                "amount": _money(Decimal(case["balance"]) * Decimal(self.random.choice(("0.1", "0.25", "0.5", "1")))),
                "paid_on": f"{self.first_day + dt.timedelta(days=1)}",
                "reference": f"{manager.code[2:6]}-{number:04}",
            }
            for number, (_, case) in enumerate(self._some(queue, count))
        ]
        by_api, by_file = rows[:10], rows[10:]
        for row in by_api:
            claim = {key: row[key] for key in ("amount", "paid_on", "reference")}
            manager.client.post(
                f"/cases/{row['case']['id']}/claims", claim | {"currency": row["case"]["currency"], "paid_to": "lender"}
            )
        header = ("case_number", "amount", "currency", "paid_on", "reference", "paid_to")
        lines = [
            (r["case"]["reference"], r["amount"], r["case"]["currency"], r["paid_on"], r["reference"], "lender")
            for r in by_file
        ]
        outcome = manager.client.send("/activity/claims", _file([header, *lines]))
        assert outcome["refused"] == 0, outcome
        self.claimed += rows

    def _ledger_rows(self, day: dt.date) -> Iterator[tuple[object, ...]]:
        """Of every ten claims one was never paid, one was paid less and one goes by another reference."""
        yield ("case_number", "amount", "currency", "value_date", "posting_date", "reference", "paid_to")
        for number, claim in enumerate(self.claimed):
            if number % 10 == 0:
                continue
            amount = _money(Decimal(claim["amount"]) * Decimal("0.8")) if number % 10 == 1 else claim["amount"]
            reference = f"BK-{number:05}" if number % 10 == 2 else claim["reference"]
            yield (
                claim["case"]["reference"],
                amount,
                claim["case"]["currency"],
                claim["paid_on"],
                f"{day}",
                reference,
                "lender",
            )
        for number, (_, case) in enumerate(self.worked[0][-8:-3]):  # Paid straight to the lender, never claimed.
            yield (case["reference"], "500.00", case["currency"], f"{day}", f"{day}", f"DIRECT-{number}", "lender")
        yield ("NO-SUCH-CASE-1", "88.00", "CNY", f"{day}", f"{day}", "SUSPENSE-1", "lender")

    def _balance_rows(self) -> Iterator[tuple[object, ...]]:
        yield ("case_number", "balance", "currency", "status")
        for number, claim in enumerate(self.claimed):
            if number % 10 in (0, 1):
                continue
            case = claim["case"]
            left = Decimal(case["balance"]) - Decimal(claim["amount"])
            yield (case["reference"], _money(left), case["currency"], "open" if left else "paid_off")

    def _paid_off_refuses(self) -> None:
        """A case paid off yesterday opens nothing today."""
        for number, claim in enumerate(self.claimed):
            if number % 10 > 1 and claim["amount"] == _money(Decimal(claim["case"]["balance"])):
                holder = next(c for queue in self.worked for c, case in queue if case["id"] == claim["case"]["id"])
                try:
                    self._release(holder, claim["case"])
                except Refused as refused:
                    self._step("paid off", f"a release is refused: {refused.problem['title']}")
                    return
                raise AssertionError("a case paid off was opened")

    def _release(self, collector: Person, case: dict[str, Any]) -> None:
        collector.client.post(f"/cases/{case['id']}/releases", {"field_class": "contact", "reason": "contact_borrower"})

    def _sleep_until(self, day: dt.date) -> None:
        """The nights up to the morning of `day`, each with its jobs at ten past one."""
        while self.night < day:
            self._go(self.night + dt.timedelta(days=1), "01:10")
            for job in ("conduct", "reconciliation", "commission"):
                self._run(job, self.night)
            self.night += dt.timedelta(days=1)

    def _run(self, job: str, night: dt.date) -> None:
        """Ask for a run and wait for its end, as the portal's page does."""
        client = self.settlement.client
        run = client.post("/job-runs", {"job": job, "business_date": f"{night}"})
        give_up = time.monotonic() + 60
        while run["state"] not in ("done", "failed"):
            assert time.monotonic() < give_up, f"{job} of {night} does not end"
            time.sleep(0.05)
            runs = client.get("/job-runs", job=job)["items"]
            run = next(r for r in runs if r["business_date"] == f"{night}")
        assert run["state"] == "done", run

    def _organisation(self, kind: str, name: str, role: str) -> Person:
        made = self.operator.client.post("/organisations", {"kind": kind, "name": name})
        email = f"{role.replace('_', '.')}@{kind}{len(self.told.people)}.example"
        roles = _first_roles(role)
        body = {"email": email, "name": TITLES[role], "roles": roles, "password": self.password}
        member = self.operator.client.post(f"/organisations/{made['id']}/members", body)
        person = self._signed_in(name, made["code"], roles, email, member["id"])
        self.told.people.append(person)
        return person

    def _colleague(self, of: Person, role: str) -> Person:
        email = f"{role.replace('_', '.')}{len(self.told.people)}@{of.email.partition('@')[2]}"
        title = f"{TITLES[role]} {len(self.told.people)}" if role == "collector" else TITLES[role]
        body = {"email": email, "name": title, "roles": [role], "password": self.password}
        member = of.client.post("/members", body)
        person = self._signed_in(of.organisation, of.code, [role], email, member["id"])
        self.told.people.append(person)
        return person

    def _signed_in(
        self, organisation: str, code: str, roles: list[str], email: str, member_id: str, lender_id: str | None = None
    ) -> Person:
        body = {"organisation": code, "email": email, "password": self.password, "name": "demo", "scopes": EVERY_SCOPE}
        made = Client(self.pool).post("/sign-in", body | {"days": 30, "lender_id": lender_id})
        return Person(organisation, code, roles, email, Client(self.pool, made["token"]), member_id)

    def _some(self, queue: list[Any], count: int) -> list[Any]:
        return self.random.sample(queue, min(count, len(queue)))

    def _around(self, queue: list[Any], count: int) -> Iterator[Any]:
        """`count` items, going around as often as needed: nobody is called four times in one day."""
        for number in range(count):
            yield queue[number % len(queue)]

    def _go(self, day: dt.date, time_of_day: str | None) -> None:
        """Move the story's clock; None is the present."""
        if time_of_day is None:
            self.clock.path.write_text("0")
            return
        self.clock.set(dt.datetime.combine(day, dt.time.fromisoformat(time_of_day), ZONE))

    def _go_today(self, time_of_day: str) -> None:
        """The same, on the day on which the story is."""
        self._go(self.clock().astimezone(ZONE).date(), time_of_day)

    def _step(self, name: str, text: str) -> None:
        self.told.steps.append((name, text))
        self.say(f"  {name:<14}{text}")


def _first_roles(role: str) -> list[str]:
    """A lender's first person also administers, so as to add colleagues."""
    return [role, "administrator"] if role == "portfolio_manager" else [role]


def _money(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.01'))}"


def _file(rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    return (line.encode() for line in csv_lines(rows))
