"""The safe tape tells of many and of nobody, also to whoever compares one tape with another."""

import random
from collections.abc import Sequence
from decimal import Decimal
from statistics import mean, pstdev
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from models import tape
from models.case import PAID_OFF, Case
from models.offer import Offer
from models.services.exchange import offers, tender_offers, tenders
from models.tape import BALANCE_NOISE, COUNT_NOISE, FACTOR_MIN, Tape
from models.tender import TapeKey
from models.tender_plan import Plan
from models.work import Work
from tests.conftest import Clock
from tests.world import Debt, Someone, World

K = 5
BUCKETS = ("M1", "M2", "M3", "M4")
BORROWERS = 48


def lot(size: int = BORROWERS, balance: str = "1000.00") -> list[dict[str, object]]:
    """One case of each borrower, the borrowers evenly over the buckets, all owing the same."""
    return [
        {
            "case_id": f"case-{number:04}",
            "borrower_id": f"borrower-{number:04}",
            "currency": "CNY",
            "balance": Decimal(balance),
            "bucket": BUCKETS[number % 4],
            "product": "credit_card",
            "region": "110105",
            "age_band": "25-34",
        }
        for number in range(size)
    ]


def framed(cases: Sequence[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(cases, schema_overrides={"balance": pl.Decimal(38, 2)})


def made(cases: Sequence[dict[str, object]], secret: int = 1) -> Tape:
    return tape.make(framed(cases), K, secret.to_bytes(32))


def strata(seen: Tape, dimension: str) -> dict[str, tuple[int, Decimal]]:
    """Count and balance by the first value of each stratum."""
    (whole,) = seen.strata["currencies"]
    return {one["values"][0]: (one["case_count"], Decimal(one["balance"])) for one in whole["dimensions"][dimension]}


def test_figures_of_the_same_cases_are_equal_wherever_they_stand_on_a_tape() -> None:
    seen = made(lot())
    whole = (seen.case_count, seen.balance)
    assert [strata(seen, name) for name in ("product", "province", "age_band")] == [
        {"credit_card": whole},
        {"110000": whole},
        {"25-34": whole},
    ]


def test_asking_again_shows_the_same_figures() -> None:
    cases = lot()
    assert made(cases) == made(list(reversed(cases)))


def test_another_lender_blurs_otherwise() -> None:
    assert made(lot(), 1) != made(lot(), 2)


def test_a_case_that_differs_changes_the_noise_of_every_figure() -> None:
    """Else the figures that do not change would tell where x is not."""
    apart = dict.fromkeys(BUCKETS, 0)
    for secret in range(60):
        before, after = strata(made(lot(), secret), "bucket"), strata(made(lot()[1:], secret), "bucket")
        for bucket in BUCKETS:
            apart[bucket] += before[bucket] != after[bucket]
    assert all(count > 50 for count in apart.values())


def test_two_tapes_do_not_tell_the_bucket_of_whom_they_differ_by() -> None:
    """The attacker names the bucket whose count fell the most: of four, chance is right in 25 of 100."""
    right = 0
    for secret in range(400):
        x = secret % 4
        before = strata(made(lot(), secret), "bucket")
        after = strata(made([case for at, case in enumerate(lot()) if at != x], secret), "bucket")
        fell = {bucket: before[bucket][0] - after[bucket][0] for bucket in BUCKETS}
        right += max(BUCKETS, key=fell.__getitem__) == BUCKETS[x]
    assert right / 400 < 0.45


def test_two_tapes_do_not_tell_the_balance_of_whom_they_differ_by() -> None:
    """The attacker takes the mean of what the total and every dimension say: it is off by about what x owes."""
    errors = []
    for secret in range(200):
        before, after = made(lot(), secret), made(lot()[1:], secret)
        assert before.balance is not None
        assert after.balance is not None
        guesses = [before.balance - after.balance]
        for dimension in ("bucket", "balance_band", "age_band", "product", "province"):
            sums = [sum(balance for _, balance in strata(one, dimension).values()) for one in (before, after)]
            guesses.append(Decimal(sums[0] - sums[1]))
        errors.append(float(mean(guesses)) - 1000.0)
    assert pstdev(errors) > 500 * BALANCE_NOISE / 2


def test_one_tape_does_not_tell_whether_somebody_is_in_it() -> None:
    """Of a set and the set without x, the best test on a count is right hardly more often than a coin."""
    with_x = [made(lot(), secret).borrower_count or 0 for secret in range(300)]
    without = [made(lot()[1:], secret).borrower_count or 0 for secret in range(300)]
    for limit in range(BORROWERS - COUNT_NOISE, BORROWERS + COUNT_NOISE + 1):
        above = [sum(count >= limit for count in counts) / 300 for counts in (with_x, without)]
        assert above[0] - above[1] < 1 / (2 * COUNT_NOISE + 1) + 0.1


def test_however_many_tapes_are_compared_a_balance_stays_off_by_its_factor() -> None:
    """Many lots with and without x, averaged until the noise is gone, leave x's own factor."""
    chance = random.Random(5)
    others = lot(400)
    x = {**others[0], "case_id": "x", "borrower_id": "x"}
    for secret in (3, 4):
        gaps = []
        for _ in range(250):
            some = chance.sample(others, 24)
            first, second = made([*some, x], secret).balance, made(some, secret).balance
            assert first is not None
            assert second is not None
            gaps.append(float(first - second))
        weighed = 1000.0 * tape._factor("x", secret.to_bytes(32)) / 1000
        tolerance = 4 * pstdev(gaps) / len(gaps) ** 0.5
        assert abs(mean(gaps) - weighed) < tolerance
        assert abs(weighed - 1000.0) >= FACTOR_MIN


@given(st.integers(0, 10**9), st.text(min_size=1, max_size=40))
def test_no_factor_leaves_a_balance_as_it_is(secret: int, borrower: str) -> None:
    off = abs(tape._factor(borrower, secret.to_bytes(32)) - 1000)
    assert tape.FACTOR_MIN <= off <= tape.FACTOR_MAX


case = st.fixed_dictionaries(
    {
        "borrower_id": st.integers(1, 40).map(str),
        "currency": st.just("CNY"),
        "balance": st.decimals("0.01", "200000", places=2),
        "bucket": st.sampled_from(BUCKETS),
        "product": st.sampled_from(["a", "b", "c"]),
        "region": st.sampled_from(["110105", "310115", None]),
        "age_band": st.sampled_from(["25-34", "35-44"]),
    }
)


@settings(max_examples=60)
@given(st.lists(case, min_size=1, max_size=120))
def test_no_figure_is_of_fewer_than_k_borrowers_and_none_is_far_off(cases: list[dict[str, object]]) -> None:
    cases = [{**one, "case_id": str(at)} for at, one in enumerate(cases)]
    seen = made(cases)
    borrowers = {one["borrower_id"] for one in cases}
    if len(borrowers) < K:
        assert seen == tape.withheld(K)
        return
    (whole,) = seen.strata["currencies"]
    shown = [whole, *(one for rows in whole["dimensions"].values() for one in rows)]
    assert all(one["borrower_count"] >= K and one["case_count"] >= one["borrower_count"] for one in shown)
    assert abs((seen.borrower_count or 0) - len(borrowers)) <= COUNT_NOISE
    owed = framed(cases).group_by("borrower_id").agg(pl.col("balance").sum())["balance"]
    most = Decimal(BALANCE_NOISE) * max(owed) * Decimal("1.25") + Decimal("0.26") * sum(owed)
    assert abs((seen.balance or Decimal(0)) - sum(owed)) <= most * Decimal("1.01") + 1


# --- as it is published ---


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def offered(world: World, lender: Someone, portfolio_id: UUID, agreement_id: UUID) -> Offer:
    with world.database.work(lender.actor) as work:
        return tenders.assign(work, portfolio_id, agreement_id)


def figures(offer: Offer) -> tuple[object, ...]:
    return offer.case_count, offer.borrower_count, offer.balance, offer.strata


def withdraw(world: World, lender: Someone, offer: Offer) -> None:
    with world.database.work(lender.actor) as work:
        offers.withdraw(work, offer.id)


def close_one(world: World, lender: Someone, portfolio_id: UUID) -> None:
    """One more case of the portfolio is paid off."""
    with world.database.work(lender.actor) as work:
        first = select(func.min(Case.reference)).where(Case.portfolio_id == portfolio_id, Case.status != PAID_OFF)
        work.session.execute(update(Case).where(Case.reference == first.scalar_subquery()).values(status=PAID_OFF))


def test_offering_the_same_again_shows_the_same(world: World, lender: Someone, agency: Someone) -> None:
    portfolio, agreement = world.portfolio(lender, 30), world.agreement(lender, agency)
    seen = []
    for _ in range(3):
        offer = offered(world, lender, portfolio.id, agreement.id)
        seen.append(figures(offer))
        withdraw(world, lender, offer)
    assert seen[0] == seen[1] == seen[2]


def test_lots_that_differ_by_a_few_show_the_same_to_everybody(world: World, lender: Someone, agency: Someone) -> None:
    """So S and S∖{x}, S∖{y} and so on are one tape, whoever looks, and there is nothing to compare."""
    portfolio, agreement = world.portfolio(lender, 40), world.agreement(lender, agency)
    other = world.agreement(lender, world.agency())
    seen = []
    for turn in range(4):
        offer = offered(world, lender, portfolio.id, (agreement, other)[turn % 2].id)
        seen.append(figures(offer))
        withdraw(world, lender, offer)
        close_one(world, lender, portfolio.id)
    assert all(one == seen[0] for one in seen)


def test_steps_of_a_few_never_add_up_to_figures_that_are_long_wrong(
    world: World, lender: Someone, agency: Someone
) -> None:
    """What is shown is of a lot that differs by at most a tenth, also after many small steps."""
    portfolio, agreement = world.portfolio(lender, 60), world.agreement(lender, agency)
    for left in range(60, 40, -4):
        offer = offered(world, lender, portfolio.id, agreement.id)
        assert offer.borrower_count is not None
        assert abs(offer.borrower_count - left) <= COUNT_NOISE + left // 10
        withdraw(world, lender, offer)
        for _ in range(4):
            close_one(world, lender, portfolio.id)


def test_a_month_later_the_figures_are_new(world: World, lender: Someone, agency: Someone, clock: Clock) -> None:
    portfolio, agreement = world.portfolio(lender, 40), world.agreement(lender, agency)
    offer = offered(world, lender, portfolio.id, agreement.id)
    withdraw(world, lender, offer)
    close_one(world, lender, portfolio.id)
    clock.forward(days=31)
    later = offered(world, lender, portfolio.id, agreement.id)
    assert figures(later) != figures(offer)


def test_a_whole_panel_sees_one_tape(world: World, lender: Someone, agency: Someone) -> None:
    portfolio = world.portfolio(lender, 30)
    panel = [world.agreement(lender, one) for one in (agency, world.agency(), world.agency())]
    plan = Plan(portfolio.id, "first_claim", [one.id for one in panel])
    with world.database.work(lender.actor) as work:
        tender = tenders.create(work, plan)
        shown = [figures(offer) for offer in tender_offers.list_all(work, tender.id)]
    assert len(shown) == 3
    assert shown[0] == shown[1] == shown[2]


def test_no_agency_can_read_the_key_of_the_noise(world: World, lender: Someone, agency: Someone) -> None:
    world.offer(lender, agency, 25)

    def count(work: Work) -> int | None:
        return work.session.scalar(select(func.count()).select_from(TapeKey))

    with world.database.work(agency.actor) as work:
        assert count(work) == 0
    auditor = world.auditor(lender)
    with world.database.work(auditor.actor) as work:
        assert work.session.scalar(text("select has_table_privilege('tape_key', 'select')")) is False
    with world.database.work(lender.actor) as work:
        assert count(work) == 1


def test_a_household_with_two_cases_counts_as_one_borrower(world: World, lender: Someone, agency: Someone) -> None:
    debts = [Debt(number) for number in range(1, 20)] + [Debt(1), Debt(1)]
    assert world.offer(lender, agency, debts).case_count is None
