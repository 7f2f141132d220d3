"""The exchange: offers, placements and who works which case."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.offer import Offer
from models.services.collection import assignments
from models.services.exchange import offers, placements, recalls, tape, tenders
from models.services.parties import freezes
from models.work import LENDER, Work
from portal.access import open_work, permit, tenant_work
from portal.acknowledging import acknowledge
from portal.description import ONCE
from portal.requests import once
from portal.schemas import exchange as s
from portal.schemas.base import PageQuery, page, page_of, with_facts
from portal.schemas.erasure import FreezeRequest
from portal.schemas.placements import PlacementQuery

blueprint = Blueprint("exchange-api", __name__, description="Offers, placements, assignments")


@blueprint.post("/offers")
@permit("offers.create")
@blueprint.arguments(s.OfferRequest)
@blueprint.response(201, s.OfferView)
@blueprint.doc(**ONCE)
def create_offer(given: dict[str, Any]) -> Any:
    """Offer a portfolio's free cases to the agency of an agreement."""
    with open_work() as work:
        made = once(work, lambda: tenders.assign(work, **given), lambda offer_id: offers.get(work, offer_id))
        return _shown(work, [made])[0]


@blueprint.get("/offers")
@permit("offers.read")
@blueprint.arguments(s.OfferQuery, location="query")
@blueprint.response(200, page_of(s.OfferView))
def list_offers(query: dict[str, Any]) -> Any:
    """The offers one's organisation made or received, the newest first."""
    filters = offers.OfferFilter(query["other_id"], query["kind"], query["tender_id"])
    with open_work() as work:
        found = offers.list_own(work, query["after"], query["limit"], query["state"], filters=filters)
        return page(found, query["limit"]) | {"items": _shown(work, found)}


@blueprint.get("/offers/<uuid:offer_id>")
@permit("offers.read")
@blueprint.response(200, s.OfferDetailView)
def read_offer(offer_id: UUID) -> Any:
    """One offer with its strata and, while it waits for an answer, the terms that acceptance or an award would
    freeze."""
    with open_work() as work:
        offer = offers.get(work, offer_id)
        return _shown(work, [offer])[0] | {"frozen_terms": offers.find_terms(work, offer)}


@blueprint.get("/offers/<uuid:offer_id>/synthetic-sample")
@permit("offers.read")
@blueprint.response(200, s.TapeSampleView)
def read_sample(offer_id: UUID) -> Any:
    """Made-up cases with the offer's figures, for a model that prices by the case: always the same ones, and of no
    borrower. 409 `no_tape` where the offer shows no figures, or by what it is withheld for."""
    with open_work() as work:
        return tape.sample(offers.get(work, offer_id))


@blueprint.post("/offers/<uuid:offer_id>/accept")
@permit("offers.decide")
@blueprint.arguments(s.TermsRequest)
@blueprint.response(201, s.PlacementView)
@blueprint.doc(**ONCE)
def accept_offer(given: dict[str, Any], offer_id: UUID) -> Any:
    """Accept: the placement starts with the terms frozen that were read, and waits for its acknowledgement. 409
    `terms_changed` where they are others by now: read the offer again."""
    seen = given["terms_digest"]
    with open_work() as work:
        return once(work, lambda: offers.accept(work, offer_id, seen), lambda made: placements.get(work, made))


@blueprint.post("/offers/<uuid:offer_id>/decline")
@permit("offers.decide")
@blueprint.arguments(s.DeclineRequest)
@blueprint.response(200, s.OfferView)
def decline_offer(given: dict[str, Any], offer_id: UUID) -> Any:
    """Decline an offer, with a reason."""
    with open_work() as work:
        return _shown(work, [offers.decline(work, offer_id, given["reason"])])[0]


@blueprint.post("/offers/<uuid:offer_id>/withdraw")
@permit("offers.create")
@blueprint.response(200, s.OfferView)
def withdraw_offer(offer_id: UUID) -> Any:
    """Take back an offer that has not been decided."""
    with open_work() as work:
        return _shown(work, [offers.withdraw(work, offer_id)])[0]


@blueprint.get("/placements")
@permit("placements.read")
@blueprint.arguments(PlacementQuery, location="query")
@blueprint.response(200, page_of(s.PlacementView))
def list_placements(query: dict[str, Any]) -> Any:
    """The placements one's organisation is a party to, the newest first."""
    after, limit = query.pop("after"), query.pop("limit")
    with tenant_work() as work:
        return page(placements.list_own(work, after, limit, filters=placements.PlacementFilter(**query)), limit)


@blueprint.get("/placements/<uuid:placement_id>")
@permit("placements.read")
@blueprint.response(200, s.PlacementView)
def read_placement(placement_id: UUID) -> Any:
    """One placement with the terms frozen in it."""
    with tenant_work() as work:
        return placements.get(work, placement_id)


@blueprint.get("/placements/<uuid:placement_id>/cases")
@permit("placements.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.PlacedCaseView))
def list_placement_cases(query: dict[str, Any], placement_id: UUID) -> Any:
    """The cases of a placement: for the lender all that it ever held, for the agency those it holds."""
    with tenant_work() as work:
        found = placements.list_cases(work, placement_id, **query)
    last = found[-1].case.id if len(found) == query["limit"] else None
    return {"items": found, "next_after": last}


@blueprint.post("/placements/<uuid:placement_id>/acknowledge")
@permit("placements.acknowledge")
@blueprint.arguments(s.AcknowledgeRequest)
@blueprint.response(200, s.PlacementView)
def acknowledge_placement(given: dict[str, Any], placement_id: UUID) -> Any:
    """Confirm count and balance; they must be what was placed, or work does not start."""
    return acknowledge(placement_id, **given)


@blueprint.post("/placements/<uuid:placement_id>/recall")
@permit("placements.recall")
@blueprint.arguments(s.RecallRequest)
@blueprint.response(200, s.CountView)
def recall_placement(given: dict[str, Any], placement_id: UUID) -> Any:
    """Take back the whole placement or the cases named; it bites at the next request."""
    with open_work() as work:
        return {"count": recalls.recall(work, placement_id, **given).case_count}


@blueprint.post("/placements/<uuid:placement_id>/freeze")
@permit("placements.freeze")
@blueprint.arguments(FreezeRequest)
@blueprint.response(200, s.PlacementView)
def freeze_placement(given: dict[str, Any], placement_id: UUID) -> Any:
    """Stop the agency's work under the placement at its next request; the term runs on."""
    with open_work() as work:
        return freezes.freeze(work, placement_id, given["reason"])


@blueprint.post("/placements/<uuid:placement_id>/unfreeze")
@permit("placements.freeze")
@blueprint.response(200, s.PlacementView)
def unfreeze_placement(placement_id: UUID) -> Any:
    """Let the agency go on."""
    with open_work() as work:
        return freezes.unfreeze(work, placement_id)


@blueprint.get("/placements/<uuid:placement_id>/opened")
@permit("placements.read")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, page_of(s.OpenedUnderView))
def list_opened(query: dict[str, Any], placement_id: UUID) -> Any:
    """What the agency has opened under a placement, the newest first: what it may still know after the end."""
    with tenant_work() as work:
        found = placements.opened(work, placement_id, **query)
    last = found[-1].release.id if len(found) == query["limit"] else None
    return {"items": found, "next_after": last}


@blueprint.get("/collectors")
@permit("cases.assign")
@blueprint.response(200, s.CollectorView(many=True))
def list_collectors() -> Any:
    """The agency's collectors and how many cases each works."""
    with open_work() as work:
        return assignments.collectors(work)


@blueprint.post("/placements/<uuid:placement_id>/assignments")
@permit("cases.assign")
@blueprint.arguments(s.AssignRequest)
@blueprint.response(200, s.CountView)
def assign_cases(given: dict[str, Any], placement_id: UUID) -> Any:
    """Give the cases named to one collector, or deal the unassigned ones out among several by household."""
    collectors, cases = given["collector_ids"], given["case_ids"]
    with open_work() as work:
        if cases is None:
            return {"count": assignments.assign_evenly(work, placement_id, collectors)}
        return {"count": assignments.assign(work, placement_id, s.only(collectors), cases)}


def _shown(work: Work, made: Sequence[Offer]) -> list[dict[str, Any]]:
    """With the lender's own figures, for an agency those of the tape; its placement has the others."""
    known = offers.figures(work, made)
    found = []
    for offer in made:
        now = known[offer.id]
        told = now if work.actor.side == LENDER else offers.shown(offer)
        figures = {"case_count": told.case_count, "borrower_count": told.borrower_count, "balance": told.balance}
        facts = {"state": now.state_of(offer), "undone_at": now.undone_at, "exact": told.is_exact}
        found.append(with_facts(s.OfferView, offer, **figures, **facts))
    return found
