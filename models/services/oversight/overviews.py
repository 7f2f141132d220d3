"""What the first page of each persona tells: the figures of the exchange, counted where the rows are."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Select, and_, func, select, type_coerce

from models.audit import OutboxEntry
from models.breach import Breach
from models.break_item import Break
from models.business_day import ZONE, bounds, day_of, period_of
from models.case import CLOSED
from models.case_tally import CaseTally
from models.commission_line import CommissionLine
from models.contact import Contact
from models.job_run import JobRun
from models.member import Member
from models.organisation import Organisation
from models.placement import Assignment, Placement
from models.services import tenancy
from models.services.collection import worklists
from models.services.oversight.conduct import FLAGGED, WITHDRAWN
from models.services.portfolio import cases, tallies
from models.services.settlement.reconciliations import OPEN as OPEN_BREAK
from models.work import AGENCY, OPERATOR, Work
from models.work_item import WorkItem

NEW_DAYS: Final = 7  # what counts as new on a first page
TREND_WEEKS: Final = 12
VINTAGES_MAX: Final = 6
OPEN_BREACH: Final = (FLAGGED, "answered", "upheld")
WEEK: Final = dt.timedelta(days=7)


class Figures(NamedTuple):
    """Money in one currency; `recovered` and `commission` as booked for this month, `…_before` for the last."""

    currency: str
    placed_case_count: int
    placed_balance: Decimal
    recovered: Decimal
    recovered_before: Decimal
    commission: Decimal
    open_breach_count: int
    new_breach_count: int


class Vintage(NamedTuple):
    """The placements that started in one month. `recovered` is by day of the placement, 0 its first."""

    name: str  # YYYY-MM
    referred_amount: Decimal
    age_days: int
    recovered: dict[int, Decimal]

    def rate_at(self, day: int) -> Decimal:
        """Liquidation: what had come back by the end of that day, of what was referred."""
        came_back = sum((amount for paid, amount in self.recovered.items() if paid <= day), Decimal(0))
        return came_back / self.referred_amount if self.referred_amount else Decimal(0)

    def curve(self) -> list[tuple[int, Decimal]]:
        """The rate at each day so far."""
        return [(day, self.rate_at(day)) for day in range(self.age_days + 1)]


class Party(NamedTuple):
    """What one agency did for the lender at work, or the agency at work for one lender."""

    id: UUID
    name: str
    placed_case_count: int
    placed_balance: Decimal
    referred_amount: Decimal
    recovered: Decimal
    recovered_by_week: list[Decimal]  # of the last TREND_WEEKS weeks, the oldest first
    open_breach_count: int
    open_break_count: int

    @property
    def liquidation(self) -> Decimal | None:
        return self.recovered / self.referred_amount if self.referred_amount else None


class Teammate(NamedTuple):
    """A collector's day: cases in hand and contacts logged today."""

    id: UUID
    name: str
    case_count: int
    contact_count: int


class Health(NamedTuple):
    """Organisations by kind, job runs of the last NEW_DAYS by state, and what waits to enter the audit logs."""

    organisation_counts: dict[str, int]
    run_counts: dict[str, int]
    waiting_entry_count: int
    oldest_entry_at: dt.datetime | None


def currencies(work: Work) -> list[str]:
    """In which currencies cases were placed, the largest sum first."""
    total = func.sum(Placement.referred_amount)
    query = select(Placement.currency).where(tenancy.own(work, Placement)).group_by(Placement.currency)
    return list(work.session.scalars(query.order_by(total.desc(), Placement.currency)))


def figures(work: Work, currency: str, found: Sequence[Party]) -> Figures:
    """`found`: the `parties` of that currency; what is placed is theirs together, and not counted again."""
    this_month, last_month = _periods(day_of(work.at))
    placed_balance = sum((party.placed_balance for party in found), Decimal(0))
    booked = select(
        *(_in_period(CommissionLine.base_amount, period) for period in (this_month, last_month)),
        _in_period(CommissionLine.amount, this_month),
    ).where(
        tenancy.own(work, CommissionLine),
        CommissionLine.currency == currency,
        CommissionLine.period.in_((this_month, last_month)),
    )
    is_new = Breach.flagged_at >= work.at - dt.timedelta(days=NEW_DAYS)
    breaches = select(func.count(), func.count().filter(is_new)).where(
        tenancy.own(work, Breach), Breach.state.in_(OPEN_BREACH)
    )
    rows = (work.session.execute(query).one() for query in (booked, breaches))
    told = (value for row in rows for value in row)
    return Figures(currency, sum(party.placed_case_count for party in found), placed_balance, *told)


def vintages(work: Work, currency: str) -> list[Vintage]:
    """The last few, oldest first, each with what came back by day of its placements."""
    started = _started(work, currency)
    recovered: dict[str, dict[int, Decimal]] = {}
    day = func.greatest(CommissionLine.effective_on - started.c.started_on, 0).label("day")
    paid = (
        select(started.c.vintage, day, func.sum(CommissionLine.base_amount))
        .join(CommissionLine, _of_placement(CommissionLine, started.c))
        .where(tenancy.own(work, CommissionLine), CommissionLine.currency == currency)
        .group_by(started.c.vintage, "day")
    )
    for name, on_day, amount in work.session.execute(paid):
        recovered.setdefault(name, {})[on_day] = amount
    heads = (
        select(started.c.vintage, func.sum(started.c.referred_amount), func.min(started.c.started_on))
        .group_by(started.c.vintage)
        .order_by(started.c.vintage.desc())
        .limit(VINTAGES_MAX)
    )
    today = day_of(work.at)
    newest_first = [
        Vintage(name, referred, (today - first_on).days, recovered.get(name, {}))
        for name, referred, first_on in work.session.execute(heads)
    ]
    return newest_first[::-1]


def parties(work: Work, currency: str) -> list[Party]:
    """Each agency of a lender, or each lender of an agency, by name."""
    name = Placement.lender_name if work.actor.side == AGENCY else Placement.agency_name
    referred = _by_party(work, Placement, func.max(name), func.sum(Placement.referred_amount))
    count, owed = func.sum(CaseTally.case_count), func.sum(CaseTally.balance)
    placed = _by_party(work, CaseTally, count, owed).where(*tallies.IN_HAND)
    booked = _by_party(work, CommissionLine, func.sum(CommissionLine.base_amount))
    breaches = _by_party(work, Breach, func.count()).where(Breach.state.in_(OPEN_BREACH))
    breaks = _by_party(work, Break, func.count()).where(Break.state == OPEN_BREAK)
    placed_of = _found(work, placed.where(CaseTally.currency == currency))
    recovered_of = _found(work, booked.where(CommissionLine.currency == currency))
    breaches_of, breaks_of = _found(work, breaches), _found(work, breaks)
    weekly = _recovered_by_week(work, currency)
    weeks = _weeks(work)
    found = []
    for party_id, (party_name, amount) in _found(work, referred.where(Placement.currency == currency)).items():
        case_count, balance = placed_of.get(party_id, (0, Decimal(0)))
        found.append(
            Party(
                party_id,
                party_name,
                placed_case_count=case_count,
                placed_balance=balance,
                referred_amount=amount,
                recovered=recovered_of.get(party_id, (Decimal(0),))[0],
                recovered_by_week=[weekly.get((party_id, week), Decimal(0)) for week in weeks],
                open_breach_count=breaches_of.get(party_id, (0,))[0],
                open_break_count=breaks_of.get(party_id, (0,))[0],
            )
        )
    return sorted(found, key=lambda party: (party.name, party.id))


def largest(found: Sequence[Party], limit: int) -> list[Party]:
    """Those with most in their hands, in the order given."""
    most_first = sorted(found, key=lambda party: party.placed_balance, reverse=True)
    chosen = {party.id for party in most_first[:limit]}
    return [party for party in found if party.id in chosen]


def breach_trend(work: Work) -> dict[UUID, dict[dt.date, int]]:
    """Breaches that stand, by agency and the Monday of their week, over the last TREND_WEEKS weeks."""
    weeks = _weeks(work)
    query = (
        select(Breach.agency_id, _monday(Breach.business_date).label("monday"), func.count())
        .where(tenancy.own(work, Breach), Breach.state != WITHDRAWN, Breach.business_date >= weeks[0])
        .group_by(Breach.agency_id, "monday")
    )
    counted: dict[UUID, dict[dt.date, int]] = {}
    for agency_id, monday, count in work.session.execute(query):
        counted.setdefault(agency_id, dict.fromkeys(weeks, 0))[monday] = count
    return counted


def team(work: Work) -> list[Teammate]:
    """The agency's collectors by name; a collector finds themselves alone."""
    assigned = (
        select(Assignment.collector_id, func.count())
        .join(WorkItem, and_(_of_placement(WorkItem, Assignment), WorkItem.case_id == Assignment.case_id))
        .where(tenancy.own(work, Assignment), tenancy.own(work, WorkItem), ~worklists.has_status(work, CLOSED))
        .group_by(Assignment.collector_id)
    )
    start, end = bounds(day_of(work.at))
    contacted = (
        select(Contact.member_id, func.count())
        .where(tenancy.own(work, Contact), Contact.occurred_at >= start, Contact.occurred_at < end)
        .group_by(Contact.member_id)
    )
    cases_of, contacts_of = _found(work, assigned), _found(work, contacted)
    people = select(Member).where(tenancy.mine(work, Member), Member.state == "active").order_by(Member.name, Member.id)
    if cases.own_only(work):
        people = people.where(Member.id == work.actor.member_id)
    return [
        Teammate(member.id, member.name, *cases_of.get(member.id, (0,)), *contacts_of.get(member.id, (0,)))
        for member in work.session.scalars(people)
        if "collector" in member.roles
    ]


def health(work: Work) -> Health:
    """For the operator, whose role reads no tenant's data."""
    assert work.actor.side == OPERATOR
    kinds = select(Organisation.kind, func.count()).group_by(Organisation.kind)
    recent = JobRun.created_at >= work.at - dt.timedelta(days=NEW_DAYS)
    states = select(JobRun.state, func.count()).where(recent).group_by(JobRun.state)
    waiting = select(func.count(OutboxEntry.id), func.min(OutboxEntry.recorded_at))
    return Health(
        dict(work.session.execute(kinds).all()),
        dict(work.session.execute(states).all()),
        *work.session.execute(waiting).one(),
    )


def _periods(today: dt.date) -> tuple[str, str]:
    """This month and the last."""
    return period_of(today), period_of(today.replace(day=1) - dt.timedelta(days=1))


def _in_period(amount: Any, period: str) -> ColumnElement[Decimal]:
    return func.coalesce(func.sum(amount).filter(CommissionLine.period == period), 0)


def _weeks(work: Work) -> list[dt.date]:
    """The Mondays of the trend, the last one of the present week."""
    today = day_of(work.at)
    monday = today - dt.timedelta(days=today.weekday())
    return [monday - WEEK * back for back in reversed(range(TREND_WEEKS))]


def _monday(day: Any) -> Any:
    return type_coerce(func.date(func.date_trunc("week", day)), Date)


def _started(work: Work, currency: str) -> Any:
    """The placements with the day and the month in which each started."""
    started_on = type_coerce(func.date(func.timezone(str(ZONE), Placement.started_at)), Date)
    return (
        select(
            Placement.lender_id,
            Placement.id.label("placement_id"),
            Placement.referred_amount,
            started_on.label("started_on"),
            func.to_char(started_on, "YYYY-MM").label("vintage"),
        )
        .where(tenancy.own(work, Placement), Placement.currency == currency)
        .subquery("started")
    )


def _of_placement(table: Any, other: Any) -> ColumnElement[bool]:
    return and_(table.lender_id == other.lender_id, table.placement_id == other.placement_id)


def _party(work: Work, table: Any) -> Any:
    """The other side of a row: its lender for an agency, its agency for the lender and its auditor."""
    return table.lender_id if work.actor.side == AGENCY else table.agency_id


def _by_party(work: Work, table: Any, *figures: Any) -> Select[Any]:
    party = _party(work, table)
    return select(party, *figures).where(tenancy.own(work, table)).group_by(party)


def _found(work: Work, query: Any) -> dict[UUID, tuple[Any, ...]]:
    """First column → the others."""
    return {row[0]: tuple(row[1:]) for row in work.session.execute(query)}


def _recovered_by_week(work: Work, currency: str) -> dict[tuple[UUID, dt.date], Decimal]:
    party = _party(work, CommissionLine)
    since = _weeks(work)[0]
    query = (
        select(party, _monday(CommissionLine.effective_on).label("monday"), func.sum(CommissionLine.base_amount))
        .where(tenancy.own(work, CommissionLine), CommissionLine.effective_on >= since)
        .where(CommissionLine.currency == currency)
        .group_by(party, "monday")
    )
    return {(party_id, monday): amount for party_id, monday, amount in work.session.execute(query)}
