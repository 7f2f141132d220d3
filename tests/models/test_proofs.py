"""Proving anew who one is: by password, by the code of an authenticator, and how that is set up and removed."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import select, update

from crypto import totp
from crypto.errors import SealBroken
from models.audit import OutboxEntry
from models.errors import Conflict, Forbidden, Unauthenticated
from models.member import Member, SignIn
from models.services.parties import members
from models.work import DOOR, JOBS, Actor
from tests.conftest import Clock
from tests.world import PASSWORD, Someone, World

WRONG = "not the password at all"


@pytest.fixture
def someone(world: World) -> Someone:
    return world.agency("collector")


@pytest.fixture
def sign_in_id(world: World, someone: Someone) -> UUID:
    with world.database.work(door(someone)) as work:
        return members.sign_in(work, someone.member.email, PASSWORD).row.id


def door(someone: Someone) -> Actor:
    return Actor(side=DOOR, org_id=someone.organisation.id)


def code_now(seed: bytes, clock: Clock, steps: int = 0) -> str:
    return totp.code_of(seed, int(clock.at.timestamp()) // totp.STEP_SECONDS + steps)


def begun(world: World, someone: Someone) -> bytes:
    with world.database.work(someone.actor) as work:
        return members.begin_totp(work, PASSWORD)


def set_up(world: World, someone: Someone, clock: Clock) -> bytes:
    """An authenticator whose first code was taken, half a minute ago."""
    seed = begun(world, someone)
    with world.database.work(someone.actor) as work:
        members.confirm_totp(work, code_now(seed, clock))
    clock.forward(seconds=30)
    return seed


def step_up(world: World, someone: Someone, sign_in_id: UUID, **proof: str) -> None:
    with world.database.work(someone.actor) as work:
        members.step_up(work, sign_in_id, **proof)


def proved_at(world: World, someone: Someone, sign_in_id: UUID):
    with world.database.work(someone.actor) as work:
        return work.session.get_one(SignIn, (someone.organisation.id, sign_in_id)).proved_at


def logged(world: World, someone: Someone) -> Iterator[dict]:
    with world.database.work(Actor(side=JOBS, org_id=someone.organisation.id)) as work:
        yield from map(json.loads, work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id)))


def test_signing_in_is_no_proof_yet(world: World, someone: Someone, sign_in_id: UUID) -> None:
    assert proved_at(world, someone, sign_in_id) is None


def test_the_password_proves_and_that_is_logged(world: World, someone: Someone, sign_in_id: UUID, clock: Clock) -> None:
    step_up(world, someone, sign_in_id, password=PASSWORD)
    assert proved_at(world, someone, sign_in_id) == clock.at
    (entry,) = (entry for entry in logged(world, someone) if entry["action"] == "member.proof")
    assert entry["subject"] == {"member": str(someone.member.id), "by": "password"}


def test_the_session_knows_when_its_person_proved_who_they_are(world: World, someone: Someone, clock: Clock) -> None:
    with world.database.work(door(someone)) as work:
        here = members.sign_in(work, someone.member.email, PASSWORD)
        elsewhere = members.sign_in(work, someone.member.email, PASSWORD)
    step_up(world, someone, here.row.id, password=PASSWORD)
    known = []
    for made in (here, elsewhere):
        with world.database.work(door(someone)) as work:
            known.append(members.know_session(work, made.secret.split(".")[1]).actor.proved_at)
    assert known == [clock.at, None]


@pytest.mark.parametrize("proof", [{"password": WRONG}, {"password": ""}, {"code": "000000"}])
def test_what_proves_nothing_changes_nothing(
    world: World, someone: Someone, sign_in_id: UUID, proof: dict[str, str]
) -> None:
    with pytest.raises(Forbidden) as refused:
        step_up(world, someone, sign_in_id, **proof)
    assert refused.value.code == "proof_wrong"
    assert proved_at(world, someone, sign_in_id) is None


def test_a_code_proves_once_an_authenticator_was_confirmed(
    world: World, someone: Someone, sign_in_id: UUID, clock: Clock
) -> None:
    seed = set_up(world, someone, clock)
    step_up(world, someone, sign_in_id, code=code_now(seed, clock))
    assert proved_at(world, someone, sign_in_id) == clock.at


def test_no_code_is_taken_twice(world: World, someone: Someone, sign_in_id: UUID, clock: Clock) -> None:
    seed = set_up(world, someone, clock)
    code = code_now(seed, clock)
    step_up(world, someone, sign_in_id, code=code)
    with pytest.raises(Forbidden):
        step_up(world, someone, sign_in_id, code=code)


def test_no_code_older_than_the_last_is_taken(world: World, someone: Someone, sign_in_id: UUID, clock: Clock) -> None:
    seed = set_up(world, someone, clock)
    step_up(world, someone, sign_in_id, code=code_now(seed, clock, +1))
    with pytest.raises(Forbidden):
        step_up(world, someone, sign_in_id, code=code_now(seed, clock))


def test_the_code_that_confirmed_proves_nothing_more(
    world: World, someone: Someone, sign_in_id: UUID, clock: Clock
) -> None:
    seed = begun(world, someone)
    with world.database.work(someone.actor) as work:
        members.confirm_totp(work, code_now(seed, clock))
    with pytest.raises(Forbidden):
        step_up(world, someone, sign_in_id, code=code_now(seed, clock))


def test_an_authenticator_that_was_not_confirmed_proves_nothing(
    world: World, someone: Someone, sign_in_id: UUID, clock: Clock
) -> None:
    seed = begun(world, someone)
    with pytest.raises(Forbidden):
        step_up(world, someone, sign_in_id, code=code_now(seed, clock))


def test_an_authenticator_takes_the_password_to_begin_and_to_remove(
    world: World, someone: Someone, clock: Clock
) -> None:
    with pytest.raises(Forbidden), world.database.work(someone.actor) as work:
        members.begin_totp(work, WRONG)
    set_up(world, someone, clock)
    with pytest.raises(Forbidden), world.database.work(someone.actor) as work:
        members.remove_totp(work, WRONG)
    with world.database.work(someone.actor) as work:
        assert members.proofs(work) == ["password", "code"]
        members.remove_totp(work, PASSWORD)
        assert members.proofs(work) == ["password"]
    actions = [entry["action"] for entry in logged(world, someone)]
    assert [name for name in actions if "totp" in name] == ["member.totp_add", "member.totp_remove"]


def test_a_second_authenticator_waits_until_the_first_is_removed(world: World, someone: Someone, clock: Clock) -> None:
    seed = set_up(world, someone, clock)
    with pytest.raises(Conflict), world.database.work(someone.actor) as work:
        members.begin_totp(work, PASSWORD)
    with pytest.raises(Conflict), world.database.work(someone.actor) as work:
        members.confirm_totp(work, code_now(seed, clock))
    with world.database.work(someone.actor) as work:
        members.remove_totp(work, PASSWORD)
    with pytest.raises(Conflict), world.database.work(someone.actor) as work:
        members.remove_totp(work, PASSWORD)
    assert begun(world, someone) != seed


def test_a_seed_is_sealed_and_opens_for_its_own_member_alone(
    world: World, someone: Someone, sign_in_id: UUID, clock: Clock
) -> None:
    seed, other = set_up(world, someone, clock), world.person(world.agency(), "manager")
    with world.database.work(someone.actor) as work:
        sealed = work.session.get_one(Member, (someone.organisation.id, someone.member.id)).totp_seed
    assert seed not in sealed
    with world.database.work(other.actor) as work:
        moved = update(Member).where(Member.id == other.member.id)
        work.session.execute(moved.values(totp_seed=sealed, totp_confirmed_at=work.at))
    with pytest.raises(SealBroken), world.database.work(other.actor) as work:
        members.step_up(work, sign_in_id, code=code_now(seed, clock))


def test_guesses_count_as_failed_sign_ins_do(world: World, someone: Someone) -> None:
    for _ in range(members.FAILED_SIGN_INS_MAX):
        with world.database.work(someone.actor) as work:
            members.count_attempt(work, someone.member.email)
    with pytest.raises(Unauthenticated), world.database.work(someone.actor) as work:
        members.count_attempt(work, someone.member.email)
