"""The database handle: one pool, and `work(actor)`, the only way into a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
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
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            enter(session, actor.side, actor.tenant_id)
            yield Work(session, actor, self.clock(), self.vault, self.clock)

    def close(self) -> None:
        self.engine.dispose()


def connect(url: str, pool_size: int = 10) -> Engine:
    """An engine whose errors carry no values and whose sessions wait for nothing for long."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": " ".join(f"-c {name}={value}" for name, value in SESSION.items())},
    )
