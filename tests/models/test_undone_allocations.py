"""A distribution is undone whole before the first work, and leaves no trace in money."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select

from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Forbidden, Invalid
from models.placement import LIVE, UNDONE, PlacedCase
from models.rates import Cell
from models.services.collection import claims, contacts, promises, releases
from models.services.exchange import (
    histories,
    offers,
    placements,
    undoing,
)
from models.services.settlement import attributions
from models.tender import PLACED
from models.tender import UNDONE as TENDER_UNDONE
from models.work import Work
from tests.conftest import Clock
from tests.facts import payment, receive_payments
from tests.panels import (
    change_settings,
    commit,
    committed,
    equally,
    holders,
    panel,
    preview,
    undo,
)
from tests.world import World


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
    assert undone.placed is not None
    assert again.placed is not None
    assert (undone.number, undone.placed.end_reason, again.number) == (None, UNDONE, 1)
    assert again.placed.contingency_rate == Decimal("0.10")


def test_an_undoing_after_the_term_counts_from_when_it_is_done(world: World, clock: Clock) -> None:
    """Commission looks for what was undone since it was last booked."""
    of = panel(world, 1, agencies=1)
    tender = committed(world, of)
    clock.forward(days=95)
    undo(world, of, tender)
    with world.database.work(of.lender.actor) as work:
        (placement,) = undoing.list_placements(work, tender)
        case = work.session.scalars(select(PlacedCase).where(PlacedCase.placement_id == placement.id)).one()
    assert (case.ended_at, case.end_reason) == (clock(), UNDONE)
    assert (placement.ended_at, placement.state) == (clock(), UNDONE)


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
