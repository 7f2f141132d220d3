"""Awards: the best valid bid is placed at its own terms, everybody learns what is theirs, and the record verifies."""

import json
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from models import award as rules
from models.agreement import Agreement
from models.audit import OutboxEntry
from models.bid import Award, Bid
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, NotFound
from models.exclusion import Exclusion
from models.ids import new_id
from models.notice import Notice
from models.offer import Offer
from models.placement import PlacedCase, Placement
from models.rates import Cell
from models.services.exchange import agreements, awards, bids, offers, rate_cards, tenders
from models.services.parties import standings
from models.tender import TenderedCase
from models.work import JOBS, Actor
from tests import bidding
from tests.bidding import Auction, Bidder, auction, terms
from tests.conftest import Clock
from tests.world import Debt, World

WINDOWS = {"hours": 2 * bidding.HOURS}


def held(world: World, clock: Clock, tendered: Auction, revealed: list[Bidder] | None = None) -> Award:
    """Everybody commits, all or those given reveal, and the lender asks for the award."""
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *(tendered.bidders if revealed is None else revealed))
    clock.forward(hours=bidding.HOURS)
    return awarded(world, tendered)


def awarded(world: World, tendered: Auction) -> Award:
    with world.database.work(tendered.lender.actor) as work:
        return awards.award(work, tendered.tender.id)


def agreement_of(world: World, tendered: Auction, bidder: Bidder) -> Agreement:
    with world.database.work(tendered.lender.actor) as work:
        return agreements.get(work, bidder.offer.agreement_id)


def states(world: World, tendered: Auction) -> list[tuple[str, str | None]]:
    """Of each bidder's offer, as the bidder sees it."""
    found = []
    for bidder in tendered.bidders:
        with world.database.work(bidder.someone.actor) as work:
            offer = offers.get(work, bidder.offer.id)
        found.append((offer.state, offer.outcome_reason))
    return found


def part(world: World, bidder: Bidder) -> dict[str, Any]:
    with world.database.work(bidder.someone.actor) as work:
        return awards.part(work, offers.get(work, bidder.offer.id))


def test_the_best_bid_is_placed_at_its_own_terms(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.100000", "1.50"), terms("0.200000"))
    held(world, clock, tendered)
    assert states(world, tendered) == [("lost", "score_lower"), ("won", None), ("lost", "score_lower")]
    with world.database.work(tendered.bidders[1].someone.actor) as work:
        (placement,) = work.session.scalars(select(Placement))
        rates = set(work.session.scalars(select(PlacedCase.contingency_rate)))
    assert placement.offer_id == tendered.bidders[1].offer.id
    assert placement.case_count == 30
    assert placement.case_fee == Decimal("1.50")
    assert (placement.lowest_rate, placement.highest_rate) == (Decimal("0.1"), Decimal("0.1"))
    assert placement.rate_card_version is None
    assert rates == {Decimal("0.1")}
    with world.database.work(tendered.lender.actor) as work:
        assert tenders.get(work, tendered.tender.id).state == "placed"


def test_nothing_is_awarded_while_bids_may_be_revealed(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"))
    bidding.commit(world, *tendered.bidders)
    clock.forward(**WINDOWS, microseconds=-1)
    with pytest.raises(Conflict) as refused:
        awarded(world, tendered)
    assert refused.value.code == "award_too_early"


def test_an_award_is_made_once(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"))
    held(world, clock, tendered)
    with pytest.raises(Conflict) as refused:
        awarded(world, tendered)
    assert refused.value.code == "wrong_state"


def test_a_tender_of_another_kind_is_not_awarded(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    with pytest.raises(Conflict) as refused, world.database.work(lender.actor) as work:
        awards.award(work, offer.tender_id)
    assert refused.value.code == "no_bids_taken"


def test_a_foreign_tender_and_an_unknown_one_are_not_found(world: World) -> None:
    tendered, other = auction(world, terms("0.180000")), world.lender()
    for tender_id in (tendered.tender.id, uuid4()):
        with pytest.raises(NotFound), world.database.work(other.actor) as work:
            awards.award(work, tender_id)
        with world.database.work(other.actor) as work:
            assert awards.find(work, tender_id) is None


def test_the_record_verifies_and_the_log_holds_its_digest_and_the_opened_bids(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.150000"), terms("0.100000", "500.00"))
    made = held(world, clock, tendered, tendered.bidders[:2])
    with world.database.work(tendered.lender.actor) as work:
        found = awards.find(work, tendered.tender.id)
        assert found is not None
        written = rules.canonical(found.record)
    assert rules.verify(written).startswith("VERIFIED: 3 bids, 2 scored, winner")
    with world.database.work(Actor(side=JOBS, org_id=tendered.lender.organisation.id)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    (closing,) = [entry["subject"] for entry in entries if entry["action"] == "tender.award"]
    assert closing["digest"] == sha256(written).hexdigest() == made.digest.hex()
    opened = {entry["subject"]["rate"]: entry["subject"] for entry in entries if entry["action"] == "bid.open"}
    assert opened.keys() == {"0.180000", "0.150000"}
    assert opened["0.150000"]["nonce"] == tendered.bidders[1].nonce.hex()


def test_a_bid_that_was_never_revealed_is_void_and_counted(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    held(world, clock, tendered, tendered.bidders[1:])
    assert states(world, tendered) == [("void", "not_revealed"), ("won", None)]
    silent = tendered.bidders[0].someone.organisation.id
    with world.database.work(tendered.lender.actor) as work:
        assert bids.count_unrevealed(work) == {silent: 1}
    clock.forward(days=366)
    with world.database.work(tendered.lender.actor) as work:
        assert bids.count_unrevealed(work) == {}


def test_without_a_valid_bid_the_tender_ends_unanswered_and_its_cases_are_free(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    bidding.commit(world, tendered.bidders[0])
    clock.forward(**WINDOWS)
    made = awarded(world, tendered)
    assert (made.record["outcome"], made.record["winner"]) == ("no_valid_bid", None)
    assert rules.verify(rules.canonical(made.record))
    assert states(world, tendered) == [("void", "not_revealed"), ("expired", None)]
    with world.database.work(tendered.lender.actor) as work:
        assert tenders.get(work, tendered.tender.id).state == "unanswered"
        again = tenders.assign(work, tendered.tender.portfolio_id, tendered.bidders[0].offer.agreement_id)
    assert again.state == "offered"


def test_a_withdrawn_commitment_takes_no_part(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    bidding.commit(world, *tendered.bidders)
    with world.database.work(tendered.bidders[0].someone.actor) as work:
        bids.withdraw(work, tendered.bidders[0].offer.id)
    clock.forward(hours=24)
    bidding.reveal(world, tendered.bidders[1])
    clock.forward(hours=24)
    assert len(awarded(world, tendered).record["bids"]) == 1
    assert states(world, tendered) == [("expired", None), ("won", None)]


def test_the_gate_is_asked_again_at_the_award(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    with world.database.work(tendered.lender.actor) as work:
        first = agreements.get(work, tendered.bidders[0].offer.agreement_id)
    bidding.commit(world, *tendered.bidders)
    with world.database.work(tendered.lender.actor) as work:
        agreements.end(work, first.id)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert states(world, tendered) == [("void", "agreement_not_in_force"), ("won", None)]
    assert made.record["bids"][0]["gate"] == ["agreement_not_in_force"]
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, tendered.bidders[0])))


def test_what_only_the_lender_knows_is_not_told_to_the_bidder(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    bidding.commit(world, *tendered.bidders)
    with world.database.work(world.person(tendered.lender, "compliance_officer").actor) as work:
        standings.suspend(work, tendered.bidders[0].someone.organisation.id, "conduct")
    clock.forward(hours=24)
    bidding.reveal(world, tendered.bidders[1])
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert states(world, tendered) == [("void", "not_revealed"), ("won", None)]
    assert (made.record["bids"][0]["gate"], made.record["bids"][0]["refusal"]) == (["agency_suspended"], "ineligible")
    assert rules.verify(rules.canonical(made.record))
    assert b"suspended" not in rules.canonical(part(world, tendered.bidders[0]))


def test_a_bid_at_any_price_does_not_win(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("1.000000", "999999.99"))
    made = held(world, clock, tendered)
    assert (made.record["outcome"], made.record["winner"]) == ("no_valid_bid", None)
    assert states(world, tendered) == [("void", "score_not_positive")]
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, tendered.bidders[0]))).startswith("VERIFIED: the bid is void")


def test_who_has_no_capacity_left_at_the_award_is_void(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    with world.database.work(tendered.lender.actor) as work:
        agreements.change(work, tendered.bidders[0].offer.agreement_id, {"open_cases_max": 29})
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert states(world, tendered) == [("void", "capacity_exceeded"), ("won", None)]
    assert made.record["bids"][0]["gate"] == ["capacity_exceeded"]
    assert rules.verify(rules.canonical(made.record))


def change_term(world: World, bidder: Bidder, tendered: Auction, days: int) -> None:
    with world.database.work(tendered.lender.actor) as work:
        agreements.change(work, bidder.offer.agreement_id, {"term_days": days})


def test_a_bid_whose_terms_change_after_its_reveal_is_void_and_both_sides_are_told(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.180000"))
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    change_term(world, tendered.bidders[0], tendered, 1)
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert states(world, tendered) == [("void", "terms_changed"), ("won", None)]
    assert made.record["bids"][0]["gate"] == ["terms_changed"]
    assert rules.verify(rules.canonical(made.record))
    assert rules.verify(rules.canonical(part(world, tendered.bidders[0]))).startswith("VERIFIED: the bid is void")
    with world.database.work(tendered.bidders[0].someone.actor) as work:
        facts = work.session.scalars(select(Notice.facts).where(Notice.kind == "bid.void")).one()
    assert facts["reason"] == "terms_changed"
    with world.database.work(tendered.lender.actor) as work:
        assert bids.count_unrevealed(work) == {}


def test_a_bid_committed_to_again_on_the_new_terms_is_placed_on_them(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"))
    (bidder,) = tendered.bidders
    bidding.commit(world, bidder)
    change_term(world, bidder, tendered, 7)
    with world.database.work(bidder.someone.actor) as work:
        bids.withdraw(work, bidder.offer.id)
    held(world, clock, tendered)
    with world.database.work(bidder.someone.actor) as work:
        (placement,) = work.session.scalars(select(Placement))
    assert (placement.expires_at - placement.started_at).days == 7


def test_terms_that_are_again_as_they_were_when_the_bid_was_committed_are_taken(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"))
    (bidder,) = tendered.bidders
    before = agreement_of(world, tendered, bidder).term_days
    bidding.commit(world, bidder)
    for days in (1, before):
        change_term(world, bidder, tendered, days)
    clock.forward(hours=24)
    bidding.reveal(world, bidder)
    clock.forward(hours=24)
    awarded(world, tendered)
    assert states(world, tendered) == [("won", None)]


def test_a_rate_card_known_to_follow_within_the_windows_is_what_a_bid_stands_on(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"))
    (bidder,) = tendered.bidders
    tomorrow = day_of(clock()) + timedelta(days=1)
    with world.database.work(tendered.lender.actor) as work:
        follows = rate_cards.Terms([Cell(Decimal("0.40"))], tomorrow, tail_days=9)
        card = rate_cards.propose(work, bidder.offer.agreement_id, follows)
    with world.database.work(world.person(tendered.lender, "settlement_officer").actor) as work:
        rate_cards.approve(work, card.id)
    held(world, clock, tendered)
    with world.database.work(bidder.someone.actor) as work:
        (placement,) = work.session.scalars(select(Placement))
    assert placement.tail_days == 9


def test_a_bid_from_before_its_terms_were_kept_stands_on_whatever_holds(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"))
    (bidder,) = tendered.bidders
    bidding.commit(world, bidder)
    with world.database.work(tendered.lender.actor) as work:
        work.session.execute(update(Offer).where(Offer.id == bidder.offer.id).values(terms=bidder.offer.terms))
    change_term(world, bidder, tendered, 7)
    clock.forward(hours=24)
    bidding.reveal(world, bidder)
    clock.forward(hours=24)
    awarded(world, tendered)
    assert states(world, tendered) == [("won", None)]


def test_whoever_committed_is_told_once_when_to_reveal(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.170000"))
    bidding.commit(world, *tendered.bidders)
    job = Actor(side=JOBS, org_id=tendered.lender.organisation.id, name="awards")
    told = []
    for hours in (23, 1, 0):
        clock.forward(hours=hours)
        with world.database.work(job) as work:
            told.append(bids.remind(work))
    bidding.reveal(world, tendered.bidders[0])
    with world.database.work(job) as work:
        assert [*told, bids.remind(work)] == [0, 2, 0, 0]


def test_each_bidder_verifies_its_own_part_and_sees_nothing_of_the_others(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.100000", "12.50"))
    held(world, clock, tendered)
    for bidder, other in zip(tendered.bidders, reversed(tendered.bidders), strict=True):
        own = rules.canonical(part(world, bidder))
        assert rules.verify(own).startswith("VERIFIED: the bid is")
        for foreign in (other.terms.rate, str(other.someone.organisation.id), other.commitment.hex()):
            assert foreign.encode() not in own
    with world.database.work(tendered.bidders[0].someone.actor) as work:
        assert work.session.scalars(select(Award)).all() == []


def test_before_the_award_no_bidder_has_a_part(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.170000"))
    bidding.commit(world, tendered.bidders[0])
    for bidder in tendered.bidders:
        with pytest.raises(Conflict) as refused:
            part(world, bidder)
        assert refused.value.code == "not_awarded"


def test_an_auditor_finds_the_award_and_an_agency_cannot_ask(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"))
    made = held(world, clock, tendered)
    admin = world.person(tendered.lender, "administrator")
    auditor = world.auditor(admin)
    with world.database.work(auditor.actor) as work:
        found = awards.find(work, tendered.tender.id)
    assert found is not None
    assert found.digest == made.digest


def test_a_sealed_bid_that_does_not_open_stops_the_award(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.170000"))
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    other = bidding.own(world, tendered.bidders[1]).sealed
    with world.database.work(tendered.lender.actor) as work:
        work.session.execute(update(Bid).where(Bid.offer_id == tendered.bidders[0].offer.id).values(sealed=other))
    clock.forward(hours=24)
    with pytest.raises(Conflict) as refused:
        awarded(world, tendered)
    assert refused.value.code == "bid_broken"
    assert states(world, tendered) == [("offered", None), ("offered", None)]


def test_a_commitment_changed_in_the_database_does_not_win(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.100000"), terms("0.170000"))
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    with world.database.work(tendered.lender.actor) as work:
        tampered = Bid.offer_id == tendered.bidders[0].offer.id
        work.session.execute(update(Bid).where(tampered).values(commitment=bytes(32)))
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert states(world, tendered) == [("void", "commitment_mismatch"), ("won", None)]
    assert rules.verify(rules.canonical(made.record))


def test_cases_excluded_since_the_invitation_are_not_placed(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), cases=30)
    _exclude(world, tendered, 2)
    held(world, clock, tendered)
    with world.database.work(tendered.lender.actor) as work:
        assert work.session.scalars(select(Placement.case_count)).one() == 28


def test_where_every_case_was_excluded_nobody_wins(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), cases=30)
    bidding.commit(world, *tendered.bidders)
    clock.forward(hours=24)
    bidding.reveal(world, *tendered.bidders)
    _exclude(world, tendered, 30)
    clock.forward(hours=24)
    made = awarded(world, tendered)
    assert made.record["outcome"] == "no_cases_to_place"
    assert states(world, tendered) == [("lost", "no_cases_to_place")]
    assert rules.verify(rules.canonical(made.record))


def test_each_bidder_is_told_of_its_own_bid_and_the_lender_of_the_winner(world: World, clock: Clock) -> None:
    tendered = auction(world, terms("0.180000"), terms("0.170000"))
    held(world, clock, tendered)
    kinds = []
    for bidder in tendered.bidders:
        with world.database.work(bidder.someone.actor) as work:
            told = work.session.scalars(select(Notice.kind).where(Notice.kind.startswith("bid."))).all()
            kinds.append(list(told))
    assert kinds == [["bid.lost"], ["bid.won"]]
    with world.database.work(tendered.lender.actor) as work:
        told = work.session.scalars(select(Notice.kind).where(Notice.told == "lender", Notice.kind == "tender.awarded"))
        assert len(told.all()) == 1


def test_the_job_awards_what_is_due_and_nothing_else(world: World, clock: Clock) -> None:
    lender = world.lender()
    first = auction(world, terms("0.180000"), lender=lender)
    clock.forward(hours=1)
    auction(world, terms("0.180000"), lender=lender, cases=[Debt(borrower) for borrower in range(101, 131)])
    clock.forward(hours=47)
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id, name="awards")) as work:
        assert awards.list_due(work) == [first.tender.id]
        awards.award(work, first.tender.id)
        assert awards.list_due(work) == []


def _exclude(world: World, tendered: Auction, count: int) -> None:
    """So many of the tender's cases, for the death of their borrowers."""
    with world.database.work(tendered.lender.actor) as work:
        held = select(TenderedCase.case_id).where(TenderedCase.tender_id == tendered.tender.id)
        found = work.session.execute(select(Case.id, Case.borrower_id).where(Case.id.in_(held)).limit(count)).all()
        work.session.add_all(
            Exclusion(
                lender_id=tendered.tender.lender_id,
                id=new_id(),
                borrower_id=borrower_id,
                case_id=case_id,
                reason="deceased",
                source="registry",
                noted_on=work.at.date(),
                recorded_by=tendered.lender.member.id,
                recorded_at=work.at,
            )
            for case_id, borrower_id in found
        )


def test_a_case_without_a_region_is_outside_an_agreement_of_provinces(world: World, clock: Clock) -> None:
    """Also where the region went after the bids were committed."""
    lender, agency = world.lender(), world.agency()
    portfolio = world.portfolio(lender, 30)
    with world.database.work(lender.actor) as work:
        cases = Case.portfolio_id == portfolio.id
        work.session.execute(update(Case).where(cases).values(region="310101"))
    agreement = world.agreement(lender, agency, provinces=["310000"])
    tendered = bidding.invite(world, lender, portfolio, {agreement: agency}, [terms("0.180000")])
    bidding.commit(world, *tendered.bidders)
    with world.database.work(lender.actor) as work:
        last = select(Case.id).where(cases).order_by(Case.id.desc()).limit(1).scalar_subquery()
        work.session.execute(update(Case).where(Case.id == last).values(region=None))
    clock.forward(hours=bidding.HOURS)
    bidding.reveal(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    with world.database.work(lender.actor) as work:
        made = awards.award(work, tendered.tender.id)
    assert (made.record["winner"], made.record["bids"][0]["gate"]) == (None, ["cases_outside_agreement"])
