"""Promises to pay: what a borrower said they will pay, and when. Kept or broken is for the ledger to say."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select

from models.business_day import day_of
from models.case import Case
from models.errors import Invalid, NotFound, RowError, outside
from models.ids import new_id
from models.promise import Promise
from models.services.collection.claims import fault_of_amount
from models.services.collection.contacts import reported
from models.services.exchange import placed_cases
from models.services.oversight import audit
from models.work import Work

DUE_DAYS_MAX = 60


class PromiseReport(NamedTuple):
    amount: Decimal
    currency: str
    due_on: dt.date


def record(work: Work, case_id: UUID, report: PromiseReport) -> Promise:
    """Append a promise of at most the balance, due within DUE_DAYS_MAX days.

    Raises as `placed_cases.get_placed` and `placed_cases.hold` do, and CaseClosedToWork where the case is closed.
    """
    placed = placed_cases.get_placed(work, case_id)
    with work.as_lender(placed.placement):
        held = placed_cases.hold(work, placed)
        held.require("record_promise")
    _refuse_impossible(work, held.case, report)
    assert work.actor.member_id is not None
    promise = Promise(
        lender_id=placed.placement.lender_id,
        id=new_id(),
        agency_id=work.actor.org_id,
        placement_id=placed.placement.id,
        case_id=held.case.id,
        member_id=work.actor.member_id,
        recorded_at=work.at,
        **report._asdict(),
    )
    work.session.add(promise)
    work.session.flush()
    with work.as_lender(placed.placement):
        audit.record(
            work,
            audit.Action.PROMISE_RECORD,
            {
                "promise": promise.id,
                "case": promise.case_id,
                "agency": promise.agency_id,
                "placement": promise.placement_id,
                "amount": promise.amount,
                "currency": promise.currency,
                "due_on": promise.due_on,
            },
        )
    return promise


def get(work: Work, promise_id: UUID) -> Promise:
    found = work.session.scalar(select(Promise).where(reported(work, Promise), Promise.id == promise_id))
    if found is None:
        raise NotFound
    return found


def _refuse_impossible(work: Work, case: Case, report: PromiseReport) -> None:
    today = day_of(work.at)
    last = today + dt.timedelta(days=DUE_DAYS_MAX)
    faults = {
        "amount": fault_of_amount(report.amount) or ("above_balance" if report.amount > case.balance else None),
        "currency": "currency_mismatch" if report.currency != case.currency else None,
    }
    errors = [RowError(0, field, code) for field, code in faults.items() if code]
    errors += outside("due_on", report.due_on, today, last)
    if errors:
        raise Invalid(errors=errors)
