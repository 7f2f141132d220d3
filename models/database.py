"""The database handle: one pool, and `work(actor)`, the only way into a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crypto.vault import Vault
from models.clock import utc_now
from models.work import Actor, Clock, Work, enter

# Of every connection; times in milliseconds.
SESSION = {
    "lock_timeout": 2_000,
    "statement_timeout": 120_000,
    "idle_in_transaction_session_timeout": 300_000,
    "timezone": "UTC",
}


class Database:
    """Connects as a login that owns nothing and may read nothing until a Work says for whom."""

    def __init__(self, url: str, vault: Vault, clock: Clock = utc_now, pool_size: int = 10) -> None:
        self.engine = connect(url, pool_size)
        self.vault = vault
        self.clock = clock

    @contextmanager
    def work(self, actor: Actor) -> Iterator[Work]:
        """Leaving the block commits; an exception rolls back and goes on."""
        with Session(self.engine, expire_on_commit=False) as session:
            _enter_alive(session, actor)
            yield Work(session, actor, self.clock(), self.vault, self.clock)
            session.commit()

    def close(self) -> None:
        self.engine.dispose()


def _enter_alive(session: Session, actor: Actor) -> None:
    """On a new connection where the server has closed the pooled one: nothing was done on it yet."""
    try:
        enter(session, actor.side, actor.tenant_id)
    except DBAPIError as lost:
        if not lost.connection_invalidated:
            raise
        session.rollback()
        enter(session, actor.side, actor.tenant_id)


def connect(url: str, pool_size: int = 10) -> Engine:
    """An engine whose errors carry no values and whose sessions wait for nothing for long."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        connect_args={"options": " ".join(f"-c {name}={value}" for name, value in SESSION.items())},
    )
