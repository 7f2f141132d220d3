"""Who pays stays: at the end of a term the lender's rule keeps cases with a recent payment where they are."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, insert, select, update

from models.business_day import day_of
from models.case import OPEN, Case
from models.ids import new_ids
from models.ledger import LedgerPayment
from models.placement import PlacedCase, Placement
from models.retention import APPROVED, LAPSED, REQUESTED, Retention
from models.services import bulk, tenancy
from models.services.exchange import ends
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.services.parties.lender_settings import Settings
from models.work import Work

RULE = "recent_payment"  # the ground of what the rule keeps


def keep(work: Work, placement: Placement) -> int:
    """Retain the locked placement's open cases that paid within the lender's `paying_days` before the term's end.

    Beside the batch cap, once, and for as long as the lender retains at most; what the agency asked for them itself
    has lapsed. Answers how many.
    """
    settings = lender_settings.of_lender(work, placement.lender_id)
    case_ids = _paying(work, placement, settings) if settings.paying_days else []
    if not case_ids:
        return 0
    work.session.execute(
        update(Retention)
        .where(
            tenancy.of_lender(placement.lender_id, Retention),
            Retention.placement_id == placement.id,
            bulk.among(Retention.case_id, case_ids),
            Retention.state == REQUESTED,
        )
        .values(state=LAPSED, decided_at=work.at)
        .execution_options(synchronize_session=False)
    )
    shared = {
        "lender_id": placement.lender_id,
        "agency_id": placement.agency_id,
        "placement_id": placement.id,
        "ground": RULE,
        "days": settings.retention_days_max,
        "state": APPROVED,
        "requested_at": work.at,
        "decided_at": work.at,
    }
    ids = new_ids(len(case_ids))
    rows = [shared | {"id": id_, "case_id": case_id} for id_, case_id in zip(ids, case_ids, strict=True)]
    work.session.execute(insert(Retention), rows)
    extend(work, placement, case_ids, settings.retention_days_max)
    subject = {"placement": placement.id, "agency": placement.agency_id, "count": len(case_ids), "rule": RULE}
    audit.record(work, audit.Action.RETENTION_APPROVE, subject)
    return len(case_ids)


def extend(work: Work, placement: Placement, case_ids: list[UUID], days: int) -> None:
    """The cases stay so many days beyond the placement's term."""
    work.session.execute(
        update(PlacedCase)
        .where(ends.live_in(placement), bulk.among(PlacedCase.case_id, case_ids))
        .values(retained_until=placement.expires_at + dt.timedelta(days=days))
        .execution_options(synchronize_session=False)
    )


def _paying(work: Work, placement: Placement, settings: Settings) -> list[UUID]:
    """Reversals count against payments: a case whose payments were all taken back does not pay."""
    last_on = day_of(placement.expires_at)
    query = (
        select(PlacedCase.case_id)
        .join(Case, (Case.lender_id == PlacedCase.lender_id) & (Case.id == PlacedCase.case_id))
        .join(
            LedgerPayment,
            (LedgerPayment.lender_id == PlacedCase.lender_id) & (LedgerPayment.case_id == PlacedCase.case_id),
        )
        .where(
            ends.live_in(placement),
            tenancy.of_lender(placement.lender_id, Case),
            tenancy.of_lender(placement.lender_id, LedgerPayment),
            PlacedCase.retained_until.is_(None),
            Case.status == OPEN,
            LedgerPayment.effective_on > last_on - dt.timedelta(days=settings.paying_days),
            LedgerPayment.effective_on <= last_on,
        )
        .group_by(PlacedCase.case_id)
        .having(func.sum(LedgerPayment.amount) > Decimal(0))
        .order_by(PlacedCase.case_id)
    )
    return list(work.session.scalars(query))
