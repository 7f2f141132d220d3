"""Payment claims: what an agency says was paid. A claim until the lender's ledger says so too."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models.activity_file import PAID_TO
from models.business_day import day_of
from models.claim import Claim
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.money import round_money
from models.services.collection.contacts import fault_of_reference, reported
from models.services.exchange import placed_cases
from models.services.oversight import audit
from models.work import Work

AMOUNT_MAX = Decimal("9999999999999.99")


class ClaimReport(NamedTuple):
    """`paid_to`: lender, agency or platform, also where the terms do not let the agency receive money."""

    amount: Decimal
    currency: str
    paid_on: dt.date
    reference: str
    paid_to: str
    source: str = "api"


def record(work: Work, case_id: UUID, report: ClaimReport) -> Claim:
    """Append a claim, also on a case that was closed since: what closed it may be this very payment.

    Raises as `placed_cases.get_placed` and `placed_cases.hold` do; Conflict `claim_reference_taken` where the agency
    has used the reference before.
    """
    placed = placed_cases.get_placed(work, case_id)
    faults = _faults(work, report)
    with work.as_lender(placed.placement):
        held = placed_cases.hold(work, placed)
    if report.currency != held.case.currency:
        faults.append(RowError(0, "currency", "currency_mismatch"))
    if faults:
        raise Invalid(errors=faults)
    claim: Claim | None = work.session.scalar(
        insert(Claim)
        .values(
            **report._asdict(),
            lender_id=placed.placement.lender_id,
            id=new_id(),
            agency_id=work.actor.org_id,
            placement_id=placed.placement.id,
            case_id=held.case.id,
            member_id=work.actor.member_id,
            recorded_at=work.at,
        )
        .on_conflict_do_nothing(index_elements=["lender_id", "agency_id", "reference"])
        .returning(Claim)
    )
    if claim is None:
        raise Conflict("claim_reference_taken")
    with work.as_lender(placed.placement):
        audit.record(
            work,
            audit.Action.CLAIM_RECORD,
            {
                "claim": claim.id,
                "case": claim.case_id,
                "agency": claim.agency_id,
                "placement": claim.placement_id,
                "amount": claim.amount,
                "currency": claim.currency,
                "paid_to": claim.paid_to,
            },
        )
    return claim


def get(work: Work, claim_id: UUID) -> Claim:
    found = work.session.scalar(select(Claim).where(reported(work, Claim), Claim.id == claim_id))
    if found is None:
        raise NotFound
    return found


def fault_of_amount(amount: Decimal) -> str | None:
    """Why this cannot be an amount that was paid or promised."""
    if not amount.is_finite():
        return "not_a_number"
    if amount <= 0:
        return "negative_amount" if amount < 0 else "zero_amount"
    if amount > AMOUNT_MAX:
        return "amount_too_large"
    return "too_many_decimals" if amount != round_money(amount) else None


def _faults(work: Work, report: ClaimReport) -> list[RowError]:
    faults = {
        "amount": fault_of_amount(report.amount),
        "paid_on": "in_future" if report.paid_on > day_of(work.at) else None,
        "reference": fault_of_reference(report.reference),
        "paid_to": None if report.paid_to in PAID_TO else "unknown_value",
    }
    return [RowError(0, field, code) for field, code in faults.items() if code]
