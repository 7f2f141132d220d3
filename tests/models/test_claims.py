"""Payment claims: one by one, checked against the case and never against the ledger."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from models.audit import OutboxEntry
from models.case import Case
from models.claim import Claim
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound
from models.placement import Placement
from models.services.collection import claims
from models.services.collection.claims import ClaimReport
from models.services.exchange import recalls
from models.work import JOBS, Actor
from tests.world import Someone, World

TODAY = dt.date(2026, 3, 10)
PAID = ClaimReport(Decimal("250.00"), "CNY", TODAY, "R-1", "lender")


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def agency(world: World) -> Someone:
    return world.agency()


@pytest.fixture
def placement(world: World, lender: Someone, agency: Someone) -> Placement:
    return world.placement(lender, agency, 2)


@pytest.fixture
def case_id(world: World, lender: Someone, placement: Placement) -> UUID:
    return world.case_ids(placement, lender)[0]


def record(world: World, someone: Someone, case_id: UUID, report: ClaimReport = PAID) -> Claim:
    with world.database.work(someone.actor) as work:
        return claims.record(work, case_id, report)


def test_a_claim_stands_as_it_was_made_and_is_logged_with_the_lender(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    made = record(world, agency, case_id)
    with world.database.work(agency.actor) as work:
        assert claims.get(work, made.id).amount == Decimal("250.00")
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        last = work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id.desc())).first()
    entry = json.loads(last or b"")
    assert (entry["action"], entry["subject"]["claim"]) == ("claim.record", str(made.id))


def test_a_reference_is_used_once(world: World, agency: Someone, case_id: UUID) -> None:
    record(world, agency, case_id)
    with pytest.raises(Conflict) as refused:
        record(world, agency, case_id)
    assert refused.value.code == "claim_reference_taken"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"amount": Decimal(0)}, "amount", "zero_amount"),
        ({"amount": Decimal("-1")}, "amount", "negative_amount"),
        ({"amount": Decimal("1.001")}, "amount", "too_many_decimals"),
        ({"amount": Decimal("1e13")}, "amount", "amount_too_large"),
        ({"currency": "USD"}, "currency", "currency_mismatch"),
        ({"paid_on": TODAY + dt.timedelta(days=1)}, "paid_on", "in_future"),
        ({"reference": "13800138000"}, "reference", "reference_personal"),
        ({"reference": "=1+1"}, "reference", "reference_shape"),
        ({"paid_to": "friend"}, "paid_to", "unknown_value"),
    ],
)
def test_an_impossible_claim_is_refused_by_field(
    world: World, agency: Someone, case_id: UUID, change: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        record(world, agency, case_id, PAID._replace(**change))
    assert refused.value.errors == [(0, field, code)]


def test_money_paid_to_an_agency_that_may_not_receive_it_is_still_recorded(
    world: World, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    assert not placement.agency_may_receive
    assert record(world, agency, case_id, PAID._replace(paid_to="agency")).paid_to == "agency"


def test_the_payment_that_closed_a_case_may_be_claimed(
    world: World, lender: Someone, agency: Someone, case_id: UUID
) -> None:
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Case).where(Case.id == case_id).values(status="paid_off"))
    assert record(world, agency, case_id)


def test_a_recalled_case_takes_no_claim(
    world: World, lender: Someone, agency: Someone, placement: Placement, case_id: UUID
) -> None:
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request")
    with pytest.raises(CaseClosedToWork) as refused:
        record(world, agency, case_id)
    assert refused.value.code == "case_recalled"


def test_a_claim_of_somebody_else_is_unknown(world: World, agency: Someone, case_id: UUID) -> None:
    made, other = record(world, agency, case_id), world.agency()
    with pytest.raises(NotFound):
        record(world, other, case_id)
    for id_ in (made.id, uuid4()):
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            claims.get(work, id_)


def test_a_collector_without_the_case_claims_nothing(world: World, agency: Someone, case_id: UUID) -> None:
    with pytest.raises(Forbidden):
        record(world, world.person(agency, "collector"), case_id)
