"""Exclusions and the scrub: what may not be placed enters no offer and no placement, by no way."""

import datetime as dt
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from models.business_day import day_of
from models.case import HOLD, PAID_OFF, Case
from models.errors import Conflict, Invalid, NotFound
from models.exclusion import RECORDED_REASONS, Exclusion
from models.offer import Offer
from models.placement import PlacedCase
from models.services import tenancy
from models.services.exchange import offers, tender_cases, tenders
from models.services.parties import lender_settings
from models.services.portfolio import exclusions, holds, scrub
from models.tender import ASSIGNED, TenderedCase
from models.tender_plan import Plan
from tests.statements import counted as counted_statements
from tests.world import Debt, Someone, World

TODAY = dt.date(2026, 3, 10)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def cases_of(world: World, lender: Someone, portfolio_id: UUID) -> list[UUID]:
    with world.database.work(lender.actor) as work:
        return list(work.session.scalars(select(Case.id).where(Case.portfolio_id == portfolio_id).order_by(Case.id)))


def exclude(world: World, lender: Someone, case_id: UUID, whole: bool = False, reason: str = "deceased") -> UUID:
    with world.database.work(lender.actor) as work:
        return exclusions.record(work, case_id, reason, "court", TODAY, whole).id


def counted(world: World, lender: Someone, portfolio_id: UUID) -> dict[str, int]:
    with world.database.work(lender.actor) as work:
        return scrub.count(work, portfolio_id)


# --- the verbs ---


def test_an_exclusion_keeps_source_and_date_also_when_it_is_lifted(world: World, lender: Someone) -> None:
    (case_id,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    made = exclude(world, lender, case_id)
    with world.database.work(lender.actor) as work:
        exclusions.lift(work, made)
        (line,) = exclusions.list_of_case(work, case_id)
    assert (line.exclusion.source, line.exclusion.noted_on, line.exclusion.lifted_at) == ("court", TODAY, work.at)


def test_a_lifted_exclusion_lets_the_case_be_offered(world: World, lender: Someone, agency: Someone) -> None:
    portfolio, agreement = world.portfolio(lender, 1), world.agreement(lender, agency)
    (case_id,) = cases_of(world, lender, portfolio.id)
    made = exclude(world, lender, case_id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict):
        tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(lender.actor) as work:
        exclusions.lift(work, made)
        tenders.assign(work, portfolio.id, agreement.id)


def test_the_same_exclusion_twice_or_lifted_twice_is_refused(world: World, lender: Someone) -> None:
    (case_id,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    made = exclude(world, lender, case_id)
    with pytest.raises(Conflict) as refused:
        exclude(world, lender, case_id)
    assert refused.value.code == "already_excluded"
    exclude(world, lender, case_id, reason="bankrupt")
    with world.database.work(lender.actor) as work:
        exclusions.lift(work, made)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        exclusions.lift(work, made)
    assert refused.value.code == "exclusion_lifted"


def test_of_a_whole_borrower_later_cases_are_excluded_too(world: World, lender: Someone, agency: Someone) -> None:
    (case_id,) = cases_of(world, lender, world.portfolio(lender, [Debt(1)]).id)
    exclude(world, lender, case_id, whole=True)
    portfolio, agreement = world.portfolio(lender, [Debt(1), Debt(2)]), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        assert tenders.get(work, tenders.assign(work, portfolio.id, agreement.id).tender_id).case_count == 1


@pytest.mark.parametrize(
    ("field", "given_terms"),
    [
        ("reason", ("rich", "court", TODAY)),
        ("source", ("deceased", "gossip", TODAY)),
        ("noted_on", ("deceased", "court", TODAY + dt.timedelta(days=1))),
    ],
)
def test_impossible_exclusions_are_refused_by_field(
    world: World, lender: Someone, field: str, given_terms: tuple[str, str, dt.date]
) -> None:
    (case_id,) = cases_of(world, lender, world.portfolio(lender, 1).id)
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        exclusions.record(work, case_id, *given_terms)
    assert [error.field for error in refused.value.errors] == [field]


def test_a_list_names_the_cases_of_each_exclusion_in_one_statement_for_all(world: World, lender: Someone) -> None:
    case_ids = cases_of(world, lender, world.portfolio(lender, [Debt(number // 2) for number in range(12)]).id)
    sent = []
    for first, last in ((0, 2), (2, 12)):
        for number in range(first, last, 2):
            exclude(world, lender, case_ids[number], whole=True)
            exclude(world, lender, case_ids[number + 1])
        with world.database.work(lender.actor) as work, counted_statements(world) as statements:
            lines = exclusions.list_own(work)
        assert sorted(len(line.references) for line in lines) == [1] * (last // 2) + [2] * (last // 2)
        assert all((line.reference is None) == (line.exclusion.case_id is None) for line in lines)
        sent.append(len(statements))
    assert sent[0] == sent[1]


def test_a_foreign_case_or_exclusion_is_unknown(world: World, lender: Someone) -> None:
    stranger = world.lender()
    (theirs,) = cases_of(world, stranger, world.portfolio(stranger, 1).id)
    made = exclude(world, stranger, theirs)
    for case_id in (theirs, uuid4()):
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            exclusions.record(work, case_id, "deceased", "court", TODAY)
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            exclusions.list_of_case(work, case_id)
    for exclusion_id in (made, uuid4()):
        with world.database.work(lender.actor) as work, pytest.raises(NotFound):
            exclusions.lift(work, exclusion_id)
    with world.database.work(lender.actor) as work:
        assert exclusions.list_own(work) == []


def test_no_agency_sees_an_exclusion(world: World, lender: Someone, agency: Someone) -> None:
    placement = world.placement(lender, agency, 1)
    exclude(world, lender, world.case_ids(placement, lender)[0])
    with world.database.work(agency.actor) as work:
        assert list(work.session.scalars(select(Exclusion))) == []


# --- the file ---


def test_of_a_file_the_good_rows_stand_and_each_bad_one_is_named(world: World, lender: Someone) -> None:
    numbers = ["K-ONE", "K-TWO", "K-THREE"]
    portfolio = world.portfolio(lender, [Debt(at, case_number=number) for at, number in enumerate(numbers, 1)])
    stranger = world.lender()
    world.portfolio(stranger, [Debt(9, case_number="K-THEIRS")])
    file = (
        "case_number,reason,source,noted_on\n"
        "K-ONE,deceased,court,2026-03-01\n"
        "K-TWO,rich,court,2026-03-01\n"
        "K-THREE,bankrupt,court,2026-04-01\n"
        "K-THEIRS,bankrupt,court,2026-03-01\n"
        "K-TWO,hardship,borrower,2026-03-02\n"
    )
    with world.database.work(lender.actor) as work:
        outcome = exclusions.record_file(work, [file.encode()])
    assert (outcome.accepted, outcome.repeated, outcome.refused) == (2, 0, 3)
    assert [tuple(error) for error in outcome.errors] == [
        (2, "reason", "unknown_value"),
        (3, "noted_on", "in_future"),
        (4, "case_number", "unknown_case"),
    ]
    assert counted(world, lender, portfolio.id) == {"deceased": 1, "hardship": 1}
    with world.database.work(lender.actor) as work:
        again = exclusions.record_file(work, [file.encode()])
    assert (again.accepted, again.repeated, again.refused) == (0, 2, 3)


# --- what is left out, and why ---


def test_each_case_is_counted_once_under_its_first_reason(world: World, lender: Someone, agency: Someone) -> None:
    debts = [Debt(number, dpd=1500 if number == 6 else 45) for number in range(1, 9)]
    portfolio = world.portfolio(lender, debts)
    case_ids = cases_of(world, lender, portfolio.id)
    exclude(world, lender, case_ids[0])
    exclude(world, lender, case_ids[0], reason="bankrupt")
    with world.database.work(lender.actor) as work:
        for at, status in ((1, PAID_OFF), (2, HOLD)):
            work.session.execute(update(Case).where(Case.id == case_ids[at]).values(status=status))
    with world.database.work(world.person(lender, "compliance_officer").actor) as work:
        holds.place(work, "case", case_ids[3], "litigation")
    agreement = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        everything = Plan(portfolio.id, ASSIGNED, [agreement.id])
        assert tender_cases.read(work, everything, [agreement]).height == 3
        tenders.assign(work, portfolio.id, agreement.id, case_limit=1)
    assert counted(world, lender, portfolio.id) == {
        "already_offered": 1,
        "bankrupt": 1,
        "case_on_hold": 1,
        "legal_hold": 1,
        "paid_off": 1,
        "time_barred": 1,
    }


def test_what_keeps_a_case_back_is_asked_of_each_and_never_joined(world: World, lender: Someone) -> None:
    """Joined, every exclusion would be read for every case where PostgreSQL expects few to be left."""
    with world.database.work(lender.actor) as work:
        query = select(Case.id).where(tenancy.own(work, Case), scrub.free(), scrub.clear(work))
        asked = query.compile(work.session.connection(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(work.session.scalars(text(f"explain {asked}")))
    assert "exclusion" in plan
    assert "Join" not in plan


@pytest.mark.parametrize("kind", ["case", "portfolio", "borrower"])
def test_a_legal_hold_keeps_its_cases_back_until_it_is_lifted(
    world: World, lender: Someone, agency: Someone, kind: str
) -> None:
    portfolio, agreement = world.portfolio(lender, 1), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case).where(Case.portfolio_id == portfolio.id)).one()
        subject = {"case": case.id, "portfolio": portfolio.id, "borrower": case.borrower_id}[kind]
        hold = holds.place(work, kind, subject, "regulator")
    with world.database.work(lender.actor) as work, pytest.raises(Conflict):
        tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(lender.actor) as work:
        assert scrub.reasons_of(work, case.id) == ["legal_hold"]
        holds.lift(work, hold.id)
        tenders.assign(work, portfolio.id, agreement.id)


@pytest.mark.parametrize(("days", "count"), [(0, 0), (2000, 0), (1000, 1)])
def test_the_lender_says_when_a_debt_counts_as_time_barred(
    world: World, lender: Someone, days: int, count: int
) -> None:
    portfolio = world.portfolio(lender, [Debt(1, dpd=1500)])
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"limitation_days": days})
    assert counted(world, lender, portfolio.id).get("time_barred", 0) == count


def test_balances_that_keep_coming_do_not_make_a_debt_younger(world: World, lender: Someone) -> None:
    portfolio = world.portfolio(lender, [Debt(1, dpd=1090)])
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"limitation_days": 1095})
        [case] = work.session.scalars(select(Case))
    assert "time_barred" not in counted(world, lender, portfolio.id)
    world.clock.forward(days=6)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).values(balance_on=day_of(work.at)))  # as a balance of the ledger does
    assert counted(world, lender, portfolio.id)["time_barred"] == 1
    assert case.overdue_since_on == case.balance_on - dt.timedelta(days=1090)


def test_what_is_excluded_leaves_the_open_tender_at_once(world: World, lender: Someone, agency: Someone) -> None:
    offer = world.offer(lender, agency, 2)
    case_ids = cases_of(world, lender, offer.portfolio_id)
    exclude(world, lender, case_ids[0])
    with world.database.work(lender.actor) as work:
        held = select(TenderedCase.case_id).where(TenderedCase.tender_id == offer.tender_id, TenderedCase.open)
        assert list(work.session.scalars(held)) == case_ids[1:]
    with world.database.work(agency.actor) as work:
        assert offers.accept(work, offer.id).case_count == 1


Act = tuple[str, int]
acts = st.lists(
    st.tuples(st.sampled_from(["exclude", "exclude borrower", "pay off", "hold"]), st.integers(0, 5)), max_size=4
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=acts,
    between=acts,
    kind=st.sampled_from(["assigned", "first_claim"]),
    reason=st.sampled_from(RECORDED_REASONS),
)
def test_no_excluded_case_enters_an_offer_or_a_placement(
    world: World, before: list[Act], between: list[Act], kind: str, reason: str
) -> None:
    """Whatever becomes of six cases of five borrowers before the tender, and between it and the acceptance."""
    lender, agency = world.lender(), world.agency()
    agreement = world.agreement(lender, agency)
    portfolio = world.portfolio(lender, [Debt(at) for at in (1, 2, 3, 4, 5, 5)])
    case_ids = cases_of(world, lender, portfolio.id)
    barred: set[UUID] = set()

    def do(act: Act) -> None:
        what, at = act
        with world.database.work(lender.actor) as work:
            case = work.session.get_one(Case, (lender.organisation.id, case_ids[at]))
            household = work.session.scalars(select(Case.id).where(Case.borrower_id == case.borrower_id)).all()
            if what.startswith("exclude"):
                whole = what == "exclude borrower"
                with suppress(Conflict):  # excluded for this reason already
                    exclusions.record(work, case.id, reason, "registry", TODAY, whole)
                barred.update(household if whole else [case.id])
            else:
                case.status = PAID_OFF if what == "pay off" else HOLD
                barred.add(case.id)

    for act in before:
        do(act)
    at_offer = frozenset(barred)
    with world.database.work(lender.actor) as work:
        plan = Plan(portfolio.id, kind, [agreement.id])
        if at_offer == set(case_ids):
            with pytest.raises(Conflict, match="no_cases_to_offer"):
                tenders.create(work, plan)
            return
        tender = tenders.create(work, plan)
    with world.database.work(lender.actor) as work:
        held = select(TenderedCase.case_id).where(TenderedCase.tender_id == tender.id)
        assert set(work.session.scalars(held)) == set(case_ids) - at_offer
    for act in between:
        do(act)
    with world.database.work(agency.actor) as work:
        (offer,) = work.session.scalars(select(Offer))
        if barred == set(case_ids):
            with pytest.raises(Conflict, match="no_cases_to_place"):
                offers.accept(work, offer.id)
            return
        offers.accept(work, offer.id)
    with world.database.work(lender.actor) as work:
        placed = select(PlacedCase.case_id).where(PlacedCase.lender_id == lender.organisation.id)
        assert set(work.session.scalars(placed)) == set(case_ids) - barred
