"""One at a time: the second of two runs over the same lender waits a moment, or is told to come again."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import Select, Text, func, select, text
from sqlalchemy import cast as as_type
from sqlalchemy.exc import OperationalError

from models.errors import Unavailable
from models.placement import Placement
from models.work import AGENCY, Work

_TAKE = text("select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(cast(:names as text[])) as name")
PATIENCE_SECONDS: Final = 100  # placing a million cases takes less; a statement may take 120
PLACEMENT_TURNS: Final = 16
_PATIENCE = func.set_config("lock_timeout", f"{PATIENCE_SECONDS}s", True)  # until the transaction ends
_PARTIES = func.hashtext(func.concat(Placement.lender_id, Placement.agency_id))
_TURN = func.hashtext(as_type(Placement.id, Text)).op("&")(PLACEMENT_TURNS - 1)
_ALONE, _SHARED = func.pg_advisory_xact_lock(_PARTIES, _TURN), func.pg_advisory_xact_lock_shared(_PARTIES, _TURN)

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


def of_agency(agency_id: UUID) -> str:
    """The turn at placing with an agency, or changing whether it may receive."""
    return f"agency {agency_id}"


def take(work: Work, what: str, lender_id: UUID | None = None) -> None:
    """Hold the tenant's turn at `what` until the transaction ends; Unavailable where another holds it too long.

    An agency that crossed names the lender, in whose tenant the turn is.
    """
    take_each(work, [what], lender_id)


def take_each(work: Work, what: Iterable[str], lender_id: UUID | None = None) -> None:
    """The same of several, in order of name, so that of two who want the same the first has all."""
    with unavailable_if_busy():
        work.session.execute(_TAKE, {"names": [f"{lender_id or work.tenant_id}/{name}" for name in sorted(set(what))]})


def wait_long(work: Work) -> None:
    """From here on this transaction waits up to PATIENCE_SECONDS for each lock."""
    work.session.execute(select(_PATIENCE))


@contextmanager
def unavailable_if_busy() -> Iterator[None]:
    """Whoever waited in vain is told so."""
    try:
        yield
    except OperationalError as refused:
        if isinstance(refused.orig, LockNotAvailable | QueryCanceled):  # of several locks no one took too long, but all
            raise Unavailable("busy", retry_seconds=10) from None
        raise


def on_placements(work: Work, query: Query, *, shared: bool = False) -> Query:
    """The query of `Placement`s, locking each: first its turn, then its row, in order of its parties and turn.

    Alone to end, freeze or count one, `shared` to act under it. Rows are not locked in the order of asking: an agency
    whose acts overlap without a pause would keep a recall waiting for as long as it pleases. Turns are: whoever asks
    for one alone comes next, and so waits as `wait_long` does, that no long act sends a recall away. An agency does
    not: many acts of one at once would wait with the connections of all. One statement locks both; what it adds stands
    in its last columns, and says nothing. A lender and an agency have PLACEMENT_TURNS for all their placements:
    PostgreSQL has room for some thousands of such locks, and a night may end more placements than that. So of the same
    two parties one act may wait for another that it has nothing to do with, and of no others.
    """
    turn = [_SHARED] if shared else [_ALONE] if work.actor.side == AGENCY else [_PATIENCE, _ALONE]  # from left to right
    locking = (
        query.add_columns(*turn)
        .order_by(Placement.lender_id, Placement.agency_id, _TURN, Placement.id)
        .with_for_update(read=shared, of=Placement)
        .execution_options(populate_existing=True)
    )
    return cast(Query, locking)
