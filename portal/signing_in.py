"""From a password or a code to a session, a token or a proof: each attempt is counted in a Work of its own."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from models.errors import Forbidden, Invalid, RowError, Unauthenticated
from models.services.collection.release_limits import PROOF_LASTS
from models.services.parties import members, organisations
from models.work import Work
from portal.access import database, door, own_work, require_known
from portal.schemas.base import with_facts
from portal.schemas.directory import TokenView

NOBODY = UUID(int=0)


def session_for(organisation: str, email: str, password: str) -> str:
    """The cookie's value for a new session."""
    with _at_the_door(organisation, email, password) as work:
        return members.sign_in(work, email, password).secret


def token_for(
    organisation: str, email: str, password: str, name: str, scopes: list[str], days: int, lender_id: UUID | None
) -> dict[str, Any]:
    """A new token as the API shows it, once. Whether an auditor's mandate stands is asked at each use."""
    with _at_the_door(organisation, email, password) as work:
        member = members.prove(work, email, password)
        made = members.create_token(work, member.id, name, scopes, days, tenant_id=lender_id)
    return with_facts(TokenView, made.row, token=made.secret)


def change_password(old: str, new: str) -> None:
    """The password of whoever is signed in; their session here goes on, every other one of theirs ends.

    A guess at the old one counts as a failed sign-in does, so a borrowed session guesses no longer than a stranger.
    """
    known = require_known()
    try:
        with own_work() as work:
            members.count_attempt(work, known.member.email)
        with own_work() as work:
            members.change_password(work, known.member.id, old, new, keep=known.row.id)
    except Unauthenticated:
        raise Invalid(errors=[RowError(0, "old_password", "password_wrong")]) from None


def prove(password: str | None, code: str | None) -> dt.datetime:
    """Whoever is signed in proves it anew, for some minutes; answers until when that holds."""
    known = require_known()
    with _counted() as work:
        return members.step_up(work, known.row.id, password, code) + PROOF_LASTS


def begin_totp(password: str) -> bytes:
    """A new authenticator's seed, to be shown on this answer and never again."""
    with _counted() as work:
        return members.begin_totp(work, password)


def confirm_totp(code: str) -> None:
    with _counted() as work:
        members.confirm_totp(work, code)


def remove_totp(password: str) -> None:
    with _counted() as work:
        members.remove_totp(work, password)


@contextmanager
def _counted() -> Iterator[Work]:
    """A Work of whoever is signed in, after their attempt to prove something was counted as a sign-in is."""
    try:
        with own_work() as work:
            members.count_attempt(work, require_known().member.email)
    except Unauthenticated:
        raise Forbidden("proof_wrong") from None
    with own_work() as work:
        yield work


@contextmanager
def _at_the_door(organisation: str, email: str, password: str) -> Iterator[Work]:
    """A Work in the tenant whose code was typed. The attempt is counted, and committed, before the proof."""
    actor = door(_tenant_of(organisation, password))
    with database().work(actor) as work:
        members.count_attempt(work, email)
    with database().work(actor) as work:
        yield work


def _tenant_of(code: str, password: str) -> UUID:
    """Nobody's tenant is open yet: row security shows the one row whose code was typed."""
    with database().work(door(NOBODY)) as work:
        found = organisations.find_by_code(work, code)
    if found is None:
        members.prove_nobody(password)
    return found.id
