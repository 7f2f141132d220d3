"""Files that a lender's or an agency's system might really send on a bad day, by the API, to the end."""

import gzip
import io
import random
import zipfile
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.database import Database
from models.services.parties import members
from models.settings import Settings
from models.work import DOOR, Actor
from portal.app import create_app
from tests.world import Debt, Someone, World, case_file

HEADER = case_file([])
CARD = "4111111111111111"
RESIDENT = "11010119900307001X"
PHONE = "13812345678"


@pytest.fixture(scope="module")
def app(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    home = tmp_path_factory.mktemp("portal")
    keyring = home / "keyring.json"
    return create_app(Settings(home, None, str(home / "objects"), keyring, "consign.test", False), shared_database)


def client_of(app: Flask, database: Database, someone: Someone) -> FlaskClient:
    with database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
        made = members.create_token(work, someone.member.id, "test", list(members.SCOPES), 1)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"
    return client


@pytest.fixture
def lender(app: Flask, world: World, database: Database) -> FlaskClient:
    return client_of(app, database, world.lender())


def uploaded(lender: FlaskClient, file: bytes) -> tuple[int, int, set[tuple[int, str, str]]]:
    """status, cases that stand, and the faults."""
    answer = lender.post("/api/v1/portfolios?name=hostile", data=file, content_type="text/csv")
    if answer.status_code != 201:
        errors = answer.json.get("errors", [])
        return answer.status_code, 0, {(e["row"], e["field"], e["code"]) for e in errors}
    found = lender.get(f"/api/v1/portfolios/{answer.json['id']}/errors").json
    return 201, answer.json["case_count"], {(e["row"], e["field"], e["code"]) for e in found}


def changed(field: str, value: str) -> bytes:
    """A file of one good row in which one field is another."""
    header, row = (line.split(",") for line in case_file([Debt(1)]).decode().splitlines())
    row[header.index(field)] = value
    return (",".join(header) + "\n" + ",".join(row) + "\n").encode()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("case_number", RESIDENT, "case_number_personal"),
        ("case_number", PHONE, "case_number_personal"),
        ("case_number", CARD, "case_number_personal"),
        ("case_number", "4111-1111-1111-1111", "case_number_personal"),
        ("case_number", "=1+1", "case_number_shape"),
        ("balance", "-1.00", "balance_not_positive"),
        ("balance", "a lot", "not_a_number"),
        ("balance", "NaN", "not_a_number"),
        ("balance", "1.005", "too_many_decimals"),
        ("id_number", "110101199003078551", "invalid_resident_id"),
        ("id_number", "5.1E+17", "spreadsheet_mangled"),
        ("id_number", "110101199003070000", "spreadsheet_mangled"),
        ("mobile", "12812345678", "invalid_mobile"),
        ("name", "张\x00三", "control_character"),
        ("product", "<script>", "product_shape"),
    ],
)
def test_a_bad_row_is_named_and_its_value_never_told(
    app: Flask, lender: FlaskClient, caplog: pytest.LogCaptureFixture, field: str, value: str, code: str
) -> None:
    assert uploaded(lender, changed(field, value)) == (201, 0, {(1, field, code)})
    last = lender.get("/api/v1/portfolios").json["items"][0]["id"]
    told = lender.get(f"/api/v1/portfolios/{last}/errors.csv").text + caplog.text
    assert value not in told


FILE = case_file([Debt(1), Debt(2), Debt(3)])


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (HEADER, "header_only"),
        (FILE.decode().encode("utf-16"), "encoding"),
        (gzip.compress(FILE), "encoding"),
        (FILE.replace(b"balance", b"\xe8\xba\xab\xe4\xbb\xbd\xe8\xaf\x81"), "missing_column"),
        (FILE.replace(b"mobile\r\n", b"mobile,mobile\r\n"), "duplicate_column"),
        (FILE.replace(b"mobile\r\n", b"mobile,cvv\r\n"), "forbidden_column"),
        (b"PK\x03\x04" + b"\x00" * 5000, "broken_workbook"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(lender: FlaskClient, file: bytes, code: str) -> None:
    status, cases, faults = uploaded(lender, file)
    assert (status, cases) == (422, 0)
    assert code in {fault[2] for fault in faults}
    assert lender.get("/api/v1/portfolios").json["items"] == []


def test_a_workbook_that_unpacks_without_end_is_refused(lender: FlaskClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"<c/>" * (20 << 20))
    status, _, faults = uploaded(lender, packed.getvalue())
    assert (status, faults) == (422, {(0, "*", "workbook_too_large")})


@pytest.mark.parametrize("left", [1, 20, 60])
def test_of_a_file_cut_in_the_middle_only_whole_rows_stand(lender: FlaskClient, left: int) -> None:
    status, cases, faults = uploaded(lender, FILE[:-left])
    assert (status, cases) in {(201, 2), (201, 3)}
    assert {row for row, _, _ in faults} <= {3}


def test_a_body_shorter_than_announced_leaves_nothing(lender: FlaskClient) -> None:
    announced = {"CONTENT_LENGTH": str(len(FILE) + 1)}
    answer = lender.post("/api/v1/portfolios?name=cut", data=FILE, environ_overrides=announced)
    assert answer.status_code == 400
    assert lender.get("/api/v1/portfolios").json["items"] == []


def test_noise_is_never_a_failure(lender: FlaskClient) -> None:
    noise = random.Random(7)
    for _ in range(20):
        file = bytearray(case_file([Debt(n) for n in range(1, 6)]))
        for _ in range(noise.randrange(1, 40)):
            file[noise.randrange(len(file))] = noise.choice(b'\x00\r\n",;\xff\xe5=+-@ 9')
        assert uploaded(lender, bytes(file))[0] in {201, 422}


def test_no_export_holds_a_cell_that_a_spreadsheet_would_run(app: Flask, world: World, database: Database) -> None:
    lender = world.organisation("lender", "portfolio_manager", "=cmd|' /C calc'!A0")
    agency = world.organisation("agency", "manager", "@SUM(1+1)")
    world.placement(lender, agency, 2)
    name = '-2+3+cmd"'
    client = client_of(app, database, lender)
    client.post("/api/v1/portfolios", query_string={"name": name}, data=case_file([Debt(9)]), content_type="text/csv")
    settlement = client_of(app, database, world.person(lender, "settlement_officer"))
    for reader in (client, settlement, client_of(app, database, agency)):
        for path in exports(app):
            answer = reader.get(path)
            if answer.status_code == 200:
                for cell in cells(answer.text):
                    assert cell[:1] not in "=+@" or not cell, (path, cell)
                    assert not cell.startswith("-2+3"), path


def exports(app: Flask) -> Iterator[str]:
    return (rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith(".csv") and not rule.arguments)


def cells(text: str) -> Iterator[str]:
    for line in text.removeprefix("\ufeff").splitlines():
        for cell in line.split(","):
            yield cell.strip('"')
