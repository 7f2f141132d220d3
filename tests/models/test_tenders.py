"""Tenders: one choice after the other, a panel of whom the first takes all, and a second person above the limit."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models.agreement import Agreement
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.notice import Notice
from models.offer import Offer
from models.portfolio import Portfolio
from models.services.exchange import agreements, eligibility, offers, tender_offers, tender_previews, tenders
from models.services.parties import lender_settings
from models.tender import Tender
from models.tender_plan import Plan
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.statements import counted
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agencies(world: World) -> list[Someone]:
    return [world.agency() for _ in range(3)]


@pytest.fixture
def choices(world: World, lender: Someone, agencies: list[Someone]) -> list[Agreement]:
    return [world.agreement(lender, agency) for agency in agencies]


@pytest.fixture
def portfolio(world: World, lender: Someone) -> Portfolio:
    return world.portfolio(lender, 3)


def create(world: World, lender: Someone, portfolio: Portfolio, kind: str, choices: list[Agreement]) -> Tender:
    with world.database.work(lender.actor) as work:
        return tenders.create(work, Plan(portfolio.id, kind, [choice.id for choice in choices]))


def standing(world: World, lender: Someone, tender: Tender) -> tuple[str, list[tuple[UUID, str]]]:
    """The tender's state, and whom it was offered to with what came of it."""
    with world.database.work(lender.actor) as work:
        answers = [(offer.agreement_id, offer.state) for offer in tender_offers.list_all(work, tender.id)]
        return tenders.get(work, tender.id).state, answers


def offer_to(world: World, agency: Someone) -> Offer:
    with world.database.work(agency.actor) as work:
        return offers.list_own(work)[0]


def tick(world: World, lender: Someone) -> int:
    """The minute's job."""
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        return offers.expire_due(work)


def end(world: World, lender: Someone, agreement: Agreement) -> None:
    with world.database.work(lender.actor) as work:
        agreements.end(work, agreement.id)


def told(world: World, lender: Someone) -> list[str]:
    with world.database.work(lender.actor) as work:
        return list(work.session.scalars(select(Notice.kind).where(Notice.told == "lender").order_by(Notice.id)))


# --- one choice after the other ---


def test_only_the_first_choice_is_asked(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "assigned", choices)
    assert standing(world, lender, tender) == ("open", [(choices[0].id, "offered")])


def test_a_decline_asks_the_next_choice_at_once(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "assigned", choices)
    with world.database.work(agencies[0].actor) as work:
        offers.decline(work, offers.list_own(work)[0].id, "capacity")
    answers = [(choices[0].id, "declined"), (choices[1].id, "offered")]
    assert standing(world, lender, tender) == ("open", answers)
    with world.database.work(agencies[1].actor) as work:
        assert offers.accept(work, offers.list_own(work)[0].id).case_count == 3
    assert standing(world, lender, tender)[0] == "placed"


def test_silence_asks_the_next_choice_with_its_full_time(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement], clock: Clock
) -> None:
    tender = create(world, lender, portfolio, "assigned", choices)
    clock.forward(hours=73)
    assert (tick(world, lender), tick(world, lender)) == (1, 0)
    answers = [(choices[0].id, "expired"), (choices[1].id, "offered")]
    assert standing(world, lender, tender) == ("open", answers)
    assert (offer_to(world, agencies[1]).expires_at - clock.at).total_seconds() == 72 * 3600


def test_who_may_not_receive_is_passed_over_with_the_reason(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    end(world, lender, choices[0])
    tender = create(world, lender, portfolio, "assigned", choices)
    assert standing(world, lender, tender) == ("open", [(choices[1].id, "offered")])
    assert "agreement_not_in_force" in tender.rules["passed_over"][str(choices[0].id)]


def test_an_agency_that_may_not_receive_any_more_makes_room_for_the_next(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "assigned", choices)
    end(world, lender, choices[0])
    assert tick(world, lender) == 1
    answers = [(choices[0].id, "withdrawn"), (choices[1].id, "offered")]
    assert standing(world, lender, tender) == ("open", answers)


def test_when_every_choice_said_no_the_tender_is_unanswered_and_its_cases_are_free(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "assigned", choices)
    for agency in agencies:
        with world.database.work(agency.actor) as work:
            offers.decline(work, offers.list_own(work)[0].id, "rate")
    assert standing(world, lender, tender)[0] == "unanswered"
    assert told(world, lender)[-2:] == ["offer.declined", "tender.unanswered"]
    create(world, lender, portfolio, "assigned", choices[:1])


def test_a_decline_tells_the_agency_nothing_of_who_is_next(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement]
) -> None:
    create(world, lender, portfolio, "assigned", choices)
    with world.database.work(agencies[0].actor) as work:
        offers.decline(work, offers.list_own(work)[0].id, "rate")
    with world.database.work(agencies[0].actor) as work:
        assert [offer.state for offer in offers.list_own(work)] == ["declined"]
        assert list(work.session.scalars(select(Tender))) == []


# --- the first takes all ---


def test_of_a_panel_the_first_takes_all_and_the_others_are_told(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "first_claim", choices)
    with world.database.work(agencies[1].actor) as work:
        offers.accept(work, offers.list_own(work)[0].id)
    answers = [(choices[0].id, "taken"), (choices[1].id, "accepted"), (choices[2].id, "taken")]
    assert standing(world, lender, tender) == ("placed", answers)
    for late in (agencies[0], agencies[2]):
        for act in (offers.accept, lambda work, offer_id: offers.decline(work, offer_id, "rate")):
            with world.database.work(late.actor) as work, pytest.raises(Conflict) as refused:
                act(work, offers.list_own(work)[0].id)
            assert refused.value.code == "offer_taken"
        with world.database.work(late.actor) as work:
            assert "offer.taken" in set(work.session.scalars(select(Notice.kind)))


def test_of_a_panel_only_those_who_may_receive_are_asked(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    end(world, lender, choices[0])
    tender = create(world, lender, portfolio, "first_claim", choices)
    assert [agreement for agreement, _ in standing(world, lender, tender)[1]] == [choices[1].id, choices[2].id]
    assert set(tender.rules["passed_over"]) == {str(choices[0].id)}


def test_a_panel_stays_open_until_its_last_answer(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "first_claim", choices)
    seen = []
    for agency in agencies:
        with world.database.work(agency.actor) as work:
            offers.decline(work, offers.list_own(work)[0].id, "territory")
        seen.append(standing(world, lender, tender)[0])
    assert seen == ["open", "open", "unanswered"]


# --- a second person ---


def limit(world: World, lender: Someone, cases: int) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"approval_cases": cases})


@pytest.mark.parametrize("kind", ["assigned", "first_claim"])
def test_above_the_limit_nobody_is_asked_before_a_second_person_agrees(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio, choices: list[Agreement], kind: str
) -> None:
    limit(world, lender, 2)
    tender = create(world, lender, portfolio, kind, choices[:1])
    assert standing(world, lender, tender) == ("awaiting_approval", [])
    with world.database.work(lender.actor) as work, pytest.raises(Forbidden) as refused:
        tenders.approve(work, tender.id)
    assert refused.value.code == "second_person_needed"
    with world.database.work(world.person(lender, "portfolio_manager").actor) as work:
        tenders.approve(work, tender.id)
    assert standing(world, lender, tender) == ("open", [(choices[0].id, "offered")])
    with world.database.work(agencies[0].actor) as work:
        assert offers.accept(work, offers.list_own(work)[0].id).case_count == 3


def test_what_awaits_approval_holds_its_cases_until_it_is_refused(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    limit(world, lender, 2)
    tender = create(world, lender, portfolio, "assigned", choices)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.create(work, Plan(portfolio.id, "assigned", [choices[1].id]))
    assert refused.value.code == "no_cases_to_offer"
    with world.database.work(world.person(lender, "administrator").actor) as work:
        tenders.refuse(work, tender.id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict):
        tenders.approve(work, tender.id)
    assert create(world, lender, portfolio, "assigned", choices).case_count == 3


def test_an_offer_at_once_is_refused_above_the_limit(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    limit(world, lender, 2)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.assign(work, portfolio.id, choices[0].id)
    assert refused.value.code == "needs_approval"


# --- households ---


def test_a_new_case_follows_a_placed_one(world: World, lender: Someone, agencies: list[Someone]) -> None:
    placement = world.placement(lender, agencies[0], [Debt(1)])
    portfolio, other = world.portfolio(lender, [Debt(1), Debt(2)]), world.agreement(lender, agencies[1])
    with world.database.work(lender.actor) as work:
        theirs = tender_previews.make(work, Plan(portfolio.id, "assigned", [placement.agreement_id]))
        others = tender_previews.make(work, Plan(portfolio.id, "assigned", [other.id]))
    assert (theirs.case_count, theirs.follows) == (2, [])
    assert (others.case_count, others.left_out) == (1, {"household_elsewhere": 1})
    assert [(one.agency_id, one.case_count) for one in others.follows] == [(agencies[0].organisation.id, 1)]


def test_a_lender_may_let_new_cases_go_elsewhere(world: World, lender: Someone, agencies: list[Someone]) -> None:
    world.placement(lender, agencies[0], [Debt(1)])
    portfolio, other = world.portfolio(lender, [Debt(1), Debt(2)]), world.agreement(lender, agencies[1])
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"new_case_follows": False})
        assert tenders.get(work, tenders.assign(work, portfolio.id, other.id).tender_id).case_count == 2


def test_a_borrower_in_a_tender_that_awaits_approval_is_left_out_of_others(
    world: World, lender: Someone, choices: list[Agreement]
) -> None:
    first, second = world.portfolio(lender, [Debt(1), Debt(2), Debt(3)]), world.portfolio(lender, [Debt(1), Debt(4)])
    limit(world, lender, 2)
    create(world, lender, first, "assigned", choices[:1])
    assert create(world, lender, second, "assigned", choices[1:2]).case_count == 1


# --- preview and bad input ---


def test_a_preview_says_what_the_tender_then_holds(
    world: World, lender: Someone, choices: list[Agreement], agencies: list[Someone]
) -> None:
    debts = [Debt(1), Debt(2, currency="USD"), Debt(3, dpd=1500), Debt(4, dpd=80), Debt(5), Debt(5), Debt(5)]
    portfolio = world.portfolio(lender, debts)
    end(world, lender, choices[1])
    plan = Plan(portfolio.id, "first_claim", [one.id for one in choices[:2]], buckets=["M2"], case_limit=3)
    with world.database.work(lender.actor) as work:
        seen = tender_previews.make(work, plan)
        made = tenders.create(work, plan)
    assert (seen.case_count, seen.borrower_count, seen.balance) == (1, 1, made.balance)
    assert seen.scrubbed == made.scrubbed == {"time_barred": 1}
    assert seen.left_out == {"other_currency": 1, "not_chosen": 1, "beyond_limit": 3}
    assert [bool(seat.reasons) for seat in seen.seats] == [False, True]
    assert (seen.shown, seen.k, seen.needs_approval) == (False, 20, False)


@pytest.mark.parametrize(
    ("field", "code", "changes"),
    [
        ("kind", "unknown_value", {"kind": "lottery"}),
        ("agreement_ids", "required_missing", {"agreement_ids": []}),
        ("agreement_ids", "duplicate", {"agreement_ids": [UUID(int=1), UUID(int=1)]}),
        ("buckets", "unknown_value", {"buckets": ["M99"]}),
        ("provinces", "unknown_value", {"provinces": ["990000"]}),
        ("provinces", "required_missing", {"provinces": []}),
        ("case_limit", "out_of_range", {"case_limit": 0}),
        ("respond_hours", "out_of_range", {"respond_hours": 721}),
    ],
)
def test_an_impossible_plan_is_refused_by_field(
    world: World, lender: Someone, portfolio: Portfolio, field: str, code: str, changes: dict[str, object]
) -> None:
    plan = Plan(portfolio.id, "assigned", [uuid4()])._replace(**changes)  # type: ignore[arg-type]
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        tenders.create(work, plan)
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


def test_agreements_in_several_currencies_are_no_panel(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio
) -> None:
    panel = [world.agreement(lender, agencies[0]), world.agreement(lender, agencies[1], currency="USD")]
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.create(work, Plan(portfolio.id, "first_claim", [one.id for one in panel]))
    assert refused.value.code == "currencies_mixed"


def test_an_agreement_in_a_currency_that_the_portfolio_has_not_is_refused_by_name(
    world: World, lender: Someone, agencies: list[Someone], portfolio: Portfolio
) -> None:
    dollars = world.agreement(lender, agencies[0], currency="USD")
    mixed = world.portfolio(lender, [Debt(9), Debt(10, currency="USD")])
    for verb, chosen, code in (
        (tenders.create, portfolio, "currency_differs"),
        (tender_previews.make, portfolio, "currency_differs"),
        (tenders.create, mixed, "no_cases_to_offer"),
    ):
        with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
            verb(work, Plan(chosen.id, "assigned", [dollars.id], buckets=["M7+"]))
        assert refused.value.code == code


def test_a_panel_of_whom_nobody_may_receive_is_refused_with_every_reason(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    for choice in choices:
        end(world, lender, choice)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        tenders.create(work, Plan(portfolio.id, "first_claim", [one.id for one in choices]))
    assert refused.value.code == "nobody_eligible"
    assert "agreement_not_in_force" in refused.value.facts["reasons"]


def test_cases_outside_an_agreement_keep_its_agency_out_of_a_panel(
    world: World, lender: Someone, agencies: list[Someone]
) -> None:
    portfolio = world.portfolio(lender, [Debt(1), Debt(2, product="car_loan")])
    everything = world.agreement(lender, agencies[0])
    cards = world.agreement(lender, agencies[1], products=["credit_card"])
    tender = create(world, lender, portfolio, "first_claim", [everything, cards])
    assert tender.rules["passed_over"] == {str(cards.id): [eligibility.OUTSIDE]}
    with world.database.work(lender.actor) as work:
        tenders.withdraw(work, tender.id)
    assert create(world, lender, portfolio, "assigned", [cards]).case_count == 1


def test_a_panel_of_many_takes_as_many_statements_as_one_of_two(world: World, lender: Someone) -> None:
    """Both made and taken back: whoever waits for the tender waits for all of them."""
    counts = []
    for size in (2, 6):
        portfolio = world.portfolio(lender, [Debt(size)])
        panel = [world.agreement(lender, world.agency()) for _ in range(size)]
        plan = Plan(portfolio.id, "first_claim", [agreement.id for agreement in panel])
        with counted(world) as statements:
            with world.database.work(lender.actor) as work:
                tender = tenders.create(work, plan)
            with world.database.work(lender.actor) as work:
                tenders.withdraw(work, tender.id)
        counts.append(len(statements))
        assert standing(world, lender, tender) == ("withdrawn", [(agreement.id, "withdrawn") for agreement in panel])
    assert counts[0] == counts[1]


def test_another_lenders_tender_is_unknown(world: World, lender: Someone, choices: list[Agreement]) -> None:
    tender = create(world, lender, world.portfolio(lender), "assigned", choices)
    stranger = world.lender("administrator")
    for verb in (tenders.get, tenders.approve, tenders.refuse, tenders.withdraw):
        for tender_id in (tender.id, uuid4()):
            with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
                verb(work, tender_id)


def test_tenders_are_listed_by_state_kind_and_portfolio(
    world: World, lender: Someone, portfolio: Portfolio, choices: list[Agreement]
) -> None:
    tender = create(world, lender, portfolio, "first_claim", choices)
    with world.database.work(lender.actor) as work:
        for wanted, count in (
            ({"state": "open"}, 1),
            ({"state": "placed"}, 0),
            ({"kind": "first_claim"}, 1),
            ({"kind": "assigned"}, 0),
            ({"portfolio_id": portfolio.id}, 1),
            ({"portfolio_id": uuid4()}, 0),
        ):
            assert len(tenders.list_own(work, **wanted)) == count  # type: ignore[arg-type]
        assert tenders.count_by_state(work) == {"open": 1}
        assert tender_offers.count_by_state(work, [tender.id]) == {tender.id: {"offered": 3}}
