"""The second person's yes to a tender above the lender's limit, whatever its kind: what follows differs by kind."""

from typing import Final
from uuid import UUID

from models.services.exchange import allocations, bids, tenders
from models.tender import ALLOCATION, SEALED_BID, Tender
from models.work import Work

_APPROVE: Final = {SEALED_BID: bids.approve, ALLOCATION: allocations.approve}


def approve(work: Work, tender_id: UUID) -> Tender:
    """Forbidden `second_person_needed` for whoever made it, Conflict `wrong_state` where it awaits nobody."""
    tender = tenders.get(work, tender_id)
    return _APPROVE.get(tender.kind, tenders.approve)(work, tender.id)
