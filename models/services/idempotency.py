"""One key, one effect: what a key was used for stands in the transaction of what it did."""

from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from models.errors import Invalid, KeyReused, outside
from models.member import Idempotency
from models.services import tenancy
from models.work import Work

KEY_LENGTH_MAX = 128


class Identified(Protocol):
    @property
    def id(self) -> UUID: ...


Made = TypeVar("Made", bound=Identified)


def once(work: Work, key: str | None, digest: bytes, act: Callable[[], Made], again: Callable[[UUID], Made]) -> Made:
    """Do `act` the first time a key is seen; after that answer `again(id of what was made)`.

    The same key with another request is KeyReused. A second request while the first is in flight waits for its
    transaction, and is refused as busy when that takes longer than the lock timeout.
    """
    if key is None:
        return act()
    if faults := outside("Idempotency-Key", len(key), 1, KEY_LENGTH_MAX):
        raise Invalid(errors=faults)
    assert work.actor.member_id is not None
    named = {"org_id": work.actor.org_id, "member_id": work.actor.member_id, "key": key}
    fresh = work.session.scalar(
        insert(Idempotency)
        .values(**named, request_digest=digest, created_at=work.at)
        .on_conflict_do_nothing()
        .returning(Idempotency.key)
    )
    this = (tenancy.mine(work, Idempotency), Idempotency.member_id == work.actor.member_id, Idempotency.key == key)
    if fresh is None:
        stood = work.session.execute(select(Idempotency.request_digest, Idempotency.result_ids).where(*this)).one()
        if stood.request_digest != digest:
            raise KeyReused
        return again(stood.result_ids[0])
    made = act()
    work.session.execute(update(Idempotency).where(*this).values(result_ids=[made.id]))
    return made
