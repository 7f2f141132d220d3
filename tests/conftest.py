"""One PostgreSQL and one template database for the whole run; each worker has a clone, each test its own tenants."""

import datetime as dt
import gc
import os
import shutil
import threading
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy.engine import URL, make_url

from crypto.custody import PLATFORM, Change, HeldKeys
from crypto.principal import PrincipalKeys
from crypto.vault import Vault
from models import cluster
from models.custody import make_vault
from models.database import Database
from models.services.parties import members
from models.settings import Settings
from portal.app import create_app
from tests.world import World

# How fast a shared machine is at the moment tells nothing about a test.
hypothesis.settings.register_profile("calm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("calm")

TEMPLATE = "consign_template"
ROOT = Path(__file__).parent.parent
HOME = Path(os.environ.get("CONSIGN_TEST_HOME", ROOT / "var" / "test"))


def pytest_configure(config: pytest.Config) -> None:
    """The first process starts PostgreSQL and prepares the template; workers inherit its address."""
    if "CONSIGN_TEST_ADMIN_URL" in os.environ:
        return
    settings = Settings(
        home=HOME,
        database_url=None,
        object_store=str(HOME / "objects"),
        keyring=HOME / "keys" / "keyring.json",
        host="consign.test",
        secure_cookies=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        admin = cluster.start_embedded(settings)
    hurry(admin)
    drop(admin, TEMPLATE)
    cluster.set_up(admin, TEMPLATE)
    os.environ["CONSIGN_TEST_ADMIN_URL"] = admin.render_as_string(False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with the dearest ground come first, so that no second worker steals their last and makes it again."""
    items.sort(key=lambda item: ROOT / "tests" / "flows" not in item.path.parents)


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Argon2 is slow on purpose; tests make hundreds of people, and none of them has a secret."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "_hasher", PasswordHasher(time_cost=1, memory_cost=256, parallelism=1))
        yield


@pytest.fixture(scope="session", autouse=True)
def _calm_collector() -> None:
    """What the imports made lives as long as the run: the collector need not look at it a thousand times."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def admin() -> URL:
    """The superuser's address, for making and dropping databases."""
    return make_url(os.environ["CONSIGN_TEST_ADMIN_URL"])


@pytest.fixture(scope="session")
def database_name(admin: URL) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    clone(admin, name)
    yield name
    drop(admin, name)


@pytest.fixture
def fresh_database(admin: URL) -> Iterator[str]:
    """A database of the test's own, for what must see or change the whole of one."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    clone(admin, name)
    yield name
    drop(admin, name)


class MemoryKeyring(HeldKeys):
    """Custody of one process alone: a file of every tenant of the run would be read and written whole for each."""

    kind = "local"

    def __init__(self) -> None:
        self._keys: dict[str, PrincipalKeys] = {}
        self._turn = threading.Lock()

    def find(self, principal: str, newest: bool = False) -> PrincipalKeys | None:
        return self._keys.get(principal)

    def change(self, principal: str, change: Change) -> PrincipalKeys:
        with self._turn:
            wanted = self._keys[principal] = change(self._keys.get(principal))
        return wanted

    def forget(self, principal: str) -> None:
        with self._turn:
            self._keys.pop(principal, None)


@pytest.fixture(scope="session")
def vault() -> Vault:
    custody = MemoryKeyring()
    custody.create(PLATFORM)
    return make_vault(custody)


class Clock:
    """A clock that a test sets; it starts at ten in the morning in Shanghai on a working day."""

    def __init__(self) -> None:
        self.at = dt.datetime(2026, 3, 10, 2, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.at

    def forward(self, **duration: float) -> None:
        self.at += dt.timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def shared_database(admin: URL, database_name: str, vault: Vault) -> Iterator[Database]:
    database = Database(login_url(admin, database_name), vault)
    yield database
    database.close()


@pytest.fixture
def database(shared_database: Database, clock: Clock) -> Iterator[Database]:
    """The worker's database under this test's clock."""
    real = shared_database.clock
    shared_database.clock = clock
    yield shared_database
    shared_database.clock = real


@pytest.fixture(scope="session")
def shared_app(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The worker's portal."""
    home = tmp_path_factory.mktemp("portal")
    settings = Settings(
        home=home,
        database_url=None,
        object_store=str(home / "objects"),
        keyring=home / "keyring.json",
        host="consign.test",
        secure_cookies=False,
    )
    return create_app(settings, shared_database)


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    """Organisations and cases of this test's own, made by the real verbs."""
    return World(database, clock)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Published vectors and real data, where they are at hand."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared: vectors and data that are not part of the project")
    return folder


def hurry(admin: URL) -> None:
    """Nothing of the tests need outlive a power cut; that it outlives a killed process does not depend on these."""
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"alter system set {setting} = off")
        connection.execute("select pg_reload_conf()")


def clone(admin: URL, name: str) -> None:
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        # One copy at a time: PostgreSQL refuses to copy a template that somebody is connected to.
        connection.execute("select pg_advisory_lock(hashtext('consign template'))")
        connection.execute(f"create database {name} template {TEMPLATE} owner consign_owner strategy file_copy")
        connection.execute(f"revoke all on database {name} from public")
        connection.execute(f"grant connect, temporary on database {name} to {', '.join(cluster.ROLES)}")


def login_url(admin: URL, name: str) -> str:
    url = admin.set(drivername="postgresql+psycopg", username=cluster.LOGIN, database=name)
    return url.render_as_string(False)


def plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(False)


def drop(admin: URL, name: str) -> None:
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(HOME / "objects", ignore_errors=True)
