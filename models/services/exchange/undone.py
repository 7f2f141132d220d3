"""When a tender was undone: it keeps when it was decided, and what it placed tells when that came back."""

from collections.abc import Sequence

from sqlalchemy import and_, func, select

from models.offer import Offer
from models.placement import UNDONE as PLACEMENT_UNDONE
from models.placement import Placement
from models.services import bulk, tenancy
from models.tender import UNDONE, Tender
from models.work import Work


def date(work: Work, tenders: Sequence[Tender]) -> None:
    """Say it of those among them that were undone."""
    undone = [tender for tender in tenders if tender.state == UNDONE]
    if not undone:
        return
    ended = (
        select(Offer.tender_id, func.max(Placement.ended_at))
        .join(Placement, and_(Placement.lender_id == Offer.lender_id, Placement.offer_id == Offer.id))
        .where(
            tenancy.own(work, Offer),
            tenancy.own(work, Placement),
            bulk.among(Offer.tender_id, [tender.id for tender in undone]),
            Placement.state == PLACEMENT_UNDONE,
        )
        .group_by(Offer.tender_id)
    )
    at = dict(work.session.execute(ended).all())
    for tender in undone:
        tender.undone_at = at.get(tender.id)
