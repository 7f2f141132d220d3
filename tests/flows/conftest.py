"""One seeded exchange for each worker, in a database of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql
from sqlalchemy.engine import URL

from crypto.vault import Vault
from models.database import Database
from models.objects import open_store
from models.services.parties import members
from models.settings import Settings
from portal.app import create_app
from tests.conftest import Clock, clone, login_url, plain
from tests.flows.asks import Asker
from tests.flows.canaries import HOST, Exchange


@pytest.fixture(scope="session")
def exchange_database(admin: URL) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    clone(admin, name)
    yield name
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def backup(admin: URL, exchange_database: str) -> Iterator[psycopg.Connection]:
    """All that there is, as the backup reads it."""
    url = admin.set(username="consign_backup", database=exchange_database)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def asker(
    admin: URL,
    exchange_database: str,
    backup: psycopg.Connection,
    vault: Vault,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asker]:
    """The portal over the seeded exchange, whose clock stands still."""
    home = tmp_path_factory.mktemp("exchange")
    clock = Clock()
    database = Database(login_url(admin, exchange_database), vault, clock)
    exchange = Exchange(database, clock, open_store(str(home / "objects")))
    with quick_passwords():
        exchange.seed()
        exchange.look_around(backup)
        yield Asker(create_app(settings_of(home), database), exchange)
    database.close()


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Two dozen people sign in: here their passwords need not be hard to guess."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


def settings_of(home: Path) -> Settings:
    return Settings(
        home=home,
        database_url=None,
        object_store=str(home / "objects"),
        keyring=home / "keyring.json",
        host=HOST,
        secure_cookies=False,
    )
