"""Sealed bids: invitation, commitment, withdrawal and reveal, each in its window and for its own agency alone."""

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from crypto.errors import SealBroken
from crypto.grants import verify_signature
from models import award
from models.audit import OutboxEntry
from models.bid import COMMITTED, REVEALED, WITHDRAWN, Bid
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.notice import Notice
from models.services.exchange import agreements, bids, offers, opened_bids, tenders
from models.services.oversight import logs
from models.services.parties import lender_settings
from models.work import JOBS, Actor, Work
from tests import bidding
from tests.bidding import Auction, Bidder, auction, terms
from tests.conftest import Clock
from tests.world import Someone, World

Act = Callable[[Work, UUID, Bidder], object]

ACTS: dict[str, Act] = {
    "commit": lambda work, offer_id, bidder: bids.commit(work, offer_id, bidder.commitment),
    "withdraw": lambda work, offer_id, _: bids.withdraw(work, offer_id),
    "reveal": lambda work, offer_id, bidder: bids.reveal(work, offer_id, bidder.terms._asdict(), bidder.nonce),
}


@pytest.fixture
def pair(world: World) -> Auction:
    return auction(world, terms("0.180000"), terms("0.170000", "12.50"))


def refusal(world: World, act: str, bidder: Bidder) -> str:
    with pytest.raises(Conflict) as refused, world.database.work(bidder.someone.actor) as work:
        ACTS[act](work, bidder.offer.id, bidder)
    return refused.value.code


def entries(world: World, lender: Someone) -> list[dict[str, object]]:
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        return [json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))]


def test_each_agency_is_shown_windows_scoring_rule_and_its_own_factor(world: World, pair: Auction) -> None:
    shown = pair.bidders[0].offer.terms
    assert shown["tie_rule"] == list(award.TIE_RULE)
    assert shown["scoring"]["expected_recovery"] == "0.120000"
    assert shown["scoring"]["case_count"] == pair.bidders[0].offer.case_count
    assert Decimal(shown["scoring"]["balance"]) == pair.bidders[0].offer.balance
    assert shown["commit_until"] == "2026-03-11T02:00:00.000000+00:00"
    assert shown["reveal_until"] == "2026-03-12T02:00:00.000000+00:00"
    assert 0 <= Decimal(shown["conduct_factor"]) <= 1
    assert pair.bidders[1].offer.terms["scoring"] == shown["scoring"]


def test_nothing_that_a_bidder_reads_tells_of_another(world: World, pair: Auction) -> None:
    bidding.commit(world, *pair.bidders)
    first, second = pair.bidders
    with world.database.work(first.someone.actor) as work:
        offer = offers.get(work, first.offer.id)
        seen = [bids.find_own(work, offer), *work.session.scalars(select(Bid))]
        assert {bid.agency_id for bid in seen if bid} == {first.someone.organisation.id}
        assert str(second.someone.organisation.id) not in json.dumps([offer.terms, offer.strata], default=str)
        with pytest.raises(NotFound):
            bids.commit(work, second.offer.id, second.commitment)


@pytest.mark.parametrize("act", ACTS)
def test_a_foreign_offer_and_an_unknown_one_are_not_found(world: World, pair: Auction, act: str) -> None:
    stranger = world.agency()
    for offer_id in (pair.bidders[0].offer.id, uuid4()):
        with pytest.raises(NotFound), world.database.work(stranger.actor) as work:
            ACTS[act](work, offer_id, pair.bidders[0])


@pytest.mark.parametrize("act", ACTS)
def test_an_offer_of_another_kind_takes_no_bids(world: World, act: str) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency, 30)
    assert refusal(world, act, Bidder(agency, offer, terms("0.180000"), bytes(32))) == "no_bids_taken"


def test_a_commitment_stands_in_the_lenders_log_and_its_receipt_verifies(world: World, pair: Auction) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    bid = bidding.own(world, bidder)
    assert (bid.state, bid.commitment, bid.sealed) == (COMMITTED, bidder.commitment, None)
    (entry,) = [entry for entry in entries(world, pair.lender) if entry["action"] == "bid.commit"]
    assert entry["subject"] == {
        "tender": str(pair.tender.id),
        "offer": str(bidder.offer.id),
        "bid": str(bid.id),
        "agency": str(bidder.someone.organisation.id),
        "commitment": bidder.commitment.hex(),
        **bidding.terms_read(world, bidder.someone, bidder.offer.id),
    }
    with world.database.work(bidder.someone.actor) as work:
        receipt = logs.receipt(work, bid.entry_leaf)
        verify_signature(logs.receipt_key(work), "receipt", receipt.statement.encode(), receipt.signature)
    assert json.loads(receipt.statement)["at"] == entry["at"]
    with world.database.work(pair.bidders[1].someone.actor) as work, pytest.raises(NotFound):
        logs.receipt(work, bid.entry_leaf)


def test_a_commitment_on_other_terms_than_those_that_stand_is_refused(world: World, pair: Auction) -> None:
    bidder = pair.bidders[0]
    read = bidding.terms_read(world, bidder.someone, bidder.offer.id)["terms_digest"]
    with world.database.work(pair.lender.actor) as work:
        agreements.change(work, bidder.offer.agreement_id, {"term_days": 1})
    with pytest.raises(Conflict) as refused, world.database.work(bidder.someone.actor) as work:
        bids.commit(work, bidder.offer.id, bidder.commitment, read)
    assert refused.value.code == "terms_changed"


def test_a_second_commitment_waits_for_the_withdrawal_of_the_first(world: World, pair: Auction) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    assert refusal(world, "commit", bidder) == "bid_stands"
    with world.database.work(bidder.someone.actor) as work:
        assert bids.withdraw(work, bidder.offer.id).state == WITHDRAWN
    bidding.commit(world, bidder)
    assert bidding.own(world, bidder).state == COMMITTED


def test_the_commit_window_closes_at_its_second(world: World, clock: Clock, pair: Auction) -> None:
    first, second = pair.bidders
    clock.forward(hours=24, microseconds=-1)
    bidding.commit(world, first)
    clock.forward(microseconds=1)
    assert refusal(world, "commit", second) == "commit_window_closed"
    assert refusal(world, "withdraw", first) == "commit_window_closed"


def test_a_reveal_belongs_between_the_windows_ends(world: World, clock: Clock, pair: Auction) -> None:
    first, second = pair.bidders
    bidding.commit(world, first, second)
    clock.forward(hours=24, microseconds=-1)
    assert refusal(world, "reveal", first) == "reveal_window_not_open"
    clock.forward(microseconds=1)
    bidding.reveal(world, first)
    clock.forward(hours=24)
    assert refusal(world, "reveal", second) == "reveal_window_closed"


def test_only_what_was_committed_can_be_revealed(world: World, clock: Clock, pair: Auction) -> None:
    first, second = pair.bidders
    bidding.commit(world, first)
    clock.forward(hours=24)
    assert refusal(world, "reveal", second) == "not_committed"
    for other in (
        Bidder(first.someone, first.offer, terms("0.170000"), first.nonce),
        Bidder(first.someone, first.offer, first.terms, bytes(32)),
    ):
        assert refusal(world, "reveal", other) == "commitment_mismatch"
    assert bidding.own(world, first).state == COMMITTED


def test_revealing_again_changes_nothing(world: World, clock: Clock, pair: Auction) -> None:
    bidder = pair.bidders[0]
    bidding.commit(world, bidder)
    clock.forward(hours=24)
    bidding.reveal(world, bidder)
    before = bidding.own(world, bidder)
    clock.forward(hours=1)
    bidding.reveal(world, bidder)
    after = bidding.own(world, bidder)
    assert (after.state, after.revealed_at, after.sealed) == (REVEALED, before.revealed_at, before.sealed)


def test_a_commitment_cannot_be_copied_from_another_agency(world: World, clock: Clock, pair: Auction) -> None:
    first, second = pair.bidders
    bidding.commit(world, first)
    with world.database.work(second.someone.actor) as work:
        bids.commit(work, second.offer.id, first.commitment)
    clock.forward(hours=24)
    copied = Bidder(second.someone, second.offer, first.terms, first.nonce)
    assert refusal(world, "reveal", copied) == "commitment_mismatch"


def test_a_revealed_bid_stands_sealed_and_opens_in_its_own_place_alone(
    world: World, clock: Clock, pair: Auction
) -> None:
    first, second = pair.bidders
    bidding.commit(world, first, second)
    clock.forward(hours=24)
    bidding.reveal(world, first, second)
    one, other = bidding.own(world, first), bidding.own(world, second)
    assert (one.kind, one.rate, one.case_fee, one.nonce) == (None, None, None, None)
    assert one.sealed is not None
    assert other.sealed is not None
    assert len(one.sealed) == len(other.sealed)
    vault = world.database.vault
    assert json.loads(vault.open_secret(opened_bids.seal_place(one), one.sealed))["rate"] == "0.180000"
    with pytest.raises(SealBroken):
        vault.open_secret(opened_bids.seal_place(one), other.sealed)


@pytest.mark.parametrize(
    ("given", "nonce", "field", "code"),
    [
        ({"kind": "flat", "rate": "0.180000", "case_fee": "0.00"}, bytes(32), "kind", "unknown_value"),
        ({"kind": "rate", "rate": "0.18", "case_fee": "0.00"}, bytes(32), "rate", "rate_spelling"),
        ({"kind": "rate", "rate": "0.180000", "case_fee": "1.00"}, bytes(32), "case_fee", "fee_spelling"),
        ({"kind": "rate", "rate": "0.180000", "case_fee": "0.00"}, bytes(31), "nonce", "wrong_shape"),
    ],
)
def test_a_malformed_reveal_is_refused_by_field_without_its_value(
    world: World, pair: Auction, given: dict[str, str], nonce: bytes, field: str, code: str
) -> None:
    bidder = pair.bidders[0]
    with pytest.raises(Invalid) as refused, world.database.work(bidder.someone.actor) as work:
        bids.reveal(work, bidder.offer.id, given, nonce)
    assert [tuple(error) for error in refused.value.errors] == [(0, field, code)]
    assert refused.value.facts == {}


@pytest.mark.parametrize("packages", [[], [{}], [1], None, 5, "x", float("nan")])
def test_packages_on_a_tender_without_lots_are_refused_and_no_way_around_kind_and_maximum(
    world: World, clock: Clock, packages: object
) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        limits = {"kinds": ["rate"], "rate_max": Decimal("0.2")}
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), **limits)
    bidder = Bidder(agency, bidding.offer_of(world, agency, tender), terms("0.300000", "0.10"), bytes(32))
    bidding.commit(world, bidder)
    clock.forward(hours=24)
    with pytest.raises(Invalid) as refused, world.database.work(agency.actor) as work:
        bids.reveal(work, bidder.offer.id, bidder.given | {"packages": packages}, bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == [(0, "packages", "unknown_field")]


def test_a_commitment_is_32_bytes(world: World, pair: Auction) -> None:
    with pytest.raises(Invalid), world.database.work(pair.bidders[0].someone.actor) as work:
        bids.commit(work, pair.bidders[0].offer.id, bytes(31))


def test_a_kind_of_bid_that_was_not_asked_for_is_refused(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), ["rate"])
    bidder = Bidder(agency, bidding.offer_of(world, agency, tender), terms("0.180000", "5.00"), bytes(32))
    bidding.commit(world, bidder)
    clock.forward(hours=24)
    with pytest.raises(Invalid) as refused, world.database.work(agency.actor) as work:
        bids.reveal(work, bidder.offer.id, bidder.terms._asdict(), bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == [(0, "kind", "unknown_value")]


def test_a_bid_above_a_published_maximum_is_refused_by_field_at_the_reveal(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        limits = {"rate_max": Decimal("0.18"), "case_fee_max": Decimal(5)}
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"), **limits)
    offer = bidding.offer_of(world, agency, tender)
    assert [offer.terms["scoring"][name] for name in limits] == ["0.180000", "5.00"]
    bidder = Bidder(agency, offer, terms("0.180001", "5.01"), bytes(32))
    bidding.commit(world, bidder)
    clock.forward(hours=24)
    with pytest.raises(Invalid) as refused, world.database.work(agency.actor) as work:
        bids.reveal(work, offer.id, bidder.terms._asdict(), bidder.nonce)
    assert [tuple(error) for error in refused.value.errors] == [
        (0, "rate", "above_maximum"),
        (0, "case_fee", "above_maximum"),
    ]


@pytest.mark.parametrize("reveal", [False, True])
def test_a_withdrawn_tender_ends_its_bids_unopened_and_tells_whoever_made_them(
    world: World, clock: Clock, pair: Auction, reveal: bool
) -> None:
    first, second = pair.bidders
    bidding.commit(world, first)
    if reveal:
        clock.forward(hours=24)
        bidding.reveal(world, first)
    with world.database.work(pair.lender.actor) as work:
        tenders.withdraw(work, pair.tender.id)
    with world.database.work(first.someone.actor) as work:
        (bid,) = work.session.scalars(select(Bid))
        assert (bid.state, bid.rate, bid.decided_at) == (WITHDRAWN, None, clock.at)
        assert "bid.withdrawn" in work.session.scalars(select(Notice.kind)).all()
    with world.database.work(second.someone.actor) as work:
        assert "bid.withdrawn" not in work.session.scalars(select(Notice.kind)).all()
    assert [entry["subject"]["bid"] for entry in entries(world, pair.lender) if entry["action"] == "bid.withdraw"] == [
        str(bid.id)
    ]


@pytest.mark.parametrize("act", ACTS)
def test_nothing_can_be_bid_on_a_withdrawn_tender(world: World, clock: Clock, pair: Auction, act: str) -> None:
    bidding.commit(world, pair.bidders[0])
    with world.database.work(pair.lender.actor) as work:
        tenders.withdraw(work, pair.tender.id)
    clock.forward(hours=24 if act == "reveal" else 0)
    assert refusal(world, act, pair.bidders[0]) == "wrong_state"


def test_an_agency_whose_agreement_has_ended_cannot_bid(world: World, pair: Auction) -> None:
    bidder = pair.bidders[0]
    with world.database.work(pair.lender.actor) as work:
        agreements.end(work, bidder.offer.agreement_id)
    assert refusal(world, "commit", bidder) == "agreement_not_in_force"


def test_an_agency_that_is_not_eligible_is_not_invited_and_the_lender_sees_why(world: World) -> None:
    lender, agency, other = world.lender(), world.agency(), world.agency()
    portfolio = world.portfolio(lender, 30)
    agreement, ended = world.agreement(lender, agency), world.agreement(lender, other)
    with world.database.work(lender.actor) as work:
        agreements.end(work, ended.id)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id, ended.id], None, None, 24, 24, Decimal("0.1"))
    assert tender.rules["panel"] == [str(agreement.id), str(ended.id)]
    assert tender.rules["passed_over"] == {str(ended.id): ["agreement_not_in_force"]}
    with world.database.work(other.actor) as work:
        assert offers.list_own(work) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"agreement_ids": []}, "agreement_ids"),
        ({"commit_hours": 0}, "commit_hours"),
        ({"reveal_hours": 24 * 31}, "reveal_hours"),
        ({"expected_recovery": Decimal("1.01")}, "expected_recovery"),
        ({"expected_recovery": Decimal(0)}, "expected_recovery"),
        ({"rate_max": Decimal(0)}, "rate_max"),
        ({"rate_max": Decimal("1.01")}, "rate_max"),
        ({"case_fee_max": Decimal("-0.01")}, "case_fee_max"),
        ({"case_fee_max": Decimal(1_000_000)}, "case_fee_max"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["flat"]}, "kinds"),
        ({"buckets": ["M99"]}, "buckets"),
        ({"buckets": []}, "buckets"),
        ({"case_limit": 0}, "case_limit"),
    ],
)
def test_an_impossible_invitation_is_refused_by_field(world: World, changes: dict[str, object], field: str) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 3), world.agreement(lender, agency)
    asked = {
        "portfolio_id": portfolio.id,
        "agreement_ids": [agreement.id],
        "buckets": None,
        "case_limit": None,
        "commit_hours": 24,
        "reveal_hours": 24,
        "expected_recovery": Decimal("0.1"),
    } | changes
    with pytest.raises(Invalid) as refused, world.database.work(lender.actor) as work:
        bids.invite(work, **asked)
    assert [error.field for error in refused.value.errors] == [field]


def test_agreements_of_several_currencies_are_refused(world: World) -> None:
    lender, agency, other = world.lender(), world.agency(), world.agency()
    portfolio = world.portfolio(lender, 3)
    panel = [world.agreement(lender, agency).id, world.agreement(lender, other, currency="USD").id]
    with pytest.raises(Conflict) as refused, world.database.work(lender.actor) as work:
        bids.invite(work, portfolio.id, panel, None, None, 24, 24, Decimal("0.1"))
    assert refused.value.code == "currencies_mixed"


def test_another_lenders_agreement_is_not_found(world: World) -> None:
    lender, other, agency = world.lender(), world.lender(), world.agency()
    portfolio, foreign = world.portfolio(lender, 3), world.agreement(other, agency)
    for agreement_id in (foreign.id, uuid4()):
        with pytest.raises(NotFound), world.database.work(lender.actor) as work:
            bids.invite(work, portfolio.id, [agreement_id], None, None, 24, 24, Decimal("0.1"))


def test_the_nights_expiry_leaves_tenders_of_bids_to_their_award(world: World, clock: Clock, pair: Auction) -> None:
    clock.forward(days=3)
    with world.database.work(Actor(side=JOBS, org_id=pair.lender.organisation.id, name="expiry")) as work:
        offers.expire_due(work)
    with world.database.work(pair.lender.actor) as work:
        assert tenders.get(work, pair.tender.id).state == "open"


def test_an_offer_of_bids_is_not_accepted(world: World, pair: Auction) -> None:
    bidder = pair.bidders[0]
    with pytest.raises(Conflict) as refused, world.database.work(bidder.someone.actor) as work:
        offers.accept(work, bidder.offer.id)
    assert refused.value.code == "bid_instead"


def test_who_has_committed_does_not_slip_away_by_declining(world: World, pair: Auction) -> None:
    first, second = pair.bidders
    bidding.commit(world, first)
    with pytest.raises(Conflict) as refused, world.database.work(first.someone.actor) as work:
        offers.decline(work, first.offer.id, "rate")
    assert refused.value.code == "bid_stands"
    with world.database.work(second.someone.actor) as work:
        assert offers.decline(work, second.offer.id, "rate").state == "declined"


def test_above_the_limit_the_windows_begin_with_a_second_persons_approval(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        lender_settings.change(work, {"approval_cases": 20})
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"))
    assert (tender.state, tender.commit_until) == ("awaiting_approval", None)
    with world.database.work(agency.actor) as work:
        assert offers.list_own(work) == []
    with pytest.raises(Forbidden), world.database.work(lender.actor) as work:
        bids.approve(work, tender.id)
    clock.forward(hours=5)
    with world.database.work(world.person(lender, "portfolio_manager").actor) as work:
        assert bids.approve(work, tender.id).commit_until == clock.at + dt.timedelta(hours=24)
    assert bidding.offer_of(world, agency, tender).terms["commit_until"] == "2026-03-11T07:00:00.000000+00:00"


def test_too_few_borrowers_for_a_tape_cannot_be_bid_for(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, 3), world.agreement(lender, agency)
    with pytest.raises(Conflict) as refused, world.database.work(lender.actor) as work:
        bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"))
    assert refused.value.code == "too_few_to_score"


def test_a_portfolio_without_free_cases_is_not_tendered(world: World, pair: Auction) -> None:
    panel = [pair.bidders[0].offer.agreement_id]
    with pytest.raises(Conflict) as refused, world.database.work(pair.lender.actor) as work:
        bids.invite(work, pair.tender.portfolio_id, panel, None, None, 24, 24, Decimal("0.1"))
    assert refused.value.code == "no_cases_to_offer"
