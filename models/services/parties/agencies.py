"""A lender's agencies at a glance: who may receive cases now and who may not and why, for two or two hundred."""

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, union

from models.agency_document import DOCUMENT_KINDS, AgencyDocument, counting
from models.agency_standing import StandingChange
from models.agreement import ACTIVE, REFUSED, Agreement
from models.business_day import day_of
from models.contact import Contact
from models.errors import NotFound
from models.placement import Placement
from models.release import ReleaseRecord
from models.services import pages, tenancy
from models.services.exchange import eligibility
from models.services.exchange.eligibility import Candidate
from models.services.parties import agency_documents, lender_settings, standings
from models.services.parties.agency_records import Record
from models.work import AGENCY, Work

OBSERVED_DAYS: Final = 30
PLACEMENTS_SHOWN: Final = 20
ELIGIBLE, NOT_ELIGIBLE = "eligible", "not_eligible"
ELIGIBILITIES: Final = (ELIGIBLE, NOT_ELIGIBLE)


class Ending(NamedTuple):
    """What ends next, on this day or later: a paper that counts, by its kind, or `agreement`."""

    ends_on: dt.date
    kind: str


class AgencyLine(NamedTuple):
    """One agency with its agreements, the one that gets furthest through the gate first."""

    agency_id: UUID
    agency_name: str
    candidates: Sequence[Candidate]
    next_ending: Ending | None

    @property
    def leading(self) -> Candidate:
        return self.candidates[0]

    @property
    def reasons(self) -> list[str]:
        """Empty where at least one agreement lets it receive cases."""
        return self.leading.reasons

    @property
    def record(self) -> Record:
        return self.leading.record

    @property
    def tiers(self) -> list[int]:
        return sorted({candidate.agreement.tier for candidate in self.candidates})


class AgencyFilter(NamedTuple):
    """`name` is part of the agency's name; `reason` a code of the gate; `sort` a key of SORTS."""

    name: str | None = None
    eligibility: str | None = None
    reason: str | None = None
    standing: str | None = None
    tier: int | None = None
    sort: str | None = None


class Observed(NamedTuple):
    """What an agency showed in the last OBSERVED_DAYS days, beside what it declared.

    Who contacted or unsealed is counted, whatever their role: whom an agency employs as what is its own to know.
    """

    collectors: int
    cases_per_collector: int | None  # None: nobody was active


class KindState(NamedTuple):
    """One kind of paper: what counts of it, the last to end first, what waits for somebody's word, how it stands.

    `state`: current, expiring (within 90 days), expired, waiting (nothing counts yet, something waits), missing.
    """

    kind: str
    required: bool
    counting: list[AgencyDocument]
    waiting: list[AgencyDocument]
    state: str


class AgencyView(NamedTuple):
    line: AgencyLine
    settings: lender_settings.Settings
    kinds: list[KindState]
    documents: list[AgencyDocument]  # every version, newest first
    changes: list[StandingChange]
    placements: list[Placement]  # the newest
    observed: Observed


EVERYBODY: Final = AgencyFilter()
_FAR: Final = dt.date.max
# Ascending; ties in order of name.
SORTS: Final[dict[str, Callable[[AgencyLine], Any]]] = {
    "name": lambda line: line.agency_name,
    "open_cases": lambda line: -line.record.open_cases,
    "capacity_left": lambda line: -(line.leading.capacity_left if line.leading.capacity_left is not None else 10**9),
    "score": lambda line: line.record.score,
    "next_ending": lambda line: line.next_ending.ends_on if line.next_ending else _FAR,
}


def list_own(
    work: Work, filters: AgencyFilter = EVERYBODY, after: UUID | None = None, limit: int = 50
) -> Sequence[AgencyLine]:
    """Every agency with which the lender has, proposes or had an agreement: a page of those chosen, in their order."""
    return cut(choose(list_all(work), filters), after, limit)


def list_all(work: Work) -> list[AgencyLine]:
    """All of them; to be chosen from."""
    return _lines(work, None)


def choose(lines: Sequence[AgencyLine], filters: AgencyFilter) -> list[AgencyLine]:
    """Those that pass, in the filter's order, ties by name."""
    key = SORTS[filters.sort or "name"]
    return sorted(
        (line for line in lines if _passes(line, filters)),
        key=lambda line: (key(line), line.agency_name, line.agency_id),
    )


def cut(lines: Sequence[AgencyLine], after: UUID | None, limit: int) -> Sequence[AgencyLine]:
    """The page that follows the agency `after`; NotFound where that one is not among them."""
    ids = [line.agency_id for line in lines]
    if after is not None and after not in ids:
        raise NotFound
    start = 0 if after is None else ids.index(after) + 1
    return lines[start : start + pages.clamped(limit)]


def get(work: Work, agency_id: UUID) -> AgencyView:
    lines = _lines(work, agency_id)
    if not lines:
        raise NotFound
    line, settings = lines[0], lender_settings.get(work)
    documents = agency_documents.list_own(work, agency_id)
    placements = select(Placement).where(tenancy.own(work, Placement), Placement.agency_id == agency_id)
    return AgencyView(
        line,
        settings,
        kind_states(settings.required_documents, documents, day_of(work.at)),
        documents,
        standings.list_changes(work, agency_id),
        list(work.session.scalars(pages.newest(placements, Placement.id, None, PLACEMENTS_SHOWN))),
        _observed(work, line),
    )


def kind_states(required: Sequence[str], documents: Sequence[AgencyDocument], today: dt.date) -> list[KindState]:
    """How each kind of paper stands, from every version of it, newest first."""
    states = []
    for kind in DOCUMENT_KINDS:
        versions = [document for document in documents if document.kind == kind and not document.withdrawn_at]
        standing = counting([document for document in versions if document.accepted_at], today)
        waiting = [document for document in versions if not document.accepted_at and document.expires_on >= today]
        states.append(KindState(kind, kind in required, standing, waiting, _state(standing, waiting, today)))
    return states


def _state(standing: list[AgencyDocument], waiting: list[AgencyDocument], today: dt.date) -> str:
    if not standing:
        return "waiting" if waiting else "missing"
    ends_on = standing[0].expires_on
    if ends_on < today:
        return "expired"
    return "current" if agency_documents.band(ends_on, today) is None else "expiring"


def _lines(work: Work, agency_id: UUID | None) -> list[AgencyLine]:
    assert work.actor.side != AGENCY
    query = select(Agreement).where(tenancy.own(work, Agreement), Agreement.state != REFUSED)
    if agency_id is not None:
        query = query.where(Agreement.agency_id == agency_id)
    agreements = work.session.scalars(query.order_by(Agreement.agency_id, Agreement.id.desc())).all()
    candidates = eligibility.assess(work, work.tenant_id, agreements, work.at)
    return [
        _line(sorted(group, key=lambda candidate: len(candidate.reasons)), day_of(work.at))
        for _, group in groupby(candidates, lambda candidate: candidate.agreement.agency_id)
    ]


def _line(candidates: Sequence[Candidate], today: dt.date) -> AgencyLine:
    first = candidates[0]
    endings = [
        Ending(candidate.agreement.ends_on, "agreement")
        for candidate in candidates
        if candidate.agreement.state == ACTIVE
    ]
    endings += [Ending(versions[0].expires_on, kind) for kind, versions in first.documents.items()]
    newest = max(candidates, key=lambda candidate: candidate.agreement.id).agreement
    ahead = (ending for ending in endings if ending.ends_on >= today)
    return AgencyLine(newest.agency_id, newest.agency_name, candidates, min(ahead, default=None))


def _passes(line: AgencyLine, filters: AgencyFilter) -> bool:
    return (
        (filters.name is None or filters.name.casefold() in line.agency_name.casefold())
        and (filters.eligibility is None or (filters.eligibility == ELIGIBLE) == (not line.reasons))
        and (filters.reason is None or filters.reason in line.reasons)
        and (filters.standing is None or filters.standing == line.record.state)
        and (filters.tier is None or filters.tier in line.tiers)
    )


def _observed(work: Work, line: AgencyLine) -> Observed:
    since = work.at - dt.timedelta(days=OBSERVED_DAYS)
    active = union(
        select(Contact.member_id).where(
            tenancy.own(work, Contact), Contact.agency_id == line.agency_id, Contact.occurred_at >= since
        ),
        select(ReleaseRecord.member_id).where(
            tenancy.own(work, ReleaseRecord),
            ReleaseRecord.agency_id == line.agency_id,
            ReleaseRecord.released_at >= since,
        ),
    ).subquery()
    collectors = work.session.scalar(select(func.count()).select_from(active)) or 0
    return Observed(collectors, -(-line.record.open_cases // collectors) if collectors else None)
