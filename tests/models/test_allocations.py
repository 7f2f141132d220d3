"""Allocations on the database: a preview that the commit equals, limits, second persons, undoing and rotation."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from jobs import allocation
from models import allocation as pure_allocation
from models.agreement import Agreement
from models.allocation_plan import RANDOM, RULES, Plan, Rule, Where, equal_shares, from_json
from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError, Unavailable
from models.lender_setting import AUTOMATIC, OFF
from models.notice import Notice
from models.placement import LIVE, UNDONE, PlacedCase, Placement
from models.portfolio import Portfolio
from models.rates import Cell
from models.services import approvals, notices
from models.services.collection import claims, contacts, promises, releases
from models.services.exchange import (
    agreements,
    allocation_cases,
    allocation_draws,
    allocations,
    eligibility,
    expiries,
    histories,
    offers,
    placements,
    placing,
    rate_cards,
    recalls,
    rotations,
    standard_terms,
    tenders,
    turns,
    undoing,
)
from models.services.parties import lender_settings
from models.services.settlement import attributions
from models.standard_terms import EVERY_TIER
from models.tender import AWAITING_APPROVAL, COMMITTING, DRAWING, PLACED, PREVIEWED, REFUSED, WITHDRAWN, Tender
from models.tender import UNDONE as TENDER_UNDONE
from models.work import JOBS, Actor, Work
from tests.conftest import Clock
from tests.facts import jobs, payment, receive_payments
from tests.world import Debt, Someone, World


class Panel(NamedTuple):
    """A lender, its agencies and the agreement with each, and a portfolio to divide."""

    lender: Someone
    agencies: list[Someone]
    agreements: list[Agreement]
    portfolio_id: UUID

    @property
    def ids(self) -> list[UUID]:
        return [agreement.id for agreement in self.agreements]


def panel(world: World, cases: int | Sequence[Debt] = 12, agencies: int = 2, **terms: Any) -> Panel:
    lender = world.lender()
    found = [world.agency() for _ in range(agencies)]
    agreements = [world.agreement(lender, agency, **terms) for agency in found]
    return Panel(lender, found, agreements, world.portfolio(lender, cases).id)


def equally(of: Panel, exclude_earlier: bool = False) -> Plan:
    return Plan(RULES, [Rule(equal_shares(of.ids))], b"", exclude_earlier=exclude_earlier)


def preview(world: World, of: Panel, plan: Plan | None = None, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return allocations.preview(work, of.portfolio_id, plan or equally(of))


def commit(world: World, of: Panel, tender: Tender, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return allocations.commit(work, tender.id)


def committed(world: World, of: Panel, plan: Plan | None = None) -> Tender:
    return commit(world, of, preview(world, of, plan))


def shown(tender: Tender) -> dict[str, Any]:
    assert tender.preview is not None
    return tender.preview


def change_settings(world: World, of: Panel, **changes: int | str | bool) -> None:
    with world.database.work(world.person(of.lender, "administrator").actor) as work:
        lender_settings.change(work, changes)


def holders(world: World, of: Panel) -> dict[UUID, UUID | None]:
    """Case → whose agency has it."""
    with world.database.work(of.lender.actor) as work:
        rows = work.session.execute(select(Case.id, Case.agency_id).where(Case.lender_id == of.lender.organisation.id))
        return {row.id: row.agency_id for row in rows}


def test_a_commit_places_what_the_preview_says(world: World) -> None:
    of = panel(world, 10, agencies=3)
    tender = preview(world, of)
    assert tender.state == PREVIEWED
    assert set(holders(world, of).values()) == {None}
    assert commit(world, of, tender).state == PLACED
    with world.database.work(of.lender.actor) as work:
        made = undoing.list_placements(work, tender)
        cases = work.session.scalars(select(PlacedCase).where(PlacedCase.lender_id == tender.lender_id)).all()
    told = {one["agency_id"]: (one["cases"], one["amount"]) for one in shown(tender)["agencies"]}
    assert {str(one.agency_id): (one.case_count, str(one.referred_amount)) for one in made} == told
    assert sum(count for count, _ in told.values()) == 10
    assert holders(world, of) == {one.case_id: one.agency_id for one in cases}
    assert {one.contingency_rate for one in cases} == {Decimal("0.180000")}
    assert {one.placement_seq for one in cases} == {1}


def test_an_agency_is_told_and_can_acknowledge_what_it_got(world: World) -> None:
    of = panel(world, 4, agencies=1)
    committed(world, of)
    with world.database.work(of.agencies[0].actor) as work:
        (placement,) = placements.list_own(work)
        assert placements.acknowledge(work, placement.id, 4, Decimal("4000.00")).state == "active"
        told = work.session.scalars(select(Notice).where(Notice.kind == "placement.allocated")).all()
    assert [(one.subject_id, one.facts["cases"]) for one in told] == [(placement.id, 4)]


def test_each_case_gets_the_rate_of_its_cell(world: World) -> None:
    cells = [Cell(Decimal("0.10")), Cell(Decimal("0.30"), bucket="M4"), Cell(Decimal("0.20"), product="loan")]
    debts = [Debt(1), Debt(2, dpd=100), Debt(3, product="loan"), Debt(4, product="loan", dpd=100)]
    of = panel(world, debts, agencies=1, contingency_rate=None, cells=cells)
    committed(world, of)
    with world.database.work(of.lender.actor) as work:
        rates = work.session.execute(
            select(Case.product, Case.bucket, PlacedCase.contingency_rate)
            .join(PlacedCase, PlacedCase.case_id == Case.id)
            .where(Case.lender_id == of.lender.organisation.id)
            .order_by(Case.id)
        ).all()
        (placement,) = placements.list_own(work)
    assert [str(rate) for _, _, rate in rates] == ["0.100000", "0.300000", "0.200000", "0.200000"]
    assert (placement.lowest_rate, placement.highest_rate) == (Decimal("0.1"), Decimal("0.3"))


def test_a_household_goes_whole_to_one_agency(world: World) -> None:
    of = panel(world, [Debt(number // 3) for number in range(30)])
    tender = committed(world, of)
    with world.database.work(of.lender.actor) as work:
        rows = work.session.execute(
            select(Case.borrower_id, Case.agency_id).where(Case.lender_id == of.lender.organisation.id).distinct()
        ).all()
    assert len(rows) == tender.borrower_count == 10


def test_a_stored_seed_replays_the_split(world: World) -> None:
    of = panel(world, 20)
    first = preview(world, of, Plan(RANDOM, [Rule(equal_shares(of.ids))], b"", ("bucket", "province")))
    assert len(from_json(first.rules).seed) == 32
    again = preview(world, of, from_json(first.rules))
    other = preview(world, of, from_json(first.rules)._replace(seed=bytes(32)))
    assert again.preview_digest == first.preview_digest != other.preview_digest


def test_a_new_case_follows_the_agency_that_has_its_borrower(world: World) -> None:
    of = panel(world, [Debt(number) for number in range(1, 6)])
    everything = Plan(RULES, [Rule({of.ids[0]: Decimal(100)})], b"")
    committed(world, of, everything)
    more = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(number) for number in range(1, 11)]).id)
    tender = committed(
        world, more, Plan(RULES, [Rule(dict(zip(of.ids, (Decimal(20), Decimal(80)), strict=True)))], b"")
    )
    first, second = sorted(shown(tender)["agencies"], key=lambda one: one["agreement_id"] != str(of.ids[0]))
    assert (first["follows"]["cases"], second["follows"]["cases"]) == (5, 0)
    assert first["cases"] + second["cases"] == 10
    assert shown(tender)["rules"][0]["cases"] == 5


def test_a_case_whose_borrower_is_elsewhere_is_left_out_and_counted(world: World) -> None:
    of = panel(world, [Debt(1), Debt(2)], agencies=1)
    committed(world, of)
    stranger = world.agreement(of.lender, world.agency())
    more = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(2), Debt(3)]).id, agreements=[stranger])
    tender = committed(world, more)
    assert tender.case_count == 1
    assert [(one["reason"], one["cases"]) for one in shown(tender)["left_out"]] == [("follows_elsewhere", 1)]


def test_without_the_switch_a_new_case_follows_nobody(world: World) -> None:
    of = panel(world, [Debt(1), Debt(2)], agencies=1)
    change_settings(world, of, new_case_follows=False)
    committed(world, of)
    stranger = world.agreement(of.lender, world.agency())
    more = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(2), Debt(3)]).id, agreements=[stranger])
    assert committed(world, more).case_count == 2


def test_nothing_goes_back_to_an_earlier_agency_if_the_plan_says_so(world: World) -> None:
    of = panel(world, 8)
    committed(world, of, Plan(RULES, [Rule({of.ids[0]: Decimal(100)})], b""))
    with world.database.work(of.lender.actor) as work:
        (placement,) = placements.list_own(work)
        recalls.recall(work, placement.id, "lender_request")
    tender = preview(world, of, equally(of, exclude_earlier=True))
    assert {one["agreement_id"]: one["cases"] for one in shown(tender)["agencies"]} == {
        str(of.ids[0]): 0,
        str(of.ids[1]): 8,
    }


def test_only_cases_that_the_agreement_covers_go_to_it(world: World) -> None:
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    narrow = world.agreement(lender, agencies[0], products=["loan"])
    wide = world.agreement(lender, agencies[1])
    debts = [*(Debt(number) for number in range(5)), *(Debt(number, product="loan") for number in range(5, 10))]
    of = Panel(lender, agencies, [narrow, wide], world.portfolio(lender, debts).id)
    tender = preview(world, of)
    assert {one["agreement_id"]: one["cases"] for one in shown(tender)["agencies"]} == {
        str(narrow.id): 5,
        str(wide.id): 5,
    }


def test_a_preview_that_anything_has_changed_since_is_refused(world: World) -> None:
    of = panel(world, 6)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        work.session.execute(
            update(Case)
            .where(Case.lender_id == of.lender.organisation.id, Case.id == next(iter(holders(world, of))))
            .values(balance=Case.balance - 1)
        )
    with pytest.raises(Conflict, match="preview_outdated"):
        commit(world, of, tender)
    assert set(holders(world, of).values()) == {None}


def test_a_preview_of_a_case_that_was_placed_and_came_back_since_is_refused(world: World) -> None:
    """It is the case's second placement now, for which another rate may be agreed."""
    of = panel(world, 4, agencies=1)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        offer = tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=1)
    with world.database.work(of.agencies[0].actor) as work:
        placement = offers.accept(work, offer.id)
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request")
    assert set(holders(world, of).values()) == {None}
    with pytest.raises(Conflict, match="preview_outdated"):
        commit(world, of, tender)
    committed(world, of)
    with world.database.work(of.lender.actor) as work:
        again = select(PlacedCase.placement_seq).where(PlacedCase.ended_at.is_(None))
        assert sorted(work.session.scalars(again)) == [1, 1, 1, 2]


def test_a_placement_that_was_undone_leaves_a_preview_as_it_is(world: World) -> None:
    of = panel(world, 4)
    tender = preview(world, of)
    undo(world, of, committed(world, of))
    assert commit(world, of, tender).state == PLACED


def test_a_panel_may_be_larger_than_one_whole_number_has_bits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pure_allocation, allocation_cases):
        monkeypatch.setattr(module, "WORD_BITS", 2)
    of = panel(world, 12, agencies=2)
    committed(world, of, Plan(RULES, [Rule({of.ids[0]: Decimal(100)})], b""))
    with world.database.work(of.lender.actor) as work:
        (placement,) = placements.list_own(work)
        recalls.recall(work, placement.id, "lender_request")
    others = [world.agreement(of.lender, world.agency()) for _ in range(2)]
    narrow = world.agreement(of.lender, world.agency(), products=["boat"])
    wide = of._replace(agreements=[*of.agreements, *others, narrow])
    tender = committed(world, wide)
    told = {one["agreement_id"]: one["cases"] for one in shown(tender)["agencies"]}
    assert [told[str(one.id)] for one in wide.agreements] == [3, 3, 3, 3, 0]
    more = wide._replace(portfolio_id=world.portfolio(of.lender, 12).id)
    follows = {one["agreement_id"]: one["follows"]["cases"] for one in shown(preview(world, more))["agencies"]}
    assert follows == told
    undo(world, of, tender)
    again = preview(world, wide, equally(wide, exclude_earlier=True))
    left = {one["agreement_id"]: one["cases"] for one in shown(again)["agencies"]}
    assert [left[str(one.id)] for one in wide.agreements] == [0, 4, 4, 4, 0]


def test_a_preview_of_other_rates_or_terms_is_refused(world: World) -> None:
    of = panel(world, 4, agencies=1)
    for change in (move_bucket, lengthen_term):
        tender = preview(world, of)
        with world.database.work(of.lender.actor) as work:
            change(work, of)
        with pytest.raises(Conflict, match="preview_outdated"):
            commit(world, of, tender)
    committed(world, of)


def move_bucket(work: Work, of: Panel) -> None:
    work.session.execute(update(Case).where(Case.portfolio_id == of.portfolio_id).values(bucket="M6", dpd=170))


def lengthen_term(work: Work, of: Panel) -> None:
    agreements.change(work, of.ids[0], {"term_days": 700})


def placed_as(world: World, of: Panel) -> Placement:
    with world.database.work(of.lender.actor) as work:
        (placement,) = placements.list_own(work)
    return placement


def propose_card(world: World, of: Panel, valid_from: dt.date) -> Callable[[], None]:
    """A dearer card of the first agreement's; calling what is answered approves it."""
    with world.database.work(of.lender.actor) as work:
        card = rate_cards.propose(work, of.ids[0], rate_cards.Terms([Cell(Decimal("0.40"))], valid_from))
    second = world.person(of.lender, "administrator")

    def approve() -> None:
        with hurried(world, second) as work:
            rate_cards.approve(work, card.id)

    return approve


@contextmanager
def hurried(world: World, someone: Someone) -> Iterator[Work]:
    with world.database.work(someone.actor) as work:
        work.session.execute(text("set local lock_timeout = '100ms'"))
        yield work


@pytest.fixture
def once_drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something done between a split's digest and its being placed."""

    def arrange(act: Callable[[], None]) -> None:
        def digest(*given: Any) -> bytes:
            found = pure_allocation.digest(*given)
            act()
            return found

        monkeypatch.setattr(allocation_draws, "digest", digest)

    return arrange


@pytest.mark.parametrize("change", ["term", "card"])
def test_nobody_changes_an_agreement_between_the_check_and_the_placing(
    world: World, once_drawn: Callable[[Callable[[], None]], None], change: str
) -> None:
    of = panel(world, 2, agencies=1, term_days=90)
    approve = propose_card(world, of, world.clock().date())
    waited = []

    def lengthen() -> None:
        with hurried(world, of.lender) as work:
            agreements.change(work, of.ids[0], {"term_days": 700})

    def act() -> None:
        with pytest.raises(OperationalError):
            (lengthen if change == "term" else approve)()
        waited.append(change)

    tender = preview(world, of)
    once_drawn(act)
    commit(world, of, tender)
    placement = placed_as(world, of)
    assert waited == [change]
    assert (placement.expires_at - placement.started_at).days == 90
    assert (placement.rate_card_version, placement.lowest_rate) == (1, Decimal("0.18"))


def test_standard_terms_approved_after_the_check_are_not_placed(
    world: World, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    with world.database.work(of.lender.actor) as work:
        terms = standard_terms.propose(work, EVERY_TIER, {}, Decimal("0.50"))
    second = world.person(of.lender, "administrator")

    def approve() -> None:
        with world.database.work(second.actor) as work:
            standard_terms.approve(work, terms.id)

    tender = preview(world, of)
    once_drawn(approve)
    commit(world, of, tender)
    assert placed_as(world, of).settlement_floor == Decimal(1)


def test_a_case_in_another_bucket_by_the_time_it_is_locked_is_refused(
    world: World, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    tender = preview(world, of)

    def move() -> None:
        with world.database.work(of.lender.actor) as work:
            move_bucket(work, of)

    once_drawn(move)
    with pytest.raises(Conflict, match="cases_changed"):
        commit(world, of, tender)


MIDNIGHT = dt.datetime(2026, 3, 10, 16, 0, tzinfo=dt.UTC)  # in Shanghai


def test_a_midnight_between_the_check_and_the_placing_changes_no_rate(
    world: World, clock: Clock, once_drawn: Callable[[Callable[[], None]], None]
) -> None:
    of = panel(world, 2, agencies=1)
    propose_card(world, of, day_of(clock()) + dt.timedelta(days=1))()
    tender = preview(world, of)
    clock.at = MIDNIGHT - dt.timedelta(seconds=5)
    once_drawn(lambda: clock.forward(seconds=10))
    assert commit(world, of, tender).state == PLACED
    placement = placed_as(world, of)
    assert (placement.rate_card_version, placement.lowest_rate) == (1, Decimal("0.18"))
    assert placement.started_at < MIDNIGHT


@pytest.mark.parametrize(("days", "code"), [(0, "agreement_not_in_force"), (100, "preview_outdated")])
def test_after_a_midnight_while_waiting_for_the_agencies_the_next_day_decides(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, days: int, code: str
) -> None:
    """The agreement's last day is over, or another card is in force."""
    of = panel(world, 2, agencies=1, ends_on=day_of(clock()) + dt.timedelta(days=days))
    if days:
        propose_card(world, of, day_of(clock()) + dt.timedelta(days=1))()
    tender = preview(world, of)
    clock.at = MIDNIGHT - dt.timedelta(seconds=5)
    take_turns = eligibility.take_turns

    def wait(work: Work, lender_id: UUID, agency_ids: Sequence[UUID]) -> None:
        take_turns(work, lender_id, agency_ids)
        clock.forward(seconds=10)

    monkeypatch.setattr(eligibility, "take_turns", wait)
    with pytest.raises(Conflict, match=code):
        commit(world, of, tender)
    assert set(holders(world, of).values()) == {None}


@pytest.mark.parametrize("at_once", [0, 20_000])
def test_a_preview_that_awaits_nobody_is_not_approved(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=2)
    tender = preview(world, of)
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", at_once)
    second = world.person(of.lender, "compliance_officer")
    with world.database.work(second.actor) as work, pytest.raises(Conflict, match="wrong_state"):
        approvals.approve(work, tender.id)
    assert commit(world, of, tender).state == AWAITING_APPROVAL
    with world.database.work(second.actor) as work:
        assert approvals.approve(work, tender.id).state == (PLACED if at_once else COMMITTING)


def test_a_preview_does_not_hold_its_cases(world: World) -> None:
    of = panel(world, 6)
    first, second = preview(world, of), preview(world, of)
    commit(world, of, second)
    with pytest.raises(Conflict, match="no_cases_to_offer"):
        commit(world, of, first)


def test_what_is_tendered_is_left_alone(world: World) -> None:
    of = panel(world, 6)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=4)
    tender = preview(world, of)
    assert (tender.case_count, tender.scrubbed["already_offered"]) == (2, 4)


def test_more_than_an_agency_can_work_is_shown_and_refused(world: World) -> None:
    of = panel(world, 6, open_cases_max=2)
    tender = preview(world, of)
    assert {tuple(one["reasons"]) for one in shown(tender)["agencies"]} == {("capacity_exceeded",)}
    assert {one["capacity_left"] for one in shown(tender)["agencies"]} == {2}
    with pytest.raises(Conflict, match="capacity_exceeded") as refused:
        commit(world, of, tender)
    assert refused.value.facts["agreement"] in {agreement.number for agreement in of.agreements}
    assert set(holders(world, of).values()) == {None}


def test_an_agency_that_may_not_receive_stops_all_of_it(world: World, clock: Clock) -> None:
    of = panel(world, 6)
    tender = preview(world, of)
    clock.forward(days=400)
    with pytest.raises(Conflict, match="agreement_not_in_force"):
        commit(world, of, preview(world, of))
    with pytest.raises(Conflict):
        commit(world, of, tender)
    assert set(holders(world, of).values()) == {None}


@pytest.mark.parametrize("others", [0, 1])
def test_an_unknown_and_a_foreign_agreement_are_refused_alike(world: World, others: int) -> None:
    of = panel(world, 2, agencies=1)
    foreign = panel(world, 1, agencies=1).ids[0] if others else uuid4()
    plan = Plan(RULES, [Rule({of.ids[0]: Decimal(50), foreign: Decimal(50)})], b"")
    with pytest.raises(Invalid) as refused:
        preview(world, of, plan)
    assert refused.value.errors == [RowError(1, "shares", "agreement_unknown")]


def test_a_product_that_no_case_has_is_refused_at_its_rule(world: World) -> None:
    of = panel(world, 2, agencies=1)
    rule = Rule({of.ids[0]: Decimal(100)}, Where(products=["boat"]))
    with pytest.raises(Invalid) as refused:
        preview(world, of, Plan(RULES, [rule, Rule({of.ids[0]: Decimal(100)})], b""))
    assert refused.value.errors == [RowError(1, "products", "unknown_value")]


def test_mixed_currencies_are_refused(world: World) -> None:
    of = panel(world, 2, agencies=1)
    dollars = world.agreement(of.lender, world.agency(), currency="USD")
    plan = Plan(RULES, [Rule({of.ids[0]: Decimal(50), dollars.id: Decimal(50)})], b"")
    with pytest.raises(Invalid) as refused:
        preview(world, of, plan)
    assert refused.value.errors == [RowError(1, "shares", "currency_mixed")]


def test_a_foreign_and_an_unknown_portfolio_or_preview_are_not_found(world: World) -> None:
    of, other = panel(world, 2, agencies=1), panel(world, 2, agencies=1)
    tender = preview(world, other)
    with pytest.raises(NotFound):
        preview(world, of._replace(portfolio_id=other.portfolio_id))
    for act in (allocations.get, allocations.commit, allocations.withdraw, undoing.keep):
        for unknown in (tender.id, uuid4()):
            with world.database.work(of.lender.actor) as work, pytest.raises(NotFound):
                act(work, unknown)
    with world.database.work(of.lender.actor) as work, pytest.raises(NotFound):
        undoing.undo(work, tender.id, "wrong_split")


def test_a_tender_of_another_kind_is_no_allocation(world: World) -> None:
    offer = world.offer(lender := world.lender(), world.agency())
    with world.database.work(lender.actor) as work, pytest.raises(NotFound):
        allocations.commit(work, offer.tender_id)


def test_above_the_limit_a_second_person_commits(world: World) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=2)
    tender = preview(world, of)
    assert commit(world, of, tender).state == AWAITING_APPROVAL
    with pytest.raises(Forbidden, match="second_person_needed"):
        commit(world, of, tender)
    second = world.person(of.lender, "portfolio_manager")
    done = commit(world, of, tender, by=second)
    assert (done.state, done.approved_by) == (PLACED, second.member.id)


def test_several_small_ones_of_one_person_are_together_above_the_limit(world: World, clock: Clock) -> None:
    of = panel(world, 12, agencies=1)
    change_settings(world, of, approval_cases=6)
    for _ in range(2):
        with world.database.work(of.lender.actor) as work:
            tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=3)
    with world.database.work(of.lender.actor) as work, pytest.raises(Conflict, match="needs_approval"):
        tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=1)
    tender = preview(world, of)
    assert commit(world, of, tender).state == AWAITING_APPROVAL
    with pytest.raises(Forbidden, match="second_person_needed"):
        commit(world, of, tender)
    with world.database.work(world.person(of.lender, "portfolio_manager").actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=3)
    clock.forward(hours=25)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0], case_limit=3)


def test_what_is_withdrawn_is_not_committed(world: World) -> None:
    of = panel(world, 3)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        assert allocations.withdraw(work, tender.id).state == WITHDRAWN
    with pytest.raises(Conflict, match="wrong_state"):
        commit(world, of, tender)


@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_of_two_commits_and_a_withdrawal_at_once_one_wins(world: World, rounds: int) -> None:
    of = panel(world, 2, agencies=1)
    for _ in range(rounds):
        tender = preview(world, of)
        found = race(world, of, tender)
        (won,) = [one for one in found if isinstance(one, Tender)]
        assert {one for one in found if isinstance(one, str)} <= {"wrong_state", "busy"}
        if won.state == PLACED:
            undo(world, of, tender)  # Its cases are free for the next round.


def race(world: World, of: Panel, tender: Tender) -> list[Tender | str]:
    """Two commits and a withdrawal at once: the tender, or why not."""
    start = threading.Barrier(3)

    def act(verb: Callable[[Work, UUID], Tender]) -> Tender | str:
        start.wait()
        try:
            with world.database.work(of.lender.actor) as work:
                return verb(work, tender.id)
        except (Conflict, Unavailable) as refused:
            return refused.code

    with ThreadPoolExecutor(3) as threads:
        return list(threads.map(act, [allocations.commit, allocations.withdraw, allocations.commit]))


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocations, "CASES_AT_ONCE", 0)


def carry_out(world: World, tender: Tender) -> Tender:
    """As the worker does."""
    allocation.run(world.database, tender.lender_id, tender.id)
    with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
        return allocations.get(work, tender.id)


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_allocation_is_drawn_and_placed_by_a_worker(world: World) -> None:
    of = panel(world, 6)
    waiting = preview(world, of)
    assert (waiting.state, waiting.preview, waiting.progress) == (DRAWING, None, 0)
    drawn = carry_out(world, waiting)
    assert (drawn.state, drawn.case_count) == (PREVIEWED, 6)
    assert commit(world, of, drawn).state == COMMITTING
    assert set(holders(world, of).values()) == {None}
    done = carry_out(world, drawn)
    assert (done.state, done.progress, done.refusal) == (PLACED, 95, None)
    assert None not in holders(world, of).values()
    assert {one["cases"] for one in shown(done)["agencies"]} == {3}


@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_that_comes_twice_does_it_once(world: World) -> None:
    of = panel(world, 4)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    carry_out(world, tender)
    assert carry_out(world, tender).state == PLACED
    with world.database.work(of.lender.actor) as work:
        assert len(undoing.list_placements(work, tender)) == 2


@pytest.mark.usefixtures("everything_is_large")
def test_what_a_worker_was_refused_by_is_kept_and_gone_with_the_next_commit(world: World) -> None:
    of = panel(world, 6, open_cases_max=2)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    stopped = carry_out(world, tender)
    assert stopped.state == PREVIEWED
    assert stopped.refusal is not None
    assert stopped.refusal["code"] == "capacity_exceeded"
    assert stopped.refusal["agreement"] in {agreement.number for agreement in of.agreements}
    assert set(holders(world, of).values()) == {None}
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Case).where(Case.portfolio_id == of.portfolio_id).values(balance=1))
    assert commit(world, of, tender).refusal is None
    again = carry_out(world, tender)
    assert (again.state, again.refusal) == (PREVIEWED, {"code": "preview_outdated"})


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_preview_of_nothing_is_refused(world: World) -> None:
    of = panel(world, 2)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0])
    refused = carry_out(world, preview(world, of))
    assert (refused.state, refused.refusal) == ("refused", {"code": "no_cases_to_offer"})


@pytest.mark.usefixtures("everything_is_large")
def test_what_went_wrong_otherwise_is_told_and_may_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("with a secret in it")

    of = panel(world, 2)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    with monkeypatch.context() as patch:
        patch.setattr(placing, "place_many", broken)
        assert carry_out(world, tender).refusal == {"code": "failed"}
    commit(world, of, tender)
    assert carry_out(world, tender).state == PLACED


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_what_waits_for_a_worker_can_be_dropped(world: World, state: str) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    with world.database.work(of.lender.actor) as work:
        allocations.withdraw(work, tender.id)
    assert carry_out(world, tender).state == WITHDRAWN
    assert set(holders(world, of).values()) == {None}


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_allocation_needs_its_second_person_before_the_worker(world: World) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=2)
    tender = carry_out(world, preview(world, of))
    assert commit(world, of, tender).state == AWAITING_APPROVAL
    with pytest.raises(Forbidden, match="second_person_needed"):
        commit(world, of, tender)
    second = world.person(of.lender, "portfolio_manager")
    assert commit(world, of, tender, by=second).state == COMMITTING
    done = carry_out(world, tender)
    assert (done.state, done.approved_by) == (PLACED, second.member.id)


@pytest.mark.usefixtures("everything_is_large")
def test_two_large_ones_of_one_person_are_together_above_the_limit(world: World) -> None:
    of = panel(world, 3)
    change_settings(world, of, approval_cases=3)
    other = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(9)]).id)
    both = [carry_out(world, preview(world, one)) for one in (of, other)]
    assert {commit(world, of, one).state for one in both} == {COMMITTING}
    assert [carry_out(world, one).state for one in both] == [PLACED, AWAITING_APPROVAL]


@pytest.mark.usefixtures("everything_is_large")
def test_of_two_large_commits_one_wins(world: World) -> None:
    of = panel(world, 4)
    first, second = (carry_out(world, preview(world, of)) for _ in range(2))
    commit(world, of, first)
    with pytest.raises(Conflict, match="wrong_state"):
        commit(world, of, first)
    commit(world, of, second)
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda one: carry_out(world, one), [first, second]))
    assert sorted(one.state for one in ended) == [PLACED, PREVIEWED]
    assert [one.refusal for one in ended if one.state == PREVIEWED] == [{"code": "no_cases_to_offer"}]


@pytest.mark.usefixtures("everything_is_large")
def test_progress_does_not_wait_for_whoever_holds_the_tender(world: World) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as holder:
        tenders.lock(holder, tender.lender_id, tender.id)
        with hurried(world, of.lender) as work:
            allocations.report(work, tender.id, 25)
    with world.database.work(of.lender.actor) as work:
        allocations.report(work, tender.id, 40)
    with world.database.work(of.lender.actor) as work:
        assert allocations.get(work, tender.id).progress == 40


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workers."""
    monkeypatch.setattr(allocations, "PATIENCE", allocations.PATIENCE | {"lock_timeout": "100ms"})


@pytest.mark.parametrize("held", ["turn", "case", "agreement"])
@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_that_waits_in_vain_gives_the_preview_back_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    of = panel(world, 2, agencies=1)
    tender = carry_out(world, preview(world, of))
    commit(world, of, tender)
    hurry(monkeypatch)
    with world.database.work(of.lender.actor) as other:
        if held == "turn":
            turns.take(other, "offers")
        else:
            table, column = (Case, Case.portfolio_id) if held == "case" else (Agreement, Agreement.id)
            wanted = of.portfolio_id if held == "case" else of.ids[0]
            other.session.scalars(select(table).where(column == wanted).with_for_update()).all()
        stopped = carry_out(world, tender)
    assert stopped.state == PREVIEWED
    assert stopped.refusal is not None
    assert stopped.refusal["code"] == "busy"
    assert set(holders(world, of).values()) == {None}
    assert commit(world, of, tender).state == COMMITTING
    assert carry_out(world, tender).state == PLACED
    assert told_of(world, tender) == [
        ("allocation.refused", {"code": "busy", "cases": 2}),
        ("allocation.placed", {"cases": 2}),
    ]


def told_of(world: World, tender: Tender) -> list[tuple[str, dict[str, Any]]]:
    with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
        about = select(Notice).where(Notice.subject_kind == "allocation", Notice.subject_id == tender.id)
        return [(one.kind, one.facts) for one in work.session.scalars(about.order_by(Notice.id))]


@pytest.mark.usefixtures("everything_is_large")
def test_whoever_asked_for_a_large_preview_of_nothing_is_told_so(world: World) -> None:
    of = panel(world, 2, agencies=1)
    with world.database.work(of.lender.actor) as work:
        tenders.assign(work, of.portfolio_id, of.ids[0])
    refused = carry_out(world, preview(world, of))
    assert told_of(world, refused) == [("allocation.refused", {"code": "no_cases_to_offer"})]


def test_a_commit_draws_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait while it is at work."""
    of = panel(world, 4)
    tender = preview(world, of)
    monkeypatch.delattr(allocation_draws, "split")
    assert commit(world, of, tender).state == PLACED


def test_no_index_of_cases_names_the_agency(world: World) -> None:
    """Placing changes nothing else of a case, and so writes none of its indexes anew."""
    with world.database.work(world.lender().actor) as work:
        indexes = work.session.scalars(
            text("select indexdef from pg_indexes where tablename = 'collection_case'")
        ).all()
    assert indexes
    assert not [index for index in indexes if "agency_id" in index]


def test_a_preview_without_its_seats_is_outdated(world: World) -> None:
    """One that was made before they were kept."""
    of = panel(world, 2)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Tender).where(Tender.id == tender.id).values(preview_seats=None))
    with pytest.raises(Conflict, match="preview_outdated"):
        commit(world, of, tender)


def test_what_is_placed_keeps_no_seats(world: World) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    kept = select(Tender.preview_seats).where(Tender.id == tender.id)
    with world.database.work(of.lender.actor) as work:
        assert work.session.scalar(kept) is not None
    commit(world, of, tender)
    with world.database.work(of.lender.actor) as work:
        assert work.session.scalar(kept) is None


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_a_second_worker_that_gives_up_waiting_leaves_the_first_ones_work(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    hurry(monkeypatch)
    at_work, go_on = threading.Event(), threading.Event()

    def slow(*given: Any) -> bytes:
        at_work.set()
        assert go_on.wait(30)
        return pure_allocation.digest(*given)

    monkeypatch.setattr(allocation_draws, "digest", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(carry_out, world, tender)
        assert at_work.wait(30)
        with pytest.raises(Unavailable, match="busy"):
            carry_out(world, tender)
        with pytest.raises(Unavailable, match="busy"):
            allocation.give_up(world.database, tender.lender_id, tender.id)
        go_on.set()
        done = first.result(30)
    assert (done.state, done.refusal) == (PLACED if state == COMMITTING else PREVIEWED, None)


@pytest.mark.parametrize("state", [DRAWING, COMMITTING])
@pytest.mark.usefixtures("everything_is_large")
def test_what_no_worker_has_the_task_of_is_stopped_and_may_be_asked_for_again(world: World, state: str) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    if state == COMMITTING:
        commit(world, of, carry_out(world, tender))
    for status, stopped in (("doing", 0), ("failed", 1), ("failed", 0)):
        with world.database.work(Actor(JOBS, tender.lender_id, name="test")) as work:
            set_status_of_the_last(work, tender, status)
            assert allocations.stop_lost(work) == stopped
    with world.database.work(of.lender.actor) as work:
        ended = allocations.get(work, tender.id)
    assert (ended.state, ended.refusal) == (PREVIEWED if state == COMMITTING else REFUSED, {"code": "failed"})
    if state == COMMITTING:
        commit(world, of, ended)
        assert carry_out(world, ended).state == PLACED


def set_status_of_the_last(work: Work, tender: Tender, status: str) -> None:
    """The status that the queue keeps of a tender's last task; those before it are done."""
    statement = """update procrastinate.procrastinate_jobs of_tender
        set status = cast(case when exists (
            select from procrastinate.procrastinate_jobs later
            where later.id > of_tender.id and later.args = of_tender.args
        ) then 'succeeded' else :status end as procrastinate.procrastinate_job_status)
        where args ->> 'tender_id' = :tender"""
    work.session.execute(text(statement), {"status": status, "tender": str(tender.id)})


@pytest.mark.usefixtures("everything_is_large")
def test_a_worker_leaves_an_allocation_of_another_lender_alone(world: World) -> None:
    of, other = panel(world, 2), panel(world, 2)
    tender = preview(world, of)
    for act in (allocation.run, allocation.give_up):
        for unknown in (tender.id, uuid4()):
            act(world.database, other.lender.organisation.id, unknown)
    assert carry_out(world, tender).state == PREVIEWED


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_wrong_with_a_plan_by_now_is_kept_rule_by_rule(world: World) -> None:
    of = panel(world, [Debt(1, product="loan"), Debt(2)], agencies=1)
    rules = [Rule(equal_shares(of.ids), Where(products=["loan"])), Rule(equal_shares(of.ids))]
    tender = preview(world, of, Plan(RULES, rules, b""))
    with world.database.work(of.lender.actor) as work:
        work.session.execute(update(Portfolio).where(Portfolio.id == of.portfolio_id).values(products=["boat"]))
    error = {"row": 1, "field": "products", "code": "unknown_value"}
    assert carry_out(world, tender).refusal == {"code": "invalid", "errors": [error]}


def undo(world: World, of: Panel, tender: Tender, by: Someone | None = None) -> Tender:
    with world.database.work((by or of.lender).actor) as work:
        return undoing.undo(work, tender.id, "wrong_split")


def test_undoing_brings_every_case_back(world: World) -> None:
    of = panel(world, 6)
    tender = committed(world, of)
    assert undo(world, of, tender).state == TENDER_UNDONE
    assert set(holders(world, of).values()) == {None}
    with world.database.work(of.lender.actor) as work:
        assert {(one.state, one.end_reason) for one in undoing.list_placements(work, tender)} == {(UNDONE, UNDONE)}
    assert committed(world, of).case_count == 6


def test_what_was_undone_is_no_placement_in_money(world: World, clock: Clock) -> None:
    cells = [Cell(Decimal("0.10"), placement_seq=1), Cell(Decimal("0.40"))]
    of = panel(world, 1, agencies=1, contingency_rate=None, cells=cells)
    undo(world, of, committed(world, of))
    (case_id,) = holders(world, of)
    clock.forward(days=3)
    with world.database.work(of.lender.actor) as work:
        case = work.session.get_one(Case, (of.lender.organisation.id, case_id))
    paid = payment(case, "500.00", clock().date())
    receive_payments(world, world.person(of.lender, "settlement_officer"), paid, on=clock().date())
    with world.database.work(of.lender.actor) as work:
        (earned,) = attributions.attribute(work, select(Case.id).where(Case.id == case_id))["commissionable"]
    assert not earned
    committed(world, of, equally(of, exclude_earlier=True))
    with world.database.work(of.lender.actor) as work:
        undone, again = histories.of_case(work, case_id)
    assert (undone.number, undone.end_reason, again.number) == (None, UNDONE, 1)
    assert again.contingency_rate == Decimal("0.10")


def test_an_accepted_offer_is_undone_too(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    with world.database.work(agency.actor) as work:
        offers.accept(work, offer.id)
    with world.database.work(lender.actor) as work:
        assert undoing.undo(work, offer.tender_id, "agency_not_ready").state == TENDER_UNDONE
        assert not [one for one in placements.list_own(work) if one.state in LIVE]


def test_what_is_not_placed_cannot_be_undone(world: World) -> None:
    of = panel(world, 2, agencies=1)
    tender = preview(world, of)
    with pytest.raises(Conflict, match="wrong_state"):
        undo(world, of, tender)
    commit(world, of, tender)
    undo(world, of, tender)
    with pytest.raises(Conflict, match="wrong_state"):
        undo(world, of, tender)


def test_an_unknown_reason_is_refused(world: World) -> None:
    of = panel(world, 2, agencies=1)
    tender = committed(world, of)
    with world.database.work(of.lender.actor) as work, pytest.raises(Invalid):
        undoing.undo(work, tender.id, "because")


def test_undoing_many_cases_needs_two_people(world: World) -> None:
    of = panel(world, 3)
    tender = committed(world, of)
    change_settings(world, of, approval_cases=2)
    asked = undo(world, of, tender)
    assert (asked.state, asked.undo_asked_by) == (PLACED, of.lender.member.id)
    with pytest.raises(Forbidden, match="second_person_needed"):
        undo(world, of, tender)
    second = world.person(of.lender, "portfolio_manager")
    with world.database.work(second.actor) as work:
        assert undoing.keep(work, tender.id).undo_asked_by is None
        with pytest.raises(Conflict, match="undo_not_asked"):
            undoing.keep(work, tender.id)
    undo(world, of, tender)
    assert undo(world, of, tender, by=second).state == TENDER_UNDONE


@pytest.mark.parametrize("act", ["contact", "release", "claim", "promise"])
def test_after_the_first_work_it_is_too_late_to_undo(world: World, act: str) -> None:
    of = panel(world, 2)
    tender = committed(world, of)
    case_id, agency_id = next(iter(holders(world, of).items()))
    agency = next(one for one in of.agencies if one.organisation.id == agency_id)
    with world.database.work(agency.actor) as work:
        (placement,) = placements.list_own(work)
        placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
    with world.database.work(agency.actor) as work:
        WORK[act](work, case_id)
    with pytest.raises(Conflict, match=f"undo_after_{act}"):
        undo(world, of, tender)
    with world.database.work(of.lender.actor) as work:
        assert undoing.find_obstacle(work, tender) == f"undo_after_{act}"
    assert None not in holders(world, of).values()


WORK: dict[str, Callable[[Work, UUID], object]] = {
    "contact": lambda work, case_id: contacts.record(
        work, case_id, contacts.ContactReport("call", "outbound", "debtor", "busy", work.at)
    ),
    "release": lambda work, case_id: releases.authorise(work, case_id, "contact", "contact_borrower"),
    "claim": lambda work, case_id: claims.record(
        work, case_id, claims.ClaimReport(Decimal("1.00"), "CNY", day_of(work.at), "R-1", "lender")
    ),
    "promise": lambda work, case_id: promises.record(
        work, case_id, promises.PromiseReport(Decimal("1.00"), "CNY", day_of(work.at))
    ),
}


class Tiers(NamedTuple):
    """A lender with one agency of each tier, whose first tier's term has just ended."""

    of: Panel
    first: Someone
    second: Someone


def expired(world: World, clock: Clock, cases: int = 4, approval_cases: int = 1000, **terms: Any) -> Tiers:
    lender, first, second = world.lender(), world.agency(), world.agency()
    agreement = world.agreement(lender, first, term_days=10)
    next_one = world.agreement(lender, second, tier=2, **terms)
    of = Panel(lender, [first, second], [agreement, next_one], world.portfolio(lender, cases).id)
    change_settings(world, of, rotation=AUTOMATIC, approval_cases=approval_cases, paying_days=0)
    committed(world, of._replace(agreements=[agreement]))
    clock.forward(days=10, hours=1)
    with world.database.work(jobs(lender, "expiry")) as work:
        assert expiries.expire_due(work) == 1
    return Tiers(of, first, second)


def rotate(world: World, of: Panel) -> dict[str, int]:
    with world.database.work(jobs(of.lender, "rotation")) as work:
        return rotations.run(work, day_of(work.at))


def test_what_came_back_by_its_term_goes_on_to_the_next_tier(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    assert rotate(world, tiers.of) == {"placed": 4, "left_free": 0, "awaiting_approval": 0}
    assert set(holders(world, tiers.of).values()) == {tiers.second.organisation.id}


def test_rotating_twice_is_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    rotate(world, tiers.of)
    assert rotate(world, tiers.of) == {"placed": 0, "left_free": 0, "awaiting_approval": 0}


def test_nothing_rotates_unless_the_lender_lets_it(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    change_settings(world, tiers.of, rotation=OFF)
    rotate(world, tiers.of)
    assert set(holders(world, tiers.of).values()) == {None}


def test_what_nobody_can_take_stays_free_and_the_lender_is_told_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock, open_cases_max=2)
    assert [rotate(world, tiers.of)["left_free"] for _ in range(2)] == [4, 4]
    assert set(holders(world, tiers.of).values()) == {None}
    with world.database.work(tiers.of.lender.actor) as work:
        told = [one for one in notices.list_own(work) if one.kind == "rotation.left_free"]
    assert [one.facts["cases"] for one in told] == [4]


def test_an_earlier_agency_does_not_get_them_again(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    again = world.agreement(tiers.of.lender, tiers.first, tier=2)
    rotate(world, tiers.of)
    assert again.agency_id not in holders(world, tiers.of).values()


def test_a_recalled_case_does_not_rotate(world: World, clock: Clock) -> None:
    tiers = expired(world, clock)
    rotate(world, tiers.of)
    with world.database.work(tiers.of.lender.actor) as work:
        live = next(one for one in placements.list_own(work) if one.state in LIVE)
        recalls.recall(work, live.id, "lender_request")
    world.agreement(tiers.of.lender, world.agency(), tier=3)
    assert rotate(world, tiers.of)["placed"] == 0


def test_a_large_rotation_waits_for_a_person_and_is_proposed_once(world: World, clock: Clock) -> None:
    tiers = expired(world, clock, approval_cases=4)
    change_settings(world, tiers.of, approval_cases=3)
    assert rotate(world, tiers.of)["awaiting_approval"] == 4
    assert rotate(world, tiers.of)["awaiting_approval"] == 0
    with world.database.work(tiers.of.lender.actor) as work:
        (waiting,) = allocations.list_own(work, state=AWAITING_APPROVAL)
        assert allocations.commit(work, waiting.id).state == PLACED
