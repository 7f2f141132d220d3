"""The gate: every reason by its code, asked when offering and again when placing."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import select

from models.agency_document import DUE_DILIGENCE, INSURANCE, LICENCE, TRAINING, Paper
from models.agreement import Agreement
from models.breach import Breach
from models.case import Case
from models.errors import Conflict
from models.ids import new_id
from models.placement import PlacedCase
from models.services.exchange import agreements, answering, eligibility, offers, tenders
from models.services.exchange.eligibility import Candidate
from models.services.oversight import overviews
from models.services.parties import agency_documents, lender_settings, standings
from models.tender import FIRST_CLAIM
from models.tender_plan import Plan
from tests.conftest import Clock
from tests.facts import TODAY, balance, jobs, placed, receive_balances
from tests.statements import counted
from tests.world import Debt, Someone, World

TEN_DAYS = dt.timedelta(days=10)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def reasons(world: World, lender: Someone, agreement: Agreement, case_count: int = 0) -> list[str]:
    with world.database.work(lender.actor) as work:
        return eligibility.reasons(work, agreements.get(work, agreement.id), work.at, case_count)


def papers(world: World, lender: Someone, agency: Someone, *given: Paper) -> None:
    with world.database.work(agency.actor) as work:
        made = [agency_documents.record(work, lender.organisation.id, paper).id for paper in given]
        for document_id in made:
            agency_documents.attest(work, document_id)
    with world.database.work(lender.actor) as work:
        for document_id in made:
            agency_documents.accept(work, document_id)


def drop_licence(world: World, lender: Someone, agency: Someone) -> None:
    with world.database.work(lender.actor) as work:
        for document in agency_documents.list_own(work, agency.organisation.id):
            if document.kind == LICENCE:
                agency_documents.withdraw(work, document.id)


def where(world: World, lender: Someone, agreement: Agreement) -> list[str]:
    with world.database.work(lender.actor) as work:
        (candidate,) = eligibility.assess(work, work.tenant_id, [agreements.get(work, agreement.id)], work.at)
    return candidate.provinces


def settings(world: World, lender: Someone, **changes: int | list[str]) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, changes)


def breach(world: World, lender: Someone, agency: Someone, count: int, on: dt.date, state: str = "flagged") -> None:
    """Critical ones, as the nightly sweep keeps them."""
    with world.database.work(jobs(lender)) as work:
        case = work.session.scalars(
            select(PlacedCase).where(PlacedCase.agency_id == agency.organisation.id).limit(1)
        ).one()
        borrower_id = work.session.scalars(select(Case.borrower_id).where(Case.id == case.case_id)).one()
        work.session.add_all(
            Breach(
                lender_id=lender.organisation.id,
                id=new_id(),
                agency_id=agency.organisation.id,
                placement_id=case.placement_id,
                case_id=case.case_id,
                borrower_id=borrower_id,
                member_id=agency.member.id,
                subject_id=new_id(),
                subject_kind="contact",
                rule_id="rule",
                pack="pack",
                pack_version="1",
                severity="critical",
                business_date=on,
                occurred_at=work.at,
                state=state,
                flagged_at=work.at,
            )
            for _ in range(count)
        )


def test_nothing_is_in_the_way_of_an_agency_in_order(world: World, lender: Someone, agency: Someone) -> None:
    assert reasons(world, lender, world.agreement(lender, agency), 1_000_000) == []


def test_outside_its_days_and_once_it_is_ended_an_agreement_lets_nothing_through(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, ends_on=TODAY + TEN_DAYS)
    clock.forward(days=10)
    assert reasons(world, lender, agreement) == []
    clock.forward(days=1)
    assert reasons(world, lender, agreement) == ["agreement_not_in_force"]
    later = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        agreements.end(work, later.id)
    assert reasons(world, lender, later) == ["agreement_not_in_force"]


def test_each_paper_asked_for_has_its_own_code_missing_and_expired(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    drop_licence(world, lender, agency)
    settings(world, lender, required_documents=[LICENCE, DUE_DILIGENCE, TRAINING])
    assert reasons(world, lender, agreement) == ["licence_missing", "training_missing"]
    papers(world, lender, agency, *(Paper(kind, "N", "I", TODAY, TODAY + TEN_DAYS) for kind in (LICENCE, TRAINING)))
    assert reasons(world, lender, agreement) == []
    clock.forward(days=11)
    assert reasons(world, lender, agreement) == ["licence_expired", "training_expired"]


def test_a_paper_that_counted_and_has_expired_closes_the_gate_though_nobody_asked_for_it(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    drop_licence(world, lender, agency)
    settings(world, lender, required_documents=[DUE_DILIGENCE])
    assert reasons(world, lender, agreement) == []
    for kind in (LICENCE, INSURANCE, TRAINING):
        papers(world, lender, agency, Paper(kind, "N", "I", TODAY, TODAY + TEN_DAYS))
        clock.forward(days=11)
        assert reasons(world, lender, agreement) == [f"{kind}_expired"]
        papers(world, lender, agency, Paper(kind, "N", "I", TODAY, TODAY + 20 * TEN_DAYS))
        assert reasons(world, lender, agreement) == []
        clock.forward(days=-11)


def test_an_agency_that_is_not_evaluated_each_year_receives_nothing_whatever_the_settings_say(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, ends_on=TODAY + 80 * TEN_DAYS)
    settings(world, lender, required_documents=[DUE_DILIGENCE])
    clock.forward(days=367)
    assert reasons(world, lender, agreement) == ["due_diligence_expired"]
    with world.database.work(lender.actor) as work:
        for document in agency_documents.list_own(work, agency.organisation.id):
            if document.kind == DUE_DILIGENCE:
                agency_documents.withdraw(work, document.id)
    assert reasons(world, lender, agreement) == ["due_diligence_missing"]


@pytest.mark.parametrize(
    ("evaluated", "codes"),
    [(-91, ["renewal_evaluation_missing"]), (-90, []), (0, []), (5, [])],
)
def test_a_further_agreement_needs_an_evaluation_of_the_90_days_before_it_or_since(
    world: World, clock: Clock, lender: Someone, evaluated: int, codes: list[str]
) -> None:
    agency = world.agency()
    first = world.agreement(lender, agency, ends_on=TODAY + 12 * TEN_DAYS)
    starts_on = TODAY + 13 * TEN_DAYS
    later = world.agreement(lender, agency, starts_on=starts_on, ends_on=starts_on + 30 * TEN_DAYS)
    clock.forward(days=10)
    issued_on = starts_on + dt.timedelta(days=evaluated)
    assert reasons(world, lender, first) == []
    clock.forward(days=130)
    papers(world, lender, agency, Paper(DUE_DILIGENCE, "N", "I", issued_on, issued_on + 36 * TEN_DAYS))
    drop_all_but_newest(world, lender, agency)
    assert reasons(world, lender, later) == codes


def drop_all_but_newest(world: World, lender: Someone, agency: Someone) -> None:
    """Of the evaluations."""
    with world.database.work(lender.actor) as work:
        made = [each for each in agency_documents.list_own(work, agency.organisation.id) if each.kind == DUE_DILIGENCE]
        for document in made[1:]:
            agency_documents.withdraw(work, document.id)


def test_a_newer_paper_that_ends_earlier_leaves_the_older_one_in_force(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency)
    papers(
        world, lender, agency, *(Paper(kind, "N", "I", TODAY, TODAY + TEN_DAYS) for kind in (LICENCE, DUE_DILIGENCE))
    )
    clock.forward(days=11)
    assert reasons(world, lender, agreement) == []


def test_licences_that_end_on_different_days_hold_together_each_until_its_end(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, provinces=["110000", "310000", "440000"])
    drop_licence(world, lender, agency)
    for days, provinces in ((30, ["110000"]), (10, ["310000"])):
        papers(world, lender, agency, Paper(LICENCE, "N", "I", TODAY, TODAY + dt.timedelta(days=days), provinces))
    assert where(world, lender, agreement) == ["110000", "310000"]
    clock.forward(days=11)
    assert where(world, lender, agreement) == ["110000"]


@pytest.mark.parametrize(
    ("act", "codes"),
    [
        ("watch", []),
        ("suspend", ["agency_suspended"]),
        ("freeze", ["agency_frozen"]),
    ],
)
def test_whether_an_agency_receives_depends_on_how_it_stands(
    world: World, lender: Someone, agency: Someone, act: str, codes: list[str]
) -> None:
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        getattr(standings, act)(work, agency.organisation.id, "conduct")
    assert reasons(world, lender, agreement) == codes
    if codes:
        with world.database.work(lender.actor) as work:
            standings.clear(work, agency.organisation.id)
        assert reasons(world, lender, agreement) == []


def test_a_licence_that_holds_nowhere_the_agreement_does_lets_nothing_through(
    world: World, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, provinces=["110000", "310000"])
    drop_licence(world, lender, agency)
    licence = Paper(LICENCE, "N", "I", TODAY, TODAY + TEN_DAYS)
    for provinces, codes in ((["440000"], ["licence_elsewhere"]), (["310000", "440000"], [])):
        papers(world, lender, agency, licence._replace(provinces=provinces))
        assert reasons(world, lender, agreement) == codes


@pytest.mark.parametrize(
    ("agreed", "licensed", "covered"),
    [
        ([], [], [True, True, True]),
        (["110000"], [], [True, False, False]),
        ([], ["310000"], [False, True, False]),
        (["110000", "310000"], ["310000", "440000"], [False, True, False]),
        (["110000"], ["440000"], [False, False, False]),
    ],
)
def test_a_case_fits_where_both_the_agreement_and_the_licence_hold(
    world: World, lender: Someone, agency: Someone, agreed: list[str], licensed: list[str], covered: list[bool]
) -> None:
    agreement = world.agreement(lender, agency, provinces=agreed)
    drop_licence(world, lender, agency)
    papers(world, lender, agency, Paper(LICENCE, "N", "I", TODAY, TODAY + TEN_DAYS, licensed))
    portfolio = world.portfolio(lender, [Debt(1), Debt(2), Debt(3)])
    with world.database.work(lender.actor) as work:
        cases = work.session.scalars(select(Case).order_by(Case.id)).all()
        for case, region in zip(cases, ("110101", "310101", None), strict=True):
            case.region = region
    with world.database.work(lender.actor) as work:
        fits = eligibility.fits(work, agreements.get(work, agreement.id), work.at)
        query = select(Case.id).where(Case.portfolio_id == portfolio.id, fits)
        assert [case.id in set(work.session.scalars(query)) for case in cases] == covered


def test_a_case_fits_from_the_least_balance_on_and_below_the_other(
    world: World, lender: Someone, agency: Someone
) -> None:
    bounds = {"balance_from": Decimal("100.00"), "balance_below": Decimal("200.00")}
    agreement = world.agreement(lender, agency, **bounds)
    owed = ["99.99", "100.00", "199.99", "200.00"]
    portfolio = world.portfolio(lender, [Debt(number, balance) for number, balance in enumerate(owed)])
    with world.database.work(lender.actor) as work:
        fits = eligibility.fits(work, agreements.get(work, agreement.id), work.at)
        found = work.session.scalars(select(Case.balance).where(Case.portfolio_id == portfolio.id, fits))
        assert sorted(found) == [Decimal("100.00"), Decimal("199.99")]
        assert tenders.assign(work, portfolio.id, agreement.id).state == "offered"


def test_a_panel_is_asked_without_those_whose_agreement_leaves_an_amount_out(
    world: World, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, balance_below=Decimal("1000.00"))
    other = world.agreement(lender, world.agency())
    plan = Plan(world.portfolio(lender).id, FIRST_CLAIM, [agreement.id, other.id])
    with world.database.work(lender.actor) as work:
        tender = tenders.create(work, plan)
    assert tender.rules["passed_over"] == {str(agreement.id): ["cases_outside_agreement"]}


def test_a_conduct_score_below_the_lenders_minimum_closes_the_gate_for_a_year(
    world: World, clock: Clock, lender: Someone
) -> None:
    ground = placed(world, 1, lender=lender, ends_on=TODAY + dt.timedelta(days=600))
    agreement_id = ground.placement.agreement_id
    breach(world, lender, ground.agency, 8, TODAY)  # 501 of 821: 61.02
    breach(world, lender, ground.agency, 1_000, TODAY, "dismissed")
    with world.database.work(lender.actor) as work:
        agreement = agreements.get(work, agreement_id)
        assert standings.conduct_factor(work, ground.agency.organisation.id) == Decimal("0.6102")
    assert reasons(world, lender, agreement) == []
    settings(world, lender, conduct_score_min=62)
    assert reasons(world, lender, agreement) == ["conduct_score_too_low"]
    clock.forward(days=366)
    assert reasons(world, lender, agreement) == []


def test_too_many_upheld_complaints_close_the_gate(world: World, lender: Someone) -> None:
    ground = placed(world, 1, lender=lender)
    with world.database.work(lender.actor) as work:
        agreement = agreements.get(work, ground.placement.agreement_id)
        standings.record_complaints(work, ground.agency.organisation.id, 1)
    assert reasons(world, lender, agreement) == ["complaints_too_many"]
    settings(world, lender, complaints_per_5000_max=5_000)
    assert reasons(world, lender, agreement) == []


@pytest.mark.parametrize("limits", [{"open_cases_max": 4}, {"collectors": 2, "cases_per_collector": 2}])
def test_cases_held_and_those_that_wait_for_an_answer_take_capacity(
    world: World, lender: Someone, agency: Someone, limits: dict[str, int]
) -> None:
    agreement = world.agreement(lender, agency, **limits)
    world.placement(lender, agency, [Debt(1), Debt(2)])
    offer = world.offer(lender, agency, [Debt(3)])
    assert reasons(world, lender, agreement, 1) == []
    assert reasons(world, lender, agreement, 2) == ["capacity_exceeded"]
    with world.database.work(lender.actor) as work:
        assert eligibility.capacity_left(work, agreements.get(work, agreement.id)) == 1
        assert eligibility.reasons(work, agreements.get(work, agreement.id), work.at, 2, besides=offer.id) == []
    with world.database.work(agency.actor) as work:
        offers.decline(work, offer.id, "capacity")
    assert reasons(world, lender, agreement, 2) == []


def test_a_case_that_is_paid_off_takes_no_capacity_and_one_that_is_owed_again_does(
    world: World, lender: Someone, agency: Someone
) -> None:
    agreement = world.agreement(lender, agency, open_cases_max=2)
    placement = world.placement(lender, agency, [Debt(1), Debt(2)])
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case).where(Case.portfolio_id == placement.portfolio_id).limit(1)).one()
    assert reasons(world, lender, agreement) == ["capacity_exceeded"]
    receive_balances(world, lender, balance(case, "0.00", "paid_off"))
    with world.database.work(lender.actor) as work:
        assert eligibility.capacity_left(work, agreements.get(work, agreement.id)) == 1
        assert overviews.parties(work, "CNY")[0].placed_case_count == 1
    receive_balances(world, lender, balance(case, "5.00"), sequence=2)
    assert reasons(world, lender, agreement) == ["capacity_exceeded"]


def test_a_full_agency_takes_nothing_more_and_an_unlimited_one_anything(world: World, lender: Someone) -> None:
    full, unlimited = (
        world.agreement(lender, world.agency(), open_cases_max=0),
        world.agreement(lender, world.agency(), collectors=3),
    )
    assert reasons(world, lender, full) == ["capacity_exceeded"]
    with world.database.work(lender.actor) as work:
        assert eligibility.capacity_left(work, agreements.get(work, unlimited.id)) is None


def test_what_one_agency_holds_takes_nothing_of_anothers_capacity(world: World, lender: Someone) -> None:
    world.placement(lender, world.agency(), [Debt(1), Debt(2)])
    agreement = world.agreement(lender, world.agency(), open_cases_max=2)
    assert reasons(world, lender, agreement, 2) == []


def closed_by(world: World, lender: Someone, agency: Someone) -> dict[str, Callable[[], None]]:
    def suspend() -> None:
        with world.database.work(lender.actor) as work:
            standings.suspend(work, agency.organisation.id, "conduct")

    return {"licence_missing": lambda: drop_licence(world, lender, agency), "agency_suspended": suspend}


@pytest.mark.parametrize(("code", "told"), [("licence_missing", "licence_missing"), ("agency_suspended", "ineligible")])
def test_an_offer_made_before_says_why_not_shows_nothing_and_cannot_be_accepted(
    world: World, lender: Someone, agency: Someone, code: str, told: str
) -> None:
    offer = world.offer(lender, agency, 25)
    closed_by(world, lender, agency)[code]()
    with world.database.work(agency.actor) as work:
        shown = offers.get(work, offer.id)
        assert (shown.withheld, answering.reasons_told(work, shown)) == ([told], [told])
        assert (shown.case_count, shown.balance, shown.strata["currencies"]) == (None, None, [])
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        offers.accept(work, offer.id)
    assert (refused.value.code, refused.value.facts) == (told, {"reasons": [told]})


def test_an_agency_in_order_is_told_of_nothing_in_the_way_even_where_the_offer_fills_it(
    world: World, lender: Someone, agency: Someone
) -> None:
    offer = world.offer(lender, agency, [Debt(1), Debt(2)], open_cases_max=2)
    with world.database.work(agency.actor) as work:
        assert answering.reasons_told(work, offers.get(work, offer.id)) == []
        assert offers.accept(work, offer.id).case_count == 2


def test_no_offer_is_made_to_an_ineligible_agency(world: World, lender: Someone, agency: Someone) -> None:
    portfolio, agreement = world.portfolio(lender), world.agreement(lender, agency)
    closed_by(world, lender, agency)["agency_suspended"]()
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.assign(work, portfolio.id, agreement.id)
    assert refused.value.code == "agency_suspended"


def test_the_panel_has_every_active_agreement_of_a_currency_with_what_stands_in_its_way(
    world: World, lender: Someone, agency: Someone
) -> None:
    first = world.agreement(lender, agency, open_cases_max=7)
    second = world.agreement(lender, world.agency(), tier=2)
    world.agreement(lender, world.agency(), currency="USD")
    world.agreement(world.lender(), agency)
    settings(world, lender, required_documents=[LICENCE, DUE_DILIGENCE, TRAINING])
    with world.database.work(lender.actor) as work:
        found = eligibility.panel(work, "CNY", case_count=8)
    assert [(each.agreement.id, each.reasons, each.capacity_left, each.conduct_factor) for each in found] == [
        (first.id, ["training_missing", "capacity_exceeded"], 7, Decimal("1.0000")),
        (second.id, ["training_missing"], None, Decimal("1.0000")),
    ]
    with world.database.work(lender.actor) as work:
        assert len(eligibility.panel(work)) == 3


def test_a_panel_of_many_takes_as_many_queries_as_one_of_two(world: World, lender: Someone) -> None:
    counts = []
    for agencies in (2, 6):
        for _ in range(agencies):
            world.agreement(lender, world.agency())
        with world.database.work(lender.actor) as work, counted(world) as queries:
            found: list[Candidate] = eligibility.panel(work)
        counts.append((len(found), len(queries)))
    assert [count for count, _ in counts] == [2, 8]
    assert counts[0][1] == counts[1][1]
