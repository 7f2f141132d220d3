"""What a lender knows of its agencies: standing, breaches, complaints, cases placed and held. Many at a time."""

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from models import standing
from models.agency_standing import GOOD, AgencyStanding
from models.breach import Breach
from models.business_day import day_of, start_of
from models.case_tally import CaseTally
from models.offer import OFFERED, Offer
from models.placement import UNDONE, Placement
from models.services import bulk, tenancy
from models.services.portfolio import tallies
from models.tender import ASSIGNED, Tender
from models.work import Work

UNCOUNTED = ("dismissed", "withdrawn")  # breaches that do not stand


class Record(NamedTuple):
    """Of one agency with one lender. Cases placed and breaches are those of the last standing.WINDOW_DAYS days.

    `open_cases` are with it and still owed; `tendered_cases` were offered to it alone and wait for its answer.
    """

    state: str = GOOD
    upheld_complaints: int = 0
    cases_placed: int = 0
    breaches: Mapping[str, int] = {}  # severity → how many stand
    open_cases: int = 0
    tendered_cases: int = 0

    @property
    def score(self) -> Decimal:
        return standing.conduct_score(self.breaches, self.cases_placed)

    @property
    def conduct_factor(self) -> Decimal:
        return standing.conduct_factor(self.score)

    @property
    def complaint_ratio(self) -> Decimal:
        return standing.complaint_ratio(self.upheld_complaints, self.cases_placed)


def read(
    work: Work, lender_id: UUID, agency_ids: Collection[UUID], at: dt.datetime, besides: UUID | None = None
) -> dict[UUID, Record]:
    """The record of each agency, also for verbs that crossed; the offer `besides` is not counted as tendered."""
    these = list(agency_ids)
    since = day_of(at) - dt.timedelta(days=standing.WINDOW_DAYS)
    work.session.flush()
    standings = _by_agency(
        work,
        select(AgencyStanding.agency_id, AgencyStanding.state, AgencyStanding.upheld_complaints).where(
            tenancy.of_lender(lender_id, AgencyStanding), bulk.among(AgencyStanding.agency_id, these)
        ),
    )
    placed = _by_agency(
        work,
        select(Placement.agency_id, func.sum(Placement.case_count))
        .where(
            tenancy.of_lender(lender_id, Placement),
            bulk.among(Placement.agency_id, these),
            Placement.started_at >= start_of(since),
            Placement.end_reason.is_distinct_from(UNDONE),
        )
        .group_by(Placement.agency_id),
    )
    held = _by_agency(
        work,
        select(CaseTally.agency_id, func.sum(CaseTally.case_count))
        .where(tenancy.of_lender(lender_id, CaseTally), bulk.among(CaseTally.agency_id, these), *tallies.IN_HAND)
        .group_by(CaseTally.agency_id),
    )
    tendered = _by_agency(work, _tendered(lender_id, these, at, besides))
    breaches = _breaches(work, lender_id, these, since)
    return {
        agency_id: Record(
            state=standings.get(agency_id, (GOOD, 0))[0],
            upheld_complaints=standings.get(agency_id, (GOOD, 0))[1],
            cases_placed=placed.get(agency_id, (0,))[0],
            breaches=breaches.get(agency_id, {}),
            open_cases=held.get(agency_id, (0,))[0],
            tendered_cases=tendered.get(agency_id, (0,))[0],
        )
        for agency_id in these
    }


def _tendered(lender_id: UUID, agency_ids: list[UUID], at: dt.datetime, besides: UUID | None) -> Any:
    """What an agency may still accept of what was offered to it alone. Claims and bids promise nobody anything."""
    query = (
        select(Offer.agency_id, func.sum(Tender.case_count))
        .join(Tender, (Tender.lender_id == Offer.lender_id) & (Tender.id == Offer.tender_id))
        .where(
            tenancy.of_lender(lender_id, Offer),
            tenancy.of_lender(lender_id, Tender),
            bulk.among(Offer.agency_id, agency_ids),
            Offer.state == OFFERED,
            Offer.kind == ASSIGNED,
            Offer.expires_at > at,
        )
        .group_by(Offer.agency_id)
    )
    return query if besides is None else query.where(Offer.id != besides)


def _breaches(work: Work, lender_id: UUID, agency_ids: list[UUID], since: dt.date) -> dict[UUID, dict[str, int]]:
    counted = (
        select(Breach.agency_id, Breach.severity, func.count())
        .where(
            tenancy.of_lender(lender_id, Breach),
            bulk.among(Breach.agency_id, agency_ids),
            Breach.business_date >= since,
            Breach.state.not_in(UNCOUNTED),
        )
        .group_by(Breach.agency_id, Breach.severity)
    )
    found: dict[UUID, dict[str, int]] = {}
    for agency_id, severity, count in work.session.execute(counted):
        found.setdefault(agency_id, {})[severity] = count
    return found


def _by_agency(work: Work, query: Any) -> dict[UUID, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in work.session.execute(query)}
