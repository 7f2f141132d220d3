"""A password changed: what it takes, what ends with it and what goes on."""

import json

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import Invalid, NotFound, Unauthenticated
from models.services.parties import members
from models.work import DOOR, JOBS, Actor
from tests.world import PASSWORD, Someone, World

NEW = "four other words entirely"


def door(someone: Someone) -> Actor:
    return Actor(side=DOOR, org_id=someone.organisation.id)


def signed_in(world: World, someone: Someone) -> members.NewSecret:
    with world.database.work(door(someone)) as work:
        return members.sign_in(work, someone.member.email, PASSWORD)


def is_known(world: World, someone: Someone, made: members.NewSecret) -> bool:
    with world.database.work(door(someone)) as work:
        try:
            members.know_session(work, made.secret.split(".")[1])
        except Unauthenticated:
            return False
    return True


def test_the_new_password_proves_and_the_old_one_no_longer_does(world: World) -> None:
    someone = world.lender()
    with world.database.work(someone.actor) as work:
        members.change_password(work, someone.member.id, PASSWORD, NEW)
    with world.database.work(door(someone)) as work:
        assert members.prove(work, someone.member.email, NEW).id == someone.member.id
    with world.database.work(door(someone)) as work, pytest.raises(Unauthenticated):
        members.prove(work, someone.member.email, PASSWORD)


def test_every_sign_in_ends_but_the_one_that_is_kept_and_nobody_elses(world: World) -> None:
    someone = world.lender()
    colleague = world.person(someone, "settlement_officer")
    here, elsewhere, theirs = (signed_in(world, who) for who in (someone, someone, colleague))
    with world.database.work(someone.actor) as work:
        members.change_password(work, someone.member.id, PASSWORD, NEW, keep=here.row.id)
    assert is_known(world, someone, here)
    assert not is_known(world, someone, elsewhere)
    assert is_known(world, colleague, theirs)


def test_without_one_to_keep_every_sign_in_ends(world: World) -> None:
    someone = world.lender()
    made = signed_in(world, someone)
    with world.database.work(someone.actor) as work:
        members.change_password(work, someone.member.id, PASSWORD, NEW)
    assert not is_known(world, someone, made)


def test_a_password_that_was_not_proven_stays(world: World) -> None:
    someone = world.lender()
    made = signed_in(world, someone)
    with world.database.work(someone.actor) as work, pytest.raises(Unauthenticated):
        members.change_password(work, someone.member.id, "not the password", NEW)
    assert is_known(world, someone, made)
    assert signed_in(world, someone)


def test_a_short_password_is_refused(world: World) -> None:
    someone = world.lender()
    with world.database.work(someone.actor) as work, pytest.raises(Invalid) as refused:
        members.change_password(work, someone.member.id, PASSWORD, "short")
    assert refused.value.errors == [(0, "new_password", "too_short")]


def test_the_member_of_another_organisation_is_not_found(world: World) -> None:
    someone, other = world.lender(), world.lender()
    with world.database.work(other.actor) as work, pytest.raises(NotFound):
        members.change_password(work, someone.member.id, PASSWORD, NEW)


def test_the_change_is_logged_without_the_password(world: World) -> None:
    someone = world.lender()
    with world.database.work(someone.actor) as work:
        members.change_password(work, someone.member.id, PASSWORD, NEW)
    with world.database.work(Actor(side=JOBS, org_id=someone.organisation.id)) as work:
        entries = list(work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)))
    (logged,) = (entry for entry in map(json.loads, entries) if entry["action"] == "member.password")
    assert logged["subject"] == {"member": str(someone.member.id)}
