"""Organisations, people, agreements and mandates, as their verbs make them."""

import pytest

from models.errors import Conflict, NotFound, Unauthenticated
from models.services.exchange import agreements
from models.services.parties import members, organisations
from models.work import DOOR, Actor
from tests.world import PASSWORD, World


def test_an_agreement_is_seen_by_its_two_parties_and_by_nobody_else(world: World) -> None:
    lender, agency, other = world.lender(), world.agency(), world.agency()
    agreement = world.agreement(lender, agency)
    for someone in (lender, agency):
        with world.database.work(someone.actor) as work:
            assert agreements.get(work, agreement.id).number == agreement.number
    with world.database.work(other.actor) as work, pytest.raises(NotFound):
        agreements.get(work, agreement.id)


def test_an_organisation_is_found_by_its_code_and_in_no_other_way(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    with world.database.work(lender.actor) as work:
        found = organisations.find_by_code(work, agency.organisation.code)
        assert found is not None
        assert found.id == agency.organisation.id
    with world.database.work(lender.actor) as work:
        assert organisations.find_by_code(work, "A-22222222") is None


def test_a_person_signs_in_and_is_known_by_the_session(world: World) -> None:
    someone = world.lender()
    door = Actor(side=DOOR, org_id=someone.organisation.id)
    with world.database.work(door) as work:
        made = members.sign_in(work, someone.member.email, PASSWORD)
    with world.database.work(door) as work:
        known = members.know_session(work, made.secret.split(".")[1])
    assert known.actor.member_id == someone.member.id
    assert known.actor.side == "lender"


@pytest.mark.parametrize(("email", "password"), [("nobody@example.com", PASSWORD), (None, "wrong")])
def test_a_wrong_sign_in_says_nothing_of_why(world: World, email: str | None, password: str) -> None:
    someone = world.lender()
    door = Actor(side=DOOR, org_id=someone.organisation.id)
    with world.database.work(door) as work, pytest.raises(Unauthenticated) as refused:
        members.sign_in(work, email or someone.member.email, password)
    assert refused.value.code == "sign_in_failed"


def test_an_email_is_one_persons_within_its_organisation_only(world: World) -> None:
    administrator, elsewhere = world.lender("administrator"), world.lender("administrator")
    same = (administrator.member.email, "again", ["administrator"], PASSWORD)
    with world.database.work(elsewhere.actor) as work:
        members.create(work, "lender", elsewhere.organisation.id, *same)
    with pytest.raises(Conflict) as refused, world.database.work(administrator.actor) as work:
        members.create(work, "lender", administrator.organisation.id, *same)
    assert refused.value.code == "email_taken"


def test_the_operator_is_told_of_a_second_person_with_one_email(world: World) -> None:
    lender = world.lender()
    with pytest.raises(Conflict) as refused, world.database.work(world.operator) as work:
        members.create(work, "lender", lender.organisation.id, lender.member.email, "x", ["administrator"], PASSWORD)
    assert refused.value.code == "email_taken"
