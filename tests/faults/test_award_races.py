"""Award against the withdrawal of its tender, and against a bid's: whoever holds the tender first decides."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from models.bid import Bid
from models.errors import Conflict
from models.placement import PlacedCase, Placement
from models.services.exchange import awards, bids, tenders
from models.services.parties import lender_settings
from models.tender import Tender
from models.work import Work
from tests import bidding
from tests.bidding import Auction, package, terms
from tests.conftest import Clock
from tests.world import Someone, World

HOUSEHOLDS = 5
HOURS = 1  # of each window: a thousand tenders end before the agreements do
ROUNDS = pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.soak)])

Act = tuple[Someone, Callable[[Work], object]]


def race(world: World, *acts: Act) -> list[str | None]:
    """Let all begin at once; the code of each one's refusal, None for what was done."""
    start = threading.Barrier(len(acts))

    def run(act: Act) -> str | None:
        someone, verb = act
        start.wait()
        try:
            with world.database.work(someone.actor) as work:
                verb(work)
        except Conflict as refused:
            return refused.code
        return None

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


class Series:
    """Tenders one after the other, each of as few households as a tape may show."""

    def __init__(self, world: World, rounds: int) -> None:
        self.world, self.lender = world, world.lender()
        with world.database.work(world.person(self.lender, "compliance_officer").actor) as work:
            lender_settings.change(work, {"tape_borrowers_min": HOUSEHOLDS})
        self.portfolios = world.portfolios(self.lender, HOUSEHOLDS, rounds)
        agencies = [world.agency(), world.agency()]
        self.panel = {world.agreement(self.lender, agency): agency for agency in agencies}

    def next(self) -> Auction:
        """With a commitment of each agency."""
        bid = (terms("0.180000"), terms("0.170000"))
        portfolio = next(self.portfolios)
        tendered = bidding.invite(self.world, self.lender, portfolio, self.panel, bid, HOUSEHOLDS, HOURS)
        bidding.commit(self.world, *tendered.bidders)
        return tendered

    def next_ripe(self, clock: Clock) -> Auction:
        """With all bids revealed and all windows closed."""
        tendered = self.next()
        clock.forward(hours=HOURS)
        bidding.reveal(self.world, *tendered.bidders)
        clock.forward(hours=HOURS)
        return tendered


@ROUNDS
def test_of_an_award_and_the_tenders_withdrawal_one_is_done(world: World, clock: Clock, rounds: int) -> None:
    series = Series(world, rounds)
    lender = series.lender
    for _ in range(rounds):
        tendered = series.next_ripe(clock)
        tender_id = tendered.tender.id
        codes = race(
            world,
            (lender, lambda work, it=tender_id: awards.award(work, it)),
            (lender, lambda work, it=tender_id: tenders.withdraw(work, it)),
        )
        assert sorted(codes, key=str) == [None, "wrong_state"]
        with world.database.work(lender.actor) as work:
            state = work.session.scalars(select(Tender.state).where(Tender.id == tender_id)).one()
            offers = [bidder.offer.id for bidder in tendered.bidders]
            placed = work.session.scalars(select(Placement.id).where(Placement.offer_id.in_(offers))).all()
        assert (state, len(placed)) in {("placed", 1), ("withdrawn", 0)}


@ROUNDS
def test_of_two_awards_at_once_one_is_made(world: World, clock: Clock, rounds: int) -> None:
    series = Series(world, rounds)
    for _ in range(rounds):
        tender_id = series.next_ripe(clock).tender.id
        again: Act = (series.lender, lambda work, it=tender_id: awards.award(work, it))
        assert sorted(race(world, again, again), key=str) == [None, "wrong_state"]


@ROUNDS
def test_a_bid_withdrawn_at_the_close_is_either_gone_or_stands(world: World, clock: Clock, rounds: int) -> None:
    """The clock passes the windows while the bidder withdraws: what was withdrawn in time is in no award."""
    series = Series(world, rounds)
    lender = series.lender
    for _ in range(rounds):
        tendered = series.next()
        bidder, tender_id = tendered.bidders[0], tendered.tender.id
        clock.forward(hours=HOURS, microseconds=-1)

        def close(work: Work, it: object = tender_id) -> None:
            clock.forward(hours=HOURS, microseconds=1)
            awards.award(work, it)

        codes = race(
            world,
            (lender, close),
            (bidder.someone, lambda work, it=bidder.offer.id: bids.withdraw(work, it)),
        )
        assert codes[0] is None
        assert codes[1] in (None, "commit_window_closed", "wrong_state")
        with world.database.work(lender.actor) as work:
            found = work.session.scalars(select(Bid.state).where(Bid.offer_id == bidder.offer.id)).one()
            award = awards.find(work, tender_id)
        assert award is not None
        assert found == ("withdrawn" if codes[1] is None else "void")
        assert len(award.record["bids"]) == (1 if codes[1] is None else 2)


def test_of_two_awards_in_lots_at_once_one_is_made_and_no_case_is_placed_twice(world: World, clock: Clock) -> None:
    for _ in range(5):
        bids_on = [[package([1], "0.100000"), package([1, 2], "0.200000")], [package([2], "0.100000")]]
        tendered = bidding.auction_in_lots(world, *bids_on, sizes=(20, 20))
        bidding.commit(world, *tendered.bidders)
        clock.forward(hours=bidding.HOURS)
        bidding.reveal(world, *tendered.bidders)
        clock.forward(hours=bidding.HOURS)
        again: Act = (tendered.lender, lambda work, it=tendered.tender.id: awards.award(work, it))
        assert sorted(race(world, again, again), key=str) == [None, "wrong_state"]
        with world.database.work(tendered.lender.actor) as work:
            placed = work.session.scalars(select(PlacedCase.case_id)).all()
        assert len(placed) == len(set(placed)) == 40
