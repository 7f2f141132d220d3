"""Sealed bids: the lender invites and awards, an agency commits, reveals and reads what came of its own."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from models.award import canonical
from models.errors import NotFound
from models.services.exchange import awards, bids, offers, tenders
from portal.access import open_work, permit, tenant_work
from portal.description import ONCE, TEXT
from portal.downloads import file_download
from portal.requests import once
from portal.schemas import bids as s

blueprint = Blueprint("bids-api", __name__, description="Sealed bids and their award")


@blueprint.post("/tenders/sealed-bids")
@permit("offers.create")
@blueprint.arguments(s.InviteRequest)
@blueprint.response(201, s.BidTenderView)
@blueprint.doc(**ONCE)
def invite_bidders(given: dict[str, Any]) -> Any:
    """Ask the agencies of these agreements for sealed bids on a portfolio's free cases."""
    with open_work() as work:
        return once(work, lambda: bids.invite(work, **given), lambda tender_id: tenders.get(work, tender_id))


@blueprint.post("/tenders/<uuid:tender_id>/award")
@permit("offers.create")
@blueprint.response(200, s.AwardView)
def award_tender(tender_id: UUID) -> Any:
    """Open the bids after the last window and place the cases with the best; a job does so within a minute."""
    with open_work() as work:
        return awards.award(work, tender_id)


@blueprint.get("/tenders/<uuid:tender_id>/award")
@permit("awards.read")
@blueprint.response(200, s.AwardView)
def read_award(tender_id: UUID) -> Any:
    """What came of a tender of sealed bids."""
    with tenant_work() as work:
        return _award(work, tender_id)


@blueprint.get("/tenders/<uuid:tender_id>/award/record")
@permit("awards.read")
@blueprint.response(200, TEXT, content_type="application/json")
def read_award_record(tender_id: UUID) -> Response:
    """The award's record, as the file that its digest in the audit log is of."""
    with tenant_work() as work:
        found = _award(work, tender_id)
    return file_download(f"award-{tender_id}.json", canonical(found.record), "application/json")


@blueprint.get("/offers/<uuid:offer_id>/bid")
@permit("bids.read")
@blueprint.response(200, s.BidView)
def read_bid(offer_id: UUID) -> Any:
    """One's own standing bid on an offer."""
    with open_work() as work:
        found = bids.find_own(work, offers.get(work, offer_id))
    if found is None:
        raise NotFound
    return found


@blueprint.post("/offers/<uuid:offer_id>/bid/commit")
@permit("offers.decide")
@blueprint.arguments(s.CommitRequest)
@blueprint.response(201, s.BidView)
def commit_bid(given: dict[str, Any], offer_id: UUID) -> Any:
    """Commit to a bid that stays with the bidder until it is revealed, on the terms that were read. 409 `terms_changed`
    where they are others by now: read the offer again. Where they change later, the award finds the bid void; while the
    window is open it may be withdrawn, and another committed to."""
    with open_work() as work:
        return bids.commit(work, offer_id, given["commitment"], given["terms_digest"])


@blueprint.post("/offers/<uuid:offer_id>/bid/withdraw")
@permit("offers.decide")
@blueprint.response(200, s.BidView)
def withdraw_bid(offer_id: UUID) -> Any:
    """Take the commitment back, while others may still be made."""
    with open_work() as work:
        return bids.withdraw(work, offer_id)


@blueprint.post("/offers/<uuid:offer_id>/bid/reveal")
@permit("offers.decide")
@blueprint.arguments(s.RevealRequest)
@blueprint.response(200, s.BidView)
def reveal_bid(given: dict[str, Any], offer_id: UUID) -> Any:
    """Reveal the bid that was committed; it is kept under seal until the award. Repeating it changes nothing."""
    nonce = given.pop("nonce")
    with open_work() as work:
        return bids.reveal(work, offer_id, given, nonce)


@blueprint.get("/offers/<uuid:offer_id>/bid/part")
@permit("bids.read")
@blueprint.response(200, TEXT, content_type="application/json")
def read_bid_part(offer_id: UUID) -> Response:
    """One's own part of the award's record, which verifies alone."""
    with open_work() as work:
        own = awards.part(work, offers.get(work, offer_id))
    return file_download(f"bid-{offer_id}.json", canonical(own), "application/json")


def _award(work: Any, tender_id: UUID) -> Any:
    found = awards.find(work, tender_id)
    if found is None:
        raise NotFound
    return found
