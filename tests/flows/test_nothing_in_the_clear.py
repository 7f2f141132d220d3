"""After the whole path has been walked, no personal value is anywhere in the clear: not stored, spooled or logged."""

import base64
import csv
import io
import json
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import polars as pl
import psycopg
import pytest
from openpyxl import Workbook
from psycopg import sql
from sqlalchemy.engine import URL

from crypto.vault import Vault
from models.case_file import COLUMNS
from models.database import Database
from models.objects import open_store
from models.sample import make_portfolio
from portal.app import create_app
from tests.conftest import HOME, Clock, login_url, plain
from tests.facts import BALANCE_HEADER, PAYMENT_HEADER, balance, ledger_file, payment
from tests.flows.asks import CONTACT, Ask, Asker
from tests.flows.canaries import DAY, Exchange, tables
from tests.flows.conftest import quick_passwords, settings_of
from tests.world import PASSWORD

CASES = 500
PERSONAL: Final = [column.name for column in COLUMNS if column.field_class and column.name != "relative_relation"]
NOTE = "债务人说他在张江路八十八号上班，儿子名叫王小明，下周五发工资"
IN_SUSPENSE = ("13912345678", "欧阳建国的还款", "110101199003078515")
REFUSED = ("110101199003071234", "12345678901")  # an id with a wrong check character, a number that is no phone
CALL_HEADER = ["case_number", "channel", "direction", "party", "outcome", "occurred_at"]
CALL = ["call", "outbound", "debtor", "busy", "2026-03-10 10:00"]
BYTES_MIN = 6  # what is shorter turns up by chance among sealed bytes

# How a value might be written; base64 as it is wherever in a longer text it begins.
WRITTEN: Final[Mapping[str, Callable[[bytes], list[bytes]]]] = {
    "plain": lambda value: [value],
    "hex": lambda value: [value.hex().encode()],
    "base64": lambda value: [_letters(before, value) for before in range(3)],
    "url": lambda value: [quote(value).encode()],
}
CODES: Final = ("utf-8", "gb18030")


class Walked(NamedTuple):
    """What must not be anywhere, and what somebody might read who gets at our disks and logs."""

    secrets: set[str]
    places: dict[str, list[bytes]]


@pytest.fixture
def walked(
    admin: URL,
    fresh_database: str,
    vault: Vault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Walked:
    """The path over HTTP with a file of people; then everything that is left of it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy")  # below, whoever asks for it gets the rows
    people = list(csv.DictReader(io.StringIO(b"".join(make_portfolio(CASES, seed=23)).decode())))
    calls = [[row["case_number"], *CALL] for row in people[:6]] + [[number, *CALL] for number in IN_SUSPENSE]
    book = workbook([CALL_HEADER, *calls])  # made beforehand: its maker uses the temporary folder
    server_log, clock = HOME / "postgres" / "log", Clock()
    logged_before = server_log.stat().st_size
    database = Database(login_url(admin, fresh_database), vault, clock)
    exchange = Exchange(database, clock, open_store(str(tmp_path / "objects")))
    with quick_passwords(), watched(own_temporary_folder(tmp_path, monkeypatch)) as spooled:
        exchange.bring_in()
        exchange.agree("north", "east")
        walk(Asker(create_app(settings_of(tmp_path), database), exchange), people, book)
    database.close()
    with psycopg.connect(plain(admin.set(username="consign_backup", database=fresh_database))) as backup:
        stored = list(dumped(backup))
    objects = [path.read_bytes() for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    return Walked(
        secrets={row[field] for row in people for field in PERSONAL if row[field]} | {NOTE, *IN_SUSPENSE, *REFUSED},
        places={
            "database": stored,
            "objects": objects,
            "temporary folder": spooled,
            "logs": [caplog.text.encode()],
            "the server's log": [server_log.read_bytes()[logged_before:]],
        },
    )


def test_no_personal_value_is_anywhere_in_the_clear(walked: Walked) -> None:
    found = {place: found_in(contents, walked.secrets) for place, contents in walked.places.items()}
    assert found == {place: set() for place in walked.places}
    assert all(b"".join(walked.places[place]) for place in ("database", "objects", "logs"))
    assert len(walked.secrets) > 2 * CASES


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("before", [b"", b"x", b"xx"])
def test_the_search_would_find_it(code: str, before: bytes) -> None:
    value = NOTE.encode(code)
    for written in (value, value.hex().encode(), base64.b64encode(before + value + b"xx"), quote(value).encode()):
        assert found_in([b"a row, " + written + b", and more"], {NOTE}) == {NOTE}
    assert found_in([json.dumps({"note": NOTE}).encode()], {NOTE}) == {NOTE}


def walk(asker: Asker, people: list[dict[str, str]], book: bytes) -> None:
    """Upload, place, work, report, settle and run the night, with values in the wrong places on the way."""
    exchange = asker.exchange
    wrong = [people[0] | {"case_number": "R-1", "id_number": REFUSED[0]}]
    wrong += [people[1] | {"case_number": "R-2", "mobile": REFUSED[1]}, people[2] | {"case_number": REFUSED[0]}]
    send(asker, "north", "/portfolios?name=most", case_rows(people[:-20] + wrong).encode())
    send(asker, "north", "/portfolios?name=others", case_rows(people[-20:]).encode("gb18030"))
    send(asker, "north", "/portfolios?name=cut", case_rows(people[:3]).encode() + b"\xff\xfe\n")
    send(
        asker, "north", "/portfolios?name=none", case_rows(people[:3]).replace("id_number", people[0]["name"]).encode()
    )
    place(asker)
    items = told(asker, "east", "GET", "/cases?limit=200")["items"]
    work_cases(asker, [item["id"] for item in items[:3]])
    search(asker, people)
    numbers = [item["reference"] for item in items]
    send(asker, "east", "/activity/contacts", book, "calls.xlsx")
    calls = [CALL_HEADER, *([number, *CALL] for number in (*numbers[6:12], *IN_SUSPENSE))]
    send(asker, "east", "/activity/contacts", "\n".join(map(",".join, calls)).encode("gb18030"), "calls.csv")
    paid = [
        payment(number, "10.00", DAY, reference=f"T-{at}") for at, number in enumerate((*numbers[:5], *IN_SUSPENSE))
    ]
    send(asker, "north", f"/ledger/payments?business_date={DAY}", ledger_file(paid, PAYMENT_HEADER))
    stands = [balance(number, "5.00") for number in (*numbers[:5], *IN_SUSPENSE)]
    send(asker, "north", f"/ledger/balances?business_date={DAY}", ledger_file(stands, BALANCE_HEADER))
    exchange.clock.forward(days=2)
    exchange.run_jobs("north")
    exchange.integrator.tick()
    for reader in ("north", "east", "auditor", "operator"):
        for ask in asker.reads(reader, "zh"):
            assert asker.ask(ask).status < 500


def place(asker: Asker) -> None:
    """The first portfolio goes to east."""
    first = told(asker, "north", "GET", "/portfolios")["items"][-1]
    agreement = asker.exchange.agreements["northeast"]
    offer = told(asker, "north", "POST", "/offers", {"portfolio_id": first["id"], "agreement_id": str(agreement.id)})
    path = f"/offers/{offer['id']}"
    with asker.client("east", True).get(f"/api/v1{path}") as answer:  # what `told` answers has its digests blotted out
        terms = {"terms_digest": json.loads(answer.data)["frozen_terms"]["digest"]}
    made = told(asker, "east", "POST", f"{path}/accept", terms)
    figures = {"case_count": made["case_count"], "balance": made["referred_amount"]}
    told(asker, "east", "POST", f"/placements/{made['id']}/acknowledge", figures)


def work_cases(asker: Asker, cases: list[str]) -> None:
    """Everything is opened that may be, and reported; also with numbers of people where none belong."""
    asker.ask(Ask("east", "POST", "/account/proof", {"password": PASSWORD}))
    for case_id in cases:
        for field_class in ("identity", "contact", "account", "related"):
            given = {"field_class": field_class, "reason": "verify_identity"}
            assert asker.ask(Ask("east", "POST", f"/cases/{case_id}/releases", given)).status in (200, 409)
        called = CONTACT | {"occurred_at": "2026-03-10T10:01:00+08:00"}
        for more in ({"note": NOTE}, {"note": NOTE * 100}, {"note": NOTE, "external_ref": IN_SUSPENSE[0]}):
            told(asker, "east", "POST", f"/cases/{case_id}/contacts", called | more)
        told(asker, "east", "POST", f"/cases/{case_id}/contacts", called | {"channel": NOTE})
        told(asker, "east", "POST", f"/cases/{case_id}/releases", {"field_class": "notes", "reason": "verify_payment"})
        for reference in (f"P-{case_id[-6:]}", *IN_SUSPENSE):
            paid = {
                "amount": "10.00",
                "currency": "CNY",
                "paid_on": f"{DAY}",
                "reference": reference,
                "paid_to": "lender",
            }
            told(asker, "east", "POST", f"/cases/{case_id}/claims", paid)
        form = CONTACT | {"occurred_at": "2026-03-10T10:00", "note": NOTE}
        asker.ask(Ask("east", "POST", f"/cases/{case_id}/contacts", form))
    for number in IN_SUSPENSE:
        told(asker, "east", "POST", "/cases/find", {"case_number": number})
        asker.ask(Ask("east", "POST", "/cases/find", {"case_number": number}))


def search(asker: Asker, people: list[dict[str, str]]) -> None:
    """By whole numbers that are there, by page and program, and by what is no whole number."""
    for kind, value in (("mobile", people[0]["mobile"]), ("id_cn", people[0]["id_number"]), ("mobile", NOTE)):
        given = {"kind": kind, "value": value, "reason": "locate_borrower"}
        for reader in ("north", "east"):
            asker.ask(Ask(reader, "POST", "/search", given))
            told(asker, reader, "POST", "/searches", given)


def told(asker: Asker, reader: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = asker.ask(Ask(reader, method, f"/api/v1{path}", body))
    assert answer.status < 500, (path, answer)
    return json.loads(answer.body)


def send(asker: Asker, reader: str, path: str, file: bytes, file_name: str | None = None) -> None:
    query = {"file_name": file_name} if file_name else None
    with asker.client(reader, True).post(f"/api/v1{path}", data=file, query_string=query) as answer:
        assert answer.status_code < 500, answer.get_data(as_text=True)


def own_temporary_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def case_rows(rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    rows = list(rows)
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def workbook(rows: Iterable[list[str]]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def dumped(backup: psycopg.Connection) -> Iterator[bytes]:
    """Every row of every table as text, and the bytes in it as they are."""
    for schema, table in tables(backup):
        rows = sql.SQL("select t::text from {}.{} t").format(sql.Identifier(schema), sql.Identifier(table))
        for (row,) in backup.execute(rows):
            yield row.encode()
            yield from map(bytes.fromhex, re.findall(r"\\x((?:[0-9a-f]{2})+)", row))


def found_in(contents: Iterable[bytes], values: Iterable[str]) -> set[str]:
    """The values that are in the contents, however they are written."""
    patterns: dict[str, str] = {}
    for value in values:
        for encoded in {*(value.encode(code) for code in CODES), json.dumps(value)[1:-1].encode()}:
            if len(encoded) >= BYTES_MIN:
                for write in WRITTEN.values():
                    patterns |= {written.decode("latin-1"): value for written in write(encoded) if written}
    text = pl.Series([b"\n".join(contents).decode("latin-1")])
    hits = text.str.extract_many(list(patterns), overlapping=True).explode().drop_nulls()
    return {patterns[hit] for hit in hits}


def _letters(before: int, value: bytes) -> bytes:
    """The base64 letters that are the value's alone, after so many other bytes."""
    letters = base64.b64encode(bytes(before) + value)
    return letters[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]


@contextmanager
def watched(folder: Path) -> Iterator[list[bytes]]:
    """What is in the files of a folder, looked at again and again until the block is left."""
    contents, left = list[bytes](), threading.Event()

    def watch() -> None:
        while not left.wait(0.005):
            for path in folder.rglob("*"):
                with suppress(OSError):
                    contents.append(path.read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield contents
    finally:
        left.set()
        watcher.join()
