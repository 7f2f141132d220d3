"""Which placement earns each payment of some cases, as the ledger and the placements stand now."""

from typing import Any

import polars as pl
from sqlalchemy import Select, and_, func, select

from models import attribution
from models.business_day import ZONE
from models.ledger import LedgerPayment
from models.placement import UNDONE, PlacedCase, Placement
from models.services import bulk, tenancy
from models.work import Work


def attribute(work: Work, cases: Select[Any]) -> pl.DataFrame:
    """ATTRIBUTED: every payment of the cases that `cases` selects. Whole cases, so that reversals find originals."""
    columns = [getattr(LedgerPayment, name) for name in attribution.PAYMENTS]
    payments = select(*columns).where(tenancy.own(work, LedgerPayment), LedgerPayment.case_id.in_(cases))
    spans = (
        select(
            PlacedCase.placement_id,
            PlacedCase.agency_id,
            PlacedCase.case_id,
            func.date(func.timezone(str(ZONE), PlacedCase.started_at)),
            func.date(func.timezone(str(ZONE), PlacedCase.ended_at)),
            Placement.tail_days,
            Placement.agency_may_receive,
        )
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Placement), PlacedCase.case_id.in_(cases))
        .where(PlacedCase.end_reason.is_distinct_from(UNDONE))
    )
    return attribution.attribute(
        bulk.read(work, payments, attribution.PAYMENTS), bulk.read(work, spans, attribution.SPANS)
    )
