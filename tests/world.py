"""The ordinary case, made by the real verbs: a lender, agencies, an auditor and their people."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from models.agreement import Agreement
from models.database import Database
from models.member import Member
from models.organisation import Organisation
from models.services import agreements, mandates, members, organisations
from models.work import OPERATOR, Actor

PASSWORD = "correct horse battery staple"


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

    def organisation(self, kind: str, role: str, name: str | None = None) -> Someone:
        """A new organisation of `kind` and its first person with `role`."""
        with self.database.work(self.operator) as work:
            made = organisations.create(work, kind, name or f"{kind} {uuid4().hex[:6]}")
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
            number=f"AG-{uuid4().hex[:8]}",
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
            return agreements.create(work, agency.organisation.code, terms)


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
