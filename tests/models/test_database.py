"""The way into a transaction, also where the server has gone and come back."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from models.work import Work
from tests.conftest import plain
from tests.world import World


def backend_of(work: Work) -> int:
    found: int = work.session.execute(text("select pg_backend_pid()")).scalar_one()
    return found


def end(admin: URL, backend: int) -> None:
    """As a restart of the server would, and waits until it has happened."""
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", [backend])


def test_a_connection_that_died_in_the_pool_fails_nobody(world: World, admin: URL) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        first = backend_of(work)
    end(admin, first)
    with world.database.work(lender.actor) as work:
        assert backend_of(work) != first
        assert work.session.execute(text("select current_setting('app.side')")).scalar_one() == "lender"


def test_a_connection_that_dies_within_a_work_is_not_tried_again(world: World, admin: URL) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        end(admin, backend_of(work))
        with pytest.raises(DBAPIError):
            backend_of(work)
        with pytest.raises(PendingRollbackError):
            backend_of(work)
        work.session.rollback()
