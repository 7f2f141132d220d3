"""A tender of sealed bids among agencies, made and answered by the real verbs."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from models.agreement import Agreement
from models.award import Package, Terms
from models.bid import Bid
from models.offer import Offer
from models.portfolio import Portfolio
from models.services.exchange import bids, offers, opened_bids
from models.services.exchange.opened_bids import BidOn
from models.tender import Tender
from tests.world import Debt, Someone, World

HOURS = 24  # of each window


@dataclass(frozen=True)
class Bidder:
    """An agency with its offer, and what it keeps to itself until it reveals."""

    someone: Someone
    offer: Offer
    terms: BidOn
    nonce: bytes

    @property
    def commitment(self) -> bytes:
        return opened_bids.commitment_of(self.offer, self.terms, self.nonce)

    @property
    def given(self) -> dict[str, Any]:
        """What it reveals, beside the nonce."""
        return opened_bids.spelled(self.terms)


@dataclass(frozen=True)
class Auction:
    lender: Someone
    tender: Tender
    bidders: list[Bidder]


def terms(rate: str, fee: str = "0.00") -> Terms:
    return Terms("rate" if fee == "0.00" else "hybrid", rate, fee)


def package(lots: Sequence[int], rate: str, fee: str = "0.00") -> Package:
    return Package(tuple(lots), terms(rate, fee))


def auction(world: World, *bid: Terms, cases: int | Iterable[Debt] = 30, lender: Someone | None = None) -> Auction:
    """One new agency invited for each of these bids, which nobody has committed to yet."""
    lender = lender or world.lender()
    agencies = [world.agency() for _ in bid]
    portfolio = world.portfolio(lender, cases)
    agreements = [world.agreement(lender, agency) for agency in agencies]
    return invite(world, lender, portfolio, dict(zip(agreements, agencies, strict=True)), bid)


def by_bucket(*sizes: int) -> list[Debt]:
    """So many borrowers with a debt each in M1, in M2, and so on."""
    buckets = [at for at, size in enumerate(sizes, start=1) for _ in range(size)]
    return [Debt(number, dpd=30 * bucket) for number, bucket in enumerate(buckets, start=1)]


def auction_in_lots(world: World, *bid: Sequence[Package], sizes: Sequence[int] = (25, 25, 25)) -> Auction:
    """As `auction`, with a lot of each bucket, M1 and so on, that has so many borrowers."""
    lender, agencies = world.lender(), [world.agency() for _ in bid]
    portfolio = world.portfolio(lender, by_bucket(*sizes))
    agreements = [world.agreement(lender, agency) for agency in agencies]
    lots = [{"buckets": [f"M{at}"]} for at in range(1, len(sizes) + 1)]
    panel = dict(zip(agreements, agencies, strict=True))
    return invite(world, lender, portfolio, panel, [tuple(sorted(one)) for one in bid], lots=lots)


def invite(
    world: World,
    lender: Someone,
    portfolio: Portfolio,
    panel: dict[Agreement, Someone],
    bid: Sequence[BidOn],
    case_limit: int | None = None,
    hours: int = HOURS,
    lots: Sequence[Mapping[str, Sequence[str]]] | None = None,
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
            lots=lots,
        )
    bidders = [
        Bidder(agency, offer_of(world, agency, tender), one, secrets.token_bytes(32))
        for agency, one in zip(panel.values(), bid, strict=True)
    ]
    return Auction(lender, tender, bidders)


def offer_of(world: World, agency: Someone, tender: Tender) -> Offer:
    with world.database.work(agency.actor) as work:
        return next(offer for offer in offers.list_own(work) if offer.tender_id == tender.id)


def terms_read(world: World, someone: Someone, offer_id: UUID) -> dict[str, str]:
    """What a commitment says of the terms that its offer shows now."""
    with world.database.work(someone.actor) as work:
        found = offers.find_terms(work, offers.get(work, offer_id))
    assert found is not None
    return {"terms_digest": found.digest}


def commit(world: World, *bidders: Bidder) -> None:
    for bidder in bidders:
        with world.database.work(bidder.someone.actor) as work:
            bids.commit(work, bidder.offer.id, bidder.commitment)


def reveal(world: World, *bidders: Bidder) -> None:
    for bidder in bidders:
        with world.database.work(bidder.someone.actor) as work:
            bids.reveal(work, bidder.offer.id, bidder.given, bidder.nonce)


def own(world: World, bidder: Bidder) -> Bid:
    with world.database.work(bidder.someone.actor) as work:
        found = bids.find_own(work, offers.get(work, bidder.offer.id))
    assert found is not None
    return found
