"""What has happened to a case: each side sees its own part, the lender and its auditor the whole.

An agency learns of the agencies before it what the lender's setting lets it learn, and nothing without it.
`cases.timeline` is the door: it asks first whether the actor may see the case.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Select, and_, or_, select

from models.base import Base
from models.business_day import day_of, start_of
from models.case import Case
from models.claim import Claim
from models.contact import Contact
from models.ledger import LedgerPayment
from models.lender_setting import HISTORY, OUTCOMES
from models.member import Member
from models.placement import UNDONE, PlacedCase, Placement
from models.placement_freeze import PlacementFreeze
from models.promise import Promise
from models.release import ReleaseRecord
from models.services import tenancy
from models.services.parties import lender_settings
from models.work import AGENCY, LENDER, Work

ITEMS_MAX = 500  # of each kind


class TimelineItem(NamedTuple):
    """`kind`: placed, frozen, unfrozen, ended, contact, promise, claim, release, payment, and for an agency earlier,
    a contact of one before it; `facts`: codes, figures and days.

    `agency_name` is None for the lender's own acts, `member_name` where the person is not known to this side.
    """

    at: dt.datetime
    kind: str
    id: UUID
    agency_name: str | None
    member_name: str | None
    facts: dict[str, Any]


def of_case(work: Work, case: Case) -> list[TimelineItem]:
    """Newest first."""
    items = [item for read in READERS for item in read(work, case)]
    if work.actor.side == LENDER:
        items += _payments(work, case)
    if work.actor.side == AGENCY:
        items += _earlier(work, case)
    return sorted(items, key=lambda item: (item.at, item.id), reverse=True)


def _placements(work: Work, case: Case) -> Iterator[TimelineItem]:
    query = (
        select(PlacedCase, Placement)
        .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
        .where(*_about(work, PlacedCase, case), tenancy.own(work, Placement))
    )
    for placed, placement in work.session.execute(query.limit(ITEMS_MAX)):
        # Its number would tell an agency that others had the case before; what was undone has none.
        seq = (
            {} if work.actor.side == AGENCY or placed.end_reason == UNDONE else {"placement_seq": placed.placement_seq}
        )
        facts = {**seq, "referred_amount": placed.referred_amount}
        yield TimelineItem(placed.started_at, "placed", placement.id, placement.agency_name, None, facts)
        if placed.ended_at is not None:
            ended = {**seq, "reason": placed.end_reason}
            yield TimelineItem(placed.ended_at, "ended", placement.id, placement.agency_name, None, ended)


def _freezes(work: Work, case: Case) -> Iterator[TimelineItem]:
    """Freezes of a placement that came while the case was in it."""
    during = or_(PlacedCase.ended_at.is_(None), PlacementFreeze.frozen_at < PlacedCase.ended_at)
    query = (
        select(
            PlacementFreeze,
            PlacedCase.ended_at,
            Placement.agency_name,
            _name(work, PlacementFreeze.frozen_by),
            _name(work, PlacementFreeze.lifted_by),
        )
        .join(PlacedCase, _same_placement(PlacedCase.placement_id, PlacedCase.lender_id))
        .join(Placement, _same_placement(Placement.id, Placement.lender_id))
        .where(
            *_about(work, PlacedCase, case), tenancy.own(work, PlacementFreeze), tenancy.own(work, Placement), during
        )
    )
    for freeze, ended_at, agency, frozen_by, lifted_by in work.session.execute(query.limit(ITEMS_MAX)):
        yield TimelineItem(freeze.frozen_at, "frozen", freeze.id, agency, frozen_by, {"reason": freeze.reason})
        if freeze.lifted_at is not None and (ended_at is None or freeze.lifted_at < ended_at):
            yield TimelineItem(freeze.lifted_at, "unfrozen", freeze.id, agency, lifted_by, {})


def _contacts(work: Work, case: Case) -> Iterator[TimelineItem]:
    for contact, agency in work.session.execute(_by_agency(work, Contact, case)):
        facts = {
            "channel": contact.channel,
            "direction": contact.direction,
            "party": contact.party,
            "outcome": contact.outcome,
            "duration_seconds": contact.duration_seconds,
            "noted": contact.note is not None,
            "corrects_id": contact.corrects_id,
        }
        yield TimelineItem(contact.occurred_at, "contact", contact.id, agency, contact.member_name, facts)


def _promises(work: Work, case: Case) -> Iterator[TimelineItem]:
    for promise, agency, name in work.session.execute(
        _by_agency(work, Promise, case).add_columns(_member(work, Promise))
    ):
        facts = {"amount": promise.amount, "currency": promise.currency, "due_on": promise.due_on}
        yield TimelineItem(promise.recorded_at, "promise", promise.id, agency, name, facts)


def _claims(work: Work, case: Case) -> Iterator[TimelineItem]:
    for claim, agency, name in work.session.execute(_by_agency(work, Claim, case).add_columns(_member(work, Claim))):
        facts = {
            "amount": claim.amount,
            "currency": claim.currency,
            "paid_on": claim.paid_on,
            "paid_to": claim.paid_to,
            "reference": claim.reference,
        }
        yield TimelineItem(claim.recorded_at, "claim", claim.id, agency, name, facts)


def _releases(work: Work, case: Case) -> Iterator[TimelineItem]:
    for release, agency in work.session.execute(_by_agency(work, ReleaseRecord, case)):
        facts = {"field_class": release.field_class, "reason": release.reason}
        yield TimelineItem(release.released_at, "release", release.id, agency, release.member_name, facts)


def _payments(work: Work, case: Case) -> Iterator[TimelineItem]:
    payments = work.session.scalars(
        select(LedgerPayment)
        .where(*_about(work, LedgerPayment, case))
        .order_by(LedgerPayment.id.desc())
        .limit(ITEMS_MAX)
    )
    for payment in payments:
        facts = {
            "amount": payment.amount,
            "currency": payment.currency,
            "effective_on": payment.effective_on,
            "posted_on": payment.posted_on,
            "paid_to": payment.paid_to,
            "reference": payment.reference,
            "reversal_of": payment.reversal_of,
        }
        yield TimelineItem(payment.received_at, "payment", payment.id, None, None, facts)


def _earlier(work: Work, case: Case) -> list[TimelineItem]:
    """What an agency may know of the contacts that others made before the case came to it.

    Outcomes: each as a code, on a day. History: the channel and the time too. Never who, what was said or paid,
    or an id: that would tell the time to a millisecond.
    """
    placement = work.session.scalar(
        select(Placement)
        .join(PlacedCase, (PlacedCase.lender_id == Placement.lender_id) & (PlacedCase.placement_id == Placement.id))
        .where(*_about(work, PlacedCase, case), tenancy.own(work, Placement), PlacedCase.ended_at.is_(None))
    )
    if placement is None:
        return []
    with work.as_lender(placement):
        told = lender_settings.of_lender(work, placement.lender_id).earlier_agencies
        if told not in (OUTCOMES, HISTORY):
            return []
        contacts = work.session.scalars(
            select(Contact)
            .where(
                tenancy.of_lender(placement.lender_id, Contact),
                Contact.case_id == case.id,
                Contact.agency_id != placement.agency_id,
            )
            .order_by(Contact.occurred_at.desc())
            .limit(ITEMS_MAX)
        ).all()
    corrected = {contact.corrects_id for contact in contacts}
    return [_told_of(contact, told) for contact in contacts if contact.id not in corrected]


def _told_of(contact: Contact, told: str) -> TimelineItem:
    known: dict[str, Any] = {"outcome": contact.outcome}
    at = contact.occurred_at
    if told == HISTORY:
        known["channel"] = contact.channel
    else:
        known["occurred_on"] = day_of(at)
        at = start_of(day_of(at))
    return TimelineItem(at, "earlier", uuid5(contact.id, "earlier"), None, None, known)


READERS: tuple[Callable[[Work, Case], Iterator[TimelineItem]], ...] = (
    _placements,
    _freezes,
    _contacts,
    _promises,
    _claims,
    _releases,
)


def _by_agency(work: Work, table: Any, case: Case) -> Select[*tuple[Any, ...]]:
    """The newest rows of `table` about the case, and the name of the agency that wrote each."""
    agency_name = (
        select(Placement.agency_name)
        .where(
            Placement.lender_id == table.lender_id,
            Placement.id == table.placement_id,
            tenancy.own(work, Placement),
        )
        .scalar_subquery()
    )
    return select(table, agency_name).where(*_about(work, table, case)).order_by(table.id.desc()).limit(ITEMS_MAX)


def _about(work: Work, table: type[Base], case: Case) -> tuple[ColumnElement[bool], ...]:
    columns: Any = table
    return tenancy.own(work, table), columns.lender_id == case.lender_id, columns.case_id == case.id


def _same_placement(placement_id: Any, lender_id: Any) -> ColumnElement[bool]:
    """The columns name the placement that the freeze of the query is on."""
    return and_(lender_id == PlacementFreeze.lender_id, placement_id == PlacementFreeze.placement_id)


def _member(work: Work, table: Any) -> ColumnElement[str | None]:
    return _name(work, table.member_id)


def _name(work: Work, member_id: Any) -> ColumnElement[str | None]:
    """The name of a person of the actor's own organisation; of anyone else it is null."""
    return select(Member.name).where(tenancy.mine(work, Member), Member.id == member_id).scalar_subquery()
