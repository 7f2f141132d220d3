"""How a migration runs: as the owner, alone (an advisory lock), and never waiting long for a table."""

from alembic import context
from sqlalchemy import Connection, create_engine, text

from models.tables import metadata


def owned(name: str | None, kind: str, parents: object) -> bool:
    """The queue keeps its own schema, outside the comparison."""
    return not (kind == "schema" and name == "procrastinate")


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=owned,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.execute(text("set local lock_timeout = '4s'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('consign migrations'))"))
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    engine = create_engine(context.config.attributes["url"], hide_parameters=True)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()


main()
