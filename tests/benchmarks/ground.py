"""A database, keyring and object folder of a benchmark's own, as the processes it starts see them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from sqlalchemy.engine import URL

from crypto.custody import PLATFORM, LocalKeyring
from models import cluster
from models.custody import make_vault
from models.database import Database
from models.settings import Settings

HOME = Path(__file__).parents[2] / "var" / "bench"


class Ground(NamedTuple):
    """`environment` makes another process see what `database` sees; `admin` is a superuser's way into it."""

    database: Database
    environment: dict[str, str]
    admin: str


@contextmanager
def own_database(folder: Path) -> Iterator[Ground]:
    """A fresh database in the benchmarks' embedded server; keys and objects below `folder`."""
    settings = Settings(
        home=HOME,
        database_url=None,
        object_store=str(folder / "objects"),
        keyring=folder / "keyring.json",
        host="consign.bench",
        secure_cookies=False,
    )
    admin = cluster.start_embedded(settings)
    name = f"bench_{folder.name.lower()}"
    _drop(admin, name)
    cluster.set_up(admin, name)
    custody = LocalKeyring(settings.keyring)
    custody.create(PLATFORM)
    url = admin.set(drivername="postgresql+psycopg", username=cluster.LOGIN, database=name).render_as_string(False)
    database = Database(url, make_vault(custody))
    try:
        yield Ground(
            database,
            {
                "CONSIGN_DATABASE_URL": url,
                "CONSIGN_KEYRING": str(settings.keyring),
                "CONSIGN_OBJECT_STORE": settings.object_store,
                "CONSIGN_SECURE_COOKIES": "0",
            },
            _dsn(admin.set(database=name)),
        )
    finally:
        database.close()
        _drop(admin, name)


def _drop(admin: URL, name: str) -> None:
    with psycopg.connect(_dsn(admin), autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(False)
