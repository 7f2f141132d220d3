"""Papers of agencies: recorded by either side, attested by the agency, accepted by the lender, never overwritten.

What both have confirmed counts until it expires or is withdrawn, or a newer one that ends no earlier takes its place.
An agency acts on its papers in the lender's tenant, so that the lender's log has it and the lender is told.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy import select

from models.agency_document import TRANSITIONS, AgencyDocument, Paper, counting, faults
from models.agreement import ACTIVE, ENDED, Agreement
from models.business_day import day_of
from models.errors import Conflict, Invalid, NotFound
from models.ids import new_id
from models.services import bulk, notices, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.work import AGENCY, LENDER, Work

# So many days before a paper or an agreement ends, both sides are told, once each.
NOTICE_DAYS: Final = (30, 60, 90)


def record(work: Work, counterparty_id: UUID, paper: Paper) -> AgencyDocument:
    """A new version, by either side; `counterparty_id` is the other one. NotFound without an agreement with it.

    Invalid tells what is wrong with it: an expired one is not taken.
    """
    relation = _relation(work, counterparty_id)
    with _in_the_lenders_tenant(work, relation):
        if errors := faults(paper, day_of(work.at)):
            raise Invalid(errors=errors)
        document = AgencyDocument(
            lender_id=relation.lender_id,
            id=new_id(),
            agency_id=relation.agency_id,
            recorded_at=work.at,
            **paper._asdict() | {"provinces": sorted(set(paper.provinces))},
        )
        work.session.add(document)
        work.session.flush()
        audit.record(work, audit.Action.AGENCY_DOCUMENT_RECORD, _subject(document))
        if work.actor.side == LENDER:  # what the agency records awaits nobody but itself
            _tell_other_side(work, document, "document.recorded")
    return document


def attest(work: Work, document_id: UUID) -> AgencyDocument:
    """A manager of the agency stands for it."""
    assert work.actor.side == AGENCY
    document = get(work, document_id)
    with _in_the_lenders_tenant(work, document):
        _step(work, document, "attest")
        document.attested_by, document.attested_at = work.actor.member_id, work.at
        audit.record(work, audit.Action.AGENCY_DOCUMENT_ATTEST, _subject(document))
        _tell_other_side(work, document, "document.attested")
    return document


def accept(work: Work, document_id: UUID) -> AgencyDocument:
    """The lender takes an attested paper: from now on it counts. Conflict `document_expired`."""
    assert work.actor.side == LENDER
    document = get(work, document_id)
    _step(work, document, "accept")
    if document.expires_on < day_of(work.at):
        raise Conflict("document_expired")
    document.accepted_by, document.accepted_at = work.actor.member_id, work.at
    audit.record(work, audit.Action.AGENCY_DOCUMENT_ACCEPT, _subject(document))
    _tell_other_side(work, document, "document.accepted")
    return document


def withdraw(work: Work, document_id: UUID) -> AgencyDocument:
    """It counts no more, for either side to say: revoked, recorded in error, or not good enough."""
    document = get(work, document_id)
    with _in_the_lenders_tenant(work, document):
        turns.take(work, turns.of_agency(document.agency_id), document.lender_id)
        _step(work, document, "withdraw")
        document.withdrawn_at = work.at
        audit.record(work, audit.Action.AGENCY_DOCUMENT_WITHDRAW, _subject(document))
        _tell_other_side(work, document, "document.withdrawn")
    return document


def get(work: Work, document_id: UUID) -> AgencyDocument:
    found = work.session.scalar(
        select(AgencyDocument).where(tenancy.own(work, AgencyDocument), AgencyDocument.id == document_id)
    )
    if found is None:
        raise NotFound
    return found


def list_own(work: Work, counterparty_id: UUID | None = None) -> list[AgencyDocument]:
    """Every version, newest first; of one agency for a lender, with one lender for an agency, if one is named."""
    query = select(AgencyDocument).where(tenancy.own(work, AgencyDocument))
    if counterparty_id is not None:
        other = AgencyDocument.lender_id if work.actor.side == AGENCY else AgencyDocument.agency_id
        query = query.where(other == counterparty_id)
    return list(work.session.scalars(query.order_by(AgencyDocument.id.desc())))


def list_required(work: Work, lender_id: UUID) -> list[str]:
    """The kinds that a lender asks its agencies for; NotFound for another lender, and an agency it never entrusted."""
    if work.actor.side != AGENCY:
        if lender_id != work.tenant_id:
            raise NotFound
        return list(lender_settings.get(work).required_documents)
    with _in_the_lenders_tenant(work, _relation(work, lender_id)):
        return list(lender_settings.of_lender(work, lender_id).required_documents)


def find_counting(
    work: Work, lender_id: UUID, agency_ids: Collection[UUID], on: dt.date
) -> dict[UUID, dict[str, list[AgencyDocument]]]:
    """By agency and kind what counts on a day, the last to end first; the last that ended where all have expired."""
    confirmed = work.session.scalars(
        select(AgencyDocument)
        .where(
            tenancy.of_lender(lender_id, AgencyDocument),
            bulk.among(AgencyDocument.agency_id, list(agency_ids)),
            AgencyDocument.attested_at.is_not(None),
            AgencyDocument.accepted_at.is_not(None),
            AgencyDocument.withdrawn_at.is_(None),
        )
        .order_by(AgencyDocument.agency_id, AgencyDocument.kind, AgencyDocument.id.desc())
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, dict[str, list[AgencyDocument]]] = {agency_id: {} for agency_id in agency_ids}
    for (agency_id, kind), versions in groupby(confirmed, lambda document: (document.agency_id, document.kind)):
        found[agency_id][kind] = counting(versions, on)
    return found


def notify_expiring(work: Work) -> int:
    """Tell both sides which counting papers and agreements end within 90, 60 or 30 days, and once which paper is over
    and stops offers under an agreement that stands; answers how many notices.

    Run again it tells nothing twice. Who misses the 90th day is told on the next one.
    """
    today = day_of(work.at)
    agreements = work.session.scalars(
        select(Agreement).where(tenancy.own(work, Agreement), Agreement.state == ACTIVE, Agreement.ends_on >= today)
    ).all()
    agency_ids = work.session.scalars(select(Agreement.agency_id).where(tenancy.own(work, Agreement)).distinct()).all()
    found = find_counting(work, work.tenant_id, agency_ids, today)
    documents = [document for kinds in found.values() for versions in kinds.values() for document in versions]
    told = [_tell_ending(work, document, "document", document.expires_on, today) for document in documents]
    told += [_tell_ending(work, agreement, "agreement", agreement.ends_on, today) for agreement in agreements]
    bound = {agreement.agency_id for agreement in agreements}
    over = [document for document in documents if document.expires_on < today and document.agency_id in bound]
    return sum(told) + sum(_tell_over(work, document) for document in over)


def band(ends_on: dt.date, today: dt.date) -> int | None:
    """Which of NOTICE_DAYS is due: the least that is not fewer than the days left; None: none yet, or it is over."""
    left = (ends_on - today).days
    return None if left < 0 else min((days for days in NOTICE_DAYS if left <= days), default=None)


def _tell_ending(work: Work, ending: AgencyDocument | Agreement, noun: str, ends_on: dt.date, today: dt.date) -> int:
    due = band(ends_on, today)
    if due is None:
        return 0
    facts: dict[str, object] = {"ends_on": ends_on, "days": (ends_on - today).days}
    if isinstance(ending, AgencyDocument):
        facts["document_kind"] = ending.kind
    return _tell_both(work, ending, noun, f"{noun}.expiring", f"/{due}", facts)


def _tell_over(work: Work, document: AgencyDocument) -> int:
    facts = {"ends_on": document.expires_on, "document_kind": document.kind}
    return _tell_both(work, document, "document", "document.expired", "", facts)


def _tell_both(
    work: Work, of: AgencyDocument | Agreement, noun: str, kind: str, occasion: str, facts: Mapping[str, object]
) -> int:
    key = f"{kind}/{of.id}{occasion}"
    return sum(
        notices.tell(work, of.lender_id, of.agency_id, side, kind, noun, of.id, key=key, **facts)
        for side in (LENDER, AGENCY)
    )


def _relation(work: Work, counterparty_id: UUID) -> Agreement:
    """An agreement that binds the two; for an agency one that stands or stood."""
    query = select(Agreement).where(tenancy.own(work, Agreement))
    if work.actor.side == AGENCY:
        query = query.where(Agreement.lender_id == counterparty_id, Agreement.state.in_((ACTIVE, ENDED)))
    else:
        query = query.where(Agreement.agency_id == counterparty_id)
    found = work.session.scalar(query.order_by(Agreement.id.desc()).limit(1))
    if found is None:
        raise NotFound
    return found


@contextmanager
def _in_the_lenders_tenant(work: Work, row: Agreement | AgencyDocument) -> Iterator[None]:
    if work.actor.side == AGENCY:
        with work.as_lender(row):
            yield
    else:
        yield


def _step(work: Work, document: AgencyDocument, act: str) -> None:
    work.session.refresh(document, with_for_update=True)
    step(TRANSITIONS, document.state, act)


def _tell_other_side(work: Work, document: AgencyDocument, kind: str) -> None:
    told = LENDER if work.actor.side == AGENCY else AGENCY
    notices.tell(
        work,
        document.lender_id,
        document.agency_id,
        told,
        kind,
        "document",
        document.id,
        document_kind=document.kind,
        expires_on=document.expires_on,
    )


def _subject(document: AgencyDocument) -> dict[str, object]:
    return {
        "document": document.id,
        "agency": document.agency_id,
        "kind": document.kind,
        "expires_on": document.expires_on,
        "file_digest": document.file_digest,
    }
