"""How much each person opens: today beside what they usually open, and who was stopped for going too fast."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Date, func, select, type_coerce

from models.audit import AccessRefusal
from models.business_day import ZONE, day_of, start_of
from models.release import ReleaseRecord
from models.services import tenancy
from models.services.oversight import audit
from models.work import Work

USUAL_DAYS = 30
OUTLIER_TIMES = 3  # more than so many times the usual, and more than the least, stands out
OUTLIER_RELEASES_MIN = 20
PEOPLE_MAX = 100
FLAGS_MAX = 20


class Activity(NamedTuple):
    """What one person opened. `usual`: the median of the days on which they opened anything; None for a first day."""

    member_id: UUID
    member_name: str
    agency_id: UUID | None
    today: int
    usual: int | None

    @property
    def stands_out(self) -> bool:
        return self.today > OUTLIER_TIMES * (self.usual or 0) and self.today > OUTLIER_RELEASES_MIN


class PaceFlag(NamedTuple):
    """Somebody was stopped for opening too many cases too fast, in the hour that began then."""

    since: dt.datetime
    member_id: UUID
    member_name: str | None  # None where they never opened anything here
    agency_id: UUID | None


def list_people(work: Work) -> list[Activity]:
    """Who opened anything today or in the thirty days before, the busiest of today first."""
    today = day_of(work.at)
    day = type_coerce(func.date(func.timezone(str(ZONE), ReleaseRecord.released_at)), Date)
    person = (ReleaseRecord.member_id, ReleaseRecord.agency_id)
    daily = (
        select(*person, func.max(ReleaseRecord.member_name).label("name"), day.label("day"), func.count().label("n"))
        .where(
            tenancy.own(work, ReleaseRecord),
            ReleaseRecord.released_at >= start_of(today - dt.timedelta(days=USUAL_DAYS)),
        )
        .group_by(*person, day)
        .subquery()
    )
    count_today = func.coalesce(func.sum(daily.c.n).filter(daily.c.day == today), 0)
    usual = func.percentile_disc(0.5).within_group(daily.c.n).filter(daily.c.day < today)
    people = (
        select(daily.c.member_id, func.max(daily.c.name), daily.c.agency_id, count_today, usual)
        .group_by(daily.c.member_id, daily.c.agency_id)
        .order_by(count_today.desc(), daily.c.member_id)
        .limit(PEOPLE_MAX)
    )
    return [Activity(id_, name, agency_id, int(n), m) for id_, name, agency_id, n, m in work.session.execute(people)]


def list_pace_flags(work: Work) -> list[PaceFlag]:
    """The latest first, of the log of the tenant at work: an agency's people stand in their lender's."""
    flags = work.session.execute(
        select(AccessRefusal.actor, AccessRefusal.minute)
        .where(
            tenancy.equals(AccessRefusal.org_id, work.tenant_id),
            AccessRefusal.code == audit.Action.RELEASE_PACE,
        )
        .order_by(AccessRefusal.minute.desc(), AccessRefusal.actor)
        .limit(FLAGS_MAX)
    ).all()
    ids = {UUID(actor.rpartition(":")[2]) for actor, _ in flags}
    named = select(ReleaseRecord.member_id, func.max(ReleaseRecord.member_name), ReleaseRecord.agency_id)
    named = named.where(tenancy.own(work, ReleaseRecord), ReleaseRecord.member_id.in_(ids))
    named = named.group_by(ReleaseRecord.member_id, ReleaseRecord.agency_id)
    people = {member_id: (name, agency_id) for member_id, name, agency_id in work.session.execute(named)}
    found = ((since, UUID(actor.rpartition(":")[2])) for actor, since in flags)
    return [PaceFlag(since, member_id, *people.get(member_id, (None, None))) for since, member_id in found]
