"""Bids on parts and bundles: invited, revealed, awarded and placed lot by lot, each told what is its own."""

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import select, update

from models import award as rules
from models.audit import OutboxEntry
from models.award import Package
from models.bid import Award, Bid
from models.case import Case
from models.errors import Conflict, Invalid
from models.exclusion import Exclusion
from models.ids import new_id
from models.notice import Notice
from models.placement import PlacedCase, Placement
from models.services.exchange import agreements, answering, awards, bids, offers, tenders, undoing
from models.services.exchange.opened_bids import LOTS_SEALED_BYTES
from models.services.parties import lender_settings
from models.tender import TenderedCase
from models.work import JOBS, Actor
from tests import bidding
from tests.bidding import Auction, auction_in_lots, by_bucket, package
from tests.conftest import Clock
from tests.world import Debt, World


def held(world: World, clock: Clock, tendered: Auction, silent: int | None = None) -> Award:
    """Everybody commits, all but one reveal, and the lender asks for the award."""
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *(one for at, one in enumerate(tendered.bidders) if at != silent))
    clock.forward(hours=bidding.HOURS)
    return awarded(world, tendered)


def awarded(world: World, tendered: Auction) -> Award:
    with world.database.work(tendered.lender.actor) as work:
        return awards.award(work, tendered.tender.id)


def winners(made: Award, tendered: Auction) -> list[int | None]:
    """Of each lot, which bidder by its place."""
    agencies = [str(bidder.someone.organisation.id) for bidder in tendered.bidders]
    place = {bid["bid"]: agencies.index(bid["agency"]) for bid in made.record["bids"]}
    return [None if bid is None else place[bid] for bid in made.record["winners"]]


def placed(world: World, tendered: Auction) -> dict[int, tuple[set[str], Decimal]]:
    """Of each bidder with a placement: the buckets that it was given, and at what rate."""
    found: dict[int, tuple[set[str], Decimal]] = {}
    agencies = [bidder.someone.organisation.id for bidder in tendered.bidders]
    with world.database.work(tendered.lender.actor) as work:
        for placement in work.session.scalars(select(Placement).order_by(Placement.id)):
            cases = select(Case.bucket, PlacedCase.contingency_rate).join(
                PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id)
            )
            rows = work.session.execute(cases.where(PlacedCase.placement_id == placement.id)).all()
            (rate,) = {row[1] for row in rows}
            found[agencies.index(placement.agency_id)] = ({row[0] for row in rows}, rate)
            assert placement.case_count == len(rows)
    return found


def part(world: World, tendered: Auction, at: int) -> dict[str, Any]:
    bidder = tendered.bidders[at]
    with world.database.work(bidder.someone.actor) as work:
        return awards.part(work, offers.get(work, bidder.offer.id))


@pytest.fixture
def three(world: World) -> Auction:
    """Two parts that are worth more together than the bundle of both, and nobody for the third lot."""
    return auction_in_lots(
        world,
        [package([1], "0.100000"), package([2], "0.300000")],
        [package([2], "0.100000", "1.50")],
        [package([1, 2], "0.500000")],
    )


def test_every_bidder_is_shown_the_tapes_figures_of_each_lot(world: World, three: Auction) -> None:
    for bidder in three.bidders:
        scoring = bidder.offer.terms["scoring"]
        assert (scoring["divided_by"], [lot["values"] for lot in scoring["lots"]]) == (
            "buckets",
            [["M1"], ["M2"], ["M3"]],
        )
        strata: Any = bidder.offer.strata
        assert scoring["lots"] == strata["currencies"][0]["dimensions"]["bucket"]
        assert bidder.offer.terms["tie_rule"] == list(rules.LOTS_TIE_RULE)
    assert {lot["case_count"] for lot in three.bidders[0].offer.terms["scoring"]["lots"]} != {25}


def test_each_winner_gets_the_cases_of_its_lots_at_its_own_rate_and_the_rest_is_free(
    world: World, clock: Clock, three: Auction
) -> None:
    made = held(world, clock, three)
    assert winners(made, three) == [0, 1, None]
    assert placed(world, three) == {0: ({"M1"}, Decimal("0.1")), 1: ({"M2"}, Decimal("0.1"))}
    with world.database.work(three.lender.actor) as work:
        assert tenders.get(work, three.tender.id).state == "placed"
        kinds = [(one.kind, one.facts) for one in work.session.scalars(select(Notice).where(Notice.told == "lender"))]
        assert ("tender.lots_left", {"cases": 25}) in kinds
        assert sum(kind == "tender.awarded" for kind, _ in kinds) == 2
        again = tenders.assign(work, three.tender.portfolio_id, three.bidders[2].offer.agreement_id)
        assert tenders.get(work, again.tender_id).case_count == 25


def test_a_bundle_is_placed_whole(world: World, clock: Clock) -> None:
    tendered = auction_in_lots(world, [package([1, 3], "0.050000")], [package([1], "0.900000")])
    assert winners(held(world, clock, tendered), tendered) == [0, None, 0]
    assert placed(world, tendered) == {0: ({"M1", "M3"}, Decimal("0.05"))}
    with world.database.work(tendered.lender.actor) as work:
        assert work.session.scalars(select(Placement.case_count)).one() == 50


def test_record_parts_and_log_agree_and_verify(world: World, clock: Clock, three: Auction) -> None:
    made = held(world, clock, three, silent=2)
    written = rules.canonical(made.record)
    assert rules.verify(written).startswith("VERIFIED: 3 bids, 2 scored, 2 of 3 lots placed, worth ")
    for at in range(3):
        own = rules.canonical(part(world, three, at))
        assert rules.verify(own).startswith("VERIFIED: the bid is ")
        assert b"gate" not in own
        assert sum(str(one.someone.organisation.id).encode() in own for one in three.bidders) == 1
    with world.database.work(Actor(side=JOBS, org_id=three.lender.organisation.id)) as work:
        entries = [json.loads(one) for one in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))]
    (closing,) = [entry["subject"] for entry in entries if entry["action"] == "tender.award"]
    assert closing["digest"] == sha256(written).hexdigest()
    assert (closing["value"], closing["bids"][2]) == (made.record["value"], "")
    opened = [entry["subject"]["packages"] for entry in entries if entry["action"] == "bid.open"]
    assert [json.loads(one) for one in opened[0]] == three.bidders[0].given["packages"]


def test_each_package_is_told_what_became_of_it(world: World, clock: Clock, three: Auction) -> None:
    held(world, clock, three)
    found = [bidding.own(world, bidder) for bidder in three.bidders]
    assert [(bid.state, bid.reason, bid.rate) for bid in found] == [
        ("won", None, Decimal("0.1")),
        ("won", None, Decimal("0.1")),
        ("lost", "outbid", None),
    ]
    assert [[(one["state"], one["reason"]) for one in bid.packages or []] for bid in found] == [
        [("won", None), ("lost", "other_package_won")],
        [("won", None)],
        [("lost", "outbid")],
    ]


def test_a_package_beyond_the_capacity_is_void_and_a_smaller_one_wins(world: World, clock: Clock) -> None:
    tendered = auction_in_lots(world, [package([1, 2], "0.050000"), package([2], "0.100000")])
    with world.database.work(tendered.lender.actor) as work:
        agreements.change(work, tendered.bidders[0].offer.agreement_id, {"open_cases_max": 49})
    made = held(world, clock, tendered)
    assert winners(made, tendered) == [None, 0, None]
    assert [one["gate"] for one in made.record["bids"][0]["packages"]] == [["capacity_exceeded"], []]
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, tendered, 0)))


def test_every_package_of_a_bid_whose_terms_changed_is_void(world: World, clock: Clock, three: Auction) -> None:
    bidding.commit(world, *three.bidders)
    with world.database.work(three.lender.actor) as work:
        agreements.change(work, three.bidders[0].offer.agreement_id, {"term_days": 1})
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *three.bidders)
    clock.forward(hours=bidding.HOURS)
    made = awarded(world, three)
    assert winners(made, three) == [2, 2, None]
    assert [one["gate"] for one in made.record["bids"][0]["packages"]] == [["terms_changed"]] * 2
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, three, 0)))


def invited(world: World, *limits: dict[str, object], sizes: tuple[int, ...] = (25, 25)) -> Auction:
    """Agencies whose agreements hold only so far, each with a package of each lot."""
    lender, agencies = world.lender(), [world.agency() for _ in limits]
    portfolio = world.portfolio(lender, by_bucket(*sizes))
    panel = {world.agreement(lender, agency, **limit): agency for agency, limit in zip(agencies, limits, strict=True)}
    lots = [{"buckets": [f"M{at}"]} for at in range(1, len(sizes) + 1)]
    packages = (package([1], "0.100000"), package([1, 2], "0.050000"), package([2], "0.200000"))
    return bidding.invite(world, lender, portfolio, panel, [packages] * len(limits), lots=lots)


def test_an_agency_with_room_or_territory_for_one_lot_is_asked_and_learns_which_are_beyond_its_agreement(
    world: World, clock: Clock
) -> None:
    tendered = invited(world, {"open_cases_max": 30}, {"buckets": ["M2"]})
    assert [bidder.offer.terms["lots_outside"] for bidder in tendered.bidders] == [[], [1]]
    made = held(world, clock, tendered)
    assert winners(made, tendered) == [0, 1]
    reasons = [[one["reason"] for one in bid["packages"]] for bid in made.record["bids"]]
    assert reasons[0][1] == "capacity_exceeded"
    assert reasons[1][:2] == ["cases_outside_agreement"] * 2


def test_of_a_lot_that_is_full_nothing_is_told(world: World) -> None:
    """Whether its exact size is above what the agency has room for would tell that size."""
    tendered = invited(world, {"open_cases_max": 25}, sizes=(25, 26))
    assert tendered.bidders[0].offer.terms["lots_outside"] == []


@pytest.mark.parametrize("odd", [False, True])
def test_one_case_outside_an_agreement_is_told_by_nothing_that_is_shown(world: World, odd: bool) -> None:
    """The agency is not asked, as with a whole tender; the lender learns why, and no other agency sees a difference."""
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    debts = [Debt(number, dpd=30 + 30 * (number % 2), product="credit_card") for number in range(59)]
    debts.append(Debt(59, dpd=60, product="personal_loan" if odd else "credit_card"))
    portfolio = world.portfolio(lender, debts)
    cards, everything = (
        world.agreement(lender, agencies[0], products=["credit_card"]),
        world.agreement(lender, agencies[1]),
    )
    with world.database.work(lender.actor) as work:
        panel = [cards.id, everything.id]
        tender = bids.invite(work, portfolio.id, panel, None, None, 24, 24, Decimal("0.1"), lots=LOTS_OF_TWO)
    assert tender.rules["passed_over"] == ({str(cards.id): ["cases_outside_agreement"]} if odd else {})
    for agency in agencies[odd:]:
        assert bidding.offer_of(world, agency, tender).terms["lots_outside"] == []


def test_a_lot_is_beyond_an_agreement_by_what_it_is_made_of_not_by_which_cases_there_are(
    world: World, clock: Clock
) -> None:
    """At the award too: who is outbid there, and not void, would learn that the lot has no such case."""
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    portfolio = world.portfolio(lender, by_bucket(25, 25))
    panel = {
        world.agreement(lender, agencies[0], buckets=["M1", "M2"]): agencies[0],
        world.agreement(lender, agencies[1]): agencies[1],
    }
    packages = (package([1], "0.100000"), package([2], "0.100000"))
    lots = [{"buckets": ["M1"]}, {"buckets": ["M2", "M3"]}]
    dearer = (package([1], "0.200000"),)
    tendered = bidding.invite(world, lender, portfolio, panel, [packages, dearer], lots=lots)
    assert [bidder.offer.terms["lots_outside"] for bidder in tendered.bidders] == [[2], []]
    made = held(world, clock, tendered)
    assert [one["reason"] for one in made.record["bids"][0]["packages"]] == [None, "cases_outside_agreement"]


def test_who_may_receive_no_lot_at_all_is_passed_over(world: World) -> None:
    lender, asked, passed = world.lender(), world.agency(), world.agency()
    portfolio = world.portfolio(lender, by_bucket(25, 25))
    agreement, small = world.agreement(lender, asked), world.agreement(lender, passed, open_cases_max=24)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(
            work, portfolio.id, [agreement.id, small.id], None, None, 24, 24, Decimal("0.1"), lots=LOTS_OF_TWO
        )
    assert tender.rules["passed_over"] == {str(small.id): ["capacity_exceeded"]}


LOTS_OF_TWO = [{"buckets": ["M1"]}, {"buckets": ["M2"]}]


def test_who_has_room_for_the_smallest_lot_alone_may_commit(world: World) -> None:
    tendered = invited(world, {"open_cases_max": 45})
    least = min(lot["case_count"] for lot in tendered.bidders[0].offer.terms["scoring"]["lots"])
    with world.database.work(tendered.lender.actor) as work:
        agreements.change(work, tendered.bidders[0].offer.agreement_id, {"open_cases_max": least - 1})
    with world.database.work(tendered.bidders[0].someone.actor) as work:
        assert answering.reasons_told(work, offers.get(work, tendered.bidders[0].offer.id)) == ["capacity_exceeded"]
    with pytest.raises(Conflict) as refused:
        bidding.commit(world, tendered.bidders[0])
    assert refused.value.code == "capacity_exceeded"
    with world.database.work(tendered.lender.actor) as work:
        agreements.change(work, tendered.bidders[0].offer.agreement_id, {"open_cases_max": least})
    bidding.commit(world, tendered.bidders[0])


def exclude(world: World, tendered: Auction, bucket: str) -> None:
    """Every borrower of that bucket, for death."""
    with world.database.work(tendered.lender.actor) as work:
        holds = select(TenderedCase.case_id).where(TenderedCase.tender_id == tendered.tender.id)
        found = work.session.execute(
            select(Case.id, Case.borrower_id).where(Case.id.in_(holds), Case.bucket == bucket)
        ).all()
        facts = {"reason": "deceased", "source": "registry", "noted_on": work.at.date(), "recorded_at": work.at}
        by = {"lender_id": tendered.tender.lender_id, "recorded_by": tendered.lender.member.id}
        work.session.add_all(
            Exclusion(id=new_id(), borrower_id=borrower_id, case_id=case_id, **by, **facts)
            for case_id, borrower_id in found
        )


def test_a_lot_whose_cases_are_gone_is_not_placed_nor_a_bundle_with_it(world: World, clock: Clock) -> None:
    tendered = auction_in_lots(world, [package([1, 2], "0.050000")], [package([2], "0.900000")])
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    exclude(world, tendered, "M1")
    clock.forward(hours=bidding.HOURS)
    made = awarded(world, tendered)
    assert (winners(made, tendered), made.record["empty_lots"]) == ([None, 1, None], [1])
    assert made.record["bids"][0]["reason"] == "no_cases_to_place"
    assert rules.verify(rules.canonical(made.record))


def test_without_a_valid_package_the_tender_ends_unanswered(world: World, clock: Clock) -> None:
    tendered = auction_in_lots(world, [package([1], "1.000000")])
    made = held(world, clock, tendered)
    assert (made.record["outcome"], made.record["winners"]) == ("no_valid_bid", [None, None, None])
    with world.database.work(tendered.lender.actor) as work:
        assert tenders.get(work, tendered.tender.id).state == "unanswered"


def test_a_commitment_changed_in_the_database_does_not_win(world: World, clock: Clock, three: Auction) -> None:
    bidding.commit(world, *three.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *three.bidders)
    with world.database.work(three.lender.actor) as work:
        tampered = Bid.offer_id == three.bidders[0].offer.id
        work.session.execute(update(Bid).where(tampered).values(commitment=bytes(32)))
    clock.forward(hours=bidding.HOURS)
    made = awarded(world, three)
    assert 0 not in winners(made, three)
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, three, 0))) == "VERIFIED: the bid is void"


def test_undoing_takes_back_what_every_winner_has(world: World, clock: Clock, three: Auction) -> None:
    held(world, clock, three)
    with world.database.work(three.lender.actor) as work:
        assert undoing.undo(work, three.tender.id, "wrong_terms").state == "undone"
        assert work.session.scalars(select(Case).where(Case.agency_id.is_not(None))).all() == []


def test_a_sealed_bid_on_lots_has_one_length_and_is_unreadable(world: World, clock: Clock) -> None:
    every = [package([at], "0.170000", "999999.99") for at in (1, 2, 3)] + [
        package(lots, "0.170000", "999999.99") for lots in ([1, 2], [1, 3], [2, 3], [1, 2, 3])
    ]
    tendered = auction_in_lots(world, every, [package([1], "0.170000")])
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    found = [bidding.own(world, bidder) for bidder in tendered.bidders]
    assert len({len(bid.sealed or b"") for bid in found}) == 1
    assert all(bid.packages is None and b"0.170000" not in (bid.sealed or b"") for bid in found)


def test_the_longest_bid_fits_under_the_padding(world: World) -> None:
    longest = [Package(tuple(range(1, 9)), rules.Terms("hybrid", "0.170000", "999999.99"))] * rules.PACKAGES_MAX
    given = json.dumps({"packages": [one.spelled() for one in longest], "nonce": "00" * 32})
    assert len(given) <= LOTS_SEALED_BYTES


def test_terms_of_a_whole_bid_do_not_belong_beside_packages(world: World, three: Auction) -> None:
    bidder = three.bidders[0]
    given = bidder.given | {"kind": "rate", "rate": "0.100000"}
    with pytest.raises(Invalid) as refused, world.database.work(bidder.someone.actor) as work:
        bids.reveal(work, bidder.offer.id, given, bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == [
        (0, "kind", "unknown_field"),
        (0, "rate", "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("packages", "faults"),
    [
        (None, [(0, "packages", "required_missing")]),
        ([{"lots": [4]}], [(1, "*", "wrong_shape")]),
        ([package([1], "0.100000").spelled(), package([4], "0.100000").spelled()], [(2, "lots", "lot_unknown")]),
    ],
)
def test_a_malformed_reveal_is_refused_by_package_and_field(
    world: World, three: Auction, packages: object, faults: list[tuple[int, str, str]]
) -> None:
    bidder = three.bidders[0]
    given = {} if packages is None else {"packages": packages}
    with pytest.raises(Invalid) as refused, world.database.work(bidder.someone.actor) as work:
        bids.reveal(work, bidder.offer.id, given, bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == faults


def test_what_is_above_a_maximum_is_refused_by_package(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 25)), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        limits = {"rate_max": Decimal("0.18"), "kinds": ["rate"], "lots": LOTS_OF_TWO}
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), **limits)
    offer = bidding.offer_of(world, agency, tender)
    packages = (package([1], "0.180001"), package([2], "0.100000", "1.00"))
    bidder = bidding.Bidder(agency, offer, packages, bytes(32))
    bidding.commit(world, bidder)
    clock.forward(hours=24)
    with pytest.raises(Invalid) as refused, world.database.work(agency.actor) as work:
        bids.reveal(work, offer.id, {"packages": bidder.given["packages"][::-1]}, bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == [
        (1, "kind", "unknown_value"),
        (2, "rate", "above_maximum"),
    ]


@pytest.mark.parametrize(
    ("lots", "faults"),
    [
        ([], [(0, "lots", "required_missing")]),
        ([{"buckets": ["M1"]}, {"buckets": ["M1"]}], [(2, "buckets", "lots_overlap")]),
        ([{"buckets": ["M1", "M2"]}], [(0, "lots", "one_lot_alone")]),
        ([{"buckets": ["M1"]}, {"buckets": ["M3"]}], [(0, "lots", "cases_in_no_lot"), (2, "buckets", "lot_empty")]),
        ([*LOTS_OF_TWO, {"buckets": ["M3"]}], [(3, "buckets", "lot_empty")]),
        (
            [{"provinces": ["110000"]}, {"provinces": ["120000"]}],
            [(0, "lots", "cases_in_no_lot"), (1, "provinces", "lot_empty"), (2, "provinces", "lot_empty")],
        ),
    ],
)
def test_lots_that_do_not_part_the_cases_are_refused(
    world: World, lots: list[dict[str, list[str]]], faults: list[tuple[int, str, str]]
) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(21, 20)), world.agreement(lender, agency)
    with pytest.raises(Invalid) as refused, world.database.work(lender.actor) as work:
        bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), lots=lots)
    assert [tuple(error) for error in refused.value.errors] == faults


def test_a_lot_of_too_few_borrowers_is_refused(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(30, 19)), world.agreement(lender, agency)
    with pytest.raises(Invalid) as refused, world.database.work(lender.actor) as work:
        bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), lots=LOTS_OF_TWO)
    assert [tuple(error) for error in refused.value.errors] == [(2, "buckets", "lot_too_small")]


def test_a_household_is_placed_whole_where_it_owes_the_most(world: World, clock: Clock) -> None:
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    both = [Debt(1, "100.00", dpd=60), Debt(26, "9.00", dpd=30)]
    portfolio = world.portfolio(lender, [*by_bucket(25, 25), *both])
    panel = {world.agreement(lender, agency): agency for agency in agencies}
    parts = [(package([at], "0.100000"),) for at in (1, 2)]
    tendered = bidding.invite(world, lender, portfolio, panel, parts, lots=LOTS_OF_TWO)
    held(world, clock, tendered)
    with world.database.work(lender.actor) as work:
        owners = work.session.execute(select(Case.borrower_id, Case.agency_id).distinct()).all()
    assert len(owners) == len({borrower for borrower, _ in owners}) == 50


def test_provinces_part_a_tender_too_and_a_territory_is_judged_by_lot(world: World, clock: Clock) -> None:
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    portfolio = world.portfolio(lender, by_bucket(25, 25))
    beijing, jiangsu = ("110105", "110000"), ("320102", "320000")
    with world.database.work(lender.actor) as work:
        for bucket, (region, _) in (("M1", beijing), ("M2", jiangsu)):
            work.session.execute(update(Case).where(Case.bucket == bucket).values(region=region))
    everywhere, at_home = (
        world.agreement(lender, agencies[0]),
        world.agreement(lender, agencies[1], provinces=["320000"]),
    )
    panel = {everywhere: agencies[0], at_home: agencies[1]}
    packages = (package([1], "0.500000"), package([1, 2], "0.100000"), package([2], "0.050000"))
    lots = [{"provinces": [beijing[1]]}, {"provinces": [jiangsu[1]]}]
    tendered = bidding.invite(world, lender, portfolio, panel, [packages[:2], packages], lots=lots)
    assert tendered.bidders[1].offer.terms["lots_outside"] == [1]
    made = held(world, clock, tendered)
    assert winners(made, tendered) == [0, 0]
    reasons = [one["reason"] for one in made.record["bids"][1]["packages"]]
    assert reasons == ["cases_outside_agreement", "cases_outside_agreement", "outbid"]
    assert rules.verify(rules.canonical(made.record))


def test_lots_wait_for_a_second_person_as_they_were_parted(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        lender_settings.change(work, {"approval_cases": 20})
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 25)), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), lots=LOTS_OF_TWO)
        lots_of = select(TenderedCase.lot).where(TenderedCase.tender_id == tender.id)
        assert sorted(work.session.scalars(lots_of)) == [1] * 25 + [2] * 25
    with world.database.work(world.person(lender, "portfolio_manager").actor) as work:
        opened = bids.approve(work, tender.id)
        assert [lot["values"] for lot in opened.rules["scoring"]["lots"]] == [["M1"], ["M2"]]


def test_a_lot_that_lost_too_many_while_it_waited_is_not_shown(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        lender_settings.change(work, {"approval_cases": 20})
    portfolio, agreement = world.portfolio(lender, by_bucket(25, 25)), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), lots=LOTS_OF_TWO)
    exclude(world, Auction(lender, tender, []), "M1")
    second = world.person(lender, "portfolio_manager")
    with pytest.raises(Conflict) as refused, world.database.work(second.actor) as work:
        bids.approve(work, tender.id)
    assert refused.value.code == "too_few_to_score"


def test_alike_tenders_in_the_same_lots_show_the_same_figures(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(40, 40, 40)), world.agreement(lender, agency)
    one, other = ([{"buckets": ["M1"]}, {"buckets": ["M2", "M3"]}], [{"buckets": ["M1", "M2"]}, {"buckets": ["M3"]}])
    shown = []
    for limit, lots in ((None, one), (116, one), (116, None), (116, other)):
        with world.database.work(lender.actor) as work:
            tender = bids.invite(work, portfolio.id, [agreement.id], None, limit, 24, 24, Decimal("0.1"), lots=lots)
            shown.append((tender.id, tender.tape_of))
        with world.database.work(lender.actor) as work:
            tenders.withdraw(work, tender.id)
    assert [of == tender_id for tender_id, of in shown] == [True, False, True, True]
    assert shown[1][1] == shown[0][0]


def test_lots_named_in_another_order_are_alike_and_their_figures_stand_in_that_order(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, by_bucket(40, 40, 40)), world.agreement(lender, agency)
    one, other = {"buckets": ["M1"]}, {"buckets": ["M2", "M3"]}
    shown = []
    for lots in ([one, other], [other, one], [one, {"buckets": ["M3", "M2"]}]):
        with world.database.work(lender.actor) as work:
            tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), lots=lots)
            shown.append((tender.tape_of, tender.rules["scoring"]["lots"]))
        with world.database.work(lender.actor) as work:
            tenders.withdraw(work, tender.id)
    assert len({of for of, _ in shown}) == 1
    assert [lot["values"] for lot in shown[1][1]] == [["M2", "M3"], ["M1"]]
    assert shown[0][1] == shown[1][1][::-1] == shown[2][1]
