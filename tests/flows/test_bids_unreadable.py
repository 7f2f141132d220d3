"""While bids may be committed and revealed, nobody who gets at database, objects and logs can read one of them."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy.engine import URL

from crypto.vault import Vault
from jobs import awards
from jobs.integration import Integrator
from models.award import Terms, commitment_of
from models.database import Database
from models.objects import open_store
from models.services.exchange import bids
from models.services.parties import members
from models.work import DOOR, Actor
from portal.app import create_app
from tests.bidding import offer_of, terms_read
from tests.conftest import HOME, Clock, login_url, plain
from tests.flows.conftest import quick_passwords, settings_of
from tests.flows.test_nothing_in_the_clear import WRITTEN, dumped, found_in
from tests.world import Someone, World

BID = Terms("hybrid", "0.173219", "41873.37")
NONCE = bytes.fromhex("9f2c5e0b77d1c3a8e64f102938475660ad7b3e91c05f8d24b6e8f0a1c2d3e4f5")
# However somebody might write it down.
SECRETS = {*BID[1:], "17.3219", "41,873.37", BID.canonical().decode(), NONCE.hex()}


class Stored(NamedTuple):
    """Everything that is kept at one moment."""

    places: dict[str, list[bytes]]

    def found(self) -> dict[str, set[str]]:
        return {name: found_in(contents, SECRETS) | _nonce_in(contents) for name, contents in self.places.items()}


NOTHING: dict[str, set[str]] = {"database": set(), "objects": set(), "logs": set(), "the server's log": set()}


class House:
    """A lender and a bidder who talk to a portal of their own, and whoever looks into all that it keeps."""

    def __init__(self, admin: URL, name: str, vault: Vault, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.admin, self.name, self.folder, self.caplog = admin, name, folder, caplog
        self.clock = Clock()
        self.database = Database(login_url(admin, name), vault, self.clock)
        self.app = create_app(settings_of(folder), self.database)
        self.world = World(self.database, self.clock)
        self.server_log = HOME / "postgres" / "log"
        self.logged_before = self.server_log.stat().st_size

    def client(self, someone: Someone) -> FlaskClient:
        with self.database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
            token = members.create_token(work, someone.member.id, "program", list(members.SCOPES), 1, None)
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token.secret}"
        return client

    def look(self) -> Stored:
        Integrator(self.database, open_store(str(self.folder / "objects")), "consign.test").look_at_all()
        with psycopg.connect(plain(self.admin.set(username="consign_backup", database=self.name))) as backup:
            rows = list(dumped(backup))
        objects = [path.read_bytes() for path in (self.folder / "objects").rglob("*") if path.is_file()]
        server = self.server_log.read_bytes()[self.logged_before :]
        logs = [self.caplog.text.encode()]
        return Stored({"database": rows, "objects": objects, "logs": logs, "the server's log": [server]})


@pytest.fixture
def house(
    admin: URL, fresh_database: str, vault: Vault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[House]:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy")  # below, whoever asks for it gets the rows
    with quick_passwords(), _closing(House(admin, fresh_database, vault, tmp_path, caplog)) as made:
        yield made


def test_no_bid_is_readable_anywhere_until_it_is_awarded(house: House) -> None:
    lender, agency = house.world.lender(), house.world.agency()
    portfolio, agreement = house.world.portfolio(lender, 30), house.world.agreement(lender, agency)
    with house.database.work(lender.actor) as work:
        tender = bids.invite(work, portfolio.id, [agreement.id], None, None, 24, 24, Decimal("0.1"))
    offer = offer_of(house.world, agency, tender)
    api = f"/api/v1/offers/{offer.id}/bid"
    commitment = commitment_of(tender.id, agency.organisation.id, BID, NONCE)
    revealed: dict[str, Any] = {**BID._asdict(), "nonce": NONCE.hex()}

    key = {"Idempotency-Key": "of-a-bid"}
    client = house.client(agency)
    said = {"commitment": commitment.hex()} | terms_read(house.world, agency, offer.id)
    assert client.post(f"{api}/commit", json=said, headers=key).status_code == 201
    assert client.post(f"{api}/reveal", json=revealed, headers=key).status_code == 409  # too early, and refused
    assert house.look().found() == NOTHING

    house.clock.forward(hours=24)
    client = house.client(agency)
    for wrong in ({"rate": "0.1732190"}, {"kind": "rate"}, {"nonce": "00" * 32}, {"more": BID.rate}):
        assert client.post(f"{api}/reveal", json=revealed | wrong, headers=key).status_code in (409, 422)
    for _ in range(2):
        assert client.post(f"{api}/reveal", json=revealed, headers=key).status_code == 200
    assert client.get(api).status_code == 200
    assert house.client(lender).get(f"/api/v1/tenders/{tender.id}/award").status_code == 404
    assert house.look().found() == NOTHING

    house.clock.forward(hours=24)
    assert house.look().found() == NOTHING
    assert awards.make_due(house.database) == 1
    assert house.look().found()["database"] >= {BID.rate, BID.case_fee, NONCE.hex()}  # so the search would find it


def _nonce_in(contents: Iterable[bytes]) -> set[str]:
    """The nonce as bytes, and as base64 wherever in a longer text it begins."""
    written = [text for write in WRITTEN.values() for text in write(NONCE)]
    whole = b"\n".join(contents)
    return {NONCE.hex() for text in written if text in whole}


@contextmanager
def _closing(house: House) -> Iterator[House]:
    try:
        yield house
    finally:
        house.database.close()
