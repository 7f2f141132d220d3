"""Offers: what may be offered, what the agency sees of it, and that one acceptance wins."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from models.agreement import Agreement
from models.case import PAID_OFF, Case
from models.errors import Conflict, Invalid, NotFound
from models.household import within_limit
from models.offer import Offer
from models.placement import PlacedCase
from models.rates import Cell
from models.services.exchange import agreements, offers, placements, rate_cards, standard_terms, tenders
from models.services.exchange.rate_cards import Terms
from models.standard_terms import EVERY_TIER
from models.tape import COUNT_NOISE
from models.tender import TenderedCase
from models.tender_plan import Plan
from models.work import JOBS, Actor
from tests.facts import TODAY
from tests.statements import counted
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def other(world: World) -> Someone:
    return world.agency()


def case_count(world: World, lender: Someone, offer: Offer) -> int:
    """Exactly, as the lender knows it."""
    with world.database.work(lender.actor) as work:
        return tenders.get(work, offer.tender_id).case_count


def test_an_offer_holds_the_open_cases_of_its_buckets(world: World, lender: Someone, agency: Someone) -> None:
    portfolio = world.portfolio(lender, [Debt(1, "100.00", 20), Debt(2, "200.00", 45), Debt(3, "400.00", 75)])
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = tenders.get(work, tenders.assign(work, portfolio.id, agreement.id, buckets=["M2", "M3"]).tender_id)
    assert (tender.case_count, tender.borrower_count, tender.balance) == (2, 2, Decimal("600.00"))


def test_a_limit_never_splits_a_household(world: World, lender: Someone, agency: Someone) -> None:
    portfolio = world.portfolio(lender, [Debt(1), Debt(2), Debt(2), Debt(2), Debt(3)])
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tender = tenders.get(work, tenders.assign(work, portfolio.id, agreement.id, case_limit=3).tender_id)
    assert (tender.case_count, tender.borrower_count) == (2, 2)


@given(st.lists(st.integers(1, 9)), st.integers(1, 20))
def test_whole_households_fit_and_none_that_would_still_fit_is_missing(borrowers: list[int], limit: int) -> None:
    cases = pl.DataFrame({"borrower_id": [str(b) for b in borrowers]}, schema={"borrower_id": pl.String})
    kept = within_limit(cases, limit)["borrower_id"].to_list()
    sizes = {b: borrowers.count(int(b)) for b in cases["borrower_id"]}
    assert len(kept) <= limit
    assert all(kept.count(b) == sizes[b] for b in kept)
    assert all(len(kept) + size > limit for b, size in sizes.items() if b not in kept)


def test_a_case_stands_in_one_open_offer_at_a_time(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.assign(work, offer.portfolio_id, offer.agreement_id)
    assert refused.value.code == "no_cases_to_offer"


def test_a_borrower_with_a_case_at_another_agency_is_left_out(
    world: World, lender: Someone, agency: Someone, other: Someone
) -> None:
    world.placement(lender, other, [Debt(1)])
    offer = world.offer(lender, agency, [Debt(1), Debt(2)])
    assert case_count(world, lender, offer) == 1


def test_a_borrower_offered_to_another_agency_is_left_out(
    world: World, lender: Someone, agency: Someone, other: Someone
) -> None:
    world.offer(lender, other, [Debt(1)])
    offer = world.offer(lender, agency, [Debt(1), Debt(2)])
    assert case_count(world, lender, offer) == 1


def test_a_borrower_may_get_more_cases_at_the_agency_that_has_them(
    world: World, lender: Someone, agency: Someone
) -> None:
    world.placement(lender, agency, [Debt(1)])
    offer = world.offer(lender, agency, [Debt(1), Debt(2)])
    assert case_count(world, lender, offer) == 2


def test_two_offers_made_at_once_never_split_a_household(
    world: World, lender: Someone, agency: Someone, other: Someone
) -> None:
    plans = [
        (world.portfolio(lender, [Debt(1), Debt(n)]).id, world.agreement(lender, to).id)
        for n, to in ((2, agency), (3, other))
    ]

    def make(plan: tuple[UUID, UUID]) -> int:
        with world.database.work(lender.actor) as work:
            return tenders.get(work, tenders.assign(work, *plan).tender_id).case_count

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(make, plans)) == [1, 2]


def test_cases_in_another_currency_are_left_out(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, [Debt(1), Debt(2, currency="USD")])
    assert (case_count(world, lender, offer), offer.currency) == (1, "CNY")


@pytest.mark.parametrize("shift", [-40, 400])
def test_no_offer_is_made_outside_the_agreements_days(
    world: World, lender: Someone, agency: Someone, shift: int
) -> None:
    portfolio, agreement = world.portfolio(lender), world.agreement(lender, agency)
    world.clock.forward(days=shift)  # type: ignore[attr-defined]
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.assign(work, portfolio.id, agreement.id)
    assert refused.value.code == "agreement_not_in_force"


@pytest.mark.parametrize(
    ("field", "terms"),
    [
        ("buckets", {"buckets": ["M99"]}),
        ("buckets", {"buckets": []}),
        ("case_limit", {"case_limit": 0}),
        ("respond_hours", {"respond_hours": 0}),
    ],
)
def test_impossible_terms_are_refused_by_field(
    world: World, lender: Someone, agency: Someone, field: str, terms: dict[str, object]
) -> None:
    portfolio, agreement = world.portfolio(lender), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        tenders.assign(work, portfolio.id, agreement.id, **terms)  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]


def test_a_foreign_portfolio_or_agreement_is_unknown(world: World, lender: Someone, agency: Someone) -> None:
    stranger = world.lender()
    mine = (world.portfolio(lender).id, world.agreement(lender, agency).id)
    theirs = (world.portfolio(stranger).id, world.agreement(stranger, agency).id)
    for plan in ((mine[0], theirs[1]), (theirs[0], mine[1]), (uuid4(), mine[1]), (mine[0], uuid4())):
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            tenders.assign(work, *plan)


def test_the_agency_sees_strata_and_totals_and_no_row(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, 25)
    with world.database.work(agency.actor) as work:
        seen = offers.get(work, offer.id)
        assert seen.case_count is not None
        assert abs(seen.case_count - 25) <= COUNT_NOISE
        groups = seen.strata["currencies"][0]["dimensions"]
        assert all(stratum["borrower_count"] >= 20 for strata in groups.values() for stratum in strata)
        for table in (Case, TenderedCase, PlacedCase):
            assert work.session.scalar(select(func.count()).select_from(table)) == 0


def test_nothing_is_shown_of_fewer_than_twenty_borrowers(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, 19)
    assert (offer.case_count, offer.borrower_count, offer.balance) == (None, None, None)
    assert offer.strata == {"k": 20, "currencies": []}


def test_an_agency_cannot_tell_that_another_was_offered_anything(
    world: World, lender: Someone, agency: Someone, other: Someone
) -> None:
    offer = world.offer(lender, agency)
    acts = [
        lambda work: offers.get(work, offer.id),
        lambda work: offers.accept(work, offer.id),
        lambda work: offers.decline(work, offer.id, "capacity"),
    ]
    for act in acts:
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            act(work)
    with world.database.work(other.actor) as work:
        assert offers.list_own(work) == []
        assert work.session.scalar(select(func.count()).select_from(Offer)) == 0


def test_acceptance_places_the_cases_on_the_agreements_terms(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, [Debt(1, "100.50"), Debt(2, "200.00")], rate="0.25")
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
    assert (placement.highest_rate, placement.tail_days) == (Decimal("0.25"), 15)
    assert (placement.case_count, placement.referred_amount) == (2, Decimal("300.50"))
    assert placement.expires_at - placement.started_at == dt.timedelta(days=90)
    with world.database.work(lender.actor) as work:
        lines = placements.list_cases(work, placement.id)
    assert {line.case.agency_id for line in lines} == {agency.organisation.id}
    assert {line.placed.placement_seq for line in lines} == {1}


def test_what_an_acceptance_asks_of_each_case_grows_with_no_other(
    world: World, lender: Someone, agency: Someone
) -> None:
    offer = world.offer(lender, agency)
    with counted(world) as sent, world.database.work(agency.actor) as work:
        offers.accept(work, offer.id)
    assert not [asked for asked in sent if "JOIN tendered_case" in asked and "= ANY" in asked]
    (placed,) = (asked for asked in sent if asked.startswith("INSERT INTO placed_case"))
    assert "FROM placed_case" not in placed


@pytest.mark.parametrize("kind", ["assigned", "first_claim"])
@pytest.mark.parametrize("changed", ["rate_card", "standard_terms", "agreement", None])
def test_nothing_is_placed_on_other_terms_than_those_that_were_read(
    world: World, lender: Someone, agency: Someone, kind: str, changed: str | None
) -> None:
    agreement, portfolio = world.agreement(lender, agency), world.portfolio(lender)
    with world.database.work(lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, kind, [agreement.id]))
    with world.database.work(agency.actor) as work:
        (offer,) = offers.list_own(work)
        read = offers.find_terms(work, offer)
    assert read is not None
    if changed:
        change_terms(world, lender, agreement, changed)
        with pytest.raises(Conflict) as refused, world.database.work(agency.actor) as work:
            offers.accept(work, offer.id, read.digest)
        assert refused.value.code == "terms_changed"
    with world.database.work(agency.actor) as work:
        now = offers.find_terms(work, offers.get(work, offer.id))
        assert now is not None
        placement = offers.accept(work, offer.id, now.digest)
        assert offers.find_terms(work, offers.get(work, offer.id)) is None
    assert (now.digest == read.digest) == (changed is None)
    assert placement.rate_card_version == now.card.card.version
    assert placement.settlement_floor == now.effective.settlement_floor.value


def change_terms(world: World, lender: Someone, agreement: Agreement, what: str) -> None:
    """By two people where it takes two."""
    second = world.person(lender, "administrator")
    with world.database.work(lender.actor) as work:
        if what == "rate_card":
            card = rate_cards.propose(work, agreement.id, Terms([Cell(Decimal("0.05"))], TODAY))
        elif what == "standard_terms":
            standard = standard_terms.propose(work, EVERY_TIER, {}, Decimal("0.9"))
        else:
            agreements.change(work, agreement.id, {"term_days": 400})
    with world.database.work(second.actor) as work:
        if what == "rate_card":
            rate_cards.approve(work, card.id)
        elif what == "standard_terms":
            standard_terms.approve(work, standard.id)


def test_cases_closed_since_the_offer_are_left_out(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, [Debt(1, "100.00"), Debt(2, "200.00")])
    with world.database.work(lender.actor) as work:
        closed = update(Case).where(Case.portfolio_id == offer.portfolio_id, Case.balance == 100)
        work.session.execute(closed.values(status=PAID_OFF))
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
    assert (placement.case_count, placement.referred_amount) == (1, Decimal("200.00"))


def test_an_offer_all_of_whose_cases_closed_cannot_be_accepted(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).where(Case.portfolio_id == offer.portfolio_id).values(status=PAID_OFF))
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert refused.value.code == "no_cases_to_place"


def test_an_answer_after_the_deadline_comes_too_late(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    world.clock.forward(hours=72)  # type: ignore[attr-defined]
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert refused.value.code == "offer_expired"


def test_the_deadline_is_read_after_the_wait_for_the_lock(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    with world.database.work(agency.actor) as work:
        world.clock.forward(hours=73)  # type: ignore[attr-defined]
        with pytest.raises(Conflict):
            offers.accept(work, offer.id)


def test_no_offer_is_accepted_under_an_agreement_that_ended(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Agreement).where(Agreement.id == offer.agreement_id).values(state="ended"))
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert refused.value.code == "agreement_not_in_force"


@pytest.mark.parametrize("answer", ["decline", "withdraw", "expire"])
def test_cases_not_placed_may_be_offered_again(
    world: World, lender: Someone, agency: Someone, other: Someone, answer: str
) -> None:
    offer = world.offer(lender, agency)
    if answer == "decline":
        with world.database.work(agency.actor) as work:
            offers.decline(work, offer.id, "capacity")
    elif answer == "withdraw":
        with world.database.work(lender.actor) as work:
            offers.withdraw(work, offer.id)
    else:
        world.clock.forward(hours=80)  # type: ignore[attr-defined]
        with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
            assert offers.expire_due(work) == 1
    agreement = world.agreement(lender, other)
    with world.database.work(lender.actor) as work:
        again = tenders.assign(work, offer.portfolio_id, agreement.id)
    assert case_count(world, lender, again) == 3
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert refused.value.code == "wrong_state"


def test_a_reason_to_decline_is_a_code_and_never_text(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)
    with world.database.work(agency.actor) as work, pytest.raises(Invalid):
        offers.decline(work, offer.id, "张三 is my cousin")


def test_of_fifty_acceptances_at_once_one_wins(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency)

    def accept(_: int) -> str:
        try:
            with world.database.work(agency.actor) as work:
                offers.accept(work, offer.id)
        except Conflict as refused:
            return refused.code
        return "won"

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(accept, range(50)))
    assert sorted(answers) == ["won"] + 49 * ["wrong_state"]
    with world.database.work(lender.actor) as work:
        live = select(func.count()).where(PlacedCase.lender_id == lender.organisation.id)
        assert work.session.scalar(live) == 3


def test_an_acceptance_and_a_withdrawal_at_once_leave_one_outcome(
    world: World, lender: Someone, agency: Someone
) -> None:
    for _ in range(5):
        offer = world.offer(lender, agency, [Debt(int(uuid4().int % 10**6))])
        acts = [(agency, offers.accept), (lender, offers.withdraw)]

        def run(act, offer_id=offer.id):  # type: ignore[no-untyped-def]
            someone, verb = act
            try:
                with world.database.work(someone.actor) as work:
                    verb(work, offer_id)
            except Conflict:
                return 0
            return 1

        with ThreadPoolExecutor(2) as threads:
            assert sum(threads.map(run, acts)) == 1


def test_offers_are_listed_newest_first_in_pages(world: World, lender: Someone, agency: Someone) -> None:
    made = [world.offer(lender, agency, [Debt(n)]).id for n in (1, 2, 3)]
    with world.database.work(agency.actor) as work:
        first = [offer.id for offer in offers.list_own(work, limit=2)]
        rest = [offer.id for offer in offers.list_own(work, after=first[-1], limit=2)]
    assert [*first, *rest] == made[::-1]


def test_what_waits_for_an_answer_is_counted_with_the_first_deadline(
    world: World, lender: Someone, agency: Someone
) -> None:
    declined, first, _later = (world.offer(lender, agency, [Debt(n)]) for n in (1, 2, 3))
    with world.database.work(agency.actor) as work:
        offers.decline(work, declined.id, "capacity")
    for someone in (lender, agency):
        with world.database.work(someone.actor) as work:
            assert offers.waiting(work) == (2, first.expires_at)
