"""Agreements: proposed, approved by a second person, changed for what comes next, ended; and refused when wrong."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from models import contact_policy
from models.agreement import Agreement
from models.audit import OutboxEntry
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.ids import new_id
from models.notice import Notice
from models.rates import Cell
from models.services.exchange import agreements, placements, rate_cards
from models.services.exchange.agreements import Terms
from models.services.parties import standings
from tests.conftest import Clock
from tests.facts import jobs
from tests.world import Someone, World

TODAY = dt.date(2026, 3, 10)
TERMS = Terms(
    number="2026-001",
    currency="CNY",
    contingency_rate=Decimal("0.18"),
    term_days=90,
    tail_days=15,
    agency_may_receive=False,
    processing_agreement="PA-1",
    impact_assessment="IA-1",
    starts_on=TODAY,
    ends_on=TODAY + dt.timedelta(days=364),
)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


def propose(world: World, lender: Someone, agency: Someone, **changes: Any) -> Agreement:
    with world.database.work(lender.actor) as work:
        return agreements.create(work, agency.organisation.code, TERMS._replace(**changes))


def approve(world: World, by: Someone, agreement_id: UUID) -> Agreement:
    with world.database.work(by.actor) as work:
        return agreements.approve(work, agreement_id)


def change(world: World, by: Someone, agreement_id: UUID, **changes: Any) -> Agreement:
    with world.database.work(by.actor) as work:
        return agreements.change(work, agreement_id, changes)


def faults(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in refused.value.errors]


def subjects(world: World, lender: Someone, action: str) -> list[dict[str, Any]]:
    with world.database.work(jobs(lender)) as work:
        rows = work.session.scalars(
            select(OutboxEntry.entry).where(OutboxEntry.org_id == lender.organisation.id).order_by(OutboxEntry.id)
        )
        entries = [json.loads(entry) for entry in rows]
    return [entry["subject"] for entry in entries if entry["action"] == action]


def told(world: World, agency: Someone) -> list[str]:
    with world.database.work(agency.actor) as work:
        return list(
            work.session.scalars(select(Notice.kind).where(Notice.kind.like("agreement.%")).order_by(Notice.id))
        )


def test_an_agreement_stands_once_a_second_person_has_approved_it_with_its_card(
    world: World, lender: Someone, agency: Someone
) -> None:
    made = propose(world, lender, agency)
    with world.database.work(lender.actor) as work:
        assert rate_cards.find_in_force(work, lender.organisation.id, made.id, TODAY) is None
    second = world.person(lender, "settlement_officer")
    assert approve(world, second, made.id).state == "active"
    with world.database.work(lender.actor) as work:
        card = rate_cards.find_in_force(work, lender.organisation.id, made.id, TODAY)
        assert card is not None
        assert (card.card.version, card.lowest_rate, card.card.decided_by) == (1, Decimal("0.18"), second.member.id)
    assert told(world, agency) == ["agreement.approved"]


def test_whoever_made_an_agreement_does_not_approve_it(world: World, lender: Someone, agency: Someone) -> None:
    made = propose(world, lender, agency)
    with pytest.raises(Forbidden) as refused:
        approve(world, lender, made.id)
    assert refused.value.code == "second_person_needed"
    with world.database.work(lender.actor) as work:
        assert agreements.get(work, made.id).state == "proposed"


@pytest.mark.parametrize("by_maker", [True, False])
def test_a_refused_agreement_is_refused_with_its_card_for_good(
    world: World, lender: Someone, agency: Someone, by_maker: bool
) -> None:
    made = propose(world, lender, agency)
    by = lender if by_maker else world.person(lender, "administrator")
    with world.database.work(by.actor) as work:
        assert agreements.refuse(work, made.id).state == "refused"
        assert [card.card.state for card in rate_cards.list_of_agreement(work, made.id)] == ["refused"]
    with pytest.raises(Conflict) as refused:
        approve(world, world.person(lender, "administrator"), made.id)
    assert refused.value.code == "wrong_state"


def test_the_first_card_is_decided_with_its_agreement_and_not_alone(
    world: World, lender: Someone, agency: Someone
) -> None:
    made = propose(world, lender, agency)
    second = world.person(lender, "administrator")
    with world.database.work(second.actor) as work:
        (first,) = rate_cards.list_of_agreement(work, made.id)
    for decide in (rate_cards.approve, rate_cards.refuse):
        with pytest.raises(Conflict), world.database.work(second.actor) as work:
            decide(work, first.card.id)
    assert approve(world, second, made.id).state == "active"


def test_an_agency_learns_of_an_agreement_once_it_stands(world: World, lender: Someone, agency: Someone) -> None:
    made = propose(world, lender, agency)
    with world.database.work(agency.actor) as work:
        assert agreements.list_own(work) == []
        with pytest.raises(NotFound):
            agreements.get(work, made.id)
    approve(world, world.person(lender, "administrator"), made.id)
    with world.database.work(agency.actor) as work:
        assert [a.id for a in agreements.list_own(work)] == [made.id]
        assert len(rate_cards.list_of_agreement(work, made.id)) == 1


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ends_on": TODAY - dt.timedelta(days=1)}, [("ends_on", "dates_reversed")]),
        ({"currency": "XXX"}, [("currency", "unknown_currency")]),
        ({"contingency_rate": Decimal("1.01")}, [("contingency_rate", "out_of_range")]),
        ({"contingency_rate": None}, [("contingency_rate", "required_missing")]),
        ({"cells": [Cell(Decimal("0.2"))]}, [("contingency_rate", "one_expected")]),
        (
            {"contingency_rate": None, "cells": [Cell(Decimal("0.2"), bucket="M1")]},
            [("cells", "rate_missing")],
        ),
        ({"tail_days": 91}, [("tail_days", "out_of_range")]),
        ({"tail_days": -1}, [("tail_days", "out_of_range")]),
        ({"term_days": 0}, [("term_days", "out_of_range")]),
        ({"tier": 10}, [("tier", "out_of_range")]),
        ({"tier": None}, [("tier", "out_of_range")]),
        ({"open_cases_max": -1}, [("open_cases_max", "out_of_range")]),
        ({"processing_agreement": ""}, [("processing_agreement", "required_missing")]),
        ({"impact_assessment": ""}, [("impact_assessment", "required_missing")]),
        ({"processing_agreement": "   "}, [("processing_agreement", "required_missing")]),
        ({"impact_assessment": " \t"}, [("impact_assessment", "required_missing")]),
        ({"balance_from": Decimal("-0.01")}, [("balance_from", "out_of_range")]),
        ({"balance_from": Decimal("10.001")}, [("balance_from", "too_many_decimals")]),
        ({"balance_below": Decimal("0.00")}, [("balance_below", "range_reversed")]),
        ({"balance_below": Decimal(10) ** 14}, [("balance_below", "out_of_range")]),
        ({"balance_from": Decimal(9), "balance_below": Decimal(9)}, [("balance_below", "range_reversed")]),
        ({"provinces": ["110000", "990000"]}, [("provinces", "invalid_region")]),
        ({"provinces": ["110101"]}, [("provinces", "invalid_region")]),
        ({"buckets": ["M8"]}, [("buckets", "unknown_value")]),
        ({"products": ["13812345678"]}, [("products", "product_shape")]),
        ({"products": ["card", ""]}, [("products", "product_shape")]),
        ({"settlement_floor": Decimal("1.1")}, [("settlement_floor", "out_of_range")]),
        ({"tax_treatment": "none"}, [("tax_treatment", "unknown_value")]),
        ({"tax_rate": Decimal(1)}, [("tax_rate", "out_of_range")]),
        ({"contact_policy": {"earliest_hour": 7}}, [("earliest_hour", "out_of_range")]),
        ({"contact_policy": {"earliest_hour": 12, "latest_hour": 12}}, [("latest_hour", "range_reversed")]),
        ({"contact_policy": {"weekends": False}}, [("weekends", "unknown_field")]),
        ({"contact_policy": {"visits": 1}}, [("visits", "unknown_value")]),
    ],
)
def test_a_wrong_term_is_told_by_name_and_nothing_is_made(
    world: World, lender: Someone, agency: Someone, changes: Mapping[str, Any], found: list[tuple[str, str]]
) -> None:
    with pytest.raises(Invalid) as refused:
        propose(world, lender, agency, **changes)
    assert faults(refused) == found
    with world.database.work(lender.actor) as work:
        assert agreements.list_own(work) == []


def test_a_number_is_used_once(world: World, lender: Someone, agency: Someone) -> None:
    propose(world, lender, agency)
    with pytest.raises(Conflict) as refused:
        propose(world, lender, world.agency())
    assert refused.value.code == "agreement_number_taken"


def test_an_agreement_is_with_an_agency_alone(world: World, lender: Someone) -> None:
    with pytest.raises(NotFound):
        propose(world, lender, world.lender())


def test_a_change_holds_for_what_is_placed_next_and_never_for_what_is_placed(
    world: World, lender: Someone, agency: Someone
) -> None:
    placement = world.placement(lender, agency, term_days=60, contact_policy={"attempts_per_day": 2})
    changed = change(
        world, lender, placement.agreement_id, term_days=30, tier=2, contact_policy={"attempts_per_day": 1}
    )
    assert (changed.term_days, changed.tier, changed.contact_policy) == (30, 2, {"attempts_per_day": 1})
    with world.database.work(lender.actor) as work:
        found = placements.get(work, placement.id)
    assert (found.tier, found.contact_policy) == (1, {"attempts_per_day": 2})
    assert found.expires_at == placement.started_at + dt.timedelta(days=60)


def test_a_change_is_logged_term_by_term_as_it_was_and_as_it_is(world: World, lender: Someone, agency: Someone) -> None:
    made = world.agreement(lender, agency, provinces=["110000"])
    provinces = ["110000", "310000"]
    policy = {"visits": False}
    change(world, lender, made.id, provinces=provinces, balance_from=Decimal(50), term_days=90, contact_policy=policy)
    logged = subjects(world, lender, "agreement.change")
    assert [(s["term"], s.get("old"), s["new"]) for s in logged] == [
        ("provinces", ["110000"], ["110000", "310000"]),
        ("balance_from", None, "50.00"),
        ("contact_policy", "{}", '{"visits": false}'),
    ]
    assert told(world, agency)[-1] == "agreement.changed"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"currency": "USD"}, [("currency", "unknown_field")]),
        ({"state": "ended"}, [("state", "unknown_field")]),
        ({"tail_days": 3}, [("tail_days", "unknown_field")]),
        ({"tier": 0}, [("tier", "out_of_range")]),
        ({"term_days": None}, [("term_days", "out_of_range")]),
        ({"provinces": ["1"]}, [("provinces", "invalid_region")]),
        ({"products": ["car_loan"]}, [("products", "rate_missing")]),
        ({"buckets": ["M1", "M4"]}, [("buckets", "rate_missing")]),
        ({"balance_from": Decimal(5000)}, [("balance_below", "range_reversed")]),
        ({"balance_below": Decimal("99.999")}, [("balance_below", "too_many_decimals")]),
        ({"products": [], "buckets": ["M1"]}, [("products", "rate_missing"), ("buckets", "rate_missing")]),
    ],
)
def test_a_change_that_is_wrong_or_leaves_cases_without_a_rate_changes_nothing(
    world: World, lender: Someone, agency: Someone, changes: Mapping[str, Any], found: list[tuple[str, str]]
) -> None:
    cells = [Cell(Decimal("0.1"), product="credit_card", bucket=bucket) for bucket in ("M1", "M2")]
    terms: Any = {"products": ["credit_card"], "buckets": ["M1", "M2"], "contingency_rate": None, "cells": cells}
    terms |= {"balance_below": Decimal(5000)}
    made = world.agreement(lender, agency, **terms)
    with pytest.raises(Invalid) as refused:
        change(world, lender, made.id, **changes)
    assert faults(refused) == found
    with world.database.work(lender.actor) as work:
        stands = agreements.get(work, made.id)
        assert (stands.products, stands.buckets, stands.tier) == (["credit_card"], ["M1", "M2"], 1)


def test_an_ended_agreement_places_nothing_new_and_leaves_what_is_placed(
    world: World, lender: Someone, agency: Someone, clock: Clock
) -> None:
    placement = world.placement(lender, agency)
    portfolio = world.portfolio(lender)
    with world.database.work(lender.actor) as work:
        ended = agreements.end(work, placement.agreement_id)
    assert (ended.state, ended.ends_on) == ("ended", TODAY)
    assert told(world, agency)[-1] == "agreement.ended"
    with world.database.work(lender.actor) as work:
        assert placements.get(work, placement.id).state == "active"
    with pytest.raises(Conflict), world.database.work(lender.actor) as work:
        agreements.end(work, placement.agreement_id)
    with pytest.raises(Conflict):
        change(world, lender, placement.agreement_id, tier=2)
    assert portfolio.case_count == 3


VERBS: list[Callable[..., object]] = [
    agreements.get,
    agreements.approve,
    agreements.refuse,
    agreements.end,
    lambda work, id_: agreements.change(work, id_, {"tier": 2}),
]


def test_numbers_of_papers_are_kept_without_the_blanks_around_them(
    world: World, lender: Someone, agency: Someone
) -> None:
    made = propose(world, lender, agency, processing_agreement=" PA-1 ")
    assert (made.processing_agreement, made.impact_assessment) == ("PA-1", "IA-1")


def test_a_removed_agency_is_published_no_more_and_a_suspended_one_is(world: World, lender: Someone) -> None:
    agencies = [world.agency() for _ in range(3)]
    made = [world.agreement(lender, agency) for agency in agencies]
    with world.database.work(lender.actor) as work:
        for agency in agencies[1:]:
            standings.suspend(work, agency.organisation.id, "conduct")
        standings.change(work, agencies[2].organisation.id, "remove", "conduct")
        assert [one.id for one in agreements.list_entrusted(work)] == [made[1].id, made[0].id]


@pytest.mark.parametrize("verb", VERBS)
def test_another_lenders_agreement_is_as_unknown_as_none(
    world: World, lender: Someone, agency: Someone, verb: Callable[..., object]
) -> None:
    made = propose(world, lender, agency)
    for id_ in (made.id, new_id()):
        with world.database.work(world.lender("administrator").actor) as work, pytest.raises(NotFound):
            verb(work, id_)


def test_a_list_is_narrowed_by_standing_and_by_a_part_of_name_or_number(
    world: World, lender: Someone, agency: Someone
) -> None:
    second = world.person(lender, "administrator")
    other = world.organisation("agency", "manager", "Nightingale 100%")
    standing = propose(world, lender, agency, number="A-1")
    approve(world, second, standing.id)
    later = propose(world, lender, other, number="A-2", starts_on=TODAY + dt.timedelta(days=9))
    approve(world, second, later.id)
    waiting = propose(world, lender, other, number="B_3")
    with world.database.work(lender.actor) as work:
        agreements.refuse(work, propose(world, lender, agency, number="C-4").id)
    over = propose(world, lender, agency, number="D-5", starts_on=dt.date(2025, 1, 1), ends_on=dt.date(2025, 12, 31))
    approve(world, second, over.id)

    def numbers(**filters: Any) -> list[str]:
        with world.database.work(lender.actor) as work:
            return [a.number for a in agreements.find(work, **filters)]

    assert numbers() == ["D-5", "C-4", "B_3", "A-2", "A-1"]
    shown = {standing: numbers(standing=standing) for standing in agreements.STANDINGS}
    assert shown == {"proposed": ["B_3"], "in_force": ["A-1"], "later": ["A-2"], "over": ["D-5"], "refused": ["C-4"]}
    assert numbers(search="nightin") == ["B_3", "A-2"]
    assert numbers(search="100%") == ["B_3", "A-2"]
    assert numbers(search="_") == ["B_3"]
    assert numbers(limit=2) == ["D-5", "C-4"]
    assert numbers(after=waiting.id) == ["A-2", "A-1"]
    with world.database.work(lender.actor) as work:
        for found in agreements.find(work):
            assert found.number in shown[agreements.standing_on(found, TODAY)]


@pytest.mark.parametrize("policy", [{}, {"earliest_hour": 9, "latest_hour": 20, "attempts_per_day": 0, "visits": True}])
def test_a_contact_policy_may_leave_anything_out(policy: dict[str, Any]) -> None:
    assert contact_policy.faults(policy) == []


def test_the_hours_of_two_levels_are_never_mixed() -> None:
    wide = {"earliest_hour": 12, "latest_hour": 20, "attempts_per_day": 2}
    found = contact_policy.layered([("lender", wide), ("tier", {"latest_hour": 10}), ("agreement", {"visits": False})])
    assert found == {"latest_hour": (10, "tier"), "attempts_per_day": (2, "lender"), "visits": (False, "agreement")}
