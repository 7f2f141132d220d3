"""Breaches of conduct as each party may read them: the agency its own act, the lender and its auditor the evidence."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from models.breach import Breach, BreachEvidence
from models.compliance.rule import Rule
from models.contact import Contact
from models.errors import NotFound
from models.placement import Placement
from models.release import ReleaseRecord
from models.services import pages, tenancy
from models.services.oversight import audit, conduct
from models.services.oversight.conduct import WITHDRAWN
from models.work import AGENCY, AUDITOR, Work


class BreachFilter(NamedTuple):
    """What to list; None leaves it open. Both days are inside."""

    agency_id: UUID | None = None
    rule_id: str | None = None
    state: str | None = None
    case_id: UUID | None = None
    member_id: UUID | None = None
    since_on: dt.date | None = None
    until_on: dt.date | None = None


EVERYTHING = BreachFilter()


class Window(NamedTuple):
    """The span that the rule looked at: closed hours, a day, the time allowed."""

    start: dt.datetime
    end: dt.datetime


class BreachView(NamedTuple):
    """A breach with its rule, if the packs still hold it. An agency sees of the events its own act alone."""

    breach: Breach
    rule: Rule | None
    evidence: BreachEvidence | None
    contacts: list[Contact]
    releases: list[ReleaseRecord]

    @property
    def window(self) -> Window | None:
        if self.evidence is None:
            return None
        start, end = self.evidence.window["start"], self.evidence.window["end"]
        return Window(dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end))


class BreachCount(NamedTuple):
    agency_id: UUID
    agency_name: str
    rule_id: str
    breach_count: int


def list_own(
    work: Work, filters: BreachFilter = EVERYTHING, after: UUID | None = None, limit: int = 50
) -> list[Breach]:
    """Newest first: of all the lender's agencies, or the agency's own."""
    query = select(Breach).where(tenancy.own(work, Breach))
    for column, value in (
        (Breach.agency_id, filters.agency_id),
        (Breach.rule_id, filters.rule_id),
        (Breach.state, filters.state),
        (Breach.case_id, filters.case_id),
        (Breach.member_id, filters.member_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.since_on:
        query = query.where(Breach.business_date >= filters.since_on)
    if filters.until_on:
        query = query.where(Breach.business_date <= filters.until_on)
    return list(work.session.scalars(pages.newest(query, Breach.id, after, limit)))


def get(work: Work, breach_id: UUID) -> BreachView:
    """The breach with what the verdict rests on; that an auditor looked is logged."""
    breach = work.session.scalar(select(Breach).where(tenancy.own(work, Breach), Breach.id == breach_id))
    if breach is None:
        raise NotFound
    if work.actor.side == AUDITOR:
        audit.record(work, audit.Action.BREACH_VIEW, {"breach": breach.id, "case": breach.case_id})
    evidence = None if work.actor.side == AGENCY else work.session.get(BreachEvidence, (breach.lender_id, breach.id))
    ids = evidence.event_ids if evidence else [breach.subject_id]
    contacts = select(Contact).where(tenancy.own(work, Contact), Contact.id.in_(ids))
    releases = select(ReleaseRecord).where(tenancy.own(work, ReleaseRecord), ReleaseRecord.id.in_(ids))
    return BreachView(
        breach,
        find_rule(breach.rule_id),
        evidence,
        list(work.session.scalars(contacts.order_by(Contact.occurred_at, Contact.id))),
        list(work.session.scalars(releases.order_by(ReleaseRecord.released_at, ReleaseRecord.id))),
    )


def count_by_agency_and_rule(work: Work) -> list[BreachCount]:
    """How many breaches stand, by agency and rule; withdrawn ones do not."""
    counted = (
        select(Breach.agency_id, func.max(Placement.agency_name), Breach.rule_id, func.count())
        .join(Placement, (Placement.lender_id == Breach.lender_id) & (Placement.id == Breach.placement_id))
        .where(tenancy.own(work, Breach), tenancy.own(work, Placement), Breach.state != WITHDRAWN)
        .group_by(Breach.agency_id, Breach.rule_id)
        .order_by(func.max(Placement.agency_name), Breach.agency_id, Breach.rule_id)
    )
    return [BreachCount(*row) for row in work.session.execute(counted)]


def find_rule(rule_id: str) -> Rule | None:
    return next((rule for pack in conduct.packs() for rule in pack.rules if rule.id == rule_id), None)
