"""How much one person may open: in a day, at what pace, and of one case without proving again who they are.

What a person has opened of late is read under that person's turn, so that of two releases at once the second sees the
first. A limit that is reached refuses; nothing gives back what was used.
"""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from models.business_day import bounds, day_of
from models.case import Case
from models.errors import Forbidden, TooMany
from models.placement import Placement
from models.release import ReleaseRecord
from models.services import tenancy
from models.services.exchange import turns
from models.services.parties import lender_settings, members
from models.work import Work

RELEASES_PER_DAY_MAX = 200  # of one person, over all lenders; beside it stands each lender's own setting

# A second field class of a case, so soon after the first, needs a proof that is no older than this.
SECOND_CLASS_WITHIN = dt.timedelta(minutes=30)
PROOF_LASTS = dt.timedelta(minutes=5)

# One person's different cases; and, of one placement, the agency's: that share of it, and at least so many.
PERSON_CASES_MAX = 30
PERSON_WITHIN = dt.timedelta(minutes=10)
PLACEMENT_PERCENT_MAX = 20
PLACEMENT_CASES_MIN = 50
PLACEMENT_WITHIN = dt.timedelta(hours=1)


class Opened(NamedTuple):
    """One release of the person who asks for another."""

    lender_id: UUID
    case_id: UUID
    field_class: str
    at: dt.datetime


def require_person(work: Work, case_id: UUID, field_class: str) -> list[Opened]:
    """Take the member's turn, and refuse beyond what holds over all lenders; answers what was opened of late.

    In the actor's own context. Raises Forbidden where a proof is missing, TooMany beyond the pace or the day's number.
    """
    turns.take(work, f"releases/{work.actor.member_id}")
    at = work.now()
    opened = _opened_of_late(work, at)
    _require_proof(work, opened, case_id, field_class, at)
    last_at = last_by_case(opened, at - PERSON_WITHIN)
    _require_pace(last_at, case_id, PERSON_CASES_MAX, PERSON_WITHIN, at, "person")
    return opened


def require_of_lender(
    work: Work, opened: list[Opened], case: Case, placement: Placement | None, at: dt.datetime
) -> None:
    """Refuse beyond the lender's own number for a day, and where a placement is being read through. In its tenant.

    A placement is watched without a lock: people at work in the same moment may pass its pace by one each.
    """
    limit = lender_settings.of_lender(work, case.lender_id).releases_per_day
    start, end = bounds(day_of(at))
    today = [one for one in opened if one.at >= start]
    of_lender = sum(one.lender_id == case.lender_id for one in today)
    if of_lender >= limit or len(today) >= max(limit, RELEASES_PER_DAY_MAX):
        raise TooMany("release_quota_used", per_day_max=limit, retry_seconds=_seconds(end - at))
    if placement is not None:
        last_at = _last_in_placement(work, placement, at - PLACEMENT_WITHIN)
        _require_pace(last_at, case.id, cases_max(placement.case_count), PLACEMENT_WITHIN, at, "placement")


def needs_proof(opened: Iterable[Opened], case_id: UUID, field_class: str, at: dt.datetime) -> bool:
    """Whether this would be a second field class of the case within the time."""
    return any(
        one.case_id == case_id and one.field_class != field_class and one.at > at - SECOND_CLASS_WITHIN
        for one in opened
    )


def is_proved(proved_at: dt.datetime | None, at: dt.datetime) -> bool:
    return proved_at is not None and at - proved_at < PROOF_LASTS


def require_proved(work: Work, at: dt.datetime) -> None:
    """Forbidden unless a person asks (`step_up_needs_person`) who has just proved who they are (`step_up_required`)."""
    if work.actor.scopes is not None:
        raise Forbidden("step_up_needs_person")
    if not is_proved(work.actor.proved_at, at):
        raise Forbidden("step_up_required", proofs=members.proofs(work))


def last_by_case(opened: Iterable[Opened], since: dt.datetime) -> dict[UUID, dt.datetime]:
    """Each case opened since then, and when last."""
    last: dict[UUID, dt.datetime] = {}
    for one in opened:
        if one.at > since:
            last[one.case_id] = max(one.at, last.get(one.case_id, one.at))
    return last


def cases_max(case_count: int) -> int:
    """Of a placement of so many cases, how many different ones its agency may open within the time."""
    return max(PLACEMENT_CASES_MIN, case_count * PLACEMENT_PERCENT_MAX // 100)


def _require_proof(work: Work, opened: list[Opened], case_id: UUID, field_class: str, at: dt.datetime) -> None:
    if needs_proof(opened, case_id, field_class, at):
        require_proved(work, at)


def _require_pace(
    last_at: dict[UUID, dt.datetime], case_id: UUID, limit: int, within: dt.timedelta, at: dt.datetime, of: str
) -> None:
    """Refuse one more different case; `retry_seconds` is when the first of those counted no longer counts."""
    if case_id not in last_at and len(last_at) >= limit:
        free_at = sorted(last_at.values())[len(last_at) - limit] + within
        raise TooMany("release_pace", limit_of=of, cases_max=limit, retry_seconds=_seconds(free_at - at))


def _opened_of_late(work: Work, at: dt.datetime) -> list[Opened]:
    """By this member, today and as far back as a pace or a second class looks."""
    since = min(bounds(day_of(at))[0], at - max(SECOND_CLASS_WITHIN, PERSON_WITHIN))
    rows = work.session.execute(
        select(
            ReleaseRecord.lender_id, ReleaseRecord.case_id, ReleaseRecord.field_class, ReleaseRecord.released_at
        ).where(
            tenancy.own(work, ReleaseRecord),
            ReleaseRecord.org_id == work.actor.org_id,
            ReleaseRecord.member_id == work.actor.member_id,
            ReleaseRecord.released_at >= since,
        )
    )
    return [Opened(*row) for row in rows]


def _last_in_placement(work: Work, placement: Placement, since: dt.datetime) -> dict[UUID, dt.datetime]:
    rows = work.session.execute(
        select(ReleaseRecord.case_id, func.max(ReleaseRecord.released_at))
        .where(
            tenancy.of_lender(placement.lender_id, ReleaseRecord),
            ReleaseRecord.placement_id == placement.id,
            ReleaseRecord.released_at > since,
        )
        .group_by(ReleaseRecord.case_id)
    )
    return dict(rows.all())


def _seconds(wait: dt.timedelta) -> int:
    """Whole seconds, never too few."""
    return -(-wait // dt.timedelta(seconds=1))
