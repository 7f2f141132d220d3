"""A tender's offers, as its lender's side makes them, reads them and takes them back; what each answers is in `offers`.

To a panel of 200 it takes as many statements as to one agency: whoever waits for the tender waits for all of them.
"""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import polars as pl
from sqlalchemy import func, select

from models.agreement import Agreement
from models.ids import new_ids
from models.offer import OFFERED, TRANSITIONS, Offer
from models.services import notices, tenancy
from models.services.exchange import tape, tender_cases
from models.services.oversight import audit
from models.states import step
from models.tender import SEALED_BID, Tender
from models.work import Work

INELIGIBLE = "ineligible"  # why an offer was taken back from an agency that may not receive any more


def make(
    work: Work,
    tender: Tender,
    agreements: Sequence[Agreement],
    cases: pl.DataFrame | None,
    expires_at: dt.datetime,
) -> list[Offer]:
    """Show their agencies the tender as its safe tape, which is made from `cases` when it is first shown.

    `cases` None: those that it holds and that may still be placed. Stands in the lender's tenant.
    """
    if cases is None and tender.tape is None:
        cases = tender_cases.read_held(work, tender)
    shown = tape.publish(work, tender, cases)
    made = [
        Offer(
            lender_id=tender.lender_id,
            id=offer_id,
            agency_id=agreement.agency_id,
            agreement_id=agreement.id,
            tender_id=tender.id,
            portfolio_id=tender.portfolio_id,
            kind=tender.kind,
            state=OFFERED,
            currency=tender.currency,
            case_count=shown.case_count,
            borrower_count=shown.borrower_count,
            balance=shown.balance,
            strata=dict(shown.strata),
            terms={},
            created_at=work.at,
            expires_at=expires_at,
        )
        for offer_id, agreement in zip(new_ids(len(agreements)), agreements, strict=True)
    ]
    work.session.add_all(made)
    work.session.flush()
    of_tender = {"tender": tender.id, "cases": tender.case_count}
    subjects = ({"offer": offer.id, "agency": offer.agency_id, **of_tender} for offer in made)
    audit.record_each(work, audit.Action.OFFER_CREATE, subjects)
    _tell(work, tender, "offer.made", made, until=audit.time_text(expires_at))
    return made


def list_all(work: Work, tender_id: UUID) -> list[Offer]:
    """In the order in which they were made."""
    query = select(Offer).where(tenancy.own(work, Offer), Offer.tender_id == tender_id)
    return list(work.session.scalars(query.order_by(Offer.id)))


def find_auction(work: Work, offer_id: UUID) -> UUID | None:
    """The tender of sealed bids that an offer was made of."""
    query = select(Offer.tender_id).where(tenancy.own(work, Offer), Offer.id == offer_id, Offer.kind == SEALED_BID)
    return work.session.scalar(query)


def count_by_state(work: Work, tender_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Of each tender, how many of its offers stand in each state."""
    rows = work.session.execute(
        select(Offer.tender_id, Offer.state, func.count())
        .where(tenancy.own(work, Offer), Offer.tender_id.in_(tender_ids))
        .group_by(Offer.tender_id, Offer.state)
    )
    found: dict[UUID, dict[str, int]] = {tender_id: {} for tender_id in tender_ids}
    for tender_id, state, count in rows:
        found[tender_id][state] = count
    return found


def choices_left(work: Work, tender: Tender) -> list[UUID]:
    """The agreements of an assigned tender that were neither asked nor passed over yet, in their order."""
    asked = set(
        work.session.scalars(
            select(Offer.agreement_id).where(tenancy.of_lender(tender.lender_id, Offer), Offer.tender_id == tender.id)
        )
    )
    done = {*map(str, asked), *tender.rules.get("passed_over", {})}
    return [UUID(choice) for choice in tender.rules.get("choices", []) if choice not in done]


def lock_unanswered(work: Work, tender: Tender) -> Sequence[Offer]:
    """Of a locked tender, in order of id."""
    return work.session.scalars(
        select(Offer)
        .where(tenancy.of_lender(tender.lender_id, Offer), Offer.tender_id == tender.id, Offer.state == OFFERED)
        .order_by(Offer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def take_back(
    work: Work, tender: Tender, unanswered: Sequence[Offer], now: dt.datetime, reason: str | None = None
) -> None:
    """End these locked offers, and tell their agencies."""
    for offer in unanswered:
        offer.state = step(TRANSITIONS, offer.state, "withdraw")
        offer.decided_at, offer.outcome_reason = now, reason
    subjects = ({"offer": offer.id, "agency": offer.agency_id, "reason": reason} for offer in unanswered)
    audit.record_each(work, audit.Action.OFFER_WITHDRAW, subjects)
    _tell(work, tender, "offer.withdrawn", unanswered)


def _tell(work: Work, tender: Tender, kind: str, told: Sequence[Offer], **facts: str) -> None:
    subjects = [(offer.agency_id, offer.id) for offer in told]
    notices.tell_agencies(work, tender.lender_id, kind, "offer", subjects, **facts)
