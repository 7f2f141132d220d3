"""The ordinary case, made by the real verbs: a lender, agencies, an auditor, their people, cases and placements."""

import csv
import datetime as dt
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from models.agency_document import DUE_DILIGENCE, EVALUATION_DAYS_MAX, LICENCE, Paper
from models.agreement import Agreement
from models.database import Database
from models.identifiers import check_character
from models.member import Member
from models.offer import Offer
from models.organisation import Organisation
from models.placement import Placement
from models.portfolio import Portfolio
from models.services.exchange import agreements, offers, placements, tenders
from models.services.parties import agency_documents, mandates, members, organisations
from models.services.portfolio import portfolios
from models.work import OPERATOR, Actor

PASSWORD = "correct horse battery staple"
LETTERS = str.maketrans("0123456789", "GHJKMNPQRS")
CASE_NUMBER = re.compile("K-[a-fGHJKMNPQRS]{16}")  # as `case_file` makes them; a token by chance may hold the start
NUMBERS = itertools.count(1)
LASTING = {DUE_DILIGENCE: EVALUATION_DAYS_MAX}  # days
UPLOAD_ROUNDS = 10  # rounds of a race that share a portfolio


@dataclass(frozen=True)
class Debt:
    """A row of a case file; `borrower` is any number, and equal numbers are one person."""

    borrower: int
    balance: str = "1000.00"
    dpd: int = 45
    currency: str = "CNY"
    product: str = "credit_card"
    case_number: str | None = None


@dataclass(frozen=True)
class Someone:
    """A person of an organisation, ready to act: `database.work(someone.actor)`."""

    organisation: Organisation
    member: Member
    actor: Actor


class World:
    """Each instance makes tenants of its own, so tests share a database and never meet."""

    def __init__(self, database: Database, clock: Callable[[], dt.datetime]) -> None:
        self.database = database
        self.clock = clock
        self.operator = Actor(side=OPERATOR, org_id=uuid4(), member_id=uuid4(), name="operator")

    def organisation(self, kind: str, role: str, name: str | None = None, self_custody: bool = False) -> Someone:
        """A new organisation of `kind` and its first person with `role`."""
        with self.database.work(self.operator) as work:
            made = organisations.create(work, kind, name or f"{kind} {uuid4().hex[:6]}", self_custody)
            member = members.create(work, kind, made.id, f"{uuid4().hex[:8]}@example.com", role, [role], PASSWORD)
        return Someone(made, member, _actor(made, member))

    def person(self, of: Someone, role: str) -> Someone:
        """One more person of the same organisation."""
        with self.database.work(of.actor) as work:
            email = f"{uuid4().hex[:8]}@example.com"
            member = members.create(work, of.organisation.kind, of.organisation.id, email, role, [role], PASSWORD)
        return Someone(of.organisation, member, _actor(of.organisation, member))

    def lender(self, role: str = "portfolio_manager") -> Someone:
        return self.organisation("lender", role)

    def agency(self, role: str = "manager") -> Someone:
        return self.organisation("agency", role)

    def auditor(self, of: Someone | None = None) -> Someone:
        """An auditor; with a mandate of the lender `of`, and working in its tenant, if one is given."""
        someone = self.organisation("auditor", "auditor")
        if of is None:
            return someone
        today = self.clock().date()
        with self.database.work(of.actor) as work:
            mandates.grant(work, someone.organisation.code, today, today + dt.timedelta(days=365))
        return Someone(someone.organisation, someone.member, within(someone.actor, of.organisation.id))

    def agreement(self, lender: Someone, agency: Someone, rate: str = "0.18", **changes: object) -> Agreement:
        today = self.clock().date()
        terms = agreements.Terms(
            number=f"AG-{next(NUMBERS)}",
            currency="CNY",
            contingency_rate=Decimal(rate),
            term_days=90,
            tail_days=15,
            agency_may_receive=False,
            processing_agreement="PA-1",
            impact_assessment="IA-1",
            starts_on=today - dt.timedelta(days=30),
            ends_on=today + dt.timedelta(days=335),
        )._replace(**changes)
        with self.database.work(lender.actor) as work:
            made = agreements.create(work, agency.organisation.code, terms)
        with self.database.work(self.person(lender, "administrator").actor) as work:
            approved = agreements.approve(work, made.id)
        self.papers(lender, agency)
        return approved

    def papers(self, lender: Someone, agency: Someone, kinds: Iterable[str] = (LICENCE, DUE_DILIGENCE)) -> None:
        """What a lender asks for by default, unless it stands already: recorded, attested and accepted."""
        today, agency_id = self.clock().date(), agency.organisation.id
        with self.database.work(lender.actor) as work:
            standing = agency_documents.find_counting(work, work.tenant_id, [agency_id], today)[agency_id]
            papers = [
                Paper(kind, f"{kind}-1", "issuer", today, today + dt.timedelta(days=LASTING.get(kind, 700)))
                for kind in kinds
                if kind not in standing
            ]
            made = [agency_documents.record(work, agency_id, paper).id for paper in papers]
        with self.database.work(agency.actor) as work:
            for document_id in made:
                agency_documents.attest(work, document_id)
        with self.database.work(lender.actor) as work:
            for document_id in made:
                agency_documents.accept(work, document_id)

    def portfolio(self, lender: Someone, cases: int | Iterable[Debt] = 3) -> Portfolio:
        """An uploaded file of the debts given, or of so many, each of another borrower."""
        debts = [Debt(borrower) for borrower in range(1, cases + 1)] if isinstance(cases, int) else cases
        with self.database.work(lender.actor) as work:
            return portfolios.upload(work, [case_file(debts)], f"portfolio {uuid4().hex[:6]}")

    def portfolios(self, lender: Someone, households: int, rounds: int) -> Iterator[Portfolio]:
        """For each round one with so many households for it: some share one, for an upload costs more than a round."""
        for first in range(0, rounds, UPLOAD_ROUNDS):
            together = min(UPLOAD_ROUNDS, rounds - first)
            borrowers = range(households * first + 1, households * (first + together) + 1)
            yield from itertools.repeat(self.portfolio(lender, [Debt(number) for number in borrowers]), together)

    def offer(self, lender: Someone, agency: Someone, cases: int | Iterable[Debt] = 3, **terms: object) -> Offer:
        """A new portfolio, offered to the agency under a new agreement."""
        portfolio, agreement = self.portfolio(lender, cases), self.agreement(lender, agency, **terms)
        with self.database.work(lender.actor) as work:
            return tenders.assign(work, portfolio.id, agreement.id)

    def placement(
        self,
        lender: Someone,
        agency: Someone,
        cases: int | Iterable[Debt] = 3,
        acknowledged: bool = True,
        **terms: object,
    ) -> Placement:
        """Accepted by the agency, and acknowledged unless told otherwise."""
        offer = self.offer(lender, agency, cases, **terms)
        with self.database.work(agency.actor) as work:
            placement = offers.accept(work, offer.id)
        if acknowledged:
            with self.database.work(agency.actor) as work:
                placement = placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
        return placement

    def case_ids(self, placement: Placement, lender: Someone) -> list[UUID]:
        """The cases of a placement, in order of upload."""
        with self.database.work(lender.actor) as work:
            return sorted(line.case.id for line in placements.list_cases(work, placement.id, limit=200))


def case_file(debts: Iterable[Debt]) -> bytes:
    """A CSV of valid rows; each case number is new unless given."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["case_number", "product", "currency", "balance", "dpd", "name", "id_number", "mobile"])
    for debt in debts:
        # Letters only: digits by chance may look like somebody's number, and such a row is refused.
        number = debt.case_number or "K-" + uuid4().hex[:16].translate(LETTERS)
        identity = ["张三", _resident_id(debt.borrower), f"138{debt.borrower:08d}"]
        rows.writerow([number, debt.product, debt.currency, debt.balance, debt.dpd, *identity])
    return text.getvalue().encode()


def _resident_id(number: int) -> str:
    born = dt.date(1970, 1, 1) + dt.timedelta(days=number % 9000)
    body = f"110101{born:%Y%m%d}{number // 9000 + 1:03d}"
    return body + check_character(body)


def _actor(organisation: Organisation, member: Member) -> Actor:
    return Actor(
        side=organisation.kind,
        org_id=organisation.id,
        member_id=member.id,
        name=member.name,
        roles=frozenset(member.roles),
    )


def within(actor: Actor, lender_id: UUID) -> Actor:
    return Actor(
        side=actor.side,
        org_id=actor.org_id,
        member_id=actor.member_id,
        name=actor.name,
        roles=actor.roles,
        mandate_lender_id=lender_id,
    )
