"""An installation's keys: made once at set-up, missed when they are lost, signed for when they come from before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ProgrammingError

from crypto.custody import PLATFORM, Custodies, LocalKeyring
from crypto.errors import KeyringRefused, SignatureRefused
from crypto.notes import Checkpoint as LogState
from models import cluster
from models.custody import make_vault
from models.database import Database
from models.objects import FolderStore
from models.portfolio import ClassKey, LenderKey
from models.services.oversight import logs
from models.services.parties import organisations
from models.services.sealing import key_paths, platform_keys
from models.work import JOBS, Actor
from tests.conftest import Clock, login_url
from tests.world import Someone, World

HOST = "consign.test"


@pytest.fixture
def keyring(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring(tmp_path / "keyring.json")


@pytest.fixture
def own(admin: URL, fresh_database: str, keyring: LocalKeyring, clock: Clock) -> Iterator[Database]:
    """A database of the test's own: set-up looks at every organisation."""
    database = Database(login_url(admin, fresh_database), make_vault(keyring), clock)
    yield database
    database.close()


@pytest.fixture
def lender(own: Database, clock: Clock) -> Someone:
    platform_keys.set_up(own)
    return World(own, clock).lender()


def jobs(lender: Someone) -> Actor:
    return Actor(side=JOBS, org_id=lender.organisation.id, name="test")


def publish(database: Database, lender: Someone, tmp_path: Path) -> LogState:
    with database.work(jobs(lender)) as work:
        logs.integrate(work)
    with database.work(jobs(lender)) as work:
        published = logs.publish(work, FolderStore(tmp_path / "objects"), HOST)
    assert published
    return published


def other_keyring(database: Database, tmp_path: Path, *principals: str) -> None:
    """From now on, a keyring that is not this database's."""
    lost = LocalKeyring(tmp_path / "other.json")
    for principal in principals:
        lost.create(principal)
    database.vault = make_vault(lost)


def test_the_first_set_up_makes_the_platforms_keys(own: Database, keyring: LocalKeyring) -> None:
    assert platform_keys.set_up(own) == 0
    assert keyring.public(PLATFORM).log


def test_set_up_again_changes_nothing(own: Database, lender: Someone, keyring: LocalKeyring, tmp_path: Path) -> None:
    publish(own, lender, tmp_path)
    text = keyring.path.read_bytes()
    assert platform_keys.set_up(own) == 0
    assert keyring.path.read_bytes() == text


def test_a_lost_keyring_is_not_replaced(own: Database, lender: Someone, tmp_path: Path) -> None:
    other_keyring(own, tmp_path)
    with pytest.raises(KeyringRefused, match="restore the keyring from its backup"):
        platform_keys.set_up(own)
    assert not (tmp_path / "other.json").exists()


def test_another_installations_keyring_is_refused(own: Database, lender: Someone, tmp_path: Path) -> None:
    other_keyring(own, tmp_path, PLATFORM, str(lender.organisation.id))
    with pytest.raises(KeyringRefused, match="restore the keyring from its backup"):
        platform_keys.set_up(own)


def test_a_keyring_without_the_platforms_keys_is_refused(own: Database, lender: Someone, keyring: LocalKeyring) -> None:
    keyring.forget(PLATFORM)
    with pytest.raises(KeyringRefused, match="restore the keyring from its backup"):
        platform_keys.set_up(own)


def test_a_log_key_that_signed_no_checkpoint_here_is_refused(
    own: Database, lender: Someone, keyring: LocalKeyring, tmp_path: Path
) -> None:
    publish(own, lender, tmp_path)
    keyring.forget(PLATFORM)
    keyring.create(PLATFORM)
    with pytest.raises(KeyringRefused, match="restore the keyring from its backup"):
        platform_keys.set_up(own)


def test_set_up_brings_the_platforms_keys_to_the_custody_in_use(
    own: Database, lender: Someone, keyring: LocalKeyring, tmp_path: Path
) -> None:
    publish(own, lender, tmp_path)
    chosen = LocalKeyring(tmp_path / "chosen.json")
    own.vault = make_vault(Custodies(chosen, keyring))
    platform_keys.set_up(own)
    assert chosen.public(PLATFORM) == keyring.public(PLATFORM)
    assert chosen.find(str(lender.organisation.id)) is None


def test_an_organisation_in_self_custody_needs_no_keys_here(own: Database, lender: Someone, clock: Clock) -> None:
    World(own, clock).organisation("lender", "administrator", self_custody=True)
    assert platform_keys.set_up(own) == 0


@pytest.fixture
def from_before(admin: URL, fresh_database: str, own: Database, lender: Someone, clock: Clock) -> Someone:
    """The lender has a portfolio whose keys were wrapped by the release that signed no wraps."""
    World(own, clock).portfolio(lender, 1)
    config = cluster.alembic_config(admin.set(username="consign_owner", database=fresh_database))
    command.downgrade(config, "0003_queue")
    command.upgrade(config, "head")
    return lender


def test_keys_from_before_open_once_set_up_has_signed_them(own: Database, from_before: Someone) -> None:
    with own.work(from_before.actor) as work:
        with pytest.raises(SignatureRefused):
            organisations.open_lender_key(work, "index")
        row = organisations.lender_key(work, "index")
        assert row.active_at == row.created_at
    assert platform_keys.set_up(own, adopt_unsigned=True) == 6
    with own.work(from_before.actor) as work:
        organisations.open_lender_key(work, "index")
        keys = work.session.scalars(select(ClassKey)).all()
        assert {key.serial for key in keys} == {2}
        assert all(key.signature for key in keys)
        assert [row.serial for row in work.session.scalars(select(LenderKey).order_by(LenderKey.serial))] == [1, 2]
    assert platform_keys.set_up(own) == 0


def test_set_up_signs_no_wrap_that_nobody_vouches_for(own: Database, from_before: Someone) -> None:
    with pytest.raises(KeyringRefused, match=r"^6 wrapped keys are unsigned: .* set-up --adopt-unsigned$"):
        platform_keys.set_up(own)
    with own.work(from_before.actor) as work:
        assert not any(work.session.scalars(select(ClassKey.signature)))
        assert work.session.scalars(select(LenderKey.serial)).all() == [1]


def test_cells_from_before_open_once_set_up_has_signed_their_keys(own: Database, from_before: Someone) -> None:
    platform_keys.set_up(own, adopt_unsigned=True)
    with own.work(from_before.actor) as work:
        case = work.session.scalars(select(key_paths.Case)).one()
        path = key_paths.find(work, case, "contact")
        assert isinstance(path, key_paths.CaseKeyPath)
        assert path.derive(work.vault)


@pytest.mark.parametrize("statement", [
    "update class_key set signature = null",
    "insert into lender_key (lender_id, purpose, serial, wrapped, created_at) values (:lender, 'index', 9, '', now())",
])  # fmt: skip
def test_nobody_leaves_an_unsigned_wrap_for_set_up_to_sign(
    own: Database, lender: Someone, clock: Clock, statement: str
) -> None:
    World(own, clock).portfolio(lender, 1)
    with own.work(lender.actor) as work, pytest.raises(ProgrammingError, match="row-level security"):
        work.session.connection().exec_driver_sql(statement.replace(":lender", f"'{lender.organisation.id}'"))
