"""A tender of sealed bids among agencies, made and answered by the real verbs."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.agreement import Agreement
from models.award import Terms, commitment_of
from models.bid import Bid
from models.offer import Offer
from models.portfolio import Portfolio
from models.services.exchange import bids, offers
from models.tender import Tender
from tests.world import Debt, Someone, World

HOURS = 24  # of each window


@dataclass(frozen=True)
class Bidder:
    """An agency with its offer, and what it keeps to itself until it reveals."""

    someone: Someone
    offer: Offer
    terms: Terms
    nonce: bytes

    @property
    def commitment(self) -> bytes:
        return commitment_of(self.offer.tender_id, self.someone.organisation.id, self.terms, self.nonce)


@dataclass(frozen=True)
class Auction:
    lender: Someone
    tender: Tender
    bidders: list[Bidder]


def terms(rate: str, fee: str = "0.00") -> Terms:
    return Terms("rate" if fee == "0.00" else "hybrid", rate, fee)


def auction(world: World, *bid: Terms, cases: int | Iterable[Debt] = 30, lender: Someone | None = None) -> Auction:
    """One new agency invited for each of these bids, which nobody has committed to yet."""
    lender = lender or world.lender()
    agencies = [world.agency() for _ in bid]
    portfolio = world.portfolio(lender, cases)
    agreements = [world.agreement(lender, agency) for agency in agencies]
    return invite(world, lender, portfolio, dict(zip(agreements, agencies, strict=True)), bid)


def invite(
    world: World,
    lender: Someone,
    portfolio: Portfolio,
    panel: dict[Agreement, Someone],
    bid: Sequence[Terms],
    case_limit: int | None = None,
    hours: int = HOURS,
) -> Auction:
    with world.database.work(lender.actor) as work:
        tender = bids.invite(
            work,
            portfolio.id,
            [agreement.id for agreement in panel],
            buckets=None,
            case_limit=case_limit,
            commit_hours=hours,
            reveal_hours=hours,
            expected_recovery=Decimal("0.12"),
        )
    bidders = [
        Bidder(agency, offer_of(world, agency, tender), one, secrets.token_bytes(32))
        for agency, one in zip(panel.values(), bid, strict=True)
    ]
    return Auction(lender, tender, bidders)


def offer_of(world: World, agency: Someone, tender: Tender) -> Offer:
    with world.database.work(agency.actor) as work:
        return next(offer for offer in offers.list_own(work) if offer.tender_id == tender.id)


def commit(world: World, *bidders: Bidder) -> None:
    for bidder in bidders:
        with world.database.work(bidder.someone.actor) as work:
            bids.commit(work, bidder.offer.id, bidder.commitment)


def reveal(world: World, *bidders: Bidder) -> None:
    for bidder in bidders:
        with world.database.work(bidder.someone.actor) as work:
            bids.reveal(work, bidder.offer.id, bidder.terms._asdict(), bidder.nonce)


def own(world: World, bidder: Bidder) -> Bid:
    with world.database.work(bidder.someone.actor) as work:
        found = bids.find_own(work, offers.get(work, bidder.offer.id))
    assert found is not None
    return found
