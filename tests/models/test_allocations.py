"""Allocations on the database: a preview that the commit equals, limits and second persons."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from io import BytesIO
from uuid import UUID, uuid4

import polars as pl
import pytest
from sqlalchemy import select, text, update

from models import allocation as pure_allocation
from models.allocation_plan import RANDOM, RULES, Plan, Rule, Where, equal_shares, from_json
from models.case import Case
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError, Unavailable
from models.notice import Notice
from models.placement import PlacedCase
from models.rates import Cell
from models.services import approvals
from models.services.exchange import (
    agreements,
    allocation_cases,
    allocation_draws,
    allocations,
    offers,
    placements,
    recalls,
    tenders,
    undoing,
)
from models.tender import AWAITING_APPROVAL, COMMITTING, PLACED, PREVIEWED, WITHDRAWN, Tender
from models.work import Work
from tests.conftest import Clock
from tests.panels import (
    Panel,
    change_settings,
    commit,
    committed,
    equally,
    holders,
    panel,
    preview,
    shown,
    undo,
)
from tests.world import Debt, World


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
    assert {(one.placement_seq, one.rule) for one in cases} == {(1, 1)}


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


def test_each_case_keeps_which_rule_gave_it_and_0_where_it_followed_its_borrower(world: World) -> None:
    of = panel(world, [Debt(1)])
    committed(world, of)
    debts = [Debt(1, "5.00"), Debt(2, "5.00"), Debt(3, "500.00"), Debt(4, "700.00")]
    more = of._replace(portfolio_id=world.portfolio(of.lender, debts).id)
    shares = equal_shares(of.ids)
    committed(world, more, Plan(RULES, [Rule(shares, Where(amount_from=Decimal(100))), Rule(shares)], b""))
    assert rules(world, more) == {(Decimal("5.00"), 0), (Decimal("5.00"), 2), (Decimal(500), 1), (Decimal(700), 1)}


def test_a_preview_from_before_its_rules_were_kept_is_committed_without_them(world: World) -> None:
    of = panel(world, 2)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        kept = work.session.scalars(select(Tender.preview_seats).where(Tender.id == tender.id)).one()
        alone = BytesIO()
        pure_allocation.unpack(kept or b"").select(pl.col("seat").cast(pl.Int16)).write_ipc(alone, compression="zstd")
        seats = update(Tender).where(Tender.id == tender.id).values(preview_seats=alone.getvalue())
        work.session.execute(seats)
    commit(world, of, tender)
    assert rules(world, of) == {(Decimal(1000), None)}


def rules(world: World, of: Panel) -> set[tuple[Decimal, int | None]]:
    """What the portfolio's cases were placed at, with the rule that gave each."""
    with world.database.work(of.lender.actor) as work:
        query = select(PlacedCase.referred_amount, PlacedCase.rule).join(Case, Case.id == PlacedCase.case_id)
        return {(row[0], row[1]) for row in work.session.execute(query.where(Case.portfolio_id == of.portfolio_id))}


def test_a_case_whose_borrower_is_elsewhere_is_left_out_and_counted(world: World) -> None:
    of = panel(world, [Debt(1), Debt(2)], agencies=1)
    committed(world, of)
    stranger = world.agreement(of.lender, world.agency())
    more = of._replace(portfolio_id=world.portfolio(of.lender, [Debt(2), Debt(3)]).id, agreements=[stranger])
    tender = committed(world, more)
    assert tender.case_count == 1
    assert [(one["reason"], one["cases"]) for one in shown(tender)["left_out"]] == [("follows_elsewhere", 1)]


def test_a_preview_of_no_case_is_not_committed_and_the_refusal_is_about_the_plan(world: World) -> None:
    of = panel(world, 4, agencies=1, products=["car_loan"])
    tender = preview(world, of)
    assert (tender.case_count, [one["cases"] for one in shown(tender)["left_out"]]) == (0, [4])
    with pytest.raises(Conflict) as refused:
        commit(world, of, tender)
    assert refused.value.code == "plan_places_nothing"


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


def test_what_a_case_owes_decides_which_agreements_cover_it(world: World) -> None:
    """The least amount is within the bound, the other one beyond it; cases that are alike otherwise are not alike."""
    lender, agencies = world.lender(), [world.agency(), world.agency()]
    small = world.agreement(lender, agencies[0], balance_below=Decimal("1000.00"))
    large = world.agreement(lender, agencies[1], balance_from=Decimal("1000.00"))
    owed = ["999.99", "1000.00", "0.01", "70000.00", "1000.01"]
    portfolio = world.portfolio(lender, [Debt(number, balance) for number, balance in enumerate(owed)])
    of = Panel(lender, agencies, [small, large], portfolio.id)
    tender = committed(world, of)
    amounts = {one["agreement_id"]: (one["cases"], one["amount"]) for one in shown(tender)["agencies"]}
    assert amounts == {str(small.id): (2, "1000.00"), str(large.id): (3, "72000.01")}


def test_a_preview_is_refused_where_an_agreement_covers_less_since(world: World) -> None:
    of = panel(world, 6)
    tender = preview(world, of)
    with world.database.work(of.lender.actor) as work:
        agreements.change(work, of.ids[0], {"balance_from": Decimal("1000.01")})
    with pytest.raises(Conflict, match="preview_outdated"):
        commit(world, of, tender)


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
