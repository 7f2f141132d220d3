"""Offers that stand while their agency's terms change: what it sees of them, and what it may answer."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from models.agency_document import LICENCE, Paper
from models.agreement import Agreement
from models.case import Case
from models.errors import Conflict
from models.offer import OFFERED, Offer
from models.portfolio import Portfolio
from models.services.exchange import agreements, answering, awards, bids, offers, tape, tender_offers, tenders
from models.services.parties import agency_documents, standings
from models.tender import ASSIGNED, FIRST_CLAIM
from models.tender_plan import Plan
from tests import bidding
from tests.bidding import terms
from tests.conftest import Clock
from tests.facts import TODAY, jobs
from tests.world import Someone, World

OUTSIDE = "cases_outside_agreement"
BORROWERS = 25


@dataclass(frozen=True)
class Ground:
    world: World
    lender: Someone
    agency: Someone
    agreement: Agreement
    portfolio: Portfolio

    def change(self, **changes: Any) -> None:
        with self.world.database.work(self.lender.actor) as work:
            agreements.change(work, self.agreement.id, changes)

    def licence(self, province: str) -> None:
        """Another licence instead, for one province."""
        with self.world.database.work(self.lender.actor) as work:
            for document in agency_documents.list_own(work, self.agency.organisation.id):
                if document.kind == LICENCE:
                    agency_documents.withdraw(work, document.id)
            paper = Paper(LICENCE, "N", "I", TODAY, TODAY + dt.timedelta(days=365), [province])
            made = agency_documents.record(work, self.agency.organisation.id, paper).id
        with self.world.database.work(self.agency.actor) as work:
            agency_documents.attest(work, made)
        with self.world.database.work(self.lender.actor) as work:
            agency_documents.accept(work, made)

    def suspend(self) -> None:
        with self.world.database.work(self.lender.actor) as work:
            standings.suspend(work, self.agency.organisation.id, "conduct")

    def clear(self) -> None:
        with self.world.database.work(self.lender.actor) as work:
            standings.clear(work, self.agency.organisation.id)

    def offer(self, kind: str, *others: Agreement) -> Offer:
        panel = [agreement.id for agreement in (self.agreement, *others)]
        with self.world.database.work(self.lender.actor) as work:
            tender = tenders.create(work, Plan(self.portfolio.id, kind, panel))
            return tender_offers.list_all(work, tender.id)[0]

    def seen(self, offer: Offer) -> Offer:
        with self.world.database.work(self.agency.actor) as work:
            return offers.get(work, offer.id)

    def update_cases(self, *where: Any, **values: Any) -> None:
        of_portfolio = update(Case).where(Case.portfolio_id == self.portfolio.id, *where)
        with self.world.database.work(self.lender.actor) as work:
            work.session.execute(of_portfolio.values(**values))


@pytest.fixture
def ground(world: World) -> Ground:
    """Cases of M2 in Beijing on credit cards that owe 1,000.00 each, and an agreement that covers them."""
    lender, agency = world.lender(), world.agency()
    portfolio = world.portfolio(lender, BORROWERS)
    made = Ground(world, lender, agency, world.agreement(lender, agency), portfolio)
    made.update_cases(region="110101")
    return made


NARROWED: dict[str, Callable[[Ground], None]] = {
    "bucket": lambda ground: ground.change(buckets=["M5"]),
    "product": lambda ground: ground.change(products=["car_loan"]),
    "province": lambda ground: ground.change(provinces=["310000"]),
    "least balance": lambda ground: ground.change(balance_from=Decimal("1000.01")),
    "balance below": lambda ground: ground.change(balance_below=Decimal("1000.00")),
    "licence": lambda ground: ground.licence("310000"),
}


@pytest.mark.parametrize("kind", [ASSIGNED, FIRST_CLAIM])
@pytest.mark.parametrize("dimension", NARROWED)
def test_what_the_agreement_covers_no_longer_is_neither_seen_nor_taken(
    ground: Ground, dimension: str, kind: str
) -> None:
    offer = ground.offer(kind)
    assert ground.seen(offer).case_count
    NARROWED[dimension](ground)
    assert ground.seen(offer).withheld == [OUTSIDE]
    with ground.world.database.work(ground.agency.actor) as work:
        assert answering.reasons_told(work, offers.get(work, offer.id)) == [OUTSIDE]
    with ground.world.database.work(ground.agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert (refused.value.code, refused.value.facts) == (OUTSIDE, {"reasons": [OUTSIDE]})


@pytest.mark.parametrize("dimension", NARROWED)
def test_no_bid_is_committed_on_what_the_agreement_covers_no_longer(ground: Ground, dimension: str) -> None:
    panel = {ground.agreement: ground.agency}
    tendered = bidding.invite(ground.world, ground.lender, ground.portfolio, panel, [terms("0.180000")])
    NARROWED[dimension](ground)
    with pytest.raises(Conflict) as refused:
        bidding.commit(ground.world, *tendered.bidders)
    assert refused.value.code == OUTSIDE


def test_an_offer_is_taken_where_what_lies_outside_by_now_is_paid_off(ground: Ground) -> None:
    ground.change(balance_from=Decimal("500.00"))
    offer = ground.offer(ASSIGNED)
    with ground.world.database.work(ground.lender.actor) as work:
        paid = work.session.scalars(select(Case.id).where(Case.portfolio_id == ground.portfolio.id).limit(1)).one()
    ground.update_cases(Case.id == paid, balance=Decimal("0.00"), status="paid_off")
    with ground.world.database.work(ground.agency.actor) as work:
        assert offers.accept(work, offer.id).case_count == BORROWERS - 1


def test_cases_that_left_the_agreement_since_the_offer_are_left_out_and_the_others_taken(ground: Ground) -> None:
    ground.change(buckets=["M2"])
    offer = ground.offer(ASSIGNED)
    with ground.world.database.work(ground.lender.actor) as work:
        later = work.session.scalars(select(Case.id).where(Case.portfolio_id == ground.portfolio.id).limit(1)).one()
    ground.update_cases(Case.id == later, dpd=75, bucket="M3")
    assert ground.seen(offer).withheld == ()
    with ground.world.database.work(ground.agency.actor) as work:
        assert offers.accept(work, offer.id).case_count == BORROWERS - 1
    with ground.world.database.work(ground.lender.actor) as work:
        assert work.session.get_one(Case, (ground.lender.organisation.id, later)).agency_id is None


@pytest.mark.parametrize("dimension", NARROWED)
def test_the_next_choice_is_asked_once_the_first_one_covers_the_cases_no_longer(ground: Ground, dimension: str) -> None:
    second = ground.world.agreement(ground.lender, ground.world.agency())
    offer = ground.offer(ASSIGNED, second)
    NARROWED[dimension](ground)
    with ground.world.database.work(jobs(ground.lender)) as work:
        assert offers.expire_due(work) == 1
    with ground.world.database.work(ground.lender.actor) as work:
        found = {one.agreement_id: one.state for one in tender_offers.list_all(work, offer.tender_id)}
    assert found == {ground.agreement.id: "withdrawn", second.id: OFFERED}


def test_an_agency_that_is_shut_out_sees_that_the_offer_is_there_and_why_and_nothing_of_the_cases(
    ground: Ground,
) -> None:
    offer = ground.offer(FIRST_CLAIM)
    ground.suspend()
    with ground.world.database.work(ground.agency.actor) as work:
        (listed,) = offers.list_own(work)
        shown = offers.get(work, offer.id)
        assert [offers.figures(work, [one])[one.id].case_count for one in (listed, shown)] == [None, None]
        with pytest.raises(Conflict) as refused:
            tape.sample(shown)
    assert refused.value.code == "ineligible"
    for one in (listed, shown):
        assert (one.withheld, one.case_count, one.borrower_count, one.balance) == (["ineligible"], None, None, None)
        assert one.strata["currencies"] == []
    ground.clear()
    assert (ground.seen(offer).withheld, bool(ground.seen(offer).strata["currencies"])) == ((), True)


@pytest.mark.parametrize("dimension", NARROWED)
def test_what_was_hidden_is_not_seen_by_declining(ground: Ground, dimension: str) -> None:
    offer = ground.offer(ASSIGNED)
    NARROWED[dimension](ground)
    with ground.world.database.work(ground.agency.actor) as work:
        declined = offers.decline(work, offer.id, "other")
        assert (declined.state, declined.withheld, declined.case_count) == ("declined", [OUTSIDE], None)
    assert ground.seen(offer).withheld == [OUTSIDE]


def test_to_decline_shows_no_figure_to_an_agency_that_is_shut_out(ground: Ground) -> None:
    offer = ground.offer(ASSIGNED)
    ground.suspend()
    with ground.world.database.work(ground.agency.actor) as work:
        declined = offers.decline(work, offer.id, "capacity")
        assert (declined.state, declined.case_count) == ("declined", None)
    assert ground.seen(offer).withheld == ["ineligible"]


def test_the_lender_sees_its_offer_and_the_agency_what_is_placed_with_it_whatever_the_gate_says(
    ground: Ground,
) -> None:
    offer = ground.offer(ASSIGNED)
    with ground.world.database.work(ground.agency.actor) as work:
        offers.accept(work, offer.id)
    ground.suspend()
    for someone in (ground.lender, ground.agency):
        with ground.world.database.work(someone.actor) as work:
            shown = offers.get(work, offer.id)
            assert (shown.withheld, bool(shown.case_count)) == ((), True)


def test_an_agency_that_is_full_sees_how_much_room_it_needs(ground: Ground) -> None:
    offer = ground.offer(FIRST_CLAIM)
    ground.change(open_cases_max=1)
    shown = ground.seen(offer)
    assert (shown.withheld, bool(shown.case_count)) == ((), True)
    with ground.world.database.work(ground.agency.actor) as work:
        assert answering.reasons_told(work, offers.get(work, offer.id)) == ["capacity_exceeded"]


def test_a_bidder_that_is_shut_out_may_reveal_cannot_win_and_is_not_counted_as_silent(
    ground: Ground, clock: Clock
) -> None:
    panel = {ground.agreement: ground.agency}
    tendered = bidding.invite(ground.world, ground.lender, ground.portfolio, panel, [terms("0.180000")])
    bidding.commit(ground.world, *tendered.bidders)
    ground.suspend()
    shown = ground.seen(tendered.bidders[0].offer)
    assert shown.terms["scoring"].keys() == {"kinds", "rate_max", "case_fee_max", "currency"}
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(ground.world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    with ground.world.database.work(ground.lender.actor) as work:
        awards.award(work, tendered.tender.id)
        assert bids.count_unrevealed(work) == {}
    bid = bidding.own(ground.world, tendered.bidders[0])
    assert (bid.state, bid.reason) == ("void", "ineligible")


def test_a_bidder_that_is_let_in_again_before_the_award_wins(ground: Ground, clock: Clock) -> None:
    panel = {ground.agreement: ground.agency}
    tendered = bidding.invite(ground.world, ground.lender, ground.portfolio, panel, [terms("0.180000")])
    bidding.commit(ground.world, *tendered.bidders)
    ground.suspend()
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(ground.world, *tendered.bidders)
    ground.clear()
    clock.forward(hours=bidding.HOURS)
    with ground.world.database.work(ground.lender.actor) as work:
        awards.award(work, tendered.tender.id)
    assert bidding.own(ground.world, tendered.bidders[0]).state == "won"


def test_of_lots_a_bidder_that_is_shut_out_is_told_their_number_alone_and_may_reveal(
    world: World, clock: Clock
) -> None:
    tendered = bidding.auction_in_lots(world, [bidding.package([1, 3], "0.100000")])
    (bidder,) = tendered.bidders
    bidding.commit(world, bidder)
    with world.database.work(tendered.lender.actor) as work:
        standings.freeze(work, bidder.someone.organisation.id, "data_incident")
    with world.database.work(bidder.someone.actor) as work:
        assert offers.get(work, bidder.offer.id).terms["scoring"]["lots"] == [{}, {}, {}]
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, bidder)
    assert bidding.own(world, bidder).state == "revealed"


def test_of_lots_the_gate_shuts_once_none_is_covered(world: World) -> None:
    tendered = bidding.auction_in_lots(world, [bidding.package([1], "0.100000")])
    (bidder,) = tendered.bidders
    for buckets, withheld in ((["M1"], ()), (["M5"], [OUTSIDE])):
        with world.database.work(tendered.lender.actor) as work:
            agreements.change(work, bidder.offer.agreement_id, {"buckets": buckets})
        with world.database.work(bidder.someone.actor) as work:
            assert offers.get(work, bidder.offer.id).withheld == withheld
    with pytest.raises(Conflict) as refused:
        bidding.commit(world, bidder)
    assert refused.value.code == OUTSIDE
