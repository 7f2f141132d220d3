"""The migrations: up, down, and no difference from the models."""

import re

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from models import cluster
from models.tables import metadata
from tests.conftest import ROOT, plain


def test_migrations_go_down_to_nothing_and_up_again(admin: URL, fresh_database: str) -> None:
    owner = admin.set(username="consign_owner", database=fresh_database)
    config = cluster.alembic_config(owner)
    command.downgrade(config, "base")
    with psycopg.connect(plain(admin.set(database=fresh_database))) as connection:
        left = connection.execute("select relname from pg_class where relnamespace = 'public'::regnamespace").fetchall()
    assert {name for (name,) in left} == {"alembic_version", "alembic_version_pkc"}
    command.upgrade(config, "head")
    assert differences(owner) == []


def test_the_models_say_what_the_migrations_make(admin: URL, fresh_database: str) -> None:
    assert differences(admin.set(username="consign_owner", database=fresh_database)) == []


def test_every_migration_is_numbered_in_its_order() -> None:
    names = sorted(path.stem for path in (ROOT / "migrations" / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in names)


def differences(owner: URL) -> list[object]:
    engine = create_engine(owner.set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return found
