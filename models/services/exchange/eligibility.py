"""The gate: whether an agency may see, bid for or receive cases now, with every reason why not.

Every way of placing asks it when it offers, and again under the lock when it places. Reasons are the lender's to see;
an agency is told of them what `models.award.GATE_TOLD` says. Of an offer that stands, `answering` asks it.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from models import agency_document
from models.agency_document import LICENCE, AgencyDocument
from models.agency_standing import RECEIVING, AgencyStanding
from models.agreement import ACTIVE, ENDED, Agreement
from models.business_day import day_of
from models.case import Case
from models.offer import Offer
from models.provinces import province_of
from models.rate_card import ACTIVE as CARD_ACTIVE
from models.rate_card import RateCard
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.parties import agency_documents, agency_records, lender_settings
from models.services.parties.agency_records import Record
from models.services.parties.lender_settings import Settings
from models.work import Work

FULL: Final = "capacity_exceeded"
OUTSIDE: Final = "cases_outside_agreement"  # beside the gate's reasons: some of the cases are not what was agreed on


class Candidate(NamedTuple):
    """An agreement as the gate sees it. `capacity_left` None: no limit was agreed.

    `provinces` is where both the agreement and a licence hold: empty means everywhere.
    """

    agreement: Agreement
    reasons: list[str]
    capacity: int | None
    capacity_left: int | None
    conduct_factor: Decimal
    provinces: list[str]
    record: Record
    documents: Mapping[str, Sequence[AgencyDocument]]  # by kind, as `agency_documents.find_counting` has them

    @property
    def covers_every_case(self) -> bool:
        """Of its currency: neither the agreement nor a licence leaves any dimension closed."""
        agreed = self.agreement
        limits = (self.provinces, agreed.products, agreed.buckets, agreed.balance_from, agreed.balance_below)
        return not any(limits) and "licence_elsewhere" not in self.reasons


def reasons(
    work: Work, agreement: Agreement, at: dt.datetime, case_count: int = 0, besides: UUID | None = None
) -> list[str]:
    """Codes, empty where nothing is in the way of placing so many more cases under the agreement.

    Stands in the lender's tenant. Cases that wait for the agency's answer take capacity too, those of the offer
    `besides` excepted: name the one that is asked about.
    """
    return assess(work, agreement.lender_id, [agreement], at, case_count, besides)[0].reasons


def hold(work: Work, agreement: Agreement) -> None:
    """Before the gate is asked under the lock, for the agency that answers: the agreement as it is now.

    Waits for whoever places with this agency now, or changes how it stands, and keeps them waiting until this
    transaction ends: so no two acts together exceed what each alone may. Comes after tender and offers in the order of
    locks, before placements and cases. Whoever asks for several agencies calls `take_turns` first.
    """
    take_turns(work, agreement.lender_id, [agreement.agency_id])
    work.session.refresh(agreement, with_for_update={"read": True})


def take_turns(work: Work, lender_id: UUID, agency_ids: Sequence[UUID]) -> None:
    """Keep everybody else from placing with these agencies, or changing how they stand, until this transaction ends."""
    turns.take_each(work, map(turns.of_agency, agency_ids), lender_id)


def shut_to(work: Work, offers: Iterable[Offer]) -> list[UUID]:
    """The lenders of these offers that place nothing with the agency now, whatever papers it brings."""
    return [offer.lender_id for offer in offers if not _receives(work, offer)]


def _receives(work: Work, offer: Offer) -> bool:
    with work.as_lender(offer):
        standing = select(AgencyStanding.state).where(
            tenancy.of_lender(offer.lender_id, AgencyStanding), AgencyStanding.agency_id == offer.agency_id
        )
        return work.session.scalar(standing) in (None, *RECEIVING)


def capacity_left(work: Work, agreement: Agreement) -> int | None:
    """How many more cases the agency may take under the agreement now; None: no limit was agreed."""
    return assess(work, agreement.lender_id, [agreement], work.at)[0].capacity_left


def panel(work: Work, currency: str | None = None, case_count: int = 0) -> list[Candidate]:
    """Every active agreement of the lender, in one currency if one is named, in order of tier and agency name."""
    query = select(Agreement).where(tenancy.own(work, Agreement), Agreement.state == ACTIVE)
    if currency is not None:
        query = query.where(Agreement.currency == currency)
    agreements = work.session.scalars(query.order_by(Agreement.tier, Agreement.agency_name, Agreement.id)).all()
    return assess(work, work.tenant_id, agreements, work.at, case_count)


def assess(
    work: Work,
    lender_id: UUID,
    agreements: Sequence[Agreement],
    at: dt.datetime,
    case_count: int = 0,
    besides: UUID | None = None,
) -> list[Candidate]:
    """The agreements of one lender as the gate sees them, in their order, by as many queries for 200 as for one."""
    settings = lender_settings.of_lender(work, lender_id)
    agency_ids = {agreement.agency_id for agreement in agreements}
    records = agency_records.read(work, lender_id, agency_ids, at, besides)
    documents = agency_documents.find_counting(work, lender_id, agency_ids, day_of(at))
    begun = _begun(work, lender_id, agency_ids)
    carded = _with_card(work, lender_id, agreements, day_of(at))
    return [
        _candidate(
            agreement,
            settings,
            records[agreement.agency_id],
            documents[agreement.agency_id],
            agreement.id in carded,
            agreement.starts_on if agreement.starts_on > begun.get(agreement.agency_id, dt.date.max) else None,
            day_of(at),
            case_count,
        )
        for agreement in agreements
    ]


def fits(work: Work, agreement: Agreement, at: dt.datetime) -> ColumnElement[bool]:
    """Cases that the agreement covers: currency, province (where the licence holds too), product, bucket, balance."""
    documents = agency_documents.find_counting(work, agreement.lender_id, [agreement.agency_id], day_of(at))
    provinces = _territory(agreement, documents[agreement.agency_id].get(LICENCE, ()))
    return and_(
        Case.currency == agreement.currency,
        bulk.among_named(province_of(Case.region), provinces) if provinces is not None else false(),
        bulk.among_named(Case.product, agreement.products),
        bulk.among_named(Case.bucket, agreement.buckets),
        *agreement.bounds(Case.balance),
    )


def outside(work: Work, agreement: Agreement, at: dt.datetime) -> ColumnElement[bool]:
    """Cases that it does not cover. One without a region is outside any provinces: SQL by itself would say null."""
    return func.coalesce(fits(work, agreement, at), false()).is_(False)


def _candidate(
    agreement: Agreement,
    settings: Settings,
    record: Record,
    documents: Mapping[str, Sequence[AgencyDocument]],
    has_card: bool,
    follows_on: dt.date | None,
    on: dt.date,
    case_count: int,
) -> Candidate:
    capacity = _capacity(agreement)
    left = None if capacity is None else max(0, capacity - record.open_cases - record.tendered_cases)
    provinces = _territory(agreement, documents.get(LICENCE, ()))
    found = [
        *_of_agreement(agreement, has_card, on),
        *([] if record.state in RECEIVING else [f"agency_{record.state}"]),
        *agency_document.missing(settings.required_documents, documents, on, follows_on),
        *([] if provinces is not None else ["licence_elsewhere"]),
        *(["conduct_score_too_low"] if record.score < settings.conduct_score_min else []),
        *(["complaints_too_many"] if record.complaint_ratio > settings.complaints_per_5000_max else []),
        *([FULL] if left is not None and left < max(case_count, 1) else []),
    ]
    return Candidate(agreement, found, capacity, left, record.conduct_factor, provinces or [], record, documents)


def _of_agreement(agreement: Agreement, has_card: bool, on: dt.date) -> list[str]:
    in_force = agreement.state == ACTIVE and agreement.starts_on <= on <= agreement.ends_on
    return [
        *([] if in_force else ["agreement_not_in_force"]),
        *([] if agreement.processing_agreement.strip() else ["processing_agreement_missing"]),
        *([] if agreement.impact_assessment.strip() else ["impact_assessment_missing"]),
        *([] if has_card else ["no_rate_card_in_force"]),
    ]


def _capacity(agreement: Agreement) -> int | None:
    """What the agency may hold at once: the limit agreed, and what the collectors it declared can work."""
    limits = [] if agreement.open_cases_max is None else [agreement.open_cases_max]
    if agreement.collectors is not None and agreement.cases_per_collector is not None:
        limits.append(agreement.collectors * agreement.cases_per_collector)
    return min(limits, default=None)


def _territory(agreement: Agreement, licences: Sequence[AgencyDocument]) -> list[str] | None:
    """Where the agreement and one of the licences hold: empty means everywhere, None nowhere.

    An agency without a licence is stopped otherwise.
    """
    if not licences or not all(licence.provinces for licence in licences):
        return agreement.provinces
    licensed = {province for licence in licences for province in licence.provinces}
    if not agreement.provinces:
        return sorted(licensed)
    return [province for province in agreement.provinces if province in licensed] or None


def _begun(work: Work, lender_id: UUID, agency_ids: Collection[UUID]) -> dict[UUID, dt.date]:
    """When the first agreement with each agency began that stands or stood: the later ones follow on it."""
    query = select(Agreement.agency_id, func.min(Agreement.starts_on)).where(
        tenancy.of_lender(lender_id, Agreement),
        bulk.among(Agreement.agency_id, list(agency_ids)),
        Agreement.state.in_((ACTIVE, ENDED)),
    )
    return dict(work.session.execute(query.group_by(Agreement.agency_id)).all())


def _with_card(work: Work, lender_id: UUID, agreements: Sequence[Agreement], on: dt.date) -> set[UUID]:
    """Those whose rate card is in force."""
    query = select(RateCard.agreement_id).where(
        tenancy.of_lender(lender_id, RateCard),
        bulk.among(RateCard.agreement_id, [agreement.id for agreement in agreements]),
        RateCard.state == CARD_ACTIVE,
        RateCard.valid_from <= on,
        or_(RateCard.valid_to.is_(None), RateCard.valid_to >= on),
    )
    return set(work.session.scalars(query))
