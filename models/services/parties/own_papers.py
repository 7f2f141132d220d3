"""An agency's papers, lender by lender: what each asks for, how that stands, and what of it is the agency's to do."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from models.agency_document import RECORDED, REQUIRED_ALWAYS
from models.agreement import ACTIVE
from models.business_day import ZONE, day_of
from models.services.exchange import agreements
from models.services.parties import agency_documents
from models.services.parties.agencies import KindState, kind_states
from models.work import AGENCY, Work


class LenderPapers(NamedTuple):
    """`open_since`: of each thing that the agency is to do under an agreement that stands."""

    lender_id: UUID
    lender_name: str
    kinds: list[KindState]
    open_since: list[dt.datetime]


def list_own(work: Work) -> list[LenderPapers]:
    """Each lender that the agency has or had an agreement with, by name."""
    assert work.actor.side == AGENCY
    today = day_of(work.at)
    names: dict[UUID, str] = {}
    agreed: dict[UUID, dt.datetime] = {}
    for agreement in agreements.list_own(work):
        names[agreement.lender_id] = agreement.lender_name
        if agreement.state == ACTIVE and agreement.ends_on >= today:
            since = agreement.decided_at or agreement.created_at
            agreed[agreement.lender_id] = min(since, agreed.get(agreement.lender_id, since))
    return [
        _of_lender(work, lender_id, name, agreed.get(lender_id))
        for lender_id, name in sorted(names.items(), key=lambda lender: lender[1])
    ]


def _of_lender(work: Work, lender_id: UUID, name: str, agreed_at: dt.datetime | None) -> LenderPapers:
    documents = agency_documents.list_own(work, lender_id)
    kinds = kind_states(agency_documents.list_required(work, lender_id), documents, day_of(work.at))
    return LenderPapers(lender_id, name, kinds, _open_since(kinds, agreed_at) if agreed_at else [])


def _open_since(kinds: list[KindState], agreed_at: dt.datetime) -> list[dt.datetime]:
    """What a lender has recorded waits to be attested; what is missing or over waits for a newer version."""
    found = [document.recorded_at for kind in kinds for document in kind.waiting if document.state == RECORDED]
    for kind in kinds:
        if kind.state == "missing" and (kind.required or kind.kind in REQUIRED_ALWAYS):
            found.append(agreed_at)
        elif kind.state == "expired" and not kind.waiting:
            over_on = kind.counting[0].expires_on + dt.timedelta(days=1)
            found.append(dt.datetime.combine(over_on, dt.time(), ZONE))
    return found
