"""When custody does not answer nothing is opened or sealed, nothing is half done, and everything masked still works."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from crypto.errors import OUTAGES, CryptoError, CustodyUnavailable, KeyringReadOnly, KeyringRefused, PrincipalUnknown
from crypto.vault import Vault
from models.audit import OutboxEntry
from models.case import Case
from models.contact import Contact
from models.database import Database
from models.portfolio import ClassKey, Portfolio
from models.release import ReleaseRecord
from models.services.collection import assignments
from models.work import JOBS, Actor
from tests.world import Debt, Someone, World, case_file

Client = Callable[[Someone], FlaskClient]

RELEASE = {"field_class": "contact", "reason": "contact_borrower"}
CONTACT = {
    "channel": "call",
    "direction": "outbound",
    "party": "debtor",
    "outcome": "ring_no_answer",
    "occurred_at": "2026-03-10T10:00:00+08:00",
}


class Down:
    """Custody whose every verb fails in the same way."""

    kind = "aws-kms"

    def __init__(self, failure: CryptoError) -> None:
        self.failure = failure

    def fail(self, *asked: object) -> None:
        raise self.failure

    create = public = unwrap = sign = derive = rotate = retire = fail


class Placed:
    """A case of a lender, assigned to a collector of its agency."""

    def __init__(self, world: World, database: Database) -> None:
        self.lender, self.manager = world.lender(), world.agency()
        self.collector = world.person(self.manager, "collector")
        placement = world.placement(self.lender, self.manager, [Debt(1, case_number="DOWN-1")])
        (self.case,) = world.case_ids(placement, self.lender)
        with database.work(self.manager.actor) as work:
            assignments.assign(work, placement.id, self.collector.member.id, [self.case])


@pytest.fixture
def placed(world: World, database: Database) -> Placed:
    return Placed(world, database)


@pytest.fixture
def fail(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[CryptoError], None]:
    """Custody fails from now on, and nothing is open in memory."""
    return lambda failure: monkeypatch.setattr(database, "vault", Vault(Down(failure), lambda: 0.0))


def counts(database: Database, lender: Someone) -> list[int]:
    """What a request could leave behind in the lender's tenant."""
    with database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        return [
            work.session.scalars(select(func.count()).select_from(table)).one()
            for table in (Portfolio, Case, ClassKey, Contact, ReleaseRecord, OutboxEntry)
        ]


@pytest.mark.parametrize("code", OUTAGES)
def test_a_release_is_refused_by_the_outages_name_and_leaves_nothing(
    placed: Placed, database: Database, program: Client, fail: Callable[[CryptoError], None], code: str
) -> None:
    before = counts(database, placed.lender)
    fail(CustodyUnavailable(code))
    answer = program(placed.collector).post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, code, "10")
    assert "nothing is opened" in answer.json["title"]
    assert counts(database, placed.lender) == before


@pytest.mark.parametrize("failure", [KeyringRefused("corrupt"), PrincipalUnknown("lost")])
def test_a_lost_or_corrupt_keyring_is_an_outage_too(
    placed: Placed, program: Client, fail: Callable[[CryptoError], None], failure: CryptoError
) -> None:
    fail(failure)
    answer = program(placed.collector).post(f"/api/v1/cases/{placed.case}/releases", json=RELEASE)
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
        503,
        "custody_unavailable",
        "10",
    )
    assert str(failure) not in answer.text


def test_an_upload_is_refused_with_nothing_half_done(placed: Placed, database: Database, program: Client) -> None:
    client, file = program(placed.lender), case_file([Debt(5), Debt(6)])
    before = counts(database, placed.lender)
    with pytest.MonkeyPatch.context() as during:
        during.setattr(database, "vault", Vault(Down(CustodyUnavailable("custody_throttled")), lambda: 0.0))
        answer = client.post("/api/v1/portfolios?name=April", data=file, content_type="text/csv")
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "custody_throttled", "10")
    assert counts(database, placed.lender) == before
    again = client.post("/api/v1/portfolios?name=April", data=file, content_type="text/csv")
    assert (again.status_code, again.json["case_count"]) == (201, 2)


def test_a_contact_is_recorded_without_a_note_and_not_with_one(
    placed: Placed, database: Database, program: Client, fail: Callable[[CryptoError], None]
) -> None:
    client, path = program(placed.collector), f"/api/v1/cases/{placed.case}/contacts"
    before = counts(database, placed.lender)
    fail(CustodyUnavailable("custody_unavailable"))
    assert client.post(path, json=CONTACT | {"note": "约定回电"}).status_code == 503
    assert counts(database, placed.lender) == before
    assert client.post(path, json=CONTACT).status_code == 201


def test_everything_masked_still_works(
    placed: Placed, signed_in: Client, program: Client, fail: Callable[[CryptoError], None]
) -> None:
    people = (placed.collector, placed.manager, placed.lender)
    pages, programs = [signed_in(person) for person in people], [program(person) for person in people]
    fail(CustodyUnavailable("custody_unavailable"))
    for page, api in zip(pages, programs, strict=True):
        shown = page.get(f"/cases/{placed.case}")
        assert (shown.status_code, "138****0001" in shown.text) == (200, True)
        assert page.post("/cases/find", data={"case_number": "DOWN-1"}).location == f"/cases/{placed.case}"
        assert api.get(f"/api/v1/cases/{placed.case}").json["masks"]["mobile"] == "138****0001"
        assert api.get(f"/api/v1/cases/{placed.case}/timeline").status_code == 200
        (found,) = api.post("/api/v1/cases/find", json={"case_number": "DOWN-1"}).json
        assert found["id"] == str(placed.case)
        (listed,) = api.get("/api/v1/cases").json["items"]
        assert listed["id"] == str(placed.case)
    assert pages[0].get("/").status_code in (200, 302)


def test_the_page_of_a_person_says_so_in_words(
    placed: Placed, signed_in: Client, fail: Callable[[CryptoError], None]
) -> None:
    client = signed_in(placed.collector)
    fail(CustodyUnavailable("custody_throttled"))
    answer = client.post(f"/cases/{placed.case}/releases", data=RELEASE, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["code"]) == (503, "custody_throttled")


def test_an_organisation_is_not_brought_in_where_keys_are_read_only(
    world: World, program: Client, fail: Callable[[CryptoError], None]
) -> None:
    operator = world.organisation("operator", "operator")
    client = program(operator)
    fail(KeyringReadOnly("read-only"))
    answer = client.post("/api/v1/organisations", json={"kind": "lender", "name": "Bank"})
    assert (answer.status_code, answer.json["code"]) == (409, "custody_read_only")
    assert "Retry-After" not in answer.headers
