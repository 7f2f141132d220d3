"""What runs for every organisation there is runs here for those of one file, not for those of all other tests."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy.engine import URL

from crypto.vault import Vault
from models.database import Database
from tests.conftest import clone, drop, login_url


@pytest.fixture(scope="module")
def shared_database(admin: URL, vault: Vault) -> Iterator[Database]:
    """This file's own."""
    name = f"test_{uuid4().hex[:12]}"
    clone(admin, name)
    database = Database(login_url(admin, name), vault)
    yield database
    database.close()
    drop(admin, name)
