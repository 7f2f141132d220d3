"""The portal over the worker's database, and a client for each person."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.database import Database
from models.services.parties import members
from models.work import DOOR, Actor
from portal.access import COOKIE
from tests.world import PASSWORD, Someone


@pytest.fixture
def app(shared_app: Flask, database: Database) -> Flask:
    """The worker's application, under this test's clock."""
    return shared_app


@pytest.fixture
def signed_in(app: Flask, database: Database) -> Callable[[Someone], FlaskClient]:
    """A browser's client for someone: their session cookie, and the CSRF token on every request."""

    def client_for(someone: Someone) -> FlaskClient:
        with database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
            made = members.sign_in(work, someone.member.email, PASSWORD)
            if someone.actor.mandate_lender_id:
                members.work_for(work, made.row.id, someone.actor.mandate_lender_id)
        client = app.test_client()
        client.set_cookie(COOKIE, made.secret)
        client.environ_base["HTTP_X_CSRF_TOKEN"] = made.row.csrf_token
        return client

    return client_for


@pytest.fixture
def program(app: Flask, database: Database) -> Callable[[Someone], FlaskClient]:
    """A program's client for someone: a bearer token with every scope."""

    def client_for(someone: Someone) -> FlaskClient:
        with database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
            made = members.create_token(
                work, someone.member.id, "test", list(members.SCOPES), 1, someone.actor.mandate_lender_id
            )
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"
        return client

    return client_for
