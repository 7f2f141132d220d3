"""Exact searches by a full phone or id number: each is a release, with a reason, an entry and an hourly quota.

The value is turned into a token under a lender's index key and forgotten. A lender searches its own cases; an agency
the cases it may work now, lender by lender, each under that lender's key and into that lender's log.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.dialects.postgresql import distinct_on

from crypto.errors import ValueRefused
from crypto.identifiers import is_resident_id
from crypto.tokens import normalise, token
from models.borrower import Borrower
from models.case import Case, PhoneToken
from models.errors import Conflict, Forbidden, Invalid, RowError, TooMany
from models.ids import new_id
from models.organisation import SELF, Organisation
from models.placement import ACTIVE, Assignment, PlacedCase, Placement, case_ends_at, runs
from models.release import REASONS
from models.search import KINDS, Search
from models.services import tenancy
from models.services.collection import releases
from models.services.exchange import placements, turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.portfolio.cases import own_only
from models.work import AGENCY, LENDER, Work

SEARCHES_PER_HOUR_MAX = 30  # of one person, hits and misses alike
CASES_MAX = 200
HOUR = dt.timedelta(hours=1)
WRONG = {"mobile": "invalid_mobile", "id_cn": "invalid_resident_id"}


class Found(NamedTuple):
    """What a search found; `closed` names the lenders who hold their own keys, whose cases cannot be searched here."""

    search: Search
    cases: list[Case]
    closed: list[str]
    left: int  # searches that remain to this person within the hour

    @property
    def id(self) -> UUID:
        return self.search.id


def find(work: Work, kind: str, value: str, reason: str) -> Found:
    """The cases of whoever has exactly this number. A miss is an answer, and counts.

    Raises Invalid for anything but one whole valid number, before it counts; TooMany beyond the hour's quota;
    Conflict `search_needs_own_key` where no lender's cases can be searched here; Forbidden where the role does not
    allow it; Unavailable while the log does not run.
    """
    wanted = _whole(work, kind, value, reason)
    if work.actor.side != AGENCY and not (work.actor.side == LENDER and releases.LENDER_ROLES & work.actor.roles):
        raise Forbidden
    left = _take_from_quota(work)
    search_id = new_id()
    subject = {"search": search_id, "kind": kind, "reason": reason}
    if work.actor.side == AGENCY:
        case_ids, closed = _in_every_placement(work, kind, wanted, subject)
    else:
        case_ids, closed = _in_own_cases(work, kind, wanted, subject), []
    assert work.actor.member_id is not None
    search = Search(
        org_id=work.actor.org_id,
        id=search_id,
        member_id=work.actor.member_id,
        kind=kind,
        reason=reason,
        found_count=len(case_ids),
        searched_at=work.now(),
    )
    work.session.add(search)
    work.session.flush()
    found = select(Case).where(tenancy.own(work, Case), Case.id.in_(case_ids)).order_by(Case.id.desc())
    return Found(search, list(work.session.scalars(found)), closed, left)


def count_left(work: Work) -> int:
    """How many searches remain to the actor within the hour."""
    return max(0, SEARCHES_PER_HOUR_MAX - len(_times(work, work.at)))


def reasons(work: Work) -> tuple[str, ...]:
    """For which the actor may search: as for releases."""
    return releases.AGENCY_REASONS if work.actor.side == AGENCY else REASONS


def _whole(work: Work, kind: str, value: str, reason: str) -> str:
    """The value in its one spelling."""
    faults = {"kind": kind not in KINDS, "reason": reason not in reasons(work)}
    errors = [RowError(0, field, "unknown_value") for field, faulty in faults.items() if faulty]
    if errors:
        raise Invalid(errors=errors)
    try:
        wanted = normalise(kind, value)
    except ValueRefused:
        wanted = ""
    if not wanted or (kind == "id_cn" and not is_resident_id(wanted)):
        raise Invalid(errors=[RowError(0, "value", WRONG[kind])])
    return wanted


def _take_from_quota(work: Work) -> int:
    """One search of a member at a time; answers how many are left after this one."""
    turns.take(work, f"searches/{work.actor.member_id}")
    at = work.now()
    times = _times(work, at)
    if len(times) >= SEARCHES_PER_HOUR_MAX:
        wait = times[len(times) - SEARCHES_PER_HOUR_MAX] + HOUR - at
        raise TooMany(
            "search_quota_used", per_hour_max=SEARCHES_PER_HOUR_MAX, retry_seconds=-(-wait // dt.timedelta(seconds=1))
        )
    return SEARCHES_PER_HOUR_MAX - len(times) - 1


def _times(work: Work, at: dt.datetime) -> Sequence[dt.datetime]:
    """When this member searched within the hour, in order."""
    made = select(Search.searched_at).where(
        tenancy.mine(work, Search), Search.member_id == work.actor.member_id, Search.searched_at > at - HOUR
    )
    return work.session.scalars(made.order_by(Search.searched_at)).all()


def _in_own_cases(work: Work, kind: str, wanted: str, subject: dict[str, object]) -> list[UUID]:
    if _holds_own_keys(work, work.tenant_id):
        raise Conflict("search_needs_own_key")
    return _search(work, _holding(work, work.tenant_id, kind, wanted), subject)


def _in_every_placement(work: Work, kind: str, wanted: str, subject: dict[str, object]) -> tuple[list[UUID], list[str]]:
    """Case ids of all lenders, and the names of those who hold their own keys."""
    found: list[UUID] = []
    closed: list[str] = []
    lenders = list(_lenders(work))
    for placement in lenders:
        with work.as_lender(placement):
            if _holds_own_keys(work, placement.lender_id):
                closed.append(placement.lender_name)
                continue
            held = _lock_live(work, placement)
            if placements.is_frozen(work, placement):
                continue
            query = _holding(work, placement.lender_id, kind, wanted)
            found += _search(work, _placed_under(work, query, held), {**subject, "agency": placement.agency_id})
    if lenders and len(closed) == len(lenders):
        raise Conflict("search_needs_own_key")
    return found, closed


def _lenders(work: Work) -> Iterator[Placement]:
    """One of the agency's live placements for each lender, in the lenders' order."""
    live = select(Placement).where(tenancy.own(work, Placement), *_live(work))
    first = live.ext(distinct_on(Placement.lender_id)).order_by(Placement.lender_id, Placement.id)
    yield from work.session.scalars(first)


def _live(work: Work) -> list[ColumnElement[bool]]:
    return [Placement.state == ACTIVE, Placement.frozen_at.is_(None), runs(work.now())]


def _lock_live(work: Work, placement: Placement) -> list[UUID]:
    """The agency's live placements with this lender, held as a release holds its own: commit order decides."""
    held = select(Placement.id).where(
        tenancy.of_lender(placement.lender_id, Placement), Placement.agency_id == placement.agency_id, *_live(work)
    )
    return list(work.session.scalars(turns.on_placements(work, held, shared=True)))


def _holds_own_keys(work: Work, lender_id: UUID) -> bool:
    """Whether no value can be turned into a token here. In the lender's tenant."""
    return work.session.get_one(Organisation, lender_id).custody == SELF


def _holding(work: Work, lender_id: UUID, kind: str, wanted: str) -> Select[UUID]:
    """The lender's cases whose borrower has this number. In its tenant."""
    sought = [token(key, kind, wanted) for key in organisations.open_index_keys(work, lender_id)]
    query = select(Case.id).where(tenancy.of_lender(lender_id, Case))
    if kind == "id_cn":
        return query.join(Borrower, (Borrower.lender_id == Case.lender_id) & (Borrower.id == Case.borrower_id)).where(
            tenancy.of_lender(lender_id, Borrower), Borrower.id_token.in_(sought)
        )
    return query.join(PhoneToken, (PhoneToken.lender_id == Case.lender_id) & (PhoneToken.case_id == Case.id)).where(
        tenancy.of_lender(lender_id, PhoneToken), PhoneToken.token.in_(sought)
    )


def _placed_under(work: Work, query: Select[UUID], placement_ids: list[UUID]) -> Select[UUID]:
    """Of those cases the ones in these placements now; for a collector, their own."""
    query = (
        query.join(PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id))
        .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
        .where(PlacedCase.placement_id.in_(placement_ids), PlacedCase.ended_at.is_(None), case_ends_at() > work.now())
    )
    if not own_only(work):
        return query
    return query.where(
        exists().where(
            Assignment.lender_id == PlacedCase.lender_id,
            Assignment.placement_id == PlacedCase.placement_id,
            Assignment.case_id == PlacedCase.case_id,
            Assignment.collector_id == work.actor.member_id,
        )
    )


def _search(work: Work, query: Select[UUID], subject: dict[str, object]) -> list[UUID]:
    """Stands in the lender's tenant, whoever asks: the lender's log has its entry, also of a miss."""
    audit.require_running(work)
    found = list(work.session.scalars(query.order_by(Case.id).limit(CASES_MAX)))
    audit.record(work, audit.Action.CASE_SEARCH, {**subject, "found": len(found)})
    return found
