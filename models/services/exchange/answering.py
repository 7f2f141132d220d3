"""Answering an offer: whether its agency may see it and answer it now, which the gate decides, and what it is shown.

An agency that may not receive sees that the offer exists and why it is told nothing of it: no figure, no group, no
sample. Room alone hides nothing, for an agency that is full may make some, and must know how much.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from models.agreement import Agreement
from models.award import told
from models.errors import Conflict
from models.offer import LOST, OFFERED, PLACED, VOID, Offer
from models.services import bulk, tenancy
from models.services.exchange import eligibility, opened_bids, placing, tender_cases
from models.services.exchange import lots as tender_lots
from models.services.exchange.eligibility import FULL, OUTSIDE, Candidate
from models.tender import SEALED_BID, Tender
from models.work import AGENCY, Work

_READS: Final = ("kinds", "rate_max", "case_fee_max", "currency", "divided_by")  # of a published scoring, to read a bid


def reasons(work: Work, offer: Offer, agreement: Agreement, at: dt.datetime, case_count: int) -> list[str]:
    """The gate's, for so many cases of an offer that stands, whose own are not counted as waiting; and OUTSIDE where
    the agreement covers none of its cases, or of a bid on all of them, not all. Stands in the lender's tenant."""
    (seat,) = eligibility.assess(work, offer.lender_id, [agreement], at, case_count, besides=offer.id)
    return [*seat.reasons, *([OUTSIDE] if _find_outside(work, [offer], seat, at) else [])]


def require(work: Work, offer: Offer, agreement: Agreement, at: dt.datetime, case_count: int) -> None:
    """Conflict by the first code that the agency is told, with all of those in `reasons`. Comes after `hold`."""
    if found := told(reasons(work, offer, agreement, at, case_count)):
        raise Conflict(found[0], reasons=found)


def reasons_told(work: Work, offer: Offer) -> list[str]:
    """Why the agency may not answer its offer now, which it has from `seen`: whatever that hid, or room."""
    if offer.withheld:
        return [*offer.withheld]
    with work.as_lender(offer):
        agreement = placing.get_agreement(work, offer)
        return told(eligibility.reasons(work, agreement, work.at, least_cases(offer), besides=offer.id))


def closed_by(work: Work, agreement: Agreement) -> list[str]:
    """Why nothing can be placed under an agreement now, for either side as it is told."""
    if work.actor.side != AGENCY:
        return eligibility.reasons(work, agreement, work.at)
    with work.as_lender(agreement):
        return told(eligibility.reasons(work, agreement, work.at))


def least_cases(offer: Offer) -> int:
    """The fewest that may come of an offer, as it was shown: those of its smallest lot, where it is in lots."""
    lots = _lots(offer)
    return min(lot["case_count"] for lot in lots) if lots else offer.case_count or 0


def seen(work: Work, offers: Sequence[Offer]) -> list[Offer]:
    """The offers as their reader may see them now: for an agency copies of those that it may not, with nothing of the
    cases and the reasons in `withheld`. What is placed is its own; of a bid that was judged it keeps what it bid on.
    For everybody else copies of those that were bid on, which do not tell so."""
    if work.actor.side != AGENCY:
        return [_unmarked(offer) if opened_bids.TERMS_DIGEST in offer.terms else offer for offer in offers]
    hidden = _hidden(work, [offer for offer in offers if offer.state not in PLACED])
    return [_withheld(offer, hidden[offer.id]) if offer.id in hidden else offer for offer in offers]


def _hidden(work: Work, offers: Iterable[Offer]) -> dict[UUID, list[str]]:
    """By offer that its agency may not see: what it is told."""
    of_lender = attrgetter("lender_id")
    found: dict[UUID, list[str]] = {}
    for _lender_id, group in groupby(sorted(offers, key=of_lender), of_lender):
        theirs = [*group]
        with work.as_lender(theirs[0]):
            for seat, under in _by_agreement(work, theirs):
                codes = [code for code in seat.reasons if code != FULL]
                hidden = {offer.id for offer in under} if codes else _find_outside(work, under, seat, work.at)
                found |= dict.fromkeys(hidden, told(codes or [OUTSIDE]))
    return found


def _by_agreement(work: Work, offers: Sequence[Offer]) -> list[tuple[Candidate, list[Offer]]]:
    """Of one lender's offers, what the gate says of each agreement, and those that stand under it."""
    lender_id, agreement_ids = offers[0].lender_id, {offer.agreement_id for offer in offers}
    query = select(Agreement).where(tenancy.of_lender(lender_id, Agreement), bulk.among(Agreement.id, [*agreement_ids]))
    seats = eligibility.assess(work, lender_id, work.session.scalars(query).all(), work.at)
    return [(seat, [offer for offer in offers if offer.agreement_id == seat.agreement.id]) for seat in seats]


def _find_outside(work: Work, offers: Sequence[Offer], seat: Candidate, at: dt.datetime) -> set[UUID]:
    """Of offers under one agreement, those of which it covers no case, or where one is asked to bid on all, not all."""
    if seat.covers_every_case:
        return set()
    covered = tender_cases.find_covered(work, [offer.tender_id for offer in offers], seat.agreement, at)
    return {
        offer.id
        for offer in offers
        if offer.tender_id not in covered or (offer.kind == SEALED_BID and _is_bid_outside(work, offer, seat, at))
    }


def _is_bid_outside(work: Work, offer: Offer, seat: Candidate, at: dt.datetime) -> bool:
    """While it stands; what is decided was judged."""
    if offer.state != OFFERED:
        return False
    lots = _lots(offer)
    if not lots:
        return tender_cases.holds_outside(work, offer.tender_id, seat.agreement, at)
    query = select(Tender).where(tenancy.of_lender(offer.lender_id, Tender), Tender.id == offer.tender_id)
    tender = work.session.scalars(query).one()
    return len(tender_lots.list_outside(work, tender, seat, at)) == len(lots)


def _lots(offer: Offer) -> list[dict[str, Any]]:
    lots: list[dict[str, Any]] = offer.terms.get("scoring", {}).get("lots", [])
    return lots


def _unmarked(offer: Offer) -> Offer:
    terms = {name: value for name, value in offer.terms.items() if name != opened_bids.TERMS_DIGEST}
    return _copied(offer, {"terms": terms})


def _withheld(offer: Offer, told_of: Sequence[str]) -> Offer:
    shown = {
        "case_count": None,
        "borrower_count": None,
        "balance": None,
        "strata": {"k": offer.strata["k"], "currencies": []},
        "terms": offer.terms if offer.state in (LOST, VOID) else _without_figures(offer.terms),
        "withheld": told_of,
    }
    return _copied(offer, shown)


def _copied(offer: Offer, shown: dict[str, Any]) -> Offer:
    """It belongs to no session, and is never written."""
    kept = {column.key: getattr(offer, column.key) for column in Offer.__table__.columns}
    return Offer(**kept | shown)


def _without_figures(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was published to bidders, what a reveal of a bid that was committed needs: kinds, ceilings, and of lots
    their number."""
    if "scoring" not in terms:
        return dict(terms)
    scoring = terms["scoring"]
    left = {name: value for name, value in scoring.items() if name in _READS}
    lots: dict[str, Any] = {"lots": [{} for _ in scoring["lots"]]} if "lots" in scoring else {}
    return {**{name: value for name, value in terms.items() if name != "lots_outside"}, "scoring": left | lots}
