"""The one object that travels through everything: in which transaction, who, when, with which keys."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from psycopg import Connection
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.orm import Session

from crypto.vault import Vault

LENDER, AGENCY, AUDITOR, OPERATOR = "lender", "agency", "auditor", "operator"
JOBS = "jobs"  # a job works inside one lender's tenant
DOOR = "door"  # signing in: a tenant is named, nobody is known yet

# side -> (database role, the side that policies see)
CONTEXTS = {
    LENDER: ("consign_app", "lender"),
    AGENCY: ("consign_app", "agency"),
    DOOR: ("consign_app", ""),
    AUDITOR: ("consign_auditor", "auditor"),
    OPERATOR: ("consign_operator", "operator"),
    JOBS: ("consign_jobs", "lender"),
}


@dataclass(frozen=True)
class Actor:
    """Who acts: `org_id` is their own organisation, `tenant_id` the one whose rows they work in.

    The two differ only for an auditor, who works in a mandating lender's tenant.
    """

    side: str
    org_id: UUID
    member_id: UUID | None = None
    name: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None  # None: a person at the portal; else a program's token
    mandate_lender_id: UUID | None = None
    proved_at: dt.datetime | None = None  # when this person last proved, within their session, who they are

    @property
    def tenant_id(self) -> UUID:
        return self.mandate_lender_id or self.org_id

    @property
    def label(self) -> str:
        """How audit entries name the actor: ids and the side, never a name."""
        return f"{self.side}:{self.org_id}:{self.member_id or self.name}"


class Placed(Protocol):
    """What `as_lender` needs to see: a placement row the agency read under its own policies."""

    lender_id: UUID
    agency_id: UUID


@dataclass
class Work:
    """One transaction. Verbs check, change, record and return; the edge that opened it commits."""

    session: Session
    actor: Actor
    at: dt.datetime
    vault: Vault
    clock: "Clock" = field(repr=False)

    def now(self) -> dt.datetime:
        """The time after waiting for a lock, where a deadline decides. Otherwise use `at`."""
        return self.clock()

    @property
    def tenant_id(self) -> UUID:
        return self.actor.tenant_id

    @contextmanager
    def as_lender(self, placed: Placed) -> Iterator[None]:
        """The crossing: act in the lender's tenant for the agency that `placed` names, then come back.

        The caller has read `placed` in its own context, so the agency's policies have already said yes.
        """
        assert self.actor.side == AGENCY
        assert placed.agency_id == self.actor.org_id
        self.session.flush()
        enter(self.session, LENDER, placed.lender_id)
        try:
            yield
            self.session.flush()
        finally:
            # A failed statement leaves the transaction unusable: the context goes with it on rollback.
            if self.session.is_active and not _aborted(self.session):
                enter(self.session, AGENCY, self.actor.org_id)


class Clock(Protocol):
    def __call__(self) -> dt.datetime: ...


def enter(session: Session, side: str, org_id: UUID) -> None:
    """Set role and tenant for the rest of the transaction; PostgreSQL forgets both at its end."""
    role, seen_as = CONTEXTS[side]
    session.execute(
        text(
            "select set_config('role', :role, true), set_config('app.org_id', :org, true),"
            " set_config('app.side', :side, true)"
        ),
        {"role": role, "org": str(org_id), "side": seen_as},
    )


def _aborted(session: Session) -> bool:
    raw = session.connection().connection.driver_connection
    return isinstance(raw, Connection) and raw.info.transaction_status == TransactionStatus.INERROR
